"""A tree of headers on disk: which of them use the family, and of which kernel it is."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tpgen.diagnostics import Diagnostic, Position, Severity, unreadable
from tpgen.sources.headers.cache import digest
from tpgen.sources.headers.family import event_family
from tpgen.sources.headers.listing import Listing
from tpgen.sources.headers.text import Source, line_matches


@dataclass(slots=True)
class Tree:
    """The headers of a tree that use the family, sorted by path, and the files that could not be read.

    `contents` tells what all of these held.
    """

    sources: list[Source] = field(default_factory=list)
    skipped: list[Diagnostic] = field(default_factory=list)
    contents: dict[str, str | None] = field(default_factory=dict)


def read_tree(listing: Listing) -> Tree:
    """Every listed header that uses a word of the family. Raises `TpgenError` when the only one cannot be read."""
    tree = Tree(skipped=list(listing.skipped))
    for path in listing.paths:
        try:
            raw = read_if_used(path) if listing.is_directory else Path(path).read_bytes()
        except OSError as error:
            if not listing.is_directory:
                raise unreadable(path, error) from None
            tree.skipped.extend(unreadable(path, error).diagnostics)
            tree.contents[path] = None
            continue
        if raw is not None:
            tree.contents[path] = digest(raw)
            tree.sources.append(decode(path, raw, tree.skipped))
    return tree


def decode(path: str, raw: bytes, skipped: list[Diagnostic]) -> Source:
    """The header of these bytes. What is no text is reported and read as blank or as a replacement character."""
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

# Every word of the family that makes something holds one of these.
_PARTS = (b"_EVENT", b"DECLARE_TRACE", b"FTRACE_ENTRY")
# Each of those holds one of these. A search for two strings passes 25 000 headers in no time, above all where they are
# no longer than five characters; only a few thousand headers hold one.
_HINTS = (b"EVENT", b"TRACE")
# Only so much of a header is searched. The largest trace headers have 140 KB and use the family from the first page on;
# the headers that are larger than this are tables of registers, two thirds of the bytes of all headers.
_WINDOW = bytearray(1 << 18)


def read_if_used(path: str) -> bytes | None:
    """The contents of a header that uses the family, else None."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        size = os.readv(descriptor, [_WINDOW])
        if not _uses_family(size):
            return None
        if size < len(_WINDOW):
            return bytes(memoryview(_WINDOW)[:size])
        os.lseek(descriptor, 0, os.SEEK_SET)
        with os.fdopen(os.dup(descriptor), "rb") as file:
            return file.read()
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
    """For each hint a pattern that finds the words of the family around it. It searches for the plain hint."""
    family = [word.encode() for word in event_family(None)]
    words = [word for word in family if any(part in word for part in _PARTS)]
    return tuple((hint, _words_around(hint, [word for word in words if hint in word])) for hint in _HINTS)


def _words_around(hint: bytes, words: Iterable[bytes]) -> re.Pattern[bytes]:
    parts = [word.partition(hint) for word in words]
    return re.compile(hint + rb"(?:%s)" % b"|".join(rb"(?<=\b%s%s)%s\b" % part for part in parts))


# --- includes ------------------------------------------------------------------------------------------------------

_DEFINE = re.compile(r"#[ \t]*define[ \t]+(\w+)")


class Fragments:
    """The headers without a TRACE_SYSTEM of their own: they are parts of the headers that include them."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._by_name: dict[str, list[Source]] = {}
        self.all = [source for source in sources if _is_fragment(source)]
        self.included: set[str] = set()
        for source in self.all:
            self._by_name.setdefault(os.path.basename(source.path), []).append(source)

    def find(self, includer: Source, name: str) -> Source | None:
        """The fragment that `#include name` (with its quotes or brackets) of `includer` means, None when it is none."""
        path = name.strip('"<> \t\r')
        candidates = self._by_name.get(os.path.basename(path))
        if not candidates:
            return None
        beside = os.path.normpath(os.path.join(os.path.dirname(includer.path), path))
        tail = "/" + os.path.normpath(path).lstrip("./")
        for candidate in candidates:
            if os.path.normpath(candidate.path) == beside:
                break
        else:
            fitting = [candidate for candidate in candidates if candidate.path.endswith(tail)]
            if len(fitting) != 1:
                return None
            candidate = fitting[0]
        self.included.add(candidate.path)
        return candidate


def _is_fragment(source: Source) -> bool:
    """True for a header with neither a system of its own nor, as <linux/tracepoint.h> has, the family's definitions."""
    defined = {match[1] for _, match in line_matches(_DEFINE, source.text)}
    return "TRACE_SYSTEM" not in defined and event_family(None).keys().isdisjoint(defined)


# --- release -------------------------------------------------------------------------------------------------------

_VERSION = re.compile(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION)[ \t]*=[ \t]*(\S*)[ \t]*$", re.MULTILINE)
_UTS_RELEASE = re.compile(r'^#define[ \t]+UTS_RELEASE[ \t]+"([^"]+)"', re.MULTILINE)


def find_release(root: str) -> str | None:
    """The release of the kernel whose tree `root` is or lies in (`6.1.192`), None where nothing tells it."""
    start = os.path.abspath(root)
    for directory in (start, *map(str, Path(start).parents)):
        if release := _release_of(directory):
            return release
    return None


# Where a kernel's tree tells its release, the surest place first.
_RELEASE_FILES = ("Makefile", "include/config/kernel.release", "include/generated/utsrelease.h")


def release_files(root: str) -> list[str]:
    """All files that `find_release` may look at."""
    start = os.path.abspath(root)
    return [os.path.join(place, name) for place in (start, *map(str, Path(start).parents)) for name in _RELEASE_FILES]


def _release_of(directory: str) -> str | None:
    makefile, kernel_release, utsrelease = _RELEASE_FILES
    version: dict[str, str] = dict(_VERSION.findall(_text(directory, makefile)))
    if version.get("VERSION", "").isdigit() and version.get("PATCHLEVEL", "").isdigit():
        numbers = ".".join(version[part] for part in ("VERSION", "PATCHLEVEL", "SUBLEVEL") if version.get(part))
        return numbers + version.get("EXTRAVERSION", "")
    if release := _text(directory, kernel_release).strip():
        return release
    match = _UTS_RELEASE.search(_text(directory, utsrelease))
    return match[1] if match else None


def _text(directory: str, name: str) -> str:
    path = os.path.join(directory, name)
    try:
        if not os.path.isfile(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 16)
    except OSError:
        return ""
