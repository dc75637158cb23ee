"""Functions of an object, prepared once for all programs and kernels: where paths meet, which registers matter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from tpgen.basics.memo import memoised
from tpgen.doctor.flow.helpers import MOST_ARGUMENTS, arguments
from tpgen.doctor.flow.prototypes import Prototype, global_function, kernel_function
from tpgen.sources.bpf_object.facts import BpfObject, Function, Place
from tpgen.sources.bpf_object.instructions import Instruction, InstructionClass

EXIT, CALL, JUMP, CONDITIONAL_GOTO = 0x90, 0x80, 0x00, 0xE0
ATOMIC, ABSOLUTE, INDIRECT = 0xC0, 0x20, 0x40
BY_REGISTER = 0x08
FETCH, EXCHANGE, COMPARE_EXCHANGE, LOAD_ACQUIRE, STORE_RELEASE = 0x01, 0xE1, 0xF1, 0x100, 0x110
_NEG, _MOV, _END = 0x80, 0xB0, 0xD0
_CALLER_SAVED = 0x3F
_ALL = 0x3FF
_LAST_REGISTER = 10


class FunctionCode(NamedTuple):
    """The instructions [start, end) of a section.

    `dead` has the registers without a use by the places where paths meet, and the one where they begin.
    """

    start: int
    end: int
    dead: dict[int, tuple[int, ...]]


class _Block(NamedTuple):
    """A run of instructions: registers that it uses before it sets them, those that it sets, and what follows it."""

    uses: int
    sets: int
    next: tuple[int, ...]


def function_code(code: Sequence[Instruction | None], start: int, end: int) -> FunctionCode:
    """The function at [start, end) of a section."""
    end = _sound_end(code, start, end)
    goals = {start}
    heads = {start}
    for at in range(start, end):
        instruction = code[at]
        if instruction is not None and _ends_block(instruction):
            jumps = [goal for goal in _jumps(instruction, at) if start <= goal < end]
            goals.update(jumps)
            heads.update(jumps)
            heads.add(at + 1)
    blocks = dict(_blocks(code, sorted(heads | {end}), end))
    live = _live(blocks)
    return FunctionCode(start, end, {at: _registers(~live[at]) for at in goals if at in live})


def _sound_end(code: Sequence[Instruction | None], start: int, end: int) -> int:
    """The end of the function, or where it has what is no instruction: a register that does not exist."""
    for at in range(start, end):
        instruction = code[at]
        if instruction is not None and max(instruction.destination, instruction.source) > _LAST_REGISTER:
            return at
    return end


def _ends_block(instruction: Instruction) -> bool:
    return instruction.opcode & 7 in (5, 6) and instruction.opcode & 0xF0 != CALL


def goal_of(instruction: Instruction, at: int) -> int:
    """Where a jump leads; those without a condition have 32 bits in the class JMP32."""
    is_long = instruction.opcode == JUMP | InstructionClass.JMP32
    return at + 1 + (instruction.immediate if is_long else instruction.offset)


def _jumps(instruction: Instruction, at: int) -> tuple[int, ...]:
    if instruction.opcode & 0xF0 == EXIT or instruction.opcode & (0xF0 | BY_REGISTER) == JUMP | BY_REGISTER:
        return ()
    return (goal_of(instruction, at),)


def _blocks(code: Sequence[Instruction | None], heads: list[int], end: int) -> Iterator[tuple[int, _Block]]:
    for head, following in pairwise(heads):
        if head >= end:
            break
        uses = sets = 0
        for at in range(head, min(following, end)):
            instruction = code[at]
            if instruction is not None:
                used, changed = _effects(instruction)
                uses |= used & ~sets
                sets |= changed
        yield head, _Block(uses, sets, _next(code, following, end))


def _next(code: Sequence[Instruction | None], following: int, end: int) -> tuple[int, ...]:
    """Where the block goes on whose last instruction stands before `following`."""
    last = code[following - 1]
    if last is None or not _ends_block(last):
        return (following,) if following < end else ()
    falls = (following,) if last.opcode & 0xF0 not in (EXIT, JUMP) else ()
    return tuple(goal for goal in (*_jumps(last, following - 1), *falls) if goal < end)


def _live(blocks: dict[int, _Block]) -> dict[int, int]:
    """The registers that are live where each block begins, as bits."""
    before: dict[int, list[int]] = {}
    for head, block in blocks.items():
        for goal in block.next:
            before.setdefault(goal, []).append(head)
    live = dict.fromkeys(blocks, 0)
    work = sorted(blocks)
    waiting = set(work)
    while work:
        head = work.pop()
        waiting.discard(head)
        block = blocks[head]
        behind = 0
        for goal in block.next:
            behind |= live.get(goal, _ALL)
        found = block.uses | behind & ~block.sets
        if found != live[head]:
            live[head] = found
            new = [other for other in before.get(head, ()) if other not in waiting]
            work += new
            waiting.update(new)
    return live


def _registers(bits: int) -> tuple[int, ...]:
    return tuple(register for register in range(10) if bits >> register & 1)


def _effects(instruction: Instruction) -> tuple[int, int]:
    """The registers that an instruction uses and those that it sets, as bits."""
    opcode = instruction.opcode
    destination, source = 1 << (instruction.destination & 15), 1 << (instruction.source & 15)
    match opcode & 7:
        case InstructionClass.LD:
            if instruction.is_wide:
                return 0, destination
            return 1 << 6 | (source if opcode & 0xE0 == INDIRECT else 0), _CALLER_SAVED
        case InstructionClass.LDX:
            return source, destination
        case InstructionClass.ST:
            return destination, 0
        case InstructionClass.STX:
            return _effects_of_store(instruction, destination, source)
        case InstructionClass.ALU | InstructionClass.ALU64:
            operation = opcode & 0xF0
            if operation in (_NEG, _END):
                return destination, destination
            used = source if opcode & BY_REGISTER else 0
            return used | (0 if operation == _MOV else destination), destination
        case _:
            return _effects_of_jump(instruction, destination, source)


def _effects_of_store(instruction: Instruction, destination: int, source: int) -> tuple[int, int]:
    if instruction.opcode & 0xE0 != ATOMIC:
        return destination | source, 0
    match instruction.immediate:
        case n if n == LOAD_ACQUIRE:
            return source, destination
        case n if n == COMPARE_EXCHANGE:
            return destination | source | 1, 1
        case _:
            return destination | source, 0


def _effects_of_jump(instruction: Instruction, destination: int, source: int) -> tuple[int, int]:
    opcode = instruction.opcode
    match opcode & 0xF0:
        case n if n == EXIT:
            return 1, 0
        case n if n == CALL:
            # Of a call of a function, of this object or of the kernel, the arguments are not looked at here.
            count = arguments(instruction.immediate) if instruction.source == 0 else MOST_ARGUMENTS
            by_register = destination if opcode & BY_REGISTER else 0
            return ((2 << count) - 2) | by_register, _CALLER_SAVED
        case n if n == JUMP:
            return (destination if opcode & BY_REGISTER else 0), 0
        case n if n == CONDITIONAL_GOTO:
            return 0, 0
        case _:
            return destination | (source if opcode & BY_REGISTER else 0), 0


class ProgramCode:
    """Functions of `obj` by the places where they begin."""

    def __init__(self, obj: BpfObject) -> None:
        self.obj = obj
        self.functions: dict[Place, Function] = {function.place: function for function in obj.functions}
        self.value_sizes: dict[str, int | None] = {found.name: found.value_size for found in obj.maps}

    def length(self, place: Place) -> int:
        """The number of instructions of the function that begins at a place.

        Where none is known to, that of all that follows in its section.
        """
        rest = len(self.obj.code.get(place.section, ())) - place.at
        function = self.functions.get(place)
        return min(function.length, rest) if function else rest

    @memoised
    def at(self, place: Place) -> FunctionCode:
        """The function that begins at a place."""
        code = self.obj.code.get(place.section, ())
        return function_code(code, place.at, place.at + max(self.length(place), 0))

    @memoised
    def prototype(self, place: Place) -> Prototype:
        """The prototype of a global function."""
        return global_function(self.obj, place)

    @memoised
    def kernel_prototype(self, name: str) -> Prototype:
        """The prototype of a function of the kernel."""
        return kernel_function(self.obj, name)
