"""The include graph of a tree: which headers a trace header can see, and in which order a name is looked up in them.

Trace headers use constants and types that other headers define. Those that they include, directly or through others,
are read once, and only for the symbols that they define; so are the headers of a trace header's own directory and of
the directory of its subsystem, where neither `ext4_lblk_t` nor xfs's types would be found otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from tpgen.basics.frozen import frozen
from tpgen.sources.headers.types.definitions import grouped
from tpgen.sources.headers.types.symbols import HeaderSymbols, SymbolTable
from tpgen.sources.source_tree.listing import directories_below

# All that Linux 7.2's trace headers include are 2300 headers; a hostile tree ends here.
MOST_HEADERS = 10_000
_MOST_FOLDERS = 64


@frozen
class IncludePaths:
    """The directories of a tree: those that `#include <…>` searches, in order, and every directory with headers.

    `root` is the tree's; the directories right in it, such as drivers/ and net/, belong to no single subsystem.
    `driver` is the directory of a driver that comes without its kernel, and whose Makefile says where its headers are:
    they are found by the tail of their paths.
    """

    include_dirs: tuple[str, ...]
    directories: tuple[str, ...] = ()
    root: str = ""
    driver: str = ""

    def is_public(self, path: str) -> bool:
        """Return whether a header or a directory is for the whole kernel."""
        return path.startswith(self.include_dirs)

    def is_shared(self, directory: str) -> bool:
        """Return whether many subsystems have their headers in or below a directory."""
        top = os.path.dirname(directory) == self.root.rstrip(os.sep)
        return top or self.root.startswith(directory) or self.is_public(directory)


class IncludeGraph:
    """The headers that the trace headers at `trace_headers` can see. Headers are numbers, sets of headers bits.

    `on_read` is called with the symbols of each header when it is read; its number is how many were read before.
    """

    def __init__(
        self,
        trace_headers: Iterable[str],
        include_paths: IncludePaths,
        table: SymbolTable,
        on_read: Callable[[HeaderSymbols], None],
    ) -> None:
        self._trace_headers = tuple(trace_headers)
        self._include_paths = include_paths
        self._table = table
        self._on_read = on_read
        self._paths: list[str] = []
        # A header's number by its path; None for what is no header.
        self._numbers: dict[str, int | None] = {}
        self._includes: list[tuple[int, ...]] = []
        self._system_includes: dict[str, int | None] = {}
        self._unfollowed: list[tuple[int, list[bytes]]] = []
        # Most sets of headers are large, and one is intersected after the other: integers are fast at both.
        self._public = 0
        self._reachable: dict[int, int] = {}
        self._visible: dict[int, int] = {}
        self._directories = grouped(self._include_paths.directories, os.path.basename)
        self._below: dict[tuple[str, ...], int] = {}

    def groups(self, context_path: str) -> Iterator[int]:
        """Yield the headers in lookup order for a name used in `context_path`, as sets that may overlap:

        1. the headers that it sees,
        2. those of its own directory and its subsystem's, then what these see,
        3. those of include/ that any trace header sees,
        4. those of the directories around its own, then what these see.
        """
        self._begin()
        yield self._visible_from(context_path)
        own = self._own_headers(context_path)
        yield own
        yield self._visible_from_any(own)
        yield self._public
        around = self._headers_around(context_path)
        yield around
        yield self._visible_from_any(around)

    def paths(self, headers: int) -> list[str]:
        """Return the paths of a set of headers, in the order in which they were read."""
        return [self._paths[number] for number in numbers_of(headers)]

    def public(self) -> list[str]:
        """Return the headers for the whole kernel that any trace header sees."""
        self._begin()
        return self.paths(self._public)

    def included(self) -> list[str]:
        """Return the headers that another header was seen to include."""
        return [self._paths[number] for number in {number for numbers in self._includes for number in numbers}]

    def _begin(self) -> None:
        """Read the trace headers, which nobody needs before the first query."""
        if self._paths:
            return
        for path in self._trace_headers:
            self._read_all(path)
        # Headers that are read later do not count: else an answer would depend on earlier queries.
        public = (number for number, path in enumerate(self._paths) if self._include_paths.is_public(path))
        self._public = bits_of(public)

    # --- sets of headers

    def _visible_from(self, path: str) -> int:
        """Return the header at `path` and all that it includes."""
        number = self._read_all(path)
        if number is not None and number not in self._reachable:
            self._reachable |= reachable(number, self._includes, self._reachable)
        return 0 if number is None else self._reachable[number]

    def _visible_from_any(self, headers: int) -> int:
        """Return all that a set of headers includes."""
        if headers not in self._visible:
            visible = 0
            for number in numbers_of(headers):
                visible |= self._visible_from(self._paths[number])
            self._visible[headers] = visible
        return self._visible[headers]

    def _own_headers(self, path: str) -> int:
        """Return the headers in and below the directory of `path`, and the directories that have the header's name."""
        directory, name = os.path.split(path)
        stem = name.removesuffix(".h").removesuffix("_trace").removeprefix("trace_")
        wanted = self._directories.get(stem, [])
        return self._headers_below(tuple(wanted if self._include_paths.is_public(directory) else [*wanted, directory]))

    def _headers_around(self, path: str) -> int:
        """Return the headers in and below the parent directory of that of `path`, unless many subsystems share it."""
        parent = os.path.dirname(os.path.dirname(path))
        return 0 if self._include_paths.is_shared(parent) else self._headers_below((parent,))

    def _headers_below(self, directories: tuple[str, ...]) -> int:
        """Return the headers in and below these directories."""
        if directories not in self._below:
            below = tuple(f"{directory}{os.sep}" for directory in directories)
            inner = (directory for directory in self._include_paths.directories if directory.startswith(below))
            chosen = sorted({*directories, *inner})[:_MOST_FOLDERS]
            numbers = [self._read_all(path) for folder in chosen for path in self._table.headers_in(folder)]
            self._below[directories] = bits_of(number for number in numbers if number is not None)
        return self._below[directories]

    # --- reading

    def _read_all(self, path: str) -> int | None:
        """Read the header at `path` with all that it includes; return its number, None where there is none."""
        number = self._number(path)
        while self._unfollowed:
            includer, includes = self._unfollowed.pop()
            directory = os.path.dirname(self._paths[includer])
            numbers = (self._included(directory, include[:1], include[1:].decode("latin1")) for include in includes)
            self._includes[includer] = tuple(number for number in numbers if number is not None)
        return number

    def _included(self, directory: str, quote: bytes, name: str) -> int | None:
        if quote == b'"':
            path = os.path.join(directory, name)
            beside = self._number(os.path.normpath(path) if ".." in name else path)
            if beside is not None:
                return beside
        if name not in self._system_includes:
            candidates = (self._number(os.path.join(above, name)) for above in self._include_paths.include_dirs)
            found = next((number for number in candidates if number is not None), None)
            self._system_includes[name] = self._by_tail(name) if found is None else found
        return self._system_includes[name]

    def _by_tail(self, name: str) -> int | None:
        """Return the one header below the driver's directory whose path ends in `name`, directory included."""
        folder, header = os.path.split(name)
        if not folder or not self._include_paths.driver:
            return None
        folders = self._driver_directories.get(os.path.basename(folder), ())
        fitting = (self._number(os.path.join(path, header)) for path in folders if path.endswith(f"/{folder}"))
        found = [number for number in fitting if number is not None]
        return found[0] if len(found) == 1 else None

    @cached_property
    def _driver_directories(self) -> Mapping[str, Sequence[str]]:
        return grouped(directories_below(self._include_paths.driver), os.path.basename)

    def _number(self, path: str) -> int | None:
        """Return the number of the header at `path`, reading its symbols; None where there is none."""
        if path in self._numbers:
            return self._numbers[path]
        found = None if len(self._paths) == MOST_HEADERS else self._table.symbols(path)
        if found is None:
            self._numbers[path] = None
            return None
        number = self._numbers[path] = len(self._paths)
        self._paths.append(path)
        self._includes.append(())
        self._unfollowed.append((number, found.includes.split(b"\n")[1:-1]))
        self._on_read(found)
        return number


