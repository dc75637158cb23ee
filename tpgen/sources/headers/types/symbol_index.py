"""Which headers of a tree define a name, and which of them a trace header can see.

Trace headers use constants and types that other headers define. Those that they include, directly or through others,
are read once, and only for the names that they define; so are the headers of a trace header's own directory and of the
directory of its subsystem, where neither `ext4_lblk_t` nor xfs's types would be found otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tpgen.sources.headers.preprocessor.expressions import MacroEnvironment
from tpgen.sources.headers.preprocessor.source import Source
from tpgen.sources.headers.types.definitions import Definitions, grouped
from tpgen.sources.headers.types.symbols import NameTable

# All that Linux 7.2's trace headers include are 2300 headers; a hostile tree ends here.
MOST_HEADERS = 10_000
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
    """The symbols of the trace headers at `paths` and of the headers around them.

    `environment` decides their conditions.
    """

    def __init__(self, paths: Iterable[str], places: Places, environment: MacroEnvironment, table: NameTable) -> None:
        self._trace_headers = tuple(paths)
        self._places = places
        self._environment = environment
        self._table = table
        self._paths: list[str] = []
        # A header's number by its path; None for what is no header.
        self._numbers: dict[str, int | None] = {}
        self._includes: list[tuple[int, ...]] = []
        self._system_includes: dict[str, int | None] = {}
        self._unfollowed: list[tuple[int, list[bytes]]] = []
        # Sets of headers are the bits of their numbers: most are large, and one is asked for after the other.
        self._public = 0
        # The numbers of the headers that may define a type's name; mostly it is one.
        self._types: dict[bytes, int | tuple[int, ...]] = {}
        # The macros and enumerators of each header, one a line: ten times as many names, and few are ever asked for.
        self._constants: list[bytes] = []
        self._definitions: dict[str, Definitions] = {}
        # The headers that were searched for a constant, and those that have it.
        self._constant_places: dict[bytes, tuple[int, int]] = {}
        self._reachable: dict[int, int] = {}
        self._visible: dict[int, int] = {}
        self._directories = grouped(self._places.directories, os.path.basename)
        self._below: dict[tuple[str, ...], int] = {}

    # --- who defines a name

    def defining(self, name: str, near: str, *, constant: bool = False) -> Iterator[list[str]]:
        """The headers that may define `name`, in groups, the likelier for the header `near` first.

        With `constant` the name may be a macro's or an enumerator's, else it is a type's.
        """
        self._begin()
        found = 0
        for group in self._groups(near):
            if headers := self._among(group, name.encode(), constant) & ~found:
                yield [self._paths[number] for number in _numbers(headers)]
                found |= headers

    def _begin(self) -> None:
        """Reads the trace headers, which it takes a question to do."""
        if self._paths:
            return
        for path in self._trace_headers:
            self._read_all(path)
        # Headers that are read later do not count: then an answer would depend on what was asked before.
        self._public = _bits(number for number, path in enumerate(self._paths) if self._places.is_public(path))

    def _groups(self, near: str) -> Iterator[int]:
        """The headers that `near` sees, those of its own directory and its subsystem's, what these see, those of
        include/ that any trace header sees, and last those of the directories around its own, and what these see."""
        yield self._visible_from(near)
        own = self._own_headers(near)
        yield own
        yield self._visible_from_any(own)
        yield self._public
        around = self._headers_around(near)
        yield around
        yield self._visible_from_any(around)

    def _among(self, group: int, name: bytes, constant: bool) -> int:
        """Those of a group that may define a type of that name, or with `constant` a macro or an enumerator."""
        known = self._types.get(name, ())
        places = _bits(known if isinstance(known, tuple) else (known,))
        if constant:
            searched, found = self._constant_places.get(name, (0, 0))
            line, constants = b"\n%s\n" % name, self._constants
            found |= _bits(number for number in _numbers(group & ~searched) if line in constants[number])
            self._constant_places[name] = searched | group, found
            places |= found
        return places & group

    def option(self, name: str) -> int | None:
        """What an option of the kernel's configuration counts as, None where that is not known."""
        return self._environment.value(name)

    def open(self, path: str) -> Definitions:
        """The definitions of the header at `path`, which `defining` named."""
        found = self._definitions.pop(path, None)
        if found is None:
            found = Definitions(Source(path, self._table.text(path)), self._environment)
            if len(self._definitions) == _MOST_OPEN:
                del self._definitions[next(iter(self._definitions))]
        # The one that was used last stands last, the first is given up when there are too many.
        self._definitions[path] = found
        return found

    def _visible_from(self, path: str) -> int:
        """The header at `path` and all that it includes."""
        number = self._read_all(path)
        if number is not None and number not in self._reachable:
            self._reachable |= reachable(number, self._includes, self._reachable)
        return 0 if number is None else self._reachable[number]

    def _visible_from_any(self, headers: int) -> int:
        """All that a set of headers includes."""
        if headers not in self._visible:
            visible = 0
            for number in _numbers(headers):
                visible |= self._visible_from(self._paths[number])
            self._visible[headers] = visible
        return self._visible[headers]

    def _own_headers(self, path: str) -> int:
        """The headers of the directory of `path` and below it, and of the directories that have the header's name."""
        directory, name = os.path.split(path)
        stem = name.removesuffix(".h").removesuffix("_trace").removeprefix("trace_")
        wanted = self._directories.get(stem, [])
        return self._headers_below(tuple(wanted if self._places.is_public(directory) else [*wanted, directory]))

    def _headers_around(self, path: str) -> int:
        """The headers of the directory above that of `path` and below it, where that is one subsystem's still."""
        parent = os.path.dirname(os.path.dirname(path))
        return 0 if self._places.is_shared(parent) else self._headers_below((parent,))

    def _headers_below(self, directories: tuple[str, ...]) -> int:
        """The headers of these directories and of all below them."""
        if directories not in self._below:
            below = tuple(f"{place}{os.sep}" for place in directories)
            folders = {*directories, *(place for place in self._places.directories if place.startswith(below))}
            chosen = sorted(folders)[:_MOST_FOLDERS]
            numbers = [self._read_all(path) for folder in chosen for path in self._table.headers_in(folder)]
            self._below[directories] = _bits(number for number in numbers if number is not None)
        return self._below[directories]

    def public(self) -> list[str]:
        """The headers for the whole kernel that any trace header sees."""
        self._begin()
        return [self._paths[number] for number in _numbers(self._public)]

    def included(self) -> list[str]:
        """The headers that another header was seen to include."""
        return [self._paths[number] for number in {number for numbers in self._includes for number in numbers}]

    # --- reading

    def _read_all(self, path: str) -> int | None:
        """The number of the header at `path`, which is read with all that it includes; None where there is none."""
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
            candidates = (self._number(os.path.join(place, name)) for place in self._places.include_dirs)
            self._system_includes[name] = next((number for number in candidates if number is not None), None)
        return self._system_includes[name]

    def _number(self, path: str) -> int | None:
        """The number of the header at `path`, which is read for the names that it defines; None where there is none."""
        if path in self._numbers:
            return self._numbers[path]
        found = None if len(self._paths) == MOST_HEADERS else self._table.names(path)
        if found is None:
            self._numbers[path] = None
            return None
        number = self._numbers[path] = len(self._paths)
        self._paths.append(path)
        self._includes.append(())
        self._unfollowed.append((number, found.includes.split(b"\n")[1:-1]))
        for name in found.types.split(b"\n")[1:-1]:
            known = self._types.get(name)
            if known is None:
                self._types[name] = number
            else:
                self._types[name] = (*known, number) if isinstance(known, tuple) else (known, number)
        self._constants.append(found.constants)
        return number


def reachable(start: int, links: Sequence[Sequence[int]], known: Mapping[int, int]) -> dict[int, int]:
    """For `start`, and each number that it leads to and that is not `known`, the bits of all that it leads to.

    Every number leads to itself, and to where the numbers lead that it has links to. Those that lead to each other are
    found together (Tarjan's strongly connected components, here without recursion).
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
                reached = _bits(ring)
                for other in [other for member in ring for other in links[member]]:
                    reached |= found.get(other, 0) or known.get(other, 0)
                found.update(dict.fromkeys(ring, reached))
    return found


def _popped(stack: list[int], number: int) -> list[int]:
    """All from `number` to the end, taken off the stack."""
    taken: list[int] = []
    while not taken or taken[-1] != number:
        taken.append(stack.pop())
    return taken


def _bits(numbers: Iterable[int]) -> int:
    bits = 0
    for number in numbers:
        bits |= 1 << number
    return bits


def _numbers(bits: int) -> Iterator[int]:
    """The numbers of the bits that are set, in order."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest
