"""Why an event cannot be had in a form."""

from __future__ import annotations

import pytest

from tpgen.model import Event, Kind, Record
from tpgen.programs.forms import Form, missing


def event(kind: Kind, attach_name: str | None, record: Record | None = None) -> Event:
    return Event(
        system="s", name="e", module=None, kind=kind, attach_name=attach_name, class_name=None, class_origin=None,
        class_candidates=(), header=None, args=(), args_origin=None, names_origin=None, record=record,
        record_origin=None, print_fmt=None,
    )  # fmt: skip


BARE = "it is a bare tracepoint, which has no record"
UNKNOWN = "its record is unknown: neither tracefs, BTF nor headers have it"


@pytest.mark.parametrize(
    ("kind", "attach_name", "reason"),
    [
        (Kind.TRACEPOINT, "e", BARE),
        (Kind.TRACE_EVENT, "e", UNKNOWN),
        (Kind.TRACEPOINT, None, BARE),
        (Kind.TRACE_EVENT, None, UNKNOWN),
    ],
)
def test_no_record(kind: Kind, attach_name: str | None, reason: str) -> None:
    """A vendor hook is a bare tracepoint as well, though no program attaches to it."""
    assert missing(event(kind, attach_name), Form.CLASSIC) == reason


def test_record() -> None:
    assert missing(event(Kind.TRACE_EVENT, "e", Record(8, 8, ())), Form.CLASSIC) is None


def test_raw() -> None:
    assert missing(event(Kind.TRACE_EVENT, "e"), Form.RAW) is None
    assert missing(event(Kind.TRACE_EVENT, None), Form.RAW) == "it has no raw tracepoint of its own"
