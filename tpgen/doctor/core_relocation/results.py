"""Numbers that a relocation stands for, and what becomes of the instruction that has it.

Source: bpf_core_calc_field_relo() and its like, and bpf_core_patch_insn() of libbpf's relo_core.c.
"""

from __future__ import annotations

from typing import NamedTuple

from tpgen.doctor.core_relocation.specs import ENUMS, Part, Refusal, Spec, size_in_bytes
from tpgen.doctor.relocated import Resolved
from tpgen.sources.bpf_object.btf_types import array_type, encoding, enumerators, is_flag_set, member
from tpgen.sources.bpf_object.facts import CoreKind
from tpgen.sources.bpf_object.instructions import Instruction, InstructionClass
from tpgen.sources.btf import Btf
from tpgen.sources.btf_encoding import BtfKind

_EXISTENCE = frozenset((CoreKind.FIELD_EXISTS, CoreKind.TYPE_EXISTS, CoreKind.ENUMVAL_EXISTS, CoreKind.TYPE_MATCHES))
#: The kinds that have no value without a type: the loader poisons the instruction.
NEEDED = frozenset(
    (
        CoreKind.FIELD_BYTE_OFFSET,
        CoreKind.FIELD_BYTE_SIZE,
        CoreKind.FIELD_SIGNED,
        CoreKind.FIELD_LSHIFT_U64,
        CoreKind.FIELD_RSHIFT_U64,
        CoreKind.ENUMVAL_VALUE,
    )
)
_WIDEST = 8
_MOST_OFFSET = 0x7FFF
_U64, _U32 = 0xFFFFFFFFFFFFFFFF, 0xFFFFFFFF
_SOURCE_IS_REGISTER = 8
# The bits of an opcode that tell how many bytes are loaded.
_SIZES = {0x18: 8, 0x00: 4, 0x08: 2, 0x10: 1}
_SIZE_BITS = 0x18


class Number(NamedTuple):
    """The value of a relocation, as 64 bits without sign, for one type.

    `size` is in bytes, of the integer, pointer or other element that lies there, for an offset; `atom` is its kind: of
    unsigned integers and pointers the loader adapts the size of a load. `checked` is false where the compiler's value
    need not be libbpf's.
    """

    value: int
    size: int = 0
    atom: str = ""
    checked: bool = True


class _Extent(NamedTuple):
    """Bytes that hold a member or element, `bits` of which are its own, from `first_bit` on."""

    offset: int
    size: int
    first_bit: int
    bits: int


def number_of(kind: CoreKind, btf: Btf, spec: Spec, pointer_bytes: int) -> Number:
    """The value of a relocation for a type that has what it asks for. Raises `Refusal`."""
    if kind in _EXISTENCE:
        return Number(1)
    match kind:
        case CoreKind.TYPE_SIZE:
            return Number(size_in_bytes(btf, spec.root, pointer_bytes))
        case CoreKind.TYPE_ID_TARGET | CoreKind.TYPE_ID_LOCAL:
            return Number(spec.root, checked=False)
        case CoreKind.ENUMVAL_VALUE:
            return Number(_enumerator_value(btf, spec.parts[0]))
    last = spec.parts[-1]
    if last.name is None:
        return _element(kind, btf, spec, last, pointer_bytes)
    return _member(kind, btf, spec, last, pointer_bytes)


def _enumerator_value(btf: Btf, part: Part) -> int:
    value = next(each.value for at, each in enumerate(enumerators(btf, part.type_id)) if at == part.at)
    # libbpf takes all values of 32 bits for signed ones.
    return _signed(value, 32) & _U64 if btf.kind(part.type_id) == BtfKind.ENUM else value & _U64


