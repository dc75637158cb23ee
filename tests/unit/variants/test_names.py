"""Names of values on several kernels: what the loader finds, what is the same everywhere, what tells kernels apart."""

from __future__ import annotations

import pytest
from support.catalogs import X86_64

from tpgen.backends.bpf.names import names_header
from tpgen.backends.bpf.prelude import Prelude
from tpgen.kernel.symbols.facts import EventSymbols, Symbol, Symbols
from tpgen.model import Argument, CType, Enum, Event, Field, Int, Kind, Origin, Record
from tpgen.programs.forms import Form
from tpgen.variants.names import JoinedName, JoinedNames, NamedView, NamePlace, join_names
from tpgen.variants.views import KernelView

INT, LONG = Int("int", 4, True), Int("long", 8, True)
REASON = Enum("reason", 4, False)


def named(
    kernel: str, symbols: Symbols | None, ctype: CType = INT, *, more: int = 0, fields: tuple[str, ...] = ()
) -> NamedView:
    """A kernel whose event has the argument and the field `why`, `more` arguments, and other `fields`."""
    args = (Argument("why", ctype, 0), *(Argument(f"a{n}", LONG, n + 1) for n in range(more)))
    record = Record(8, None, (Field("why", ctype, 8, 4, ctype is INT), *(Field(f, INT, 12, 4, True) for f in fields)))
    event = Event(
        system="sys", name="ev", module=None, kind=Kind.TRACE_EVENT, attach_name="ev", class_name="ev",
        class_origin=None, class_candidates=(), header=None, args=args, args_origin=Origin.BTF, names_origin=Origin.BTF,
        record=record, record_origin=Origin.BTF, print_fmt=None,
    )  # fmt: skip
    found = EventSymbols(((0, symbols),), (("why", symbols),)) if symbols else EventSymbols()
    return NamedView(KernelView(kernel, event, X86_64, lambda name: (record,) if name == "ev" else ()), found)


def printed(**values: int) -> Symbols:
    """What is printed for values, without a name in C."""
    return Symbols(tuple(Symbol(value, None, text) for text, value in values.items()))


def of_enum(**values: int) -> Symbols:
    return Symbols(tuple(Symbol(value, name) for name, value in values.items()), "enum reason")


def joined(*views: NamedView, form: Form = Form.CLASSIC) -> JoinedNames:
    (found,) = join_names(views, form)
    return found


def numbers(found: JoinedNames) -> dict[str, list[int]]:
    return {each.key: [place.value for place in each.places] for each in found.names}


def test_enumerators_are_found_by_the_loader_wherever_they_moved() -> None:
    found = joined(named("1", of_enum(A=1), REASON), named("2", of_enum(B=1, A=2), REASON))
    assert found.enum == "enum reason"
    assert found.names == (
        JoinedName("B", "B", None, (("2", 1),), ()), JoinedName("A", "A", None, (("2", 2), ("1", 1)), ()),
    )  # fmt: skip
    assert found.omitted == ()


def test_what_is_printed_for_the_same_number_everywhere_is_a_constant() -> None:
    found = joined(named("1", printed(S=1, D=2)), named("2", printed(S=1, D=2), more=1))
    assert found.enum is None
    assert [each.places for each in found.names] == [(NamePlace((), 1),), (NamePlace((), 2),)]


@pytest.mark.parametrize("other", [{"more": 1}, {"fields": ("new",)}])
def test_numbers_that_moved_go_by_what_tells_the_kernels_apart(other: dict[str, object]) -> None:
    found = joined(named("1", printed(S=1)), named("2", printed(S=7, D=2), **other))  # type: ignore[arg-type]
    assert numbers(found) == {"S": [7, 1], "D": [2]}
    assert all(place.when for each in found.names for place in each.places)


def test_numbers_that_moved_between_kernels_that_nothing_tells_apart_are_left_out() -> None:
    found = joined(named("old", printed(S=1, D=2)), named("new", printed(S=7, D=2, E=3)))
    assert numbers(found) == {"D": [2]}
    assert {each.name: each.reason for each in found.omitted} == {
        "'S'": "it is 1 on old, 7 on new, and nothing at load tells these kernels apart",
        "'E'": "it is 3 on new, not there on old, and nothing at load tells these kernels apart",
    }


def test_a_kernel_of_which_no_names_are_known_is_no_kernel_with_the_same() -> None:
    found = joined(named("old", None), named("new", printed(S=1)))
    assert found.names == ()
    assert [each.reason for each in found.omitted] == [
        "it is 1 on new, unknown on old, and nothing at load tells these kernels apart"
    ]


def test_names_in_c_are_those_of_the_kernels_that_tell_them() -> None:
    """An integer goes by what is printed, which every source tells: the words are the same whatever the set."""
    headers = Symbols((Symbol(1, "TASK_INTERRUPTIBLE", "S"),))
    found = joined(named("1", headers), named("2", printed(S=1)))
    assert found.names == (JoinedName("S", "TASK_INTERRUPTIBLE", "S", (("2", 1), ("1", 1)), (NamePlace((), 1),)),)


def test_an_enumerator_by_its_text_is_found_where_all_kernels_name_it() -> None:
    one = Symbols((Symbol(1, "MODE_A", "a"),), "enum mode")
    other = Symbols((Symbol(2, "MODE_A", "a"),), "enum mode")
    assert joined(named("1", one), named("2", other)).names[0].places == ()
    renamed = Symbols((Symbol(2, "MODE_B", "a"),), "enum mode")
    found = joined(named("1", one), named("2", renamed, more=1))
    assert (numbers(found), found.names[0].name) == ({"a": [2, 1]}, None)


@pytest.mark.parametrize(
    ("texts", "keys"),
    [
        (("a b",), ["a_b"]), (("x-y ",), ["x_y"]), (("1G",), ["_1G"]), (("default",), ["default"]),
        (("a b", "a-b"), []), (("*/",), []), (("tpgen_x",), []), (("é",), []), (("X",), ["X"]),
    ],
)  # fmt: skip
def test_words_for_texts(texts: tuple[str, ...], keys: list[str]) -> None:
    symbols = Symbols(tuple(Symbol(number, None, text) for number, text in enumerate(texts)))
    found = joined(named("1", symbols))
    assert [each.key for each in found.names] == keys
    assert len(found.omitted) == len(texts) - len(keys)


def test_one_text_for_two_values_names_none() -> None:
    symbols = Symbols((Symbol(1, None, "a"), Symbol(2, None, "a"), Symbol(3, None, "b")))
    found = joined(named("1", symbols))
    assert (numbers(found), [each.reason for each in found.omitted]) == (
        {"b": [3]},
        ["it is printed for several values"],
    )


@pytest.mark.parametrize("name", ["A___B", "A_"])
def test_enumerators_that_a_loader_takes_for_others_are_constants(name: str) -> None:
    found = joined(named("1", of_enum(**{name: 4}), REASON))
    assert numbers(found) == {name: [4]}


def test_a_header_says_what_it_has_not() -> None:
    views = (named("old", printed(S=1)), named("new", printed(S=7, D=2)))
    header = names_header(
        views[-1].view.event,
        {Form.CLASSIC: join_names(views, Form.CLASSIC)},
        [each.view for each in views],
        "x",
        "y",
        Prelude(is_shared=False),
    )
    assert header.name == "y.h"
    assert " * Without 'S' of field why: it is 1 on old, 7 on new, and" in str(header.content)
