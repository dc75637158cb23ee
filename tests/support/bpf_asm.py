"""Reads llvm-objdump's BPF disassembly: which loads a function makes, and what it returns for a given context.

The interpreter knows the little that an accessor compiles to (moves, arithmetic, loads from the context, jumps). It
gives big-endian objects, which no kernel here can run, the same test of values as little-endian ones.
"""

from __future__ import annotations

import errno
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

_U64 = (1 << 64) - 1
_LABEL = re.compile(r"^[0-9a-f]+ <(?P<name>[^>]+)>:$")
_INSN = re.compile(r"^\s*(?P<index>\d+):\s+(?P<text>\S.*?)\s*$")
_LOAD = re.compile(r"^(?P<dst>[rw]\d+) = \*\((?P<type>[us]\d+) \*\)\((?P<base>r\d+) (?P<sign>[+-]) (?P<offset>\w+)\)$")
_STORE = re.compile(r"^\*\((?P<type>u\d+) \*\)\((?P<base>r\d+) (?P<sign>[+-]) (?P<offset>\w+)\) = (?P<src>-?\w+)$")
_MOVE = re.compile(r"^(?P<dst>[rw]\d+) = (?P<neg>-?)(?P<src>[rw]\d+)$")
_CONST = re.compile(r"^(?P<dst>[rw]\d+) = (?P<imm>-?\w+)(?: ll)?$")
_ALU = re.compile(r"^(?P<dst>[rw]\d+) (?P<op>s?>>|<<|[-+*/|&^])= (?P<src>-?\w+)$")
_CALL = re.compile(r"^call (?P<helper>\w+)$")
_JUMP = re.compile(r"^(?:if (?P<left>[rw]\d+) (?P<op>\S+) (?P<right>-?\w+) )?goto (?P<delta>[+-]\w+)(?: <.*>)?$")


@dataclass(frozen=True, slots=True)
class Insn:
    """One instruction: its index in units of 8 bytes from the start of its section, and objdump's text."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class Load:
    """A load from memory: `u64`, `r1`, 8 for `*(u64 *)(r1 + 8)`; `context` where the base still is the context."""

    type: str
    base: str
    offset: int
    context: bool


def functions(disassembly: str) -> dict[str, tuple[Insn, ...]]:
    """The instructions of every function in objdump's text, by name; labels of blocks do not start a function."""
    found: dict[str, list[Insn]] = {}
    current: list[Insn] = []
    for line in disassembly.splitlines():
        label = _LABEL.match(line)
        if label and not label["name"].startswith("LBB"):
            current = found.setdefault(label["name"], [])
        elif insn := _INSN.match(line):
            current.append(Insn(int(insn["index"]), insn["text"]))
    return {name: tuple(insns) for name, insns in found.items()}


def loads(insns: Sequence[Insn]) -> tuple[Load, ...]:
    """Every load that can be reached, in the order of the code."""
    context = _context_registers(insns)
    found = []
    for insn in insns:
        load = _LOAD.match(insn.text)
        if load and insn.index in context:
            offset = int(load["sign"] + load["offset"], 0)
            found.append(Load(load["type"], load["base"], offset, load["base"] in context[insn.index]))
    return tuple(found)


def _context_registers(insns: Sequence[Insn]) -> dict[int, frozenset[str]]:
    """For every reachable instruction, the registers that hold the context, unchanged, whichever way led there."""
    after = dict(zip((insn.index for insn in insns), (insn.index for insn in insns[1:]), strict=False))
    texts = {insn.index: insn.text for insn in insns}
    found: dict[int, frozenset[str]] = {}
    todo = [(insns[0].index, frozenset({"r1"}))]
    while todo:
        at, registers = todo.pop()
        known = found.get(at)
        if known is not None and known <= registers:
            continue
        found[at] = registers if known is None else known & registers
        todo += [(follower, _moved(texts[at], found[at])) for follower in _followers(at, texts[at], after)]
    return found


def _moved(text: str, context: frozenset[str]) -> frozenset[str]:
    """The registers that hold the context behind an instruction, from those before it."""
    if text.startswith("call"):
        return context - {f"r{number}" for number in range(6)}
    copy = _MOVE.match(text)
    if copy and not copy["neg"] and copy["src"] in context and copy["dst"][0] == "r":
        return context | {copy["dst"]}
    written = re.match(r"^[rw](\d+) ", text)
    return context - {f"r{written[1]}"} if written else context


