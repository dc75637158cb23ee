"""Progress of long work: the loops that do it report to a watcher, if there is one."""

from __future__ import annotations

from tpgen.basics.typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from typing import TypeAlias, TypeVar

    _Item = TypeVar("_Item")
    #: Is told what is done, and how much of how much; 0 of 0 where nobody counts, of 0 where nobody knows the end.
    Watcher: TypeAlias = Callable[[str, int, int], None]


class _Watching:
    """The one who watches this process."""

    by: Watcher | None = None


def watch(watcher: Watcher | None) -> None:
    """Report to `watcher` from here on; None turns reports off."""
    _Watching.by = watcher


def tell(what: str, done: int = 0, of: int = 0) -> None:
    """Tell how far some work is."""
    if _Watching.by is not None:
        _Watching.by(what, done, of)


def counted(what: str, items: Collection[_Item], processes: int = 1) -> Iterable[_Item]:
    """The items, each reported when it is taken, if there are several. Of shared work these are one process's part."""
    return items if _Watching.by is None or len(items) < 2 else _told(what, items, processes)


def _told(what: str, items: Collection[_Item], processes: int) -> Iterator[_Item]:
    of = len(items) * processes
    for number, item in enumerate(items):
        tell(what, number * processes, of)
        yield item
