"""Scalars: the shape of a value to a language that knows neither C's types nor the kernel's."""

from __future__ import annotations

from enum import StrEnum

from tpgen.basics.frozen import frozen
from tpgen.layout import SLOT_BYTES
from tpgen.model import CType, Enum, Int, Pointer
from tpgen.target import Target
from tpgen.typequery import is_string, size_of, stripped
from tpgen.values import Value

#: The sizes in bytes of a number.
NUMBER_BYTES = (1, 2, 4, 8)


class Scalar(StrEnum):
    """Kinds of a single value. `TEXT` is a character of a string, `OPAQUE` a byte of what has no better name."""

    BOOL = "bool"
    NUMBER = "number"
    POINTER = "pointer"
    TEXT = "text"
    OPAQUE = "opaque"


@frozen
class ScalarShape:
    """`count` scalars of `size_bytes`, with or without a sign.

    `count` is None where only the locator of a dynamic field tells it. A single number, pointer or bool is no `array`.
    """

    scalar: Scalar
    size_bytes: int
    signed: bool
    array: bool = False
    count: int | None = 1


def shape_of(value: Value, target: Target) -> ScalarShape:
    """The shape of a value. A struct in a slot is the number that its bytes make, since nothing else can be loaded."""
    signed = bool(value.signed)
    if value.dynamic:
        scalar, size = _element(value.type, target)
        return ScalarShape(scalar, size, signed, True, None)
    size = SLOT_BYTES if value.size_bytes is None else value.size_bytes
    if value.kind == "array":
        scalar, of_one = _element(value.pointee, target)
        if of_one and size % of_one == 0:
            return ScalarShape(scalar, of_one, signed, True, size // of_one)
    elif size in NUMBER_BYTES and (value.slot is not None or value.kind in ("int", "enum", "ptr", None)):
        return ScalarShape(_single(value.type), size, signed)
    return ScalarShape(Scalar.OPAQUE, 1, False, True, size)


def _element(ctype: CType | None, target: Target) -> tuple[Scalar, int]:
    """The kind of an array's elements, and the size of each in bytes."""
    if is_string(ctype):
        return Scalar.TEXT, 1
    bare = None if ctype is None else stripped(ctype)
    size = None if ctype is None else size_of(ctype, target)
    if isinstance(bare, Int | Enum | Pointer) and size in NUMBER_BYTES:
        return _single(ctype), size
    return Scalar.OPAQUE, 1


def _single(ctype: CType | None) -> Scalar:
    match None if ctype is None else stripped(ctype):
        case Int(is_bool=True):
            return Scalar.BOOL
        case Pointer():
            return Scalar.POINTER
        case _:
            return Scalar.NUMBER
