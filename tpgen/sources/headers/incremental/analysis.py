"""One analysis of a header tree. Results of the previous run are reused where their inputs are unchanged."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain
from typing import NamedTuple

from tpgen.basics.frozen import replace
from tpgen.basics.team import ALONE, Team, shared
from tpgen.diagnostics import Diagnostic
from tpgen.sources.headers.facts import HeaderClass, HeaderEvent, HeaderFacts
from tpgen.sources.headers.incremental.cache_file import CacheFile
from tpgen.sources.headers.incremental.codec import Encoded, Encoder
from tpgen.sources.headers.incremental.previous import PreviousRun, encode_resolved_units, encode_units
from tpgen.sources.headers.incremental.resolved_units import ResolvedUnits, open_index, resolve_units, resolved_facts
from tpgen.sources.headers.incremental.shares import joined_shares, share_of, symbols_around
from tpgen.sources.headers.preprocessor.environment import ConfigEnvironment, TargetEnvironment, option_macros
from tpgen.sources.headers.preprocessor.macros import Macro
from tpgen.sources.headers.preprocessor.source import Source
from tpgen.sources.headers.trace_events.borrowed_macros import MacroLookup
from tpgen.sources.headers.trace_events.discovery import HeaderTree, discover, discover_one
from tpgen.sources.headers.trace_events.extraction import extract
from tpgen.sources.headers.trace_events.prints import PrintReader
from tpgen.sources.headers.trace_events.units import HeaderUnit, facts_of
from tpgen.sources.headers.types.include_graph import IncludePaths
from tpgen.sources.headers.types.resolver import TypeResolver
from tpgen.sources.headers.types.symbols import SymbolRows
from tpgen.sources.source_tree.files import Files, GivenFiles
from tpgen.sources.source_tree.listing import Listing, is_directory, list_headers
from tpgen.sources.source_tree.release import is_kernel_tree
from tpgen.target import Target


class Prints(NamedTuple):
    """The texts that events print, by `reader`, and the constants in them, by `resolver`."""

    reader: PrintReader
    resolver: TypeResolver

    def text(self, event: HeaderEvent, event_class: HeaderClass) -> str | None:
        """Return the arguments of the event's TP_printk; None where they are unknown."""
        return self.reader.of(event_class.name, event_class.position, event.name, event.position)

    def value(self, name: str, path: str) -> int | None:
        """Return the value of a macro or an enumerator in the header at `path`; None where it is unknown."""
        return self.resolver.value(name, path)


# Fewer headers take no longer than a second process.
_MANY = 1000
# The part of the headers that the first of two processes reads, where the other reads the symbols of those around.
_OF_FIRST, _HALF = 0.6, 0.5


class _Found(NamedTuple):
    files: Files
    units: list[HeaderUnit]
    fragments: frozenset[str]
    skipped: list[Diagnostic]
    resolved_units: ResolvedUnits | None = None


