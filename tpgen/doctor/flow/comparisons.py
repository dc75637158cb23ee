"""Conditions of jumps: which way they go for abstract values, and what is known behind them."""

from __future__ import annotations

import operator
from collections.abc import Callable

from tpgen.doctor.flow.arithmetic import U32, U64, signed
from tpgen.doctor.flow.values import Constant, DataAddress, Loaded, MapAddress, Narrow, Value

EQUAL, NOT_EQUAL, TEST = 0x10, 0x50, 0x40

_UNSIGNED: dict[int, Callable[[int, int], bool]] = {
    EQUAL: operator.eq,
    NOT_EQUAL: operator.ne,
    0x20: operator.gt,
    0x30: operator.ge,
    0xA0: operator.lt,
    0xB0: operator.le,
    TEST: lambda one, other: bool(one & other),
}
_SIGNED: dict[int, Callable[[int, int], bool]] = {
    0x60: operator.gt,
    0x70: operator.ge,
    0xC0: operator.lt,
    0xD0: operator.le,
}
COMPARISONS = frozenset(_UNSIGNED) | frozenset(_SIGNED)


def decided(comparison: int, left: Value, right: Value, is_32: bool) -> bool | None:
    """Whether the jump is taken; None where that is not known."""
    if type(right) is not Constant:
        return None
    if type(left) is Constant:
        return _compared(comparison, left.value, right.value, is_32)
    if right.value == 0 and comparison in (EQUAL, NOT_EQUAL) and _is_not_null(left, is_32):
        return comparison == NOT_EQUAL
    return None


def _compared(comparison: int, left: int, right: int, is_32: bool) -> bool:
    if comparison in _UNSIGNED:
        mask = U32 if is_32 else U64
        return _UNSIGNED[comparison](left & mask, right & mask)
    bits = 32 if is_32 else 64
    return _SIGNED[comparison](signed(left, bits), signed(right, bits))


def _is_not_null(value: Value, is_32: bool) -> bool:
    """Whether the verifier knows so: it does of what lies in maps, not of the context and the stack."""
    match value:
        case Loaded(size=size, checked=checked):
            return checked and (not is_32 or size <= 4)
        case DataAddress() | MapAddress():
            return not is_32
        case _:
            return False


def where_equal(value: Value, number: Constant, is_32: bool) -> Value:
    """The value where it equals `number`."""
    match value:
        case Loaded(size=size):
            return number if not is_32 or size <= 4 else value
        case Narrow():
            return number
        case None:
            return value if is_32 else number
        case _:
            return value


def where_unequal(value: Value, number: Constant, is_32: bool) -> Value:
    """The value where it differs from `number`."""
    if type(value) is Loaded and number.value == 0 and (not is_32 or value.size <= 4):
        return value._replace(checked=True)
    return value
