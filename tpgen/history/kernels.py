"""The order of kernels: by release, and which of them follows which within a family.

A family is what a distribution makes again and again: of one flavour, for one architecture. `6.12.118+deb13-rt-amd64`
follows `6.1.0-57-rt-amd64`, not `6.12.118+deb13-amd64`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tpgen.diagnostics import TpgenError
from tpgen.history.facts import HistoryKernel
from tpgen.kernel.events import KernelEvents
from tpgen.target import target_named

_RELEASE = re.compile(r"(\d+(?:\.\d+)*)(.*)", re.DOTALL)
_PARTS = re.compile(r"\d+|[a-zA-Z]+")
_BETWEEN = re.compile(r"[-+._~ ]+")


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


def _release(text: str) -> _Release | None:
    """The parts of a release; None for a text that begins with no number.

    Numbers count as such, and -rc comes before. The flavour is what words have no digit: others are of an architecture,
    or of the release, such as `deb13`.
    """
    found = _RELEASE.match(text)
    if found is None:
        return None
    numbers, rest = found.groups()
    words = [word for word in _BETWEEN.split(rest) if word and not _is_architecture(word)]
    flavour = tuple(word for word in words if word.isalpha() and word != "rc")
    parts = _PARTS.findall("-".join(word for word in words if word not in flavour))
    order = tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts)
    return _Release((tuple(map(int, numbers.split("."))), not rest.startswith(("-rc", "~")), order), flavour)


def _is_architecture(word: str) -> bool:
    try:
        target_named(word)
    except TpgenError:
        return False
    return True


def lineage(kernel: KernelEvents) -> Lineage:
    """The family that a kernel is of."""
    info = getattr(kernel, "info", None)  # which a catalog has
    release = _release(kernel.release or "")
    return Lineage((info.distribution if info else None) or "", release.flavour if release else (), kernel.target.arch)


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
    follows = _predecessors(lineages)
    in_family = tuple(
        before is None or lineages[before][1:] == own[1:] for before, own in zip(follows, lineages, strict=True)
    )
    found = tuple(
        HistoryKernel(name, kernels[name].release, kernels[name].target, str(own))
        for name, own in zip(names, lineages, strict=True)
    )
    return Ordered(found, follows, in_family, unplaced)


def _predecessors(lineages: Sequence[Lineage]) -> tuple[int | None, ...]:
    """For each kernel, oldest first, the one before it: of its family, else of its flavour, architecture, or any."""
    newest: dict[object, int] = {}
    found: list[int | None] = []
    for place, own in enumerate(lineages):
        nearness: tuple[object, ...] = (own, own[1:], own.arch, None)
        found.append(next((newest[each] for each in nearness if each in newest), None))
        newest |= dict.fromkeys(nearness, place)
    return tuple(found)
