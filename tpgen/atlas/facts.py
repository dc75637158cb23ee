"""The facts that pages are made of: events of all kernels, each with its history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tpgen.basics.frozen import frozen
from tpgen.history.facts import EventHistory
from tpgen.kernel.events import EventKey
from tpgen.kernel.symbols.facts import EventSymbols
from tpgen.model import Event, Record
from tpgen.target import Target


@frozen
class Kernel:
    """A kernel of the atlas: the name by which pages call it, its uname -r (None where unknown), its target.

    `number` is its place among the kernels, 0 for the oldest. `family` is as a history has it.
    """

    number: int
    name: str
    release: str | None
    target: Target
    family: str
    events: int


@frozen
class Member:
    """An event as one kernel has it, of which code can be made where `is_sound`: its sources do not contradict.

    `records` are those that the kernel has for the classes of the event on kernels of the same kind.
    """

    kernel: Kernel
    key: EventKey
    event: Event
    symbols: EventSymbols
    is_sound: bool
    records: Mapping[str, Sequence[Record]]


@frozen
class Entry:
    """An event of the atlas, with its history over all kernels. `path` is that of its page.

    `members` are the event as some kernels have it, oldest first: of all that have the same arguments, the same record,
    byte order and size of pointers the newest. The last is that of the newest kernel that has the event.
    """

    path: str
    history: EventHistory
    members: tuple[Member, ...]

    @property
    def newest(self) -> Member:
        """The event as the newest kernel has it that has any."""
        return self.members[-1]

    @property
    def call_numbers(self) -> dict[str, int]:
        """The numbers of a system call by architecture, sorted; none of what is no system call."""
        calls = ((member.kernel.target.arch, member.event.syscall) for member in self.members)
        numbers = {arch: call.number for arch, call in calls if call is not None and call.number is not None}
        return dict(sorted(numbers.items()))
