"""The order of kernels: by release, and which of them follows which within a family.

A family is what a distribution makes again and again: of one flavour, for one architecture. `6.12.118+deb13-rt-amd64`
follows `6.1.0-57-rt-amd64`, not `6.12.118+deb13-amd64`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tpgen.catalog.releases import release_of
from tpgen.history.facts import HistoryKernel
from tpgen.kernel.events import KernelEvents


class Lineage(NamedTuple):
    """The family of a kernel, in its parts."""

    distribution: str
    flavour: tuple[str, ...]
    arch: str

    def __str__(self) -> str:
        return " ".join(filter(None, (self.distribution, *self.flavour, self.arch)))


def lineage(kernel: KernelEvents) -> Lineage:
    """The family of a kernel. If its release is only numbers, it comes from a name such as `debian-6.1-686-pae`."""
    info = getattr(kernel, "info", None)  # which a catalog has
    distribution: str = (info.distribution if info else None) or ""
    release = release_of(kernel.release or "")
    flavour = release.flavour if release else ()
    is_bare = release is None or not (release.flavour or release.names_arch)
    if info is not None and distribution and is_bare and info.name.startswith(f"{distribution}-"):
        named = release_of(info.name.removeprefix(f"{distribution}-"))
        flavour = named.flavour if named else ()
    return Lineage(distribution, flavour, kernel.target.arch)


class Ordered(NamedTuple):
    """Kernels, oldest first, with the place of the kernel that each follows, and whether that is of its family.

    `unplaced` are the names of those whose release is unknown; they stand last.
    """

    kernels: tuple[HistoryKernel, ...]
    follows: tuple[int | None, ...]
    in_family: tuple[bool, ...]
    unplaced: tuple[str, ...]

    @property
    def steps(self) -> list[tuple[int, int]]:
        """The places of kernels of a family that follow each other."""
        return [
            (before, place)
            for place, (before, in_family) in enumerate(zip(self.follows, self.in_family, strict=True))
            if before is not None and in_family
        ]


def ordered(kernels: Mapping[str, KernelEvents]) -> Ordered:
    """The kernels in the order of their releases. Of one release, those stand last that stand best for all.

    These are of no flavour, and of the architecture that most are of.
    """
    releases = {name: release_of(kernel.release or "") for name, kernel in kernels.items()}
    of = {name: lineage(kernel) for name, kernel in kernels.items()}
    unplaced = tuple(name for name, release in releases.items() if release is None)
    common = Counter(each.arch for each in of.values())

    def place(name: str) -> tuple[object, ...]:
        release, own = releases[name], of[name]
        assert release is not None
        return release.order, -len(own.flavour), common[own.arch], own.arch == "x86_64", own.arch, name

    names = [*sorted((name for name in kernels if releases[name] is not None), key=place), *unplaced]
    lineages = [of[name] for name in names]
    same = [None if release is None else release.order for release in map(releases.__getitem__, names)]
    follows = _predecessors(lineages, same)
    in_family = tuple(
        before is None or lineages[before][1:] == own[1:] for before, own in zip(follows, lineages, strict=True)
    )
    found = tuple(
        HistoryKernel(name, kernels[name].release, kernels[name].target, str(own))
        for name, own in zip(names, lineages, strict=True)
    )
    return Ordered(found, follows, in_family, unplaced)


def _predecessors(lineages: Sequence[Lineage], releases: Sequence[object]) -> tuple[int | None, ...]:
    """For each kernel the place of the one before it, by the nearest family that has one; None for the very first.

    That is its own, that of its flavour and architecture of another distribution, the plain one of its architecture,
    the plain one of the most common, one of its architecture, or any. The plain kernels of a release come before those
    of a flavour, though they stand behind them, where they stand best for all.
    """
    found: list[int | None] = [None] * len(lineages)
    newest: dict[object, int] = {}
    for place in _plain_first(releases):
        own = lineages[place]
        asked = [own, own[1:], ((), own.arch), (), own.arch, None]
        found[place] = next((newest[each] for each in asked if each in newest), None)
        newest |= dict.fromkeys([own, own[1:], own.arch, None], place)
        plain = newest.get(())
        if not own.flavour and (plain is None or releases[plain] != releases[place]):
            newest[()] = place
    return tuple(found)


def _plain_first(releases: Sequence[object]) -> Iterator[int]:
    """The places in the order of the releases, and those of one release backwards."""
    start = 0
    for place, release in enumerate(releases):
        if release is None or place + 1 == len(releases) or releases[place + 1] != release:
            yield from range(place, start - 1, -1)
            start = place + 1
