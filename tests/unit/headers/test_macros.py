"""Macro expansion: what C11 6.10.3 states, what its examples give, and what gcc makes of the same text."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

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
