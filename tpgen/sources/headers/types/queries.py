"""Memoised queries with dependency tracking and cycle detection; results do not depend on evaluation order."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

# The longest chain of queries that wait for each other: 10 in a real kernel, without end in hostile text.
_DEEPEST = 48


class QueryCycle(Exception):
    """A query depends on itself, or on a longer chain of queries than any real one."""


@dataclass(slots=True)
class _Memo:
    """A query, and its result once it is `done`.

    `dependencies` are the bits of the names that were looked up for it; `height` is the length of its longest chain of
    queries, itself included.
    """

    result: Any = None
    done: bool = False
    dependencies: int = 0
    height: int = 1


class QueryCache:
    """The results of queries by their keys, and the names that each of them depends on."""

    def __init__(self) -> None:
        self._memos: dict[Hashable, _Memo] = {}
        # The queries that are being computed, outermost first. The first entry stands for the caller.
        self._active = [_Memo(height=0)]
        # A name's number is its place in the order of first use.
        self._numbers: dict[str, int] = {}

    def depend_on(self, name: str) -> None:
        """Record that the query that is being computed looks up a name."""
        self._active[-1].dependencies |= 1 << self._numbers.setdefault(name, len(self._numbers))

    def take_dependencies(self) -> list[str]:
        """Return all names looked up since the last call, for memoised results as well as for new ones."""
        caller = self._active[0]
        names, caller.dependencies = caller.dependencies, 0
        return [name for name, number in self._numbers.items() if names >> number & 1]

    def query(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """Return the result of `compute`, which is called once for a `key`. Raises `QueryCycle`."""
        memo = self._memos.get(key)
        if memo is None:
            memo = self._memos[key] = _Memo()
            self._compute(key, memo, compute)
        outer = self._active[-1]
        outer.dependencies |= memo.dependencies
        outer.height = max(outer.height, memo.height + 1)
        # One that is still active depends on itself.
        if not memo.done or len(self._active) - 1 + memo.height > _DEEPEST:
            raise QueryCycle
        return memo.result

    def _compute(self, key: Hashable, memo: _Memo, compute: Callable[[], Any]) -> None:
        self._active.append(memo)
        try:
            if len(self._active) - 1 > _DEEPEST:
                raise QueryCycle
            memo.result = compute()
        except QueryCycle:
            # Whatever depends on the outermost of them is part of a cycle as well. Those in between may have a result
            # of their own.
            if len(self._active) > 2:
                del self._memos[key]
                self._active[-2].dependencies |= memo.dependencies
                raise
            memo.height = _DEEPEST + 1
        finally:
            self._active.pop()
        memo.done = True
