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
import marshal
import os
import struct
import time
from array import array
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

from tpgen.cache.fingerprint import MISSING, Stamp, installation, is_young, stamp_of, stamps_of
from tpgen.cache.private_files import PrivateFiles
from tpgen.sources.headers.facts import HeaderFacts
from tpgen.sources.headers.incremental.codec import from_plain
from tpgen.sources.source_tree.listing import Listing

_MOST_ENTRIES = 16
_BIGGEST_ENTRY = 1 << 26
_STAMP_NUMBERS = 4

#: The parts of an entry: the facts as they are written and what they depend on, the completed ones and what these do.
WRITTEN, UNITS, COMPLETED, COMPLETION = "written", "units", "completed", "completion"
_STAMPS = "stamps"

# Where a part lies, in bytes, its size, and the digest of it. A file begins with the place of the table of all others.
_Place = tuple[int, int, bytes]
_HEAD = struct.Struct("<QQ32s")


class Spoilt(Exception):
    """An entry is not what was written."""


class Entry:
    """What was kept of the tree at `root`. A part is decoded when it is asked for; raises `Spoilt` where it is not what
    was written."""

    def __init__(self, raw: bytes, root: str) -> None:
        self._root = root
        self._raw = memoryview(raw)
        self._places: Mapping[str, _Place] = {}
        if len(raw) < _HEAD.size:
            raise Spoilt
        self._places = self._loaded(_HEAD.unpack_from(raw))
        inside, outside, self._stamps = self.part(_STAMPS)
        self._inside, self._outside = _split(inside), _split(outside)

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def part(self, name: str) -> Any:
        """One of the parts."""
        if name not in self._places:
            raise Spoilt
        return self._loaded(self._places[name])

    def _loaded(self, place: _Place) -> Any:
        start, size, known = place
        raw = self._raw[start : start + size]
        # What is not what was written could ask for any amount of memory.
        if hashlib.sha256(raw).digest() != known:
            raise Spoilt
        return marshal.loads(raw)

    def is_current(self) -> bool:
        """Whether nothing has changed since."""
        return bool(_stamps_of(self._root, self._inside, self._outside) == self._stamps)

    def stamps(self) -> dict[str, Stamp]:
        """The stamp of everything that had a say."""
        paths = [_below(self._root, path) for path in self._inside] + self._outside
        numbers = iter(array("q", self._stamps))
        return dict(zip(paths, zip(numbers, numbers, numbers, numbers, strict=True), strict=True))

    def facts(self, name: str) -> HeaderFacts:
        """The facts of the part WRITTEN or COMPLETED."""
        return from_plain(self.part(name))


def _below(root: str, path: str) -> str:
    """A path below the root, from where the root is named."""
    return os.path.join(root, path) if path else root


def _split(text: str) -> list[str]:
    return text.split("\0") if text else []


def _stamps_of(root: str, inside: Iterable[str], outside: Iterable[str]) -> bytes:
    """The stamps of all that had a say; looked up from the root, which takes less time than from further away."""
    try:
        descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return b""
    try:
        return stamps_of(inside, descriptor) + stamps_of(outside)
    finally:
        os.close(descriptor)


class Cache:
    """The entry for the tree at `root`; `key` are the target, the configuration and whatever else decides what it
    states. `directory` is where entries lie, the user's own by default."""

    def __init__(self, root: str, *key: object, directory: str | None = None) -> None:
        self._files = PrivateFiles("headers", _MOST_ENTRIES, _BIGGEST_ENTRY, directory)
        self._root = root
        asked = installation(), root, os.path.abspath(root), *map(repr, key)
        self._name = hashlib.sha256(repr(asked).encode("utf-8", "backslashreplace")).hexdigest()[:32]
        self._begun_ns = time.time_ns()

    def get(self) -> Entry | None:
        """What was kept; None where nothing is, or it is spoilt."""
        try:
            return Entry(self._files.read(self._name), self._root)
        except (OSError, Spoilt):
            return None

    def put(self, listing: Listing, mattered: Iterable[str], parts: Iterable[tuple[str, Any]]) -> None:
        """Keep what was made of the headers of a listing, and of what `mattered` among them and besides."""
        stamps = dict(listing.stamps)
        outside: dict[str, Stamp] = {}
        told = _Absences(listing)
        for path in mattered:
            listed, now = path.rstrip("/"), stamp_of(path)
            # What was changed since it was listed may have been read in two states.
            if stamps.get(listed, now) != now:
                return
            if listed not in stamps and (now != MISSING or not told.by_a_folder(listed)):
                outside[listed] = now
        numbers = array("q", chain(*stamps.values(), *outside.values()))
        if is_young(max(chain(numbers[2::_STAMP_NUMBERS], numbers[3::_STAMP_NUMBERS])), self._begun_ns):
            return
        start = len(os.path.join(self._root, ""))
        names = "\0".join(path[start:] for path in stamps), "\0".join(outside)
        with contextlib.suppress(OSError, ValueError):
            self._write(chain([(_STAMPS, (*names, numbers.tobytes()))], parts))

    def _write(self, parts: Iterable[tuple[str, Any]]) -> None:
        bodies: list[bytes] = []
        places: dict[str, _Place] = {}
        start = _HEAD.size
        for name, part in parts:
            bodies.append(marshal.dumps(part))
            places[name] = _place(start, bodies[-1])
            start += len(bodies[-1])
        table = marshal.dumps(places)
        self._files.write(self._name, _HEAD.pack(*_place(start, table)), *bodies, table)


def _place(start: int, body: bytes) -> _Place:
    return start, len(body), hashlib.sha256(body).digest()


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
