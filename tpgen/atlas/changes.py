"""Changes between two kernels, from the histories of all events; and which kernels are compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

from tpgen.atlas.collect import Located
from tpgen.atlas.facts import Kernel
from tpgen.atlas.paths import path_of
from tpgen.basics.frozen import replace
from tpgen.diff.changes import Change, EventDiff, KernelsDiff, Side, What
from tpgen.diff.compare import attached, classic_changes, field_changes, lasts, raw_changes, whole_changes
from tpgen.history.facts import FormHistory, Group, Known
from tpgen.kernel.events import EventKey, KernelEvents
from tpgen.model import Event, Record
from tpgen.programs.compat import Programs
from tpgen.programs.forms import Form


def pairs(kernels: Sequence[Kernel]) -> tuple[tuple[Kernel, Kernel], ...]:
    """The pairs of kernels that have a page of changes, the earlier or more usual kernel first.

    Within a family each is compared with the next: what a step of the kernel changed. The oldest and the newest are
    compared too: what a program meets that is moved all the way. Across families the kernels of one series (6.12) are
    compared with that of the largest family: what an architecture or a flavour makes different. All pairs would be
    quadratic, and say nothing that these do not.
    """
    families: dict[str, list[Kernel]] = {}
    for kernel in kernels:
        families.setdefault(kernel.family, []).append(kernel)
    if not families:
        return ()
    found = [pair for family in families.values() for pair in pairwise(family)]
    found += [(family[0], family[-1]) for family in families.values() if len(family) > 2]
    # Of families of one size, that of the usual machine, and with the fewest words of a flavour.
    usual = min(families.values(), key=lambda family: (-len(family), not _is_usual(family[0]), family[0].family))
    of_series = {_series(kernel): kernel for kernel in usual}
    for family in families.values():
        if family is not usual:
            found += [(other, kernel) for kernel in family if (other := of_series.get(_series(kernel))) is not None]
    return tuple(found)


def _is_usual(kernel: Kernel) -> bool:
    return kernel.target.arch == "x86_64"


def _series(kernel: Kernel) -> str:
    """The release up to its second number, `6.12`; all of a release that has none."""
    major, _, rest = (kernel.release or kernel.name).partition(".")
    minor = rest[: next((at for at, letter in enumerate(rest) if not letter.isdigit()), len(rest))]
    return f"{major}.{minor}"


class _Places(NamedTuple):
    """An event by the names of kernels: the group of each form, its names, and the kernels that do not have it.

    -1 stands for kernels that have no such form; those of which it is unknown are missing.
    """

    groups: Mapping[Form, Mapping[str, int]]
    known: Mapping[str, Known]
    absent: frozenset[str]


class Compared(NamedTuple):
    """Two kernels compared: the path of their page, the events that changed, each with its path, and counts of all."""

    before: Kernel
    after: Kernel
    path: str
    diff: KernelsDiff
    counts: Mapping[str, int]
    event_paths: tuple[str, ...]


class Changes:
    """The changes of all events between any two kernels."""

    def __init__(self, events: Sequence[Located], opened: Mapping[str, KernelEvents]) -> None:
        self._events = events
        self._opened = opened
        self._places = [_places(each) for each in events]
        self._raw: dict[tuple[int, int, int], tuple[Change, ...]] = {}
        self._fields: dict[tuple[int, int], tuple[Change, ...]] = {}

    def between(self, before: Kernel, after: Kernel) -> Compared:
        """The changes from one kernel to the other."""
        counts = dict.fromkeys(("common", "changed", "gone", "new"), 0)
        found, paths = [], []
        for number, places in enumerate(self._places):
            kind, change = self._between(number, places, before, after)
            for name in kind:
                counts[name] += 1
            if change is not None:
                found.append(change)
                paths.append(self._events[number].path)
        sides = [Side(each.name, each.target, each.release) for each in (before, after)]
        diff = KernelsDiff(sides[0], sides[1], tuple(found))
        return Compared(before, after, path_of("changes", before.name, after.name), diff, counts, tuple(paths))

    def _between(
        self, number: int, places: _Places, before: Kernel, after: Kernel
    ) -> tuple[Sequence[str], EventDiff | None]:
        old, new = places.known.get(before.name), places.known.get(after.name)
        if old is None and new is None:
            return (), None
        history = self._events[number].history
        if old is None or new is None:
            lacking = before if old is None else after
            if lacking.name not in places.absent:
                return (), None
            event = self._event(number, before if old else after)
            if old is None:
                return ("new",), EventDiff(None, event, (Change(What.EVENT_NEW, Programs.NONE),))
            return ("gone",), EventDiff(event, None, (Change(What.EVENT_GONE, attached(event)),))
        changes: list[Change] = []
        if old is not new:
            one, other = _named(self._event(number, before), old), _named(self._event(number, after), new)
            changes += whole_changes(one, other)
        for form, of_form in ((Form.RAW, history.raw), (Form.CLASSIC, history.classic)):
            at = places.groups[form].get(before.name), places.groups[form].get(after.name)
            if None not in at and at[0] != at[1]:
                changes += self._of_form(number, of_form, form, (at[0] or 0, at[1] or 0), after)
        if not changes:
            return ("common",), None
        one, other = _named(self._event(number, before), old), _named(self._event(number, after), new)
        return ("common", "changed"), EventDiff(one, other, tuple(changes))

    def _event(self, number: int, kernel: Kernel) -> Event:
        """The event with the form that a kernel has."""
        history, places = self._events[number].history, self._places[number]
        for form, of_form in ((Form.CLASSIC, history.classic), (Form.RAW, history.raw)):
            if (at := places.groups[form].get(kernel.name, -1)) >= 0:
                return of_form.groups[at].event
        return _any_event(history.raw.groups + history.classic.groups, self._opened, kernel, places.known[kernel.name])

    def _of_form(
        self, number: int, history: FormHistory, form: Form, at: tuple[int, int], after: Kernel
    ) -> Iterable[Change]:
        if -1 in at:
            return (_whole_form(form, is_new=at[0] == -1),)
        old, new = (history.groups[place].event for place in at)
        if form is Form.RAW:
            known = self._raw.get((number, *at))
            if known is None:
                known = self._raw[number, at[0], at[1]] = tuple(raw_changes(old, new))
            return known
        return classic_changes(old, new, partial(self._class_lasts, after), self._field_changes)

    def _field_changes(self, old: Record, new: Record) -> tuple[Change, ...]:
        key = id(old), id(new)  # which the histories keep
        if key not in self._fields:
            self._fields[key] = tuple(field_changes(old, new))
        return self._fields[key]

    def _class_lasts(self, after: Kernel, name: str, record: Record) -> bool:
        return lasts(self._opened[after.name].records_of(name), record)


def _whole_form(form: Form, is_new: bool) -> Change:
    """The change that a form of an event is gone or new."""
    if form is Form.RAW:
        return Change(What.RAW_NEW, Programs.NONE) if is_new else Change(What.RAW_GONE, Programs.RAW)
    return Change(What.RECORD_NEW, Programs.NONE) if is_new else Change(What.RECORD_GONE, Programs.CLASSIC)


def _named(event: Event, known: Known) -> Event:
    """The event by the names that a kernel has for it."""
    if (event.system, event.name, event.module) == (known.system, known.name, known.module):
        return event
    return replace(event, system=known.system, name=known.name, module=known.module)


def _any_event(groups: Sequence[Group], opened: Mapping[str, KernelEvents], kernel: Kernel, known: Known) -> Event:
    """The event of a kernel that has neither form of it, or none that is known."""
    if groups:
        return groups[-1].event
    (event,) = opened[kernel.name].events([EventKey(known.system, known.name, known.module)])
    return event


def _places(located: Located) -> _Places:
    history = located.history
    groups = {}
    for form, of_form in ((Form.RAW, history.raw), (Form.CLASSIC, history.classic)):
        numbers = {kernel: number for number, group in enumerate(of_form.groups) for kernel in group.kernels}
        groups[form] = numbers | dict.fromkeys(of_form.none, -1)
    known = {kernel: known for known in history.known_as for kernel in known.kernels}
    return _Places(groups, known, frozenset(history.absent))
