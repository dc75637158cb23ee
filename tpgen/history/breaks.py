"""Breaks: what changed in an event from each kernel to the next one that knows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from tpgen.diff.changes import Change, Thing, What
from tpgen.diff.compare import attached, classic_changes, raw_changes, whole_changes
from tpgen.history.facts import Break, Step
from tpgen.history.states import Comparisons, State
from tpgen.model import Argument, Event, Field, Record
from tpgen.programs.compat import Programs
from tpgen.programs.forms import Form
from tpgen.spelling import spell

#: Tells whether a kernel, by its place, has a class of that name with just that record.
ClassLasts = Callable[[int, str, Record], bool]


class Line(NamedTuple):
    """The kernels in their order: their names, which each follows, and whether that is one of its family.

    `modules` are the kernels that tell of modules.
    """

    names: tuple[str, ...]
    follows: tuple[int | None, ...]
    in_family: tuple[bool, ...]
    modules: int


class Occurrence(NamedTuple):
    """An event as it is compared on each kernel: its state, and for each form the group that a state is in.

    Groups are numbers by the identity of a state. A form without a number is unknown there; -1 stands for all events
    that do not have it. `absent` are the kernels without the event.
    """

    states: Mapping[int, State]
    groups: Mapping[Form, Mapping[int, int]]
    absent: int


def breaks(line: Line, found: Occurrence, class_lasts: ClassLasts, comparisons: Comparisons) -> tuple[Break, ...]:
    """The breaks of an event, in the order of their first steps, each with all steps on which just that changed."""
    joined: dict[tuple[object, ...], tuple[list[Step], tuple[Change, ...]]] = {}
    for place, follows in enumerate(line.follows):
        if follows is None or found.states.get(place) is found.states.get(follows):
            continue
        changes: dict[int, list[Change]] = {}
        for before, change in _changes(line, found, place, class_lasts, comparisons):
            changes.setdefault(before, []).append(change)
        for before, of_step in sorted(changes.items()):
            width = (found.states.get(place) or found.states[before]).target.pointer_size
            steps, _ = joined.setdefault((width, *map(_told, of_step)), ([], tuple(of_step)))
            steps.append(Step(line.names[before], line.names[place]))
    return tuple(Break(tuple(steps), changes) for steps, changes in joined.values())


def _told(change: Change) -> tuple[object, ...]:
    """Whatever is told of a change: types by their spelling, since a `char` has another sign elsewhere."""
    return change.what, change.breaks, _thing(change.before), _thing(change.after)


def _thing(thing: Thing) -> object:
    match thing:
        case Argument():
            return thing.name, spell(thing.type), thing.slot, thing.nullness
        case Field():
            of_type = None if thing.type is None else spell(thing.type)
            return thing.member_name, of_type, thing.offset_bytes, thing.size_bytes
        case _:
            return thing


def _changes(
    line: Line, found: Occurrence, place: int, class_lasts: ClassLasts, comparisons: Comparisons
) -> Iterator[tuple[int, Change]]:
    """Changes up to the kernel at `place`, each with the kernel since which it came."""
    follows = line.follows[place]
    assert follows is not None
    state = found.states.get(place)
    if line.in_family[place]:
        before = found.states.get(follows)
        if before is None and state is not None and found.absent >> follows & 1:
            yield follows, Change(What.EVENT_NEW, Programs.NONE)
        if before is not None and state is None and found.absent >> place & 1:
            yield follows, Change(What.EVENT_GONE, attached(before.event))
    if state is None:
        return
    earlier = _earlier(line, place, found.states)
    if earlier is None:
        return
    old = found.states[earlier]
    if old.key != state.key:
        known = bool(line.modules >> earlier & 1 and line.modules >> place & 1)
        for change in whole_changes(old.event, state.event, known):
            yield earlier, change
    for form, groups in found.groups.items():
        earlier = _earlier(line, place, found.states, groups)
        if earlier is None or id(state) not in groups:
            continue
        old = found.states[earlier]
        if groups[id(old)] != groups[id(state)]:
            for change in _of_form(form, old.event, state.event, partial(class_lasts, place), comparisons):
                yield earlier, change


def _of_form(
    form: Form, old: Event, new: Event, class_lasts: Callable[[str, Record], bool], comparisons: Comparisons
) -> Iterable[Change]:
    if form is Form.CLASSIC:
        return classic_changes(old, new, class_lasts, comparisons.of_fields)
    return raw_changes(old, new, comparisons.of_arguments)


def _earlier(
    line: Line, place: int, states: Mapping[int, State], groups: Mapping[int, int] | None = None
) -> int | None:
    """The nearest kernel that a kernel follows and that has the event, with `groups` one whose form is known."""
    before = line.follows[place]
    while before is not None:
        state = states.get(before)
        if state is not None and (groups is None or id(state) in groups):
            return before
        before = line.follows[before]
    return None
