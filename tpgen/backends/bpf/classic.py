"""Headers for the classic record of an event."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tpgen.backends.bpf.header import (
    COPY_STRING,
    READ_BYTES,
    READ_STRING,
    Accessor,
    ContextMember,
    ContextStruct,
    Copy,
    Header,
    SectionMacro,
    bits_at,
    header,
    slot_member,
)
from tpgen.backends.bpf.types import ValueType, declared, portable, sized_integer, spelled, value_type
from tpgen.backends.naming import c_identifier, member_declarator
from tpgen.layout import LOCATOR_BYTES, SLOT_BYTES
from tpgen.model import Array, Dynamic, Event, Field, Int, Kind, Record
from tpgen.programs.sections import ProgramSection, ProgramType
from tpgen.target import Target
from tpgen.typequery import element_of, is_string, size_of, stripped


def classic_header(event: Event, target: Target, release: str | None) -> Header:
    """The header for the classic record of `event`, whose fields are all placed."""
    assert event.record is not None
    tag = f"tp_{event.name}"
    values = [_field_value(field, event.kind, target) for field in event.record.fields]
    accessors, copies = [], []
    for field, value in zip(event.record.fields, values, strict=True):
        name = f"{tag}_{field.name}"
        if value is not None and not value.by_bytes:
            assert field.offset_bytes is not None and field.size_bytes is not None
            bits = bits_at(field.offset_bytes, field.size_bytes)
            accessors.append(Accessor(name, field_comment(field), value, bits))
        else:
            copies.append(_copy(name, field, release))
    program = ProgramSection(ProgramType.TP, event.name, event.system).name if event.system else "classic"
    return header(
        event,
        release,
        tag,
        heading=f"the classic record, as {program} programs are given it.",
        sections=classic_sections(event),
        context="The context: a pad that programs may not read, then the record. Dynamic data lies behind it.",
        struct=_struct(event.record, values, event.kind),
        accessors=accessors,
        values=[field.name for field in event.record.fields],
        copies=copies,
    )


def classic_sections(event: Event) -> Iterable[SectionMacro]:
    """Sections of classic programs, as far as it is known which system the event is of."""
    if event.system is not None:
        section = ProgramSection(ProgramType.TP, event.name, event.system)
        yield SectionMacro(f"TP_SEC_{event.name}", section.name)
        if event.sleepable and event.kind == Kind.SYSCALL:
            yield SectionMacro(f"TP_S_SEC_{event.name}", section._replace(sleepable=True).name)


def _field_value(field: Field, kind: Kind, target: Target) -> ValueType | None:
    """The C value of a scalar field; None for one whose bytes are copied."""
    if field.dynamic or field.size_bytes is None:
        return None
    size = field.size_bytes
    if kind == Kind.SYSCALL and field.type is not None:
        # The slot of a syscall's argument is as wide as a register, whatever the argument's type.
        size = size_of(field.type, target) or size
    return value_type(field.type, size, field.signed)


def _copy(name: str, field: Field, release: str | None) -> Copy:
    assert field.offset_bytes is not None
    string = is_string(field.type if field.dynamic else element_of(field.type) if field.type else None)
    array = field.dynamic is not None or (field.type is not None and isinstance(stripped(field.type), Array))
    # What nobody knows to be text is not read as text: whoever takes it for one gets an error instead of no NUL.
    return Copy(
        f"{name}_read_bytes" if field.dynamic and field.type is None else f"{name}_read",
        field_comment(field),
        field.offset_bytes,
        None if field.dynamic else field.size_bytes,
        field.dynamic == Dynamic.REL_LOC,
        string_reader(field.dynamic is not None, [release]) if string and array else READ_BYTES,
    )


# Since Linux 6715df8d5d24 ("bpf: Allow reads from uninit stack") (in v6.3) a helper takes any buffer on the stack.
_ANY_BUFFER_SINCE = (6, 3)


def string_reader(any_length: bool, releases: Iterable[str | None]) -> str:
    """The function that copies a string on these kernels. One of a known length is copied at once on all."""
    # A comma is behind the release of a stand-in.
    numbers = [re.fullmatch(r"(\d+)\.(\d+)[^,]*", release or "") for release in releases]
    newer = all(found and (int(found[1]), int(found[2])) >= _ANY_BUFFER_SINCE for found in numbers)
    return COPY_STRING if newer and any_length else READ_STRING


def field_comment(field: Field) -> str:
    if field.dynamic is None:
        return f"Field {declared(field.type, field.name)}" if field.type else f"Field {field.name}"
    element = spelled(field.type).text if field.type else "elements of unknown type"
    return f"Field {field.name}: {element}[], by __{field.dynamic}"


def _struct(record: Record, values: Sequence[ValueType | None], kind: Kind) -> ContextStruct:
    """The record as a struct with every hole spelled out, packed where its members are not aligned.

    `values` are the C values of its fields.
    """
    members = [_bytes("__pad", 0, record.header_bytes)]
    at, strictest, irregular = record.header_bytes, 1, False
    for field, value in zip(record.fields, values, strict=True):
        assert field.offset_bytes is not None and field.size_bytes is not None
        if field.offset_bytes > at:
            members.append(_bytes(f"__hole_{at}", at, field.offset_bytes - at))
        member, align = _field_member(field, value, kind)
        members.append(member)
        strictest = max(strictest, align)
        irregular |= field.offset_bytes % align != 0
        at = field.offset_bytes + field.size_bytes
    size = record.size_bytes
    if size is not None and size > at:
        members.append(_bytes(f"__hole_{at}", at, size - at))
    irregular |= size is not None and size % strictest != 0
    return ContextStruct(tuple(members), size, irregular, 1 if irregular else strictest)


def _field_member(field: Field, value: ValueType | None, kind: Kind) -> tuple[ContextMember, int]:
    """A field's member and its alignment in bytes in BPF's data model."""
    assert field.offset_bytes is not None and field.size_bytes is not None
    offset, size = field.offset_bytes, field.size_bytes
    name = c_identifier(field.member_name)
    declarator = member_declarator(name)
    if field.dynamic:
        return ContextMember(f"unsigned int {declarator}", name, offset, size), LOCATOR_BYTES
    if kind == Kind.SYSCALL and value is not None and value.size_bytes < size == SLOT_BYTES:
        return slot_member(value, name, offset), SLOT_BYTES
    if value is not None and not value.by_bytes and value.size_bytes == size:
        return ContextMember(value.type.declare(declarator), name, offset, size), size
    if field.type is not None and isinstance(stripped(field.type), Array):
        element = portable(element_of(field.type))
        if isinstance(element, Int) and size % element.size_bytes == 0:
            count = size // element.size_bytes
            return ContextMember(f"{element.name} {declarator}[{count}]", name, offset, size), element.size_bytes
    return _bytes(name, offset, size), 1


def _bytes(name: str, offset: int, size: int) -> ContextMember:
    return ContextMember(f"{sized_integer(1, False).name} {member_declarator(name)}[{size}]", name, offset, size)
