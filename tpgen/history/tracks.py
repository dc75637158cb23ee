"""Tracks: the events of all kernels that are one event, and on which kernels each of its facts are found.

Sets of kernels are numbers with a bit for each kernel, the oldest's the lowest: what a thousand kernels have in common
takes as much room as what one has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from functools import reduce
from operator import or_
from typing import NamedTuple

from tpgen.basics.frozen import frozen
from tpgen.kernel.events import EventKey, KernelEvents

#: For each event, and each of its facts by a value that tells them, the kernels.
Places = dict[EventKey, dict[Hashable, int]]


def bits(mask: int) -> Iterator[int]:
    """The places of the bits that are set, the lowest first."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def newest(mask: int) -> int:
    """The place of the highest bit."""
    return mask.bit_length() - 1


def oldest(mask: int) -> int:
    """The place of the lowest bit."""
    return (mask & -mask).bit_length() - 1


@frozen
class Track:
    """One event under all of its keys, the one of the oldest kernels first.

    `because` says of a key with another name why it is the event of the one before.
    """

    keys: tuple[EventKey, ...]
    places: Places
    because: dict[EventKey, str]

    def mask_of(self, key: EventKey) -> int:
        """The kernels that have the event under a key."""
        return reduce(or_, self.places[key].values(), 0)

    @property
    def mask(self) -> int:
        """The kernels that have the event."""
        return reduce(or_, map(self.mask_of, self.keys), 0)


def places_of(kernels: Sequence[KernelEvents], names: Collection[str] | None) -> Places:
    """The events of all kernels, or those that are called so, but for what somebody defined on one of them."""
    stores: dict[int, dict[int, KernelEvents]] = defaultdict(dict)
    for place, kernel in enumerate(kernels):
        stores[id(kernel.store)][1 << place] = kernel
    found: Places = {}
    for together in stores.values():
        first = next(iter(together.values()))
        for key, fingerprint, bits in first.fingerprints_of_several(together, names):
            if not key.dynamic:
                of_key = found.setdefault(key, {})
                of_key[fingerprint] = of_key.get(fingerprint, 0) | bits
    return found


class _Keyed(NamedTuple):
    key: EventKey
    mask: int


def tracks(places: Places) -> list[Track]:
    """The tracks of events that have one name: where a kernel has two of a name, one for each module and system."""
    by_name: dict[str, list[_Keyed]] = defaultdict(list)
    for key, of_key in places.items():
        by_name[key.name].append(_Keyed(key, reduce(or_, of_key.values())))
    groups = (group for keyed in by_name.values() for group in _split(keyed, (_module, _system)))
    return [joined(places, [keyed.key for keyed in group]) for group in groups]


def joined(places: Places, keys: Iterable[EventKey], because: dict[EventKey, str] | None = None) -> Track:
    """The track of these keys."""
    masks = {key: reduce(or_, places[key].values()) for key in keys}
    order = sorted(masks, key=lambda key: (oldest(masks[key]), newest(masks[key]), key.name, key.module or ""))
    return Track(tuple(order), {key: places[key] for key in order}, because or {})


def _module(key: EventKey) -> str | None:
    return key.module


def _system(key: EventKey) -> str | None:
    return key.system


def _split(keyed: Sequence[_Keyed], by: Sequence[Callable[[EventKey], str | None]]) -> Iterator[Sequence[_Keyed]]:
    """The keys together where no kernel has two of them, else apart by the first of `by`, and those by the next."""
    if not by or not _overlap(keyed):
        yield keyed
        return
    parts: dict[str | None, list[_Keyed]] = defaultdict(list)
    for each in keyed:
        parts[by[0](each.key)].append(each)
    for part in parts.values():
        yield from _split(part, by[1:])


def _overlap(keyed: Iterable[_Keyed]) -> bool:
    seen = 0
    for each in keyed:
        if seen & each.mask:
            return True
        seen |= each.mask
    return False
