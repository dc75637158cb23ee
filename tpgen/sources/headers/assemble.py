"""From the texts of headers to what they state together: scan each, then build facts out of all statements at once."""

from __future__ import annotations

from collections.abc import Sequence

from tpgen.sources.headers.build import build
from tpgen.sources.headers.directives import OpenWorld
from tpgen.sources.headers.facts import HeaderFacts
from tpgen.sources.headers.family import event_family
from tpgen.sources.headers.lend import Lender
from tpgen.sources.headers.scan import Scan, scan
from tpgen.sources.headers.templates import Templates
from tpgen.sources.headers.text import Source
from tpgen.sources.headers.tree import Fragments
from tpgen.target import Target


def read_sources(
    sources: Sequence[Source],
    target: Target,
    release: str | None,
    names: OpenWorld,
    lender: Lender | None = None,
) -> HeaderFacts:
    """What these headers, of one tree of kernel `release`, state together, types as written.

    `lender` looks for macros that a header uses and does not define; without it these stay unknown.
    """
    scans = _scan_all(sources, release, names, lender)
    statements = [statement for found in scans for statement in found.statements]
    built = build(statements, target)
    skipped = [diagnostic for found in scans for diagnostic in found.skipped] + built.skipped
    return HeaderFacts(release, tuple(built.classes), tuple(built.events), tuple(dict.fromkeys(skipped)))


def _scan_all(sources: Sequence[Source], release: str | None, names: OpenWorld, lender: Lender | None) -> list[Scan]:
    """Scan every header; fragments as part of the headers that include them, and alone where none does."""
    family, fragments = event_family(release), Fragments(sources)
    templates = Templates(family)

    def scan_one(source: Source) -> Scan:
        found = scan(source, family, names, fragments.find, None, templates)
        lent = lender.macros_for(source, found.unknown) if lender and found.unknown else None
        return scan(source, family, names, fragments.find, lent, templates) if lent else found

    parts = {source.path for source in fragments.all}
    scans = [scan_one(source) for source in sources if source.path not in parts]
    return scans + [scan_one(source) for source in fragments.all if source.path not in fragments.included]
