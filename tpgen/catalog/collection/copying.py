"""Copying what kernels are made of from one catalog into another, where each thing is stored once.

Numbers are given in the order in which things are needed, so that the same kernels in the same order make the same
rows, whichever files they are from. What is stored already is known by its content, of which a database on disk has the
digests: memory is what one kernel takes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from tpgen.catalog.collection.tables import THINGS, Rows

if TYPE_CHECKING:
    from tpgen.catalog.file import CatalogFile

_DIGEST_BYTES = 20
# So many rows a query names.
_AT_ONCE = 10_000
# A kernel has a hundredth of them.
_MOST_ROWS = 1 << 22
# So many numbers of things in other files are remembered.
_MOST_REMEMBERED = 200_000

_Row = tuple[Any, ...]


class Interned:
    """The things of a catalog that is being written, by their content.

    `connection` is that of the file, which has the tables of a catalog. A database on disk, of which nothing stays, has
    the digests.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._numbers = dict.fromkeys(THINGS, 0)
        self._new: dict[bytes, int] = {}
        self._pending: dict[str, list[_Row]] = {}
        self._known = sqlite3.connect("", isolation_level=None)
        for statement in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", *_KNOWN, "BEGIN"):
            self._known.execute(statement)

    def number_of(self, name: str, own: _Row, parts: Sequence[Sequence[_Row]]) -> int:
        """The number of the thing with these rows, whose references are those of this file."""
        digest = blake2b(repr((name, own, parts)).encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()
        if (number := self._new.get(digest)) is not None:
            return number
        found = self._known.execute("SELECT number FROM thing WHERE digest = ?", (digest,)).fetchone()
        if found is not None:
            return int(found[0])
        number = self._new[digest] = self._numbers[name] = self._numbers[name] + 1
        tables = THINGS[name]
        if tables.own is not None:
            self.insert(tables.own.name, (number, *own))
        for table, rows in zip(tables.parts, parts, strict=True):
            for row in rows:
                self.insert(table.name, (number, *row))
        return number

    def insert(self, table: str, row: _Row) -> None:
        """Insert a row at the next `flush`."""
        self._pending.setdefault(table, []).append(row)

    def flush(self) -> None:
        """Write all that is pending."""
        for table, rows in self._pending.items():
            self._connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
        self._known.executemany("INSERT INTO thing VALUES (?, ?)", self._new.items())
        self._pending.clear()
        self._new.clear()

    def is_new(self, event: int, target: str) -> bool:
        """Whether this is asked for the first time of an event and a target."""
        return self._known.execute("INSERT OR IGNORE INTO checked VALUES (?, ?)", (target, event)).rowcount == 1

    def close(self) -> None:
        """Forget the digests."""
        self._known.close()


_KNOWN = (
    "CREATE TABLE thing (digest BLOB PRIMARY KEY, number INTEGER) WITHOUT ROWID",
    "CREATE TABLE checked (target TEXT, event INTEGER, PRIMARY KEY (target, event)) WITHOUT ROWID",
)


class Copier:
    """Copies things from a catalog file. Raises `catalog-malformed` where it is not what a catalog is."""

    def __init__(self, file: CatalogFile, into: Interned) -> None:
        self._file = file
        self._into = into
        self._known: dict[str, dict[Any, int]] = {name: {} for name in THINGS}
        # Rows that were read for what is being copied.
        self._own: dict[str, dict[Any, _Row]] = {}
        self._parts: dict[str, dict[Any, list[_Row]]] = {}

    def restart(self) -> None:
        """Allow as many steps as for a file that was just opened."""
        self._file.restart()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def numbers_of(self, name: str, wanted: Sequence[Any]) -> list[int]:
        """The numbers of things in the other file; what these refer to is copied as well, each in its order."""
        if sum(map(len, self._known.values())) > _MOST_REMEMBERED:
            for known in self._known.values():
                known.clear()
        self._read({name: wanted})
        try:
            return [self._copied(name, number) for number in wanted]
        except RecursionError:
            raise self._file.malformed("types nest too deeply") from None
        finally:
            self._own.clear()
            self._parts.clear()

    def _copied(self, name: str, number: Any) -> int:
        known = self._known[name]
        if (copied := known.get(number)) is None:
            tables = THINGS[name]
            own: _Row = ()
            if tables.own is not None:
                if number not in self._own[name]:
                    raise self._file.malformed(f"0 rows of number {number}")
                own = self._translated(tables.own, self._own[name][number], name, number)
            parts = [
                [self._translated(table, row, name, number) for row in self._parts[table.name].get(number, ())]
                for table in tables.parts
            ]
            if tables.own is None and not any(parts):
                raise self._file.malformed(f"0 rows of number {number}")
            if name == "event_group":
                parts[0].sort()
            copied = known[number] = self._into.number_of(name, own, parts)
        return copied

    def _translated(self, table: Rows, row: _Row, name: str, number: Any) -> _Row:
        """A row with the references of the new file."""
        if not table.refers:
            return row
        values = list(row)
        for at, of in table.refers:
            if values[at] is not None:
                if of == name and not values[at] < number:
                    raise self._file.malformed(f"{name} {number} refers to {values[at]}")
                values[at] = self._copied(of, values[at])
        return tuple(values)

    def _read(self, wanted: dict[str, Iterable[Any]]) -> None:
        """Read the rows of things, and of all that they refer to, as far as these are not known."""
        while wanted:
            found: dict[str, set[Any]] = {}
            for name, numbers in wanted.items():
                read = self._own.setdefault(name, {})
                unknown = {number for number in numbers if number not in self._known[name] and number not in read}
                for number in unknown:
                    if not isinstance(number, int):
                        raise self._file.malformed(f"{number!r} is no number of a row")
                tables = THINGS[name]
                if tables.own is None:
                    read.update((number, ()) for number in unknown)
                for table in filter(None, (tables.own, *tables.parts)):
                    for number, *row in self._rows(table, sorted(unknown)):
                        if table is tables.own:
                            read[number] = tuple(row)
                        else:
                            self._parts.setdefault(table.name, {}).setdefault(number, []).append(tuple(row))
                        for at, of in table.refers:
                            if row[at] is not None:
                                found.setdefault(of, set()).add(row[at])
                    self._parts.setdefault(table.name, {})
            wanted = {
                name: numbers
                for name, all_of in found.items()
                if (numbers := {n for n in all_of if n not in self._own.get(name, ()) and n not in self._known[name]})
            }

    def _rows(self, table: Rows, numbers: Sequence[int]) -> Iterable[_Row]:
        columns = (table.by, *table.columns)
        order = ", ".join(columns[:3])
        for start in range(0, len(numbers), _AT_ONCE):
            among = ",".join(map(str, numbers[start : start + _AT_ONCE]))
            found = self._file.rows(
                f"SELECT {', '.join(columns)} FROM {table.name} WHERE {table.by} IN ({among}) "
                f"ORDER BY {order} LIMIT {_MOST_ROWS}"
            )
            if len(found) == _MOST_ROWS:
                raise self._file.malformed(f"{table.name} has too many rows")
            yield from found
