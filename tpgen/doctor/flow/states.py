"""States of a program at one place, and the states that were there before."""

from __future__ import annotations

from functools import reduce
from math import inf
from typing import NamedTuple, TypeAlias

from tpgen.doctor.flow.frames import Frames, covers_frames, joined_frames
from tpgen.doctor.flow.values import Constant, Value, covers, joined

#: r0 to r10.
Registers: TypeAlias = tuple[Value, ...]
REGISTERS = 11
#: The distance of two numbers, beside 1 for other values.
_COUNTER = 16


class State(NamedTuple):
    registers: Registers
    frames: Frames

    def covers(self, other: State) -> bool:
        """Whether whatever a program does from `other` on is among what it does from here."""
        mine, theirs = self.registers, other.registers
        return (mine == theirs or all(map(covers, mine, theirs))) and covers_frames(self.frames, other.frames)

    def joined(self, other: State) -> State:
        registers = tuple(map(joined, self.registers, other.registers))
        return State(registers, joined_frames(self.frames, other.frames))

    def distance(self, other: State, most: float) -> int:
        """A measure of what is lost when the states are joined: numbers that differ may be counters.

        It is counted as far as `most`; a sum that reaches this says no more than that it does.
        """
        lost = 0
        if self.registers != other.registers:
            for mine, theirs in zip(self.registers, other.registers, strict=True):
                if mine is not theirs and mine != theirs:
                    lost += _COUNTER if type(mine) is Constant and type(theirs) is Constant else 1
        for one, two in zip(self.frames, other.frames, strict=False):
            if one is two or one == two:
                continue
            for offset, slot in one.items():
                there = two.get(offset)
                if slot is not there and slot != there:
                    is_number = there is not None and type(slot.value) is type(there.value) is Constant
                    lost += _COUNTER if is_number else 1
                    if lost >= most:
                        return lost
            lost += len(two.keys() - one.keys())
        return lost


class SeenStates:
    """The states in which one place was reached: at most `most`, then those that resemble each other are joined.

    After as many joins all are: so a loop that changes ever more comes to an end.
    """

    def __init__(self, most: int) -> None:
        self.states: list[State] = []
        self._most = most
        self._joins = 0

    def enter(self, state: State) -> State | None:
        """The state to go on from, which is `state` or covers it; None where a state that was seen covers it."""
        states = self.states
        if state in states or any(seen.covers(state) for seen in states):
            return None
        if len(states) < self._most:
            states.append(state)
            return state
        return self._join(state)

    @property
    def has_joined(self) -> bool:
        """Whether states were joined, so that less is known than there was."""
        return self._joins > 0

    def _join(self, state: State) -> State | None:
        self._joins += 1
        if self._joins == self._most:
            self.states, self._most = [reduce(State.joined, self.states)], 1
        states = self.states
        nearest, least = 0, inf
        for index, seen in enumerate(states) if len(states) > 1 else ():
            if (lost := seen.distance(state, least)) < least:
                nearest, least = index, lost
        before, states[nearest] = states[nearest], states[nearest].joined(state)
        return None if states[nearest] == before else states[nearest]
