"""Expressions of `#if`: a number, or None where the value depends on an unknown name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Protocol


class MacroEnvironment(Protocol):
    """The macros that a condition is evaluated with, as far as they are known."""

    def defined(self, name: str) -> bool | None:
        """Return whether `name` is a macro; None when that is unknown."""

    def value(self, name: str) -> int | None:
        """Return the value of `name` in an expression; None when that is unknown."""


def evaluate(text: str, environment: MacroEnvironment) -> int | None:
    """Evaluate the expression of an `#if`; None when it depends on something unknown or is no expression."""
    try:
        return Expression(text, environment).whole()
    except (NotAnExpression, RecursionError):
        return None


class NotAnExpression(Exception):
    """The text of an #if is not a preprocessor expression."""


_WORDS = re.compile(r"\s*(?:(\w+)|(&&|\|\||[=!<>]=|<<|>>|\S))")
_Operation = Callable[[int, int], int]
_LEVELS: tuple[Mapping[str, _Operation], ...] = (
    {"|": lambda a, b: a | b},
    {"^": lambda a, b: a ^ b},
    {"&": lambda a, b: a & b},
    {"==": lambda a, b: int(a == b), "!=": lambda a, b: int(a != b)},
    {
        "<": lambda a, b: int(a < b),
        ">": lambda a, b: int(a > b),
        "<=": lambda a, b: int(a <= b),
        ">=": lambda a, b: int(a >= b),
    },
    {"<<": lambda a, b: a << min(b, 64) if b >= 0 else 0, ">>": lambda a, b: a >> b if b >= 0 else 0},
    {"+": lambda a, b: a + b, "-": lambda a, b: a - b},
    {"*": lambda a, b: a * b, "/": lambda a, b: _quotient(a, b), "%": lambda a, b: a - b * _quotient(a, b)},
)


def _quotient(a: int, b: int) -> int:
    """Divide as C does, towards zero. By zero the quotient is 0: in a branch that is not taken that is no error."""
    return (abs(a) // abs(b)) * (1 if (a < 0) == (b < 0) else -1) if b else 0


class Expression:
    """A recursive-descent evaluator of C's preprocessor expressions; every value is an int or None for unknown."""

    def __init__(self, text: str, environment: MacroEnvironment) -> None:
        self._words: list[str] = [match[1] or match[2] for match in _WORDS.finditer(text.rstrip())]
        self._at = 0
        self._environment = environment
        if len(self._words) > 1000:
            raise NotAnExpression

    def whole(self) -> int | None:
        """Evaluate the whole text. Raises `NotAnExpression`."""
        value = self._conditional()
        if self._at != len(self._words):
            raise NotAnExpression
        # No type of C holds more: what comes of it in C nobody can tell.
        return value if value is None or -1 << 64 < value < 1 << 64 else None

    def _peek(self) -> str:
        return self._words[self._at] if self._at < len(self._words) else ""

    def _next(self) -> str:
        word = self._peek()
        self._at += 1
        return word

    def _expect(self, word: str) -> None:
        if self._next() != word:
            raise NotAnExpression

    def _conditional(self) -> int | None:
        condition = self._or()
        if self._peek() != "?":
            return condition
        self._next()
        yes = self._conditional()
        self._expect(":")
        no = self._conditional()
        return None if condition is None else yes if condition else no

    def _or(self) -> int | None:
        value = self._and()
        while self._peek() == "||":
            self._next()
            other = self._and()
            value = 1 if value or other else None if value is None or other is None else 0
        return value

    def _and(self) -> int | None:
        value = self._binary(0)
        while self._peek() == "&&":
            self._next()
            other = self._binary(0)
            value = 0 if value == 0 or other == 0 else None if value is None or other is None else 1
        return value

    def _binary(self, level: int) -> int | None:
        if level == len(_LEVELS):
            return self._unary()
        value = self._binary(level + 1)
        while operation := _LEVELS[level].get(self._peek()):
            self._next()
            other = self._binary(level + 1)
            value = None if value is None or other is None else operation(value, other)
        return value

    def _unary(self) -> int | None:
        word = self._next()
        if word == "(":
            value = self._conditional()
            self._expect(")")
            return value
        if word in ("!", "-", "+", "~"):
            value = self._unary()
            if value is None or word == "+":
                return value
            return int(not value) if word == "!" else -value if word == "-" else ~value
        if word == "defined":
            return self._defined()
        if word[:1].isdigit():
            return _integer(word)
        if not word.isidentifier():
            raise NotAnExpression
        return self._call(word) if self._peek() == "(" else self._environment.value(word)

    def _defined(self) -> int | None:
        parenthesized = self._peek() == "("
        if parenthesized:
            self._next()
        defined = self._environment.defined(self._next())
        if parenthesized:
            self._expect(")")
        return None if defined is None else int(defined)

    def _call(self, name: str) -> int | None:
        """Evaluate a function-like macro that is the same in every kernel; the value of any other is unknown."""
        self._next()
        if name in ("IS_ENABLED", "IS_BUILTIN", "IS_MODULE", "IS_REACHABLE"):
            option = self._next()
            self._expect(")")
            return self._option(name, option)
        arguments = [self._conditional()]
        while self._peek() == ",":
            self._next()
            arguments.append(self._conditional())
        self._expect(")")
        known = [number for number in arguments if number is not None]
        match name, known if len(known) == len(arguments) else ():
            case "KERNEL_VERSION", [version, patchlevel, sublevel]:
                return (version << 16) + (patchlevel << 8) + min(sublevel, 255)
            case "RHEL_RELEASE_VERSION", [major, minor]:
                return (major << 8) + minor
            case _:
                return None

    def _option(self, name: str, option: str) -> int | None:
        built_in = self._is_set(option)
        if name == "IS_BUILTIN" or built_in:
            return None if built_in is None else int(built_in and name != "IS_MODULE")
        module = self._is_set(f"{option}_MODULE")
        # Whether a module can reach a module depends on who asks, so that stays unknown.
        if built_in is None or module is None or (module and name == "IS_REACHABLE"):
            return None
        return int(module)

    def _is_set(self, option: str) -> bool | None:
        """Return whether an option is the macro 1, as it is to <linux/kconfig.h>: a number is no answer there."""
        defined = self._environment.defined(option)
        return self._environment.value(option) in (1, None) if defined else defined


def _integer(word: str) -> int:
    digits = word.rstrip("uUlL")
    try:
        return int(digits, 8 if re.fullmatch("0[0-7]+", digits) else 0)
    except ValueError:
        raise NotAnExpression from None
