"""Integer constant expressions of C: the lengths of arrays and the values of enumerators."""

from __future__ import annotations

import re
from typing import Protocol

from tpgen.sources.headers.preprocessor.expressions import Expression, NotAnExpression

# A string of one word, which the expression's words have in three pieces.
_LITERAL = re.compile(r'" (\w+) "')


class Constants(Protocol):
    """The enumerators and types that a constant expression is evaluated with."""

    def value(self, name: str) -> int | None:
        """Return the value of an enumerator; None when it is unknown."""

    def size(self, type_text: str) -> int | None:
        """Return the size in bytes of the type that `type_text` names; None when it is unknown."""


def constant(text: str, constants: Constants) -> int | None:
    """Evaluate an expression without macros; None when it depends on something unknown or is no expression.

    Values are numbers without a width: nobody writes a length that would wrap around in C.
    """
    try:
        return _Constant(text, constants).whole()
    except (NotAnExpression, RecursionError):
        return None


class _Environment:
    """Constants as a macro environment, in which no name is a macro any more."""

    def __init__(self, constants: Constants) -> None:
        self._constants = constants

    def defined(self, name: str) -> bool | None:
        return None

    def value(self, name: str) -> int | None:
        return self._constants.value(name)


class _Constant(Expression):
    """An evaluator of C's integer constant expressions: the preprocessor's, with sizeof and casts to integer types."""

    def __init__(self, text: str, constants: Constants) -> None:
        super().__init__(text, _Environment(constants))
        self._constants = constants

    def _unary(self) -> int | None:
        word = self._peek()
        if word == "sizeof":
            self._next()
            operand = " ".join(self._parenthesized())
            literal = _LITERAL.fullmatch(operand)
            return len(literal[1]) + 1 if literal else self._constants.size(operand)
        if word == "~" and self._cast(self._at + 1):
            raise NotAnExpression  # the cast decides how wide the result is
        if word == "(" and (behind := self._cast(self._at)):
            self._at = behind
            value = self._unary()
            # Inside of these bounds a cast to any type of at least 2 bytes changes nothing.
            return value if value is not None and 0 <= value < 1 << 15 else None
        return super()._unary()

    def _cast(self, at: int) -> int:
        """Return the word behind the cast that begins at word `at`; 0 where there is none, or one to a byte."""
        if at >= len(self._words) or self._words[at] != "(" or ")" not in self._words[at:]:
            return 0
        end = self._words.index(")", at)
        inside = " ".join(word for word in self._words[at + 1 : end] if word != "__force")
        is_cast = bool(inside) and inside[0].isalpha() | (inside[0] == "_") and self._next_is_operand(end + 1)
        return end + 1 if is_cast and (self._constants.size(inside) or 0) > 1 else 0

    def _next_is_operand(self, at: int) -> bool:
        """Return whether word `at` begins the operand of a cast, else the parentheses are an expression's."""
        return at < len(self._words) and (self._words[at][0].isalnum() or self._words[at][0] in "_(")

    def _parenthesized(self) -> list[str]:
        """Return the words inside the parentheses that open here."""
        self._expect("(")
        words: list[str] = []
        depth = 1
        while True:
            word = self._next()
            depth += (word == "(") - (word == ")")
            if not word:
                raise NotAnExpression
            if not depth:
                return words
            words.append(word)

    def _call(self, name: str) -> int | None:
        raise NotAnExpression
