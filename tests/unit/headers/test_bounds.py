"""Texts that would keep a parser busy for long: each must end soon, and say what it left out."""

from __future__ import annotations

import pytest
from support.bounds import bounded

from tpgen.sources.headers.preprocessor.environment import FixedEnvironment
from tpgen.sources.headers.preprocessor.expressions import evaluate
from tpgen.sources.headers.read import read_text
from tpgen.sources.headers.types.resolved_facts import unknown_field
from tpgen.sources.source_tree.null_args import parse_null_args
from tpgen.target import target_named

X86_64 = target_named("x86_64")


def event(entry: str = "__field(int, x)", proto: str = "int a", before: str = "") -> str:
    return f"""#define TRACE_SYSTEM test
{before}
TRACE_EVENT(test, TP_PROTO({proto}), TP_ARGS(a), TP_STRUCT__entry({entry}), TP_fast_assign(), TP_printk(""));
"""


REFUSED = {
    "dimensions of an argument": event(proto="int a" + "[1]" * 20_000),
    "function pointers": event(proto="int " + "(*" * 3_000 + "a" + ")(void)" * 3_000),
    "stars": event(proto="int " + "*" * 100_000 + "a"),
    "parentheses in a length": event("__array(int, x, " + "(" * 5_000 + "1" + ")" * 5_000 + ")"),
}
UNKNOWN = {
    "structs in structs": ("struct s", "struct s { " + "struct { " * 3_000 + "int a;" + "};" * 3_000 + "};"),
    "structs in a short struct": ("struct s", "struct s { " + "struct { " * 600 + "int a;" + "};" * 600 + "};"),
    "structs without an end": ("struct s", "struct s { " * 20_000),
    "structs of structs": (
        "struct s0", "".join(f"struct s{i} {{ struct s{i + 1} a; struct s{i + 1} b; }};\n" for i in range(5_000))
    ),
    "many members": ("struct s", "struct s {" + "int a;" * 80_000 + "};"),
    "many declarators": ("struct s", "struct s {" + "int a" + ",b" * 100_000 + ";};"),
    "blanks": ("struct s", "struct" + " " * 400_000 + "s;"),
    "the word typedef": ("x", "typedef " * 40_000 + "x;"),
    "a chain of typedefs": ("t0", "".join(f"typedef t{i + 1} t{i};\n" for i in range(20_000))),
    "a ring of typedefs": ("a", "typedef a b; typedef b a;"),
    "a struct of itself": ("struct s", "struct s { struct s a; };"),
    "a long enum": ("enum e", "enum e { V0," + ",".join(f"V{i} = V{i - 1} + 1" for i in range(1, 30_000)) + "};"),
    "a ring of enumerators": ("enum e", "enum e { A = B, B = A };"),
    "a chain of enumerators": (
        "enum e0", "".join(f"enum e{i} {{ X{i} = X{i + 1} + X{i + 2} }};\n" for i in range(3_000))
    ),
    "a long word": ("struct s", "}" + "a" * 400_000),
    "short words": ("struct s", ("}" + "a " * 40) * 8_000),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_an_absurd_declaration_is_refused(name: str) -> None:
    with bounded():
        facts = read_text(REFUSED[name], X86_64)
    assert not facts.classes
    assert {"header-field", "header-parameter"} & {diagnostic.code for diagnostic in facts.skipped}


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_absurd_definition_is_unknown(name: str) -> None:
    ctype, before = UNKNOWN[name]
    with bounded():
        facts = read_text(event(f"__field({ctype}, x)", before=before), X86_64)
    assert [unknown_field(cls, X86_64) is not None for cls in facts.classes] == [True]


@pytest.mark.parametrize("length", ["A", "A60", "1 << 63 << 63", "X", "1" + " + 1" * 50_000])
def test_an_absurd_length_is_unknown(length: str) -> None:
    rings = "#define A B\n#define B A\nenum { X = Y, Y = X };\n#define A0 1\n"
    growing = "".join(f"#define A{i + 1} (A{i}+A{i})\n" for i in range(60))
    with bounded():
        facts = read_text(event(f"__array(int, x, {length})", before=rings + growing), X86_64)
    assert all(unknown_field(cls, X86_64) for cls in facts.classes)
    assert facts.classes or [d.code for d in facts.skipped] == ["header-expansion-limit"]


BLANKS = " " * 300_000
#: Headers in which one pattern would look again and again at the same text.
REPEATED = {
    "a pragma": event(before=f"#pragma pack({BLANKS}\nstruct s {{ int a; }};"),
    "a word of the family in a line": event(before="EVENT" * 100_000),
    "a define": event(before=f"#define A{BLANKS}y"),
    "an expression": event(before=f"#if A{BLANKS}\n#endif"),
    "includes in a line": event(before="#include <" * 50_000),
    "defines in a line": event(before="#define z" * 50_000),
    "blanks behind a member": event(entry=f"__array(int, x, 3{BLANKS})"),
    "heads of one event": event(before="#ifdef A\nTRACE_EVENT(x, TP_PROTO(\n#endif\n" * 3_000),
    "macros with two definitions": event(
        before="".join(
            f"#ifdef A\n#define M{n} M{n + 1} a\n#else\n#define M{n} M{n + 1} b\n#endif\n" for n in range(3_000)
        ),
        proto="M0 int a",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REPEATED)
def test_repetition(name: str) -> None:
    with bounded():
        facts = read_text(REPEATED[name], X86_64)
    assert {event.name for event in facts.events} >= ({"test"} if "two" not in name and "heads" not in name else set())


#: Headers of one event that costs itself alone, with what is said of it.
LARGE = {
    "words around a record": (event("TP_STRUCT__entry(" * 60_000 + "__field(int, x)" + ")" * 60_000), "header-field"),
    "words around arguments": (
        event(proto="TP_PROTO(" * 60_000 + "int a" + ")" * 60_000),
        "header-args-order header-parameter",
    ),
    "words without an end": (event("TP_STRUCT__entry(" * 60_000), "header-unbalanced"),
    "fields of no macro": (event(" ".join(f"__feild(int, x{n})" for n in range(30_000))), "header-field"),
    "fields of no type": (event(" ".join(f"__field(in {n} t, x{n})" for n in range(10_000))), "header-field"),
    "arguments": (event(proto=", ".join(f"int a{n}" for n in range(30_000))), "header-args-order"),
}


@pytest.mark.parametrize("name", LARGE)
def test_a_large_event(name: str) -> None:
    text, expected = LARGE[name]
    with bounded():
        facts = read_text(text + "DECLARE_TRACE(last, TP_PROTO(int a), TP_ARGS(a));", X86_64)
    codes = [diagnostic.code for diagnostic in facts.skipped]
    assert (sorted(set(codes)), len(codes) <= 64) == (expected.split(), True)
    assert facts.events[-1].name == "last"


def test_words_around_one_another() -> None:
    """As deep as any kernel has them, and some more."""
    facts = read_text(event("TP_STRUCT__entry(" * 15 + "__field(int, x)" + ")" * 15, "TP_PROTO(PARAMS(int a))"), X86_64)
    assert ([field.name for field in facts.classes[0].fields], len(facts.events[0].args)) == (["x"], 1)


def test_many_bad_fields() -> None:
    facts = read_text(event(" ".join(f"__feild(int, x{n})" for n in range(70))), X86_64)
    told = [diagnostic.message for diagnostic in facts.skipped]
    assert (len(told), told[0]) == (64, told[-1].replace("x63", "x0").replace(" (nor 6 of its other fields)", ""))


@pytest.mark.parametrize(
    "text", ["\n" * 200_000, "/*" * 200_000, '{"a", 0x' + "1" * 200_000, '{"a", 0x1' + "|0x1" * 90_000]
)
def test_the_table_of_null_arguments(text: str) -> None:
    with bounded():
        assert parse_null_args("raw_tp_null_args[] = {" + text) is None
        assert parse_null_args("raw_tp_null_args[] = {" + text + "\n};") is not None


def test_numbers_that_no_type_holds() -> None:
    """They are unknown, not as long as somebody writes them."""
    digits = "9" * 6_000
    before = f"#if {digits} * {digits} && KERNEL_VERSION({digits}, 1, 1)\n#endif\n"
    before += f"struct s {{ int a; }} __aligned({digits});"
    text = event("__array(char, x, 1 << 63 << 63 << 63) __field(struct s, s)", before=before)
    facts = read_text(text, X86_64)
    assert [field.name for field in facts.classes[0].fields] == ["x", "s"]
    assert evaluate("1 << 63 << 63", FixedEnvironment({})) is None
    assert evaluate("(1 << 63) - 1 > 0", FixedEnvironment({})) == 1
