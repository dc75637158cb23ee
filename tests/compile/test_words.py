"""Fields of dynamic events that are called like words of C, where each header still compiles."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.cli import tpgen
from support.compilers import Compiler
from support.small_kernel import Line, write_tracefs

pytestmark = pytest.mark.compilers

WORDS = (
    "int", "if", "default", "struct", "asm", "typeof", "bool", "__attribute__", "__asm__", "_Bool", "linux", "inline",
)  # fmt: skip


@pytest.mark.parametrize("std", ["c11", "gnu11", "c23", "gnu23"])
def test_fields_that_are_words_of_c(compiler: Compiler, std: str, target: str, tmp_path: Path) -> None:
    lines = [Line(f"int {word}", 8 + 4 * number, 4, 1) for number, word in enumerate(WORDS)]
    lines.append(Line("__rel_loc char while[]", 8 + 4 * len(WORDS), 4))
    tracefs = write_tracefs(tmp_path / "tracefs", {"words/many": tuple(lines)})
    out = tmp_path / "tp_many.h"
    done = tpgen("many", "--classic", "--tracefs", tracefs, "--arch", "x86_64", "-o", out)
    assert (done.code, done.err) == (0, "")
    text = out.read_text()
    for number, word in enumerate(WORDS):
        at = 8 + 4 * number
        assert f"\tint {word}_;\n" in text
        assert f'_Static_assert(__builtin_offsetof(struct tp_many, {word}_) == {at}, "{word}_");\n' in text
        assert f"tp_many_{word}(const void *ctx)" in text
    compiler.compile(out, tmp_path / "words.o", target=target, std=std)