def reachable(start: int, links: Sequence[Sequence[int]], known: Mapping[int, int]) -> dict[int, int]:
    """Return the closure of `start`, and of each number on the way that is not `known`, as bits by number.

    `links` are the edges; every number reaches itself. Numbers that reach each other are found together (Tarjan's
    strongly connected components, here without recursion).
    """
    found: dict[int, int] = {}
    entered, lowest = {start: 0}, {start: 0}
    pending, path = [start], [(start, iter(links[start]))]
    while path:
        number, rest = path[-1]
        for other in rest:
            if other in entered:
                if other not in found:
                    lowest[number] = min(lowest[number], entered[other])
            elif other not in known:
                entered[other] = lowest[other] = len(entered)
                pending.append(other)
                path.append((other, iter(links[other])))
                break
        else:
            path.pop()
            if path:
                lowest[path[-1][0]] = min(lowest[path[-1][0]], lowest[number])
            if lowest[number] == entered[number]:
                ring = _popped(pending, number)
                reached = bits_of(ring)
                for other in [other for member in ring for other in links[member]]:
                    reached |= found.get(other, 0) or known.get(other, 0)
                found.update(dict.fromkeys(ring, reached))
    return found


def _popped(stack: list[int], number: int) -> list[int]:
    """Pop everything from `number` to the top of the stack."""
    taken: list[int] = []
    while not taken or taken[-1] != number:
        taken.append(stack.pop())
    return taken


def bits_of(numbers: Iterable[int]) -> int:
    """Return the set of these numbers as bits."""
    bits = 0
    for number in numbers:
        bits |= 1 << number
    return bits


def numbers_of(bits: int) -> Iterator[int]:
    """Yield the numbers of the bits that are set, in order."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest
