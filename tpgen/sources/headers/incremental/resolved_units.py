"""Completed types, and what of them holds when headers changed.

Types are looked up in the headers around a trace header, of which thousands may have a say. What matters is which
headers see which, and which define the names that were looked up. Where the former is as it was, what a header changed
matters only to those that looked up a name that it defines, or did.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from tpgen.sources.headers.facts import HeaderClass, HeaderEvent
from tpgen.sources.headers.preprocessor.environment import TargetEnvironment
from tpgen.sources.headers.trace_events.units import HeaderUnit
from tpgen.sources.headers.types.include_graph import MOST_HEADERS, IncludePaths
from tpgen.sources.headers.types.resolved_facts import resolve_class, resolve_event
from tpgen.sources.headers.types.resolver import TypeResolver
from tpgen.sources.headers.types.symbol_index import SymbolIndex
from tpgen.sources.headers.types.symbols import HeaderSymbols, SymbolTable
from tpgen.sources.source_tree.files import Digest, Files


@dataclass(frozen=True, slots=True)
class Completed:
    """The classes and events of a unit with completed types, and the names that were looked up for them."""

    classes: tuple[HeaderClass, ...]
    events: tuple[HeaderEvent, ...]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Completion:
    """The completed units of a tree, by path, and what they depend on.

    `headers` are the names in all headers that were looked at or looked for, and `contents` tells what these held, and
    which headers the folders that were searched. `directories` have headers in or below them. `public` are the headers
    for the whole kernel that count everywhere, `included` those that another header includes.
    """

    units: Mapping[str, Completed]
    headers: Mapping[str, HeaderSymbols | None]
    contents: Mapping[str, Digest]
    directories: Sequence[str]
    public: Collection[str]
    included: Collection[str]


def complete_units(
    units: Sequence[HeaderUnit],
    include_paths: IncludePaths,
    names: TargetEnvironment,
    files: Files,
    former: Completion | None = None,
    changed: Collection[str] = (),
) -> Completion:
    """The units with completed types. Of the `former` completion what holds is taken; units at `changed` are new."""
    table = SymbolTable(files, former.headers, former.contents) if former else SymbolTable(files)
    index = SymbolIndex(_paths(units), include_paths, names, table)
    spared = _spared(former, index, table, files, include_paths, changed) if former else {}
    resolver = TypeResolver(names.target, index)
    completed = {unit.path: spared.get(unit.path) or _completed(unit, resolver) for unit in units}
    public, included = index.graph.public(), set(index.graph.included())
    headers, folders = table.found, table.folders
    if former and spared:
        headers = {**former.headers, **headers}
        folders |= {path: None for path in former.contents if path.endswith("/")}
        included |= set(former.included)
        # With so many there may be one more than an index takes, and which one depends on who asked first.
        if len(headers) >= MOST_HEADERS:
            return complete_units(units, include_paths, names, files)
    contents = {path: files.digest(path) for path in (*headers, *folders)}
    return Completion(completed, headers, contents, include_paths.directories, public, included)


def _paths(units: Iterable[HeaderUnit]) -> Iterable[str]:
    """The headers that facts stand in."""
    facts: Iterable[HeaderClass | HeaderEvent] = chain.from_iterable((*unit.classes, *unit.events) for unit in units)
    return dict.fromkeys(fact.position.path for fact in facts)


def _completed(unit: HeaderUnit, resolver: TypeResolver) -> Completed:
    classes = tuple([resolve_class(found, resolver) for found in unit.classes])
    events = tuple([resolve_event(found, resolver) for found in unit.events])
    return Completed(classes, events, tuple(resolver.take_dependencies()))


def _spared(
    former: Completion,
    index: SymbolIndex,
    table: SymbolTable,
    files: Files,
    include_paths: IncludePaths,
    changed: Collection[str],
) -> Mapping[str, Completed]:
    """Those completed units that hold."""
    differing = _differing(former, table, files) if former.directories == include_paths.directories else None
    if differing is None:
        return {}
    for path in set(index.graph.public()).symmetric_difference(former.public):
        differing += filter(None, (former.headers.get(path), table.symbols(path)))
    looked_up = {name for unit in former.units.values() for name in unit.names}
    other = {name for name in looked_up if any(names.may_define(name.encode()) for names in differing)}
    return {path: unit for path, unit in former.units.items() if path not in changed and other.isdisjoint(unit.names)}


def _differing(former: Completion, table: SymbolTable, files: Files) -> list[HeaderSymbols] | None:
    """The names of all headers that have other contents than they had, then and now; None where headers may see other
    headers than they did."""
    differing: list[HeaderSymbols] = []
    for path, before in former.contents.items():
        if files.digest(path) == before:
            continue
        if path.endswith("/"):
            return None
        then, now = former.headers[path], table.symbols(path)
        # What a header sees matters to itself, which is read again, and to those that see it.
        is_seen = path in former.included or f"{os.path.dirname(path)}/" in former.contents
        if then is None or (is_seen and (now is None or then.includes != now.includes)):
            return None
        differing += filter(None, (then, now))
    return differing
