"""The running kernel's verifier, asked what it assumes of the pointers that a tracepoint hands to tp_btf programs.

Which of them may be NULL is in a table of kernel/bpf/btf.c, in names of arguments, and in no BTF. So programs are
loaded that follow a pointer; nothing is ever attached. Each answer rests on a program that was taken: one that follows
it untested, one that follows it behind a test for NULL, or one that multiplies it, as only a number can be.
"""

from __future__ import annotations

import errno
import os
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property

from tpgen.basics.frozen import replace
from tpgen.basics.memo import memoised
from tpgen.basics.typing import TYPE_CHECKING, NamedTuple
from tpgen.cache.kernel_identity import may_load_bpf
from tpgen.layout import SLOT_BYTES
from tpgen.model import Array, Event, Int, Nullness, Origin
from tpgen.sources import bpf_call
from tpgen.sources.bpf_call import bpf, u32, u64
from tpgen.sources.btf import Btf
from tpgen.sources.btf_encoding import BtfKind
from tpgen.sources.btf_tracepoints import BtfTracepoints
from tpgen.typequery import stripped

if TYPE_CHECKING:
    from typing import TypeAlias

#: Loads a program to attach to the type of that id in the BTF of a module, or of vmlinux; returns 0 or an errno.
Load: TypeAlias = Callable[[str | None, int, bytes], int]


class _Place(NamedTuple):
    """A value in a struct that a program may read: `size_bytes` at `offset_bytes`."""

    offset_bytes: int
    size_bytes: int


class Verifier:
    """Map events to what the verifier assumes, each asked for once. Without the privilege to ask, nothing is known."""

    def __init__(self, load: Load | None = None) -> None:
        self._load = load or _RunningKernel().load
        self._known: dict[tuple[str | None, str], Mapping[int, Nullness]] = {}

    @cached_property
    def answers(self) -> bool:
        """Whether there is an answer to get: the kernel takes a program that does nothing."""
        return _load_program(_PROG_TYPE_RAW_TRACEPOINT, _RETURN_ZERO.encoded(sys.byteorder == "big")) == 0

    def assumptions(self, tracepoints: BtfTracepoints, event: str) -> Mapping[int, Nullness]:
        """Return what is assumed of the arguments of an event, by slot.

        An argument without an entry is no pointer to a struct, or one that no program can follow.
        """
        key = (tracepoints.module, event)
        if key not in self._known:
            try:
                self._known[key] = self._asked(tracepoints, event)
            except OSError:
                self._known[key] = {}
        return self._known[key]

    def with_assumptions(self, tracepoints: BtfTracepoints, event: Event) -> Event:
        """Return the event with what is assumed of its arguments."""
        if not (assumed := self.assumptions(tracepoints, event.name)):
            return event
        args = (replace(arg, nullness=assumed.get(arg.slot, arg.nullness)) for arg in event.args or ())
        return replace(event, args=tuple(args), nullness_origin=Origin.VERIFIER)

    def _asked(self, tracepoints: BtfTracepoints, event: str) -> Mapping[int, Nullness]:
        """Ask the kernel. Raises `OSError` where it neither takes nor refuses a program."""
        places = dict(_places(tracepoints.btf, tracepoints.param_types(event)))
        big_endian, type_id = tracepoints.target.big_endian, tracepoints.event_type(event)

        def taken(program: _Program) -> bool:
            error = self._load(tracepoints.module, type_id, program.encoded(big_endian))
            if error not in (0, errno.EACCES):
                raise OSError(error, os.strerror(error))
            return error == 0

        # Nearly always all are never NULL. To load a program takes the kernel a search in its BTF.
        if places and taken(_following(places)):
            return dict.fromkeys(places, Nullness.NEVER)
        found = ((slot, _assumption(taken, slot, place, len(places) > 1)) for slot, place in places.items())
        return {slot: assumption for slot, assumption in found if assumption is not None}


def _assumption(taken: Callable[[_Program], bool], slot: int, place: _Place, one_of_many: bool) -> Nullness | None:
    if one_of_many and taken(_following({slot: place})):
        return Nullness.NEVER
    if taken(_testing(slot, place)):
        return Nullness.MAYBE
    return Nullness.ERROR if taken(_multiplying(slot)) else None


# --- what there is to follow

