"""The facts that pages are made of: events of all kernels, each with its versions."""

from __future__ import annotations

from tpgen.basics.frozen import frozen
from tpgen.kernel.events import EventKey
from tpgen.kernel.symbols.facts import EventSymbols
from tpgen.model import Event
from tpgen.target import Target


@frozen
class Kernel:
    """A kernel of the atlas: the name by which pages call it, its uname -r (None where unknown), its target.

    `number` is its place among the kernels, 0 for the oldest.
    """

    number: int
    name: str
    release: str | None
    target: Target
    events: int


@frozen
class Member:
    """An event as one kernel has it."""

    kernel: Kernel
    key: EventKey
    event: Event
    symbols: EventSymbols


@frozen
class Version:
    """A version of an event: the arguments and the record that `members`, oldest first, have alike.

    `letter` tells the versions of an event apart, `A` for the oldest.
    """

    letter: str
    members: tuple[Member, ...]

    @property
    def newest(self) -> Member:
        """The newest kernel's."""
        return self.members[-1]

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """The kernels that have it."""
        return tuple(member.kernel for member in self.members)


@frozen
class Entry:
    """An event of the atlas: its versions, oldest first by their oldest kernel, and the kernels that lack it.

    `path` is that of its page.
    """

    path: str
    versions: tuple[Version, ...]
    lacking: tuple[Kernel, ...]

    @property
    def newest(self) -> Member:
        """The event as the newest kernel has it that has any."""
        return max((version.newest for version in self.versions), key=lambda member: member.kernel.number)
