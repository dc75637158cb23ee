"""Hoisting of conditionals: an invocation with an #if inside becomes one invocation for each way to compile it.

Of 544 invocations under an #if in Linux 7.2 one has the #if inside (xfarray_sort_stats, which counts more when DEBUG is
defined). Without the configuration, an invocation like this stands for several.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import product
from math import prod

from tpgen.sources.headers.preprocessor.conditions import Branch, PresenceCondition, conjunction, negated
from tpgen.sources.headers.preprocessor.directives import Directive
from tpgen.sources.headers.preprocessor.source import Span, blank

MOST = 16
# So many are tried; most contradict themselves where one option is asked for again and again.
_MOST_COMBINATIONS = 1 << 12


def inner_directives(directives: tuple[Directive, ...], span: Span) -> tuple[Directive, ...]:
    """Return the directives that lie inside `span`."""
    first = bisect_left(directives, span[0], key=_start)
    return directives[first : bisect_left(directives, span[1], lo=first, key=_start)]


def _start(directive: Directive) -> int:
    return directive.start


def hoist(
    code: str, span: Span, presence: PresenceCondition, inner: tuple[Directive, ...]
) -> list[tuple[str, PresenceCondition]] | None:
    """Return each way to compile `span` as its text and presence condition; None for more than `MOST` ways.

    `span` is an invocation under `presence` with the directives `inner` inside.

    A text is as long as the span, with blanks for the branches that are not taken.
    """
    depth = len(presence.branches)
    pieces = list(_pieces(span, presence, inner))
    groups: dict[int, dict[int, Branch]] = {}
    for _, where in pieces:
        for branch in where.branches[depth:]:
            if branch.value is None:
                groups.setdefault(branch.group, {})[branch.index] = branch
    choices = [[*branches.values(), *_none_of(branches)] for branches in groups.values()]
    if prod(map(len, choices)) > _MOST_COMBINATIONS:
        return None
    combinations = [chosen for chosen in product(*choices) if _is_consistent(chosen)]
    if len(combinations) > MOST:
        return None
    result: list[tuple[str, PresenceCondition]] = []
    for chosen in combinations:
        taken = {branch.group: branch.index for branch in chosen}
        text = "".join(
            code[start:end] if _is_taken(where, depth, taken) else blank(code[start:end])
            for (start, end), where in pieces
        )
        result.append((text, PresenceCondition(presence.branches + chosen)))
    return result


def _pieces(
    span: Span, presence: PresenceCondition, inner: tuple[Directive, ...]
) -> Iterator[tuple[Span, PresenceCondition]]:
    start = span[0]
    for directive in inner:
        yield (start, directive.start), presence
        start, presence = directive.start, directive.presence
    yield (start, span[1]), presence


def _none_of(branches: dict[int, Branch]) -> list[Branch]:
    """Return the branch that takes none of a group, as a list; empty where one of them is an #else."""
    last = branches[max(branches)]
    if last.is_else:
        return []
    return [Branch(last.group, -1, conjunction(negated(branch.text) for branch in branches.values()), None)]


def _is_consistent(branches: tuple[Branch, ...]) -> bool:
    """Return False where one branch is taken when a condition is true, another when it is false."""
    texts = {branch.text for branch in branches}
    return all(negated(text) not in texts for text in texts)


def _is_taken(where: PresenceCondition, depth: int, taken: dict[int, int]) -> bool:
    return all(branch.value is not None or taken[branch.group] == branch.index for branch in where.branches[depth:])
