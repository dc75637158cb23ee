"""Names of values: what print formats say, what constants come to, and which of them an event's values have."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tpgen.kernel.symbols.constants import constant, in_field
from tpgen.kernel.symbols.facts import EventSymbols, Symbol, Symbols
from tpgen.kernel.symbols.of_event import Enumerators, event_symbols
from tpgen.kernel.symbols.print_text import Entry, PrintedField, Unread, printed_fields
from tpgen.model import Argument, CType, Dynamic, Enum, Event, Field, Int, Kind, Pointer, Record, Struct, Typedef
from tpgen.target import Target, target_named

X86 = target_named("x86_64")
INT, LONG, UNSIGNED = (Int(name, size, signed) for name, size, signed in (
    ("int", 4, True), ("long", 8, True), ("unsigned int", 4, False),
))  # fmt: skip

# --- print formats

_AB = (Entry("1", "A"), Entry("2", "B"))
_READ = {
    '"%s", __print_symbolic(REC->x, { 1, "A" }, { 2, "B" })': PrintedField("x", "", False, _AB, None),
    '"%s", __print_symbolic(__entry->x, {1,"A"},{2,"B"})': PrintedField("x", "", False, _AB, None),
    '"%s", __print_flags((REC->x), "|", { 1, "A" }, { 2, "B" })': PrintedField("x", "", True, _AB, None),
    '"%s", __print_flags((unsigned long)REC->x, "|", { 1, "A" }, { 2, "B" })': PrintedField("x", "", True, _AB, None),
    '"%s", __print_symbolic(REC->x & (3 | 4), {1, "A"}, {2, "B"})': PrintedField("x", "( 3 | 4 )", False, _AB, None),
    '"%s", __print_flags_u64(REC->x, "|", { 1, "A" }, { 2, "B" }, { -1, 0 })': PrintedField("x", "", True, _AB, None),
    '"%s", __print_flags(REC->x, "", {1, "A"}, {2, "B"}, {0, ((void *)0)})': PrintedField("x", "", True, _AB, None),
    '"%s", REC->x ? __print_flags(REC->x, "|", {1, "A"}, {2, "B"}) : "none"': PrintedField("x", "", True, _AB, "none"),
    '"a, b", REC->y, (REC->x & 3) ? __print_flags(REC->x & 3, "|", {1, "A"}, {2, "B"}) : "R"': PrintedField(
        "x", "3", True, _AB, "R"
    ),
    # Of another field, or of an expression, is what stands beside the call.
    '"%s", REC->y ? __print_flags(REC->x, "|", {1, "A"}, {2, "B"}) : "none"': PrintedField("x", "", True, _AB, None),
    '"%s", !REC->x ? __print_flags(REC->x, "|", {1, "A"}, {2, "B"}) : "none"': PrintedField("x", "", True, _AB, None),
    '"%s", __print_symbolic(REC->x, { 1, "A" " \\"," })': PrintedField("x", "", False, (Entry("1", 'A ",'),), None),
    '"__print_symbolic(REC->y, { 1, \\"A\\" })", __print_symbolic(REC->x, { (1 << 2), "A" })': PrintedField(
        "x", "", False, (Entry("( 1 << 2 )", "A"),), None
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", _READ)
def test_a_field_that_is_printed_as_names(text: str) -> None:
    assert printed_fields(text) == [_READ[text]]


@pytest.mark.parametrize(
    ("text", "subject", "field"),
    [
        ('__print_symbolic(REC->x >> 8, { 1, "A" })', "REC -> x >> 8", "x"),
        ('__print_symbolic((u8)REC->x, { 1, "A" })', "( u8 ) REC -> x", "x"),
        ('__print_flags(1 << REC->x, "|", { 1, "A" })', "1 << REC -> x", "x"),
        ('__print_symbolic(REC->a[1], { 1, "A" })', "REC -> a [ 1 ]", "a"),
        ('__print_symbolic(REC->x & REC->y, { 1, "A" })', "REC -> x & REC -> y", None),
        ('__print_symbolic(REC->x & 1 & 2, { 1, "A" })', "REC -> x & 1 & 2", "x"),
        ('__print_symbolic(REC->x & 6 >> 1 | 8, { 1, "A" })', "REC -> x & 6 >> 1 | 8", "x"),
        ("__print_symbolic(REC->x, NAMES)", "REC -> x", "x"),
        ("__print_symbolic(REC->x, { 1, NAME })", "REC -> x", "x"),
        ("__print_symbolic(REC->x, { })", "REC -> x", "x"),
        ('__print_symbolic(7, { 1, "A" })', "7", None),
    ],
)
def test_what_is_no_field_or_has_no_list_is_not_read(text: str, subject: str, field: str | None) -> None:
    assert printed_fields(text) == [Unread(subject, field)]


@pytest.mark.parametrize("text", ["", "__print_symbolic", "__print_symbolic(", '__print_symbolic(REC->x, { 1, "A',
                                  "__print_flags()", "__print_symbolic(,,)", "__print_symbolic)(", "}{)("])  # fmt: skip
def test_any_text_has_an_answer(text: str) -> None:
    assert all(isinstance(each, Unread | PrintedField) for each in printed_fields(text))


def test_much_text_takes_little_time() -> None:
    assert len(printed_fields('__print_symbolic(REC->x, { 1, "A" }) ' * 10_000)) == 32
    printed_fields("(" * 50_000 + "__print_symbolic(REC->x," * 20)
    printed_fields("REC->x ? __print_flags(REC->x, " + "{ 1, " * 10_000)


# --- constants


class _Names:
    """Some names; `enums` are found by a loader."""

    def __init__(self, known: dict[str, int] | None = None, enums: dict[str, dict[str, int]] | None = None) -> None:
        self._known = known or {}
        self._enums = enums or {}

    def value(self, name: str) -> int | None:
        return next((held[name] for held in self._enums.values() if name in held), self._known.get(name))

    def constant(self, text: str, target: Target) -> int | None:
        return constant(text, self, target)

    def type_named(self, name: str) -> CType | None:
        return {"gfp_t": Typedef("gfp_t", UNSIGNED), "s8": Typedef("s8", Int("signed char", 1, True))}.get(name)

    def enumerators(self, enum: str) -> Enumerators | None:
        return (tuple(self._enums[enum].items()), True) if enum in self._enums else None

    def enum_with(self, enumerator: str) -> str | None:
        return next((enum for enum, held in self._enums.items() if enumerator in held), None)


_CONSTANTS = [
    "1", "0x10", "017", "'a'", "1 << 3", "1U << 31", "1UL << 40", "(1 | 2) + 4", "-1", "-9ULL", "~0UL", "-5U", "~1",
    "( gfp_t)((((1UL))) << (10))", "(unsigned long)((gfp_t)1 | (gfp_t)2)", "~((gfp_t)4) & 0xffUL",
    "((((0x00 | 0x01 | 0x40) + 1) << 1) - 1)", "(s8)200", "(unsigned char)300", "(int)-1", "(gfp_t)-1", "A", "A | B",
    "1 << 31", "0x80000000", "2147483648", "sizeof(int)", "A ? 1 : 2", "7 / 2", "-7 / 2", "!A", "3 > 2",
]  # fmt: skip


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc judges")
def test_constants_are_what_a_compiler_makes_of_them(tmp_path: Path) -> None:
    """What it knows of no width it may leave open, but never tells otherwise than C."""
    found = {text: constant(text, _Names({"A": 5, "B": 8}), X86) for text in _CONSTANTS}
    known = {text: value & (1 << 64) - 1 for text, value in found.items() if value is not None}
    lines = ["typedef unsigned int gfp_t;", "typedef signed char s8;", "enum { A = 5, B = 8 };"]
    lines += [f'_Static_assert((unsigned long)({text}) == {value}UL, "{text}");' for text, value in known.items()]
    source = tmp_path / "constants.c"
    source.write_text("\n".join(lines) + "\n")
    done = subprocess.run(("gcc", "-fsyntax-only", source), capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert set(_CONSTANTS) - set(known) <= {"'a'", "-5U", "~0UL", "~1", "1 << 31", "sizeof(int)", "2147483648"}


@pytest.mark.parametrize("text", ["C", "A + C", "f(1)", "1 +", "", "((", '"a"', "A B", "(C)1", "x->y"])
def test_what_depends_on_anything_else_is_unknown(text: str) -> None:
    assert constant(text, _Names({"A": 5}), X86) is None


@pytest.mark.parametrize(
    ("value", "size", "signed", "flags", "held"),
    [
        (5, 4, True, False, 5),
        (-1, 4, True, False, -1),
        (-1, 4, False, False, None),  # no unsigned int is an unsigned long of all ones
        (-9, 8, False, False, (1 << 64) - 9),
        (1 << 31, 4, True, False, None),
        (1 << 31, 4, True, True, 1 << 31),
        (1 << 31, 4, False, True, 1 << 31),
        (256, 1, False, False, None),
        (1 << 63, 8, True, False, -(1 << 63)),
    ],
)
def test_the_value_of_the_field_that_is_printed_so(
    value: int, size: int, signed: bool, flags: bool, held: int | None
) -> None:
    found = in_field(value, size, signed, flags)
    assert (found if found is None or not (signed and size == 8) else found & (1 << 64) - 1) == (
        held if held is None or not (signed and size == 8) else held & (1 << 64) - 1
    )


# --- events

_REASON = Enum("reason", 4, False)
_ENUM = {"enum reason": {"REASON_NONE": 0, "REASON_FULL": 1, "REASON_LAST": 1}}


def _event(ctype: CType, *, dynamic: Dynamic | None = None, arg: CType | None = None) -> Event:
    fields = (Field("why", ctype, 8, 4, False, dynamic), Field("state", LONG, 16, 8, True))
    args = () if arg is None else (Argument("why", arg, 0),)
    about = dict.fromkeys(("class_origin", "header", "args_origin", "names_origin", "record_origin", "print_fmt"))
    return Event(system="sys", name="ev", module=None, kind=Kind.TRACE_EVENT, attach_name="ev", class_name="ev",
                 class_candidates=(), args=args, record=Record(8, 24, fields), **about)  # type: ignore[arg-type]  # fmt: skip


def _symbols(event: Event, *texts: str, names: _Names | None = None) -> EventSymbols:
    return event_symbols(event, texts, names or _Names(enums=_ENUM), X86)


def test_an_enum_has_its_enumerators_with_what_is_printed() -> None:
    named = _symbols(_event(_REASON, arg=_REASON), '"%s", __print_symbolic(REC->why, { 0, "none" }, { 1, "full" })')
    symbols = (Symbol(0, "REASON_NONE", "none"), Symbol(1, "REASON_FULL", "full"), Symbol(1, "REASON_LAST", "full"))
    expected = Symbols(symbols, "enum reason")
    assert named == EventSymbols(((0, expected),), (("why", expected),))


def test_what_is_printed_for_one_of_two_names_is_not_of_the_other() -> None:
    named = _symbols(_event(_REASON), '"%s", __print_symbolic(__entry->why, { REASON_FULL, "full" }, { 9, "odd" })')
    assert dict(named.fields)["why"].symbols == (
        Symbol(0, "REASON_NONE"), Symbol(1, "REASON_FULL", "full"), Symbol(1, "REASON_LAST"), Symbol(9, None, "odd"),
    )  # fmt: skip


def test_an_integer_that_is_printed_as_an_enum_is_one_to_the_loader() -> None:
    named = _symbols(_event(UNSIGNED, arg=_REASON), '"%s", __print_symbolic(__entry->why, { REASON_NONE, "none" })')
    assert named.fields == (("why", Symbols((Symbol(0, "REASON_NONE", "none"),), "enum reason")),)
    assert dict(named.args)[0].symbols[0] == Symbol(0, "REASON_NONE", "none")


def test_flags_have_masks_and_a_word_for_none_of_them() -> None:
    text = '"%s", REC->state & 3 ? __print_flags(REC->state & 3, "|", { 1, "S" }, { RUN, "D" }) : "R"'
    named = _symbols(_event(UNSIGNED), text, names=_Names({"RUN": 2}))
    symbols = (Symbol(0, None, "R"), Symbol(1, None, "S"), Symbol(2, "RUN", "D"))
    assert named.fields == (("state", Symbols(symbols, None, True, 3)),)


def test_names_of_headers_are_those_of_the_same_texts_and_values() -> None:
    shown = '"%s", __print_symbolic(REC->state, { 1, "S" }, { 2, "D" })'
    written = '"%s", __print_symbolic(__entry->state, { SLEEPS, "S" }, { OTHER, "D" })'
    named = _symbols(_event(UNSIGNED), shown, written, names=_Names({"SLEEPS": 1, "OTHER": 7}))
    assert dict(named.fields)["state"].symbols == (Symbol(1, "SLEEPS", "S"), Symbol(2, None, "D"))


def test_what_has_no_value_here_is_said() -> None:
    named = _symbols(_event(UNSIGNED), '"%s", __print_symbolic(REC->state, { 1, "S" }, { UNKNOWN, "U" })')
    assert dict(named.fields)["state"].symbols == (Symbol(1, None, "S"),)
    assert named.left_out == (("state", "nothing tells the values of U"),)
    named = _symbols(_event(UNSIGNED), '"%s", __print_symbolic(REC->state >> 1, { 1, "S" })')
    assert named == EventSymbols(left_out=(("state", "names are printed for `REC -> state >> 1`"),))


@pytest.mark.parametrize("ctype", [Pointer(_REASON), Struct("struct", "reason", 4, 4), Enum(None, 4, False)])
def test_other_types_have_no_names(ctype: CType) -> None:
    assert _symbols(_event(ctype, arg=ctype)) == EventSymbols()


def test_an_enum_without_a_tag_goes_by_its_typedef() -> None:
    names = _Names(enums={"reason_t": {"NONE": 0}})
    named = _symbols(_event(UNSIGNED, arg=Typedef("reason_t", Enum(None, 4, False))), names=names)
    assert named.args == ((0, Symbols((Symbol(0, "NONE"),), "reason_t")),)


def test_names_that_are_none_in_c_are_dropped() -> None:
    names = _Names(enums={"enum reason": {"int": 0, "a*/": 1, "b c": 2, "ok": 3, "": 4}})
    named = _symbols(_event(_REASON), '"%s", __print_symbolic(REC->why, { 3, "\\u00e9" }, { 3, "x\\ny" })', names=names)
    assert dict(named.fields)["why"].symbols == (Symbol(3, "ok"),)
