"""Instructions of BPF, decoded. Source: Documentation/bpf/standardization/instruction-set.rst."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

from tpgen.diagnostics import fail

#: Bytes of an instruction; a wide one (64-bit immediate) takes two places.
INSTRUCTION_BYTES = 8

_WIDE = 0x18
# The last register is the frame pointer.
_LAST_REGISTER = 10


class InstructionClass(IntEnum):
    """The lowest three bits of an opcode."""

    LD = 0
    LDX = 1
    ST = 2
    STX = 3
    ALU = 4
    JMP = 5
    JMP32 = 6
    ALU64 = 7


class Instruction(NamedTuple):
    """An instruction. `immediate` is signed; of a wide one the 64 bits of both halves, unsigned."""

    opcode: int
    destination: int
    source: int
    offset: int
    immediate: int

    @property
    def kind(self) -> InstructionClass:
        return InstructionClass(self.opcode & 7)

    @property
    def is_wide(self) -> bool:
        return self.opcode == _WIDE


def decode(section: bytes, big_endian: bool, path: str) -> tuple[Instruction | None, ...]:
    """The instructions by place; None is the second place of a wide one.

    Raises `TpgenError` `object-corrupt` where the bytes end inside an instruction, or one has a register too many.
    """
    order = ">" if big_endian else "<"
    if len(section) % INSTRUCTION_BYTES:
        raise fail("object-corrupt", "a section ends inside an instruction", path)
    found: list[Instruction | None] = []
    words = struct.iter_unpack(order + "BBhi", section)
    for opcode, registers, offset, immediate in words:
        high, low = registers >> 4, registers & 15
        destination, source = (high, low) if big_endian else (low, high)
        if high > _LAST_REGISTER or low > _LAST_REGISTER:
            raise fail(
                "object-corrupt", f"instruction {len(found)} of a section uses a register that BPF does not have", path
            )
        if opcode != _WIDE:
            found.append(Instruction(opcode, destination, source, offset, immediate))
            continue
        second = next(words, None)
        if second is None:
            raise fail("object-corrupt", "a section ends inside a wide instruction", path)
        whole = immediate & 0xFFFFFFFF | (second[3] & 0xFFFFFFFF) << 32
        found += (Instruction(opcode, destination, source, offset, whole), None)
    return tuple(found)
