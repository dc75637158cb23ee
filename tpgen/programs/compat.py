"""Compatibility of a program made for one type with a value of another one.

A raw argument is a u64 whose upper bytes are zero, so a narrower value is read rightly through a wider type as long as
it has no sign, and as long as it is still a value of that kind: a blk_status_t is no errno. A field is read with the
size that its type had. CO-RE finds a member by its name and refuses it when its kind is another one, or when its size
is and it is not an unsigned integer: bpf_core_fields_are_compat() and bpf_core_calc_field_relo() of libbpf.
"""

from __future__ import annotations

from enum import Flag, auto

from tpgen.model import Array, CType, Enum, Field, FuncProto, Int, Pointer, Qualified, Struct, Typedef, TypeTag, Void
from tpgen.typequery import is_string, kind_of, same_type, stripped

_NUMBERS = ("int", "enum")


class Programs(Flag):
    """Programs at an event, by what they rely on.

    `RAW`: raw_tp and tp_btf, on the argument in each slot; `TP_BTF` alone is what only the verifier asks of a program
    that follows one. `FIXED`: tp, on the record's offsets as they were compiled in. `CORE`: tp, on offsets that CO-RE
    finds at load by the name `trace_event_raw_<class>` and the members' names.
    """

    NONE = 0
    RAW_TP = auto()
    TP_BTF = auto()
    RAW = RAW_TP | TP_BTF
    FIXED = auto()
    CORE = auto()
    CLASSIC = FIXED | CORE


def breaks_argument(old: CType, new: CType) -> Programs:
    """The programs that take the value of another argument for one of their type `old`, when it is of type `new`."""
    kinds = kind_of(old), kind_of(new)
    if kinds[0] in _NUMBERS and kinds[1] in _NUMBERS:
        kept = _number_is_kept(stripped(old), stripped(new)) and _kind_of_value_is_kept(old, new)
    elif kinds == ("ptr", "ptr"):
        kept = _pointee_is_kept(old, new)
    else:
        kept = same_type(old, new) and _bytes(old) == _bytes(new)
    return Programs.NONE if kept else Programs.RAW


def is_same_number(old: CType, new: CType) -> bool:
    """Whether the bits of two numbers are the same: whether one with another name can be the same value renamed."""
    match stripped(old), stripped(new):
        case Int() as a, Int() as b:
            return a.size_bytes == b.size_bytes and _same_sign(a, b) and (a.name == _BOOL) == (b.name == _BOOL)
        case Enum(), Enum():
            return True
        case Int() | Enum(), Int() | Enum():
            return False
        case _:
            return True


def breaks_field(old: Field, new: Field) -> Programs:
    """The programs that read a field of the same name wrongly or are refused, wherever it is."""
    if old.dynamic != new.dynamic:
        return Programs.CLASSIC  # a locator is another member, with another name
    if old.dynamic:
        unknown = old.type is None or new.type is None
        return Programs.NONE if unknown or _same_values(old.type, new.type) else Programs.CLASSIC
    if old.type is None or new.type is None:
        facts = [(field.size_bytes, field.signed) for field in (old, new)]
        return Programs.CLASSIC if _differ(*facts) else Programs.NONE
    return _breaks_member(old.type, new.type)


def _breaks_member(old: CType, new: CType) -> Programs:
    if not _kind_of_value_is_kept(old, new):
        return Programs.CLASSIC
    match stripped(old), stripped(new):
        case Int() as a, Int() as b:
            if not _same_sign(a, b):
                return Programs.CLASSIC
            # What CO-RE makes of a load of an unsigned integer is right for any size.
            return Programs.NONE if a.size_bytes == b.size_bytes else _unless_core(not (a.signed or b.signed))
        case Enum() as a, Enum() as b:
            if None not in (a.size_bytes, b.size_bytes) and a.size_bytes != b.size_bytes:
                return Programs.CLASSIC
            # A name of its own makes an enum another one to CO-RE.
            return Programs.NONE if a.name == b.name or None in (a.name, b.name) else Programs.CORE
        case (Int() | Enum()) as a, (Int() | Enum()) as b:
            return Programs.CORE if a.size_bytes == b.size_bytes else Programs.CLASSIC
        case Array() as a, Array() as b:
            return _breaks_array(a, b)
        case (Pointer() as a, Pointer() as b):
            return Programs.NONE if _pointee_is_kept(a, b) or _pointee_is_kept(b, a) else Programs.CLASSIC
        case _:
            return Programs.NONE if _same_values(old, new) else Programs.CLASSIC


def _breaks_array(old: Array, new: Array) -> Programs:
    elements = _breaks_member(old.element, new.element)
    if elements or old.length == new.length or None in (old.length, new.length):
        return elements
    # CO-RE can ask how long a longer one is; a shorter one ends before a copy of the old size does.
    return _unless_core(old.length < new.length)  # type: ignore[operator]


