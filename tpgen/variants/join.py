"""Joining: the events of several kernels that are one to a program, since it has one name to attach to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from tpgen.model import Event, Record
from tpgen.programs.forms import Form, missing, unattachable
from tpgen.target import Target
from tpgen.variants.facts import JoinedArguments, JoinedRecord

#: Returns the records that the kernel's BTF has for an event class: several where images define it differently.
RecordsOf = Callable[[str], Sequence[Record]]


class KernelView(NamedTuple):
    """An event as one kernel has it, and what else relocations see there.

    `kernel` is a short name of the kernel, another one for each.
    """

    kernel: str
    event: Event
    target: Target
    records_of: RecordsOf


class JoinedEvent(NamedTuple):
    """An event of several kernels. `views` are those that have it, oldest first; `lacking` names the others."""

    views: tuple[KernelView, ...]
    lacking: tuple[str, ...] = ()

    @property
    def event(self) -> Event:
        """The event of the newest kernel that has it."""
        return self.views[-1].event

    @property
    def kernels(self) -> tuple[str, ...]:
        """The names of the kernels that have it."""
        return tuple(view.kernel for view in self.views)

    def having(self, form: Form) -> tuple[KernelView, ...]:
        """The kernels that have the event in `form`."""
        return tuple(view for view in self.views if _reason(view.event, form) is None)

    def reasons(self, form: Form) -> Mapping[str, str]:
        """The reason of each kernel that has the event, but not in `form`."""
        found = ((view.kernel, _reason(view.event, form)) for view in self.views)
        return {kernel: reason for kernel, reason in found if reason is not None}

    def arguments(self) -> JoinedArguments:
        """Join the raw arguments of the kernels that have them."""
        raise NotImplementedError

    def record(self) -> JoinedRecord:
        """Join the classic records of the kernels that have one."""
        raise NotImplementedError


def join(views: Sequence[KernelView], lacking: Sequence[str] = ()) -> JoinedEvent:
    """Join the events that `views` have, which share a name. `views` are sorted, oldest first, and at least one."""
    assert len({view.event.name for view in views}) == 1
    return JoinedEvent(tuple(views), tuple(lacking))


def _reason(event: Event, form: Form) -> str | None:
    """Why no program gets the event in `form`; None where one does."""
    return missing(event, form) or unattachable(event, form)
