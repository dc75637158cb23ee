"""Discovery of trace headers: which headers of a tree use the family, and which of these are fragments of others."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import BinaryIO

from tpgen.basics.progress import counted
from tpgen.basics.team import ALONE, Team
from tpgen.diagnostics import Diagnostic, Position, Severity, unreadable
from tpgen.sources.headers.preprocessor.source import Source, line_matches
from tpgen.sources.headers.trace_events.family import event_family
from tpgen.sources.source_tree.files import Files
from tpgen.sources.source_tree.listing import Listing


class HeaderTree:
    """The headers of a tree that use the family: their `paths` and their texts, which `files` reads if not `given`.

    `skipped` reports the files and directories that could not be read. `sizes` are the lengths of the texts in
    characters, where a team shares the headers.
    """

    def __init__(self, files: Files, given: Iterable[Source] = ()) -> None:
        self.files = files
        self.paths: list[str] = []
        self.sizes: dict[str, int] = {}
        self.skipped: list[Diagnostic] = []
        self._fragments: list[str] = []
        self._sources: dict[str, Source] = {}
        self._notes: dict[str, tuple[Diagnostic, ...]] = {}
        for source in given:
            files.record(source.path, source.text.encode("utf-8", "replace"))
            self._add(source)

    def source(self, path: str) -> Source:
        """Return the header at `path`."""
        if path not in self._sources:
            try:
                raw = _contents(path)
            except OSError:
                raw = b""  # gone by now
            self.files.record(path, raw)
            self._decode(path, raw)
        return self._sources[path]

    def forget(self, path: str) -> None:
        """Drop the text of a header, which nobody needs any more."""
        self._sources.pop(path, None)

    def notes(self, path: str) -> tuple[Diagnostic, ...]:
        """Return what is wrong with the encoding of a header that was read."""
        return self._notes.get(path, ())

    def fragments(self) -> HeaderFragments:
        """Return the headers that are fragments of others."""
        return HeaderFragments(self._fragments)

    def add(self, path: str, raw: bytes) -> None:
        """Add a header with its contents."""
        self.files.record(path, raw)
        self._add(self._decode(path, raw))

    def add_known(self, path: str, is_fragment: bool) -> None:
        """Add a header without reading it before its text is needed."""
        self.paths.append(path)
        if is_fragment:
            self._fragments.append(path)

    def join(self, team: Team) -> None:
        """Add the headers that the others of a team found; the texts of these are read when they are needed."""
        if team.size > 1:
            sizes = team.exchange([(path, len(self._sources[path].text)) for path in self.paths])
            self.sizes = dict(sorted(chain.from_iterable(sizes)))
            self.paths = list(self.sizes)
            self._fragments = sorted(chain.from_iterable(team.exchange(self._fragments)))

    def _add(self, source: Source) -> None:
        self._sources[source.path] = source
        self.add_known(source.path, _is_fragment(source))

    def _decode(self, path: str, raw: bytes) -> Source:
        notes: list[Diagnostic] = []
        source = self._sources[path] = decode(path, raw, notes)
        self._notes[path] = tuple(notes)
        return source


def discover(listing: Listing, files: Files, known: Mapping[str, bool], team: Team = ALONE) -> HeaderTree:
    """Find every listed header that uses a word of the family.

    A header with an unchanged stamp does so if it is in `known`, which maps it to whether it is a fragment.
    """
    tree = HeaderTree(files)
    tree.skipped += listing.skipped
    failed: list[tuple[str, int, str]] = []
    for path in counted("searching headers", team.share(listing.paths), team.size):
        if files.is_unchanged(path):
            if path in known:
                tree.add_known(path, known[path])
            continue
        try:
            raw = read_if_used(path)
        except OSError as error:
            failed.append((path, error.errno or 0, error.strerror or ""))
            continue
        if raw is not None:
            tree.add(path, raw)
    tree.join(team)
    for path, *reason in sorted(chain.from_iterable(team.exchange(failed))):
        tree.skipped.extend(unreadable(path, OSError(*reason)).diagnostics)
    return tree


def discover_one(path: str, files: Files) -> HeaderTree:
    """Return a tree of the one header at `path`. Raises `TpgenError` when it cannot be read."""
    tree = HeaderTree(files)
    try:
        tree.add(path, _contents(path))
    except OSError as error:
        raise unreadable(path, error) from None
    return tree


def _contents(path: str) -> bytes:
    with open(path, "rb") as file:
        return _whole(file)


def _whole(file: BinaryIO) -> bytes:
    """Read a header to its end. Raises `OSError` for one that is larger than any."""
    raw = file.read(_BIGGEST + 1)
    if len(raw) > _BIGGEST:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return raw


def decode(path: str, raw: bytes, skipped: list[Diagnostic]) -> Source:
    """Decode a header. Bytes that are no text are reported, and read as blanks or replacement characters."""
    text = raw.decode("utf-8", "replace")
    source = Source(path, text)
    if "\ufffd" in text and "\ufffd".encode() not in raw:
        skipped.append(_note("header-encoding", "not UTF-8 from here", source.position(text.index("\ufffd"))))
    if "\0" in text:
        where = source.position(text.index("\0"))
        skipped.append(_note("header-nul", "NUL characters from here, read as blanks", where))
        source = Source(path, text.replace("\0", " "))
    return source


def _note(code: str, message: str, position: Position) -> Diagnostic:
    return Diagnostic(code, message, position, severity=Severity.NOTE)


# --- finding -------------------------------------------------------------------------------------------------------

# Every word of the family that makes something contains one of these.
_PARTS = (b"_EVENT", b"DECLARE_TRACE", b"FTRACE_ENTRY")
# All that a header may use are macros of another one, which it includes; but its system it names itself.
_SYSTEM = b"TRACE_SYSTEM"
# Each of those contains one of these. A search for two strings passes 25 000 headers in no time, above all where they
# are no longer than five characters; only a few thousand headers contain one.
_HINTS = (b"EVENT", b"TRACE")
# Only so much of a header is searched, unless it includes <linux/tracepoint.h>. The largest trace headers have 140 KB
# and use the family from the first page on; the headers that are larger than this are tables of registers, two thirds
# of the bytes of all headers.
_WINDOW = bytearray(1 << 18)
_BIGGEST = 1 << 26


def read_if_used(path: str) -> bytes | None:
    """Return the contents of a header that uses the family, else None."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        size = os.readv(descriptor, [_WINDOW])
        if not _uses_family(size) and (size < len(_WINDOW) or _WINDOW.find(b"tracepoint.h") < 0):
            return None
        if size < len(_WINDOW):
            return bytes(memoryview(_WINDOW)[:size])
        os.lseek(descriptor, 0, os.SEEK_SET)
        with os.fdopen(os.dup(descriptor), "rb") as file:
            return _whole(file)
    finally:
        os.close(descriptor)