def _followers(at: int, text: str, after: dict[int, int]) -> tuple[int, ...]:
    """Where the code can go from the instruction at `at`."""
    if text == "exit":
        return ()
    jump = _JUMP.match(text)
    if jump is None:
        return (after[at],)
    goal = at + 1 + int(jump["delta"], 0)
    return (goal,) if jump["op"] is None else (goal, after[at])


def truncates(insns: Sequence[Insn], size: int) -> bool:
    """Whether the code narrows a register to `size` bytes: a pair of shifts, a mask, or a 32-bit move."""
    texts = [insn.text for insn in insns]
    bits = 8 * size
    if any(re.fullmatch(rf"[rw]\d+ &= {_number((1 << bits) - 1)}", text) for text in texts):
        return True
    if bits == 32 and any(re.fullmatch(r"w(\d+) = w\1", text) for text in texts):
        return True
    for width, register in ((64, "r"), (32, "w")):
        left = [text for text in texts if re.fullmatch(rf"{register}\d+ <<= {_number(width - bits)}", text)]
        right = [text for text in texts if re.fullmatch(rf"{register}\d+ s?>>= {_number(width - bits)}", text)]
        if left and right:
            return True
    return False


def _number(value: int) -> str:
    """A pattern for a number: llvm-objdump prints decimals up to 18, and hexadecimals since."""
    return f"(?:{value}|{value:#x})"


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


_OPERATORS: dict[str, Callable[[int, int], int]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.floordiv,
    "|": operator.or_, "&": operator.and_, "^": operator.xor,
    "<<": operator.lshift, ">>": operator.rshift, "s>>": operator.rshift,
}  # fmt: skip
_COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


_PROBE_READ_KERNEL, _PROBE_READ_KERNEL_STR, _CURRENT_TASK = 113, 115, 35
_CALLER_SAVED = ("r1", "r2", "r3", "r4", "r5")


