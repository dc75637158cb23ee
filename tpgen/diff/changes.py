"""The differences between two kernels' events, and which programs each of them breaks."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from functools import cache, reduce
from operator import or_
from typing import TypeAlias

from tpgen.basics.frozen import frozen
from tpgen.diagnostics import Diagnostic
from tpgen.model import Argument, Event, Field, Kind
from tpgen.programs.compat import Programs
from tpgen.programs.forms import Form
from tpgen.target import Target
from tpgen.typequery import same_type


class Consequence(StrEnum):
    """Kinds of programs that a change breaks, in the order of a report."""

    RAW = "raw"
    TP_BTF = "tp_btf"
    CLASSIC = "classic"
    WITHOUT_CORE = "classic-without-core"
    WITH_CORE = "classic-with-core"
    HARMLESS = "harmless"


# What raw_tp programs use, tp_btf programs use as well.
_RAW = {Programs.RAW: Consequence.RAW, Programs.RAW_TP: Consequence.RAW, Programs.TP_BTF: Consequence.TP_BTF}
_CLASSIC = {
    Programs.CLASSIC: Consequence.CLASSIC, Programs.FIXED: Consequence.WITHOUT_CORE,
    Programs.CORE: Consequence.WITH_CORE,
}  # fmt: skip


@cache
def consequences(breaks: Programs) -> tuple[Consequence, ...]:
    """The one or two consequences of breaking these programs."""
    raw = (_RAW[breaks & Programs.RAW],) if breaks & Programs.RAW else ()
    classic = (_CLASSIC[breaks & Programs.CLASSIC],) if breaks & Programs.CLASSIC else ()
    return raw + classic or (Consequence.HARMLESS,)


class What(StrEnum):
    """Kinds of changes; the first word names the part of the event that changed."""

    EVENT_GONE = "event-gone"
    EVENT_NEW = "event-new"
    EVENT_RENAMED = "event-renamed"
    EVENT_MODULE = "event-module"
    EVENT_SYSTEM = "event-system"
    RAW_GONE = "raw-gone"
    RAW_NEW = "raw-new"
    ARGUMENT_ADDED = "argument-added"
    ARGUMENT_DROPPED = "argument-dropped"
    ARGUMENT_MOVED = "argument-moved"
    ARGUMENT_RETYPED = "argument-retyped"
    ARGUMENT_RENAMED = "argument-renamed"
    ARGUMENT_NULLNESS = "argument-nullness"
    RECORD_GONE = "record-gone"
    RECORD_NEW = "record-new"
    CLASS_RENAMED = "class-renamed"
    FIELD_ADDED = "field-added"
    FIELD_DROPPED = "field-dropped"
    FIELD_MOVED = "field-moved"
    FIELD_RESIZED = "field-resized"
    FIELD_RETYPED = "field-retyped"

    @property
    def form(self) -> Form | None:
        """Which of the two forms of an event the change is in; None for one of the event as a whole."""
        match self.partition("-")[0]:
            case "event":
                return None
            case "raw" | "argument":
                return Form.RAW
            case _:
                return Form.CLASSIC


#: An argument or a field; a name where a name changed. None on the side that has no such thing.
Thing: TypeAlias = Argument | Field | str | None


@frozen
class Change:
    """One change of an event, the programs that it breaks, and what stood there `before` and `after`."""

    what: What
    breaks: Programs
    before: Thing = None
    after: Thing = None


@frozen
class EventDiff:
    """An event of either kernel or of both, with all that changed. `unknown` forms could not be compared.

    Where only what programs touch is told, `programs` are the names of those that do.
    """

    before: Event | None
    after: Event | None
    changes: tuple[Change, ...]
    unknown: frozenset[Form] = frozenset()
    programs: tuple[str, ...] = ()

    @property
    def event(self) -> Event:
        """The event as the later kernel has it, else as the earlier had it."""
        event = self.after or self.before
        assert event is not None
        return event

    @property
    def breaks(self) -> Programs:
        """Every program that one of the changes breaks."""
        return reduce(or_, {change.breaks for change in self.changes}, Programs.NONE)


@frozen
class Side:
    """A kernel of the two: its `name` as the user gave it, its target, its uname -r where that is known."""

    name: str
    target: Target
    release: str | None


@frozen
class KernelsDiff:
    """Two kernels compared: an `EventDiff` per event, also of those that did not change.

    `notes` report what could not be compared.
    """

    before: Side
    after: Side
    events: tuple[EventDiff, ...]
    notes: tuple[Diagnostic, ...] = ()

    @property
    def changed(self) -> tuple[EventDiff, ...]:
        return tuple(event for event in self.events if event.changes)

    def counts(self) -> Counts:
        return count(self.events)


@frozen
class Tally:
    """Counts of the events that both kernels have, that changed, and that only the earlier or the later kernel has."""

    common: int
    changed: int
    gone: int
    new: int


@frozen
class Counts:
    """Counts of events of each sort: those with a tracepoint of their own, and apart from them `syscalls`.

    Of the tracepoints in common `another_number` have another number of raw arguments, `another_type` as many but one
    of another C type, and `another_layout` a record whose fields are not the same or not in the same place.
    `unknown_raw` and `unknown_layout` could not be compared. `consequences` are those of all changed events.
    """

    tracepoints: Tally
    syscalls: Tally
    another_number: int
    another_type: int
    another_layout: int
    unknown_raw: int
    unknown_layout: int
    consequences: dict[Consequence, int]


def count(events: Iterable[EventDiff]) -> Counts:
    """The counts of some events. One that breaks both raw and classic programs counts for both."""
    events = tuple(events)
    calls = [event for event in events if event.event.kind == Kind.SYSCALL]
    tracepoints = [event for event in events if event.event.kind != Kind.SYSCALL]
    both = [(e.before, e.after) for e in tracepoints if e.before is not None and e.after is not None]
    found = [consequence for event in events if event.changes for consequence in consequences(event.breaks)]
    return Counts(
        tracepoints=_tally(tracepoints),
        syscalls=_tally(calls),
        another_number=sum(_another_number(*pair) for pair in both),
        another_type=sum(_another_type(*pair) for pair in both),
        another_layout=sum(_another_layout(*pair) for pair in both),
        unknown_raw=sum(Form.RAW in event.unknown for event in tracepoints),
        unknown_layout=sum(Form.CLASSIC in event.unknown for event in tracepoints),
        consequences={consequence: found.count(consequence) for consequence in Consequence},
    )


def _tally(events: Iterable[EventDiff]) -> Tally:
    events = tuple(events)
    common = [event for event in events if event.before is not None and event.after is not None]
    return Tally(
        common=len(common),
        changed=sum(bool(event.changes) for event in common),
        gone=sum(event.after is None for event in events),
        new=sum(event.before is None for event in events),
    )


def _another_number(before: Event, after: Event) -> bool:
    return before.args is not None and after.args is not None and len(before.args) != len(after.args)


def _another_type(before: Event, after: Event) -> bool:
    if before.args is after.args:
        return False
    if before.args is None or after.args is None or len(before.args) != len(after.args):
        return False
    return not all(same_type(old.type, new.type) for old, new in zip(before.args, after.args, strict=True))


def _another_layout(before: Event, after: Event) -> bool:
    if not (is_placed(before) and is_placed(after)):
        return False
    assert before.record is not None and after.record is not None
    places = (
        [(field.member_name, field.offset_bytes, field.size_bytes) for field in record.fields]
        for record in (before.record, after.record)
    )
    return next(places) != next(places)


def is_placed(event: Event) -> bool:
    """Whether it is known of every field of the event's record where it is."""
    return event.record is not None and all(field.offset_bytes is not None for field in event.record.fields)


def has_record(event: Event) -> bool:
    """Whether the event has a record, known or not."""
    return event.kind != Kind.TRACEPOINT
