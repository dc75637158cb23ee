"""Identity: the events of all kernels, and which of them are one under several names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property

from tpgen.basics.memo import memoised
from tpgen.history.renames import Rename, Side, renames, side
from tpgen.history.tracks import Places, Track, joined, newest, oldest, places_of, tracks
from tpgen.kernel.events import EventKey, KernelEvents


class Identities:
    """The events of kernels, oldest first, by `names`, or all without; `steps` are the places of kernels of a family
    that follow each other.

    Of an event that is gone at a step, or new, all events of the two kernels are looked at, so that it has the same
    names whether it was asked for alone or with all others.
    """

    def __init__(
        self, kernels: Sequence[KernelEvents], steps: Sequence[tuple[int, int]], names: Collection[str] | None
    ) -> None:
        self._kernels = kernels
        self._steps = steps
        self._names = None if names is None else set(names)
        self._places: Places = {}
        self._add(self._names)

    def _add(self, names: Collection[str] | None) -> None:
        self._places |= places_of(self._kernels, names)

    def tracks(self) -> list[Track]:
        """The tracks of all events, each under all of its names."""
        found: dict[tuple[int, int], list[Rename]] = {}
        while True:
            masks = self._name_masks()
            for before, after in self._steps:
                if (before, after) not in found and any((mask >> before ^ mask >> after) & 1 for mask in masks):
                    found[before, after] = list(renames(self._side(before), self._side(after)))
            of_all = [rename for of_step in found.values() for rename in of_step]
            if self._names is None:
                return _merged(self._places, of_all)
            pairs = ({rename.old.name, rename.new.name} for rename in of_all)
            new = {name for pair in pairs if pair & self._names for name in pair} - self._names
            if not new:
                return _merged(self._places, [rename for rename in of_all if rename.old.name in self._names])
            self._names |= new
            self._add(new)

    def _name_masks(self) -> set[int]:
        """The sets of kernels that have an event of some name."""
        masks: dict[str, int] = defaultdict(int)
        for key, places in self._places.items():
            for mask in places.values():
                masks[key.name] |= mask
        return set(masks.values())

    @memoised
    def _side(self, place: int) -> Side:
        kernel = self._kernels[place]
        if self._names is None:
            keys = [key for key, mask in self._masks.items() if mask >> place & 1]
        else:
            known = kernel.keys()
            keys = [key for key in known if not key.dynamic]
        return side(keys, lambda key: kernel.events([key], nullness=False)[0])

    @cached_property
    def _masks(self) -> dict[EventKey, int]:
        masks: dict[EventKey, int] = defaultdict(int)
        for key, places in self._places.items():
            for mask in places.values():
                masks[key] |= mask
        return masks


def _merged(places: Places, found: Sequence[Rename]) -> list[Track]:
    """The tracks, with those joined that renames say are one, and that no two renames say otherwise of."""
    known = tracks(places)
    of_key = {key: number for number, track in enumerate(known) for key in track.keys}
    later: dict[int, set[int]] = defaultdict(set)
    earlier: dict[int, set[int]] = defaultdict(set)
    because: dict[int, str] = {}
    for rename in found:
        old, new = of_key[rename.old], of_key[rename.new]
        later[old].add(new)
        earlier[new].add(old)
        because.setdefault(new, rename.because)
    next_of = {
        old: new
        for old, (new, *others) in ((old, sorted(news)) for old, news in later.items())
        if not others and len(earlier[new]) == 1 and _is_later(known[old], known[new])
    }
    first = [number for number in range(len(known)) if number not in next_of.values()]
    return [track for number in first for track in _chained(places, known, number, next_of, because)]


def _is_later(old: Track, new: Track) -> bool:
    """Whether no kernel has both, and those with the old one come first."""
    return not old.mask & new.mask and oldest(old.mask) < oldest(new.mask) and newest(old.mask) < newest(new.mask)


def _chained(
    places: Places, known: Sequence[Track], first: int, next_of: dict[int, int], because: dict[int, str]
) -> Iterator[Track]:
    """The track that begins with `first`, under all of its names; more where a kernel has two of these."""
    chain, mask, number = [first], known[first].mask, next_of.get(first)
    while number is not None and not mask & known[number].mask:
        chain.append(number)
        mask |= known[number].mask
        number = next_of.get(number)
    reasons = {key: because[number] for number in chain[1:] for key in known[number].keys}
    yield joined(places, (key for each in chain for key in known[each].keys), reasons)
    if number is not None:
        yield from _chained(places, known, number, next_of, because)