_DEEPEST = 8
_NUMBERS = (BtfKind.INT, BtfKind.ENUM, BtfKind.ENUM64)


def _places(btf: Btf, types: Iterable[int]) -> Iterator[tuple[int, _Place]]:
    """The slots with a pointer to a struct, each with a value in it."""
    for slot, type_id in enumerate(types):
        pointer = btf.strip(type_id)
        if btf.kind(pointer) == BtfKind.PTR and (place := _value(btf, btf.target_id(pointer))) is not None:
            yield slot, place


@memoised
def _value(btf: Btf, type_id: int) -> _Place | None:
    """A value of a struct, by which a pointer to it is followed: a number, if there is one.

    Of a pointer that is read, the verifier looks for three types of other names in all of BTF: five times the work.
    """
    return _first_value(btf, type_id, numbers=True) or _first_value(btf, type_id, numbers=False)


def _first_value(btf: Btf, type_id: int, numbers: bool, depth: int = 0) -> _Place | None:
    """The first value in a struct or union that BTF has and that is no bit-field; with `numbers` no pointer either.

    The verifier lets programs read a pointer as a whole, and any byte of a number.
    """
    type_id = btf.strip(type_id)
    if (kind := btf.kind(type_id)) not in (BtfKind.STRUCT, BtfKind.UNION) or depth > _DEEPEST:
        return None
    for member in btf.members(type_id):
        offset, bits = divmod(member.offset_bits, 8)
        if bits or member.bit_size:
            continue
        if (inner := _member_value(btf, btf.strip(member.type_id), numbers, depth)) is not None:
            return inner._replace(offset_bytes=offset + inner.offset_bytes)
        if numbers and kind == BtfKind.UNION:  # the verifier takes a byte for that of the first member that has it
            return None
    return None


def _member_value(btf: Btf, type_id: int, numbers: bool, depth: int) -> _Place | None:
    kind = btf.kind(type_id)
    if kind == BtfKind.PTR:
        return None if numbers else _Place(0, btf.target.pointer_size)
    if kind in _NUMBERS or (kind == BtfKind.ARRAY and _of_numbers(btf, type_id)):
        return _Place(0, 1)
    return _first_value(btf, type_id, numbers, depth + 1)


def _of_numbers(btf: Btf, type_id: int) -> bool:
    array = btf.ctype(type_id)
    return isinstance(array, Array) and bool(array.length) and isinstance(stripped(array.element), Int)


# --- programs

_R0, _R1, _R6 = 0, 1, 6
_LOAD = {1: 0x71, 4: 0x61, 8: 0x79}
_MOV_REGISTER, _MOV, _MULTIPLY, _JUMP_IF_EQUAL, _EXIT = 0xBF, 0xB7, 0x27, 0x15, 0x95


class _Instruction(NamedTuple):
    """A struct bpf_insn."""

    code: int
    to: int = 0
    of: int = 0
    offset: int = 0
    immediate: int = 0

    def encoded(self, big_endian: bool) -> bytes:
        registers = self.to << 4 | self.of if big_endian else self.of << 4 | self.to
        rest = struct.pack(">hi" if big_endian else "<hi", self.offset, self.immediate)
        return bytes((self.code, registers)) + rest


class _Program(tuple[_Instruction, ...]):
    """Instructions in order."""

    __slots__ = ()

    def encoded(self, big_endian: bool) -> bytes:
        """The program as a kernel of that byte order takes it."""
        return b"".join(instruction.encoded(big_endian) for instruction in self)


_RETURN_ZERO = _Program((_Instruction(_MOV, _R0), _Instruction(_EXIT)))


def _argument(slot: int, context: int = _R1) -> _Instruction:
    return _Instruction(_LOAD[SLOT_BYTES], _R1, context, slot * SLOT_BYTES)


def _follow(place: _Place) -> _Instruction:
    return _Instruction(_LOAD[place.size_bytes], _R0, _R1, place.offset_bytes)


def _following(places: Mapping[int, _Place]) -> _Program:
    """A program that follows the pointers in these slots."""
    follow = [step for slot, place in places.items() for step in (_argument(slot, _R6), _follow(place))]
    return _Program((_Instruction(_MOV_REGISTER, _R6, _R1), *follow, *_RETURN_ZERO))


