"""The shares of a tree's headers that the processes of a team read, and how they become one analysis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from tpgen.basics.frozen import replace
from tpgen.basics.team import PartnerLost, Team
from tpgen.sources.headers.incremental.cache_file import FACTS, RESOLVED, RESOLVED_UNITS, UNITS
from tpgen.sources.headers.incremental.codec import Decoder, Encoded, Encoder
from tpgen.sources.headers.incremental.previous import (
    decode_resolved_units,
    decode_units,
    encode_resolved_units,
    encode_units,
)
from tpgen.sources.headers.incremental.resolved_units import ResolvedUnits, Share, paths_of, resolved_facts
from tpgen.sources.headers.trace_events.extraction import Extracted
from tpgen.sources.headers.trace_events.units import HeaderUnit, facts_of
from tpgen.sources.headers.types.include_graph import MOST_HEADERS, IncludeGraph, IncludePaths
from tpgen.sources.headers.types.symbols import SymbolRows, SymbolTable
from tpgen.sources.source_tree.files import Files


def symbols_around(trace_headers: Iterable[str], include_paths: IncludePaths, files: Files) -> SymbolRows:
    """Read the symbols of trace headers and of all headers that these see."""
    table = SymbolTable(files)
    IncludeGraph(trace_headers, include_paths, table, lambda _: None).public()
    return table.rows()


def share_of(team: Team, extracted: Extracted, symbols: SymbolRows) -> Share:
    """Exchange what the resolution of one's own units needs of the others."""
    paths = dict(chain.from_iterable(team.exchange([(unit.path, paths_of([unit])) for unit in extracted.units])))
    headers = [*dict.fromkeys(chain.from_iterable(paths[path] for path in extracted.paths))]
    return Share(team, headers, next(filter(None, team.exchange(symbols)), {}))


def joined_shares(
    team: Team, extracted: Extracted, resolved_units: ResolvedUnits | None, release: str | None
) -> tuple[list[HeaderUnit], ResolvedUnits | None]:
    """Return the units of all headers in their order, and the resolved ones, to the first process of a team."""
    own = _encoded(extracted.units, resolved_units, release) if team.rank else None
    units, resolved = {unit.path: unit for unit in extracted.units}, [resolved_units] if resolved_units else []
    for sections in filter(None, team.exchange(own)):
        decoder = Decoder(sections[FACTS])
        others = list(decode_units(sections[UNITS][1], decoder.facts))
        units |= {unit.path: unit for unit in others}
        if resolved_units:
            resolved.append(
                decode_resolved_units(sections[RESOLVED_UNITS], decoder.resolved(sections[RESOLVED]), others)
            )
    return [units[path] for path in extracted.paths], _joined(resolved) if resolved else None


def _encoded(
    units: Sequence[HeaderUnit], resolved_units: ResolvedUnits | None, release: str | None
) -> dict[str, Encoded]:
    facts, encoder = facts_of(units, release), Encoder()
    sections = dict(encode_units(units, (), facts, encoder))
    if resolved_units:
        resolved = resolved_facts(facts, units, resolved_units)
        sections |= encode_resolved_units(units, resolved_units, facts, resolved, encoder)
    return sections


def _joined(parts: Sequence[ResolvedUnits]) -> ResolvedUnits:
    headers = dict(chain.from_iterable(part.headers.items() for part in parts))
    # With so many there may be one more than an index takes, and which one depends on the order of queries.
    if len(headers) >= MOST_HEADERS:
        raise PartnerLost
    return replace(
        parts[0],
        units=dict(chain.from_iterable(part.units.items() for part in parts)),
        headers=headers,
        contents=dict(chain.from_iterable(part.contents.items() for part in parts)),
        included=set(chain.from_iterable(part.included for part in parts)),
    )
