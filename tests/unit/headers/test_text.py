"""Cleaning and slicing C text. Expected offsets are counted by hand."""

from __future__ import annotations

import pytest

from tpgen.diagnostics import Position
from tpgen.sources.headers.preprocessor.source import Source, group_end, split_arguments, split_commas


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("a /* b */ c", "a         c"),
        ("a // b\nc", "a     \nc"),
        ("a // b \\\n b\nc", "a          \nc"),
        ('"/* no */" /* yes */', '"/* no */"          '),
        ("'\"' /* x */ '\\''", "'\"'         '\\''"),
        ("a /* b\nc */ d", "a           d"),
        ("a /* never closed\nb", "a" + " " * 18),
        ("#define A b\\\n  c", "#define A b    c"),
        ("fo\\\no bar", "foo   bar"),
        ("a \\\r\nb", "a    b"),
        ('f("//", a); // b', 'f("//", a);     '),
        ('"a" /* b */ "/* c */"', '"a"         "/* c */"'),
        ("/*/ a */ b /**/ c // d /* e", "         b      c          "),
        ("don't // \"a\nb", "don't      \nb"),
        ("a / b /", "a / b /"),
        ("it's /* no literal spans a line\n */ x", "it's                                x"),
    ],
)
def test_clean_keeps_every_offset(text: str, clean: str) -> None:
    assert Source("x.h", text).clean == clean
    assert len(clean) == len(text)


def test_a_comment_that_is_open() -> None:
    assert Source("x.h", "a /* b */ /* c").open_comment == 10
    assert Source("x.h", "a // b").open_comment is None
    assert Source("x.h", "#define A \\\n").open_comment is None


def test_positions_count_the_original_lines() -> None:
    source = Source("x.h", "#define A \\\n\tb /* c\n*/ d\nEVENT(x)\n")
    assert source.position(source.clean.index("d", 20)) == Position("x.h", 3, 4)
    assert source.position(source.clean.index("EVENT")) == Position("x.h", 4, 1)
    assert source.position(0) == Position("x.h", 1, 1)


@pytest.mark.parametrize(
    ("text", "end"),
    [("()", 2), ("(a, (b))c", 8), ('(")")', 5), ("(')')", 5), ("(a", None), ('("', None), ("(" * 40 + ")" * 40, 80)],
)
def test_group_end(text: str, end: int | None) -> None:
    assert group_end(text, 0) == end


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("(a, b)", ["a", " b"]),
        ("()", [""]),
        ("(a, f(b, c), d)", ["a", " f(b, c)", " d"]),
        ("(a, \",)\", ',')", ["a", ' ",)"', " ','"]),
        ("(" + "f(" * 30 + "1,2" + ")" * 30 + ",x)", ["f(" * 30 + "1,2" + ")" * 30, "x"]),
    ],
)
def test_split_arguments(text: str, parts: list[str]) -> None:
    sliced = split_arguments(text, 0)
    assert sliced is not None
    spans, end = sliced
    assert [text[start:stop] for start, stop in spans] == parts
    assert end == len(text)


def test_split_arguments_of_an_open_group() -> None:
    assert split_arguments("(a, (b)", 0) is None
    assert split_arguments("(a, " + "(" * 100, 0) is None


def test_split_commas() -> None:
    assert split_commas("int a, void (*b)(int, long), char c[2]") == ["int a", "void (*b)(int, long)", "char c[2]"]
    assert split_commas("  \n ") == []
