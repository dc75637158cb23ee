"""The search for a name that no header around a trace header defines: among those of include/ that nobody includes.

A .c file may include one of them before the trace header. Another header of the tree may define the name as well, and
which of them the .c file sees nobody knows: so where one of include/ defines it, all of the tree are searched.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain

from tpgen.basics.team import ALONE, Team
from tpgen.sources.headers.types.include_graph import IncludePaths
from tpgen.sources.headers.types.symbols import header_symbols
from tpgen.sources.source_tree.files import Files
from tpgen.sources.source_tree.listing import list_headers
from tpgen.sources.source_tree.release import find_release

# To look for a few names takes less time than to find all that a header defines.
_FEW = 24
# Whatever defines a name has one of these.
_ANY: tuple[bytes, ...] = (b"define", b"{", b";")

NOTHING_FOUND: Mapping[str, tuple[str, ...]] = {}


class NameSearch:
    """The headers that may define a name, of the `listed` ones of a tree and of those that `include_paths` names.

    `known` are the results of a previous run. A name that was not searched for has no header; it is remembered in
    `missed` until `search` is called. A `team` searches for what each of it missed, each in a half of the headers.
    """

    def __init__(
        self,
        listed: Sequence[str],
        include_paths: IncludePaths,
        files: Files,
        known: Mapping[str, tuple[str, ...]] = NOTHING_FOUND,
    ) -> None:
        self.team: Team = ALONE
        self.found = dict(known)
        self.missed: set[str] = set()
        self._listed = listed
        self._include_paths = include_paths
        self._files = files

    def headers(self, name: str) -> tuple[str, ...]:
        """Return the headers that may define a name, as far as it was searched for."""
        if name not in self.found:
            self.missed.add(name)
        return self.found.get(name, ())

    def search(self) -> set[str]:
        """Search for the names that were missed, those that others of a team missed included, and return them."""
        missed = set(chain.from_iterable(self.team.exchange(list(self.missed))))
        if not missed:
            return missed
        names, self.missed = {name.encode("utf-8", "replace"): name for name in sorted(missed)}, set()
        public = self._defining(self._public, names)
        others = self._defining(self._others, public) if public else {}
        for raw, name in names.items():
            self.found[name] = (*public.get(raw, ()), *others.get(raw, ()))
        return missed

    def forget(self) -> None:
        """Forget the previous run."""
        self.found.clear()

    def forget_changed(self) -> set[str]:
        """Forget and return the names of which the previous run's results may be other ones today."""
        if not self.found:
            return set()
        paths = [*self._public, *self._others]
        same = {path for path in paths if self._files.is_unchanged(path)}
        names = {name.encode("utf-8", "replace"): name for name in self.found}
        defined = self._defining([path for path in paths if path not in same], names)
        gone = {name for name, headers in self.found.items() if not same.issuperset(headers)}
        changed = gone | {names[raw] for raw in defined}
        for name in changed:
            del self.found[name]
        return changed

    def dependencies(self) -> Iterator[str]:
        """Yield the headers outside of the tree that were searched, and their directories, with a slash behind each."""
        if self.found:
            for headers, folders in self._outside:
                yield from headers
                yield from (f"{folder}/" for folder in folders)

    # --- the headers

    @cached_property
    def _outside(self) -> list[tuple[list[str], list[str]]]:
        """The headers of include/ outside of the tree, and their directories."""
        root, searched = os.path.join(self._include_paths.root, ""), list[tuple[list[str], list[str]]]()
        done: tuple[str, ...] = (root,) if self._include_paths.root else ()
        for directory in sorted(self._include_paths.include_dirs):
            # Of a kernel, that is: /usr/include lies above of what is in /usr/src.
            if not os.path.join(directory, "").startswith(done) and find_release(directory):
                listing = list_headers(directory)
                searched.append((listing.paths, listing.folders))
                done = (*done, os.path.join(directory, ""))
        return searched

    @cached_property
    def _public(self) -> list[str]:
        """The headers of include/, in the tree and outside of it."""
        inside = [path for path in self._listed if self._include_paths.is_public(path)]
        return inside + [path for headers, _ in self._outside for path in headers]

    @cached_property
    def _others(self) -> list[str]:
        return [path for path in self._listed if not self._include_paths.is_public(path)]

    def _defining(self, paths: Sequence[str], names: Collection[bytes]) -> dict[bytes, list[str]]:
        """Return those of the headers that may define each of some names, of which many have none."""
        found: dict[bytes, list[str]] = {}
        words, mentions = _ANY, None
        if len(names) <= _FEW:
            words, mentions = tuple(names), re.compile(rb"\b(?:%s)\b" % b"|".join(names))
        for path, raw in self._files.mentioning(self.team.half(paths), words):
            if mentions and not mentions.search(raw):
                continue
            symbols = header_symbols(raw)
            defined = {*symbols.types.split(b"\n"), *symbols.constants.split(b"\n")}
            for name in defined.intersection(names):
                found.setdefault(name, []).append(path)
        return _joined(self.team.exchange(found))


def _joined(parts: Sequence[dict[bytes, list[str]]]) -> dict[bytes, list[str]]:
    """Join what was found in the parts of a list of headers."""
    names = dict.fromkeys(chain.from_iterable(parts))
    return {name: [path for part in parts for path in part.get(name, ())] for name in names}
