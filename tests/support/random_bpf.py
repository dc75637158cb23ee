"""Random programs that the verifier takes, and in which it takes pains to know what is read: for the judge of flow.

Numbers are known or not: what is known is computed with, spilled and compared as much as chance will; of an unknown one
nothing is asked twice, since what the first answer told of its range is not tracked. The context goes through
registers, the stack and subprograms.
"""

from __future__ import annotations

import random
from enum import Enum, auto
from typing import NamedTuple

from support.bpf_text import Assembled, assembled

_SLOTS = range(-8, -72, -8)
_CONTEXT_BYTES = 96
_RANDOM = 7  # bpf_get_prandom_u32()
_PROBE_READ_KERNEL = 113
_COMPARISONS = ("==", "!=", ">", "<", ">=", "<=", "&", "s>", "s<", "s>=", "s<=")
_OPERATIONS = ("+", "-", "*", "&", "|", "^", "<<", ">>", "s>>")


class Kind(Enum):
    """What a register or a slot of the stack holds, as far as the generator goes."""

    CONTEXT = auto()
    KNOWN = auto()
    UNKNOWN = auto()  # nothing was asked of it
    USED = auto()
    STACK = auto()  # the address of a slot that holds KNOWN
    STACK_CONTEXT = auto()  # that of one that holds CONTEXT


class Signature(NamedTuple):
    """A subprogram by its arguments r1 to r3."""

    name: str
    arguments: tuple[Kind, ...]


_NUMBERS = (Kind.KNOWN, Kind.UNKNOWN, Kind.USED)
_ADDRESSES = (Kind.STACK, Kind.STACK_CONTEXT)


