"""Abstract interpretation of functions, path by path, for what they do with the context.

A function is followed from each state that it is called in, with the frames of its callers, and yields the states in
which it returns. Paths that meet in states that one covers go on as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tpgen.doctor.accesses import Unfollowed
from tpgen.doctor.flow.arithmetic import (
    Operation,
    computed,
    narrowed,
    negated,
    sign_extended,
    swapped,
)
from tpgen.doctor.flow.calls import Calls, Exit, FunctionCall
from tpgen.doctor.flow.code import (
    ATOMIC,
    BY_REGISTER,
    CALL,
    COMPARE_EXCHANGE,
    CONDITIONAL_GOTO,
    EXIT,
    FETCH,
    JUMP,
    LOAD_ACQUIRE,
    STORE_RELEASE,
    ProgramCode,
    goal_of,
)
from tpgen.doctor.flow.comparisons import COMPARISONS, EQUAL, NOT_EQUAL, decided, where_equal, where_unequal
from tpgen.doctor.flow.frames import Frames, Slot
from tpgen.doctor.flow.givens import Asker
from tpgen.doctor.flow.memory import Memory
from tpgen.doctor.flow.recorder import Recorder
from tpgen.doctor.flow.states import REGISTERS, SeenStates, State
from tpgen.doctor.flow.values import (
    Constant,
    DataAddress,
    ExternAddress,
    FunctionAddress,
    InStack,
    Loaded,
    MapAddress,
    Pointed,
    Stack,
    Unsure,
    Value,
    is_in_context,
)
from tpgen.doctor.relocated import Failed, Relocated, Resolved, Unknown
from tpgen.sources.bpf_object.facts import Place, Reference, ReferenceKind
from tpgen.sources.bpf_object.instructions import Instruction, InstructionClass

_U64 = (1 << 64) - 1
_SIZES = {0x00: 4, 0x08: 2, 0x10: 1, 0x18: 8}
_SIZE_MASK, _MODE_MASK, _OPERATION_MASK = 0x18, 0xE0, 0xF0
_SIGNED_LOAD = 0x80
_SIGN_EXTENSIONS = (8, 16, 32)
_PSEUDO_KFUNC_CALL = 2
#: Numbers that may depend on variables and on the kernel.
_DEPENDENT = (Constant, Unsure)
#: Calls within calls; the kernel refuses more.
_MOST_FRAMES = 8
#: States in which a function returns that are told apart.
_MOST_EXITS = 8


class Limits(NamedTuple):
    """Bounds of one analysis: instructions followed, states of one place, and values in all states that are stored."""

    steps: int = 600_000
    states: int = 64
    values: int = 2_000_000


class LimitReached(Exception):
    """The analysis would take more than its limits."""


class Interpreter:
    """Follows the functions of an object as one program calls them.

    `steps` are those that are left, `has_joined` is true where states were joined.
    """

    def __init__(self, code: ProgramCode, recorder: Recorder, asker: Asker, limits: Limits) -> None:
        self.code = code
        self.recorder = recorder
        self.asker = asker
        self.big_endian = code.obj.big_endian
        self.memory = Memory(recorder, asker, self.big_endian)
        self.calls = Calls(code, recorder, self.big_endian, self.follow)
        self.limits = limits
        self.steps = limits.steps
        self._values = limits.values
        self.has_joined = False

    def follow(self, call: FunctionCall) -> list[Exit]:
        """The states in which a function returns."""
        if call.depth >= _MOST_FRAMES or self.code.length(call.place) > self.steps:
            self.recorder.gap(Unfollowed.LIMIT, call.place)
            return []
        return _FunctionRun(self, call).exits()

    def spend(self, steps: int, state: State | None) -> None:
        """Count instructions that were followed, and a state that is stored. Raises `LimitReached`."""
        self.steps -= steps
        if state is not None:
            self._values -= REGISTERS + sum(map(len, state.frames))
        if self.steps < 0 or self._values < 0:
            raise LimitReached


class _Path:
    """A state on its way through a function."""

    __slots__ = ("at", "frames", "registers")

    def __init__(self, at: int, registers: Sequence[Value], frames: Frames) -> None:
        self.at = at
        self.registers = list(registers)
        self.frames = frames

    def replace(self, register: int, old: Value, new: Value) -> None:
        """Set a register to what is now known of its value; copies of what was loaded from the context follow it."""
        if type(old) is not Loaded:
            self.registers[register] = new
            return
        self.registers = [new if value == old else value for value in self.registers]
        self.frames = tuple(
            {at: Slot(slot.size, new) if slot.value == old else slot for at, slot in frame.items()}
            if any(slot.value == old for slot in frame.values())
            else frame
            for frame in self.frames
        )


class _FunctionRun:
    """One call of a function, followed along all paths."""

    def __init__(self, interpreter: Interpreter, call: FunctionCall) -> None:
        self._interpreter = interpreter
        self._recorder = interpreter.recorder
        self._asker = interpreter.asker
        self._call = call
        self._obj = interpreter.code.obj
        self._section = call.place.section
        self._code = self._obj.code.get(self._section, ())
        self._function = interpreter.code.at(call.place)
        self._seen: dict[int, SeenStates] = {}
        self._exits = SeenStates(_MOST_EXITS)
        self._work: list[_Path] = []
        self._handlers = (
            self._load_wide,
            self._load,
            self._store_number,
            self._store,
            self._arithmetic,
            self._jump,
            self._jump,
            self._arithmetic,
        )

    def exits(self) -> list[Exit]:
        """Follow all paths; return the states in which the function returns."""
        frames: Frames = (*self._call.frames, {})
        registers = (None, *self._call.arguments, None, None, None, None, Stack(len(frames) - 1, 0))
        self._work.append(_Path(self._call.place.at, registers, frames))
        while self._work:
            self._follow(self._work.pop())
        return [Exit(state.registers[0], state.frames) for state in self._exits.states]

    def _follow(self, path: _Path) -> None:
        """Follow a path to its end, and note the others that leave it."""
        code, handlers, dead, section = self._code, self._handlers, self._function.dead, self._section
        start, end = self._function.start, self._function.end
        reached = self._recorder.reached(section, len(code))
        has_relocation = self._obj.core_relocations
        steps, at = 0, path.at
        while True:
            instruction = code[at] if start <= at < end else None
            if instruction is None:
                self._recorder.gap(Unfollowed.CORRUPT, Place(section, max(at, 0)))
                break
            if at in dead:
                self._interpreter.spend(steps, None)
                steps = 0
                if not self._meet(path, dead[at]):
                    break
            steps += 1
            reached[at] = 1
            place = Place(section, at)
            relocated = self._asker.relocation(place) if place in has_relocation else None
            if type(relocated) is Failed:
                self._recorder.failed.add(place)
                break
            path.at = at + 1
            if not handlers[instruction.opcode & 7](path, place, instruction, relocated):
                break
            at = path.at
        self._interpreter.spend(steps, None)

    def _meet(self, path: _Path, dead: tuple[int, ...]) -> bool:
        """Whether to go on where paths meet; what is known of the state may become less."""
        for register in dead:
            path.registers[register] = None
        seen = self._seen.get(path.at)
        if seen is None:
            seen = self._seen[path.at] = SeenStates(self._interpreter.limits.states)
        self._interpreter.spend(len(seen.states), None)  # a comparison takes as long as an instruction
        state = seen.enter(State(tuple(path.registers), path.frames))
        if state is None:
            return False
        self._interpreter.spend(0, state)
        self._interpreter.has_joined |= seen.has_joined
        path.registers, path.frames = list(state.registers), state.frames
        return True

    # --- instructions: whether the path goes on

    def _load_wide(self, path: _Path, place: Place, instruction: Instruction, relocated: Relocated | None) -> bool:
        if not instruction.is_wide:
            path.registers[:6] = [None] * 6  # legacy loads from packets
            return True
        path.at += 1
        path.registers[instruction.destination] = self._wide(place, instruction, relocated)
        return True

    def _wide(self, place: Place, instruction: Instruction, relocated: Relocated | None) -> Value:
        if relocated is not None:
            return _immediate(instruction, relocated)
        reference = self._obj.references.get(place)
        match reference:
            case None:
                return Constant(instruction.immediate) if instruction.source == 0 else None
            case Reference(kind=ReferenceKind.FUNCTION, target=Place() as target):
                return FunctionAddress(target)
            case Reference(kind=ReferenceKind.DATA, section=str(section), offset=offset):
                return DataAddress(section, offset)
            case Reference(kind=ReferenceKind.EXTERN, name=name):
                return self._extern(reference)
            case Reference(kind=ReferenceKind.MAP, name=name):
                return MapAddress(name)
            case _:
                return None

    def _extern(self, reference: Reference) -> Value:
        """The address of a kconfig value or of a symbol of the kernel, 0 of one that it lacks."""
        if reference.name not in self._obj.kernel_symbols or not reference.weak:
            return ExternAddress(reference.name)
        match self._asker.symbol(reference.name):
            case True:
                return MapAddress(reference.name)
            case False:
                return Constant(0, (reference.name,))
            case None:
                return Unsure((reference.name,))

    def _load(self, path: _Path, place: Place, instruction: Instruction, relocated: Relocated | None) -> bool:
        size, offset = _access(instruction, relocated)
        path.registers[instruction.destination] = self._interpreter.memory.load(
            place,
            path.registers[instruction.source],
            offset,
            size,
            path.frames,
            signed=instruction.opcode & _MODE_MASK == _SIGNED_LOAD,
            struct_name=_struct_name(relocated),
        )
        return True

    def _store_number(self, path: _Path, place: Place, instruction: Instruction, relocated: Relocated | None) -> bool:
        size, offset = _access(instruction, relocated)
        base, value = path.registers[instruction.destination], Constant(instruction.immediate & _U64)
        path.frames = self._interpreter.memory.store(place, base, offset, size, value, path.frames)
        return True

    def _store(self, path: _Path, place: Place, instruction: Instruction, relocated: Relocated | None) -> bool:
        if instruction.opcode & _MODE_MASK == ATOMIC:
            self._atomic(path, place, instruction)
            return True
        size, offset = _access(instruction, relocated)
        base, value = path.registers[instruction.destination], path.registers[instruction.source]
        path.frames = self._interpreter.memory.store(place, base, offset, size, value, path.frames)
        return True

    def _atomic(self, path: _Path, place: Place, instruction: Instruction) -> None:
        """An atomic operation: what it reads is not known, nor what it leaves."""
        size = _SIZES[instruction.opcode & _SIZE_MASK]
        registers, memory = path.registers, self._interpreter.memory
        source, destination, kind = instruction.source, instruction.destination, instruction.immediate
        if kind == LOAD_ACQUIRE:
            registers[destination] = memory.load(
                place, registers[source], instruction.offset, size, path.frames, signed=False, struct_name=None
            )
            return
        value = registers[source] if kind == STORE_RELEASE else None
        path.frames = memory.store(place, registers[destination], instruction.offset, size, value, path.frames)
        if kind == COMPARE_EXCHANGE:
            registers[0] = None
        elif kind & FETCH and kind != STORE_RELEASE:
            registers[source] = None

    def _arithmetic(self, path: _Path, place: Place, instruction: Instruction, relocated: Relocated | None) -> bool:
        opcode, registers, destination = instruction.opcode, path.registers, instruction.destination
        is_32 = opcode & 7 == InstructionClass.ALU
        right = registers[instruction.source] if opcode & BY_REGISTER else _immediate(instruction, relocated)
        operation, left, big_endian = opcode & _OPERATION_MASK, registers[destination], self._interpreter.big_endian
        if operation == Operation.MOV:
            registers[destination] = self._moved(instruction, right, is_32)
        elif operation == Operation.NEG:
            registers[destination] = negated(left, is_32)
        elif operation == Operation.END:
            swaps = not is_32 or bool(opcode & BY_REGISTER) != big_endian
            registers[destination] = swapped(left, instruction.immediate, swaps, big_endian)
        else:
            result = computed(operation, left, right, is_32, big_endian)
            if (type(result) is Pointed and relocated is not None) or _names_struct(right):
                self._note_member(place, left, right)
            if is_in_context(result):
                self._recorder.decided(left, right)
            registers[destination] = result
        return True

    def _moved(self, instruction: Instruction, value: Value, is_32: bool) -> Value:
        big_endian = self._interpreter.big_endian
        if instruction.opcode & BY_REGISTER and instruction.offset in _SIGN_EXTENSIONS:
            return sign_extended(value, instruction.offset, is_32, big_endian)
        return narrowed(value, big_endian) if is_32 else value

    def _note_member(self, place: Place, left: Value, right: Value) -> None:
        """Record that the address of a member of what a pointer of the context points to is computed."""
        for pointer, offset in ((left, right), (right, left)):
            if isinstance(pointer, Loaded | Pointed) and isinstance(offset, Constant | Unsure) and offset.struct_name:
                self._recorder.use(place, pointer, offset.struct_name, followed=False)

    # --- jumps and calls

    def _jump(self, path: _Path, place: Place, instruction: Instruction, relocated: Relocated | None) -> bool:
        opcode = instruction.opcode
        kind = opcode & _OPERATION_MASK
        if kind in COMPARISONS:
            self._compare(path, place, instruction, relocated)
            return True
        if kind == CALL:
            return self._called(path, place, instruction)
        if kind == EXIT:
            self._exits.enter(State((_returned(path.registers[0], len(path.frames) - 1),), path.frames[:-1]))
            return False
        if kind == CONDITIONAL_GOTO:
            self._work.append(_Path(goal_of(instruction, place.at), path.registers, path.frames))
            return True
        if kind != JUMP or opcode & BY_REGISTER:
            self._recorder.gap(Unfollowed.CORRUPT, place)
            return False
        path.at = goal_of(instruction, place.at)
        return True

    def _compare(self, path: _Path, place: Place, instruction: Instruction, relocated: Relocated | None) -> None:
        """Go the way that the condition leads, or both, with what is known behind it."""
        opcode, register = instruction.opcode, instruction.destination
        left = path.registers[register]
        right = path.registers[instruction.source] if opcode & BY_REGISTER else _immediate(instruction, relocated)
        is_32 = opcode & 7 == InstructionClass.JMP32
        comparison, goal = opcode & _OPERATION_MASK, goal_of(instruction, place.at)
        if type(left) is Constant and comparison in (EQUAL, NOT_EQUAL) and opcode & BY_REGISTER:
            left, right, register = right, left, instruction.source
        taken = decided(comparison, left, right, is_32)
        if type(left) in _DEPENDENT and type(right) in _DEPENDENT:
            self._recorder.decided(left, right)
        if taken is not None:
            path.at = goal if taken else path.at
            return
        jumped = _Path(goal, path.registers, path.frames)
        self._work.append(jumped)
        if type(right) is Constant and comparison in (EQUAL, NOT_EQUAL):
            equal, unequal = (jumped, path) if comparison == EQUAL else (path, jumped)
            equal.replace(register, left, where_equal(left, right, is_32))
            unequal.replace(register, left, where_unequal(left, right, is_32))

    def _called(self, path: _Path, place: Place, instruction: Instruction) -> bool:
        """Go on behind a call, once for each state in which it returns."""
        registers, after = path.registers, path.at
        exits = list(self._exits_of(path, place, instruction))
        paths = []
        for value, frames in exits:
            behind = _Path(after, registers, frames)
            behind.registers[:6] = [value, None, None, None, None, None]
            paths.append(behind)
        self._work += paths[1:]
        if not paths:
            return False
        path.registers, path.frames = paths[0].registers, paths[0].frames
        return True

    def _exits_of(self, path: _Path, place: Place, instruction: Instruction) -> Sequence[Exit]:
        registers, frames, depth = path.registers, path.frames, self._call.depth + 1
        calls = self._interpreter.calls
        reference = self._obj.references.get(place)
        match reference:
            case Reference(kind=ReferenceKind.FUNCTION, target=Place() as target):
                return calls.function(FunctionCall(target, tuple(registers[1:6]), frames, depth))
            case Reference(name=name):
                return tuple(calls.kernel_function(name, place, registers, frames, depth))
            case None if instruction.source == 0 and not instruction.opcode & BY_REGISTER:
                return tuple(calls.helper(instruction.immediate, place, registers, frames, depth))
            case None:
                return tuple(calls.kernel_function("", place, registers, frames, depth))


def _immediate(instruction: Instruction, relocated: Relocated | None) -> Value:
    """The number that an instruction has, or that the loader writes into it."""
    match relocated:
        case Resolved():
            return Constant(relocated.value & _U64, (), relocated.struct_name)
        case Unknown():
            return Unsure((relocated.what,), relocated.struct_name)
        case _:
            return Constant(instruction.immediate & _U64)


def _access(instruction: Instruction, relocated: Relocated | None) -> tuple[int, int | None]:
    """The size and the offset of a load or a store; no offset where it is not known for this kernel."""
    size = _SIZES[instruction.opcode & _SIZE_MASK]
    match relocated:
        case Resolved():
            return relocated.size or size, relocated.value
        case Unknown():
            return size, None
        case _:
            return size, instruction.offset


def _struct_name(relocated: Relocated | None) -> str | None:
    return relocated.struct_name if isinstance(relocated, Resolved | Unknown) else None


def _names_struct(value: Value) -> bool:
    return isinstance(value, Constant | Unsure) and value.struct_name is not None


def _returned(value: Value, frame: int) -> Value:
    """The value that a function returns; its own stack is gone."""
    return None if isinstance(value, Stack | InStack) and value.frame >= frame else value
