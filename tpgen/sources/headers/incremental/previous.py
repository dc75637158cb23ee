"""What the cache keeps of a reading besides the facts: by units, what they depend on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from tpgen.cache.fingerprint import Stamp
from tpgen.sources.headers.facts import HeaderFacts
from tpgen.sources.headers.incremental.cache_file import COMPLETED, COMPLETION, UNITS, WRITTEN, Entry
from tpgen.sources.headers.incremental.codec import Plain, from_plain, to_plain
from tpgen.sources.headers.incremental.resolved_units import Completed, Completion
from tpgen.sources.headers.trace_events.units import HeaderUnit
from tpgen.sources.headers.types.symbols import HeaderSymbols
from tpgen.sources.source_tree.files import Digest


class Kept:
    """A reading that was kept. Raises `Spoilt` where it cannot be read."""

    def __init__(self, entry: Entry) -> None:
        self.stamps: Mapping[str, Stamp] = entry.stamps()
        self.fragments, rows = entry.part(UNITS)
        self.units = list(_units(rows, from_plain(entry.part(WRITTEN))))
        self.completion = _completion(entry, self.units) if COMPLETION in entry else None

    def users(self) -> dict[str, bool]:
        """The headers that use the family; those that are fragments are True."""
        return dict.fromkeys((unit.path for unit in self.units), False) | dict.fromkeys(self.fragments, True)

    def contents(self) -> dict[str, Digest]:
        """What the files held that were looked at."""
        contents = dict(self.completion.contents) if self.completion else {}
        for unit in self.units:
            contents |= unit.dependencies
        return contents


def units_to_plain(
    units: Sequence[HeaderUnit], fragments: Iterable[str], written: HeaderFacts
) -> Iterator[tuple[str, Plain]]:
    """The parts for units that state `written` together, of a tree with these fragments."""
    yield WRITTEN, to_plain(written)
    places = {skipped: place for place, skipped in enumerate(written.skipped)}
    rows = [
        (
            unit.path, unit.dependencies, unit.includes, unit.argument_orders, unit.external_orders,
            len(unit.classes), len(unit.events), tuple(places[skipped] for skipped in unit.skipped),
        )
        for unit in units
    ]  # fmt: skip
    yield UNITS, (sorted(fragments), rows)


def _units(rows: Iterable[Plain], facts: HeaderFacts) -> Iterator[HeaderUnit]:
    classes, events = iter(facts.classes), iter(facts.events)
    for path, contents, includes, orders, foreign, class_count, event_count, skipped in rows:
        yield HeaderUnit(
            path, contents, includes, orders, foreign,
            tuple(islice(classes, class_count)), tuple(islice(events, event_count)),
            tuple(facts.skipped[place] for place in skipped),
        )  # fmt: skip


def completion_to_plain(
    units: Iterable[HeaderUnit], completion: Completion, completed: HeaderFacts
) -> Iterator[tuple[str, Plain]]:
    """The parts for the completion of units, which state `completed` together."""
    yield COMPLETED, to_plain(completed)
    headers = {path: None if names is None else tuple(names) for path, names in completion.headers.items()}
    names = [completion.units[unit.path].names for unit in units]
    around = tuple(completion.directories), tuple(completion.public), tuple(completion.included)
    yield COMPLETION, (names, headers, completion.contents, *around)


def _completion(entry: Entry, units: Sequence[HeaderUnit]) -> Completion:
    facts = from_plain(entry.part(COMPLETED))
    names, headers, contents, directories, public, included = entry.part(COMPLETION)
    classes, events = iter(facts.classes), iter(facts.events)
    completed = {
        unit.path: Completed(
            tuple(islice(classes, len(unit.classes))), tuple(islice(events, len(unit.events))), looked_up
        )
        for unit, looked_up in zip(units, names, strict=True)
    }
    known = {path: None if row is None else HeaderSymbols(*row) for path, row in headers.items()}
    return Completion(completed, known, contents, directories, public, included)
