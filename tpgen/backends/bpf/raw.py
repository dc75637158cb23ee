"""Headers for the raw arguments of an event: a u64 each."""

from __future__ import annotations

from collections.abc import Iterator

from tpgen.backends.bpf.header import (
    ContextStruct,
    Header,
    SectionMacro,
    argument_accessor,
    bits_at,
    header,
    slot_member,
)
from tpgen.backends.bpf.types import ValueType, declared, value_type
from tpgen.backends.naming import c_identifier
from tpgen.layout import SLOT_BYTES
from tpgen.model import Argument, Array, Event, Nullness, Pointer
from tpgen.programs.sections import RAW_TYPES, ProgramSection, raw_types
from tpgen.target import Target
from tpgen.typequery import size_of, stripped
from tpgen.values import WRITABLE_TRACEPOINTS

#: The words of a comment for what the verifier assumes of an argument.
NULLNESS = {
    Nullness.NEVER: "; never NULL to the verifier",
    Nullness.MAYBE: "; maybe NULL to the verifier",
    Nullness.ERROR: "; maybe an error, so a number to the verifier",
    None: "",
}


def raw_header(event: Event, target: Target, release: str | None) -> Header:
    """The header for the raw arguments of `event`, which are known."""
    tag = f"raw_{event.name}"
    members, accessors = [], []
    for arg in event.args or ():
        value = _argument_type(arg, target)
        name = c_identifier(arg.name or f"arg{arg.slot}")
        members.append(slot_member(value, name, arg.slot * SLOT_BYTES))
        comment = f"Argument {arg.slot}: {declared(arg.type, arg.name or '')}{NULLNESS[arg.nullness]}"
        bits = bits_at(arg.slot * SLOT_BYTES, SLOT_BYTES)
        accessors.append(argument_accessor(tag, arg.name or name, comment, value, bits, arg.nullness))
    assert event.attach_name is not None
    context = "The context: a u64 for each argument." if members else "The tracepoint has no arguments."
    return header(
        event,
        release,
        tag,
        heading=f"the raw arguments, as {raw_programs(event, event.attach_name)} programs are given them.",
        sections=raw_sections(event, event.attach_name),
        context=context,
        struct=ContextStruct(tuple(members), len(members) * SLOT_BYTES, False, SLOT_BYTES),
        accessors=accessors,
        values=[arg.name or f"arg{arg.slot}" for arg in event.args or ()],
    )


def raw_programs(event: Event, tracepoint: str) -> str:
    """The programs that are given the raw arguments of `event`, by their sections, in words."""
    return " and ".join(ProgramSection(kind, tracepoint).name for kind in raw_types(event))


def raw_sections(event: Event, tracepoint: str) -> Iterator[SectionMacro]:
    """Sections of raw programs: all of them to `tracepoint`, some ways only where its kernel has them.

    libbpf looks for a tp_btf program's tracepoint in vmlinux and then in one module after another, unless a colon tells
    which. To a raw_tp program the kernel gives the first that it finds.
    """
    raw, btf = (ProgramSection(kind, tracepoint) for kind in RAW_TYPES)
    yield SectionMacro(f"RAW_SEC_{event.name}", raw.name)
    if btf.type in raw_types(event):
        yield SectionMacro(
            f"BTF_SEC_{event.name}", (btf._replace(module=event.module) if event.ambiguous else btf).name
        )
    if tracepoint in WRITABLE_TRACEPOINTS:
        yield SectionMacro(f"RAW_W_SEC_{event.name}", raw._replace(writable=True).name)
    if event.sleepable:
        yield SectionMacro(f"RAW_S_SEC_{event.name}", raw._replace(sleepable=True).name)
        yield SectionMacro(f"BTF_S_SEC_{event.name}", btf._replace(sleepable=True).name)


def _argument_type(arg: Argument, target: Target) -> ValueType:
    """The C value of an argument. One of unknown type is its whole slot."""
    bare = stripped(arg.type)
    ctype = Pointer(bare.element) if isinstance(bare, Array) else arg.type  # as parameters, arrays decay
    value = value_type(ctype, size_of(ctype, target) or SLOT_BYTES, signed=False)
    assert value is not None, "an argument of a tracepoint fits its slot"
    return value
