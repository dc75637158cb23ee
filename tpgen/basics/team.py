"""Work that is shared by two processes, this one and a fork of it, if a second core is free.

Both run the same program over the same data, each with its share of the items, and exchange what the other needs. If
the fork fails for any reason, this process does its work again, so that errors are reported as without a fork.
"""

from __future__ import annotations

import marshal
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from tpgen.basics import progress

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_LENGTH_BYTES = 8
_CGROUPS, _OWN_CGROUPS = "/sys/fs/cgroup", "/proc/self/cgroup"


class PartnerLost(Exception):
    """The other process is gone, or has given up."""


class Team:
    """The processes that share work, as seen by the one with the number `rank`. In this class it is the only one."""

    rank = 0
    size = 1

    def share(self, items: Sequence[_Item]) -> Sequence[_Item]:
        """Return this process's share: every second item, so that long runs of large ones fall to both."""
        return items[self.rank :: self.size]

    def part(self, items: Sequence[_Item], costs: Mapping[_Item, int], of_first: float) -> Sequence[_Item]:
        """Return this process's part of a sequence whose items take work for their costs; `of_first` is the first's."""
        if self.size == 1:
            return items
        done, border = 0, of_first * sum(costs.get(item, 0) for item in items)
        for at, item in enumerate(items):
            if done >= border:
                return items[at:] if self.rank else items[:at]
            done += costs.get(item, 0)
        return items[:0] if self.rank else items

    def half(self, items: Sequence[_Item]) -> Sequence[_Item]:
        """Return this process's part of a sequence; the parts in the order of ranks are the whole."""
        return items[len(items) * self.rank // self.size : len(items) * (self.rank + 1) // self.size]

    def exchange(self, value: Any) -> list[Any]:
        """Return the values that all processes gave for this, by rank. They are what marshal takes."""
        return [value]

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all processes to the first, by rank; nothing to the other, which goes on at once.

        They are what marshal takes.
        """
        return [value]


ALONE = Team()


class _Pair(Team):
    size = 2

    def __init__(self, rank: int, reading: int, writing: int) -> None:
        self.rank = rank
        self._reading, self._writing = reading, writing

    def exchange(self, value: Any) -> list[Any]:
        if self.rank:
            other = self._receive()
            self._send(value)
            return [other, value]
        self._send(value)
        return [value, self._receive()]

    def gather(self, value: Any) -> list[Any]:
        if self.rank:
            self._send(value)
            return []
        return [value, self._receive()]

    def _send(self, value: Any) -> None:
        body = marshal.dumps(value)
        with memoryview(len(body).to_bytes(_LENGTH_BYTES, "little") + body) as data:
            at = 0
            while at < len(data):
                try:
                    at += os.write(self._writing, data[at:])
                except OSError:
                    raise PartnerLost from None

    def _receive(self) -> Any:
        return marshal.loads(self._exactly(int.from_bytes(self._exactly(_LENGTH_BYTES), "little")))

    def _exactly(self, size: int) -> bytearray:
        data = bytearray()
        while len(data) < size:
            try:
                piece = os.read(self._reading, size - len(data))
            except OSError:
                raise PartnerLost from None
            if not piece:
                raise PartnerLost
            data += piece
        return data


def shared(work: Callable[[Team], _Result]) -> _Result:
    """Return what `work` returns in this process; a fork does its share where a second core is free."""
    pipes: list[int] = []
    try:
        if not second_core_is_free():
            return work(ALONE)
        pipes += os.pipe()
        pipes += os.pipe()
        child = os.fork()
    except OSError:
        _close(pipes)
        return work(ALONE)
    if child == 0:
        _serve(work, _Pair(1, pipes[0], pipes[3]), pipes)
    _close((pipes[0], pipes[3]))
    try:
        return work(_Pair(0, pipes[2], pipes[1]))
    except PartnerLost:
        pass
    finally:
        _close((pipes[1], pipes[2]))
        _end(child)
    return work(ALONE)


def _close(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _serve(work: Callable[[Team], object], pair: _Pair, pipes: Sequence[int]) -> None:
    """Do the share of the fork. It never returns, prints nothing, and has none of its parent's files open."""
    try:
        kept = pipes[0], pipes[3]
        os.closerange(0, kept[0])
        os.closerange(kept[0] + 1, kept[1])
        os.closerange(kept[1] + 1, os.sysconf("SC_OPEN_MAX"))
        progress.watch(None)
        work(pair)
    finally:
        os._exit(0)


def _end(child: int) -> None:
    """End the fork, whose result is complete, and wait for it. A program may wait for all its children itself."""
    with suppress(OSError):
        os.kill(child, signal.SIGKILL)
    with suppress(OSError):
        os.waitpid(child, 0)


# --- what is free


def second_core_is_free() -> bool:
    """Return whether this process may fork, may use a second core, and nothing else runs on that.

    A fork has one thread, and locks that others held stay locked in it: where there are threads, there is none.
    """
    try:
        return (
            len(os.listdir("/proc/self/task")) == 1
            and len(os.sched_getaffinity(0)) > 1
            and _allowed_cores() >= 2
            and min(_running() for _ in range(3)) < (os.cpu_count() or 1)
        )
    except (OSError, ValueError, IndexError):
        return False


def _running() -> int:
    """Return how many threads of the machine run or could run, this one included."""
    with open("/proc/loadavg", "rb") as file:
        return int(file.read().split()[3].partition(b"/")[0])


def _allowed_cores() -> float:
    """Return how many cores' time the control groups of this process may use."""
    with open(_OWN_CGROUPS, encoding="utf-8", errors="surrogateescape") as file:
        rows = [line.rstrip("\n").split(":", 2) for line in file]
    allowed = float("inf")
    for _, controllers, path in rows:
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = f"{_CGROUPS}/{controllers}" if controllers else _CGROUPS
        while True:
            allowed = min(allowed, _quota(base + path, not controllers))
            if path in ("", "/"):
                break
            path = os.path.dirname(path)
    return allowed


def _quota(directory: str, unified: bool) -> float:
    names = ("cpu.max",) if unified else ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    words: list[str] = []
    for name in names:
        try:
            with open(os.path.join(directory, name), encoding="ascii") as file:
                words += file.read().split()
        except OSError:
            return float("inf")
    return float("inf") if words[0] in ("max", "-1") else int(words[0]) / int(words[1])
