"""BPF programs as the kernel takes them: an object's sections without the object around them."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

from tpgen.sources.elf import ElfFile

_BPF_PSEUDO_MAP_FD = 1
_LDX_DW, _MOV64, _EXIT = 0x79, 0xB7, 0x95


def flat_programs(obj: Path, sections: Iterable[str]) -> dict[str, bytes]:
    """The instructions of these sections, each of which is one program.

    Where a relocation wants an address, the instruction asks for a map: nothing else that a program here refers to is
    outside of it.
    """
    elf = ElfFile(obj.read_bytes(), str(obj))
    names = tuple(sections)
    found = elf.contents_of(*names, *(f".rel{name}" for name in names))
    return {name: _with_maps(found[name], found.get(f".rel{name}", b""), elf.big_endian) for name in names}


def _with_maps(insns: bytes, relocations: bytes, big_endian: bool) -> bytes:
    patched = bytearray(insns)
    for offset, _ in struct.iter_unpack(">QQ" if big_endian else "<QQ", relocations):
        # Behind the opcode: dst_reg and src_reg, four bits each, in the byte order's order.
        patched[offset + 1] |= _BPF_PSEUDO_MAP_FD << (0 if big_endian else 4)
    return bytes(patched)


def reads_slot(slot: int | None, big_endian: bool) -> bytes:
    """A program that reads one u64 of its context, or none."""
    order = ">BBhi" if big_endian else "<BBhi"
    r0_from_r1 = 0x01 if big_endian else 0x10
    load = struct.pack(order, _LDX_DW, r0_from_r1, 8 * slot, 0) if slot is not None else b""
    return load + struct.pack(order, _MOV64, 0, 0, 0) + struct.pack(order, _EXIT, 0, 0, 0)
