"""Macro expansion: what C11 6.10.3 states, what its examples give, and what gcc makes of the same text."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from bisect import bisect_left
from itertools import accumulate
from pathlib import Path

import pytest

from tpgen.sources.headers.preprocessor import macros
from tpgen.sources.headers.preprocessor.conditions import PresenceCondition
from tpgen.sources.headers.preprocessor.directives import structure
from tpgen.sources.headers.preprocessor.environment import FixedEnvironment
from tpgen.sources.headers.preprocessor.macros import (
    BadInvocation,
    Expander,
    ExpansionLimit,
    Macro,
    Token,
    join,
    parse_define,
    tokenize,
)
from tpgen.sources.headers.preprocessor.source import Source


def _expand(text: str, opaque: bool = False) -> str:
    """The code of `text` with the macros that it defines expanded, all definitions first."""
    source = Source("x.h", text)
    shape = structure(source, FixedEnvironment({}))
    macros: dict[str, Macro] = {}
    for directive in shape.directives:
        macro = parse_define(directive.rest, source, (directive.start, directive.end), directive.presence)
        assert macro
        macros[macro.name] = macro
    code = shape.code.strip()
    return join(Expander(macros).expand([Token(code, opaque=True)] if opaque else tokenize(code)))


# From C11 6.10.3.5 (examples 3, 5 and 7), from GCC's manual, and of the shapes that trace headers have.
_CASES = {
    "object": "#define N 3\nx[N]",
    "alias of a function": "#define EVENT_RCU EVENT\n#define EVENT(a) <a>\nEVENT_RCU(x)",
    "self": "#define foo foo + 1\nfoo",
    "mutual": "#define a b + a\n#define b a + b\na b",
    "argument twice": "#define D(x) x x\n#define N 1\nD(N)",
    "not invoked": "#define f(x) x\nf + (f)(1) f",
    "no arguments": "#define f() z\nf() f( )",
    "empty argument": "#define f(x, y) [x|y]\nf(,) f(a,) f(, b)",
    "commas protected": "#define f(x) <x>\nf((a, b)) f(g(a, b))",
    "paste": "#define P(n) n##_entry n##_exit\nP(irq)",
    "paste is not expanded first": "#define N 1\n#define P(n) n##_x n\nP(N)",
    "paste of a parameter on the right": "#define P(a, b) x_##a##_##b\nP(1, c)",
    "paste empty": "#define P(a, b) a##b|\nP(,) P(x,) P(,y)",
    "paste makes a macro": "#define AB ok\n#define P(a, b) a##b\nP(A, B)",
    "paste digits": "#define P(n) 802154_##n\nP(add)",
    "string": '#define S(x) #x\nS(  a  +  "b\\n" ) S() S(\'"\')',
    "string and expansion": "#define N 1\n#define S(x) #x\n#define T(x) S(x)\nS(N) T(N)",
    "variadic": "#define V(...) f(__VA_ARGS__)\nV() V(a) V(a, b)",
    "named variadic": "#define V(x, args...) f(x; args)\nV(a) V(a, b, c)",
    "comma elided": "#define V(x, args...) f(x, ##args)\nV(a) V(a, b, c)",
    "passed on": "#define W(n, p...) E(n, T(p))\n#define E(n, t) {n t}\nW(a, int b, int c)",
    "macro as an argument": "#define LIST(X) X(a) X(b)\n#define E(n) <n>\nLIST(E)",
    "nested calls": "#define f(x) (x)\nf(f(f(1)))",
    "C11 example 3": (
        "#define x 3\n#define f(a) f(x * (a))\n#define z z[0]\n#define g f\n#define t(a) a\n#define p() int\n"
        "#define q(x) x\n#define r(x,y) x ## y\n"
        "t(t(g)(0) + t)(1); g(x+(3,4)-z); p() i[q()] = { q(1), r(2,3), r(4,), r(,5), r(,) };"
    ),
    "C11 example 5": "#define t(x,y,z) x ## y ## z\nt(1,2,3) t(,4,5) t(6,,7) t(8,9,) t(10,,) t(,11,) t(,,12) t(,,)",
    "stretches of a body": (
        "#define v(n, p) struct a *n, TP(struct b *c, int (*d)(e, f)) g h##n p## i #n j(k) n(m)\n#define f <f>\n"
        "#define j(x) [x]\n#define call(x) {x}\nv(call, 1)\n"
        "#define open k j(\n#define w struct s j\nopen 1) w (2) w\n#define q(x) u (l, x) u j(x) j\nq(1)(2)"
    ),
    "splices": "#define L(a) \\\n\tone a \\\n\ttwo\nL(x)",
}


@pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
@pytest.mark.parametrize("case", list(_CASES))
@pytest.mark.parametrize("opaque", [False, True], ids=["tokens", "opaque"])
def test_like_gcc(case: str, opaque: bool, tmp_path: Path) -> None:
    file = tmp_path / "case.h"
    file.write_text(_CASES[case] + "\n")
    command = ["gcc", "-E", "-P", "-undef", "-nostdinc", str(file)]
    by_gcc = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
    assert _squeezed(_expand(_CASES[case], opaque)) == _squeezed(by_gcc)


def _squeezed(text: str) -> list[str]:
    """The tokens; gcc and we may put blanks between them differently."""
    return re.findall(r'"(?:[^"\\]|\\.)*"|\w+|[^\w\s]', text)


def test_by_hand() -> None:
    assert _expand("#define P(n) DEFINE(n##_entry, n##_exit)\nP(irq)") == "DEFINE(irq_entry, irq_exit)"
    assert _expand("#define f(x) f(x) g(x)\nf(f(1))") == "f(f(1) g(1)) g(f(1) g(1))"


def test_words_are_never_glued() -> None:
    assert _expand("#define A unsigned\n#define B(x) x\nA B(int)x") == "unsigned int x"


@pytest.mark.parametrize("text", ["#define f(a) a\nf(1, 2)", "#define f(a, b) a\nf(1)", "#define f() x\nf(1)"])
def test_wrong_number_of_arguments(text: str) -> None:
    with pytest.raises(BadInvocation, match=r"^f takes \d arguments?, \d given$"):
        _expand(text)


def test_exponential_growth_ends() -> None:
    lines = ["#define x0 y y y y y y y y"] + [f"#define x{n} {' '.join([f'x{n - 1}'] * 8)}" for n in range(1, 40)]
    with pytest.raises(ExpansionLimit):
        _expand("\n".join([*lines, "x39"]))


def test_deep_nesting_ends() -> None:
    with pytest.raises(ExpansionLimit):
        _expand("#define f(x) x\n" + "f(" * 5000 + ")" * 5000)


@pytest.mark.parametrize("definition", ["", " ", "1x", "f(a", "f(1) x", "f(a b) x", "(a)"])
def test_no_definition(definition: str) -> None:
    source = Source("x.h", "")
    macro = parse_define(definition, source, (0, 0), PresenceCondition())
    assert macro is None or macro.params is None


def test_a_body_is_cut_where_expansion_looks_at_it() -> None:
    """A parameter, a comma outside of parentheses and an operand of # or ## stand alone; the rest is one piece."""
    definition = "m(p, r...) struct a *b(c, d) p, e f r, #p g x##y (h)"
    macro = parse_define(definition, Source("x.h", ""), (0, 0), PresenceCondition())
    assert macro
    assert [token.text for token in macro.pieces] == [
        "struct a *b(c, d)", "p", ",", "e f", "r", ",", "#", "p", "g", "x", "##", "y", "(", "h", ")",
    ]  # fmt: skip
    assert macro.foreign_words == {"struct", "a", "b", "c", "d", "e", "f", "g", "x", "y", "h"}


