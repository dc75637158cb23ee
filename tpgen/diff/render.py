"""Reports of the differences between two kernels, as text and as JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import cache
from typing import Any

from tpgen.basics.frozen import frozen
from tpgen.diff.changes import (
    Change,
    Consequence,
    EventDiff,
    KernelsDiff,
    Side,
    Thing,
    What,
    consequences,
)
from tpgen.model import Argument, Event, Field
from tpgen.programs.compat import Programs
from tpgen.programs.forms import Form
from tpgen.show import arg_json, field_json
from tpgen.spelling import spell
from tpgen.target import Target

# --- for programs: docs/diff.md


def diff_json(found: KernelsDiff) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The two kernels with the counts, and the events that changed."""
    counts = found.counts()
    head = {
        "before": _side_json(found.before),
        "after": _side_json(found.after),
        "counts": {
            **asdict(counts.tracepoints),
            "another_number": counts.another_number,
            "another_type": counts.another_type,
            "another_layout": counts.another_layout,
            "unknown_raw": counts.unknown_raw,
            "unknown_layout": counts.unknown_layout,
            "syscalls": asdict(counts.syscalls),
            "consequences": {consequence.value: number for consequence, number in counts.consequences.items()},
        },
    }
    targets = found.before.target, found.after.target
    return head, [_event_json(event, *targets) for event in found.changed]


def _side_json(side: Side) -> dict[str, Any]:
    return {"name": side.name, "release": side.release, "arch": side.target.arch}


def _event_json(found: EventDiff, before: Target, after: Target) -> dict[str, Any]:
    return {
        "system": found.event.system,
        "name": found.event.name,
        "module": found.event.module,
        "class": found.event.class_name,
        "consequences": list(map(str, consequences(found.breaks))),
        **({"programs": list(found.programs)} if found.programs else {}),
        "changes": [change_json(change, before, after) for change in found.changes],
    }


def change_json(change: Change, before: Target, after: Target) -> dict[str, Any]:
    """A change between two kernels of these targets."""
    return {
        "change": change.what.value,
        "consequences": list(map(str, consequences(change.breaks))),
        "before": _thing_json(change.before, before),
        "after": _thing_json(change.after, after),
    }


def _thing_json(thing: Thing, target: Target) -> dict[str, Any] | str | None:
    match thing:
        case Argument():
            return arg_json(thing, target)
        case Field():
            return field_json(thing)
        case _:
            return thing


# --- for people

#: The headings of a report.
HEADINGS = {
    Consequence.RAW: "breaks raw programs",
    Consequence.TP_BTF: "breaks tp_btf programs only",
    Consequence.CLASSIC: "breaks classic programs",
    Consequence.WITHOUT_CORE: "breaks classic programs without CO-RE only",
    Consequence.WITH_CORE: "breaks classic programs with CO-RE only",
    Consequence.HARMLESS: "harmless",
}
_BOLD, _RESET = "\033[1m", "\033[m"
# Gone, new, otherwise.
_COLOURS = {"-": "\033[31m", "+": "\033[32m", "~": "\033[33m"}


@frozen
class _Entry:
    """Changes of one event that stand under one heading."""

    event: EventDiff
    changes: tuple[Change, ...]


def diff_text(found: KernelsDiff, colour: bool = False) -> str:
    """Every changed event below what it breaks, then the counts; `colour` for a terminal."""
    lines = []
    lonely = _lonely_modules(found)
    for consequence, entries in _grouped(found.changed).items():
        if entries:
            lines.append(_bold(HEADINGS[consequence], colour))
            lines += _section(entries, found, lonely, colour)
            lines.append("")
    return "".join(f"{line}\n" for line in (*lines, *_summary(found)))


def by_heading(found: KernelsDiff) -> Iterator[tuple[str, list[tuple[EventDiff, list[tuple[str, str]]]]]]:
    """The changed events below what they break, each with its changes: a sign (`-`, `+`, `~`) and what is said."""
    for consequence, entries in _grouped(found.changed).items():
        said = [
            (entry.event, list(dict.fromkeys((_sign(change), _said(change)) for change in entry.changes)))
            for entry in entries
        ]
        yield HEADINGS[consequence], said


def _grouped(events: Iterable[EventDiff]) -> dict[Consequence, list[_Entry]]:
    """The changes of each event below their consequences, so that each reader finds all that concerns them.

    The changes of a form stay together: what was added to the arguments explains why others moved.
    """
    groups: dict[Consequence, list[_Entry]] = {consequence: [] for consequence in Consequence}
    for event in events:
        shown: dict[Consequence, list[Change]] = defaultdict(list)
        breaks = event.breaks
        for change in event.changes:
            for consequence in _below(breaks, change):
                shown[consequence].append(change)
        for consequence, changes in shown.items():
            groups[consequence].append(_Entry(event, tuple(changes)))
    return groups


def _below(breaks: Programs, change: Change) -> tuple[Consequence, ...]:
    """The headings that a change stands below: those of all changes of its form of an event, which break so much."""
    form = change.what.form
    if form is None:
        return consequences(change.breaks)
    return _of_form(breaks, form)


@cache
def _of_form(breaks: Programs, form: Form) -> tuple[Consequence, ...]:
    return consequences(breaks & (Programs.RAW if form is Form.RAW else Programs.CLASSIC))


