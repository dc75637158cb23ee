"""Backend `bpf`: C headers with structs, assertions and accessors for BPF programs.

All decisions are taken here and handed to templates/bpf/ as `RawHeader` and `ClassicHeader`; the templates print them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from tpgen.backends.base import Form, GeneratedFile, Request, missing
from tpgen.backends.bpf_types import ValueType, is_bool, portable, sized_integer, tags_in, uses_bool, value_type
from tpgen.diagnostics import fail
from tpgen.layout import LOCATOR_BYTES, SLOT_BYTES
from tpgen.model import (
    Argument,
    Array,
    CType,
    Dynamic,
    Event,
    Field,
    FuncProto,
    Int,
    Kind,
    Pointer,
    Qualified,
    Record,
)
from tpgen.spelling import spell
from tpgen.target import Target
from tpgen.typequery import element_of, is_string, size_of, stripped

if TYPE_CHECKING:
    from jinja2 import Environment

# What C23 made keywords; older C lets the kernel use them as names.
_KEYWORDS = frozenset(
    "alignas alignof asm bool constexpr false nullptr static_assert thread_local true typeof typeof_unqual".split()
)


@dataclass(frozen=True, slots=True)
class Load:
    """One aligned load from the context: `width` is `u8` to `u64`, the shifts are bits in the value it is part of."""

    width: str
    offset: int
    shift_little: int
    shift_big: int


@dataclass(frozen=True, slots=True)
class Value:
    """An accessor that returns a value of type `result`, made from the bits of `loads` cut to the type `narrow`.

    A result type that cannot be written in front of a function's name is declared by `typedef` first. For one that only
    vmlinux.h can express, `result` stands for `own` where that is there and for `substitute` elsewhere.
    """

    name: str
    comment: str
    result: str
    narrow: str
    loads: tuple[Load, ...]
    is_bool: bool
    by_bytes: bool
    typedef: str | None
    own: str | None
    substitute: str


@dataclass(frozen=True, slots=True)
class Copy:
    """An accessor that copies bytes: fixed ones at `offset`, or those that the locator at `offset` tells of."""

    name: str
    comment: str
    offset: int
    size_bytes: int | None
    relative: bool
    is_string: bool


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the generated struct. `slot_bytes` is the size of a value that lies in a u64 slot, else None."""

    declaration: str
    name: str
    offset: int
    size_bytes: int
    slot_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """Everything that a template prints. `size_bytes` is the struct's, None where the kernel does not tell it."""

    event: Event
    release: str | None
    struct: str
    guard: str
    members: tuple[Member, ...]
    size_bytes: int | None
    packed: bool
    align: int
    values: tuple[Value, ...]
    copies: tuple[Copy, ...]
    tags: tuple[str, ...]
    uses_bool: bool


