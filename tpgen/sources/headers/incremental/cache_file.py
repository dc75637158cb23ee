"""The cache of header trees: a second run over an unchanged tree reads one file instead of thousands.

A cache file lies in the user's own cache directory, for one program, tree, target and configuration. Its first section
has the size, inode and times of all headers, of their directories, and of whatever else the facts depend on: where none
of these changed, the facts of the cache file are valid. Else each header counts by its contents: a unit is valid where
the digests of its dependencies are the same, and the others are read again.

A file whose times are younger than the clock is fine could change unnoticed, so a tree that was edited a moment ago is
not stored. Whatever is wrong with the cache, the headers are read instead.
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import os
import struct
import time
from array import array
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain
from typing import Any

from tpgen.cache.fingerprint import MISSING, Stamp, installation, is_young, stamp_of, stamps_of
from tpgen.cache.private_files import PrivateFiles
from tpgen.sources.headers.facts import HeaderFacts
from tpgen.sources.headers.incremental.codec import Decoder
from tpgen.sources.source_tree.listing import Listing

_MOST_ENTRIES = 16
_BIGGEST_ENTRY = 1 << 26
_TOTAL = 1 << 28
_STAMP_NUMBERS = 4

#: The sections: the facts as they are written and their dependencies, the resolved facts and theirs.
FACTS, UNITS, RESOLVED, RESOLVED_UNITS = "facts", "units", "resolved", "resolved units"
_STAMPS = "stamps"

# The offset of a section in bytes, its size, and its digest. A file ends with the place of the table of all others.
_Place = tuple[int, int, bytes]
_END = struct.Struct("<QQ32s")


class CorruptEntry(Exception):
    """A cache file is not what was written."""


class CacheFile:
    """A cache file for the tree at `root`. Decodes sections on demand; raises `CorruptEntry` if a digest differs."""

    def __init__(self, raw: bytes, root: str) -> None:
        self._root = root
        self._raw = memoryview(raw)
        self._places: Mapping[str, _Place] = {}
        if len(raw) < _END.size:
            raise CorruptEntry
        self._places = self._loaded(_END.unpack_from(raw, len(raw) - _END.size))
        inside, outside, self._stamps = self.section(_STAMPS)
        self._inside, self._outside = _split(inside), _split(outside)

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def section(self, name: str) -> Any:
        """Decode a section."""
        if name not in self._places:
            raise CorruptEntry
        return self._loaded(self._places[name])

    def _loaded(self, place: _Place) -> Any:
        start, size, known = place
        raw = self._raw[start : start + size]
        # What is not what was written could ask for any amount of memory.
        if hashlib.sha256(raw).digest() != known:
            raise CorruptEntry
        return marshal.loads(raw)

    def is_current(self) -> bool:
        """Whether the stamps of all dependencies are the same."""
        return bool(_stamps_of(self._root, self._inside, self._outside) == self._stamps)

    def stamps(self) -> dict[str, Stamp]:
        """Return the stamps of all dependencies."""
        paths = [_below(self._root, path) for path in self._inside] + self._outside
        numbers = iter(array("q", self._stamps))
        return dict(zip(paths, zip(numbers, numbers, numbers, numbers, strict=True), strict=True))

    @cached_property
    def _decoder(self) -> Decoder:
        return Decoder(self.section(FACTS))

    @property
    def facts(self) -> HeaderFacts:
        """The facts as they are written."""
        return self._decoder.facts

    @cached_property
    def resolved(self) -> HeaderFacts:
        """The facts with resolved types; what is as it is written is the same object."""
        return self._decoder.resolved(self.section(RESOLVED))


def _below(root: str, path: str) -> str:
    """Join a path below the root to the root as it is named."""
    return os.path.join(root, path) if path else root


def _split(text: str) -> list[str]:
    return text.split("\0") if text else []


def _stamps_of(root: str, inside: Iterable[str], outside: Iterable[str]) -> bytes:
    """Read the stamps of all dependencies; from the root, which takes less time than from further away."""
    try:
        descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return b""
    try:
        return stamps_of(inside, descriptor) + stamps_of(outside)
    finally:
        os.close(descriptor)


class HeaderCache:
    """The place of the cache file for the tree at `root`. `key` is the target, the configuration and whatever else
    decides the facts. `directory` holds the cache files, by default the user's own."""

    def __init__(self, root: str, *key: object, directory: str | None = None) -> None:
        self._files = PrivateFiles("headers", _MOST_ENTRIES, _BIGGEST_ENTRY, directory, _TOTAL)
        self._root = root
        asked = installation(), root, os.path.abspath(root), *map(repr, key)
        self._name = hashlib.sha256(repr(asked).encode("utf-8", "backslashreplace")).hexdigest()[:32]
        self._begun_ns = time.time_ns()

    def load(self) -> CacheFile | None:
        """Load the cache file; None where there is none, or it is corrupt."""
        try:
            return CacheFile(self._files.read(self._name), self._root)
        except (OSError, CorruptEntry):
            return None

    def store(self, listing: Listing, dependencies: Iterable[str], sections: Iterable[tuple[str, Any]]) -> None:
        """Store the sections made of a listing's headers and of their `dependencies`, unless these are changing."""
        stamps = dict(listing.stamps)
        outside: dict[str, Stamp] = {}
        told = _Absences(listing)
        for path in dependencies:
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
            self._write(chain([(_STAMPS, (*names, numbers.tobytes()))], sections))

    def _write(self, sections: Iterable[tuple[str, Any]]) -> None:
        self._files.write_pieces(self._name, _written(sections))


def _written(sections: Iterable[tuple[str, Any]]) -> Iterator[bytes]:
    """Yield the content of a cache file. A section that is large is gone when the next is made."""
    places: dict[str, _Place] = {}
    start = 0
    for name, section in sections:
        body = marshal.dumps(section)
        del section
        places[name] = _place(start, body)
        start += len(body)
        yield body
    table = marshal.dumps(places)
    yield table
    yield _END.pack(*_place(start, table))


def _place(start: int, body: bytes) -> _Place:
    return start, len(body), hashlib.sha256(body).digest()


class _Absences:
    """Tells which missing paths need no stamp: creating them would change the stamp of a listed directory."""

    def __init__(self, listing: Listing) -> None:
        self._known = dict.fromkeys(listing.folders, True)

    def by_a_folder(self, path: str) -> bool:
        """Whether creating `path` would change the stamp of a listed directory."""
        if os.path.lexists(path):
            return False  # what it links to may appear anywhere
        above = os.path.dirname(path)
        if above not in self._known:
            self._known[above] = above != path and self.by_a_folder(above)
        return self._known[above]