def _section(entries: Iterable[_Entry], found: KernelsDiff, lonely: set[str], colour: bool) -> Iterator[str]:
    """The events with their changes. A module that only one kernel has, a `lonely` one, takes one line."""
    whole: dict[tuple[str, What], int] = defaultdict(int)
    for entry in entries:
        event = entry.event.event
        lone = entry.changes[0].what
        if event.module in lonely and lone in (What.EVENT_GONE, What.EVENT_NEW):
            whole[event.module or "", lone] += 1
            continue
        yield f"  {_title(event)}{_users(entry.event)}"
        # What was both moved and retyped is one line.
        yield from dict.fromkeys(f"    {change_line(change, colour)}" for change in entry.changes)
    for (module, what), number in sorted(whole.items()):
        gone = what == What.EVENT_GONE
        missing = found.after if gone else found.before
        text = f"{_events(number)} of module {module}, of which {missing.name} has none"
        yield f"  {_coloured('-' if gone else '+', text, colour)}"


def _lonely_modules(found: KernelsDiff) -> set[str]:
    """The modules all of whose events only one kernel has."""
    modules: dict[bool, set[str]] = {True: set(), False: set()}
    for event in found.events:
        for known in (event.before, event.after):
            if known is not None and known.module is not None:
                modules[known is event.before].add(known.module)
    return modules[True] ^ modules[False]


def _title(event: Event) -> str:
    return event.title + (f" [{event.module}]" if event.module else "")


def _users(found: EventDiff) -> str:
    return f", of {', '.join(found.programs)}" if found.programs else ""


def _bold(text: str, colour: bool) -> str:
    return f"{_BOLD}{text}{_RESET}" if colour else text


def _coloured(sign: str, text: str, colour: bool) -> str:
    return f"{_COLOURS[sign]}{sign} {text}{_RESET}" if colour else f"{sign} {text}"


def _events(number: int, sort: str = "") -> str:
    return f"{number} {sort}event{'' if number == 1 else 's'}"


def change_line(change: Change, colour: bool = False) -> str:
    """A change in a line: `-` for what is gone, `+` for what is new, `~` for what is another."""
    return _coloured(_sign(change), _said(change), colour)


def _sign(change: Change) -> str:
    match change.what.rpartition("-")[2]:
        case "gone" | "dropped":
            return "-"
        case "new" | "added":
            return "+"
        case _:
            return "~"


def _said(change: Change) -> str:
    before, after = change.before, change.after
    match change.what:
        case What.EVENT_GONE | What.EVENT_NEW:
            return change.what.rpartition("-")[2]
        case What.RAW_GONE | What.RAW_NEW:
            return "its raw tracepoint"
        case What.RECORD_GONE | What.RECORD_NEW:
            return "its classic record"
        case What.EVENT_RENAMED:
            return f"renamed: {before} → {after}"
        case What.EVENT_MODULE | What.EVENT_SYSTEM | What.CLASS_RENAMED:
            return f"{change.what.removeprefix('event-').removesuffix('-renamed')}: {before} → {after}"
        case What.ARGUMENT_NULLNESS:
            assert isinstance(before, Argument) and isinstance(after, Argument)
            return f"{_place(after)}  {_declared(after)}: {before.nullness} → {after.nullness}"
        case _:
            things = [thing for thing in (before, after) if thing is not None]
            return f"{_arrow(map(_place, things))}  {_arrow(map(_declared, things))}"


def _arrow(texts: Iterable[str]) -> str:
    return " → ".join(dict.fromkeys(texts))


def _place(thing: Thing) -> str:
    match thing:
        case Argument():
            return f"ctx[{thing.slot}]"
        case Field():
            return "@?" if thing.offset_bytes is None else f"@{thing.offset_bytes}"
        case _:
            raise AssertionError("a name is in no place")


def _declared(thing: Thing) -> str:
    match thing:
        case Argument():
            return spell(thing.type, thing.name or f"arg{thing.slot}")
        case Field(dynamic=None):
            return thing.name if thing.type is None else spell(thing.type, thing.name)
        case Field():
            return f"__{thing.dynamic} {'?' if thing.type is None else spell(thing.type)} {thing.name}[]"
        case _:
            return str(thing)


def _summary(found: KernelsDiff) -> Iterator[str]:
    counts = found.counts()
    events, calls = counts.tracepoints, counts.syscalls
    yield (
        f"{found.before.name} → {found.after.name}: {_events(events.common, 'common ')}, {events.changed} changed"
        f" ({counts.another_number} in the number of raw arguments, {counts.another_type} in a type of one,"
        f" {counts.another_layout} in layout); {events.gone} gone, {events.new} new"
    )
    if calls.common or calls.gone or calls.new:
        common = _events(calls.common, "common ")
        yield f"of system calls: {common}, {calls.changed} changed; {calls.gone} gone, {calls.new} new"
    if found.changed:
        broken = counts.consequences
        yield (
            f"events that break raw programs: {broken[Consequence.RAW]}, "
            f"tp_btf ones only: {broken[Consequence.TP_BTF]}, classic ones: {broken[Consequence.CLASSIC]}, "
            f"those without CO-RE only: {broken[Consequence.WITHOUT_CORE]}, "
            f"those with CO-RE only: {broken[Consequence.WITH_CORE]}; "
            f"with harmless changes only: {broken[Consequence.HARMLESS]}"
        )
    for number, form in ((counts.unknown_raw, "raw arguments"), (counts.unknown_layout, "layout")):
        if number:
            yield f"{_events(number)}: {form} not compared, unknown in one of the kernels"
