"""Read trace headers: a tree, a directory, one file, or text.

What parses them is imported when there is something to parse, which with a cache there mostly is not.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property

from tpgen.sources.headers.cache import Cache, Contents, Inputs, Kept, file_digest
from tpgen.sources.headers.facts import HeaderFacts
from tpgen.sources.headers.listing import Listing, include_directories, list_headers
from tpgen.target import Target

_WRITTEN, _COMPLETED = "written", "completed"


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


class Headers:
    """What the trace headers at or below `root` state, read when it is asked for.

    `root` is a kernel source tree, a linux-headers tree, any directory of trace headers, or one header. Of a kernel's
    arch/ only the target's part is read unless `every_arch`. With `config` (`CONFIG_FOO` to `y`, `m` or a value) only
    the branches that this configuration compiles count; without, all branches do, each fact with its condition.

    With `use_cache`, what a directory states is kept in the user's cache directory and taken from there as long as it
    has the same headers, and those that matter have the same contents.

    Positions name files as `root` does. Raises `TpgenError` when `root` itself cannot be read. Whatever else is wrong
    is in `skipped`: with severity ERROR where a header is broken (`header-unbalanced`, `header-arguments`,
    `header-expansion-limit`, `unreadable`), as a NOTE where it holds something that tpgen does not take. What to do
    about an ERROR is the caller's decision.
    """

    def __init__(
        self,
        root: str,
        target: Target,
        config: Mapping[str, str] | None = None,
        *,
        every_arch: bool = False,
        use_cache: bool = False,
    ) -> None:
        self._target = target
        self._config = config
        self._inputs = Inputs()
        self._listing = list_headers(root, None if every_arch else target.arch, with_stamps=use_cache)
        self._inputs.headers = self._listing.stamps
        self._include_dirs = include_directories(root, target.arch)
        self._every_arch = every_arch
        self._use_cache = use_cache and self._listing.is_directory
        self._known: Kept | None = None

    @cached_property
    def on_hand(self) -> HeaderFacts:
        """The completed facts where they are in the cache, else the facts with types as they are written."""
        kept = self._kept(_COMPLETED) or self._kept(_WRITTEN)
        if kept is None:
            kept = self._keep(_WRITTEN, self._read())
        self._known = kept
        return kept.facts

    @cached_property
    def completed(self) -> HeaderFacts:
        """All that the headers state, types and lengths of arrays looked up in the headers around them.

        Who has BTF may need it as well: BTF tells types but no macros, and many an array's length is one.
        """
        kept = self._kept(_COMPLETED) or self._keep(_COMPLETED, self._complete(self._known or self._read()))
        return kept.facts

    def _entry(self, what: str) -> Cache:
        root, options = self._listing.root, None if self._config is None else sorted(self._config.items())
        return Cache(what, root, os.path.abspath(root), self._target, self._every_arch, options, self._include_dirs)

    def _kept(self, what: str) -> Kept | None:
        """What the cache has of these headers."""
        with _collecting_later():
            return self._entry(what).get(self._inputs, _is_used) if self._use_cache else None

    def _keep(self, what: str, kept: Kept) -> Kept:
        if self._use_cache:
            self._entry(what).put(self._inputs, kept)
        return kept

    @_collecting_later()
    def _read(self) -> Kept:
        """What the headers state, types as they are written."""
        from tpgen.sources.headers.assemble import read_sources
        from tpgen.sources.headers.directives import OpenWorld
        from tpgen.sources.headers.lend import Lender
        from tpgen.sources.headers.tree import find_release, read_tree, release_files

        contents = {path: file_digest(path) for path in release_files(self._listing.root)}
        tree = read_tree(self._listing)
        names = OpenWorld(self._config)
        lender = Lender(names)
        facts = read_sources(tree.sources, self._target, find_release(self._listing.root), names, lender)
        contents |= lender.looked_for() | tree.contents
        return self._made_of(contents, replace(facts, skipped=(*tree.skipped, *facts.skipped)))

    @_collecting_later()
    def _complete(self, written: Kept) -> Kept:
        """The same with completed types."""
        from tpgen.sources.headers.basetypes import TargetNames
        from tpgen.sources.headers.complete import Completer
        from tpgen.sources.headers.directives import OpenWorld
        from tpgen.sources.headers.index import Index, Places
        from tpgen.sources.headers.typed import complete

        facts, listing = written.facts, self._listing
        positions = [cls.position for cls in facts.classes] + [event.position for event in facts.events]
        paths = dict.fromkeys(position.path for position in positions)
        places = Places(self._include_dirs, tuple(listing.directories), listing.root)
        index = Index(paths, places, TargetNames(self._target, OpenWorld(self._config)))
        whole = complete(facts, Completer(self._target, index))
        return self._made_of({**written.contents(), **index.looked_for()}, whole)

    def _made_of(self, contents: Contents, facts: HeaderFacts) -> Kept:
        return Kept(facts, lambda: _without_unlisted(contents, self._listing))


def read_headers(
    root: str,
    target: Target,
    config: Mapping[str, str] | None = None,
    *,
    every_arch: bool = False,
    use_cache: bool = False,
) -> HeaderFacts:
    """What the trace headers at or below `root` state, with completed types, as `Headers` tells it."""
    return Headers(root, target, config, every_arch=every_arch, use_cache=use_cache).completed


def _is_used(path: str) -> bool:
    """Whether a header uses the family, or might, where it cannot be read."""
    from tpgen.sources.headers.tree import read_if_used

    try:
        return read_if_used(path) is not None
    except OSError:
        return True


def _without_unlisted(contents: Contents, listing: Listing) -> Contents:
    """The contents without those headers of the tree that are none: the listing tells when one of them appears."""
    listed, below = set(listing.paths), os.path.join(listing.root, "")
    return {
        path: known
        for path, known in contents.items()
        if known is not None or path in listed or not (path.endswith(".h") and path.startswith(below))
    }


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
    from tpgen.sources.headers.complete import Completer
    from tpgen.sources.headers.directives import OpenWorld
    from tpgen.sources.headers.index import Index
    from tpgen.sources.headers.text import Source
    from tpgen.sources.headers.typed import complete

    source, names = Source(path, text), OpenWorld(config)
    index = Index([path], None, TargetNames(target, names), {path: source})
    return complete(read_sources([source], target, release, names), Completer(target, index))
