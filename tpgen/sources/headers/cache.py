"""The cache of what trees of headers state: a second run over an unchanged tree reads one file instead of thousands.

An entry is a file in the user's own cache directory, for the very same program, tree, target and configuration. Its
first part has the size, inode and times of all headers, of the directories that they lie in, and of whatever else
had a say: where none of these changed, the facts are those that the entry has. Else each header counts by its contents:
what was read of a header is taken as it is where all that it depends on holds what it held, and the rest is read again.

A file whose times are younger than the clock is fine could change unnoticed, so a tree that was edited a moment ago is
not kept. Whatever is wrong with the cache, the headers are read instead.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import marshal
import os
import time
from array import array
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

from tpgen.private import PrivateFiles, program
from tpgen.sources.headers.facts import HeaderFacts
from tpgen.sources.headers.files import MISSING, Stamp, stamp_of, stamps_of
from tpgen.sources.headers.listing import Listing
from tpgen.sources.headers.serial import from_plain

# Coarser than the clock of any file system.
_YOUNG_NS = 2_000_000_000
_MOST_ENTRIES = 16
_BIGGEST_ENTRY = 1 << 26
_STAMP_NUMBERS = 4


class Spoilt(Exception):
    """An entry is not what was written."""


class Entry:
    """What was kept. Every part is decoded when it is asked for; raises `Spoilt` where it is not what was written."""

    def __init__(self, raw: bytes) -> None:
        try:
            head, self._body = raw.split(b"\n", 1)
            self._parts: Mapping[str, tuple[int, int, str]] = json.loads(head)
            self._paths, self._stamps = self.part("stamps")
        except (ValueError, TypeError, KeyError) as error:
            raise Spoilt from error

    def __contains__(self, name: str) -> bool:
        return name in self._parts

    def part(self, name: str) -> Any:
        """One of the parts."""
        try:
            start, size, known = self._parts[name]
            raw = self._body[start : start + size]
            if hashlib.sha256(raw).hexdigest() != known:
                raise Spoilt
            return marshal.loads(raw)
        except (ValueError, TypeError, KeyError, EOFError) as error:
            raise Spoilt from error

    def is_current(self) -> bool:
        """Whether nothing has changed since."""
        return bool(stamps_of(self._paths) == self._stamps)

    def stamps(self) -> dict[str, Stamp]:
        """The stamp of everything that had a say."""
        numbers = iter(array("q", self._stamps))
        return dict(zip(self._paths, zip(numbers, numbers, numbers, numbers, strict=True), strict=True))

    def facts(self) -> HeaderFacts:
        """The completed facts, or those with types as they are written."""
        return from_plain(self.part("completed" if "completed" in self else "written"))


class Cache:
    """The entry for one tree, target and configuration. `directory` is where entries lie, the user's own by default."""

    def __init__(self, *key: object, directory: str | None = None) -> None:
        self._files = PrivateFiles("headers", _MOST_ENTRIES, _BIGGEST_ENTRY, directory)
        name = hashlib.sha256(json.dumps([program(), *map(repr, key)]).encode("utf-8", "surrogateescape")).hexdigest()
        self._name = name[:32]
        self._begun_ns = time.time_ns()

    def get(self) -> Entry | None:
        """What was kept; None where nothing is, or it is spoilt."""
        try:
            return Entry(self._files.read(self._name))
        except (OSError, Spoilt):
            return None

    def put(self, listing: Listing, mattered: Iterable[str], parts: Iterable[tuple[str, Any]]) -> None:
        """Keep what was made of the headers of a listing, and of what `mattered` among them and besides."""
        stamps = dict(listing.stamps)
        told = _Absences(listing)
        for path in mattered:
            listed, now = path.rstrip("/"), stamp_of(path)
            # What was changed since it was listed may have been read in two states.
            if stamps.get(listed, now) != now:
                return
            if listed not in stamps and (now != MISSING or not told.by_a_folder(listed)):
                stamps[listed] = now
        numbers = array("q", chain.from_iterable(stamps.values()))
        if max(*numbers[2::_STAMP_NUMBERS], *numbers[3::_STAMP_NUMBERS]) > self._begun_ns - _YOUNG_NS:
            return
        with contextlib.suppress(OSError, ValueError):
            self._write(chain([("stamps", (list(stamps), numbers.tobytes()))], parts))

    def _write(self, parts: Iterable[tuple[str, Any]]) -> None:
        bodies: list[bytes] = []
        places: dict[str, tuple[int, int, str]] = {}
        start = 0
        for name, part in parts:
            bodies.append(marshal.dumps(part))
            places[name] = start, len(bodies[-1]), hashlib.sha256(bodies[-1]).hexdigest()
            start += len(bodies[-1])
        self._files.write(self._name, json.dumps(places).encode() + b"\n", *bodies)


class _Absences:
    """Whether the folders of a listing tell when something appears that there is not: their stamps change."""

    def __init__(self, listing: Listing) -> None:
        self._known = dict.fromkeys(listing.folders, True)

    def by_a_folder(self, path: str) -> bool:
        """Whether one of them tells of `path`."""
        if os.path.lexists(path):
            return False  # what it links to may appear anywhere
        above = os.path.dirname(path)
        if above not in self._known:
            self._known[above] = above != path and self.by_a_folder(above)
        return self._known[above]