class Analysis:
    """The facts of the headers at or below `root`. The parameters are those of `Headers`.

    `cache_file` has the results of the previous run. Raises `CorruptEntry` where it cannot be decoded. `with_types`
    tells that the resolved facts will be asked for.
    """

    def __init__(
        self,
        root: str,
        target: Target,
        config: Mapping[str, str] | None,
        every_arch: bool,
        release: str | None,
        defines: Mapping[str, str | None],
        include_dirs: tuple[str, ...],
        cache_file: CacheFile | None,
        with_stamps: bool,
        with_types: bool = False,
    ) -> None:
        self._target = target
        self._release = release
        self._environment = ConfigEnvironment(config, release, option_macros(defines))
        self._include_dirs = include_dirs
        self._previous = PreviousRun(cache_file) if cache_file else None
        self._with_types = with_types
        if is_directory(root):
            self.listing = list_headers(root, None if every_arch else target.arch, with_stamps)
        else:
            self.listing = Listing(root, [root])
        # Of a tree that was read before there is little to do.
        by_itself = self._previous is not None or len(self.listing.paths) < _MANY
        found = self._read(ALONE) if by_itself else shared(self._read)
        self._files, self._units, self._fragments, self._skipped, self._resolved_by_team = found

    def _read(self, team: Team) -> _Found:
        """Read the headers, and resolve their types where another does a share of that."""
        previous, files = self._previous, self._open_files()
        if is_directory(self.listing.root):
            tree = discover(self.listing, files, previous.users() if previous else {}, team)
        else:
            tree = discover_one(self.listing.root, files)
        options = self._target, self._release, self._environment, MacroLookup(self._environment, files)
        # No more is needed of the tree, whose texts are large.
        fragments, skipped, users = tree.fragments().paths, tree.skipped, list(tree.paths)
        if team.size == 1:
            return _Found(files, extract(tree, *options, previous.units if previous else ()).units, fragments, skipped)
        include_paths, environment = self._include_paths, self._type_environment
        symbols: SymbolRows = {}

        def find_symbols() -> None:
            nonlocal symbols
            if self._with_types and team.rank:
                symbols = symbols_around(users, include_paths, files)

        extracted = extract(tree, *options, (), team, _OF_FIRST if self._with_types else _HALF, find_symbols)
        del tree, options
        resolved_units = None
        if self._with_types:
            share = share_of(team, extracted, symbols)
            around = include_paths, environment, files, self.listing.paths
            resolved_units = resolve_units(extracted.units, *around, share=share)
        units, resolved_units = joined_shares(team, extracted, resolved_units, self._release)
        return _Found(files, units, fragments, skipped, resolved_units)

    def _open_files(self) -> Files:
        if self._previous is None:
            return Files()
        return Files(self.listing.stamps, self._previous.stamps, self._previous.contents())

    @property
    def is_whole(self) -> bool:
        """Whether all files could be read. A file that could not, may be read the next time."""
        return not self._skipped

    @cached_property
    def facts(self) -> HeaderFacts:
        """The facts of all units, with types as they are written."""
        return facts_of(self._units, self._release, self._skipped)

    @cached_property
    def resolved(self) -> HeaderFacts:
        """The facts of all units, with resolved types."""
        return resolved_facts(self.facts, self._units, self._resolved_units)

    @property
    def _include_paths(self) -> IncludePaths:
        listing = self.listing
        folder = listing.root if is_directory(listing.root) else os.path.dirname(listing.root) or os.curdir
        driver = "" if is_kernel_tree(listing.root) else folder
        return IncludePaths(self._include_dirs, tuple(listing.directories), listing.root, driver)

    @property
    def _type_environment(self) -> TargetEnvironment:
        return TargetEnvironment(self._target, self._environment)

    @cached_property
    def _resolved_units(self) -> ResolvedUnits:
        if self._resolved_by_team:
            return self._resolved_by_team
        listing, previous = self.listing, self._previous
        include_paths, environment = self._include_paths, self._type_environment
        if previous is None or previous.resolved_units is None:
            return resolve_units(self._units, include_paths, environment, self._files, listing.paths)
        same = {id(unit) for unit in previous.units}
        changed = {unit.path for unit in self._units if id(unit) not in same}
        return resolve_units(
            self._units, include_paths, environment, self._files, listing.paths, previous.resolved_units, changed
        )

    # --- what events print

    @cached_property
    def prints(self) -> Prints:
        """The texts that the events of all units print, and the values of names in them."""
        index = open_index(self._units, self._include_paths, self._type_environment, self._files, self.listing.paths)
        resolver = TypeResolver(self._target, index)

        def macro_of(name: str, path: str) -> Macro | None:
            return resolver.macro(name, path) or index.last_macro(name, path)

        reader = PrintReader(self._units, self._text, self._environment, macro_of)
        return Prints(reader, resolver)

    def _text(self, path: str) -> str:
        return self._files.read(path).decode("utf-8", "replace")

    # --- for the cache

    def dependencies(self) -> Iterable[str]:
        """Return the paths of all files and directories that the facts depend on."""
        types = self._resolved_units if self._is_resolved else None
        looked_up = (types.contents, types.searched) if types else ()
        return dict.fromkeys(chain(*looked_up, *(unit.dependencies for unit in self._units)))

    def sections(self) -> Iterator[tuple[str, Encoded]]:
        """Encode the sections of the cache file one after the other: each is large."""
        encoder = Encoder()
        yield from encode_units(self._units, self._fragments, self.facts, encoder)
        if self._is_resolved:
            yield from encode_resolved_units(self._units, self._resolved_units, self.facts, self.resolved, encoder)

    @property
    def _is_resolved(self) -> bool:
        return "resolved" in self.__dict__


def read_alone(source: Source, target: Target, environment: ConfigEnvironment, release: str | None) -> HeaderFacts:
    """Analyse one header by itself, without a look at any file."""
    files = GivenFiles({source.path: source.text.encode("utf-8", "replace")})
    units = extract(HeaderTree(files, [source]), target, release, environment).units
    resolved_units = resolve_units(units, IncludePaths(()), TargetEnvironment(target, environment), files)
    (unit,) = resolved_units.units.values()
    return replace(facts_of(units, release), classes=unit.classes, events=unit.events)
