"""Extraction of the facts of trace headers: scan each header, then lower the statements of all headers at once.

Units of a previous run that are still valid are reused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from tpgen.basics.frozen import frozen
from tpgen.basics.progress import counted
from tpgen.basics.team import ALONE, Team
from tpgen.sources.headers.preprocessor.environment import ConfigEnvironment
from tpgen.sources.headers.preprocessor.source import Source
from tpgen.sources.headers.trace_events.borrowed_macros import MacroLookup
from tpgen.sources.headers.trace_events.discovery import HeaderTree
from tpgen.sources.headers.trace_events.expansion_cache import ExpansionCache
from tpgen.sources.headers.trace_events.family import event_family
from tpgen.sources.headers.trace_events.lowering import Parsed, parse
from tpgen.sources.headers.trace_events.scan import Scan, scan
from tpgen.sources.headers.trace_events.units import ArgumentOrder, HeaderUnit, Include
from tpgen.target import Target


class Extracted(NamedTuple):
    """The units of a tree's headers, or of this process's share of them, and the paths of all in their order."""

    units: list[HeaderUnit]
    paths: list[str]


def extract(
    tree: HeaderTree,
    target: Target,
    release: str | None,
    environment: ConfigEnvironment,
    lookup: MacroLookup | None = None,
    previous: Iterable[HeaderUnit] = (),
    team: Team = ALONE,
    of_first: float = 0.5,
    meanwhile: Callable[[], object] = lambda: None,
) -> Extracted:
    """Return the unit of each header of `tree`, of kernel `release`; fragments belong to the headers that include them.

    `lookup` finds macros that a header uses and does not define; without it these stay unknown. Units of the `previous`
    run are reused where they are still valid. Of a `team` each returns the units that it read; the first of them reads
    `of_first` of all. `meanwhile` is called before this waits for the others.
    """
    scanner = _Scanner(tree, release, environment, lookup)
    units: dict[str, HeaderUnit] = {}
    scanned: dict[str, _Scanned] = {}
    valid = {unit.path: unit for unit in previous if scanner.is_valid(unit)}

    def take(paths: Sequence[str]) -> None:
        for path in counted("reading headers", paths, team.size):
            if path in valid:
                units[path] = valid[path]
            else:
                scanned[path] = scanner.scan(path)

    def mine(paths: Sequence[str]) -> Sequence[str]:
        return team.part(paths, tree.sizes, of_first)

    whole = [path for path in tree.paths if path not in scanner.fragments.paths]
    take(mine(whole))
    includes = chain.from_iterable(
        found.includes for found in chain[HeaderUnit | _Scanned](units.values(), scanned.values())
    )
    included = set(chain.from_iterable(team.exchange([fragment for _, _, fragment in includes if fragment])))
    rest = [path for path in tree.paths if path in scanner.fragments.paths and path not in included]
    take(mine(rest))
    parsed = _parse(scanned, target)
    meanwhile()
    own_orders = {path: dict((parsed.get(path) or units[path]).argument_orders) for path in (*units, *scanned)}
    known_orders = dict(chain.from_iterable(orders.items() for orders in team.exchange(own_orders)))
    orders = _orders(known_orders[path] for path in (*whole, *rest))
    for path in [path for path, unit in units.items() if unit.is_of_other_orders(orders)]:
        scanned[path] = scanner.scan(path)
        parsed |= _parse({path: scanned[path]}, target)
    for path in list(scanned):
        units[path] = scanned.pop(path).unit(parsed.pop(path), orders, tree)
        # Of a header, its text and all that was found there takes more memory than the facts.
        tree.forget(path)
    paths = [*whole, *rest]
    return Extracted([units[path] for path in paths if path in units], paths)


_CALL = re.compile(r"^([A-Za-z_]\w*+)[ \t]*+\(", re.MULTILINE)


def _calls(source: Source) -> dict[str, None]:
    """Return the words that a header with a TRACE_SYSTEM invokes: any may be another header's macro for events."""
    return dict.fromkeys(_CALL.findall(source.clean)) if "TRACE_SYSTEM" in source.text else {}


def _parse(scanned: Mapping[str, _Scanned], target: Target) -> dict[str, Parsed]:
    return dict(zip(scanned, parse([found.scan.statements for found in scanned.values()], target), strict=True))


def _orders(orders: Iterable[Mapping[str, ArgumentOrder]]) -> dict[str, ArgumentOrder]:
    """Return the argument order of each class; of several classes of one name the first one's."""
    found: dict[str, ArgumentOrder] = {}
    for name, order in chain.from_iterable(some.items() for some in orders):
        found.setdefault(name, order)
    return found


@frozen
class _Scanned:
    """The scan of a header, with all files that were consulted for it and the fragments that its includes name."""

    scan: Scan
    files: tuple[str, ...]
    includes: tuple[Include, ...]

    def unit(self, parsed: Parsed, orders: Mapping[str, ArgumentOrder], tree: HeaderTree) -> HeaderUnit:
        lowered = parsed.lower(orders)
        notes = chain.from_iterable(map(tree.notes, self.files))
        return HeaderUnit(
            self.scan.source.path,
            {path: tree.files.digest(path) for path in self.files},
            self.includes,
            lowered.argument_orders,
            lowered.external_orders,
            tuple(lowered.classes),
            tuple(lowered.events),
            (*notes, *self.scan.skipped, *lowered.skipped),
        )


class _Scanner:
    def __init__(
        self, tree: HeaderTree, release: str | None, environment: ConfigEnvironment, lookup: MacroLookup | None
    ) -> None:
        self.fragments = tree.fragments()
        self._tree = tree
        self._environment = environment
        self._lookup = lookup
        self._family = event_family(release)
        self._expansions = ExpansionCache(self._family)

    def is_valid(self, unit: HeaderUnit) -> bool:
        """Return whether the files that a unit depends on are unchanged."""
        return all(self._tree.files.digest(path) == known for path, known in unit.dependencies.items()) and all(
            self.fragments.find(includer, name) == known for includer, name, known in unit.includes
        )

    def scan(self, path: str) -> _Scanned:
        source, lookup = self._tree.source(path), self._lookup
        includes: dict[Include, None] = {}

        def include(includer: Source, name: str) -> Source | None:
            found = self.fragments.find(includer.path, name)
            includes[includer.path, name, found] = None
            return None if found is None else self._tree.source(found)

        found = scan(source, self._family, self._environment, include, None, self._expansions)
        unknown = found.unknown or ({} if found.statements else _calls(source))
        borrowed = lookup.macros_for(source, unknown) if lookup and unknown else None
        if borrowed:
            found = scan(source, self._family, self._environment, include, borrowed, self._expansions)
        files = [
            path,
            *(fragment for _, _, fragment in includes if fragment),
            *(lookup.take_dependencies() if lookup else ()),
        ]
        return _Scanned(found, tuple(dict.fromkeys(files)), tuple(includes))
