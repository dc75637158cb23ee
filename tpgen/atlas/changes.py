"""Which kernels are compared: each with the one before it, and each sort of kernel with the usual one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from tpgen.atlas.facts import Kernel

# The words behind the numbers of a release: `amd64`, `rt-amd64`, `cloud-amd64`.
_FLAVOUR = re.compile(r"(?:-[A-Za-z_][\w.]*)+$")
_SERIES = re.compile(r"[0-9]+\.[0-9]+")


def pairs(kernels: Sequence[Kernel]) -> tuple[tuple[Kernel, Kernel], ...]:
    """The pairs of kernels that have a page of changes, the earlier or more usual kernel first.

    Within a family, of one architecture and flavour, each is compared with its neighbour: what a step of the kernel
    changed. The oldest of a family and its newest are compared too: what a program meets that is moved all the way.
    Across families the kernels of one series are compared with that of the largest family: what an architecture or a
    flavour makes different. All pairs would be quadratic, and say nothing that these do not.
    """
    families: dict[tuple[str, str], list[Kernel]] = {}
    for kernel in kernels:
        families.setdefault((kernel.target.arch, _flavour(kernel)), []).append(kernel)
    if not families:
        return ()
    found = [pair for family in families.values() for pair in pairwise(family)]
    found += [(family[0], family[-1]) for family in families.values() if len(family) > 2]
    # Of as many kernels as another has, the family whose name is shorter is the plain one.
    usual = min(families, key=lambda name: (-len(families[name]), len(name[1]), name))
    of_series = {_series(kernel): kernel for kernel in families[usual]}
    for name, family in families.items():
        if name != usual:
            found += [(other, kernel) for kernel in family if (other := of_series.get(_series(kernel))) is not None]
    return tuple(found)


def _flavour(kernel: Kernel) -> str:
    found = _FLAVOUR.search(kernel.release or "")
    return found.group() if found else ""


def _series(kernel: Kernel) -> str:
    """The release up to its second number, `6.12`; all of a release that has none."""
    found = _SERIES.match(kernel.release or "")
    return found.group() if found else kernel.release or kernel.name
