"""Matching of the events of two kernels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from typing import TypeAlias

from tpgen.kernel.events import EventKey

#: An event of the earlier kernel and the same of the later; None where that kernel has none.
Pair: TypeAlias = tuple[EventKey | None, EventKey | None]


# What identifies an event in both kernels, the surest first. Not every source has the system, an event may move to
# another module, and DECLARE_TRACE(x) makes the tracepoint x up to Linux 6.15 and x_tp from 6.16 on.
_IDENTITIES: tuple[Callable[[EventKey], Hashable], ...] = (
    lambda key: key,
    lambda key: (key.module, key.name),
    lambda key: (key.system, key.name),
    lambda key: key.name,
    lambda key: key.name.removesuffix("_tp"),
)


def paired(before: Iterable[EventKey], after: Iterable[EventKey]) -> list[Pair]:
    """Pairs with every event of both kernels once. Whether one of two names is the other renamed, prototypes decide."""
    left, right = list(before), list(after)
    pairs: list[Pair] = []
    for identity in _IDENTITIES:
        waiting = defaultdict(list)
        for key in reversed(right):
            waiting[identity(key)].append(key)
        found = [(key, waiting[known].pop()) for key in left if waiting.get(known := identity(key))]
        pairs += found
        gone, taken = {old for old, _ in found}, {new for _, new in found}
        left = [key for key in left if key not in gone]
        right = [key for key in right if key not in taken]
    return [*pairs, *((key, None) for key in left), *((None, key) for key in right)]