def _uses_family(size: int) -> bool:
    for hint, words in _vocabulary():
        at = _WINDOW.find(hint, 0, size)
        if at >= 0 and words.search(_WINDOW, at, size):
            return True
    return False


@cache
def _vocabulary() -> tuple[tuple[bytes, re.Pattern[bytes]], ...]:
    """Return each hint with a pattern for the words of the family around it, which searches for the plain hint."""
    family = [word.encode() for word in event_family(None)]
    words = [_SYSTEM, *(word for word in family if any(part in word for part in _PARTS))]
    return tuple((hint, _words_around(hint, [word for word in words if hint in word])) for hint in _HINTS)


def _words_around(hint: bytes, words: Iterable[bytes]) -> re.Pattern[bytes]:
    parts = [word.partition(hint) for word in words]
    return re.compile(hint + rb"(?:%s)" % b"|".join(rb"(?<=\b%s%s)%s\b" % part for part in parts))


# --- includes ------------------------------------------------------------------------------------------------------

_DEFINE = re.compile(r"#[ \t]*define[ \t]+(\w+)")


class HeaderFragments:
    """The headers at `paths`, without a TRACE_SYSTEM of their own: fragments of the headers that include them."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = frozenset(paths)
        self._by_name: dict[str, list[str]] = {}
        for path in paths:
            self._by_name.setdefault(os.path.basename(path), []).append(path)

    def find(self, includer: str, name: str) -> str | None:
        """Return the fragment that `#include name` of `includer`, quotes or brackets included, names, or None."""
        path = name.strip('"<> \t\r')
        candidates = self._by_name.get(os.path.basename(path))
        if not candidates:
            return None
        beside = os.path.normpath(os.path.join(os.path.dirname(includer), path))
        for candidate in candidates:
            if os.path.normpath(candidate) == beside:
                return candidate
        tail = "/" + os.path.normpath(path).lstrip("./")
        fitting = [candidate for candidate in candidates if candidate.endswith(tail)]
        return fitting[0] if len(fitting) == 1 else None


def _is_fragment(source: Source) -> bool:
    """Return whether a header has neither a TRACE_SYSTEM nor, as <linux/tracepoint.h>, the family's definitions."""
    defined = {match[1] for _, match in line_matches(_DEFINE, source.text)}
    return "TRACE_SYSTEM" not in defined and event_family(None).keys().isdisjoint(defined)
