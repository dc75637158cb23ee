"""Merging catalogs: the kernels of several files in one. The result does not depend on how its parts were made.

The kernels come in the order of their names, each with its events in the order of their keys, and what is stored once
is numbered as these need it. Memory is what one kernel takes, and the names of all; the rest is on disk.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from tpgen.basics.progress import counted
from tpgen.catalog.collection.copying import Copier, Interned
from tpgen.catalog.file import CatalogFile, new_file
from tpgen.catalog.kernel_row import kernel_columns
from tpgen.catalog.read import Catalog, CatalogKernel
from tpgen.diagnostics import fail, printable
from tpgen.kernel.events import EventKey
from tpgen.output import replacing

# So many files are open at a time.
_MOST_OPEN = 8


def merge(path: str, inputs: Sequence[str], leave_out: Collection[str] = ()) -> int:
    """Write the kernels of all `inputs` to one file, atomically; return how many they are.

    The file may be one of the inputs. A kernel that is in several must be the same in each. Those of a name to
    `leave_out` are not written.

    Raises `TpgenError`: what is wrong with an input, `catalog-conflict` for two kernels of one name, `unwritable`.
    """
    places = {name: paths for name, paths in _places(inputs).items() if name not in leave_out}
    with replacing(path) as temporary, new_file(temporary) as connection, closing(_Merger(connection)) as merger:
        for name in counted("copying kernels", sorted(places)):
            merger.add(name, places[name])
    return len(places)


def pick_to(path: str, source: str, name: str) -> None:
    """Write one kernel of a file to an empty one that nobody else looks at. Raises as `merge` does, and `OSError`."""
    with new_file(path) as connection, closing(_Merger(connection)) as merger:
        merger.add(name, [source])


def _places(inputs: Sequence[str]) -> dict[str, list[str]]:
    """The kernels of the inputs by name, with the files that have them, each file once."""
    places: dict[str, list[str]] = {}
    for path in {os.path.realpath(path): path for path in inputs}.values():
        catalog = Catalog(path)
        for info in catalog.kernels:
            places.setdefault(info.name, []).append(path)
        catalog.file.close()
    return places


class _Entry(NamedTuple):
    """A kernel that was copied: its row without the number, and the rows that have its number before them."""

    about: tuple[Any, ...]
    groups: tuple[tuple[int], ...]
    modules: tuple[tuple[Any, ...], ...]
    notes: tuple[tuple[Any, ...], ...]


class _Merger:
    """Adds kernels of catalog files, in the order of their names, to a file that is being written."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._into = Interned(connection)
        self._copiers: dict[str, Copier] = {}
        self._count = 0

    def add(self, name: str, paths: Sequence[str]) -> None:
        """Add the kernel of that name, which is in each of these files. Raises what `merge` does."""
        first, *others = paths
        entry = self._copied(name, first)
        for other in others:
            if self._copied(name, other) != entry:
                message = f"its {name} is another kernel than that in {printable(first)}"
                hint = f"`tpgen catalog add NAME --kernel {printable(other)}:{name}` gives it another name"
                raise fail("catalog-conflict", message, other, hint)
        self._count += 1
        self._into.insert("kernel", (self._count, *entry.about))
        for table, rows in (("kernel_group", entry.groups), ("module", entry.modules), ("note", entry.notes)):
            for row in rows:
                self._into.insert(table, (self._count, *row))
        self._into.flush()

    def close(self) -> None:
        """Close all that is open; what was added is written."""
        for copier in self._copiers.values():
            copier.close()
        self._into.close()

    def _copied(self, name: str, path: str) -> _Entry:
        kernel = Catalog(path).kernel(name)  # opened anew, or it would keep what it reads of all kernels
        keys, members = kernel.keys(), kernel.members()
        copier = self._copier(path)
        events = copier.numbers_of("event", [event for event, _ in members])
        groups = copier.numbers_of("event_group", list(dict.fromkeys(group for _, group in members)))
        target = repr(kernel.target)  # of which an event that was seen before needs no second look
        _check(kernel, [key for key, event in zip(keys, events, strict=True) if self._into.is_new(event, target)])
        modules = ((module, bytes.fromhex(known)) for module, known in kernel.build_ids().items() if module)
        notes = ((at, note.code, note.message, note.hint) for at, note in enumerate(kernel.notes))
        entry = _Entry(
            kernel_columns(kernel.info, kernel.count),
            tuple((group,) for group in sorted(groups)),
            tuple(modules),
            tuple(notes),
        )
        kernel.catalog.file.close()
        return entry

    def _copier(self, path: str) -> Copier:
        copier = self._copiers.pop(path, None) or Copier(CatalogFile(path), self._into)
        self._copiers[path] = copier  # behind those that were used before
        if len(self._copiers) > _MOST_OPEN:
            self._copiers.pop(next(iter(self._copiers))).close()
        copier.restart()
        return copier


def _check(kernel: CatalogKernel, keys: list[EventKey]) -> None:
    """Read events with all that is said of them. Raises `catalog-malformed`."""
    kernel.events(keys)
    for key in keys:
        list(kernel.comparisons(key))
        kernel.symbols(key)