def _testing(slot: int, place: _Place) -> _Program:
    """A program that follows a pointer unless it is NULL."""
    return _Program((_argument(slot), _Instruction(_JUMP_IF_EQUAL, _R1, offset=1), _follow(place), *_RETURN_ZERO))


def _multiplying(slot: int) -> _Program:
    """A program that takes an argument for a number."""
    return _Program((_argument(slot), _Instruction(_MULTIPLY, _R1, immediate=2), *_RETURN_ZERO))


# --- the running kernel

_PROG_TYPE_RAW_TRACEPOINT, _PROG_TYPE_TRACING = 17, 26
_TRACE_RAW_TP = 23
_NAME_BYTES = 64


class _RunningKernel:
    """Loads programs; asks for no more once it was told that it may not."""

    def __init__(self) -> None:
        self._refused = 0 if may_load_bpf() else errno.EPERM

    @cached_property
    def _btf_ids(self) -> Mapping[str, int]:
        """The ids of the BTF of all images that the kernel has, by their names."""
        return dict(_btf_ids())

    def load(self, module: str | None, type_id: int, instructions: bytes) -> int:
        """Load a tp_btf program. Of vmlinux the kernel wants no descriptor, and takes none before Linux 5.11."""
        if not self._refused:
            error = self._load(module, type_id, instructions)
            self._refused = errno.EPERM if error == errno.EPERM else 0
            return error
        return self._refused

    def _load(self, module: str | None, type_id: int, instructions: bytes) -> int:
        if module is None:
            return _load_program(_PROG_TYPE_TRACING, instructions, type_id)
        btf = bpf(bpf_call.BTF_GET_FD_BY_ID, u32(self._btf_ids.get(module, 0)).ljust(16, b"\0"))
        if isinstance(btf, OSError):
            return btf.errno or errno.EIO
        try:
            return _load_program(_PROG_TYPE_TRACING, instructions, type_id, btf)
        finally:
            os.close(btf)


def _btf_ids() -> Iterator[tuple[str, int]]:
    """The name and the id of each BTF that is the kernel's own, as far as the kernel tells."""
    import ctypes

    btf_id = 0
    while True:
        following = bytearray(u32(btf_id).ljust(16, b"\0"))
        if isinstance(bpf(bpf_call.BTF_GET_NEXT_ID, following), OSError):
            return
        btf_id = int.from_bytes(following[4:8], sys.byteorder)
        btf = bpf(bpf_call.BTF_GET_FD_BY_ID, u32(btf_id).ljust(16, b"\0"))
        if isinstance(btf, OSError):  # gone meanwhile
            continue
        name = ctypes.create_string_buffer(_NAME_BYTES)
        # struct bpf_btf_info: btf, btf_size, id, name, name_len, kernel_btf.
        about = bytes(16) + u64(ctypes.addressof(name)) + u32(_NAME_BYTES) + u32(0)
        info = ctypes.create_string_buffer(about, len(about))
        asked = u32(btf) + u32(len(about)) + u64(ctypes.addressof(info))
        told = bpf(bpf_call.OBJ_GET_INFO_BY_FD, asked)
        os.close(btf)
        if not isinstance(told, OSError) and int.from_bytes(info.raw[28:32], sys.byteorder):
            yield name.value.decode("ascii", "replace"), btf_id


def _load_program(program_type: int, instructions: bytes, type_id: int = 0, btf: int = 0) -> int:
    """Load a program, which goes at once; return 0 or the errno."""
    import ctypes

    code = ctypes.create_string_buffer(instructions, len(instructions))
    licence = ctypes.create_string_buffer(b"GPL")
    # union bpf_attr for BPF_PROG_LOAD: prog_type, insn_cnt, insns, license; at 68 expected_attach_type, at 108
    # attach_btf_id and attach_btf_obj_fd.
    attributes = u32(program_type) + u32(len(instructions) // 8)
    attributes += u64(ctypes.addressof(code)) + u64(ctypes.addressof(licence))
    if type_id:
        attributes = attributes.ljust(68, b"\0") + u32(_TRACE_RAW_TP)
        attributes = attributes.ljust(108, b"\0") + u32(type_id) + u32(btf)
    program = bpf(bpf_call.PROG_LOAD, attributes.ljust(120, b"\0"))
    if isinstance(program, OSError):
        return program.errno or errno.EIO
    os.close(program)
    return 0