def _unless_core(survives: bool) -> Programs:
    return Programs.FIXED if survives else Programs.CLASSIC


# --- values


def _number_is_kept(old: CType, new: CType) -> bool:
    """Whether each value of `new`, extended with zeros, is itself when it is truncated to `old`."""
    assert isinstance(old, Int | Enum) and isinstance(new, Int | Enum)
    if old.size_bytes is None or new.size_bytes is None:
        return same_type(old, new)
    if new.size_bytes == old.size_bytes:
        return _same_sign(old, new)
    return new.size_bytes < old.size_bytes and not new.signed


def _kind_of_value_is_kept(old: CType, new: CType) -> bool:
    """Whether a number still has the kind that the name of its type implies: pid_t, blk_status_t, __be32.

    Another name for the same bits is a better declaration of the same value, unless the name implies a byte order.
    """
    if not isinstance(stripped(old), Int) or not isinstance(stripped(new), Int):
        return True
    before, after = (_typedefs(ctype) - _PLAIN for ctype in (old, new))
    if not after:
        return before.isdisjoint(_BYTE_ORDERS)
    if not before.isdisjoint(after):
        return True
    return not before and after.isdisjoint(_BYTE_ORDERS) and is_same_number(old, new)


_BOOL = "_Bool"
_SIZES = (8, 16, 32, 64)
# Other names of C's integers, which tell no more than size and sign.
_PLAIN = frozenset(
    (*(f"{prefix}{sign}{size}" for prefix in ("", "__") for sign in "us" for size in _SIZES),
     *(f"{sign}int{size}_t" for sign in ("", "u", "u_") for size in _SIZES),
     *(f"u{name}" for name in ("char", "short", "int", "long", "_char", "_short", "_int", "_long")),
     "unchar", "bool", "size_t", "ssize_t", "intptr_t", "uintptr_t", "ptrdiff_t",
     *(f"__kernel_{name}_t" for name in ("long", "ulong", "size", "ssize", "ptrdiff", "uintptr"))),
)  # fmt: skip
_BYTE_ORDERS = frozenset(f"__{order}{size}" for order in ("be", "le") for size in _SIZES[1:])


def _same_sign(old: Int | Enum, new: Int | Enum) -> bool:
    """Whether two numbers of one size are read in the same way. BTF has no sign of an enum or of a plain char."""
    if isinstance(old, Enum) or isinstance(new, Enum):
        return True
    return old.signed == new.signed or (is_string(old) and is_string(new))


def _pointee_is_kept(old: CType, new: CType) -> bool:
    """Whether a program that follows a pointer finds what it expects; qualifiers and tags do not matter."""
    old, new = _pointee(old), _pointee(new)
    match stripped(old), stripped(new):
        case Void(), _:
            return True
        case Pointer() as a, Pointer() as b:
            return _pointee_is_kept(a, b)
        case _:
            return _same_values(old, new)


def _same_values(old: CType | None, new: CType | None) -> bool:
    """Whether memory of type `new` can be read as `old`."""
    assert old is not None and new is not None
    match stripped(old), stripped(new):
        case (Int() | Enum()) as a, (Int() | Enum()) as b:
            return a.size_bytes == b.size_bytes and _same_sign(a, b) and _kind_of_value_is_kept(old, new)
        case Pointer() as a, Pointer() as b:
            return _pointee_is_kept(a, b)
        case Array() as a, Array() as b:
            return a.length == b.length and _same_values(a.element, b.element)
        case Struct() as a, Struct() as b:
            sizes = {a.size_bytes, b.size_bytes} - {None}
            return (a.keyword, a.name) == (b.keyword, b.name) and len(sizes) < 2
        case (Typedef(), _) | (_, Typedef()):  # which no source explains: its name is all that is known
            return not _typedefs(old).isdisjoint(_typedefs(new))
        case a, b:
            return same_type(a, b)


def _typedefs(ctype: CType) -> set[str]:
    """The names that a type goes by."""
    names = set()
    while isinstance(ctype, Typedef | Qualified | TypeTag):
        if isinstance(ctype, Typedef):
            names.add(ctype.name)
        if ctype.target is None:
            break
        ctype = ctype.target
    return names


def _pointee(ctype: CType) -> CType:
    """The type that a pointer points to. Arrays and functions decay to one as arguments."""
    match bare := stripped(ctype):
        case Pointer(target=target):
            return target
        case Array(element=element):
            return element
        case _:
            assert isinstance(bare, FuncProto | Typedef)
            return bare


def _bytes(ctype: CType) -> int | None:
    bare = stripped(ctype)
    return bare.size_bytes if isinstance(bare, Struct) else None


def _differ(old: tuple[object, object], new: tuple[object, object]) -> bool:
    return any(a != b and None not in (a, b) for a, b in zip(old, new, strict=True))
