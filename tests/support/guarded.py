"""Random programs over a header for several kernels: guards and run-time conditions, mixed as people and compilers do.

A program reads what a kernel may lack only where a guard says that it is there, in one of many forms: a test, an arm of
`?:`, `&&` and `||`, a flag that is kept or handed to a subprogram, the condition of a loop, an early end. Whatever the
form, the verifier of a kernel that lacks it must see that the read is dead code. The same text compiles for the machine
that runs the test, with accessors of a few lines, which tells what a program is to return.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_FUNCTION = re.compile(r"^TPGEN_INLINE (?P<result>.*?)(?P<name>\w+)\((?P<parameters>[^)]*)\)$", re.MULTILINE)
_PRESENCE = re.compile(r"^TPGEN_INLINE _Bool (?P<name>\w+)\(void\)(?P<constant> \{ return 1; \})?$", re.MULTILINE)
_COPIES = "const void *ctx, void *dst, unsigned int size"

#: Events of which the kernels differ, each in another way: an argument that came, one that went, several.
RAW = ("sched_switch", "kfree_skb", "tcp_retransmit_skb", "sched_process_exit", "sched_stat_runtime")
#: Fields that moved, became dynamic, are of another class, were there once or will be.
CLASSIC = ("sched_process_fork", "sched_process_exit", "tcp_retransmit_skb", "sched_stat_runtime", "kfree_skb")

PRELUDE = """\
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long s64;
u64 array[64];
volatile u32 state;

