"""Tables that have each fact once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any


class InterningTable:
    """Rows of facts, for files that have each fact once: equal facts share a row.

    `row` makes the row of a fact. The facts that it places meanwhile stand before it.
    """

    def __init__(self, row: Callable[[Any], Any]) -> None:
        self.rows: list[Any] = []
        self._row = row
        self._places: dict[Hashable, int] = {}

    def place(self, fact: Hashable) -> int:
        """The index of the fact's row, which is added where there is none."""
        place = self._places.get(fact)
        if place is None:
            row = self._row(fact)
            place = self._places[fact] = len(self.rows)
            self.rows.append(row)
        return place
