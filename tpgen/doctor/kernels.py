"""A kernel as programs meet it: its events by the names that they attach to, its types, and what its verifier does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

from tpgen.basics.memo import memoised
from tpgen.catalog.releases import release_numbers
from tpgen.catalog.store import stored_kernels
from tpgen.diagnostics import TpgenError
from tpgen.doctor.core_relocation.catalog_types import CatalogTypes
from tpgen.doctor.core_relocation.kernel_types import KernelTypes
from tpgen.doctor.core_relocation.relocate import relocate
from tpgen.doctor.relocated import Relocations
from tpgen.doctor.verifier import KNOWN_VALID, Turn
from tpgen.kernel.events import EventKey, KernelEvents
from tpgen.kernel.sources import Sources, open_modules_btf
from tpgen.layout import SLOT_BYTES
from tpgen.model import SYSCALL_TRACEPOINTS, Event, Kind, Nullness, Origin, Record
from tpgen.opening import LIVE_LABEL
from tpgen.paths import has_live_modules
from tpgen.programs.forms import Form, missing
from tpgen.programs.sections import ProgramSection
from tpgen.sources.bpf_object.btf_types import enumerators
from tpgen.sources.bpf_object.facts import BpfObject
from tpgen.sources.btf import Btf
from tpgen.sources.btf_encoding import BtfKind
from tpgen.target import Target
from tpgen.values import Value, classic_values, raw_values

# The highest last number of a release that LINUX_VERSION_CODE can hold.
_LAST_NUMBER = 255
# A function of kernels that take sleepable programs at system calls, see `BtfTracepoints.syscalls_may_sleep`.
_CALLED_WHERE_IT_MAY_FAULT = "trace_call_bpf_faultable"
# Where a distribution's release leaves that number out: its kernels are late ones of the series.
_SILENT = ("debian", "ubuntu")

#: The kinds of types that symbols of the kernel have, by the words of `BpfObject.kernel_symbols`.
SYMBOL_KINDS = {"func": (BtfKind.FUNC,), "var": (BtfKind.VAR,)}


class KnownKernel:
    """A kernel, as far as it is known. `name` is that of `tpgen catalog list`, or `live`."""

    def __init__(self, name: str, events: KernelEvents, images: Mapping[str | None, Btf] | None = None) -> None:
        self.name = name
        self.events = events
        self._images = images or {}

    @classmethod
    def of(cls, name: str, events: KernelEvents) -> KnownKernel:
        """The kernel with the BTF of its sources, or of the running one; a catalog has none."""
        sources: Sources | None = getattr(events, "sources", None)
        if sources is None and events.label == LIVE_LABEL:
            return _RunningKernel(name, events)
        return cls(name, events, {image.module: image.btf for image in sources.btfs} if sources else None)

    @property
    def target(self) -> Target:
        return self.events.target

    def option_for(self, event: Event) -> str:
        """The words of a command line that name an event of this kernel."""
        name = "live" if self.is_live else self.name
        return (
            f"{event.title} --kernel {name}" if self.is_live or self.events.is_stored else f"{event.title} --btf FILE"
        )

    @property
    def is_live(self) -> bool:
        """Whether it is the running kernel, in which every module that is known is loaded."""
        return self.events.label == LIVE_LABEL

    @property
    def by_module(self) -> Mapping[str | None, Btf]:
        """The BTF of vmlinux, which is None, and of modules; nothing where there is none to ask."""
        return self._images

    @cached_property
    def images(self) -> tuple[Btf, ...]:
        """The BTF of vmlinux, then that of modules; () where that of vmlinux is not there."""
        vmlinux = self.by_module.get(None)
        modules = (btf for module, btf in sorted(self.by_module.items(), key=_first_vmlinux) if module is not None)
        return () if vmlinux is None else (vmlinux, *modules)

    @cached_property
    def release(self) -> tuple[int, ...]:
        """The numbers of its release; () where unknown."""
        return release_numbers(self.events.release)

    @cached_property
    def version_code(self) -> int | None:
        """The number that programs read as LINUX_KERNEL_VERSION; None where the release is unknown."""
        if len(self.release) < 2:
            return None
        major, minor, last = (*self.release, 0)[:3]
        silent = not last and getattr(getattr(self.events, "info", None), "distribution", None) in _SILENT
        return major << 16 | minor << 8 | (_LAST_NUMBER if silent else min(last, _LAST_NUMBER))

    def has(self, turn: Turn) -> bool | None:
        """Whether its verifier has a change; None if unknown."""
        return turn.happened(self.release)

    # --- events

    @memoised
    def namesakes(self, name: str) -> tuple[Event, ...]:
        """All events of that name, dynamic ones left out."""
        keys = [key for key in self.events.keys_of(name) if not key.dynamic]
        return tuple(self.events.events(keys))

    @memoised
    def _with_arguments(self, name: str) -> tuple[Event, ...]:
        """The events of that name, maybe without class and record: of the running kernel these take longest."""
        keys = [key for key in self.events.keys_of(name) if not key.dynamic]
        return tuple(self.events.events(keys, raw_only=True))

    def tracepoints(self, name: str, module: str | None = None) -> tuple[Event, ...]:
        """The events whose raw arguments a program gets that attaches to `name`; in `module` alone where it is given.

        That of vmlinux is the first, and hides those of modules.
        """
        found = [event for event in self._with_arguments(name) if event.attach_name == name]
        if module is not None:
            return tuple(event for event in found if event.module == (None if module == "vmlinux" else module))
        own = tuple(event for event in found if event.module is None)
        return own or tuple(found)

    def records(self, system: str, name: str) -> tuple[Event, ...]:
        """The events that a tp program gets which attaches to `system:name`."""
        return tuple(
            event for event in self.namesakes(name) if event.system == system and event.kind != Kind.TRACEPOINT
        )

    def of_system(self, system: str, name: str) -> EventKey | None:
        """The event of that system in tracefs, a dynamic one too; None where there is none."""
        return next((key for key in self.events.keys_of(name) if key.system == system), None)

    @memoised
    def arguments(self, event: Event) -> tuple[Value, ...] | None:
        """The raw arguments by slot; None where unknown."""
        return raw_values(event, self.target) if missing(event, Form.RAW) is None else None

    @memoised
    def fields(self, event: Event) -> tuple[Value, ...] | None:
        """The fields of the record; None where unknown."""
        return classic_values(event, self.target) if missing(event, Form.CLASSIC) is None else None

    @memoised
    def records_of(self, class_name: str) -> tuple[Record, ...]:
        """The records that CO-RE may take for `struct trace_event_raw_<class_name>`."""
        return tuple(self.events.records_of(class_name))

    @cached_property
    def _keys(self) -> tuple[EventKey, ...]:
        return tuple(self.events.keys())

    @cached_property
    def knows_modules(self) -> bool:
        """Whether events of modules are known; otherwise a missing event proves nothing."""
        return self.is_live or any(key.module is not None for key in self._keys)

    @cached_property
    def knows_systems(self) -> bool:
        """Whether the systems of events are known, without which no tp program finds its event."""
        return any(key.system is not None for key in self._keys)

    @cached_property
    def knows_syscalls(self) -> bool:
        """Whether the events of system calls are known."""
        return any(key.system == "syscalls" for key in self._keys)

    # --- types and symbols

    @cached_property
    def types(self) -> KernelTypes | CatalogTypes:
        """The types that CO-RE looks in."""
        modules = {module: btf for module, btf in self.by_module.items() if module is not None}
        return KernelTypes(self.images[0], modules) if self.images else CatalogTypes(self.events)

    def relocated(self, obj: BpfObject) -> Relocations:
        """The outcomes of an object's CO-RE relocations."""
        return relocate(obj, self.types)

    def symbols_of(self, obj: BpfObject) -> Mapping[str, bool]:
        """Whether the kernel has the symbols that an object may do without; those of which that is known."""
        return {
            name: self.has_symbol(name, kind)
            for name, kind in obj.kernel_symbols.items()
            if self.images and kind in SYMBOL_KINDS
        }

    @memoised
    def enumerators(self, enum: str) -> Mapping[int, str]:
        """The names of the enumerators of an enum of vmlinux by their values; empty without BTF."""
        vmlinux = self.images[0] if self.images else None
        ids = vmlinux.own_ids_of(enum) if vmlinux else ()
        found = (type_id for type_id in ids if vmlinux and vmlinux.kind(type_id) in (BtfKind.ENUM, BtfKind.ENUM64))
        return {item.value: item.name for type_id in found if vmlinux for item in enumerators(vmlinux, type_id)}

    def has_symbol(self, name: str, kind: str) -> bool:
        """Whether BTF has a function or a variable of that name."""
        kinds = SYMBOL_KINDS[kind]
        return any(image.kind(type_id) in kinds for image in self.images for type_id in image.own_ids_of(name))

    # --- what the verifier does

    @cached_property
    def tests_null(self) -> bool | None:
        """Whether its verifier expects NULL in raw arguments; None if unknown."""
        return self.events.tells_null()

    def never_null(self, events: Iterable[Event]) -> frozenset[int]:
        """The offsets of arguments in the context that are not NULL to the verifier, so that no test of them matters.

        That is so of every one of the events.
        """
        if not self.has(KNOWN_VALID):
            return frozenset()
        of_each = [
            {arg.slot * SLOT_BYTES for arg in event.args or () if arg.nullness == Nullness.NEVER} for event in events
        ]
        return frozenset(set.intersection(*of_each)) if of_each else frozenset()

    @cached_property
    def takes_sleepable(self) -> bool | None:
        """Whether sleepable programs can be at the tracepoints of system calls; None if unknown."""
        if self.images:
            return self.images[0].has_string(_CALLED_WHERE_IT_MAY_FAULT)
        known = [event for name in SYSCALL_TRACEPOINTS for event in self.namesakes(name)]
        told = [event for event in known if event.args_origin == Origin.BTF]
        return any(event.sleepable for event in known) if told else None

    def may_sleep(self, event: Event) -> bool:
        """Whether programs may sleep at an event, of a kernel that takes those."""
        return event.sleepable or event.kind == Kind.SYSCALL


class _RunningKernel(KnownKernel):
    """The running kernel from its cache. Its BTF is opened when it is needed."""

    @cached_property
    def _opened(self) -> Mapping[str | None, Btf]:
        # To list all events only for their modules takes a third of a run.
        modules = {key.module for key in self._keys} if has_live_modules() else {None}
        try:
            return {module: image.btf for module, image in open_modules_btf(modules).items()}
        except TpgenError:
            return {}

    @property
    def by_module(self) -> Mapping[str | None, Btf]:
        return self._opened


def _first_vmlinux(image: tuple[str | None, Btf]) -> str:
    return image[0] or ""


def is_shipped(section: ProgramSection) -> bool:
    """Whether a kernel that came with tpgen has the event of a section."""
    assert section.event is not None
    for stored in stored_kernels()[0]:
        if stored.shipped:
            keys = stored.open().keys_of(section.event)
            if any(section.system in (None, key.system) for key in keys):
                return True
    return False


def titles(events: Iterable[Event]) -> str:
    """The events as messages name them."""
    return ", ".join(dict.fromkeys(event.title for event in events))
