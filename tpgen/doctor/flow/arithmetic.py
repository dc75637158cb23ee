"""Arithmetic on abstract values. Source: Documentation/bpf/standardization/instruction-set.rst.

What the kernel's verifier computes of numbers that it knows is computed here; divisions it does not.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from tpgen.doctor.accesses import Unfollowed
from tpgen.doctor.flow.values import (
    NARROW,
    Constant,
    Context,
    DataAddress,
    Dynamic,
    InContext,
    InStack,
    Loaded,
    Narrow,
    Number,
    Pointed,
    Shifted,
    Stack,
    Unsure,
    Value,
    constant,
    lowest,
    names_of,
    unknown,
    without_lowest,
)

U64 = (1 << 64) - 1
U32 = (1 << 32) - 1


class Operation(IntEnum):
    """The upper four bits of the opcode of an ALU instruction."""

    ADD = 0x00
    SUB = 0x10
    MUL = 0x20
    DIV = 0x30
    OR = 0x40
    AND = 0x50
    LSH = 0x60
    RSH = 0x70
    NEG = 0x80
    MOD = 0x90
    XOR = 0xA0
    MOV = 0xB0
    ARSH = 0xC0
    END = 0xD0


def signed(value: int, bits: int) -> int:
    """The lowest `bits` of a number as a signed one."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


_COMPUTED: dict[int, Callable[[int, int, int], int]] = {
    Operation.ADD: lambda one, other, bits: one + other,
    Operation.SUB: lambda one, other, bits: one - other,
    Operation.MUL: lambda one, other, bits: one * other,
    Operation.OR: lambda one, other, bits: one | other,
    Operation.AND: lambda one, other, bits: one & other,
    Operation.XOR: lambda one, other, bits: one ^ other,
    Operation.LSH: lambda one, other, bits: one << (other & (bits - 1)),
    Operation.RSH: lambda one, other, bits: one >> (other & (bits - 1)),
    Operation.ARSH: lambda one, other, bits: signed(one, bits) >> (other & (bits - 1)),
}


def computed(operation: int, left: Value, right: Value, is_32: bool, big_endian: bool) -> Value:
    """The result of an operation with two operands; 32-bit ones clear the upper half."""
    if type(left) is Constant and type(right) is Constant:
        return _of_constants(operation, left, right, is_32)
    if is_32:
        return _cut(_of_numbers(operation, narrowed(left, big_endian), right, 32, big_endian))
    if operation == Operation.ADD:
        return _sum(left, right, big_endian)
    if operation == Operation.SUB:
        return _difference(left, right, big_endian)
    return _of_numbers(operation, left, right, 64, big_endian)


def _of_constants(operation: int, left: Constant, right: Constant, is_32: bool) -> Value:
    compute = _COMPUTED.get(operation)
    if compute is None:
        return unknown_of(left, right)
    bits, mask = (32, U32) if is_32 else (64, U64)
    return constant(compute(left.value & mask, right.value & mask, bits) & mask, left, right)


def unknown_of(*values: Value) -> Value:
    """A number that depends on all that these do, but is not computed."""
    names = {name for value in values for name in names_of(value)}
    if names or any(type(value) is Unsure for value in values):
        return Unsure(tuple(sorted(names)))
    return None


def narrowed(value: Value, big_endian: bool) -> Value:
    """The lower half of a register, the upper one cleared."""
    match value:
        case Constant():
            return value if value.value <= U32 else value._replace(value=value.value & U32)
        case Loaded():
            return lowest(value, 4, big_endian)
        case Unsure() | Shifted(width=32):
            return value
        case _:
            return NARROW


def _cut(value: Value) -> Value:
    """The result of a 32-bit operation: nothing but a number."""
    return value if isinstance(value, Constant | Unsure | Loaded | Shifted) else NARROW


