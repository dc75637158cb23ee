"""The histories of events over several kernels.

Facts are compared once, however many kernels have them: catalogs have equal facts in one row. Only of what differs the
events themselves are read, those of one kernel for each fact.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from tpgen.basics.frozen import replace
from tpgen.basics.memo import memoised
from tpgen.basics.progress import counted
from tpgen.diagnostics import Diagnostic, Severity
from tpgen.diff.compare import lasts
from tpgen.diff.nullness import held_for_valid, is_open
from tpgen.history.breaks import Line, Occurrence, breaks
from tpgen.history.facts import Break, EventHistory, FormHistory, Group, History, Known
from tpgen.history.identity import Identities
from tpgen.history.kernels import Ordered, ordered
from tpgen.history.states import Absent, Comparisons, State, lacks
from tpgen.history.tracks import Track, bits, newest, places_of
from tpgen.kernel.events import EventKey, KernelEvents, Part, meant
from tpgen.kernel.request import is_glob
from tpgen.model import Event, Record
from tpgen.programs.forms import Form
from tpgen.variants.select import select_keys


def histories(kernels: Mapping[str, KernelEvents], patterns: Sequence[str] = (), module: str | None = None) -> History:
    """The histories of the events that any of the patterns means on any of the kernels; of all without one.

    Kernels go by the names of the mapping. Raises `unknown-event` for a pattern that means none.
    """
    order = ordered(kernels)
    fleet = _Fleet(order, [kernels[kernel.name] for kernel in order.kernels])
    wanted = _selected(kernels, patterns or ("*",), module) if patterns or module is not None else None
    names = None if wanted is None or len(wanted) > _MANY else {key.name for key in wanted}
    identities = Identities(fleet.kernels, order.steps, names)
    found = [track for track in identities.tracks() if wanted is None or not wanted.isdisjoint(track.keys)]
    events = sorted(fleet.histories(found), key=lambda each: (each.newest.system or "", each.newest.name))
    return History(order.kernels, tuple(events), tuple(_notes(order)))


# Bytes of a pointer that is as wide as a raw argument.
_WIDE = 8
# For so many events those of all kernels are read at once.
_MANY = 200


def _selected(kernels: Mapping[str, KernelEvents], patterns: Sequence[str], module: str | None) -> set[EventKey]:
    """The events that any of the patterns means on any of the kernels. Raises `unknown-event`."""
    stored = [kernel for kernel in kernels.values() if kernel.is_stored]
    globs = [pattern for pattern in patterns if is_glob(pattern)] if len(stored) == len(kernels) > 1 else []
    found = select_keys(kernels, [pattern for pattern in patterns if pattern not in globs], module)
    wanted = {key for keys in found.values() for key in keys}
    if globs:
        every = places_of(stored, None)  # each event once, however many kernels have it
        for pattern in globs:
            matching = meant(every, pattern, module)
            if not matching:
                stored[-1].select(pattern, module)  # which raises
            wanted.update(matching)
    return {key for key in wanted if not key.dynamic}


def _notes(order: Ordered) -> Iterable[Diagnostic]:
    if order.unplaced:
        message = f"the releases of {', '.join(order.unplaced)} are unknown, so they stand last"
        yield Diagnostic("history-order", message, severity=Severity.NOTE)


class _Fleet:
    """Kernels in their order, oldest first, and what is computed of them once for all events."""

    def __init__(self, order: Ordered, kernels: Sequence[KernelEvents]) -> None:
        self.kernels = kernels
        self._names = tuple(kernel.name for kernel in order.kernels)
        self._order = order
        # The kernels that were asked whether they hold each pointer for valid, and those that do.
        self._asked = self._valid = 0
        self._comparisons = Comparisons()
        self._subsets: dict[int, tuple[str, ...]] = {}
        self._all = (1 << len(kernels)) - 1
        self._narrow = sum(1 << place for place, kernel in enumerate(kernels) if kernel.target.pointer_size < _WIDE)
        self._wide = self._all & ~self._narrow

    def histories(self, found: Sequence[Track]) -> Iterable[EventHistory]:
        """The history of each track."""
        events = self._events(found)
        modules = sum(1 << place for place in range(len(self.kernels)) if self._tells(place, Part.MODULES))
        line = Line(self._names, self._order.follows, self._order.in_family, modules)
        for track in counted("comparing events", found):
            states = list(self._states(track, events))
            yield self._history(track, states, line)

    def _states(self, track: Track, events: Mapping[tuple[int, EventKey], Event]) -> Iterable[State]:
        """The states of an event, each once, whether kernels with equal facts are of one file or not."""
        found: dict[tuple[object, ...], State] = {}
        for state in self._read_states(track, events):
            event = state.event
            forms = event.kind, event.attach_name is None, event.syscall is None, event.class_name
            facts = state.key, state.target.pointer_size, *forms, id(event.args), id(event.record)
            same = found.get(facts, state)
            newer = max(same, state, key=lambda each: each.of)
            found[facts] = newer._replace(mask=same.mask | state.mask)
        return found.values()

    def _read_states(self, track: Track, events: Mapping[tuple[int, EventKey], Event]) -> Iterator[State]:
        """The states of an event as they were read, and apart those of kernels that hold each pointer for valid.

        Those of kernels with narrow pointers are apart as well: what differs between widths is no change.
        """
        for key in track.keys:
            for mask in track.places[key].values():
                event = events[newest(mask), key]
                valid = self._all_valid(mask) if is_open(event.args or ()) else 0
                parts = ((mask & ~valid, False), (mask & valid, True))
                for part, is_valid in (
                    (part & width, of) for part, of in parts for width in (self._narrow, self._wide)
                ):
                    if part:
                        of = newest(part)
                        facts = event if of == newest(mask) else self.kernels[of].events([key])[0]
                        if is_valid:
                            facts = replace(facts, args=held_for_valid(facts.args or ()))
                        yield State(part, of, key, self._comparisons.shared(facts), self.kernels[of].target)

    def _all_valid(self, mask: int) -> int:
        """The kernels of a mask, and maybe others, whose verifiers hold each pointer for valid."""
        stores: dict[int, dict[int, KernelEvents]] = defaultdict(dict)
        for place in bits(mask & ~self._asked):
            stores[id(self.kernels[place].store)][1 << place] = self.kernels[place]
        for together in stores.values():
            self._valid |= next(iter(together.values())).all_valid_of_several(together)
        self._asked |= mask
        return self._valid

    def _events(self, found: Sequence[Track]) -> dict[tuple[int, EventKey], Event]:
        """The events that stand for all with the same facts, each of the newest kernel with these."""
        wanted: dict[int, list[EventKey]] = defaultdict(list)
        for track in found:
            for key in track.keys:
                for mask in track.places[key].values():
                    wanted[newest(mask)].append(key)
        events = {}
        for place, keys in wanted.items():
            for key, event in zip(keys, self.kernels[place].events(keys), strict=True):
                events[place, key] = event
        return events

    def _history(self, track: Track, states: Sequence[State], line: Line) -> EventHistory:
        mask = track.mask
        unknown = sum(1 << place for place in bits(self._all & ~mask) if not self._tells_of(place, track.keys))
        forms = {form: self._form(states, form) for form in Form}
        absent = self._all & ~mask & ~unknown
        found: tuple[Break, ...] = ()
        if absent or len(states) > 1:
            by_place = {place: state for state in states for place in bits(state.mask)}
            groups = {form: numbers for form, (_, numbers) in forms.items()}
            found = breaks(line, Occurrence(by_place, groups, absent), self._class_lasts, self._comparisons)
        return EventHistory(
            known_as=tuple(self._known(track, key) for key in track.keys),
            kernels=self._subset(mask),
            raw=forms[Form.RAW][0],
            classic=forms[Form.CLASSIC][0],
            breaks=found,
            absent=self._subset(absent),
            unknown=self._subset(unknown),
        )

    def _known(self, track: Track, key: EventKey) -> Known:
        kernels = self._subset(track.mask_of(key))
        return Known(key.system, key.name, key.module, kernels, track.because.get(key))

    def _form(self, states: Sequence[State], form: Form) -> tuple[FormHistory, dict[int, int]]:
        """A form of an event over all kernels, and for each state, by its identity, the number of its group."""
        masks = dict.fromkeys(Absent, 0)
        known = []
        numbers: dict[int, int] = {}
        for state in states:
            reason = lacks(state.event, form)
            if reason is None:
                known.append(state)
                continue
            masks[reason] |= state.mask
            if reason is Absent.NONE:
                numbers[id(state)] = -1
        groups = self._comparisons.grouped(known, form)
        numbers |= {id(state): number for number, group in enumerate(groups) for state in group}
        history = FormHistory(
            tuple(self._group(group, form) for group in groups),
            self._subset(masks[Absent.UNKNOWN]),
            self._subset(masks[Absent.NONE]),
        )
        return history, numbers

    def _group(self, group: Sequence[State], form: Form) -> Group:
        chosen = self._comparisons.best(group, form)
        mask = unsure = 0
        for state in group:
            mask |= state.mask
            if len(group) > 1 and self._knows_less(state.event, chosen.event, form):
                unsure |= state.mask
        return Group(self._subset(mask), self._names[chosen.of], chosen.event, self._subset(unsure))

    def _knows_less(self, event: Event, than: Event, form: Form) -> bool:
        return self._comparisons.unknowns(event, form) > self._comparisons.unknowns(than, form)

    def _subset(self, mask: int) -> tuple[str, ...]:
        """The names of the kernels in a mask; one tuple for all that have the same."""
        found = self._subsets.get(mask)
        if found is None:
            found = self._subsets[mask] = tuple(self._names[place] for place in bits(mask))
        return found

    def _tells_of(self, place: int, keys: Collection[EventKey]) -> bool:
        """Whether a kernel that does not have an event would have it among its own, were it there."""
        if any(key.module is not None for key in keys) and not self._tells(place, Part.MODULES):
            return False
        return all(key.system != "syscalls" for key in keys) or self._tells(place, Part.SYSCALLS)

    @memoised
    def _tells(self, place: int, part: Part) -> bool:
        return self.kernels[place].tells(part)

    def _class_lasts(self, place: int, name: str, record: Record) -> bool:
        return lasts(self.kernels[place].records_of(name), record)
