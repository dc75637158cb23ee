"""Read trace headers: a tree, a directory, one file, or text.

The parsers are imported when there is something to parse, which with a cache there mostly is not.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING

from tpgen.sources.headers.facts import HeaderFacts, PrintedTexts
from tpgen.sources.headers.incremental.cache_file import FACTS, RESOLVED, CacheFile, CorruptEntry, HeaderCache
from tpgen.sources.headers.orphans import without_orphans
from tpgen.sources.source_tree.listing import include_directories, is_directory
from tpgen.sources.source_tree.release import find_release
from tpgen.target import Target

if TYPE_CHECKING:
    from tpgen.sources.headers.incremental.analysis import Analysis


@contextmanager
def _collecting_later() -> Iterator[None]:
    """Suspend garbage collection: nearly all objects stay, and to look at them again and again takes time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Headers:
    """The facts of the trace headers at or below `root`, read when they are asked for.

    `root` is a kernel source tree, a linux-headers tree, any directory of trace headers, or one header. Of a kernel's
    arch/ only the target's part is read unless `every_arch`. With `config` (`CONFIG_FOO` to `y`, `m` or a value) only
    the branches that this configuration compiles count; without, all branches do, each fact with its condition.
    `defines` come before it, as -D does in C, or -U where the text is None. `release` is that of the kernel where it is
    not the one of the tree. The include/ of the trees `around` are searched behind its own.

    `with_types` tells that `resolved` will be asked for: `facts` are then read and stored together with these.

    With `use_cache`, the facts of a directory are stored in the user's cache directory, and loaded from there for those
    headers whose contents are the same, and whatever else they depend on.

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
        release: str | None = None,
        defines: Mapping[str, str | None] | None = None,
        around: Sequence[str] = (),
        with_types: bool = False,
    ) -> None:
        self._with_types = with_types
        self._root = root
        self._target = target
        self._config = config
        self._every_arch = every_arch
        is_tree = is_directory(root)
        self._defines = dict(defines or {})
        self._release = release or find_release(root)
        searched = (directory for tree in (root, *around) for directory in include_directories(tree, target.arch))
        self._include_dirs = tuple(dict.fromkeys(searched))
        self._cache = self._open_cache() if use_cache and is_tree else None

    @cached_property
    def facts(self) -> HeaderFacts:
        """The facts of the headers, with types as they are written."""
        return without_orphans(self._facts())

    def _facts(self) -> HeaderFacts:
        if (cached := self._cached(FACTS)) is not None:
            return cached
        if self._with_types or (self._cache_file is not None and RESOLVED in self._cache_file):
            _ = self.resolved  # so that what is stored still has what somebody needed before
        else:
            self._store(self._analysis)
        return self._analysis.facts

    @cached_property
    def resolved(self) -> HeaderFacts:
        """The facts in their order, with types and lengths of arrays looked up in the headers around them.

        Who has BTF may need it as well: BTF tells types but no macros, and many an array's length is one.
        """
        return without_orphans(self._resolved())

    def _resolved(self) -> HeaderFacts:
        if (cached := self._cached(RESOLVED)) is not None:
            return cached
        self._with_types = True
        with _collecting_later():
            resolved = self._analysis.resolved
        self._store(self._analysis)
        return resolved

    def prints(self) -> PrintedTexts:
        """Return what the events print, which is read header by header, as it is asked for."""
        with _collecting_later():
            return self._analysis.prints

    def dependencies(self) -> Iterable[str]:
        """Return the paths of the files that the facts which were asked for depend on, with some that are missing."""
        if "_analysis" in self.__dict__:
            return self._analysis.dependencies()
        return self._cache_file.stamps() if self._cache_file is not None else ()

    # --- the cache

    def _open_cache(self) -> HeaderCache:
        options = None if self._config is None else sorted(self._config.items())
        key = self._include_dirs, self._release, self._target, self._every_arch, options, sorted(self._defines.items())
        return HeaderCache(self._root, *key)

    @cached_property
    def _cache_file(self) -> CacheFile | None:
        return self._cache.load() if self._cache else None

    @cached_property
    def _is_current(self) -> bool:
        """Whether none of these headers has changed since the cache file was written."""
        return self._cache_file is not None and self._cache_file.is_current()

    def _cached(self, section: str) -> HeaderFacts | None:
        """Return the facts of a section of the cache file; None where it has none that are valid."""
        if self._cache_file is None or section not in self._cache_file or not self._is_current:
            return None
        with _collecting_later(), suppress(CorruptEntry):
            return self._cache_file.facts if section == FACTS else self._cache_file.resolved
        return None

    def _store(self, analysis: Analysis) -> None:
        if self._cache and analysis.is_whole:
            self._cache.store(analysis.listing, analysis.dependencies(), analysis.sections())

    @cached_property
    def _analysis(self) -> Analysis:
        from tpgen.sources.headers.incremental.analysis import Analysis

        options = (
            self._root, self._target, self._config, self._every_arch, self._release, self._defines, self._include_dirs,
        )  # fmt: skip
        with _collecting_later():
            with suppress(CorruptEntry):
                return Analysis(*options, self._cache_file, self._cache is not None, self._with_types)
            return Analysis(*options, None, True, self._with_types)


def read_headers(
    root: str,
    target: Target,
    config: Mapping[str, str] | None = None,
    *,
    every_arch: bool = False,
    use_cache: bool = False,
) -> HeaderFacts:
    """Return the facts of the trace headers at or below `root` with resolved types; see `Headers`."""
    return Headers(root, target, config, every_arch=every_arch, use_cache=use_cache).resolved


def read_text(
    text: str,
    target: Target,
    path: str = "trace.h",
    release: str | None = None,
    config: Mapping[str, str] | None = None,
    defines: Mapping[str, str | None] | None = None,
) -> HeaderFacts:
    """Return the facts of one header of this text, without a look at any file. `skipped` is as in `read_headers`."""
    from tpgen.sources.headers.incremental.analysis import read_alone
    from tpgen.sources.headers.preprocessor.environment import ConfigEnvironment, option_macros
    from tpgen.sources.headers.preprocessor.source import Source

    return read_alone(
        Source(path, text), target, ConfigEnvironment(config, release, option_macros(defines or {})), release
    )
