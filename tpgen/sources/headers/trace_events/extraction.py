"""From the texts of headers to what each of them states: scan them, then build facts out of all statements at once.

What is known of a header already, and still holds, is taken as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain

from tpgen.sources.headers.preprocessor.environment import ConfigEnvironment
from tpgen.sources.headers.preprocessor.source import Source
from tpgen.sources.headers.trace_events.borrowed_macros import Lender
from tpgen.sources.headers.trace_events.discovery import Tree
from tpgen.sources.headers.trace_events.expansion_cache import Templates
from tpgen.sources.headers.trace_events.family import event_family
from tpgen.sources.headers.trace_events.lowering import Parsed, parse
from tpgen.sources.headers.trace_events.scan import Scan, scan
from tpgen.sources.headers.trace_events.units import Include, Order, Unit
from tpgen.target import Target


def assemble(
    tree: Tree,
    target: Target,
    release: str | None,
    environment: ConfigEnvironment,
    lender: Lender | None = None,
    known: Iterable[Unit] = (),
) -> list[Unit]:
    """What each header of `tree`, of kernel `release`, states; fragments as part of the headers that include them.

    `lender` looks for macros that a header uses and does not define; without it these stay unknown. Of the `known`
    units those are taken that still hold.
    """
    scanner = _Scanner(tree, release, environment, lender)
    units: dict[str, Unit] = {}
    scanned: dict[str, _Scanned] = {}
    former = {unit.path: unit for unit in known if scanner.holds(unit)}

    def take(paths: Iterable[str]) -> None:
        for path in paths:
            if path in former:
                units[path] = former[path]
            else:
                scanned[path] = scanner.scan(path)

    whole = [path for path in tree.paths if path not in scanner.fragments.paths]
    take(whole)
    includes = chain.from_iterable(found.includes for found in chain[Unit | _Scanned](units.values(), scanned.values()))
    included = {fragment for _, _, fragment in includes}
    rest = [path for path in tree.paths if path in scanner.fragments.paths and path not in included]
    take(rest)
    parsed = _parse(scanned, target)
    orders = _orders((parsed.get(path) or units[path]).orders for path in (*whole, *rest))
    for path in [path for path, unit in units.items() if unit.is_of_other_orders(orders)]:
        scanned[path] = scanner.scan(path)
        parsed |= _parse({path: scanned[path]}, target)
    units |= {path: found.built(parsed[path], orders, tree) for path, found in scanned.items()}
    return [units[path] for path in (*whole, *rest)]


def _parse(scanned: Mapping[str, _Scanned], target: Target) -> dict[str, Parsed]:
    return dict(zip(scanned, parse([found.scan.statements for found in scanned.values()], target), strict=True))


def _orders(orders: Iterable[Mapping[str, Order]]) -> dict[str, Order]:
    """The order of the arguments of each class; of several classes of one name the first one's."""
    found: dict[str, Order] = {}
    for name, order in chain.from_iterable(some.items() for some in orders):
        found.setdefault(name, order)
    return found


@dataclass(frozen=True, slots=True)
class _Scanned:
    """A header with all files that were looked at for it, and what its includes led to."""

    scan: Scan
    files: tuple[str, ...]
    includes: tuple[Include, ...]

    def built(self, parsed: Parsed, orders: Mapping[str, Order], tree: Tree) -> Unit:
        built = parsed.build(orders)
        notes = chain.from_iterable(map(tree.notes, self.files))
        return Unit(
            self.scan.source.path,
            {path: tree.files.digest(path) for path in self.files},
            self.includes,
            built.orders,
            built.foreign,
            tuple(built.classes),
            tuple(built.events),
            (*notes, *self.scan.skipped, *built.skipped),
        )


class _Scanner:
    def __init__(self, tree: Tree, release: str | None, environment: ConfigEnvironment, lender: Lender | None) -> None:
        self.fragments = tree.fragments()
        self._tree = tree
        self._environment = environment
        self._lender = lender
        self._family = event_family(release)
        self._templates = Templates(self._family)

    def holds(self, unit: Unit) -> bool:
        """Whether a header states what it stated, as far as files tell."""
        return all(self._tree.files.digest(path) == known for path, known in unit.contents.items()) and all(
            self.fragments.find(includer, name) == known for includer, name, known in unit.includes
        )

    def scan(self, path: str) -> _Scanned:
        source, lender = self._tree.source(path), self._lender
        includes: dict[Include, None] = {}

        def include(includer: Source, name: str) -> Source | None:
            found = self.fragments.find(includer.path, name)
            includes[includer.path, name, found] = None
            return None if found is None else self._tree.source(found)

        found = scan(source, self._family, self._environment, include, None, self._templates)
        lent = lender.macros_for(source, found.unknown) if lender and found.unknown else None
        if lent:
            found = scan(source, self._family, self._environment, include, lent, self._templates)
        files = [path, *(fragment for _, _, fragment in includes if fragment), *(lender.looked_for() if lender else ())]
        return _Scanned(found, tuple(dict.fromkeys(files)), tuple(includes))
