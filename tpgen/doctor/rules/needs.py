"""Needs of an object's functions on any kernel: newer instructions, helpers, maps.

Of a program the kernel loads all functions that it may call; some things are refused in code too that never runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from tpgen.basics.memo import memoised
from tpgen.doctor.verifier import CALLBACKS, FETCHING_ATOMICS, INSTRUCTIONS_V4, LOAD_ACQUIRE, MAY_GOTO, Turn
from tpgen.sources.bpf_object.facts import BpfObject, Function, Place, Program, ReferenceKind
from tpgen.sources.bpf_object.instructions import Instruction, InstructionClass

# --- instructions


class Sort(NamedTuple):
    """A sort of instructions that not all kernels have. With `in_dead_code` one that never runs is refused too."""

    name: str
    turn: Turn
    belongs: Callable[[Instruction], bool]
    in_dead_code: bool


_MODE, _MEMORY_SX, _ATOMIC = 0xE0, 0x80, 0xC0
_OPERATION, _DIVIDE, _MODULO, _MOVE, _SWAP, _JUMP, _MAYBE = 0xF0, 0x30, 0x90, 0xB0, 0xD0, 0x00, 0xE0
#: A call of a helper, of a function or of one of the kernel's.
CALL = 0x85
_ACQUIRE, _RELEASE = 0x100, 0x110


def _is_atomic(code: Instruction) -> bool:
    return code.kind == InstructionClass.STX and code.opcode & _MODE == _ATOMIC


def _is_ordered(code: Instruction) -> bool:
    return _is_atomic(code) and code.immediate in (_ACQUIRE, _RELEASE)


def _is_signed_load(code: Instruction) -> bool:
    return code.kind == InstructionClass.LDX and code.opcode & _MODE == _MEMORY_SX


def _is_swap_or_long_jump(code: Instruction) -> bool:
    operation = code.opcode & _OPERATION
    swaps = code.kind == InstructionClass.ALU64 and operation == _SWAP
    return swaps or (code.kind == InstructionClass.JMP32 and operation == _JUMP)


def _is_signed_arithmetic(code: Instruction) -> bool:
    if code.kind not in (InstructionClass.ALU, InstructionClass.ALU64):
        return False
    operation = code.opcode & _OPERATION
    divides = operation in (_DIVIDE, _MODULO) and code.offset == 1
    return divides or (operation == _MOVE and code.offset in (8, 16, 32))


def _is_may_goto(code: Instruction) -> bool:
    return code.kind == InstructionClass.JMP and code.opcode & _OPERATION == _MAYBE


SORTS = (
    Sort("atomic operations that return a value, or other than an addition",
          FETCHING_ATOMICS, lambda code: _is_atomic(code) and bool(code.immediate), True),
    Sort("loads that extend a sign", INSTRUCTIONS_V4, _is_signed_load, True),
    Sort("byte swaps or long jumps of -mcpu=v4", INSTRUCTIONS_V4, _is_swap_or_long_jump, True),
    Sort("signed divisions or moves of -mcpu=v4", INSTRUCTIONS_V4, _is_signed_arithmetic, False),
    Sort("may_goto", MAY_GOTO, _is_may_goto, True),
    Sort("loads that acquire or stores that release", LOAD_ACQUIRE, _is_ordered, False),
)  # fmt: skip


#: Addresses of functions: they are references, whatever the instruction says.
CALLBACK = Sort("callbacks", CALLBACKS, lambda code: code.is_wide, True)


# --- functions


class FunctionNeeds(NamedTuple):
    """Needs of one function: places by sort of instruction, numbers of helpers by place, names of maps, functions."""

    sorts: dict[Sort, list[Place]]
    helpers: dict[Place, int]
    maps: frozenset[str]
    callees: tuple[Function, ...]


class Needs:
    """The needs of the functions of an object."""

    def __init__(self, obj: BpfObject) -> None:
        self._obj = obj
        self._starts = {function.place: function for function in obj.functions}

    @memoised
    def of(self, program: Program) -> tuple[FunctionNeeds, ...]:
        """The needs of the program and of all functions that it may call."""
        waiting, seen = [program.function], {program.function}
        found = []
        while waiting:
            needs = self._own(waiting.pop())
            found.append(needs)
            fresh = [function for function in needs.callees if function not in seen]
            seen.update(fresh)
            waiting += fresh
        return tuple(found)

    @memoised
    def _own(self, function: Function) -> FunctionNeeds:
        sorts: dict[Sort, list[Place]] = {}
        helpers: dict[Place, int] = {}
        maps, callees = set(), []
        for place, instruction in self._instructions(function):
            reference = self._obj.references.get(place)
            for sort in _BY_OPCODE[instruction.opcode]:
                if sort.belongs(instruction):
                    sorts.setdefault(sort, []).append(place)
            if reference is None:
                if instruction.opcode == CALL and not instruction.source:
                    helpers[place] = instruction.immediate
            elif reference.kind == ReferenceKind.MAP:
                maps.add(reference.name)
            elif reference.kind == ReferenceKind.FUNCTION and reference.target in self._starts:
                callees.append(self._starts[reference.target])
                if instruction.is_wide:
                    sorts.setdefault(CALLBACK, []).append(place)
        return FunctionNeeds(sorts, helpers, frozenset(maps), tuple(dict.fromkeys(callees)))

    def _instructions(self, function: Function) -> Iterator[tuple[Place, Instruction]]:
        start = function.place
        code = self._obj.code.get(start.section, ())
        for at, instruction in enumerate(code[start.at : start.at + function.length], start.at):
            if instruction is not None:
                yield Place(start.section, at), instruction


def _may_be(sort: Sort, opcode: int) -> bool:
    """Whether some instruction of that opcode belongs to a sort."""
    numbers = ((0, 1), (1, 0), (8, _ACQUIRE))
    return any(sort.belongs(Instruction(opcode, 0, 0, offset, immediate)) for offset, immediate in numbers)


_BY_OPCODE = tuple(tuple(sort for sort in SORTS if _may_be(sort, opcode)) for opcode in range(256))
