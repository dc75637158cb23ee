"""Values: the places of a tracepoint's values in the context of a program, and what the program can do with them.

A translator of tracing scripts needs these for each `$name`, for raw arguments and for fields of records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tpgen.basics.typing import NamedTuple
from tpgen.layout import SLOT_BYTES
from tpgen.model import (
    Argument,
    Array,
    CType,
    Dynamic,
    Event,
    Field,
    Float,
    FuncProto,
    Kind,
    Nullness,
    Pointer,
    Typedef,
    Void,
)
from tpgen.spelling import spell
from tpgen.target import Target
from tpgen.typequery import is_signed, kind_of, size_of, stripped

#: The tracepoints that are defined with DEFINE_EVENT_WRITABLE, from Linux 5.2 to 7.2: BTF does not tell them apart.
#: A raw_tp.w program may write what their first argument points to.
WRITABLE_TRACEPOINTS = frozenset(("bpf_test_finish", "nbd_send_request"))


class Value(NamedTuple):
    """A raw argument or a field of the classic record.

    `offset_bytes` and `size_bytes` are the place of the value's own bytes in the context; on a big-endian target these
    are the last ones of a slot. `size_bytes` is None for a struct that the sources do not define.

    `name` is None if no source has it. `type` is the declared one, for a `dynamic` field (whose bytes are its locator)
    that of the elements, and None if no source has it. `kind` is int, float, enum, ptr, struct, union, array
    or dynamic; None for a type that no source defines. `pointee` is what a pointer points to or an array contains.

    `dereferencable` says whether the value points to an object of a known type, for `*v`, `v->member` or `v[0]`; it is
    False for `void *` and for a pointer to a function. `writable` says whether programs can write to that object.
    """

    name: str | None
    type: CType | None
    offset_bytes: int
    size_bytes: int | None
    signed: bool | None
    kind: str | None
    pointee: CType | None
    dereferencable: bool
    writable: bool = False
    slot: int | None = None
    nullness: Nullness | None = None
    dynamic: Dynamic | None = None

    @property
    def declaration(self) -> str | None:
        """The value as the kernel declares it; None if its type is unknown. Without a name it is called `arg0`."""
        if self.type is None:
            return None
        name = self.name or f"arg{self.slot}"
        if self.dynamic:
            return f"__{self.dynamic} {spell(self.type)}[] {name}"
        return spell(self.type, name)


def raw_values(event: Event, target: Target) -> tuple[Value, ...]:
    """The raw arguments of an event that has them, by slot."""
    assert event.args is not None
    writable = event.attach_name in WRITABLE_TRACEPOINTS
    return tuple(_argument(arg, target, writable and arg.slot == 0) for arg in event.args)


def classic_values(event: Event, target: Target) -> tuple[Value, ...]:
    """The fields of an event's classic record in their order; all of them must have an offset."""
    assert event.record is not None
    return tuple(_field(field, event.kind, target) for field in event.record.fields)


def value_names(values: Sequence[Value]) -> tuple[str, ...]:
    """A name for each value. A dynamic field has its prefix only where a plain one has its name (5.10: `type`)."""
    count = Counter(value.name for value in values)
    return tuple(
        f"__{value.dynamic}_{value.name}"
        if value.dynamic and count[value.name] > 1
        else value.name or f"arg{value.slot}"
        for value in values
    )


def _argument(arg: Argument, target: Target, writable: bool) -> Value:
    ctype = _decayed(arg.type)
    size = size_of(ctype, target)
    offset = arg.slot * SLOT_BYTES
    return Value(
        name=arg.name,
        type=ctype,
        offset_bytes=offset if size is None else _in_slot(offset, size, target),
        size_bytes=size,
        signed=is_signed(ctype),
        kind=_kind(ctype),
        pointee=pointee_of(ctype),
        dereferencable=_is_object(pointee_of(ctype)),
        writable=writable,
        slot=arg.slot,
        nullness=arg.nullness,
    )


def _decayed(ctype: CType) -> CType:
    """The type of a parameter that is declared with `ctype`."""
    match stripped(ctype):
        case Array(element=element):
            return Pointer(element)
        case FuncProto():
            return Pointer(ctype)
        case _:
            return ctype


def _in_slot(slot_offset: int, size: int, target: Target) -> int:
    """The offset of a value of `size` bytes in its slot: the kernel stores it as part of a u64."""
    return slot_offset + SLOT_BYTES - size if target.big_endian else slot_offset


def _field(field: Field, kind: Kind, target: Target) -> Value:
    assert field.offset_bytes is not None and field.size_bytes is not None
    pointee = field.type if field.dynamic else pointee_of(field.type)
    value = Value(
        name=field.name,
        type=field.type,
        offset_bytes=field.offset_bytes,
        size_bytes=field.size_bytes,
        signed=field.signed,
        kind="dynamic" if field.dynamic else _kind(field.type),
        pointee=pointee,
        dereferencable=not field.dynamic and _is_object(pointee),
        dynamic=field.dynamic,
    )
    if kind == Kind.SYSCALL and field.type is not None and field.size_bytes == SLOT_BYTES:
        size = size_of(field.type, target) or SLOT_BYTES  # the slot is as wide as a register, whatever the type
        return value._replace(offset_bytes=_in_slot(field.offset_bytes, size, target), size_bytes=size)
    return value


def _kind(ctype: CType | None) -> str | None:
    match None if ctype is None else stripped(ctype):
        case None:
            return None
        case Array():
            return "array"
        case Float():
            return "float"
        case bare:
            return kind_of(bare)


def pointee_of(ctype: CType | None) -> CType | None:
    """The type that a pointer points to, or an array is made of; None for anything else."""
    match None if ctype is None else stripped(ctype):
        case Pointer(target=pointee) | Array(element=pointee):
            return pointee
        case _:
            return None


def _is_object(ctype: CType | None) -> bool:
    return ctype is not None and not isinstance(stripped(ctype), Void | FuncProto | Typedef)
