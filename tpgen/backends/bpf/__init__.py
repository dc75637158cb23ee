"""Backend `bpf`: C headers with structs, assertions and accessors for BPF programs.

All decisions are taken here and in `bpf_syscalls`, as a `Header`; the templates print it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tpgen.backends.base import API, Form, GeneratedFile, Job, Option, missing
from tpgen.backends.bpf.header import (
    Copy,
    Header,
    Member,
    Section,
    Struct,
    Value,
    argument_value,
    bits_at,
    header,
    identifier,
)
from tpgen.backends.bpf.types import ValueType, portable, sized_integer, spelled, value_type
from tpgen.layout import LOCATOR_BYTES, SLOT_BYTES
from tpgen.model import Argument, Array, CType, Dynamic, Event, Field, Int, Kind, Nullness, Pointer, Record
from tpgen.programs.sections import RAW_TYPES, ProgramSection, ProgramType
from tpgen.target import Target
from tpgen.typequery import element_of, is_string, size_of, stripped
from tpgen.values import WRITABLE_TRACEPOINTS

_NULLNESS = {
    Nullness.NEVER: "; never NULL to the verifier",
    Nullness.MAYBE: "; maybe NULL to the verifier",
    Nullness.ERROR: "; maybe an error, so a number to the verifier",
    None: "",
}


class BpfBackend:
    """Renders one header per event and form."""

    api = API
    description = "C headers for BPF programs: structs, assertions and accessors, one header per event and form"
    forms = (Form.RAW, Form.CLASSIC)
    options: tuple[Option, ...] = ()
    several_kernels = False

    def render(self, job: Job) -> Iterator[GeneratedFile]:
        from tpgen.backends.bpf.render import text

        for request in job.kernel.requests:
            made = _header(request.event, request.form, job.kernel.target, job.kernel.release)
            yield GeneratedFile(f"{made.tag}.h", text(made))


def _header(event: Event, form: Form, target: Target, release: str | None) -> Header:
    assert missing(event, form) is None, "asked for what is not there"
    if form == Form.CLASSIC:
        return classic_header(event, target, release)
    if event.kind == Kind.SYSCALL:
        from tpgen.backends.bpf.syscall import syscall_header

        return syscall_header(event, target, release)
    return raw_header(event, target, release)


# --- raw


def raw_header(event: Event, target: Target, release: str | None) -> Header:
    """The header for the raw arguments of `event`, which are known."""
    tag = f"raw_{event.name}"
    members, values = [], []
    for arg in event.args or ():
        value = _argument_type(arg, target)
        name = identifier(arg.name or f"arg{arg.slot}")
        members.append(slot_member(value, name, arg.slot * SLOT_BYTES))
        comment = f"Argument {arg.slot}: {_declared(arg.type, arg.name or '')}{_NULLNESS[arg.nullness]}"
        bits = bits_at(arg.slot * SLOT_BYTES, SLOT_BYTES)
        values.append(argument_value(tag, arg.name or name, comment, value, bits, arg.nullness))
    assert event.attach_name is not None
    context = "The context: a u64 for each argument." if members else "The tracepoint has no arguments."
    programs = f"raw_tp/{event.attach_name} and tp_btf/{event.attach_name} programs"
    return header(
        event,
        release,
        tag,
        heading=f"the raw arguments, as {programs} are given them.",
        sections=raw_sections(event, event.attach_name),
        context=context,
        struct=Struct(tuple(members), len(members) * SLOT_BYTES, False, SLOT_BYTES),
        values=values,
    )


def raw_sections(event: Event, tracepoint: str) -> Iterator[Section]:
    """Where raw programs attach: all of them to `tracepoint`, some ways only where its kernel has them.

    libbpf looks for a tp_btf program's tracepoint in vmlinux and then in one module after another, unless a colon tells
    which. To a raw_tp program the kernel gives the first that it finds.
    """
    raw, btf = (ProgramSection(kind, tracepoint) for kind in RAW_TYPES)
    in_module = event.module if event.ambiguous else None
    yield Section(f"RAW_SEC_{event.name}", raw.name)
    yield Section(f"BTF_SEC_{event.name}", btf._replace(module=in_module).name)
    if tracepoint in WRITABLE_TRACEPOINTS:
        yield Section(f"RAW_W_SEC_{event.name}", raw._replace(writable=True).name)
    if event.sleepable:
        yield Section(f"RAW_S_SEC_{event.name}", raw._replace(sleepable=True).name)
        yield Section(f"BTF_S_SEC_{event.name}", btf._replace(sleepable=True).name)


def _argument_type(arg: Argument, target: Target) -> ValueType:
    """The C value of an argument. One of unknown type is its whole slot."""
    bare = stripped(arg.type)
    ctype = Pointer(bare.element) if isinstance(bare, Array) else arg.type  # as parameters, arrays decay
    value = value_type(ctype, size_of(ctype, target) or SLOT_BYTES, signed=False)
    assert value is not None, "an argument of a tracepoint fits its slot"
    return value


def slot_member(value: ValueType, name: str, offset: int) -> Member:
    """The member for a value that lies in a u64."""
    return Member(value.type.declare(name), name, offset, value.size_bytes, slot_bytes=value.size_bytes)


# --- classic


def classic_header(event: Event, target: Target, release: str | None) -> Header:
    """The header for the classic record of `event`, whose fields are all placed."""
    assert event.record is not None
    tag = f"tp_{event.name}"
    values, copies = [], []
    for field in event.record.fields:
        value = _field_value(field, event.kind, target)
        name = f"{tag}_{field.name}"
        if value is not None and not value.by_bytes:
            assert field.offset_bytes is not None and field.size_bytes is not None
            bits = bits_at(field.offset_bytes, field.size_bytes)
            values.append(Value(name, _field_comment(field), value, bits))
        else:
            copies.append(_copy(name, field))
    program = f"tp/{event.system}/{event.name}" if event.system else "classic"
    return header(
        event,
        release,
        tag,
        heading=f"the classic record, as {program} programs are given it.",
        sections=_classic_sections(event),
        context="The context: a pad that programs may not read, then the record. Dynamic data lies behind it.",
        struct=_struct(event.record, event.kind, target),
        values=values,
        copies=copies,
    )


def _classic_sections(event: Event) -> Iterable[Section]:
    """Where classic programs attach, as far as it is known which system the event is of."""
    if event.system is not None:
        section = ProgramSection(ProgramType.TP, event.name, event.system)
        yield Section(f"TP_SEC_{event.name}", section.name)
        if event.sleepable and event.kind == Kind.SYSCALL:
            yield Section(f"TP_S_SEC_{event.name}", section._replace(sleepable=True).name)


def _field_value(field: Field, kind: Kind, target: Target) -> ValueType | None:
    """The C value of a scalar field; None for one whose bytes are copied."""
    if field.dynamic or field.size_bytes is None:
        return None
    size = field.size_bytes
    if kind == Kind.SYSCALL and field.type is not None:
        # The slot of a syscall's argument is as wide as a register, whatever the argument's type.
        size = size_of(field.type, target) or size
    return value_type(field.type, size, field.signed)


def _copy(name: str, field: Field) -> Copy:
    assert field.offset_bytes is not None
    string = is_string(field.type if field.dynamic else element_of(field.type) if field.type else None)
    array = field.dynamic is not None or (field.type is not None and isinstance(stripped(field.type), Array))
    return Copy(
        f"{name}_read",
        _field_comment(field),
        field.offset_bytes,
        None if field.dynamic else field.size_bytes,
        field.dynamic == Dynamic.REL_LOC,
        string and array,
    )


def _field_comment(field: Field) -> str:
    if field.dynamic is None:
        return f"Field {_declared(field.type, field.name)}" if field.type else f"Field {field.name}"
    element = spelled(field.type).text if field.type else "elements of unknown type"
    return f"Field {field.name}: {element}[], by __{field.dynamic}"


def _struct(record: Record, kind: Kind, target: Target) -> Struct:
    """The record as a struct with every hole spelled out, packed where its members are not aligned."""
    members = [_bytes("__pad", 0, record.header_bytes)]
    at, strictest, irregular = record.header_bytes, 1, False
    for field in record.fields:
        assert field.offset_bytes is not None and field.size_bytes is not None
        if field.offset_bytes > at:
            members.append(_bytes(f"__hole_{at}", at, field.offset_bytes - at))
        member, align = _field_member(field, kind, target)
        members.append(member)
        strictest = max(strictest, align)
        irregular |= field.offset_bytes % align != 0
        at = field.offset_bytes + field.size_bytes
    size = record.size_bytes
    if size is not None and size > at:
        members.append(_bytes(f"__hole_{at}", at, size - at))
    irregular |= size is not None and size % strictest != 0
    return Struct(tuple(members), size, irregular, 1 if irregular else strictest)


def _field_member(field: Field, kind: Kind, target: Target) -> tuple[Member, int]:
    """A field's member and its alignment in bytes in BPF's data model."""
    assert field.offset_bytes is not None and field.size_bytes is not None
    offset, size = field.offset_bytes, field.size_bytes
    name = identifier(field.member_name)
    if field.dynamic:
        return Member(f"unsigned int {name}", name, offset, size), LOCATOR_BYTES
    value = _field_value(field, kind, target)
    if kind == Kind.SYSCALL and value is not None and value.size_bytes < size == SLOT_BYTES:
        return slot_member(value, name, offset), SLOT_BYTES
    if value is not None and not value.by_bytes and value.size_bytes == size:
        return Member(value.type.declare(name), name, offset, size), size
    if field.type is not None and isinstance(stripped(field.type), Array):
        element = portable(element_of(field.type))
        if isinstance(element, Int) and size % element.size_bytes == 0:
            count = size // element.size_bytes
            return Member(f"{element.name} {name}[{count}]", name, offset, size), element.size_bytes
    return _bytes(name, offset, size), 1


def _bytes(name: str, offset: int, size: int) -> Member:
    return Member(f"{sized_integer(1, False).name} {name}[{size}]", name, offset, size)


def _declared(ctype: CType, name: str) -> str:
    """The declaration of `name` as the kernel writes it."""
    return spelled(ctype).declare(name) if name else spelled(ctype).text
