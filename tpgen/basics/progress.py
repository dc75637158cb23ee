"""Progress of long work: the loops that do it report to a watcher, if there is one."""

from __future__ import annotations

from tpgen.basics.typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from typing import TypeAlias, TypeVar

    _Item = TypeVar("_Item")
    #: Gets what is being done, how much of it is done, and of how much. The last is 0 if it is not known; both are 0 if
    #: nothing is counted.
    Watcher: TypeAlias = Callable[[str, int, int], None]


class _Watching:
    """The watcher of this process."""

    by: Watcher | None = None


def watch(watcher: Watcher | None) -> None:
    """Report to `watcher` from here on; None turns reports off."""
    _Watching.by = watcher


def tell(what: str, done: int = 0, of: int = 0) -> None:
    """Report how far some work is."""
    if _Watching.by is not None:
        _Watching.by(what, done, of)


def counted(what: str, items: Collection[_Item], processes: int = 1) -> Iterable[_Item]:
    """The items. If there are several, taking one reports how many were taken before it.

    With `processes`, that many processes share the work, and `items` are the part of this one.
    """
    return items if _Watching.by is None or len(items) < 2 else _told(what, items, processes)


def _told(what: str, items: Collection[_Item], processes: int) -> Iterator[_Item]:
    of = len(items) * processes
    for number, item in enumerate(items):
        tell(what, number * processes, of)
        yield item
