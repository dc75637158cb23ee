"""States of an event: its facts on some kernels, and which of them are the same in a form.

Two are the same if `diff` finds no change between them. An unknown fact is no change.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from enum import Enum
from typing import Any, NamedTuple

from tpgen.basics.frozen import replace
from tpgen.diff.changes import Change, has_record, is_placed
from tpgen.diff.compare import argument_changes, field_changes
from tpgen.history.tracks import newest, oldest
from tpgen.kernel.events import EventKey
from tpgen.model import Argument, Event, Record
from tpgen.programs.forms import Form
from tpgen.sources.source_tree.null_args import points_to_struct
from tpgen.target import Target
from tpgen.typequery import same_type


class Absent(Enum):
    """Reasons for a state to be in no group: the event has no such form there, or nobody knows."""

    NONE = "none"
    UNKNOWN = "unknown"


class State(NamedTuple):
    """The facts of an event on the kernels `mask`; `event` is that of one of them, `of`, whose target is `target`."""

    mask: int
    of: int
    key: EventKey
    event: Event
    target: Target


def lacks(event: Event, form: Form) -> Absent | None:
    """Why an event is in no group of a form; None where it is in one."""
    if form is Form.RAW:
        if event.syscall is not None or (event.args is not None and event.attach_name is None):
            return Absent.NONE
        return Absent.UNKNOWN if event.args is None else None
    if not has_record(event):
        return Absent.NONE
    return None if is_placed(event) else Absent.UNKNOWN


class Comparisons:
    """Comparisons of arguments and records, each made once: many events have those of one class, on many kernels."""

    def __init__(self) -> None:
        # Facts are known by their addresses, so whatever was asked about is kept.
        self._canonical: dict[Hashable, Any] = {}
        self._seen: dict[int, tuple[Any, Any]] = {}
        self._arguments: dict[tuple[int, int], tuple[Change, ...]] = {}
        self._fields: dict[tuple[int, int], tuple[Change, ...]] = {}
        self._unknowns: dict[int, int] = {}

    def shared(self, event: Event) -> Event:
        """The event with arguments and record that are the very ones of every other event with equal ones."""
        args, record = self._one(event.args), self._one(event.record)
        if args is event.args and record is event.record:
            return event
        return replace(event, args=args, record=record)

    def _one(self, fact: Any) -> Any:
        """The first fact that is equal to one."""
        if fact is None:
            return None
        seen = self._seen.get(id(fact))
        if seen is None:
            seen = self._seen[id(fact)] = (fact, self._canonical.setdefault(fact, fact))
        return seen[1]

    def of_arguments(self, old: tuple[Argument, ...], new: tuple[Argument, ...]) -> tuple[Change, ...]:
        """The changes from some arguments to others."""
        return self._compared(self._arguments, argument_changes, old, new)

    def of_fields(self, old: Record, new: Record) -> tuple[Change, ...]:
        """The changes from the fields of a record to those of another."""
        return self._compared(self._fields, field_changes, old, new)

    def _compared(
        self, known: dict[tuple[int, int], tuple[Change, ...]], compare: Callable[..., Any], old: Any, new: Any
    ) -> tuple[Change, ...]:
        if old is new:
            return ()
        old, new = self._one(old), self._one(new)
        pair = id(old), id(new)
        found = known.get(pair)
        if found is None:
            found = known[pair] = tuple(compare(old, new))
        return found

    # --- groups

    def grouped(self, states: Sequence[State], form: Form) -> list[list[State]]:
        """The states that have a form, those together where it is the same, in the order of their oldest kernels."""
        if len(states) < 2:
            return [list(states)] if states else []
        same = self._same_raw if form is Form.RAW else self._same_classic
        groups: list[list[State]] = []
        # What is known best makes the groups; what tells less comes to the first that it fits.
        for state in sorted(states, key=lambda state: (self.unknowns(state.event, form), oldest(state.mask))):
            fitting = (group for group in groups if all(same(state, other) for other in group))
            group = next(fitting, None)
            if group is None:
                groups.append([state])
            else:
                group.append(state)
        return sorted(groups, key=lambda group: min(oldest(state.mask) for state in group))

    def best(self, group: Sequence[State], form: Form) -> State:
        """The newest of the states with the most known facts."""
        if len(group) == 1:
            return group[0]
        return max(group, key=lambda state: (-self.unknowns(state.event, form), newest(state.mask)))

    def unknowns(self, event: Event, form: Form) -> int:
        """How many facts of a form are unknown that could make it another."""
        if form is Form.RAW:
            found = self._unknowns.get(id(event.args))
            if found is None:
                self._one(event.args)
                found = self._unknowns[id(event.args)] = sum(map(_unknown_facts, event.args or ()))
            return found
        fields = event.record.fields if event.record else ()
        return (event.class_name is None) + sum(field.type is None and field.dynamic is None for field in fields)

    def _same_raw(self, one: State, other: State) -> bool:
        """Whether two states have the same arguments. Between pointers of different sizes their declarations count."""
        a, b = one.event.args, other.event.args
        assert a is not None and b is not None
        if a is b:
            return True
        if len(a) != len(b):
            return False
        if one.target.pointer_size != other.target.pointer_size:
            return all(map(_declared_alike, a, b))
        return not self.of_arguments(a, b) and not self.of_arguments(b, a)

    def _same_classic(self, one: State, other: State) -> bool:
        """Whether two states have the same record, of the same class."""
        a, b = one.event, other.event
        if a.class_name and b.class_name and a.class_name != b.class_name:
            return False
        assert a.record is not None and b.record is not None
        return not self.of_fields(a.record, b.record) and not self.of_fields(b.record, a.record)


def _unknown_facts(arg: Argument) -> int:
    return (arg.name is None) + (arg.nullness is None and points_to_struct(arg))


def _declared_alike(a: Argument, b: Argument) -> bool:
    names = {a.name, b.name} - {None}
    nullness = {a.nullness, b.nullness} - {None}
    return len(names) < 2 and len(nullness) < 2 and same_type(a.type, b.type)
