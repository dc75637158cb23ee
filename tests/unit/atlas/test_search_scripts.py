"""The search index, line for line."""

from __future__ import annotations

import pytest

from tpgen.atlas.search.facts import IndexedEvent, SearchIndex
from tpgen.atlas.search.scripts import script_files

INDEX = SearchIndex(
    events=(
        IndexedEvent("sched", "sched_switch", "events/sched/sched_switch.html"),
        IndexedEvent("sched", "sched_stat_runtime", "events/sched/sched_stat_runtime.html"),
        IndexedEvent("sched", "sched_switch_Old", "events/sched/sched_switch_=old.html"),
        IndexedEvent("xhci-hcd", "con", "events/xhci-hcd/=0636fn.html"),
        IndexedEvent(None, "bare", "events/=/bare.html"),
        IndexedEvent("drm", "map", "events/drm/map.html"),
        IndexedEvent("drm", "map", "events/drm/map@xe.html", "xe"),
        IndexedEvent("xe", "xe_bo_move", "events/xe/xe_bo_move.html", is_of_module=True),
    ),
    arguments={"skb": 93, "sk": 1, "skb__nullable": 2},
    fields={"prev_state": 36},
    types={"struct sock": 71, "struct socket": 10, "unsigned long": 4, "pid_t": 1, "union u": 1},
    modules={"xe": 40},
    kernels=("debian-6.12-amd64", "fedora-7.0+x"),
)


def lines(name: str) -> list[str]:
    text = script_files(INDEX)[f"{name}.js"]
    start, end = f'atlas.take("{name}", `', "`);\n"
    assert text.startswith(start)
    assert text.endswith(end)
    return text.removeprefix(start).removesuffix(end).split("\n")


def test_events_share_what_the_name_before_begins_with() -> None:
    assert lines("events") == [
        "#event ", "0bare",
        "#event drm", "0map", "3@xe",
        "#event sched", "0sched_stat_runtime", "7witch", "c_Old",
        "#event xhci-hcd", "0con\t1\tevents/xhci-hcd/=0636fn.html",
        "#kernel", "0debian-6.12-amd64", "0fedora-7.0+x\t1\tkernels/fedora-7.0=02bx.html",
    ]  # fmt: skip


def test_events_of_modules_alone_have_a_file_of_their_own() -> None:
    assert lines("modules") == ["#event xe", "0xe_bo_move"]


def test_all_else_has_its_number_of_events() -> None:
    assert lines("others") == [
        "#argument", "0sk", "2b\t2l", "3__nullable\t2",
        "#field", "0prev_state\t10",
        "#type ", "0pid_t", "0unsigned long\t4",
        "#type struct", "0sock\t1z", "4et\ta",
        "#type union", "0u",
        "#module", "0xe\t14",
    ]  # fmt: skip


def test_more_than_one_digit_of_shared_letters() -> None:
    events = [IndexedEvent("s", "a" * 40 + end, f"events/s/{'a' * 40}{end}.html") for end in "bc"]
    text = script_files(SearchIndex(events, {}, {}, {}, {}, ()))["events.js"]
    assert f"\nz{'a' * 5}c`" in text


@pytest.mark.parametrize(
    ("name", "line"), [("a`b", "0a\\`b"), ("${a}", "0\\${a}"), ("a\\b", "0a\\\\b"), ("<b>", "0<b>")]
)
def test_a_name_ends_no_text(name: str, line: str) -> None:
    text = script_files(SearchIndex((), {name: 1}, {}, {}, {}, ()))["others.js"]
    shown, _, path = text.removeprefix('atlas.take("others", `#argument\n').removesuffix("`);\n").split("\t")
    assert (shown, path[:10]) == (line, "arguments/")


@pytest.mark.parametrize("name", ["a\nb", "a\tb", "a\rb", "a\0b", ""])
def test_a_name_that_breaks_lines_is_left_out(name: str) -> None:
    text = script_files(SearchIndex((), {name: 1, "b": 1}, {}, {}, {}, ()))["others.js"]
    assert text == 'atlas.take("others", `#argument\n0b`);\n'


def test_the_order_of_what_is_given_does_not_matter() -> None:
    other = SearchIndex(
        tuple(reversed(tuple(INDEX.events))), dict(reversed(INDEX.arguments.items())), INDEX.fields,
        dict(reversed(INDEX.types.items())), INDEX.modules, tuple(reversed(tuple(INDEX.kernels))),
    )  # fmt: skip
    assert script_files(other) == script_files(INDEX)
