"""Which headers of a tree define a name, and which of them a trace header can see.

Trace headers use constants and types that other headers define. Those that they include, directly or through others,
are read once, and only for the names that they define; so are the headers of a trace header's own directory and of the
directory of its subsystem, where neither `ext4_lblk_t` nor xfs's types would be found otherwise.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tpgen.sources.headers.conditions import Names
from tpgen.sources.headers.definitions import Definitions, grouped
from tpgen.sources.headers.text import Source

_INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*(["<])([^">\n]+)[">]', re.MULTILINE)
# Bounds and classes are such that no text makes a search quadratic.
_NAMES = (
    re.compile(rb"#[ \t]*define[ \t]+(\w+)"),
    re.compile(rb"struct\s+(?:__\w+\s+)?(\w+)\s*\{"),
    re.compile(rb"union\s+(?:__\w+\s+)?(\w+)\s*\{"),
    re.compile(rb"enum\s+(?:__\w+\s+)?(\w+)\s*\{"),
)
_ALIASES = (
    re.compile(rb"typedef\b[^;{}]{0,120}?\b(\w{1,80})\s*(?:\[[^;\]]{0,80}\]\s*)?;"),
    re.compile(rb"typedef\b[^;{}()]{0,120}\(\s*\*\s*(\w{1,80})\s*\)"),
    re.compile(rb"\}[^;{}()\n]{0,80}?\b(\w{1,80})\s*;"),
)
_ENUM = re.compile(rb"enum\b[^;{}()]{0,200}\{([^{}]*)\}")
# A name at the start of a line or behind a comma; comments between the braces hold words as well.
_ENUMERATOR = re.compile(rb"(?:^|,)[ \t]*([A-Za-z_]\w*)(?=\s*(?:[=,/]|$))", re.MULTILINE)
# A generated header or a table of registers is bigger, and of no use here.
_BIGGEST = 1 << 19
# All that Linux 7.2's trace headers include are 2300 headers; a hostile tree ends here.
_MOST_HEADERS = 10_000
_MOST_FOLDERS = 64
# A header taken apart is ten times as big as its text, and most are asked for one name.
_MOST_OPEN = 32


@dataclass(frozen=True, slots=True)
class Places:
    """Where a tree keeps its headers: what `#include <…>` searches, in order, and every directory with headers.

    `root` is the tree's; the directories right in it, such as drivers/ and net/, belong to no single subsystem.
    """

    include_dirs: tuple[str, ...]
    directories: tuple[str, ...] = ()
    root: str = ""

    def is_public(self, path: str) -> bool:
        """Whether a header or a directory is for the whole kernel."""
        return path.startswith(self.include_dirs)

    def is_shared(self, directory: str) -> bool:
        """Whether many subsystems have their headers in or below a directory."""
        top = os.path.dirname(directory) == self.root.rstrip(os.sep)
        return top or self.root.startswith(directory) or self.is_public(directory)


class Index:
    """The headers around `sources`, by what they define. `names` decides their conditions.

    Without `places` there is nothing around them.
    """

    def __init__(self, sources: Sequence[Source], places: Places | None, names: Names) -> None:
        self._given = {source.path: source for source in sources}
        self._places = places or Places(())
        self._reads = places is not None
        self._names = names
        self._paths: list[str] = []
        # A header's number by its path; None for what is no header.
        self._numbers: dict[str, int | None] = {}
        self._includes: list[tuple[int, ...]] = []
        self._system_includes: dict[str, int | None] = {}
        self._unfollowed: list[tuple[int, list[tuple[bytes, bytes]]]] = []
        # The numbers of the headers that may define a name; mostly it is one.
        self._defining: dict[bytes, int | tuple[int, ...]] = {}
        self._definitions: dict[str, Definitions] = {}
        self._visible: dict[str, frozenset[int]] = {}
        self._directories = grouped(self._places.directories, os.path.basename)
        self._below: dict[tuple[str, ...], frozenset[int]] = {}

    # --- who defines a name

    def defining(self, name: str, near: str) -> Iterator[list[str]]:
        """The headers that may define `name`, in groups, the likelier for the header `near` first.

        Those that `near` sees, then those of its own directory and its subsystem's, then those of include/, and last
        those of the directories around its own.
        """
        if not self._paths:
            for path in self._given:
                self._read_all(path)
        visible = self._visible_from(near)
        if group := visible.intersection(self._numbers_of(name)):
            yield self._paths_of(group)
        own = self._own_headers(near)
        if group := own.difference(visible).intersection(self._numbers_of(name)):
            yield self._paths_of(group)
        others = set(self._numbers_of(name)) - visible - own
        if public := [number for number in others if self._is_public(number)]:
            yield self._paths_of(public)
        around = self._headers_around(near)
        if group := (around - visible - own).intersection(self._numbers_of(name)):
            yield self._paths_of(group)

    def _numbers_of(self, name: str) -> tuple[int, ...]:
        numbers = self._defining.get(name.encode(), ())
        return numbers if isinstance(numbers, tuple) else (numbers,)

    def _is_public(self, number: int) -> bool:
        return self._places.is_public(self._paths[number])

    def _paths_of(self, numbers: Iterable[int]) -> list[str]:
        return [self._paths[number] for number in sorted(numbers)]

    def open(self, path: str) -> Definitions:
        """The definitions of the header at `path`, which `defining` named."""
        found = self._definitions.pop(path, None)
        if found is None:
            source = self._given.get(path) or Source(path, _read(path).decode("utf-8", "replace"))
            found = Definitions(source, self._names)
            if len(self._definitions) == _MOST_OPEN:
                del self._definitions[next(iter(self._definitions))]
        # The one that was used last stands last, the first is given up when there are too many.
        self._definitions[path] = found
        return found

    def _visible_from(self, path: str) -> frozenset[int]:
        """The header at `path` and all that it includes."""
        if path not in self._visible:
            start = self._read_all(path)
            seen = set() if start is None else {start}
            todo = list(seen)
            while todo:
                fresh = [number for number in self._includes[todo.pop()] if number not in seen]
                seen.update(fresh)
                todo += fresh
            self._visible[path] = frozenset(seen)
        return self._visible[path]

    def _own_headers(self, path: str) -> frozenset[int]:
        """The headers of the directory of `path` and below it, and of the directories that have the header's name."""
        directory, name = os.path.split(path)
        stem = name.removesuffix(".h").removesuffix("_trace").removeprefix("trace_")
        wanted = self._directories.get(stem, [])
        return self._headers_below(tuple(wanted if self._places.is_public(directory) else [*wanted, directory]))

    def _headers_around(self, path: str) -> frozenset[int]:
        """The headers of the directory above that of `path` and below it, where that is one subsystem's still."""
        parent = os.path.dirname(os.path.dirname(path))
        return frozenset() if self._places.is_shared(parent) else self._headers_below((parent,))

    def _headers_below(self, directories: tuple[str, ...]) -> frozenset[int]:
        """The headers of these directories and of all below them."""
        if directories not in self._below:
            below = tuple(f"{place}{os.sep}" for place in directories)
            folders = {*directories, *(place for place in self._places.directories if place.startswith(below))}
            chosen = sorted(folders)[:_MOST_FOLDERS] if self._reads else []
            paths = [header for folder in chosen for header in _headers_in(folder)]
            numbers = [self._read_all(header) for header in paths]
            self._below[directories] = frozenset(number for number in numbers if number is not None)
        return self._below[directories]

    def looked_for(self) -> list[str]:
        """All files that were read, and those that were not found where no listing of the tree tells of them."""
        below = f"{self._places.root.rstrip(os.sep)}{os.sep}"
        return [
            path
            for path, number in self._numbers.items()
            if number is not None or not path.endswith(".h") or not path.startswith(below)
        ]

    # --- reading

    def _read_all(self, path: str) -> int | None:
        """The number of the header at `path`, which is read with all that it includes; None where there is none."""
        number = self._number(path)
        while self._unfollowed:
            includer, includes = self._unfollowed.pop()
            directory = os.path.dirname(self._paths[includer])
            numbers = (self._included(directory, quote, name.decode("latin1")) for quote, name in includes)
            self._includes[includer] = tuple(number for number in numbers if number is not None)
        return number

    def _included(self, directory: str, quote: bytes, name: str) -> int | None:
        if quote == b'"':
            path = os.path.join(directory, name)
            beside = self._number(os.path.normpath(path) if ".." in name else path)
            if beside is not None:
                return beside
        if name not in self._system_includes:
            candidates = (self._number(os.path.join(place, name)) for place in self._places.include_dirs)
            self._system_includes[name] = next((number for number in candidates if number is not None), None)
        return self._system_includes[name]

    def _number(self, path: str) -> int | None:
        """The number of the header at `path`, which is read for the names that it defines; None where there is none."""
        if path in self._numbers:
            return self._numbers[path]
        given = self._given.get(path)
        raw = given.text.encode("utf-8", "replace") if given else _read(path) if self._reads else b""
        if not raw or len(self._paths) == _MOST_HEADERS:
            self._numbers[path] = None
            return None
        number = self._numbers[path] = len(self._paths)
        self._paths.append(path)
        self._includes.append(())
        self._unfollowed.append((number, _INCLUDE.findall(raw)))
        self._note_names(number, raw)
        return number

    def _note_names(self, number: int, raw: bytes) -> None:
        names: set[bytes] = set()
        for pattern in _NAMES:
            names.update(pattern.findall(raw))
        if b"typedef" in raw:
            for pattern in _ALIASES:
                names.update(pattern.findall(raw))
        for body in _ENUM.findall(raw):
            names.update(_ENUMERATOR.findall(body))
        for name in names:
            known = self._defining.get(name)
            if known is None:
                self._defining[name] = number
            else:
                self._defining[name] = (*known, number) if isinstance(known, tuple) else (known, number)


def _headers_in(directory: str) -> list[str]:
    try:
        return [
            os.path.join(directory, name) for name in sorted(os.listdir(directory or os.curdir)) if name.endswith(".h")
        ]
    except OSError:
        return []


def _read(path: str) -> bytes:
    """The bytes of a header; none for what is no readable file of a sensible size."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        raw = os.read(descriptor, _BIGGEST + 1) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
        return raw if len(raw) <= _BIGGEST else b""
    except OSError:
        return b""
    finally:
        os.close(descriptor)
