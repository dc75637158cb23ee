"""Releases of kernels, as distributions write them: their numbers, their order, and their flavours."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from tpgen.diagnostics import TpgenError
from tpgen.target import target_named

#: The numbers that a release begins with.
NUMBERS = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_NUMBERED = re.compile(rf"({NUMBERS.pattern})(.*)", re.DOTALL)
_PARTS = re.compile(r"\d+|[a-zA-Z]+", re.ASCII)
_BETWEEN = re.compile(r"[-+.~ ]+")


class Release(NamedTuple):
    """A release in its parts: those that sort it, and the words that name its flavour."""

    order: tuple[Any, ...]
    flavour: tuple[str, ...]
    names_arch: bool


def release_of(text: str) -> Release | None:
    """The parts of a release; None for a text that does not begin with a number.

    Numbers are compared as numbers, and -rc3 comes before the release. The flavour is all words without a digit, and
    all words behind the name of an architecture, as in `arm64-16k`. Other words, such as `deb13`, belong to the order.
    """
    found = _NUMBERED.match(text)
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
    return Release((tuple(map(int, numbers.split("."))), is_final, order), tuple(flavour), behind_arch)


# Words without a digit that are not a flavour.
_NO_FLAVOURS = ("rc", "dirty")
_HASH = re.compile(r"g[0-9a-f]{7,}")
# Names of architectures in releases that no target has.
_OTHER_NAMES = re.compile(r"[3-6]86|powerpc(?:64)?(?:le)?")


def _is_architecture(word: str) -> bool:
    if _OTHER_NAMES.fullmatch(word):
        return True
    try:
        target_named(word)
    except TpgenError:
        return False
    return True


def age(release: str | None) -> tuple[Any, ...]:
    """Sort key of releases, the oldest first: 6.1.0-9 before 6.1.0-57. Those without a number come first."""
    found = release_of(release or "")
    return found.order if found else ((), False, ())


def release_numbers(release: str | None) -> tuple[int, ...]:
    """The numbers that a release begins with: (6, 12, 107) of 6.12.107+deb13-amd64."""
    found = NUMBERS.match(release or "")
    return tuple(map(int, found[0].split("."))) if found else ()
