"""One reading of a tree: what was kept of it and still holds is taken, all else is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from itertools import chain

from tpgen.sources.headers.facts import HeaderFacts
from tpgen.sources.headers.incremental.cache_file import Entry
from tpgen.sources.headers.incremental.codec import Plain
from tpgen.sources.headers.incremental.previous import Kept, completion_to_plain, units_to_plain
from tpgen.sources.headers.incremental.resolved_units import Completion, complete_units
from tpgen.sources.headers.preprocessor.environment import ConfigEnvironment, TargetEnvironment
from tpgen.sources.headers.preprocessor.source import Source
from tpgen.sources.headers.trace_events.borrowed_macros import MacroLookup
from tpgen.sources.headers.trace_events.discovery import HeaderTree, discover, discover_one
from tpgen.sources.headers.trace_events.extraction import extract
from tpgen.sources.headers.trace_events.units import facts_of
from tpgen.sources.headers.types.include_graph import IncludePaths
from tpgen.sources.source_tree.files import Files, GivenFiles
from tpgen.sources.source_tree.listing import Listing, is_directory, list_headers
from tpgen.target import Target


class Reading:
    """What the headers at or below `root` state. The parameters are those of `Headers`; `entry` is what was kept.

    Raises `Spoilt` where that cannot be read.
    """

    def __init__(
        self,
        root: str,
        target: Target,
        config: Mapping[str, str] | None,
        every_arch: bool,
        release: str | None,
        include_dirs: tuple[str, ...],
        entry: Entry | None,
        with_stamps: bool,
    ) -> None:
        self._target = target
        self._release = release
        self._names = ConfigEnvironment(config, release)
        self._include_dirs = include_dirs
        self._kept = Kept(entry) if entry else None
        tree = self._read_tree(root, None if every_arch else target.arch, with_stamps)
        lookup, known = MacroLookup(self._names, self._files), self._kept.units if self._kept else ()
        self._units = extract(tree, target, release, self._names, lookup, known)
        # No more is needed of the tree, whose texts are large.
        self._fragments, self._skipped = tree.fragments().paths, tree.skipped

    def _read_tree(self, root: str, arch: str | None, with_stamps: bool) -> HeaderTree:
        if not is_directory(root):
            self.listing, self._files = Listing(root, [root]), Files()
            return discover_one(root, self._files)
        self.listing = list_headers(root, arch, with_stamps)
        self._files = self._open_files()
        return discover(self.listing, self._files, self._kept.users() if self._kept else {})

    def _open_files(self) -> Files:
        if self._kept is None:
            return Files()
        return Files(self.listing.stamps, self._kept.stamps, self._kept.contents())

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left out that could not be read, and may be read the next time."""
        return not self._skipped

    @cached_property
    def written(self) -> HeaderFacts:
        """What the headers state, types as they are written."""
        return facts_of(self._units, self._release, self._skipped)

    @cached_property
    def completed(self) -> HeaderFacts:
        """The same with completed types."""
        units = [self._completion.units[unit.path] for unit in self._units]
        classes = tuple(chain.from_iterable(unit.classes for unit in units))
        events = tuple(chain.from_iterable(unit.events for unit in units))
        return replace(self.written, classes=classes, events=events)

    @cached_property
    def _completion(self) -> Completion:
        listing, kept = self.listing, self._kept
        include_paths = IncludePaths(self._include_dirs, tuple(listing.directories), listing.root)
        names = TargetEnvironment(self._target, self._names)
        if kept is None or kept.completion is None:
            return complete_units(self._units, include_paths, names, self._files)
        same = {id(unit) for unit in kept.units}
        changed = {unit.path for unit in self._units if id(unit) not in same}
        return complete_units(self._units, include_paths, names, self._files, kept.completion, changed)

    # --- for the cache

    def mattered(self) -> Iterable[str]:
        """All files and directories that had a say."""
        completion = self._completion.contents if self._is_completed else {}
        return dict.fromkeys(chain(completion, *(unit.dependencies for unit in self._units)))

    def parts(self) -> Iterator[tuple[str, Plain]]:
        """What is to be kept, one after the other: each is large."""
        yield from units_to_plain(self._units, self._fragments, self.written)
        if self._is_completed:
            yield from completion_to_plain(self._units, self._completion, self.completed)

    @property
    def _is_completed(self) -> bool:
        return "completed" in self.__dict__


def read_alone(source: Source, target: Target, release: str | None, config: Mapping[str, str] | None) -> HeaderFacts:
    """What one header states, completed by itself, without a look at any file."""
    files, names = GivenFiles({source.path: source.text.encode("utf-8", "replace")}), ConfigEnvironment(config, release)
    units = extract(HeaderTree(files, [source]), target, release, names)
    completion = complete_units(units, IncludePaths(()), TargetEnvironment(target, names), files)
    (unit,) = completion.units.values()
    return replace(facts_of(units, release), classes=unit.classes, events=unit.events)
