"""Loads assembled programs into the running kernel, for its verifier's log; nothing is attached."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from typing import NamedTuple

from support.bpf_text import Assembled
from tpgen.sources.bpf_call import PROG_LOAD, bpf, u32, u64
from tpgen.sources.bpf_object.facts import Place, Reference, ReferenceKind
from tpgen.sources.bpf_object.instructions import Instruction

_MAP_CREATE, _MAP_UPDATE_ELEM, _MAP_FREEZE = 0, 2, 22
_ARRAY, _PROG_ARRAY, _STACK_TRACE = 2, 3, 7
_RDONLY_PROG = 1 << 7
_RAW_TRACEPOINT = 17
_PSEUDO_CALL, _PSEUDO_MAP_FD, _PSEUDO_MAP_VALUE = 1, 1, 2
_LOG_BYTES = 16 << 20


class Verified(NamedTuple):
    """The verifier's answer: `error` is an errno, 0 where it took the program."""

    error: int
    log: str


def verified(made: Assembled) -> Verified:
    """The verifier's answer to a raw_tp program whose references are to functions and to `.rodata`."""
    rodata = _frozen_map(made.obj.data.get(".rodata", b""))
    try:
        return _load(_linked(made, rodata))
    finally:
        if rodata is not None:
            os.close(rodata)


def _frozen_map(content: bytes) -> int | None:
    """A map that is to programs what libbpf makes of `.rodata`; None without content."""
    if not content:
        return None
    fd = _called(_MAP_CREATE, struct.pack("=IIIII", _ARRAY, 4, len(content), 1, _RDONLY_PROG))
    key, value = ctypes.create_string_buffer(bytes(4)), ctypes.create_string_buffer(content, len(content))
    _called(_MAP_UPDATE_ELEM, struct.pack("=IxxxxQQQ", fd, ctypes.addressof(key), ctypes.addressof(value), 0))
    _called(_MAP_FREEZE, u32(fd))
    return fd


def _called(command: int, attributes: bytes) -> int:
    result = bpf(command, attributes)
    if isinstance(result, OSError):
        raise result
    return result


def _linked(made: Assembled, rodata: int | None) -> bytes:
    """The code of all functions, the program's first, with what they refer to."""
    begins, at = {}, 0
    for section, code in made.obj.code.items():
        begins[section] = at
        at += len(code)
    encoded = bytearray()
    for section, code in made.obj.code.items():
        for number, instruction in enumerate(code):
            if instruction is not None:
                reference = made.obj.references.get(Place(section, number))
                here = begins[section] + number
                encoded += b"".join(_encoded(_resolved(instruction, reference, here, begins, rodata)))
    return bytes(encoded)


def _resolved(
    instruction: Instruction, reference: Reference | None, here: int, begins: dict[str, int], rodata: int | None
) -> Instruction:
    match reference:
        case None:
            return instruction
        case Reference(kind=ReferenceKind.FUNCTION, target=Place() as target):
            delta = begins[target.section] + target.at - here - 1
            return instruction._replace(source=_PSEUDO_CALL, immediate=delta)
        case Reference(kind=ReferenceKind.DATA, offset=offset) if rodata is not None:
            return instruction._replace(source=_PSEUDO_MAP_VALUE, immediate=rodata | offset << 32)
        case _:
            raise AssertionError(f"a reference of kind {reference.kind}")


def _encoded(instruction: Instruction) -> Iterable[bytes]:
    opcode, destination, source, offset, immediate = instruction
    registers = source << 4 | destination if sys.byteorder == "little" else destination << 4 | source
    low = immediate & 0xFFFFFFFF
    yield struct.pack("=BBhI", opcode, registers, offset, low)
    if instruction.is_wide:
        yield struct.pack("=BBhI", 0, 0, 0, immediate >> 32 & 0xFFFFFFFF)


def _load(code: bytes) -> Verified:
    text, licence = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"GPL")
    log = ctypes.create_string_buffer(_LOG_BYTES)
    attributes = (
        u32(_RAW_TRACEPOINT)
        + u32(len(code) // 8)
        + b"".join(u64(ctypes.addressof(part)) for part in (text, licence))
        + u32(2)
        + u32(_LOG_BYTES)
        + u64(ctypes.addressof(log))
    )
    result = bpf(PROG_LOAD, attributes)
    if isinstance(result, OSError):
        return Verified(result.errno or -1, log.value.decode(errors="replace"))
    os.close(result)
    return Verified(0, log.value.decode(errors="replace"))