static __inline__ __attribute__((always_inline, unused)) u32 next(void)
{
	u32 x = state;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	state = x;
	return x;
}
#define SUBPROGRAM static __attribute__((noinline, unused))
"""
BPF = """\
#define SEC(name) __attribute__((section(name), used))
char LICENSE[] SEC("license") = "GPL";
"""


@dataclass(frozen=True, slots=True)
class Read:
    """An accessor that a program can call; `guard` is C, None where none is needed."""

    name: str
    guard: str | None
    copies: bool = False
    pointer: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """An event in one form: the header, the sections of programs that can be given it, and what these can read."""

    header: str
    sections: tuple[str, ...]
    reads: tuple[Read, ...]


def subject(path: Path) -> Subject:
    """What a header offers, from its text."""
    text = path.read_text()
    guards = {found["name"]: found["name"] + "()" for found in _PRESENCE.finditer(text) if not found["constant"]}
    prefix = path.stem
    reads = []
    for found in _FUNCTION.finditer(text):
        name, copies = found["name"], found["parameters"] == _COPIES
        if not name.startswith(f"{prefix}_") or found["parameters"] == "void":
            continue
        value = name.removeprefix(f"{prefix}_")
        value = re.sub("_read(_bytes)?$", "", value) if copies else value
        by_bytes = re.fullmatch(rf"{name}_t ", found["result"])
        if not by_bytes:
            guard = guards.get(f"{prefix}_has_{value}")
            reads.append(Read(name, guard, copies, "*" in found["result"]))
    sections = re.findall(r'^#define \w+?_SEC_\w+ "((?:raw_tp|tp_btf|tp)/[^"]+)"$', text, re.MULTILINE)
    return Subject(path.name, tuple(sections), tuple(reads))


@dataclass(slots=True)
class _Scope:
    """Where a statement stands: the guards that are known to hold, and variables that have the value of some."""

    known: frozenset[str] = frozenset()
    flags: Mapping[str, str] = field(default_factory=dict)
    depth: int = 0
    loops: int = 0
    subprogram: bool = False

    def deeper(self, guard: str | None = None, loop: bool = False) -> _Scope:
        known = self.known if guard is None else self.known | {guard}
        return _Scope(known, self.flags, self.depth + 1, self.loops + loop, self.subprogram)


class Generator:
    """Makes programs about one subject; the same seed makes the same ones."""

    def __init__(self, about: Subject, section: str, seed: str, number: int) -> None:
        self._random = random.Random(f"{seed} {about.header} {number}")
        numbers_alone = section.startswith("tp_btf")  # a pointer is no number to its verifier
        self._reads = [read for read in about.reads if not (numbers_alone and read.pointer)]
        self._guards = sorted({read.guard for read in self._reads if read.guard})
        self._section = section
        self._number = number
        self._subprograms: list[str] = []
        self._names = 0

    def program(self) -> tuple[str, str]:
        """The name of a program and its text, behind that of its subprograms."""
        flags = {f"flag_{at}": guard for at, guard in enumerate(self._guards) if self._chance(0.7)}
        scope = _Scope(flags=flags)
        body = "".join(self._statement(scope) for _ in range(self._random.randint(2, 4)))
        kept = "".join(f"\tint {name} = {guard};\n" for name, guard in flags.items())
        used = "".join(f"\t(void){name};\n" for name in flags)
        name, seed = f"program_{self._number}", self._random.getrandbits(32) | 1
        head = f'PROGRAM("{self._section}") int {name}(const void *ctx)\n'
        begin = f"\tu64 sum = 1;\n{kept}{used}\t(void)ctx;\n\tstate = {seed}u;\n"
        end = "\treturn (int)(sum ^ sum >> 32);\n}\n"
        return name, f"{''.join(self._subprograms)}{head}{{\n{begin}{body}{end}"

    # --- choices

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def _one_of(self, *makers: Callable[[_Scope], str]) -> Callable[[_Scope], str]:
        return self._random.choice(makers)

    def _new(self, prefix: str) -> str:
        self._names += 1
        return f"{prefix}_{self._number}_{self._names}"

    # --- expressions

    def _value(self, scope: _Scope) -> str:
        """C of type u64 that is right here."""
        there = [read for read in self._reads if not read.copies and read.guard in (None, *scope.known)]
        if not there or self._chance(0.2):
            return self._random.choice([f"array[{self._random.randrange(64)}]", "(u64)next()"])
        return f"(u64){self._random.choice(there).name}(ctx)"

    def _expression(self, scope: _Scope) -> str:
        if scope.depth > 4 or self._chance(0.6):
            return self._value(scope)
        inner = scope.deeper()
        if self._guards and self._chance(0.4):
            guard = self._random.choice(self._guards)
            there = self._expression(scope.deeper(guard))
            return f"({self._guard(guard, scope)} ? {there} : {self._expression(inner)})"
        if self._chance(0.5):
            return f"({self._expression(inner)} {self._random.choice('+-^')} {self._expression(inner)})"
        return f"({self._condition(inner)} ? {self._expression(inner)} : {self._expression(inner)})"

    def _condition(self, scope: _Scope) -> str:
        """A condition that only the run tells."""
        if self._chance(0.5):
            return f"next() & {1 << self._random.randrange(4)}"
        return f"{self._value(scope)} {self._random.choice(['>', '==', '&'])} {self._random.randrange(1, 99)}ULL"

    def _guard(self, guard: str, scope: _Scope) -> str:
        """The guard itself, or a flag that has its value."""
        flags = [name for name, of in scope.flags.items() if of == guard]
        if flags and self._chance(0.5):
            return self._random.choice(flags)
        if not scope.subprogram and self._chance(0.15):
            return self._guard_function(guard)
        return guard

    def _guard_function(self, guard: str) -> str:
        name = self._new("guard")
        self._subprograms.append(f"SUBPROGRAM int {name}(void)\n{{\n\treturn {guard};\n}}\n")
        return f"{name}()"

    # --- statements

    def _statement(self, scope: _Scope) -> str:
        if scope.depth > 3:
            return self._sum(scope)
        if self._guards and self._chance(0.55):
            return self._guarded(scope)
        return self._one_of(self._sum, self._store, self._if, self._loop, self._switch, self._copy)(scope)

    def _sum(self, scope: _Scope) -> str:
        return f"sum = sum * 31 + {self._expression(scope)};\n"

    def _store(self, scope: _Scope) -> str:
        return f"array[{self._random.randrange(64)}] += {self._expression(scope)};\n"

    def _if(self, scope: _Scope) -> str:
        inner = scope.deeper()
        return f"if ({self._condition(scope)}) {{ {self._statement(inner)} }} else {{ {self._statement(inner)} }}\n"

    def _loop(self, scope: _Scope) -> str:
        if scope.loops > 1:
            return self._sum(scope)
        inner, name = scope.deeper(loop=True), self._new("i")
        body = self._statement(inner) + self._statement(inner)
        count = self._random.randint(2, 9 if inner.loops == 1 else 3)
        return f"for (int {name} = 0; {name} < {count}; {name}++) {{ {body} }}\n"

    def _switch(self, scope: _Scope) -> str:
        inner = scope.deeper()
        cases = "".join(f"case {at}: {self._statement(inner)} break; " for at in range(self._random.randint(1, 3)))
        return f"switch ({self._value(scope)} & 3) {{ {cases} default: {self._statement(inner)} }}\n"

    def _copy(self, scope: _Scope) -> str:
        there = [read for read in self._reads if read.copies and read.guard in (None, *scope.known)]
        if not there or scope.loops > 0:  # each copy makes three ways on: in loops that is too much for a verifier
            return self._sum(scope)
        name, read = self._new("text"), self._random.choice(there).name
        size = self._random.choice([4, 8, 16, 32])
        copied = f"{read}(ctx, {name}, sizeof({name}))"
        return f"{{ char {name}[{size}] = {{ 0 }}; sum += (u64){copied} + (u64){name}[{size - 2}]; }}\n"

    def _guarded(self, scope: _Scope) -> str:
        """A statement in which a guard decides, in one of the forms."""
        guard = self._random.choice(self._guards)
        forms = [*_FORMS, *(_LOOPS if scope.loops < 2 else ()), *(_CALLS if not scope.subprogram else ())]
        return self._random.choice(forms)(self, guard, self._guard(guard, scope), scope)

    def _there(self, guard: str, scope: _Scope) -> str:
        return self._statement(scope.deeper(guard))

    def _other(self, scope: _Scope) -> str:
        return self._statement(scope.deeper())

    def _test(self, guard: str, has: str, scope: _Scope) -> str:
        return f"if ({has}) {{ {self._there(guard, scope)} }} else {{ {self._other(scope)} }}\n"

    def _negated_test(self, guard: str, has: str, scope: _Scope) -> str:
        return f"if (!{has}) {{ {self._other(scope)} }} else {{ {self._there(guard, scope)} }}\n"

    def _guard_and_runtime(self, guard: str, has: str, scope: _Scope) -> str:
        runtime, there = self._condition(scope), self._there(guard, scope)
        return f"if ({has} && {runtime}) {{ {there} }} else {{ {self._other(scope)} }}\n"

    def _runtime_and_guard(self, guard: str, has: str, scope: _Scope) -> str:
        return f"if ({self._condition(scope)} && {has}) {{ {self._there(guard, scope)} }}\n"

    def _guard_or_runtime(self, guard: str, has: str, scope: _Scope) -> str:
        inner = f"if ({guard}) {{ {self._there(guard, scope)} }} {self._other(scope)}"
        return f"if ({has} || {self._condition(scope)}) {{ {inner} }}\n"

    def _not_there_or_read(self, guard: str, has: str, scope: _Scope) -> str:
        read = self._value(scope.deeper(guard))
        return f"if (!{has} || {read} == 2) {{ {self._other(scope)} }} else {{ {self._there(guard, scope)} }}\n"

    def _conjunction_as_value(self, guard: str, has: str, scope: _Scope) -> str:
        read = self._value(scope.deeper(guard))
        return f"sum += {has} && {read} > {self._random.randrange(9)} ? {self._random.randrange(9)} : 7;\n"

    def _early_end(self, guard: str, has: str, scope: _Scope) -> str:
        return f"do {{ if (!{has}) break; {self._there(guard, scope)} }} while (0);\n"

    def _case(self, guard: str, has: str, scope: _Scope) -> str:
        there, other = self._there(guard, scope), self._other(scope)
        return f"switch ((int){has}) {{ case 1: {there} break; default: {other} }}\n"

    def _changed_flag(self, guard: str, has: str, scope: _Scope) -> str:
        name, runtime = self._new("changed"), self._condition(scope)
        there = self._there(guard, scope)
        return f"{{ int {name} = {has}; if ({runtime}) {name} = 0; if ({name}) {{ {there} }} }}\n"

    def _looped(self, guard: str, scope: _Scope) -> str:
        return self._statement(scope.deeper(guard, loop=True))

    def _guard_of_a_loop(self, guard: str, has: str, scope: _Scope) -> str:
        name, count = self._new("i"), self._random.randint(2, 9)
        return f"for (int {name} = 0; {has} && {name} < {count}; {name}++) {{ {self._looped(guard, scope)} }}\n"

    def _guard_in_a_loop(self, guard: str, has: str, scope: _Scope) -> str:
        name, body = self._new("i"), self._looped(guard, scope)
        return f"for (int {name} = 0; {name} < 6; {name}++) {{ if (!{has}) continue; {body} }}\n"

    def _call_with_flag(self, guard: str, has: str, scope: _Scope) -> str:
        """A subprogram that is given the context and the guard's value."""
        name = self._new("with_flag")
        inner = _Scope(frozenset({guard}), {}, scope.depth + 1, scope.loops + 1, subprogram=True)
        body = f"if (there) {{ {self._statement(inner)} }}"
        self._subprograms.append(self._function(f"{name}(const void *ctx, int there)", body))
        return f"sum += {name}(ctx, {has});\n"

    def _call_behind_guard(self, guard: str, has: str, scope: _Scope) -> str:
        """A subprogram that reads what its caller has tested."""
        name = self._new("behind")
        inner = _Scope(frozenset({guard}), {}, scope.depth + 1, scope.loops + 1, subprogram=True)
        self._subprograms.append(self._function(f"{name}(const void *ctx)", self._statement(inner)))
        return f"if ({has}) sum ^= {name}(ctx);\n"

    @staticmethod
    def _function(head: str, body: str) -> str:
        return f"SUBPROGRAM u64 {head}\n{{\n\tu64 sum = 3;\n\n\t(void)ctx;\n\t{body}\n\treturn sum;\n}}\n"


