"""Read trace headers: a tree, a directory, one file, or text.

What parses them is imported when there is something to parse, which with a cache there mostly is not.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tpgen.sources.headers.cache import Cache, Contents, Inputs, file_digest
from tpgen.sources.headers.facts import HeaderFacts
from tpgen.sources.headers.listing import Listing, include_directories, list_headers
from tpgen.target import Target


def read_headers(
    root: str,
    target: Target,
    config: Mapping[str, str] | None = None,
    *,
    every_arch: bool = False,
    use_cache: bool = False,
) -> HeaderFacts:
    """What the trace headers at or below `root` state.

    `root` is a kernel source tree, a linux-headers tree, any directory of trace headers, or one header. Of a kernel's
    arch/ only the target's part is read unless `every_arch`. With `config` (`CONFIG_FOO` to `y`, `m` or a value) only
    the branches that this configuration compiles count; without, all branches do, each fact with its condition.

    The types and constants that the trace headers use are looked up in the headers around them, also for a caller
    who has BTF: it tells types but no macros, and many an array's length is one.

    With `use_cache`, what a directory states is kept in the user's cache directory and taken from there as long as it
    has the same headers, and those that matter have the same contents.

    Positions name files as `root` does. Raises `TpgenError` when `root` itself cannot be read. Whatever else is wrong
    is in `skipped`: with severity ERROR where a header is broken (`header-unbalanced`, `header-arguments`,
    `header-expansion-limit`, `unreadable`), as a NOTE where it holds something that tpgen does not take. What to do
    about an ERROR is the caller's decision.
    """
    inputs = Inputs()
    listing = list_headers(root, None if every_arch else target.arch, with_stamps=use_cache)
    include_dirs = include_directories(root, target.arch)
    with _collecting_later():
        if not use_cache or not listing.is_directory:
            return _read(listing, target, config, include_dirs)[0]
        inputs.headers = listing.stamps
        options = None if config is None else sorted(config.items())
        entry = Cache(root, os.path.abspath(root), target, every_arch, options, include_dirs)
        facts = entry.get(inputs, _is_used)
        if facts is None:
            facts, contents = _read(listing, target, config, include_dirs)
            entry.put(inputs, contents, facts)
        return facts


def _is_used(path: str) -> bool:
    """Whether a header uses the family, or might, where it cannot be read."""
    from tpgen.sources.headers.tree import read_if_used

    try:
        return read_if_used(path) is not None
    except OSError:
        return True


def _read(
    listing: Listing, target: Target, config: Mapping[str, str] | None, include_dirs: tuple[str, ...]
) -> tuple[HeaderFacts, Contents]:
    """What the listed headers state, and the contents of all files that were read or looked for."""
    from tpgen.sources.headers.assemble import read_sources
    from tpgen.sources.headers.basetypes import TargetNames
    from tpgen.sources.headers.directives import OpenWorld
    from tpgen.sources.headers.index import Index, Places
    from tpgen.sources.headers.lend import Lender
    from tpgen.sources.headers.tree import find_release, read_tree, release_files

    contents = {path: file_digest(path) for path in release_files(listing.root)}
    tree = read_tree(listing)
    release, names = find_release(listing.root), OpenWorld(config)
    places = Places(include_dirs, tuple(listing.directories), listing.root)
    index, lender = Index(tree.sources, places, TargetNames(target, names)), Lender(names)
    facts = read_sources(tree.sources, target, release, names, lender, index)
    whole = HeaderFacts(facts.release, facts.classes, facts.events, (*tree.skipped, *facts.skipped))
    contents |= lender.looked_for() | index.looked_for() | tree.contents
    return whole, _without_unlisted(contents, listing)


def _without_unlisted(contents: Contents, listing: Listing) -> Contents:
    """The contents without those headers of the tree that are none: the listing tells when one of them appears."""
    listed, below = set(listing.paths), os.path.join(listing.root, "")
    return {
        path: known
        for path, known in contents.items()
        if known is not None or path in listed or not (path.endswith(".h") and path.startswith(below))
    }


@contextmanager
def _collecting_later() -> Iterator[None]:
    """Without garbage collection: nearly all that reading makes stays, and to look at it again and again takes time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def read_text(
    text: str,
    target: Target,
    path: str = "trace.h",
    release: str | None = None,
    config: Mapping[str, str] | None = None,
) -> HeaderFacts:
    """What one header of this text states, without a look at any file. `skipped` is as in `read_headers`."""
    from tpgen.sources.headers.assemble import read_sources
    from tpgen.sources.headers.basetypes import TargetNames
    from tpgen.sources.headers.directives import OpenWorld
    from tpgen.sources.headers.index import Index
    from tpgen.sources.headers.text import Source

    source, names = Source(path, text), OpenWorld(config)
    index = Index([source], None, TargetNames(target, names))
    return read_sources([source], target, release, names, index=index)
