"""Questions that lead to questions: the answers do not depend on the order, and what they took is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpgen.sources.headers.types.queries import Endless, Questions

# By the number of a question those that it leads to.
Graph = Mapping[int, list[int]]
GRAPHS = st.integers(1, 9).flatmap(
    lambda count: st.lists(st.lists(st.integers(0, count - 1), max_size=3), min_size=count, max_size=count)
)


def ask(questions: Questions, graph: Graph, number: int) -> int:
    """How many questions there are on all ways from a question on."""

    def count() -> int:
        questions.note(str(number))
        return 1 + sum(ask(questions, graph, other) for other in graph[number])

    found: int = questions.answer(number, count)
    return found


def asked(graph: Graph, order: Iterable[int]) -> dict[int, tuple[int | None, set[str]]]:
    """The answer to each question, None where there is no end, and the names that were looked up."""
    questions = Questions()
    found: dict[int, tuple[int | None, set[str]]] = {}
    for number in order:
        try:
            answer = ask(questions, graph, number)
        except Endless:
            found[number] = None, set(questions.names())
        else:
            found[number] = answer, set(questions.names())
    return found


@given(GRAPHS, st.randoms(use_true_random=False))
def test_the_order_of_questions_does_not_matter(links: list[list[int]], random: st.DataObject) -> None:
    graph = dict(enumerate(links))
    order = list(graph)
    random.shuffle(order)  # type: ignore[attr-defined]
    # A question without end is given up on the way, which may be earlier or later: its names are some that lead there.
    one, other = asked(graph, graph), asked(graph, order)
    assert {number: answer for number, (answer, _) in one.items()} == {
        number: answer for number, (answer, _) in other.items()
    }
    ended = [number for number, (answer, _) in one.items() if answer is not None]
    assert {number: one[number] for number in ended} == {number: other[number] for number in ended}


@given(GRAPHS)
def test_who_asks_learns_of_every_name_behind_an_answer(links: list[list[int]]) -> None:
    graph = dict(enumerate(links))
    for number, (answer, names) in asked(graph, graph).items():
        behind: set[int] = set()
        todo = [number]
        while todo:
            if (other := todo.pop()) not in behind:
                behind.add(other)
                todo += graph[other]
        if answer is not None:
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
def test_a_chain_has_an_end_where_its_length_allows_it_however_it_is_asked(order: Iterable[int]) -> None:
    graph = {number: [number + 1] for number in range(199)} | {199: []}
    for number, (answer, _) in asked(graph, order).items():
        assert answer == (200 - number if 200 - number <= 48 else None)
