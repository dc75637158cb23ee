"""Units with resolved types, and which of them are still valid when headers changed.

Types are looked up in the headers around a trace header, which may be thousands. A result depends on which headers see
which, and which define the names that were looked up. Where the include graph is the same, a changed header invalidates
only the units that looked up a name which it defines, or did.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from tpgen.basics.frozen import frozen, replace
from tpgen.basics.progress import counted
from tpgen.basics.team import Team
from tpgen.sources.headers.facts import HeaderClass, HeaderEvent, HeaderFacts
from tpgen.sources.headers.preprocessor.environment import TargetEnvironment
from tpgen.sources.headers.trace_events.units import HeaderUnit
from tpgen.sources.headers.types.include_graph import MOST_HEADERS, IncludePaths
from tpgen.sources.headers.types.name_search import NOTHING_FOUND, NameSearch
from tpgen.sources.headers.types.resolved_facts import resolve_class, resolve_event
from tpgen.sources.headers.types.resolver import FallbackResolver, TypeResolver
from tpgen.sources.headers.types.symbol_index import SymbolIndex
from tpgen.sources.headers.types.symbols import HeaderSymbols, SymbolRows, SymbolTable
from tpgen.sources.source_tree.files import Digest, Files
from tpgen.sources.source_tree.listing import is_of_other_arch
from tpgen.target import Target


@frozen
class ResolvedUnit:
    """The classes and events of a unit with resolved types, and the names that were looked up for them."""

    classes: tuple[HeaderClass, ...]
    events: tuple[HeaderEvent, ...]
    names: tuple[str, ...]


@frozen
class ResolvedUnits:
    """The resolved units of a tree, by path, and their dependencies.

    `headers` are the symbols of all headers that were read or looked for, `contents` the digests of these and of the
    folders that were searched. `directories` have headers in or below them. `public` are the headers for the whole
    kernel that count everywhere, `included` those that another header includes.
    """

    units: Mapping[str, ResolvedUnit]
    headers: Mapping[str, HeaderSymbols | None]
    contents: Mapping[str, Digest]
    directories: Sequence[str]
    public: Collection[str]
    included: Collection[str]
    elsewhere: Mapping[str, tuple[str, ...]]
    searched: Sequence[str]


def open_index(
    units: Sequence[HeaderUnit],
    include_paths: IncludePaths,
    environment: TargetEnvironment,
    files: Files,
    listed: Sequence[str],
) -> SymbolIndex:
    """Open the symbol index of a tree with the headers `listed`."""
    search = NameSearch(listed, include_paths, files)
    return SymbolIndex(paths_of(units), include_paths, environment, SymbolTable(files), search)


class Share(NamedTuple):
    """The inputs of a team's process beside its units: the headers that all facts stand in, and symbols of headers."""

    team: Team
    headers: Sequence[str]
    symbols: SymbolRows


def resolve_units(
    units: Sequence[HeaderUnit],
    include_paths: IncludePaths,
    environment: TargetEnvironment,
    files: Files,
    listed: Sequence[str] = (),
    previous: ResolvedUnits | None = None,
    changed: Collection[str] = (),
    share: Share | None = None,
) -> ResolvedUnits:
    """Resolve the types of all units, of a tree with the headers `listed`.

    Those of the `previous` run are reused where they are valid and not `changed`. `units` may be a team's `share`.
    """
    table = SymbolTable(files, previous.headers, previous.contents) if previous else SymbolTable(files)
    search = NameSearch(listed, include_paths, files, previous.elsewhere if previous else NOTHING_FOUND)
    if share:
        table.take_rows(share.symbols)
        search.team = share.team
    index = SymbolIndex(share.headers if share else paths_of(units), include_paths, environment, table, search)
    valid = _still_valid(previous, index, table, files, include_paths, changed) if previous else {}
    resolved = dict(valid)
    pending = [unit for unit in units if unit.path not in valid]
    resolved |= _resolve_all(pending, environment.target, index, include_paths.root)
    public, included = index.graph.public(), set(index.graph.included())
    headers, folders = table.found, table.folders
    if previous and valid:
        headers = {**previous.headers, **headers}
        folders |= {path: None for path in previous.contents if path.endswith("/")}
        included |= set(previous.included)
        # With so many there may be one more than an index takes, and which one depends on the order of queries.
        if len(headers) >= MOST_HEADERS:
            return resolve_units(units, include_paths, environment, files, listed)
    contents = {path: files.digest(path) for path in (*headers, *folders)}
    around = include_paths.directories, public, included
    return ResolvedUnits(resolved, headers, contents, *around, search.found, tuple(search.dependencies()))