class BpfBackend:
    """Renders one header per event and form."""

    name = "bpf"

    def render(self, target: Target, release: str | None, requests: Iterable[Request]) -> list[GeneratedFile]:
        files = []
        for request in requests:
            assert missing(request.event, request.form) is None, "asked for what is not there"
            if request.form == Form.RAW:
                header = raw_header(request.event, target, release)
            else:
                header = classic_header(request.event, target, release)
            text = _environment().get_template(f"{request.form}.h.j2").render(header=header)
            files.append(GeneratedFile(f"{header.struct}.h", text))
        return files


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from tpgen.resources import resource_dir

    return Environment(
        loader=FileSystemLoader(resource_dir("templates") / "bpf"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        autoescape=False,  # C is not HTML
        auto_reload=False,  # nobody edits a template while we run
    )


# --- raw


def raw_header(event: Event, target: Target, release: str | None) -> Header:
    """The header for the raw arguments of `event`, which are known."""
    struct = f"raw_{event.name}"
    members, values, types = [], [], []
    for arg in event.args or ():
        value = _argument_type(arg, target)
        name = _identifier(arg.name or f"arg{arg.slot}")
        members.append(
            Member(value.declare(name), name, arg.slot * SLOT_BYTES, value.size_bytes, slot_bytes=value.size_bytes)
        )
        loads = (Load("u64", arg.slot * SLOT_BYTES, 0, 0),)
        comment = f"Argument {arg.slot}: {spell(arg.type, arg.name or '')}"
        values.append(_value(f"{struct}_{arg.name or name}", comment, value, loads))
        types.append(value.type)
    size = len(members) * SLOT_BYTES
    return _header(event, release, struct, members, size, False, SLOT_BYTES, values, [], types)


def _argument_type(arg: Argument, target: Target) -> ValueType:
    """The C value of an argument. One of unknown type is its whole slot."""
    bare = stripped(arg.type)
    ctype = Pointer(bare.element) if isinstance(bare, Array) else arg.type  # as parameters, arrays decay
    value = value_type(ctype, size_of(ctype, target) or SLOT_BYTES, signed=False)
    assert value is not None, "an argument of a tracepoint fits its slot"
    return value


# --- classic


def classic_header(event: Event, target: Target, release: str | None) -> Header:
    """The header for the classic record of `event`, whose fields are all placed."""
    assert event.record is not None
    struct = f"tp_{event.name}"
    values, copies, types = [], [], []
    for field in event.record.fields:
        value = _field_value(field, event.kind, target)
        name = f"{struct}_{field.name}"
        if value is not None and not value.by_bytes:
            assert field.offset_bytes is not None and field.size_bytes is not None
            loads = _loads(field.offset_bytes, field.size_bytes)
            values.append(_value(name, _field_comment(field), value, loads))
            types.append(value.type)
        else:
            copies.append(_copy(name, field))
    members, packed, align = _members(event.record, event.kind, target)
    return _header(event, release, struct, members, event.record.size_bytes, packed, align, values, copies, types)


def _field_value(field: Field, kind: Kind, target: Target) -> ValueType | None:
    """The C value of a scalar field; None for one whose bytes are copied."""
    if field.dynamic or field.size_bytes is None:
        return None
    size = field.size_bytes
    if kind == Kind.SYSCALL and field.type is not None:
        # The slot of a syscall's argument is as wide as a register, whatever the argument's type.
        size = size_of(field.type, target) or size
    return value_type(field.type, size, field.signed)


def _loads(offset: int, size: int) -> tuple[Load, ...]:
    """The loads that make up a value: one, or as few as the verifier's rule (offset % size == 0) allows."""
    width = size
    while offset % width:
        width //= 2
    parts = range(0, size, width)
    return tuple(Load(f"u{8 * width}", offset + at, 8 * at, 8 * (size - width - at)) for at in parts)


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
        return f"Field {spell(field.type, field.name)}" if field.type else f"Field {field.name}"
    element = spell(field.type) if field.type else "elements of unknown type"
    return f"Field {field.name}: {element}[], by __{field.dynamic}"


def _members(record: Record, kind: Kind, target: Target) -> tuple[list[Member], bool, int]:
    """The struct's members with every hole spelled out, whether it must be packed, and its alignment in bytes."""
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
    return members, irregular, 1 if irregular else strictest


def _field_member(field: Field, kind: Kind, target: Target) -> tuple[Member, int]:
    """A field's member and its alignment in bytes in BPF's data model."""
    assert field.offset_bytes is not None and field.size_bytes is not None
    offset, size = field.offset_bytes, field.size_bytes
    name = _identifier(field.member_name)
    if field.dynamic:
        return Member(f"unsigned int {name}", name, offset, size), LOCATOR_BYTES
    value = _field_value(field, kind, target)
    if kind == Kind.SYSCALL and value is not None and value.size_bytes < size == SLOT_BYTES:
        return Member(value.declare(name), name, offset, value.size_bytes, slot_bytes=value.size_bytes), SLOT_BYTES
    if value is not None and not value.by_bytes and value.size_bytes == size:
        return Member(value.declare(name), name, offset, size), size
    if field.type is not None and isinstance(stripped(field.type), Array):
        element = portable(element_of(field.type))
        if isinstance(element, Int) and size % element.size_bytes == 0:
            count = size // element.size_bytes
            return Member(f"{element.name} {name}[{count}]", name, offset, size), element.size_bytes
    return _bytes(name, offset, size), 1


def _bytes(name: str, offset: int, size: int) -> Member:
    return Member(f"{sized_integer(1, False).name} {name}[{size}]", name, offset, size)


# --- common to both


def _value(name: str, comment: str, value: ValueType, loads: tuple[Load, ...]) -> Value:
    wraps = _wraps_its_name(value.type)
    return Value(
        name,
        comment,
        result=f"{name}_t" if wraps or value.own else spell(value.type),
        narrow=value.narrow,
        loads=loads,
        is_bool=is_bool(value.type),
        by_bytes=value.by_bytes,
        typedef=spell(value.type, f"{name}_t") if wraps else None,
        own=spell(value.own) if value.own else None,
        substitute=spell(value.type),
    )


def _wraps_its_name(ctype: CType) -> bool:
    """Whether C writes a declaration of this type around the name, as it does for pointers to functions."""
    while isinstance(ctype, Pointer | Qualified):
        ctype = ctype.target
    return isinstance(ctype, Array | FuncProto)


def _header(
    event: Event,
    release: str | None,
    struct: str,
    members: list[Member],
    size_bytes: int | None,
    packed: bool,
    align: int,
    values: list[Value],
    copies: list[Copy],
    types: list[CType],
) -> Header:
    functions = [value.name for value in values] + [copy.name for copy in copies]
    if doubled := sorted({name for name in functions if functions.count(name) > 1}):
        raise fail("name-clash", f"{event.title}: two of its fields make an accessor {doubled[0]}")
    tags = sorted({tag for ctype in types for tag in tags_in(ctype)})
    return Header(
        event,
        release,
        struct,
        f"TPGEN_{struct.upper()}_H",
        tuple(members),
        size_bytes,
        packed,
        align,
        tuple(values),
        tuple(copies),
        tuple(tags),
        any(map(uses_bool, types)),
    )


def _identifier(name: str) -> str:
    """`name` as a member of a struct in any C from C11 to C23."""
    return f"{name}_" if name in _KEYWORDS else name
