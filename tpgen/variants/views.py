"""Views of kernels: what a relocation sees on each of them, by which conditions are simulated.

Source: bpf_core_types_are_compat(), bpf_core_fields_are_compat(), bpf_core_calc_field_relo() and
bpf_core_find_cands() of libbpf: candidates are looked for in vmlinux, and in modules only where vmlinux has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, assert_never

from tpgen.layout import LOCATOR_BYTES
from tpgen.model import (
    Array,
    CType,
    Enum,
    Event,
    Field,
    Float,
    FuncProto,
    Int,
    Origin,
    Pointer,
    Qualified,
    Record,
    Struct,
    Typedef,
    TypeTag,
    Void,
)
from tpgen.target import Target
from tpgen.typequery import is_signed, stripped
from tpgen.variants.facts import (
    Condition,
    Conjunction,
    Member,
    MemberExists,
    MemberSigned,
    MemberSize,
    Not,
    PrototypeExists,
    RecordExists,
)

#: Returns the records that the kernel's BTF has for an event class: several where images define it differently.
RecordsOf = Callable[[str], Sequence[Record]]


class KernelView(NamedTuple):
    """An event as one kernel has it, and what else relocations see there.

    `kernel` is a short name of the kernel, another one for each.
    """

    kernel: str
    event: Event
    target: Target
    records_of: RecordsOf


# --- kinds


class UnknownKindError(ValueError):
    """Raised for a type of which no source tells what it is, and for one that relocations do not compare."""


def kind_only(ctype: CType) -> CType:
    """The kind of a type, and of what it is made of: structs, unions and enums without a name, any integer as `int`.

    Raises `UnknownKindError`.
    """
    match bare := stripped(ctype):
        case Void():
            return bare
        case Int():
            return _INT
        case Pointer():
            return Pointer(kind_only(bare.target))
        case Array():
            return Array(kind_only(bare.element), 1)
        case Struct():
            return Struct(bare.keyword, None, forward=bare.forward)
        case Enum():
            return Enum(None)
        case FuncProto():
            return FuncProto(kind_only(bare.result), tuple(map(kind_only, bare.params)), bare.variadic)
        case Typedef() | Float():
            raise UnknownKindError
        case Qualified() | TypeTag():
            raise AssertionError("stripped() leaves none")
        case _:
            assert_never(bare)


# Sizes of enums that C makes without a value that calls for them.
_ENUM_BYTES = (1, 4)
_INT = Int("int", 4, True)


def prototype(event: Event) -> tuple[CType, ...] | None:
    """The kinds of the parameters of `btf_trace_<event>`, in its order; None where there is no such typedef.

    Raises `UnknownKindError` where it is not known.
    """
    if not _is_in_btf(event):
        return None
    kinds = tuple(kind_only(decayed(arg.type)) for arg in event.args or ())
    if event.args_origin == Origin.HEADERS and len(set(kinds)) > 1:
        raise UnknownKindError  # these are in the order of TP_ARGS, and the typedef's in that of TP_PROTO
    return kinds


def _is_in_btf(event: Event) -> bool:
    of_btf = event.args_origin == Origin.BTF or event.names_origin in (Origin.PROBESTUB, Origin.TRACEITER)
    return event.attach_name is not None and of_btf


def decayed(ctype: CType) -> CType:
    match stripped(ctype):
        case Array(element=element):
            return Pointer(element)
        case FuncProto() as function:
            return Pointer(function)
        case _:
            return ctype


def member_type(field: Field) -> CType:
    """The type of a member by which a relocation finds `field` and a program loads it.

    Raises `UnknownKindError` where there is none.
    """
    if field.dynamic:
        return Int("unsigned int", LOCATOR_BYTES, False)
    if field.type is None or field.size_bytes is None:
        raise UnknownKindError
    match kind := kind_only(field.type):
        case Int():
            # The sign of a char is that of no kernel's, and old BTF does not have that of any byte.
            return Int("", field.size_bytes, bool(field.signed) and field.size_bytes > 1)
        case Enum() if field.size_bytes in _ENUM_BYTES:
            return Enum(None, field.size_bytes)
        case Enum():
            raise UnknownKindError
        case Pointer() | FuncProto():
            return Pointer(Void())
        case _:
            return kind


def prototype_of(view: KernelView) -> PrototypeExists | None:
    """The condition that the prototype of the event meets; None where it is not in BTF, or not known."""
    try:
        found = prototype(view.event)
    except UnknownKindError:
        return None
    if found is None or view.event.attach_name is None:
        return None
    return PrototypeExists(view.event.attach_name, found)


# --- simulation


def holds_all(conjunction: Conjunction, view: KernelView) -> bool | None:
    """Whether all conditions hold on a kernel; None where that is not known."""
    found = [holds(condition, view) for condition in conjunction]
    return False if False in found else None if None in found else True


def holds(condition: Condition, view: KernelView) -> bool | None:
    """Whether a condition holds on a kernel; None where that is not known."""
    match condition:
        case PrototypeExists():
            return _has_prototype(condition, view.event)
        case RecordExists(class_name=name):
            return bool(view.records_of(name))
        case MemberExists(member=member):
            return _agreed(_exists(record, member) for record in view.records_of(member.class_name))
        case MemberSize(member=member, size_bytes=size):
            return _agreed(_has(record, member, size, None) for record in view.records_of(member.class_name))
        case MemberSigned(member=member, signed=signed):
            return _agreed(_has(record, member, None, signed) for record in view.records_of(member.class_name))
        case Not(condition=positive):
            found = holds(positive, view)
            return None if found is None else not found
        case _:
            assert_never(condition)


def _has_prototype(wanted: PrototypeExists, event: Event) -> bool | None:
    if event.ambiguous and event.module is not None:
        return None  # it is another image's that is found
    assert event.attach_name in (None, wanted.tracepoint)
    try:
        return prototype(event) == wanted.parameters
    except UnknownKindError:
        return None


def _agreed(found: Iterable[bool | None]) -> bool | None:
    """The answer of all definitions of a record, no without any: a loader refuses what they answer differently."""
    answers = set(found) or {False}
    return answers.pop() if len(answers) == 1 else None


def _exists(record: Record, member: Member) -> bool | None:
    field = found(record, member.name)
    if field is None:
        return False
    try:
        return _compatible(member_type(field), member.type)
    except UnknownKindError:
        return None


def _has(record: Record, member: Member, size_bytes: int | None, signed: bool | None) -> bool | None:
    field, exists = found(record, member.name), _exists(record, member)
    if field is None or not exists:
        return exists
    if size_bytes is not None:
        return field.size_bytes == size_bytes
    if not isinstance(member.type, Int) or field.size_bytes == 1:
        return None  # loaders differ about enums, and old BTF has no char that is signed
    return bool(field.type and is_signed(field.type)) == signed  # a locator has no sign, and no type here


def found(record: Record, member_name: str) -> Field | None:
    """The field of a record by the name of its member."""
    return next((field for field in record.fields if field.member_name == member_name), None)


def _compatible(theirs: CType, ours: CType) -> bool:
    """Whether a member of the kernel's is one that a relocation for `ours` finds."""
    match theirs, ours:
        case (Int(), Int()) | (Pointer(), Pointer()) | (Enum(), Enum()) | (Struct(), Struct()):
            return True
        case Array(element=one), Array(element=other):
            return _compatible(one, other)
        case _:
            return False


def is_same_everywhere(view: KernelView, member: Member) -> bool:
    """Whether all definitions of the member's record have it at one place."""
    fields = {found(record, member.name) for record in view.records_of(member.class_name)}
    return len({(field.offset_bytes, field.size_bytes) for field in fields if field is not None}) == 1
