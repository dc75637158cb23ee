"""Facts of the history of events over several kernels.

Kernels go by the names that the caller gave them, oldest first. A fact that no source of a kernel has is no
difference: the kernel is listed as unknown.
"""

from __future__ import annotations

from tpgen.basics.frozen import frozen
from tpgen.diagnostics import Diagnostic
from tpgen.diff.changes import Change
from tpgen.model import Event
from tpgen.target import Target


@frozen
class HistoryKernel:
    """A kernel of a history, by its `name`; `release` is its uname -r where that is known.

    `family` has what its distribution, flavour and architecture are called: kernels of one family follow each other.
    """

    name: str
    release: str | None
    target: Target
    family: str


@frozen
class Group:
    """Kernels on which a form of an event is the same, oldest first.

    `event` is that of the kernel `of`, one of them of which most is known. Of those in `unsure` something is unknown,
    such as the names of the arguments: they may differ in that.
    """

    kernels: tuple[str, ...]
    of: str
    event: Event
    unsure: tuple[str, ...] = ()


@frozen
class FormHistory:
    """A form of an event over all kernels: groups of those where it is the same, in the order of their first kernels.

    `unknown` are the kernels that have the event, and of whose form nothing is known; `none` have it without the form.
    """

    groups: tuple[Group, ...]
    unknown: tuple[str, ...] = ()
    none: tuple[str, ...] = ()

    def group_of(self, kernel: str) -> Group | None:
        """The group of a kernel; None where the form is unknown there, or not there."""
        return next((group for group in self.groups if kernel in group.kernels), None)


@frozen
class Known:
    """The names of an event on some kernels: its system, its name and its module, None for vmlinux.

    `because` says why it is taken for the event of the entry before, where its name is another one.
    """

    system: str | None
    name: str
    module: str | None
    kernels: tuple[str, ...]
    because: str | None = None

    @property
    def title(self) -> str:
        """`system:name`, or the bare name where no source has the system."""
        return f"{self.system}:{self.name}" if self.system else self.name


@frozen
class Step:
    """A kernel, and the next one of its family that knows the event; without such a family, another kernel."""

    before: str
    after: str


@frozen
class Break:
    """Changes of an event, as `diff` has them, and the steps on which just these came."""

    steps: tuple[Step, ...]
    changes: tuple[Change, ...]


@frozen
class EventHistory:
    """An event over all kernels.

    `known_as` has its names, systems and modules in the order of their first kernels. `raw` are its arguments,
    `classic` is its record. `absent` are the kernels without it, `unknown` those of whose sources none would tell.
    `breaks` stand in the order of their first steps.
    """

    known_as: tuple[Known, ...]
    kernels: tuple[str, ...]
    raw: FormHistory
    classic: FormHistory
    breaks: tuple[Break, ...]
    absent: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def newest(self) -> Known:
        """The names of the event on the newest kernel that has it."""
        return next(known for known in self.known_as if self.kernels[-1] in known.kernels)

    @property
    def since(self) -> str:
        """The oldest kernel that has the event."""
        return self.kernels[0]

    @property
    def until(self) -> str:
        """The newest kernel that has the event."""
        return self.kernels[-1]

    @property
    def title(self) -> str:
        """`system:name` of the newest kernel that has the event."""
        return self.newest.title


@frozen
class History:
    """The histories of events over `kernels`, oldest first; the events sorted by system and name.

    `notes` report what could not be put in order or told.
    """

    kernels: tuple[HistoryKernel, ...]
    events: tuple[EventHistory, ...]
    notes: tuple[Diagnostic, ...] = ()
