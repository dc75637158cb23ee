"""Calls: of functions of the object, of helpers and callbacks, of functions of the kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from tpgen.doctor.accesses import Access, AccessKind, Unfollowed
from tpgen.doctor.flow.code import ProgramCode
from tpgen.doctor.flow.frames import Copied, Frames, write
from tpgen.doctor.flow.helpers import (
    CALLBACKS,
    COPIES,
    GET_FUNC_ARG,
    MOST_ARGUMENTS,
    OUTPUTS,
    TAIL_CALL,
    THROW,
    Callback,
    Copy,
    Output,
    arguments,
)
from tpgen.doctor.flow.memory import replaced, written
from tpgen.doctor.flow.prototypes import Prototype
from tpgen.doctor.flow.recorder import Recorder
from tpgen.doctor.flow.states import SeenStates, State
from tpgen.doctor.flow.values import (
    Constant,
    Context,
    Dynamic,
    FunctionAddress,
    InContext,
    InStack,
    Loaded,
    MapAddress,
    Pointed,
    Stack,
    Value,
    is_in_context,
)
from tpgen.sources.bpf_object.facts import Place

#: States that are told apart behind a callback; then they are joined.
_MOST_STATES = 8
_MOST_MEMOS = 4096
#: More a helper is not told to copy.
_MOST_COPIED = 512


class FunctionCall(NamedTuple):
    """A call of the function at `place`: r1 to r5, the frames that it can reach, and the number of calls around it."""

    place: Place
    arguments: tuple[Value, ...]
    frames: Frames
    depth: int


class Exit(NamedTuple):
    """A return: r0, and the frames of the callers."""

    value: Value
    frames: Frames


class Calls:
    """Calls as one program makes them. `follow` follows a function."""

    def __init__(
        self, code: ProgramCode, recorder: Recorder, big_endian: bool, follow: Callable[[FunctionCall], list[Exit]]
    ) -> None:
        self._code = code
        self._recorder = recorder
        self._big_endian = big_endian
        self._follow = follow
        self._memo: dict[tuple[Place, tuple[Value, ...]], list[tuple[Frames, list[Exit]]]] = {}
        self._memos = 0

    # --- functions of the object

    def function(self, call: FunctionCall) -> list[Exit]:
        """A call of a subprogram: of a static one as the verifier follows it, of a global one as it checks it alone."""
        function = self._code.functions.get(call.place)
        if function is None or not function.is_global:
            return self._inlined(call)
        values = tuple(map(_without_context_of_call, call.arguments))
        self._inlined(FunctionCall(call.place, values, (), call.depth))
        return [Exit(None, _all_written(call.frames, call.arguments, self._code.prototype(call.place)))]

    def _inlined(self, call: FunctionCall) -> list[Exit]:
        """The returns of a call; a function that is given no address of a stack sees none of its callers'."""
        dead = self._code.at(call.place).dead.get(call.place.at, ())
        values = tuple(None if number in dead else value for number, value in enumerate(call.arguments, 1))
        if any(isinstance(value, Stack | InStack) for value in values):
            return self._memoised(call._replace(arguments=values))
        exits = self._memoised(FunctionCall(call.place, values, (), call.depth))
        return [Exit(value, call.frames) for value, _ in exits]

    def _memoised(self, call: FunctionCall) -> list[Exit]:
        known = self._memo.setdefault((call.place, call.arguments), [])
        for frames, exits in known:
            if frames == call.frames:
                return exits
        exits = self._follow(call)
        self._memos += 1
        if self._memos <= _MOST_MEMOS:
            known.append((call.frames, exits))
        return exits

    # --- helpers

    def helper(self, number: int, place: Place, registers: list[Value], frames: Frames, depth: int) -> Iterator[Exit]:
        """A call of a helper."""
        copy = COPIES.get(number)
        if copy is not None:
            yield Exit(None, self._copied(copy, place, registers, frames))
            return
        callback = CALLBACKS.get(number)
        if callback is not None and isinstance(registers[callback.function], FunctionAddress):
            for behind in self._called_back(callback, registers, frames, depth):
                yield Exit(None, behind)
            return
        self._pass(str(number), place, registers[1 : 1 + arguments(number)])
        self._call_later(registers[1 : 1 + arguments(number)], depth)
        if number == TAIL_CALL and is_in_context(registers[1]):
            self._recorder.tail_calls = True
        if number == GET_FUNC_ARG:
            yield Exit(None, self._argument(place, registers, frames))
            return
        output = OUTPUTS.get(number)
        if output is not None:
            frames = written(frames, registers[output.argument], self._size(output, registers))
        yield Exit(None, frames)

    def _size(self, output: Output, registers: list[Value]) -> int | None:
        """The bytes that a helper writes; None where that is not known."""
        if output.size_argument is not None:
            return _number(registers[output.size_argument])
        first = registers[1]
        return (
            self._code.value_sizes.get(first.name)
            if output.size is None and isinstance(first, MapAddress)
            else output.size
        )

    def _copied(self, copy: Copy, place: Place, registers: list[Value], frames: Frames) -> Frames:
        """The frames after a helper has copied bytes from an address."""
        source, target, size = registers[copy.source], registers[copy.target], _number(registers[copy.size])
        kind = AccessKind.HELPER_STRING if copy.is_string else AccessKind.HELPER
        frames = written(frames, target, size)
        match source:
            case Context():
                self._recorder.accesses.add(Access(kind, place, source.offset, size, source.offset))
                if not copy.is_string and size is not None:
                    return self._filled(target, size, Copied(source.offset, place.at), frames)
            case Dynamic():
                access = Access(AccessKind.DYNAMIC, place, source.offset, size, source.distance)
                self._recorder.accesses.add(access)
            case InContext():
                self._recorder.gap(source.reason, place)
                if source.reason == Unfollowed.VARIABLE_OFFSET:
                    self._recorder.accesses.add(Access(kind, place, None, size))
            case Loaded() | Pointed():
                self._recorder.use(place, source, None, followed=False)
            case _:
                pass
        return frames

    def _argument(self, place: Place, registers: list[Value], frames: Frames) -> Frames:
        """bpf_get_func_arg(): the frames after it has copied an argument."""
        number = _number(registers[2])
        frames = written(frames, registers[3], 8)
        if number is None:
            self._recorder.accesses.add(Access(AccessKind.ARGUMENT, place, None, 8))
            self._recorder.gap(Unfollowed.VARIABLE_OFFSET, place)
            return frames
        self._recorder.accesses.add(Access(AccessKind.ARGUMENT, place, 8 * number, 8))
        return self._filled(registers[3], 8, Copied(8 * number, place.at), frames)

    def _filled(self, target: Value, size: int, copied: Copied, frames: Frames) -> Frames:
        """The frames after a part of the context was copied to `target`."""
        if not isinstance(target, Stack) or target.frame >= len(frames) or not 0 < size <= _MOST_COPIED:
            return frames
        value = Loaded(copied.offset, size, copied.at) if size in (1, 2, 4, 8) else copied
        frame = write(frames[target.frame], target.offset, size, value, self._big_endian)
        return replaced(frames, target.frame, frame)

    def _pass(self, name: str, place: Place, values: list[Value]) -> None:
        """Record what of the context is handed on, other than itself as the first argument, where helpers take it."""
        for number, value in enumerate(values):
            match value:
                case Context(offset=offset) if offset or number:
                    access = Access(AccessKind.PASSED, place, offset, None, offset, detail=name)
                    self._recorder.accesses.add(access)
                case InContext(reason=reason):
                    self._recorder.gap(reason, place)
                case Dynamic(offset=offset, distance=distance):
                    access = Access(AccessKind.PASSED, place, offset, None, distance, detail=name)
                    self._recorder.accesses.add(access)
                case _:
                    pass

    # --- callbacks

    def _called_back(self, callback: Callback, registers: list[Value], frames: Frames, depth: int) -> Iterator[Frames]:
        """The frames after any number of calls of a callback."""
        seen = SeenStates(_MOST_STATES)
        work = [frames]
        seen.enter(State((), frames))
        function = registers[callback.function]
        times = registers[callback.times] if callback.times is not None else None
        self._recorder.decided(times)
        if not isinstance(function, FunctionAddress) or (isinstance(times, Constant) and times.value == 0):
            work.clear()
        else:
            values: list[Value] = [None] * MOST_ARGUMENTS
            values[callback.as_argument - 1] = registers[callback.context]
            while work:
                for _, behind in self._inlined(FunctionCall(function.place, tuple(values), work.pop(), depth)):
                    state = seen.enter(State((), behind))
                    if state is not None:
                        work.append(state.frames)
        for state in seen.states:
            yield state.frames

    def _call_later(self, values: list[Value], depth: int) -> None:
        """Follow what is called at another time, or by what is not known: nothing is known of its arguments."""
        for value in values:
            if isinstance(value, FunctionAddress):
                self._inlined(FunctionCall(value.place, (None,) * MOST_ARGUMENTS, (), depth))

    # --- functions of the kernel

    def kernel_function(
        self, name: str, place: Place, registers: list[Value], frames: Frames, depth: int
    ) -> Iterator[Exit]:
        """A call of a function of the kernel."""
        if name == THROW:
            return
        prototype = self._code.kernel_prototype(name)
        values = registers[1 : 1 + prototype.arguments]
        self._pass(name, place, values)
        self._call_later(values, depth)
        yield Exit(None, _all_written(frames, values, prototype))


def _without_context_of_call(value: Value) -> Value:
    """An argument as a global function knows it: that it is the context, or came from there."""
    match value:
        case Context():
            return value
        case Loaded():
            return value._replace(checked=False)
        case Pointed():
            return value._replace(checked=False)
        case InContext() | Dynamic():
            return value
        case _:
            return None


def _all_written(frames: Frames, values: Sequence[Value], prototype: Prototype) -> Frames:
    """The frames after a function has written through its arguments."""
    for number, size in prototype.written:
        if number <= len(values):
            frames = written(frames, values[number - 1], size)
    return frames


def _number(value: Value) -> int | None:
    """A size that a helper is told, of 32 bits."""
    return value.value & 0xFFFFFFFF if isinstance(value, Constant) else None