def paths_of(units: Iterable[HeaderUnit]) -> Sequence[str]:
    """Return the headers that facts stand in."""
    facts: Iterable[HeaderClass | HeaderEvent] = chain.from_iterable((*unit.classes, *unit.events) for unit in units)
    return [*dict.fromkeys(fact.position.path for fact in facts)]


def resolved_facts(facts: HeaderFacts, units: Iterable[HeaderUnit], resolved_units: ResolvedUnits) -> HeaderFacts:
    """Return the facts of units with the types that were resolved."""
    resolved = [resolved_units.units[unit.path] for unit in units]
    classes = tuple(chain.from_iterable(unit.classes for unit in resolved))
    return replace(facts, classes=classes, events=tuple(chain.from_iterable(unit.events for unit in resolved)))


def _resolve_all(units: Sequence[HeaderUnit], target: Target, index: SymbolIndex, root: str) -> dict[str, ResolvedUnit]:
    """Resolve the types of units. The names that no header around defines are searched for all at once."""
    around, search = TypeResolver(target, index), index.search
    resolved: dict[str, ResolvedUnit] = {}
    pending = units
    while True:
        everywhere = TypeResolver(target, index, everywhere=True)
        for unit in counted("finding types", pending, search.team.size):
            # What is only built for another architecture has its types in that one's headers, which are not there.
            other = around if is_of_other_arch(unit.path, root, target.arch) else everywhere
            resolved[unit.path] = _resolve(unit, FallbackResolver(around, other))
        if not (missed := search.search()):
            return resolved
        pending = [unit for unit in pending if not missed.isdisjoint(resolved[unit.path].names)]


def _resolve(unit: HeaderUnit, resolver: FallbackResolver) -> ResolvedUnit:
    classes = tuple([resolve_class(found, resolver) for found in unit.classes])
    events = tuple([resolve_event(found, resolver) for found in unit.events])
    return ResolvedUnit(classes, events, tuple(resolver.take_dependencies()))


def _still_valid(
    previous: ResolvedUnits,
    index: SymbolIndex,
    table: SymbolTable,
    files: Files,
    include_paths: IncludePaths,
    changed: Collection[str],
) -> Mapping[str, ResolvedUnit]:
    """Return the units of the previous run whose resolved types are still valid."""
    differing = _differing(previous, table, files) if previous.directories == include_paths.directories else None
    if differing is None:
        index.search.forget()
        return {}
    for path in set(index.graph.public()).symmetric_difference(previous.public):
        differing += filter(None, (previous.headers.get(path), table.symbols(path)))
    looked_up = {name for unit in previous.units.values() for name in unit.names}
    other = index.search.forget_changed()
    other |= {name for name in looked_up if any(names.may_define(name.encode()) for names in differing)}
    return {path: unit for path, unit in previous.units.items() if path not in changed and other.isdisjoint(unit.names)}


def _differing(previous: ResolvedUnits, table: SymbolTable, files: Files) -> list[HeaderSymbols] | None:
    """Return the symbols of all changed headers, before and after; None where the include graph may have changed."""
    differing: list[HeaderSymbols] = []
    for path, before in previous.contents.items():
        if files.digest(path) == before:
            continue
        if path.endswith("/"):
            return None
        then, now = previous.headers[path], table.symbols(path)
        # What a header sees matters to itself, which is read again, and to those that see it.
        is_seen = path in previous.included or f"{os.path.dirname(path)}/" in previous.contents
        if then is None or (is_seen and (now is None or then.includes != now.includes)):
            return None
        differing += filter(None, (then, now))
    return differing
