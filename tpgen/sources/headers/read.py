"""Read trace headers: a tree, a directory, one file, or text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tpgen.sources.headers.basetypes import TargetNames
from tpgen.sources.headers.build import build
from tpgen.sources.headers.complete import Completer
from tpgen.sources.headers.directives import OpenWorld
from tpgen.sources.headers.facts import HeaderFacts
from tpgen.sources.headers.family import event_family
from tpgen.sources.headers.index import Index, Places
from tpgen.sources.headers.lend import Lender
from tpgen.sources.headers.scan import Scan, scan
from tpgen.sources.headers.text import Source
from tpgen.sources.headers.tree import Fragments, find_release, include_directories, read_tree
from tpgen.target import Target


def read_headers(
    root: str, target: Target, config: Mapping[str, str] | None = None, *, every_arch: bool = False
) -> HeaderFacts:
    """What the trace headers at or below `root` state.

    `root` is a kernel source tree, a linux-headers tree, any directory of trace headers, or one header. Of a kernel's
    arch/ only the target's part is read unless `every_arch`. With `config` (`CONFIG_FOO` to `y`, `m` or a value) only
    the branches that this configuration compiles count; without, all branches do, each fact with its condition.

    Positions name files as `root` does. Raises `TpgenError` when `root` itself cannot be read. Whatever else is wrong
    is in `skipped`: with severity ERROR where a header is broken (`header-unbalanced`, `header-arguments`,
    `header-expansion-limit`, `unreadable`), as a NOTE where it holds something that tpgen does not take. What to do
    about an ERROR is the caller's decision.
    """
    tree = read_tree(root, None if every_arch else target.arch)
    release, names = find_release(root), OpenWorld(config)
    places = Places(include_directories(root, target.arch), tuple(tree.directories))
    index = Index(tree.sources, places, TargetNames(target, names))
    facts = read_sources(tree.sources, target, release, names, Lender(names), index)
    return HeaderFacts(facts.release, facts.classes, facts.events, (*tree.skipped, *facts.skipped))


def read_text(
    text: str,
    target: Target,
    path: str = "trace.h",
    release: str | None = None,
    config: Mapping[str, str] | None = None,
) -> HeaderFacts:
    """What one header of this text states, without a look at any file. `skipped` is as in `read_headers`."""
    source, names = Source(path, text), OpenWorld(config)
    index = Index([source], Places(()), TargetNames(target, names))
    return read_sources([source], target, release, names, index=index)


def read_sources(
    sources: Sequence[Source],
    target: Target,
    release: str | None,
    names: OpenWorld,
    lender: Lender | None = None,
    index: Index | None = None,
) -> HeaderFacts:
    """What these headers, of one tree of kernel `release`, state together.

    `lender` looks for macros that a header uses and does not define, `index` for types and constants; without them
    these stay unknown.
    """
    scans = _scan_all(sources, release, names, lender)
    statements = [statement for found in scans for statement in found.statements]
    built = build(statements, target, Completer(target, index))
    skipped = [diagnostic for found in scans for diagnostic in found.skipped] + built.skipped
    return HeaderFacts(release, tuple(built.classes), tuple(built.events), tuple(dict.fromkeys(skipped)))


def _scan_all(sources: Sequence[Source], release: str | None, names: OpenWorld, lender: Lender | None) -> list[Scan]:
    """Scan every header; fragments as part of the headers that include them, and alone where none does."""
    family, fragments = event_family(release), Fragments(sources)

    def scan_one(source: Source) -> Scan:
        found = scan(source, family, names, fragments.find)
        lent = lender.macros_for(source, found.unknown) if lender and found.unknown else None
        return scan(source, family, names, fragments.find, lent) if lent else found

    parts = {source.path for source in fragments.all}
    scans = [scan_one(source) for source in sources if source.path not in parts]
    return scans + [scan_one(source) for source in fragments.all if source.path not in fragments.included]