def _element(kind: CoreKind, btf: Btf, spec: Spec, last: Part, pointer_bytes: int) -> Number:
    match kind:
        case CoreKind.FIELD_BYTE_OFFSET:
            atom_size = size_in_bytes(btf, _atom(btf, last.type_id), pointer_bytes)
            return Number(spec.bit_offset // 8, atom_size, _atom_word(btf, last.type_id))
        case CoreKind.FIELD_BYTE_SIZE:
            return Number(size_in_bytes(btf, last.type_id, pointer_bytes))
        case _:
            raise Refusal("EINVAL", f"relocation {kind.name.lower()} of an element of an array")


def _member(kind: CoreKind, btf: Btf, spec: Spec, last: Part, pointer_bytes: int) -> Number:
    found = member(btf, last.type_id, last.at)
    field = btf.strip(found.type_id)
    extent = _extent(btf, field, spec.bit_offset, found.bit_size, pointer_bytes)
    checked = not found.bit_size
    match kind:
        case CoreKind.FIELD_BYTE_OFFSET if found.bit_size:
            return Number(extent.offset, checked=False)
        case CoreKind.FIELD_BYTE_OFFSET:
            return Number(extent.offset, size_in_bytes(btf, _atom(btf, field), pointer_bytes), _atom_word(btf, field))
        case CoreKind.FIELD_BYTE_SIZE:
            return Number(extent.size, checked=checked)
        case CoreKind.FIELD_SIGNED:
            return Number(int(_is_signed(btf, field)))
        case CoreKind.FIELD_LSHIFT_U64:
            if btf.big_endian:
                return Number(8 * (_WIDEST - extent.size) + extent.first_bit & _U32, checked=checked)
            return Number(64 - extent.bits - extent.first_bit & _U32, checked=checked)
        case _:
            return Number(64 - extent.bits & _U32)


def _extent(btf: Btf, field: int, bit_offset: int, bit_size: int, pointer_bytes: int) -> _Extent:
    if not bit_size:
        size = size_in_bytes(btf, field, pointer_bytes)
        return _Extent(bit_offset // 8, size, 0, 8 * size)
    size = btf.words(field)[2] if field else 0
    if not size:
        raise Refusal("EINVAL", f"bit-field of type {field}, which has no size")
    offset = bit_offset // 8 // size * size
    while bit_offset + bit_size - 8 * offset > 8 * size:
        if size >= _WIDEST:
            raise Refusal("E2BIG", "bit-field that no load of 64 bits has in it")
        size *= 2
        offset = bit_offset // 8 // size * size
    return _Extent(offset, size, bit_offset - 8 * offset, bit_size)


def _atom(btf: Btf, type_id: int) -> int:
    """The type of the innermost elements of arrays."""
    type_id, left = btf.strip(type_id), 64
    while btf.kind(type_id) == BtfKind.ARRAY and left:
        type_id, left = btf.strip(array_type(btf, type_id).element), left - 1
    return type_id


def _atom_word(btf: Btf, type_id: int) -> str:
    """ "pointer", "unsigned", or "" for all else. libbpf asks the member's type, whose elements it does not look at."""
    type_id = btf.strip(type_id)
    if btf.kind(type_id) == BtfKind.PTR:
        return "pointer"
    is_unsigned = btf.kind(type_id) == BtfKind.INT and not _is_plainly_signed(btf, type_id)
    return "unsigned" if is_unsigned else ""


def _is_plainly_signed(btf: Btf, type_id: int) -> bool:
    found = encoding(btf, type_id)
    return found.signed and not found.char and not found.boolean


def _is_signed(btf: Btf, type_id: int) -> bool:
    kind = btf.kind(type_id)
    return is_flag_set(btf, type_id) if kind in ENUMS else kind == BtfKind.INT and encoding(btf, type_id).signed


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value


def patched(instruction: Instruction, ours: Number, theirs: Number) -> Resolved | None:
    """The instruction with the kernel's value instead of the program's; None where the loader poisons it.

    Raises `Refusal` where it is not what the relocation says.
    """
    match instruction.kind:
        case InstructionClass.ALU | InstructionClass.ALU64:
            if instruction.opcode & _SOURCE_IS_REGISTER:
                raise Refusal("EINVAL", "relocation of an instruction without a constant")
            _check(ours, instruction.immediate & _U64)
            return Resolved(_signed(theirs.value, 32))
        case InstructionClass.LDX | InstructionClass.ST | InstructionClass.STX:
            return _patched_access(instruction, ours, theirs)
        case InstructionClass.LD if instruction.is_wide and not instruction.source and not instruction.offset:
            _check(ours, instruction.immediate & _U64)
            return Resolved(theirs.value)
        case _:
            raise Refusal("EINVAL", "relocation of an instruction that takes none")


def _check(ours: Number, value: int) -> None:
    if ours.checked and value != ours.value:
        raise Refusal("EINVAL", f"an instruction with {value} where its types have {ours.value}")


def _patched_access(instruction: Instruction, ours: Number, theirs: Number) -> Resolved | None:
    _check(ours, instruction.offset & _U64)
    if theirs.value > _MOST_OFFSET:
        raise Refusal("ERANGE", f"an offset of {theirs.value}, which no load takes")
    if ours.size == theirs.size:
        return Resolved(theirs.value)
    if not ours.atom or ours.atom != theirs.atom:
        return None
    if _SIZES[instruction.opcode & _SIZE_BITS] != ours.size or theirs.size not in _SIZES.values():
        raise Refusal("EINVAL", f"a load of {ours.size} bytes that would have to be one of {theirs.size}")
    return Resolved(theirs.value, theirs.size)
