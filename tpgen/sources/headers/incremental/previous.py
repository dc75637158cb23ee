"""Encode and decode, per unit, the dependency records stored beside the facts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from tpgen.cache.fingerprint import Stamp
from tpgen.sources.headers.facts import HeaderFacts
from tpgen.sources.headers.incremental.cache_file import FACTS, RESOLVED, RESOLVED_UNITS, UNITS, CacheFile
from tpgen.sources.headers.incremental.codec import Encoded, Encoder
from tpgen.sources.headers.incremental.resolved_units import ResolvedUnit, ResolvedUnits
from tpgen.sources.headers.trace_events.units import HeaderUnit
from tpgen.sources.headers.types.symbols import HeaderSymbols
from tpgen.sources.source_tree.files import Digest


class PreviousRun:
    """The results of the previous run. Raises `CorruptEntry` where they cannot be decoded."""

    def __init__(self, cache_file: CacheFile) -> None:
        self.stamps: Mapping[str, Stamp] = cache_file.stamps()
        self.fragments, rows = cache_file.section(UNITS)
        self.units = list(decode_units(rows, cache_file.facts))
        self.resolved_units = None
        if RESOLVED_UNITS in cache_file:
            rows = cache_file.section(RESOLVED_UNITS)
            self.resolved_units = decode_resolved_units(rows, cache_file.resolved, self.units)

    def users(self) -> dict[str, bool]:
        """Return the headers that use the family; those that are fragments are True."""
        return dict.fromkeys((unit.path for unit in self.units), False) | dict.fromkeys(self.fragments, True)

    def contents(self) -> dict[str, Digest]:
        """Return the digests of all files that the results depend on."""
        contents = dict(self.resolved_units.contents) if self.resolved_units else {}
        for unit in self.units:
            contents |= unit.dependencies
        return contents


def encode_units(
    units: Sequence[HeaderUnit], fragments: Iterable[str], facts: HeaderFacts, encoder: Encoder
) -> Iterator[tuple[str, Encoded]]:
    """Encode the sections of units whose facts are `facts`, of a tree with these fragments."""
    yield FACTS, encoder.facts(facts)
    places = {skipped: place for place, skipped in enumerate(facts.skipped)}
    rows = [
        (
            unit.path, unit.dependencies, unit.includes, unit.argument_orders, unit.external_orders,
            len(unit.classes), len(unit.events), tuple(places[skipped] for skipped in unit.skipped),
        )
        for unit in units
    ]  # fmt: skip
    yield UNITS, (sorted(fragments), rows)


def decode_units(rows: Iterable[Encoded], facts: HeaderFacts) -> Iterator[HeaderUnit]:
    """Decode units whose facts are `facts`."""
    classes, events = iter(facts.classes), iter(facts.events)
    for path, dependencies, includes, own_orders, external_orders, class_count, event_count, skipped in rows:
        yield HeaderUnit(
            path, dependencies, includes, own_orders, external_orders,
            tuple(islice(classes, class_count)), tuple(islice(events, event_count)),
            tuple(facts.skipped[place] for place in skipped),
        )  # fmt: skip


def encode_resolved_units(
    units: Iterable[HeaderUnit],
    resolved_units: ResolvedUnits,
    facts: HeaderFacts,
    resolved: HeaderFacts,
    encoder: Encoder,
) -> Iterator[tuple[str, Encoded]]:
    """Encode the sections of resolved units, whose facts are `resolved`, after those of the units."""
    yield RESOLVED, encoder.resolved(facts, resolved)
    headers = {path: None if names is None else tuple(names) for path, names in resolved_units.headers.items()}
    names = [resolved_units.units[unit.path].names for unit in units]
    around = tuple(resolved_units.directories), tuple(resolved_units.public), tuple(resolved_units.included)
    elsewhere = dict(resolved_units.elsewhere), tuple(resolved_units.searched)
    yield RESOLVED_UNITS, (names, headers, resolved_units.contents, *around, *elsewhere)


def decode_resolved_units(rows: Encoded, facts: HeaderFacts, units: Sequence[HeaderUnit]) -> ResolvedUnits:
    """Decode the resolved units of these units, whose facts are `facts`."""
    names, headers, contents, *around = rows
    classes, events = iter(facts.classes), iter(facts.events)
    resolved = {
        unit.path: ResolvedUnit(
            tuple(islice(classes, len(unit.classes))), tuple(islice(events, len(unit.events))), looked_up
        )
        for unit, looked_up in zip(units, names, strict=True)
    }
    known = {path: None if row is None else HeaderSymbols(*row) for path, row in headers.items()}
    return ResolvedUnits(resolved, known, contents, *around)