_FORMS = (
    Generator._test, Generator._negated_test, Generator._guard_and_runtime, Generator._runtime_and_guard,
    Generator._guard_or_runtime, Generator._not_there_or_read, Generator._conjunction_as_value, Generator._early_end,
    Generator._case, Generator._changed_flag,
)  # fmt: skip
_LOOPS = (Generator._guard_of_a_loop, Generator._guard_in_a_loop)
_CALLS = (Generator._call_with_flag, Generator._call_behind_guard)


@dataclass(frozen=True, slots=True)
class Unit:
    """Programs in one file: the text without includes, the headers, and the name of each with its section."""

    text: str
    headers: tuple[str, ...]
    programs: tuple[tuple[str, str], ...]

    @property
    def bpf(self) -> str:
        """The unit as a BPF object's source."""
        includes = "".join(f'#include "{name}"\n' for name in self.headers)
        return f"{PRELUDE}{BPF}#define PROGRAM(section) SEC(section)\n{includes}{self.text}"


def native(made: Unit, stubs: str, slots: Sequence[int]) -> str:
    """A program for this machine that prints what each program of a unit returns for a context, by the `stubs`.

    Only with raw programs: they have no buffers of the record.
    """
    calls = "".join(
        f'\tmemset(array, 0, sizeof(array));\n\tprintf("%u\\n", (u32){name}(slots));\n' for name, _ in made.programs
    )
    context = ", ".join(f"{slot:#x}ULL" for slot in slots)
    main = f"int main(void)\n{{\n\tu64 slots[] = {{ {context} }};\n\n{calls}\treturn 0;\n}}\n"
    return f"#include <stdio.h>\n#include <string.h>\n{PRELUDE}#define PROGRAM(section)\n{stubs}{made.text}{main}"


