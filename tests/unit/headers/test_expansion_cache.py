"""Macros that are invoked more than once: what was found out at one invocation must hold at the next.

What a preprocessor makes of each text is written by hand and asked of `gcc -E` as well.
"""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tpgen.sources.headers.read import read_text
from tpgen.target import target_named

X86_64 = target_named("x86_64")
DEFINE = "DEFINE_EVENT(c, {}, TP_PROTO(int a), TP_ARGS(a))"
ONE = f"#define ONE(x) {DEFINE.format('x')}"

#: A text with macros, and the events that it makes, in order.
TEXTS = {
    "twice the same": (f"{ONE}\nONE(a)\nONE(b)\n", "a b"),
    "the name of a macro": (f"{ONE}\n#define L(X) X(a) X(b)\nL(ONE)\nL(ONE)\n", "a b a b"),
    "nothing, then a macro": (
        f"{ONE}\n#define NONE(x)\n#define L(X) X(a)\nL(NONE)\nL(ONE)\n", "a",
    ),
    "parentheses from an argument": (
        f"{ONE}\n#define CALL(x) ONE x\nCALL((a))\nCALL((b))\n", "a b",
    ),
    "another meaning behind": (
        "#define NAME(x) x\n#define ONE(x) " + DEFINE.format("NAME(x)") + "\nONE(a)\n#undef NAME\n"
        "#define NAME(x) other\nONE(b)\n", "a other",
    ),
    "a word that becomes a macro": (
        "#define ONE(x) " + DEFINE.format("word") + "\nONE(a)\n#define word other\nONE(b)\n", "word other",
    ),
    "an argument that becomes a macro": (
        f"{ONE}\nONE(a)\n#define a other\nONE(a)\n", "a other",
    ),
    "a macro defined anew": (
        f"{ONE}\nONE(a)\n#undef ONE\n#define ONE(x) " + DEFINE.format("b") + "\nONE(a)\n",
        "a b",
    ),
    "pasted": ("#define ONE(x) " + DEFINE.format("my_##x") + "\nONE(a)\nONE(b)\n", "my_a my_b"),
    "pasted by an inner macro": (
        "#define IN(x) " + DEFINE.format("my_##x") + "\n#define ONE(x) IN(x)\nONE(a)\nONE(b)\n", "my_a my_b",
    ),
    "commas out of an argument": (
        "#define TWO(x, y) " + DEFINE.format("x") + " " + DEFINE.format("y")
        + "\n#define BOTH a, b\n#define VIA(x) TWO(x)\n#define NAME d, e\nVIA(BOTH)\nVIA(NAME)\n", "a b d e",
    ),
    "an argument that is not used": (
        "#define ONE(x, y) " + DEFINE.format("x") + "\nONE(a, ONE)\nONE(b, f(1, 2))\n", "a b",
    ),
    "no argument": ("#define ONE(x) " + DEFINE.format("e x") + "\nONE()\nONE( )\n", "e e"),
    "any number": (
        f"#define ANY(x, ...) {DEFINE.format('x')} __VA_ARGS__\nANY(a)\nANY(b, c, d)\nANY(e, {DEFINE.format('f')})\n",
        "a b e f",
    ),
    "an alias": ("#define ALIAS DEFINE_EVENT\n" + 2 * "ALIAS(c, a, TP_PROTO(int a), TP_ARGS(a))\n", "a a"),
    "itself": (f"{ONE} ONE(y)\nONE(a)\nONE(b)\n", "a b"),
    "a stand-in with a long number": (
        f"#define ONE(x) {DEFINE.format('x')} tpgen_argument_{'9' * 5000}_\nONE(a)\nONE(b)\n", "a b",
    ),
    "a stand-in of the header's own": (
        "#define ONE(x) " + DEFINE.format("tpgen_argument_7_") + "\nONE(a)\nONE(b)\n",
        "tpgen_argument_7_ tpgen_argument_7_",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_events(name: str) -> None:
    text, names = TEXTS[name]
    facts = read_text(text, X86_64)
    assert [event.name for event in facts.events] == names.split()
    assert facts.skipped == ()


@pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
@pytest.mark.parametrize("name", TEXTS)
def test_gcc_makes_the_same(name: str) -> None:
    text, _ = TEXTS[name]
    made = subprocess.run(["gcc", "-E", "-P", "-x", "c", "-"], input=text, capture_output=True, text=True, check=True)
    events = re.findall(r"DEFINE_EVENT\s*\(\s*c\s*,\s*(\w+)(?:\s+\w+)?\s*,", made.stdout)
    assert [event.name for event in read_text(text, X86_64).events] == events