# --- macros at random

_WORDS = ["a", "b", "1", "+", ".x", "(a, b)", "int", ";"]


class Macros:
    """Definitions that call each other and themselves, and code that invokes them."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        rng = self._rng
        self.objects = ["N", "O"]
        self.functions = {
            name: (count, rng.random() < 0.25) for count, name in ((0, "f"), (1, "g"), (1, "h"), (2, "k"))
        }

    def text(self) -> str:
        lines = [f"#define {name} {self._body([])}" for name in self.objects]
        for name, (count, variadic) in self.functions.items():
            params = ["p", "q"][:count]
            rest = self._rng.choice(["...", "r..."]) if variadic else ""
            names = params + ([] if not rest else ["__VA_ARGS__" if rest == "..." else "r"])
            lines.append(f"#define {name}({', '.join(params + [rest] * variadic)}) {self._body(names)}")
        return "\n".join([*lines, *(self._piece([], 3) for _ in range(4))]) + "\n"

    def _body(self, params: list[str]) -> str:
        pieces = [self._piece(params, 2) for _ in range(self._rng.randrange(5))]
        if params and self._rng.random() < 0.5:
            pieces.append(self._operators(params))
        return " ".join(pieces)

    def _operators(self, params: list[str]) -> str:
        """An operand of # or ##; no paste makes anything but a word of words."""
        param = self._rng.choice(params)
        paste = [f"x_##{param}", f"{param}##_y", f"x_##{param}##_z", f"g##{param}", "N##O", f"{param}##{param}"]
        return self._rng.choice([f"#{param}", f"# {param}", *paste])

    def _piece(self, params: list[str], depth: int) -> str:
        rng = self._rng
        kind = rng.random()
        if params and kind < 0.35:
            return rng.choice(params)
        if kind < 0.5:
            return rng.choice(_WORDS)
        if kind < 0.65 or not depth:
            return rng.choice([*self.objects, *self.functions])
        name = rng.choice(list(self.functions))
        count, variadic = self.functions[name]
        count += rng.randrange(3) if variadic else 0
        arguments = (" ".join(self._piece(params, depth - 1) for _ in range(rng.randrange(3))) for _ in range(count))
        return f"{name}{rng.choice(['', ' '])}({', '.join(arguments)})"


@pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
def test_macros_at_random_like_gcc(tmp_path: Path) -> None:
    texts = [Macros(seed).text() for seed in range(400)]
    undefined = "".join(f"#undef {name}\n" for name in ("N", "O", "f", "g", "h", "k"))
    file = tmp_path / "case.h"
    file.write_text("".join(f"{text}{undefined}SEPARATOR\n" for text in texts))
    command = ["gcc", "-E", "-P", "-w", "-undef", "-nostdinc", str(file)]
    by_gcc = subprocess.run(command, capture_output=True, text=True, check=False)
    lengths = [text.count("\n") + undefined.count("\n") + 1 for text in texts]
    ends = list(accumulate(lengths))
    # Arguments that are too few once they are expanded, or a paste that makes no word.
    refused = {bisect_left(ends, int(line)) for line in re.findall(r"case\.h:(\d+):", by_gcc.stderr)}
    pairs = list(zip(texts, by_gcc.stdout.split("SEPARATOR"), strict=False))
    compared = [pair for number, pair in enumerate(pairs) if number not in refused]
    assert len(compared) > 150
    for text, expected in compared:
        for opaque in (False, True):
            assert _squeezed(_expand(text, opaque)) == _squeezed(expected), text


def test_the_work_of_an_expansion_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that there is may be used up."""
    monkeypatch.setattr(macros, "_MOST_WORK", 100)
    expander = Expander({})
    expander.charge(60)
    expander.charge(40)
    with pytest.raises(ExpansionLimit):
        expander.charge(1)