_TYPES = {
    (1, True): "signed char", (2, True): "short", (4, True): "int", (8, True): "long long",
    (1, False): "unsigned char", (2, False): "unsigned short", (4, False): "unsigned int", (8, False): "u64",
}  # fmt: skip


def stubs(event: str, arguments: Sequence[Mapping[str, Any]], about: Subject) -> str:
    """Accessors of a subject's reads for this machine, from the arguments as `tpgen show --json` has them."""
    known = {f"raw_{event}_{argument['name']}": argument for argument in arguments}
    text = []
    for read in about.reads:
        argument = known.get(read.name)
        if read.guard:
            text.append(f"static int {read.guard.removesuffix('()')}(void) {{ return {int(argument is not None)}; }}\n")
        if argument is None:
            text.append(f"static u64 {read.name}(const void *ctx) {{ (void)ctx; __builtin_trap(); }}\n")
            continue
        load = f"((const u64 *)ctx)[{argument['slot']}]"
        ctype = _TYPES[argument["size"], bool(argument["signed"])]
        value = f"(unsigned char){load} != 0" if argument["type"] == "bool" else f"({ctype}){load}"
        result = "_Bool" if argument["type"] == "bool" else ctype
        text.append(f"static {result} {read.name}(const void *ctx) {{ return {value}; }}\n")
    return "".join(text)


def unit(subjects: Sequence[Subject], seed: str, count: int, kinds: Sequence[str]) -> Unit:
    """`count` programs over the subjects in turn, in sections that begin with one of `kinds`."""
    made, texts = [], []
    for number in range(count):
        about = subjects[number % len(subjects)]
        sections = [section for section in about.sections if section.partition("/")[0] in kinds]
        section = sections[number // len(subjects) % len(sections)]
        name, text = Generator(about, section, seed, number).program()
        made.append((name, section))
        texts.append(text)
    return Unit("".join(texts), tuple(dict.fromkeys(about.header for about in subjects)), tuple(made))
