"""The kernels in a directory of catalogs, from an index in the user's cache, without opening what did not change."""

from __future__ import annotations

import contextlib
import json
import os
import time
from hashlib import sha256
from typing import Any, NamedTuple

from tpgen.cache.fingerprint import MISSING, Stamp, is_young, stamp_of
from tpgen.cache.private_files import PrivateFiles
from tpgen.catalog.kernel_row import kernel_columns, kernel_info
from tpgen.catalog.read import Catalog
from tpgen.catalog.schema import FORMAT, KernelInfo
from tpgen.diagnostics import Diagnostic, TpgenError
from tpgen.paths import catalog_files

# How many directories have an index, and the bytes of one: a kernel takes 150 in it.
_MOST, _BIGGEST = 4, 1 << 25
# So many files are opened sooner than an index is read.
_FEW = 8
#: The stamp of a file and the rows of its kernels.
_Entry = tuple[Stamp, list[list[Any]]]


class HeldKernel(NamedTuple):
    """A kernel in a file, with the number of its events."""

    path: str
    info: KernelInfo
    events: int


def kernels_in(directory: str | None) -> tuple[list[HeldKernel], list[Diagnostic]]:
    """The kernels in the files of a directory, and what is wrong with files that cannot be read."""
    paths = catalog_files(directory)
    index = _Index(directory) if len(paths) > _FEW else None
    found: list[HeldKernel] = []
    broken: list[Diagnostic] = []
    for path in paths:
        try:
            found += index.kernels(path) if index else _kernels_in_file(path)
        except TpgenError as error:
            broken += error.diagnostics
    if index:
        index.store()
    return found, broken


def _kernels_in_file(path: str) -> list[HeldKernel]:
    """The kernels in a file, which is opened. Raises `TpgenError`."""
    catalog = Catalog(path)
    kernels = [HeldKernel(path, info, events) for info, events in catalog.rows_of_kernels()]
    catalog.file.close()
    return kernels


class _Index:
    """The index of a directory. What it has of a file counts as long as the file has the same stamp.

    It is in a directory that nobody else can write to; a damaged one, or none, is made again.
    """

    def __init__(self, directory: str | None) -> None:
        self._files = PrivateFiles("names", _MOST, _BIGGEST)
        place = os.path.realpath(directory or "")
        self._name = sha256(f"{FORMAT}\0{place}".encode("utf-8", "surrogateescape")).hexdigest()[:32]
        self._stored = self._read()
        self._entries: dict[str, _Entry] = {}
        self._is_new = False

    def kernels(self, path: str) -> list[HeldKernel]:
        """The kernels in a file. Raises `TpgenError` where it is no catalog."""
        name, stamp = os.path.basename(path), stamp_of(path)
        known = self._stored.get(name)
        if known is not None and known[0] == stamp:
            try:
                kernels = [_held(path, row) for row in known[1]]
            except (ValueError, TypeError):
                pass
            else:
                self._entries[name] = known
                return kernels
        at = time.time_ns()
        kernels = _kernels_in_file(path)
        # A file that was just written can change again without a sign of it.
        if stamp != MISSING and stamp == stamp_of(path) and not is_young(max(stamp[2:]), at):
            self._entries[name] = (stamp, [list(kernel_columns(held.info, held.events)) for held in kernels])
            self._is_new = True
        return kernels

    def _read(self) -> dict[str, _Entry]:
        try:
            stored = json.loads(self._files.read(self._name))
            return {str(name): (tuple(stamp), list(rows)) for name, (stamp, rows) in stored.items()}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            return {}

    def store(self) -> None:
        """Write what is known now, if that is something else, and if it can be done."""
        if self._is_new or self._entries.keys() != self._stored.keys():
            with contextlib.suppress(OSError, ValueError):
                self._files.write(self._name, json.dumps(self._entries, separators=(",", ":")).encode())


def _held(path: str, row: list[Any]) -> HeldKernel:
    *columns, events = row
    if not isinstance(events, int):
        raise TypeError("no number of events")
    return HeldKernel(path, kernel_info(tuple(columns)), events)