class Machine:
    """Runs one function over a context, a stack and `memory`, by address; every other address is an error.

    `arguments` follow the context. The helpers that read the kernel's memory are known, and that which tells the
    address of the current task, `task`.
    """

    _CONTEXT = 0x1_0000_0000
    _STACK_END = 0x2_0000_0000
    _STACK_SIZE = 512

    def __init__(
        self,
        insns: Sequence[Insn],
        context: bytes,
        *,
        big_endian: bool,
        memory: Mapping[int, bytearray] | None = None,
        arguments: Sequence[int] = (),
        task: int = 0,
    ) -> None:
        self._insns = {insn.index: insn for insn in insns}
        self._order = [insn.index for insn in insns]
        # The last may be a jump back, which nothing follows.
        self._after = dict(zip(self._order, self._order[1:], strict=False))
        self._stack = bytearray(self._STACK_SIZE)
        self._regions = {self._CONTEXT: bytearray(context), self._STACK_END - self._STACK_SIZE: self._stack}
        self._regions |= memory or {}
        self._task = task
        self._big_endian = big_endian
        self._registers = {f"r{number}": 0 for number in range(11)} | {"r1": self._CONTEXT, "r10": self._STACK_END}
        self._registers |= {f"r{number}": value for number, value in enumerate(arguments, 2)}

    def run(self) -> int:
        """r0 at the exit, unsigned."""
        at = self._order[0]
        for _ in range(1000):
            insn = self._insns[at]
            if insn.text == "exit":
                return self._registers["r0"]
            at = self._step(insn, self._after.get(at, -1))
        raise AssertionError("the function does not end")

    def _step(self, insn: Insn, after: int) -> int:
        if jump := _JUMP.match(insn.text):
            return insn.index + 1 + int(jump["delta"], 0) if self._taken(jump) else after
        if load := _LOAD.match(insn.text):
            self._write(load["dst"], self._load(load))
        elif store := _STORE.match(insn.text):
            self._store(store)
        elif move := _MOVE.match(insn.text):
            value = self._read(move["src"])
            self._write(move["dst"], -value if move["neg"] else value)
        elif alu := _ALU.match(insn.text):
            self._write(alu["dst"], self._alu(alu))
        elif const := _CONST.match(insn.text):
            self._write(const["dst"], int(const["imm"], 0))
        elif call := _CALL.match(insn.text):
            self._call(int(call["helper"], 0))
        else:
            raise AssertionError(f"the interpreter does not know {insn.text!r}")
        return after

    def _load(self, load: re.Match[str]) -> int:
        data = self._memory(load)
        return int.from_bytes(data, "big" if self._big_endian else "little", signed=load["type"][0] == "s")

    def _store(self, store: re.Match[str]) -> None:
        data = self._memory(store)
        value = self._operand(store["src"], 64) & ((1 << 8 * len(data)) - 1)
        data[:] = value.to_bytes(len(data), "big" if self._big_endian else "little")

    def _memory(self, access: re.Match[str]) -> memoryview:
        size = int(access["type"][1:]) // 8
        address = self._registers[access["base"]] + int(access["sign"] + access["offset"], 0)
        assert address % size == 0, f"{access[0]!r} is not aligned"
        return self._bytes(address, size)

    def _bytes(self, address: int, size: int) -> memoryview:
        for begin, region in self._regions.items():
            if begin <= address <= begin + len(region) - size:
                return memoryview(region)[address - begin : address - begin + size]
        raise AssertionError(f"{size} bytes at {address:#x} are in no memory that the function may touch")

    def _call(self, helper: int) -> None:
        dst, size, src = (self._registers[name] for name in ("r1", "r2", "r3"))
        if helper == _CURRENT_TASK:
            result = self._task
        elif helper == _PROBE_READ_KERNEL:
            self._bytes(dst, size)[:] = self._bytes(src, size)
            result = 0
        elif helper == _PROBE_READ_KERNEL_STR:
            result = self._read_string(dst, size, src)
        else:
            raise AssertionError(f"the interpreter does not know helper {helper}")
        self._registers |= dict.fromkeys(_CALLER_SAVED, 0xBAD_BAD_BAD)
        self._registers["r0"] = result & _U64

    def _read_string(self, dst: int, size: int, src: int) -> int:
        """bpf_probe_read_kernel_str(): at most `size` bytes with the NUL, which are counted; 0 without room.

        Nothing is ever in the highest page; what cannot be read makes all of `dst` 0.
        """
        if src > _U64 - 4096:
            self._bytes(dst, size)[:] = bytes(size)
            return -errno.EFAULT
        for count in range(size):
            byte = self._bytes(src + count, 1)[0] if count < size - 1 else 0
            self._bytes(dst + count, 1)[0] = byte
            if byte == 0:
                return count + 1
        return 0

    def _alu(self, alu: re.Match[str]) -> int:
        bits = 64 if alu["dst"][0] == "r" else 32
        left, right = self._read(alu["dst"]), self._operand(alu["src"], bits)
        if alu["op"] == "s>>":
            left = _signed(left, bits)
        if "<<" in alu["op"] or ">>" in alu["op"]:
            right &= bits - 1
        return _OPERATORS[alu["op"]](left, right)

    def _taken(self, jump: re.Match[str]) -> bool:
        if jump["op"] is None:
            return True
        bits = 64 if jump["left"][0] == "r" else 32
        left, right = self._read(jump["left"]), self._operand(jump["right"], bits)
        if jump["op"].startswith("s"):
            return _COMPARISONS[jump["op"][1:]](_signed(left, bits), _signed(right, bits))
        return bool(left & right) if jump["op"] == "&" else _COMPARISONS[jump["op"]](left, right)

    def _operand(self, text: str, bits: int) -> int:
        return self._read(text) if text[0] in "rw" else int(text, 0) & ((1 << bits) - 1)

    def _read(self, register: str) -> int:
        value = self._registers["r" + register[1:]]
        return value if register[0] == "r" else value & 0xFFFFFFFF

    def _write(self, register: str, value: int) -> None:
        # A write to a 32-bit half clears the other half.
        self._registers["r" + register[1:]] = value & (_U64 if register[0] == "r" else 0xFFFFFFFF)