class _Function:
    """Writes one function; `registers` and `slots` are what is sure on every way to where it stands."""

    def __init__(
        self, chance: random.Random, callees: list[Signature], variables: dict[str, bytes], depth: int
    ) -> None:
        self._chance = chance
        self._callees = callees
        self._variables = variables
        self._most_depth = depth
        self._lines: list[str] = []
        self._labels = 0
        self._offsets: dict[int, int] = {}
        self.registers: dict[int, Kind] = {}
        self.slots: dict[int, Kind] = {}

    def text(self, arguments: tuple[Kind, ...], size: int) -> str:
        self.registers = dict(enumerate(arguments, 1))
        self._offsets = {number: 0 for number, kind in self.registers.items() if kind == Kind.CONTEXT}
        # What survives calls.
        for number, kind in enumerate(arguments, 1):
            self._move(5 + number, number, kind)
        self._block(size, 0)
        self._put(f"r0 = {self._chance.choice((0, 0, 1, 7))}")
        self._put("exit")
        return "\n".join(self._lines)

    # --- parts

    def _put(self, line: str) -> None:
        self._lines.append(line)

    def _label(self) -> str:
        self._labels += 1
        return f"l{self._labels}"

    def _pick(self, *kinds: Kind) -> int | None:
        found = [number for number, kind in self.registers.items() if kind in kinds]
        return self._chance.choice(found) if found else None

    def _slot(self, *kinds: Kind) -> int | None:
        found = [offset for offset, kind in self.slots.items() if kind in kinds]
        return self._chance.choice(found) if found else None

    def _set(self, number: int, kind: Kind) -> None:
        self.registers[number] = kind
        self._offsets.pop(number, None)

    def _move(self, to: int, source: int, kind: Kind) -> None:
        if to == source:
            return
        offset = self._offsets.get(source)
        self._put(f"r{to} = r{source}")
        # A copy of an unknown number is not told apart by the verifier.
        if kind == Kind.UNKNOWN:
            self.registers[source] = kind = Kind.USED
        self._set(to, kind)
        if offset is not None:
            self._offsets[to] = offset

    def _target(self) -> int:
        return self._chance.choice((1, 2, 3, 4, 5, 6, 7, 8, 9))

    # --- statements

    def _block(self, size: int, depth: int) -> None:
        for _ in range(size):
            self._statement(depth)

    def _statement(self, depth: int) -> None:
        simple = (self._load, self._load, self._number, self._number, self._compute, self._spill, self._spill,
                  self._fill, self._fill, self._copy, self._advance, self._random, self._variable, self._probe,
                  self._narrow)  # fmt: skip
        nested = (self._condition, self._condition, self._condition, self._loop, self._call)
        if depth < self._most_depth and self._chance.random() < 0.4:
            self._chance.choice(nested)(depth)
        else:
            self._chance.choice(simple)()

    def _load(self) -> None:
        base = self._pick(Kind.CONTEXT)
        if base is None or self._offsets[base]:
            return
        size = self._chance.choice((8, 8, 4, 2, 1))
        where = self._chance.randrange(0, _CONTEXT_BYTES, size)
        to = self._target()
        self._put(f"r{to} = *(u{8 * size} *)(r{base} + {where})")
        self._set(to, Kind.UNKNOWN)

    def _number(self) -> None:
        to = self._target()
        number = self._chance.choice((0, 1, 2, 3, 5, 8, 255, -1, -2, 1 << 16, 0x7FFFFFFF, -0x80000000))
        self._put(f"{self._chance.choice('rrw')}{to} = {number}")
        self._set(to, Kind.KNOWN)

    def _compute(self) -> None:
        left, right = self._pick(Kind.KNOWN), self._pick(Kind.KNOWN)
        if left is None or right is None:
            return
        width, operation = self._chance.choice("rrw"), self._chance.choice(_OPERATIONS)
        if operation in ("<<", ">>", "s>>") or self._chance.random() < 0.5:
            amount = self._chance.randrange(32) if operation in ("<<", ">>", "s>>") else self._chance.randrange(-9, 300)
            self._put(f"{width}{left} {operation}= {amount}")
        elif left != right:
            self._put(f"{width}{left} {operation}= {width}{right}")
        self._set(left, Kind.KNOWN)

    def _narrow(self) -> None:
        number = self._pick(Kind.KNOWN)
        if number is not None:
            text = self._chance.choice(("w{0} = w{0}", "r{0} = bswap32 r{0}", "r{0} = le16 r{0}", "r{0} = (s8)r{0}",
                                        "r{0} = (s16)r{0}", "w{0} = (s8)w{0}", "r{0} = be16 r{0}"))  # fmt: skip
            self._put(text.format(number))

    def _spill(self) -> None:
        value = self._pick(Kind.CONTEXT, *_NUMBERS)
        slot = self._chance.choice(_SLOTS)
        if value is None:
            return
        kind = self.registers[value]
        if kind == Kind.CONTEXT and self._offsets[value]:
            return
        if kind == Kind.KNOWN and self._chance.random() < 0.3:
            size = self._chance.choice((4, 2, 1))
            self._put(f"*(u64 *)(r10 {_signed(slot)}) = 0")
            self._put(f"*(u{8 * size} *)(r10 {_signed(slot)}) = r{value}")
            self.slots[slot] = Kind.USED
            return
        self._put(f"*(u64 *)(r10 {_signed(slot)}) = r{value}")
        if kind == Kind.UNKNOWN:
            self.registers[value] = kind = Kind.USED
        self.slots[slot] = kind

    def _fill(self) -> None:
        slot = self._slot(Kind.CONTEXT, *_NUMBERS)
        if slot is None:
            return
        to = self._target()
        self._put(f"r{to} = *(u64 *)(r10 {_signed(slot)})")
        self._set(to, self.slots[slot])
        if self.slots[slot] == Kind.CONTEXT:
            self._offsets[to] = 0

    def _copy(self) -> None:
        source = self._pick(Kind.CONTEXT, *_NUMBERS)
        if source is not None:
            self._move(self._target(), source, self.registers[source])

    def _advance(self) -> None:
        """The context's address + or - a number: it is only loaded from once that is undone."""
        base = self._pick(Kind.CONTEXT)
        if base is None:
            return
        amount = self._chance.choice((8, 16, 24))
        if self._offsets[base]:
            self._put(f"r{base} -= {self._offsets[base]}")
            self._offsets[base] = 0
        else:
            self._put(f"r{base} += {amount}")
            self._offsets[base] = amount

    def _clobber(self) -> None:
        for number in range(6):
            self.registers.pop(number, None)
            self._offsets.pop(number, None)

    def _random(self) -> None:
        self._put(f"call {_RANDOM}")
        self._clobber()
        to = self._chance.choice((6, 7, 8, 9))
        self._put(f"r{to} = r0")
        self._set(to, Kind.UNKNOWN)

    def _variable(self) -> None:
        if not self._variables:
            return
        name = self._chance.choice(sorted(self._variables))
        to = self._target()
        size = self._chance.choice((8, 4, 2, 1))
        self._put(f"r{to} = &{name}")
        self._put(f"r{to} = *(u{8 * size} *)(r{to} + {self._chance.randrange(0, 8, size)})")
        self._set(to, Kind.KNOWN)

    def _probe(self) -> None:
        """A helper writes over a part of the stack."""
        slot, size = self._chance.choice(_SLOTS), self._chance.choice((8, 8, 16, 12))
        if slot + size > 0:
            return
        self._put(f"r1 = r10; r1 += {slot}; r2 = {size}; r3 = 0; call {_PROBE_READ_KERNEL}")
        self._clobber()
        for offset in list(self.slots):
            if slot - 8 < offset < slot + size:
                self.slots[offset] = Kind.USED
        for offset in range(slot, slot + size, 8):
            self.slots[offset] = Kind.USED

    # --- control flow

    def _condition(self, depth: int) -> None:
        left = self._pick(Kind.KNOWN, Kind.KNOWN, Kind.UNKNOWN)
        if left is None:
            return
        other, end = self._label(), self._label()
        known = self.registers[left] == Kind.KNOWN
        right = self._pick(Kind.KNOWN)
        number = self._chance.choice((0, 1, 2, 3, 5, 100))
        if known:
            width, comparison = self._chance.choice("rrw"), self._chance.choice(_COMPARISONS)
            target = f"{width}{right}" if right is not None and self._chance.random() < 0.4 else str(number)
        else:
            width, target, comparison = "r", str(number + 1), self._chance.choice(("==", "!=", ">", "<", "&"))
            self.registers[left] = Kind.USED
        self._put(f"if {width}{left} {comparison} {target} goto {other}")
        before = dict(self.registers), dict(self.slots), dict(self._offsets)
        self._block(self._chance.randrange(1, 5), depth + 1)
        self._put(f"goto {end}")
        after = self.registers, self.slots, self._offsets
        self.registers, self.slots, self._offsets = before
        self._put(f"{other}:")
        if self._chance.random() < 0.6:
            self._block(self._chance.randrange(1, 5), depth + 1)
        self._put(f"{end}:")
        self._meet(*after)

    def _meet(self, registers: dict[int, Kind], slots: dict[int, Kind], offsets: dict[int, int]) -> None:
        """Keep what is so on both ways."""
        self.registers = {
            number: kind
            for number, kind in self.registers.items()
            if registers.get(number) == kind and self._offsets.get(number) == offsets.get(number)
        }
        self._offsets = {number: offset for number, offset in self._offsets.items() if number in self.registers}
        self.slots = {offset: kind for offset, kind in self.slots.items() if slots.get(offset) == kind}

    def _loop(self, depth: int) -> None:
        """A loop of a few rounds, whose counter is in a slot of its own. Nothing is sure in it but the context."""
        again, rounds, counter, kept = self._label(), self._chance.randrange(1, 5), -80 - 8 * depth, -112 - 8 * depth
        contexts = [number for number, kind in self.registers.items() if kind == Kind.CONTEXT and number >= 6]
        context = next((number for number in contexts if not self._offsets[number]), None)
        self._put(f"*(u64 *)(r10 {_signed(counter)}) = 0")
        if context is not None:
            self._put(f"*(u64 *)(r10 {_signed(kept)}) = r{context}")
        self.registers, self.slots, self._offsets = {}, {}, {}
        self._put(f"{again}:")
        if context is not None:
            self._put(f"r{context} = *(u64 *)(r10 {_signed(kept)})")
            self._set(context, Kind.CONTEXT)
            self._offsets[context] = 0
        self._block(self._chance.randrange(1, 4), depth + 1)
        self._put(f"r1 = *(u64 *)(r10 {_signed(counter)})")
        self._put("r1 += 1")
        self._put(f"*(u64 *)(r10 {_signed(counter)}) = r1")
        self._put(f"if r1 < {rounds} goto {again}")
        self._set(1, Kind.KNOWN)

    def _call(self, depth: int) -> None:
        if not self._callees:
            return
        callee = self._chance.choice(self._callees)
        # Arguments are gathered in r6 and up first, so that none overwrites another.
        lines = []
        for number, kind in enumerate(callee.arguments, 1):
            line = self._argument(number, kind)
            if line is None:
                return
            lines.append(line)
        for line in lines:
            self._put(line)
        self._put(f"call {callee.name}")
        self._clobber()
        for kind in callee.arguments:
            if kind in _ADDRESSES:
                self.slots = {}
        to = self._chance.choice((6, 7, 8, 9))
        self._put(f"r{to} = r0")
        self._set(to, Kind.KNOWN)

    def _argument(self, number: int, kind: Kind) -> str | None:
        if kind in _ADDRESSES:
            wanted = Kind.CONTEXT if kind == Kind.STACK_CONTEXT else Kind.KNOWN
            slot = self._slot(wanted)
            return None if slot is None else f"r{number} = r10; r{number} += {slot}"
        saved = [
            register
            for register, found in self.registers.items()
            if register >= 6 and found == kind and not self._offsets.get(register)
        ]
        if saved:
            register = self._chance.choice(saved)
            if kind == Kind.UNKNOWN:
                self.registers[register] = Kind.USED
            return f"r{number} = r{register}"
        return f"r{number} = {self._chance.randrange(4)}" if kind == Kind.KNOWN else None


