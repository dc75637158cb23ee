"""Histories of events of small kernels: who shares them, what broke where, read off the declarations by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from support.declared import Declared, kernel

from tpgen.history.compute import histories
from tpgen.history.facts import EventHistory, History
from tpgen.kernel.events import KernelEvents
from tpgen.kernel.request import KernelRequest
from tpgen.opening import open_kernel


def opened(folder: Path, release: str, **events: Declared) -> KernelEvents:
    """A kernel of that release with these events."""
    btf = kernel(folder / release, **events)
    return open_kernel(KernelRequest(btf=(str(btf),), release=release, arch="x86_64", no_cache=True), lambda note: None)


def history_of(folder: Path, **kernels: Mapping[str, Declared]) -> History:
    """The history of all events of kernels, each by its release with `_` for the dots and signs between."""
    return histories({name: opened(folder, name[1:].replace("_", "."), **events) for name, events in kernels.items()})


def only(history: History) -> EventHistory:
    (event,) = history.events
    return event


def changes(event: EventHistory) -> list[tuple[list[tuple[str, str]], list[str]]]:
    """The breaks: their steps, and what changed."""
    return [
        ([(step.before, step.after) for step in each.steps], [str(change.what) for change in each.changes])
        for each in event.breaks
    ]


def test_equal_kernels_are_joined_and_breaks_are_where_they_differ(tmp_path: Path) -> None:
    two, three = {"event": Declared("int a, int b")}, {"event": Declared("int a, int b, int c")}
    event = only(history_of(tmp_path, v5_10=two, v6_10=three, v6_1=two, v6_9=three))
    assert [group.kernels for group in event.raw.groups] == [("v5_10", "v6_1"), ("v6_9", "v6_10")]
    assert [group.kernels for group in event.classic.groups] == [("v5_10", "v6_1", "v6_9", "v6_10")]
    assert changes(event) == [([("v6_1", "v6_9")], ["argument-added"])]
    assert (event.since, event.until, event.absent) == ("v5_10", "v6_10", ())


def test_what_is_taken_back_is_of_the_first_group_again(tmp_path: Path) -> None:
    old, new = {"event": Declared(fields="int a @8, int b @12")}, {"event": Declared(fields="int b @8, int a @12")}
    event = only(history_of(tmp_path, v5_1=old, v5_2=new, v5_3=old))
    assert [group.kernels for group in event.classic.groups] == [("v5_1", "v5_3"), ("v5_2",)]
    moved = ["field-moved", "field-moved"]
    assert changes(event) == [([("v5_1", "v5_2")], moved), ([("v5_2", "v5_3")], moved)]


def test_events_come_and_go(tmp_path: Path) -> None:
    with_it, without = {"event": Declared("int a"), "other": Declared()}, {"other": Declared()}
    event = history_of(tmp_path, v5_1=without, v5_2=with_it, v5_3=with_it, v5_4=without).events[0]
    assert event.title == "event"
    assert (event.kernels, event.absent) == (("v5_2", "v5_3"), ("v5_1", "v5_4"))
    assert changes(event) == [([("v5_1", "v5_2")], ["event-new"]), ([("v5_3", "v5_4")], ["event-gone"])]


@pytest.mark.parametrize("wanted", ["event", "event_tp"])
def test_patterns_pick_tracks(tmp_path: Path, wanted: str) -> None:
    kernels = {
        name: opened(tmp_path, name, event=Declared("int a"), event_tp=Declared("long b"), third=Declared())
        for name in ("5.1", "5.2")
    }
    assert [event.title for event in histories(kernels, [wanted]).events] == [wanted]


# --- renames, read off the commits that made them

PAGE = "struct page *page, struct address_space *mapping"
FOLIO = "struct folio *folio, struct address_space *mapping"
RECORD = "char[32] name @8, unsigned long index @40"


def names(event: EventHistory) -> list[tuple[str, tuple[str, ...]]]:
    return [(known.name, known.kernels) for known in event.known_as]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # "x" of DECLARE_TRACE(x), which became "x_tp" in Linux 6.16
        (("pelt_se", "int a", None), ("pelt_se_tp", "int a", None)),
    ],
)
def test_a_bare_tracepoint_that_got_the_suffix(
    tmp_path: Path, old: tuple[str, str, None], new: tuple[str, str, None]
) -> None:
    kernels = [{name: Declared(args, fields)} for name, args, fields in (old, new)]
    event = only(history_of(tmp_path, v6_1=kernels[0], v6_16=kernels[1]))
    assert names(event) == [("pelt_se", ("v6_1",)), ("pelt_se_tp", ("v6_16",))]
    assert changes(event) == [([("v6_1", "v6_16")], ["event-renamed"])]
