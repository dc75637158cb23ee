"""Abstract values: what is known of a register, or of bytes of the stack, at one place of a program.

Named tuples compare like plain ones; so each ends in a word that no other kind has. None is a value of which nothing
is known but that it leads to none of the memory that is followed.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from tpgen.doctor.accesses import Unfollowed
from tpgen.sources.bpf_object.facts import Place

_U32 = 0xFFFFFFFF


class Constant(NamedTuple):
    """An unsigned number of 64 bits, made of `variables`; `struct_name` is that of the relocated offset which it is."""

    value: int
    variables: tuple[str, ...] = ()
    struct_name: str | None = None
    kind: str = "constant"


class Unsure(NamedTuple):
    """A number that would be known if those of `names` were: variables, kconfig values, relocations.

    Without names, one that was loaded at an offset that would be known.
    """

    names: tuple[str, ...]
    struct_name: str | None = None
    kind: str = "unsure"


class Narrow(NamedTuple):
    """An unknown number below 2^32."""

    kind: str = "narrow"


class Context(NamedTuple):
    """The context's address + `offset`."""

    offset: int
    kind: str = "context"


class InContext(NamedTuple):
    """The context's address + something; `reason` tells why that is not known."""

    reason: Unfollowed
    kind: str = "in-context"


class Dynamic(NamedTuple):
    """The context's address + `distance` + the lower half of the locator at `offset` of the context."""

    offset: int
    distance: int
    kind: str = "dynamic"


class Loaded(NamedTuple):
    """The bytes [offset, offset + size) of the context as a number, as read by the instruction `at`.

    `checked`: it is known not to be 0.
    """

    offset: int
    size: int
    at: int
    checked: bool = False
    kind: str = "loaded"


class Shifted(NamedTuple):
    """`loaded`, shifted to the left by `bits` in a register of `width` bits, 32 or 64."""

    loaded: Loaded
    bits: int
    width: int
    kind: str = "shifted"


class Pointed(NamedTuple):
    """An address in what the pointer at `offset` of the context points to, in a struct of that name if it is told."""

    offset: int
    struct_name: str | None
    checked: bool
    kind: str = "pointed"


class Stack(NamedTuple):
    """An address in the stack of the function call number `frame`; `offset` is that from its r10, so negative."""

    frame: int
    offset: int
    kind: str = "stack"


class InStack(NamedTuple):
    """An address in the stack of the function call number `frame`, which is not known better."""

    frame: int
    kind: str = "in-stack"


class FunctionAddress(NamedTuple):
    place: Place
    kind: str = "function"


class DataAddress(NamedTuple):
    """An address in a data section; `offset` is None where it is not known."""

    section: str
    offset: int | None
    kind: str = "data"


class ExternAddress(NamedTuple):
    """The address of a kconfig value or of a symbol of the kernel."""

    name: str
    kind: str = "extern"


class MapAddress(NamedTuple):
    name: str
    kind: str = "map"


Number: TypeAlias = Constant | Unsure | Narrow | Loaded | Shifted
Value: TypeAlias = (
    Number
    | Context
    | InContext
    | Dynamic
    | Pointed
    | Stack
    | InStack
    | FunctionAddress
    | DataAddress
    | ExternAddress
    | MapAddress
    | None
)

NARROW = Narrow()
_IN_CONTEXT = (Context, InContext, Dynamic)


def is_in_context(value: Value) -> bool:
    return isinstance(value, _IN_CONTEXT)


def names_of(value: Value) -> tuple[str, ...]:
    """The variables, and the names of what is unknown, that a number depends on."""
    match value:
        case Constant(variables=names) | Unsure(names=names):
            return names
        case _:
            return ()


def unknown(*values: Value) -> Value:
    """A number made of these in a way that is not followed."""
    for value in values:
        if type(value) is Unsure:
            return Unsure(_united(*map(names_of, values)))
    return None


def _united(*names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({name for part in names for name in part}))


def constant(value: int, *parts: Value) -> Constant:
    """A number computed from `parts`."""
    return Constant(value, _united(*map(names_of, parts)) if any(map(names_of, parts)) else ())


def part_of(loaded: Loaded, start: int, size: int) -> Loaded:
    """The bytes [start, start + size) of those that were loaded, counted in the order of memory."""
    return Loaded(loaded.offset + start, size, loaded.at)


def lowest(loaded: Loaded, size: int, big_endian: bool) -> Loaded:
    """The number without all but its lowest `size` bytes."""
    if size >= loaded.size:
        return loaded
    return part_of(loaded, loaded.size - size if big_endian else 0, size)


def without_lowest(loaded: Loaded, size: int, big_endian: bool) -> Value:
    """The number without its lowest `size` bytes, shifted down."""
    left = loaded.size - size
    if left <= 0:
        return Constant(0)
    return part_of(loaded, 0 if big_endian else size, left)


def joined(one: Value, other: Value) -> Value:
    """The least that is true of both values."""
    if one == other:
        return one
    if isinstance(one, _IN_CONTEXT) or isinstance(other, _IN_CONTEXT):
        return _joined_contexts(one, other)
    match one, other:
        case Loaded(), Loaded() if one[:2] == other[:2]:
            return Loaded(one.offset, one.size, one.at if one.at == other.at else -1, one.checked and other.checked)
        case Loaded() | Pointed(), Loaded() | Pointed() if one.offset == other.offset:
            return _joined_pointers(one, other)
        case Stack() | InStack(), Stack() | InStack() if one.frame == other.frame:
            return InStack(one.frame)
        case DataAddress(), DataAddress() if one.section == other.section:
            return DataAddress(one.section, None)
        case (Constant() | Narrow(), Constant() | Narrow()) if _is_narrow(one) and _is_narrow(other):
            return NARROW
        case _:
            return unknown(one, other)


def _joined_contexts(one: Value, other: Value) -> Value:
    reasons = {value.reason for value in (one, other) if isinstance(value, InContext)}
    return InContext(min(reasons) if reasons else Unfollowed.VARIABLE_OFFSET)


def _joined_pointers(one: Loaded | Pointed, other: Loaded | Pointed) -> Value:
    name = one.struct_name if isinstance(one, Pointed) else None
    if isinstance(other, Loaded) or other.struct_name != name:
        name = None
    return Pointed(one.offset, name, one.checked and other.checked)


def _is_narrow(value: Value) -> bool:
    return type(value) is Narrow or (type(value) is Constant and value.value <= _U32)


def covers(general: Value, special: Value) -> bool:
    """Whether whatever a program does with `special` is among what it does with `general`."""
    if general == special:
        return True
    if general is None:
        return type(special) is Narrow or (type(special) is Constant and special.struct_name is None)
    if type(general) is Narrow:
        return _is_narrow(special)
    return False
