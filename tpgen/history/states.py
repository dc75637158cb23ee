"""States of an event: its facts on some kernels, and which of them are the same in a form.

Two are the same where `diff` finds no change from one to the other. What one does not tell is no change.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from tpgen.diff.changes import Change, has_record, is_placed
from tpgen.diff.compare import argument_changes, classic_changes
from tpgen.history.tracks import newest, oldest
from tpgen.kernel.events import EventKey
from tpgen.model import Argument, Event, Record
from tpgen.programs.forms import Form
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


def grouped(states: Sequence[State], form: Form) -> list[list[State]]:
    """The states that are in a group of a form, each with those that are the same, in the order of their oldest."""
    same = same_raw if form is Form.RAW else same_classic
    groups: list[list[State]] = []
    # What is known best makes the groups; what tells less comes to the first that it fits.
    for state in sorted(states, key=lambda state: (unknowns(state.event, form), oldest(state.mask))):
        fitting = (group for group in groups if all(same(state, other) for other in group))
        group = next(fitting, None)
        if group is None:
            groups.append([state])
        else:
            group.append(state)
    return sorted(groups, key=lambda group: min(oldest(state.mask) for state in group))


def best(group: Sequence[State], form: Form) -> State:
    """The newest of the states of which most is known."""
    return max(group, key=lambda state: (-unknowns(state.event, form), newest(state.mask)))


def unknowns(event: Event, form: Form) -> int:
    """How many facts of a form are unknown that could make it another."""
    if form is Form.CLASSIC:
        fields = event.record.fields if event.record else ()
        return (event.class_name is None) + sum(field.type is None and field.dynamic is None for field in fields)
    return sum((arg.name is None) + (_may_be_null(arg) and arg.nullness is None) for arg in event.args or ())


def _may_be_null(arg: Argument) -> bool:
    from tpgen.sources.source_tree.null_args import points_to_struct

    return points_to_struct(arg)


def same_raw(one: State, other: State) -> bool:
    """Whether two states have the same raw arguments. Between pointers of different sizes, their declarations count."""
    a, b = one.event.args, other.event.args
    assert a is not None and b is not None
    if a == b:
        return True
    if len(a) != len(b):
        return False
    if one.target.pointer_size != other.target.pointer_size:
        return all(map(_declared_alike, a, b))
    return not any(argument_changes(a, b)) and not any(argument_changes(b, a))


def _declared_alike(a: Argument, b: Argument) -> bool:
    names = {a.name, b.name} - {None}
    nullness = {a.nullness, b.nullness} - {None}
    return len(names) < 2 and len(nullness) < 2 and same_type(a.type, b.type)


def same_classic(one: State, other: State) -> bool:
    """Whether two states have the same record, of the same class."""
    return not any(_record_changes(one, other)) and not any(_record_changes(other, one))


def _record_changes(one: State, other: State) -> list[Change]:
    return list(classic_changes(one.event, other.event, _is_not_asked))


def _is_not_asked(class_name: str, record: Record) -> bool:
    return False
