"""Joining: the events of several kernels that are one to a program, since it has one name to attach to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tpgen.basics.memo import memoised
from tpgen.model import Event
from tpgen.programs.forms import Form, missing, unattachable
from tpgen.variants.arguments import join_arguments
from tpgen.variants.facts import JoinedArguments, JoinedRecord
from tpgen.variants.records import join_record
from tpgen.variants.views import KernelView


class JoinedEvent:
    """An event of several kernels. `views` are those that have it, oldest first; `lacking` names the others."""

    def __init__(self, views: tuple[KernelView, ...], lacking: tuple[str, ...] = ()) -> None:
        self.views = views
        self.lacking = lacking

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

    def why_not(self, form: Form) -> str | None:
        """Why there is no `form` of the event for these kernels; None where there is."""
        having = self.having(form)
        if not having:
            return _reason(self.event, form)
        if form == Form.RAW and len(calls := {_call(view.event) for view in having}) > 1:
            assert None not in calls
            return "the number, the registers or the arguments of the system call are not the same on all kernels"
        return None

    @memoised
    def arguments(self) -> JoinedArguments:
        """Join the raw arguments of the kernels that have them."""
        return join_arguments(self.having(Form.RAW))

    @memoised
    def record(self) -> JoinedRecord:
        """Join the classic records of the kernels that have one."""
        return join_record(self.having(Form.CLASSIC))


def join(views: Sequence[KernelView], lacking: Sequence[str] = ()) -> JoinedEvent:
    """Join the events that `views` have, which share a name. `views` are sorted, oldest first, and at least one."""
    assert len({view.event.name for view in views}) == 1
    return JoinedEvent(tuple(views), tuple(lacking))


def _call(event: Event) -> object:
    """The facts by which a raw program knows a system call and reads its arguments; None for other events."""
    if event.syscall is None or event.record is None:
        return None
    return event.syscall, tuple((field.name, field.size_bytes, field.signed) for field in event.record.fields)


def _reason(event: Event, form: Form) -> str | None:
    """Why no program gets the event in `form`; None where one does."""
    return missing(event, form) or unattachable(event, form)
