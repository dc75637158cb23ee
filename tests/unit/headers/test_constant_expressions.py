"""Integer constant expressions, each value stated by hand and confirmed by the compiler."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tpgen.sources.headers.preprocessor.constant_expressions import constant

_SIZES = {"u8": 1, "u16": 2, "unsigned int": 4, "struct pair": 8, "u64": 8}
_PRELUDE = (
    "typedef unsigned char u8; typedef unsigned short u16; typedef unsigned long long u64; struct pair { int a, b; };"
    "enum { LEN = 6, BIG = 32768 };"
)


class Constants:
    def value(self, name: str) -> int | None:
        return {"LEN": 6, "BIG": 32768}.get(name)

    def size(self, type_text: str) -> int | None:
        return _SIZES.get(type_text)


_VALUES = {
    "LEN + 1": 7,
    "LEN * 2 - 1": 11,
    "(LEN)": 6,
    "(LEN) + 1": 7,
    "(LEN) - 1": 5,
    "sizeof(u16) * 4": 8,
    "sizeof(struct pair) / sizeof(u16)": 4,
    'sizeof("text")': 5,
    'sizeof("a")': 2,
    "(u16)LEN": 6,
    "(u16) (LEN + 1)": 7,
    "(unsigned int)7 + (u16)1": 8,
    "((u16)5)": 5,
    "~LEN & 7": 1,
    "(u16)0": 0,
    "(u16)32767": 32767,
    "(u16)sizeof(u64)": 8,
    "LEN > 5 ? 3 : 4": 3,
}


@pytest.mark.parametrize("text", _VALUES)
def test_a_value(text: str) -> None:
    assert constant(text, Constants()) == _VALUES[text]


@pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
def test_the_compiler_agrees() -> None:
    asserts = "".join(f'_Static_assert(({text}) == {value}, "");\n' for text, value in _VALUES.items())
    command = ["gcc", "-std=c11", "-fsyntax-only", "-x", "c", "-"]
    subprocess.run(command, input=f"{_PRELUDE}\n{asserts}", text=True, check=True)


@pytest.mark.parametrize(
    "text",
    [
        "OTHER",
        "sizeof(struct other)",
        "sizeof(",
        "sizeof u16",
        'sizeof("a b")',
        "f(1)",
        "(u16)BIG",  # a cast to s16 would change it
        "(u16)32768",
        "(u16)-1",
        "~(u16)1",
        "~",
        "LEN + ~",
        "(u8)1",
        "(struct other)1",
        "(u16)",
        "LEN LEN",
        "",
        "(" * 100_000,
    ],
)
def test_no_value(text: str) -> None:
    assert constant(text, Constants()) is None