def sign_extended(value: Value, bits: int, is_32: bool, big_endian: bool) -> Value:
    """The lowest `bits` of a value, sign-extended (MOVSX)."""
    match value:
        case Constant():
            return value._replace(value=signed(value.value, bits) & (U32 if is_32 else U64))
        case Loaded():
            return lowest(value, bits // 8, big_endian)
        case Unsure():
            return value
        case _:
            return NARROW if is_32 else None


def negated(value: Value, is_32: bool) -> Value:
    match value:
        case Constant():
            return value._replace(value=-value.value & (U32 if is_32 else U64), struct_name=None)
        case Unsure():
            return value
        case _:
            return NARROW if is_32 else None


def swapped(value: Value, bits: int, swaps: bool, big_endian: bool) -> Value:
    """The lowest `bits` of a value, their bytes reversed if `swaps`."""
    if bits not in (16, 32, 64):
        return None  # no instruction
    match value:
        case Constant():
            cut = value.value & ((1 << bits) - 1)
            if swaps:
                cut = int.from_bytes(cut.to_bytes(bits // 8, "big"), "little")
            return value._replace(value=cut, struct_name=None)
        case Loaded() if not swaps:
            return lowest(value, bits // 8, big_endian)
        case Unsure():
            return value
        case _:
            return NARROW if bits <= 32 else None


def _sum(left: Value, right: Value, big_endian: bool) -> Value:
    if _rank(left) < _rank(right):
        left, right = right, left
    match left, right:
        case Context(), Constant():
            return Context(left.offset + signed(right.value, 64))
        case Context(), Loaded() if (locator := locator_of(right, big_endian)) is not None:
            return Dynamic(locator, left.offset)
        case (Dynamic(), Constant()):
            return left._replace(distance=left.distance + signed(right.value, 64))
        case (Context() | Dynamic(), _):
            return InContext(_reason(right))
        case InContext(), _:
            return left
        case Stack(), Constant():
            return Stack(left.frame, left.offset + signed(right.value, 64))
        case (Stack() | InStack(), _):
            return InStack(left.frame)
        case DataAddress(offset=int(offset)), Constant():
            return DataAddress(left.section, offset + signed(right.value, 64))
        case DataAddress(), _:
            return DataAddress(left.section, None)
        case Loaded(), (Constant() | Unsure()) if left.size == 8:
            return left if right == Constant(0) else Pointed(left.offset, right.struct_name, left.checked)
        case Pointed(), (Constant() | Unsure()):
            return left._replace(struct_name=left.struct_name or right.struct_name)
        case Pointed(), _:
            return left
        case _:
            return unknown(left, right)


def _rank(value: Value) -> int:
    """The place of an operand in a sum: addresses before what was loaded before numbers."""
    if isinstance(value, Context | InContext | Dynamic | Stack | InStack | Pointed | DataAddress):
        return 2
    return 1 if type(value) is Loaded else 0


def is_number(value: Value) -> bool:
    return value is None or isinstance(value, Constant | Unsure | Narrow | Shifted)


def _reason(added: Value) -> Unfollowed:
    """Why an address is not known to which this was added."""
    return Unfollowed.UNKNOWN_RELOCATION if type(added) is Unsure else Unfollowed.VARIABLE_OFFSET


def locator_of(value: Loaded, big_endian: bool) -> int | None:
    """The offset of the locator whose lower half this is; None where it cannot be one."""
    offset = value.offset - 2 if big_endian else value.offset
    return offset if value.size == 2 and offset % 4 == 0 else None


def _difference(left: Value, right: Value, big_endian: bool) -> Value:
    match left, right:
        case (Context() | Dynamic() | Stack() | DataAddress() | Loaded() | Pointed(), Constant()):
            negative = right._replace(value=-right.value & U64)
            return _sum(left, negative, big_endian)
        case (Context() | Dynamic(), _) if is_number(right) or isinstance(right, Loaded):
            return InContext(_reason(right))
        case (InContext(), _) if is_number(right):
            return left
        case (Stack() | InStack(), _) if is_number(right):
            return InStack(left.frame)
        case _:
            return unknown(left, right)


def _of_numbers(operation: int, left: Value, right: Value, bits: int, big_endian: bool) -> Value:
    """The result where at least one operand is no constant."""
    if operation == Operation.AND:
        return _masked(left, right, big_endian)
    if type(right) is Constant:
        shift = right.value & (bits - 1)
        match left, operation:
            case (Loaded() | Shifted() | Narrow(), Operation.LSH | Operation.RSH | Operation.ARSH):
                return _shifted(operation, left, shift, bits, big_endian)
            case Loaded() | Narrow(), Operation.ADD | Operation.SUB | Operation.OR | Operation.XOR if not right.value:
                return left
            case _:
                pass
    if operation == Operation.MUL and Constant(0) in (left, right):
        return Constant(0)
    return unknown_of(left, right) if isinstance(left, Unsure) or isinstance(right, Unsure) else None


def _masked(left: Value, right: Value, big_endian: bool) -> Value:
    if type(left) is Constant:
        left, right = right, left
    match left, right:
        case _, Constant(value=0):
            return constant(0, right)
        case Loaded(), Constant(value=mask) if mask + 1 in (1 << 8, 1 << 16, 1 << 32, 1 << 64):
            return lowest(left, (mask + 1).bit_length() // 8, big_endian)
        case Unsure(), _:
            return unknown_of(left, right)
        case _, Constant(value=mask) if mask <= U32:
            return NARROW
        case _:
            return NARROW if Narrow() in (left, right) else unknown(left, right)


def _shifted_back(value: Shifted, shift: int, big_endian: bool) -> Value:
    kept = lowest(value.loaded, (value.width - value.bits) // 8, big_endian)
    if shift < value.bits or shift % 8:
        return None
    return without_lowest(kept, (shift - value.bits) // 8, big_endian)


def _shifted(operation: int, value: Number, shift: int, bits: int, big_endian: bool) -> Value:
    """A shift of what was loaded from the context: by whole bytes it leaves some of them."""
    if shift == 0:
        return value
    match value:
        case Loaded() if operation == Operation.LSH:
            return Shifted(value, shift, bits) if shift % 8 == 0 else None
        case Loaded() if shift % 8 == 0 and (operation == Operation.RSH or 8 * value.size < bits):
            return without_lowest(value, shift // 8, big_endian)
        case Shifted(width=width) if operation != Operation.LSH and width == bits:
            return _shifted_back(value, shift, big_endian)
        case Narrow() if operation == Operation.RSH:
            return value
        case _:
            return None
