"""Names of ELF sections that say where a BPF program attaches, as `SEC()` takes them and libbpf reads them.

Source: libbpf.c, section_defs[], attach_tp(), attach_raw_tp() and libbpf_find_attach_btf_id().
"""

from __future__ import annotations

from enum import StrEnum

from tpgen.basics.typing import NamedTuple
from tpgen.model import Event, Origin
from tpgen.programs.forms import Form, unattachable


class ProgramType(StrEnum):
    """Types of programs at tracepoints, by the short names of their sections."""

    RAW_TP = "raw_tp"
    TP_BTF = "tp_btf"
    TP = "tp"

    @property
    def form(self) -> Form:
        """The form of an event that programs of this type are given."""
        return Form.CLASSIC if self == ProgramType.TP else Form.RAW


#: The types of programs that are given the raw arguments.
RAW_TYPES = (ProgramType.RAW_TP, ProgramType.TP_BTF)


def raw_types(event: Event) -> tuple[ProgramType, ...]:
    """The types of programs that get the raw arguments of `event`.

    No tp_btf program attaches to a module without BTF; only headers have its events. No module has any before
    Linux 36e68442d1af ("bpf: Load and verify kernel module BTFs") (in v5.11).
    """
    of_btf = event.args_origin == Origin.BTF or event.names_origin in (Origin.PROBESTUB, Origin.TRACEITER)
    return RAW_TYPES if event.module is None or of_btf else (ProgramType.RAW_TP,)


class ProgramSection(NamedTuple):
    """A section of programs of `type` at the tracepoint `event`, which is None if the name does not contain it.

    `system` is that of the event, for `ProgramType.TP` alone, which without one is not attached. `module` is the image
    that libbpf is to look in, for `ProgramType.TP_BTF` alone. `writable` programs (`.w`) may write what their context
    points to, `sleepable` ones (`.s`) may sleep. Without `autoload` (`?`) libbpf loads them only on demand.
    """

    type: ProgramType
    event: str | None = None
    system: str | None = None
    module: str | None = None
    writable: bool = False
    sleepable: bool = False
    autoload: bool = True

    @property
    def name(self) -> str:
        """The name of the section, in its short form."""
        kind, event, system, module, writable, sleepable, autoload = self
        head = kind + ".w" if writable else kind + ".s" if sleepable else kind
        if not autoload:
            head = f"?{head}"
        if event is None:
            return str(head)
        return f"{head}/{system}/{event}" if system else f"{head}/{module}:{event}" if module else f"{head}/{event}"


def sections_of(event: Event) -> tuple[ProgramSection, ...]:
    """The sections of programs that attach to `event`, of a system call's to the tracepoint that all calls share."""
    tracepoint = event.syscall.tracepoint if event.syscall else event.attach_name
    raw = [ProgramSection(kind, tracepoint) for kind in raw_types(event)] if tracepoint else []
    has_classic = event.record is not None and event.system and unattachable(event, Form.CLASSIC) is None
    return (*raw, *([ProgramSection(ProgramType.TP, event.name, event.system)] if has_classic else []))


_WORDS = {
    "raw_tp": ProgramType.RAW_TP,
    "raw_tracepoint": ProgramType.RAW_TP,
    "tp_btf": ProgramType.TP_BTF,
    "tp": ProgramType.TP,
    "tracepoint": ProgramType.TP,
}
# The flags that may stand behind the words of a type.
_FLAGS = {
    ProgramType.RAW_TP: ("", "w", "s"),
    ProgramType.TP_BTF: ("", "s"),
    ProgramType.TP: ("", "s"),
}


def parse_section(name: str) -> ProgramSection | None:
    """The section of that name; None if libbpf does not treat it as one of programs at tracepoints.

    Long and short forms of a name give the same section.
    """
    kind, slash, target = name.removeprefix("?").partition("/")
    word, dot, flag = kind.partition(".")
    program_type = _WORDS.get(word)
    if program_type is None or flag not in _FLAGS[program_type] or bool(dot) != bool(flag):
        return None
    section = ProgramSection(
        program_type, writable=flag == "w", sleepable=flag == "s", autoload=not name.startswith("?")
    )
    if not slash:
        return section
    return _with_target(section, target)


def _with_target(section: ProgramSection, target: str) -> ProgramSection | None:
    """The section with what stands behind its type: SYSTEM/EVENT, EVENT, or MODULE:EVENT."""
    match section.type:
        case ProgramType.TP:
            system, slash, event = target.partition("/")
            if not slash:  # which libbpf loads, and does not attach
                return section._replace(event=target) if target else None
            return section._replace(system=system, event=event) if system and event else None
        case ProgramType.TP_BTF if ":" in target:
            module, _, event = target.partition(":")
            return section._replace(module=module, event=event) if event else None
        case _:
            return section._replace(event=target) if target else None
