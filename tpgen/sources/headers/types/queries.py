"""Questions that lead to questions, each asked once, so that no answer depends on which of them was asked first."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

# How many questions may lead from one to the next: in a real kernel 10, in hostile text without end.
_DEEPEST = 48


class Endless(Exception):
    """A question leads to itself, or through more others than any real one."""


@dataclass(slots=True)
class _Question:
    """A question, and its answer once it is `done`.

    `names` are the bits of the names that were looked up for it; `height` counts the questions that led from one to the
    next, this one included.
    """

    answer: Any = None
    done: bool = False
    names: int = 0
    height: int = 1


class Questions:
    """The answers that were found."""

    def __init__(self) -> None:
        self._known: dict[Hashable, _Question] = {}
        # Those that wait for the answer of the next. The first stands for whoever asks.
        self._waiting = [_Question(height=0)]
        # The number of a name is its place.
        self._numbers: dict[str, int] = {}

    def note(self, name: str) -> None:
        """Note that a name is looked up for the question that is being answered."""
        self._waiting[-1].names |= 1 << self._numbers.setdefault(name, len(self._numbers))

    def names(self) -> list[str]:
        """All names that were looked up since this was called before, whether the answers were known already or not."""
        asker = self._waiting[0]
        names, asker.names = asker.names, 0
        return [name for name, number in self._numbers.items() if names >> number & 1]

    def answer(self, key: Hashable, ask: Callable[[], Any]) -> Any:
        """What `ask` says, who is asked once. Raises `Endless`."""
        question = self._known.get(key)
        if question is None:
            question = self._known[key] = _Question()
            self._ask(key, question, ask)
        outer = self._waiting[-1]
        outer.names |= question.names
        outer.height = max(outer.height, question.height + 1)
        # One that still waits has led to itself.
        if not question.done or len(self._waiting) - 1 + question.height > _DEEPEST:
            raise Endless
        return question.answer

    def _ask(self, key: Hashable, question: _Question, ask: Callable[[], Any]) -> None:
        self._waiting.append(question)
        try:
            if len(self._waiting) - 1 > _DEEPEST:
                raise Endless
            question.answer = ask()
        except Endless:
            # Whatever asks the first of them is endless as well. Those in between may have an answer by themselves.
            if len(self._waiting) > 2:
                del self._known[key]
                self._waiting[-2].names |= question.names
                raise
            question.height = _DEEPEST + 1
        finally:
            self._waiting.pop()
        question.done = True