class _Subprogram(_Function):
    """A function that also reads and writes through the addresses that it is given."""

    def _statement(self, depth: int) -> None:
        address = self._pick(*_ADDRESSES)
        if address is not None and self._chance.random() < 0.3:
            self._through(address)
        else:
            super()._statement(depth)

    def _through(self, address: int) -> None:
        holds_context = self.registers[address] == Kind.STACK_CONTEXT
        if self._chance.random() < 0.6:
            to = self._target()
            if to != address:
                self._put(f"r{to} = *(u64 *)(r{address} + 0)")
                self._set(to, Kind.CONTEXT if holds_context else Kind.KNOWN)
                if holds_context:
                    self._offsets[to] = 0
        elif not holds_context:
            self._put(f"*(u64 *)(r{address} + 0) = {self._chance.choice((0, 1, 9))}")


def _signed(offset: int) -> str:
    return f"- {-offset}" if offset < 0 else f"+ {offset}"


def random_program(seed: int) -> Assembled:
    """A random raw_tp program with up to three subprograms."""
    chance = random.Random(seed)
    variables = {
        f"v{number}": chance.choice((bytes(8), b"\1" + bytes(7), b"\5\0\0\0\xff\xff\0\x80")) for number in range(3)
    }
    callees: list[Signature] = []
    functions = {}
    for number in range(chance.randrange(4)):
        kinds = (Kind.CONTEXT, Kind.KNOWN, Kind.STACK, Kind.STACK_CONTEXT)
        arguments = tuple(chance.choice(kinds) for _ in range(chance.randrange(1, 4)))
        # One that is defined later may call those before it, so that there is no recursion.
        writer = _Subprogram(chance, list(callees), variables, depth=2)
        signature = Signature(f"sub{number}", arguments)
        functions[signature.name] = writer.text(arguments, chance.randrange(2, 9))
        callees.append(signature)
    text = _Function(chance, callees, variables, depth=3).text((Kind.CONTEXT,), chance.randrange(4, 25))
    return assembled(text, functions=_called(text, functions), rodata=variables)


def _called(text: str, functions: dict[str, str]) -> dict[str, str]:
    """The functions that are called, by others too: the kernel refuses what nothing leads to."""
    names = [name for name in functions if f"call {name}\n" in text]
    found = {name: functions[name] for name in names}
    for name in names:
        found |= _called(functions[name], functions)
    return found
