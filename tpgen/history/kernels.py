"""The order of kernels: by release, and which of them follows which within a family.

A family is what a distribution makes again and again: of one flavour, for one architecture. `6.12.118+deb13-rt-amd64`
follows `6.1.0-57-rt-amd64`, not `6.12.118+deb13-amd64`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tpgen.diagnostics import TpgenError
from tpgen.history.facts import HistoryKernel
from tpgen.kernel.events import KernelEvents
from tpgen.target import target_named

_RELEASE = re.compile(r"(\d+(?:\.\d+)*)(.*)", re.DOTALL)
_PARTS = re.compile(r"\d+|[a-zA-Z]+")
_BETWEEN = re.compile(r"[-+.~ ]+")


class Lineage(NamedTuple):
    """The family of a kernel, in its parts."""

    distribution: str
    flavour: tuple[str, ...]
    arch: str

    def __str__(self) -> str:
        return " ".join(filter(None, (self.distribution, *self.flavour, self.arch)))


class _Release(NamedTuple):
    """A release in its parts: whatever sorts it, and the words that say for what it is made."""

    order: tuple[Any, ...]
    flavour: tuple[str, ...]
    names_arch: bool


def _release(text: str) -> _Release | None:
    """The parts of a release; None for a text that begins with no number.

    Numbers count as such, and -rc comes before. The flavour is what words have no digit, and all behind the name of an
    architecture, as in `arm64-16k`: other words are of the release, such as `deb13`.
    """
    found = _RELEASE.match(text)
    if found is None:
        return None
    numbers, rest = found.groups()
    flavour, parts = [], []
    behind_arch = False
    for word in filter(None, _BETWEEN.split(rest)):
        if _is_architecture(word):
            behind_arch = True
        elif behind_arch or (word.isalpha() and word not in _NO_FLAVOURS and not _HASH.fullmatch(word)):
            flavour.append(word)
        else:
            parts += _PARTS.findall(word)
    order = tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts)
    is_final = not rest.startswith(("-rc", "~"))
    return _Release((tuple(map(int, numbers.split("."))), is_final, order), tuple(flavour), behind_arch)


# Words of a release that name no flavour.
_NO_FLAVOURS = ("rc", "dirty")
_HASH = re.compile(r"g[0-9a-f]{7,}")
# Names of architectures in releases that are no other names of targets.
_OTHER_NAMES = re.compile(r"[3-6]86|powerpc(?:64)?(?:le)?")


def _is_architecture(word: str) -> bool:
    if _OTHER_NAMES.fullmatch(word):
        return True
    try:
        target_named(word)
    except TpgenError:
        return False
    return True


def lineage(kernel: KernelEvents) -> Lineage:
    """The family of a kernel. Where its release is numbers alone, a name such as `debian-6.1-686-pae` tells it."""
    info = getattr(kernel, "info", None)  # which a catalog has
    distribution: str = (info.distribution if info else None) or ""
    release = _release(kernel.release or "")
    flavour = release.flavour if release else ()
    is_bare = release is None or not (release.flavour or release.names_arch)
    if info is not None and distribution and is_bare and info.name.startswith(f"{distribution}-"):
        named = _release(info.name.removeprefix(f"{distribution}-"))
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
    releases = {name: _release(kernel.release or "") for name, kernel in kernels.items()}
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
