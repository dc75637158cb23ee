"""Memoised queries: results do not depend on the order of evaluation, and their dependencies are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpgen.sources.headers.types.queries import QueryCache, QueryCycle

# By the number of a query those that it depends on.
Graph = Mapping[int, list[int]]
GRAPHS = st.integers(1, 9).flatmap(
    lambda count: st.lists(st.lists(st.integers(0, count - 1), max_size=3), min_size=count, max_size=count)
)


def compute(cache: QueryCache, graph: Graph, number: int) -> int:
    """The number of queries on all ways from a query on."""

    def count() -> int:
        cache.depend_on(str(number))
        return 1 + sum(compute(cache, graph, other) for other in graph[number])

    found: int = cache.query(number, count)
    return found


def results(graph: Graph, order: Iterable[int]) -> dict[int, tuple[int | None, set[str]]]:
    """The result of each query, None for a cycle, and the names that were looked up."""
    cache = QueryCache()
    found: dict[int, tuple[int | None, set[str]]] = {}
    for number in order:
        try:
            result = compute(cache, graph, number)
        except QueryCycle:
            found[number] = None, set(cache.take_dependencies())
        else:
            found[number] = result, set(cache.take_dependencies())
    return found


@given(GRAPHS, st.randoms(use_true_random=False))
def test_the_order_of_queries_does_not_matter(links: list[list[int]], random: st.DataObject) -> None:
    graph = dict(enumerate(links))
    order = list(graph)
    random.shuffle(order)  # type: ignore[attr-defined]
    # A query in a cycle is given up on the way, earlier or later: its dependencies are some that lead there.
    one, other = results(graph, graph), results(graph, order)
    assert {number: result for number, (result, _) in one.items()} == {
        number: result for number, (result, _) in other.items()
    }
    ended = [number for number, (result, _) in one.items() if result is not None]
    assert {number: one[number] for number in ended} == {number: other[number] for number in ended}


@given(GRAPHS)
def test_the_caller_learns_every_name_behind_a_result(links: list[list[int]]) -> None:
    graph = dict(enumerate(links))
    for number, (result, names) in results(graph, graph).items():
        behind: set[int] = set()
        todo = [number]
        while todo:
            if (other := todo.pop()) not in behind:
                behind.add(other)
                todo += graph[other]
        if result is not None:
            assert names == set(map(str, behind))
        else:
            # It has no end because of a ring, and a change anywhere on the way there is to be noticed.
            assert str(number) in names
            assert _has_ring({int(name) for name in names}, graph)


def _has_ring(numbers: set[int], graph: Graph) -> bool:
    """Whether a way among these leads back to where it began."""
    left = set(numbers)
    while free := {number for number in left if left.isdisjoint(graph[number])}:
        left -= free
    return bool(left)


@pytest.mark.parametrize("order", [range(200), range(199, -1, -1), range(0, 200, 7)])
def test_a_chain_has_results_where_its_length_allows_it_in_whatever_order(order: Iterable[int]) -> None:
    graph = {number: [number + 1] for number in range(199)} | {199: []}
    for number, (result, _) in results(graph, order).items():
        assert result == (200 - number if 200 - number <= 48 else None)
