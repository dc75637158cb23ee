"""Preprocessor conditions in three values: true, false, and None for what a header alone cannot tell.

A trace header is read without the headers that it includes and perhaps without the kernel's configuration, so most
names in its `#if` lines are unknown. Branches that are surely not compiled are left out; of the others each keeps the
text of the conditions that it stands under.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

# A trace header is read once without this name and then, by <trace/define_trace.h>, several times with it. Both
# readings count: the first one leaves macros behind, the others make the events.
MULTI_READ = "TRACE_HEADER_MULTI_READ"


class Names(Protocol):
    """What is known of the names in a condition."""

    def defined(self, name: str) -> bool | None:
        """Whether `name` is a macro, None when that is not known."""

    def value(self, name: str) -> int | None:
        """What `name` counts as in an expression, None when that is not known."""


@dataclass(frozen=True, slots=True)
class ClosedWorld:
    """Names with these values, and no others: as in C, any other name counts as 0."""

    values: Mapping[str, int]

    def defined(self, name: str) -> bool:
        return name in self.values

    def value(self, name: str) -> int:
        return self.values.get(name, 0)


@dataclass(frozen=True, slots=True)
class Branch:
    """One branch of an `#if` … `#endif`: number `index` of the group that opened at offset `group`.

    `text` is the condition that it takes to get here, the failed conditions of earlier branches included.
    """

    group: int
    index: int
    text: str
    truth: bool | None
    is_else: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the conditional structure of a header something stands: the branches around it, outermost first."""

    branches: tuple[Branch, ...] = ()

    @property
    def truth(self) -> bool | None:
        """False when some branch is surely not compiled, True when all surely are."""
        truths = [branch.truth for branch in self.branches]
        return False if False in truths else None if None in truths else True

    @property
    def condition(self) -> str | None:
        """The conditions that are not known to hold, as one C expression; None when there is none."""
        return conjunction(branch.text for branch in self.branches if branch.truth is not True) or None

    def excludes(self, other: Place) -> bool:
        """True when no compilation takes both places: they are in different branches of one group."""
        for mine, theirs in zip(self.branches, other.branches, strict=False):
            if mine.group != theirs.group:
                return False
            if mine.index != theirs.index:
                return True
        return False


def conjunction(texts: Iterable[str]) -> str:
    """The condition that all of `texts` hold."""
    parts = [text for text in texts if text]
    return parts[0] if len(parts) == 1 else " && ".join(f"({part})" if _is_loose(part) else part for part in parts)


def _is_loose(text: str) -> bool:
    """True when `text` binds more loosely than `&&`: an `||` or `?` stands outside all parentheses."""
    depth = 0
    for word in re.findall(r"[()?]|\|\|", text):
        depth += (word == "(") - (word == ")")
        if not depth and word in ("||", "?"):
            return True
    return False


# Beyond this much nesting, and so many branches of one #if, conditions are no longer told apart; real headers have 4.
_DEEPEST = 100


class Conditionals:
    """Follows the conditional directives of one header, in order."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._stack: list[Branch] = []
        # For each open group: what its earlier branches said, as negated text and as negated truth.
        self._failed: list[list[tuple[str, bool | None]]] = []
        self._beyond = 0

    @property
    def place(self) -> Place:
        return Place(tuple(self._stack))

    def follow(self, keyword: str, rest: str, offset: int) -> bool:
        """Take one directive into account; False when it has no `#if` to belong to."""
        if self._beyond or (keyword.startswith("if") and len(self._stack) == _DEEPEST):
            self._beyond += keyword.startswith("if") - (keyword == "endif")
            return True
        match keyword:
            case "if" | "ifdef" | "ifndef":
                self._failed.append([])
                self._stack.append(self._branch(keyword, rest, offset))
            case "elif" | "elifdef" | "elifndef" | "else" if self._stack and len(self._failed[-1]) == _DEEPEST:
                pass
            case "elif" | "elifdef" | "elifndef" | "else" if self._stack:
                group = self._stack.pop().group
                self._stack.append(self._branch(keyword, rest, group))
            case "endif" if self._stack:
                self._stack.pop()
                self._failed.pop()
            case _:
                return False
        return True

    def _branch(self, keyword: str, rest: str, group: int) -> Branch:
        failed = self._failed[-1]
        text, truth = self._condition(keyword, " ".join(rest.split()))
        texts = [before for before, _ in failed] + [text]
        truths = [before for _, before in failed] + [truth]
        branch = Branch(
            group,
            len(failed),
            conjunction(texts),
            False if False in truths else None if None in truths else True,
            is_else=keyword == "else",
        )
        failed.append((negated(text), None if truth is None else not truth))
        return branch

    def _condition(self, keyword: str, rest: str) -> tuple[str, bool | None]:
        if keyword == "else":
            return "", True
        if keyword.endswith("def"):
            name = rest.split(" ")[0]
            if name == MULTI_READ:
                return "", True
            defined = self._names.defined(name)
            if keyword.endswith("ndef"):
                return f"!defined({name})", None if defined is None else not defined
            return f"defined({name})", defined
        value = evaluate(rest, self._names)
        return rest, None if value is None else bool(value)


def negated(text: str) -> str:
    """The opposite of a condition, as C."""
    if re.fullmatch(r"!?\s*defined\s*\(\s*\w+\s*\)|!?\s*\w+\s*\([\w, ]*\)|!?\w+", text):
        return text[1:].lstrip() if text.startswith("!") else f"!{text}"
    return f"!({text})"


# --- expressions ---------------------------------------------------------------------------------------------------


def evaluate(text: str, names: Names) -> int | None:
    """The value of the expression of an `#if`; None when it depends on something unknown or is no expression."""
    try:
        return Expression(text, names).whole()
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
    """C cuts towards zero. A division by zero is no error in a branch that is not taken, so it is just a number."""
    return (abs(a) // abs(b)) * (1 if (a < 0) == (b < 0) else -1) if b else 0


class Expression:
    """Recursive descent over C's preprocessor expressions; every value is an int or unknown."""

    def __init__(self, text: str, names: Names) -> None:
        self._words: list[str] = [match[1] or match[2] for match in _WORDS.finditer(text)]
        self._at = 0
        self._names = names
        if len(self._words) > 1000:
            raise NotAnExpression

    def whole(self) -> int | None:
        value = self._conditional()
        if self._at != len(self._words):
            raise NotAnExpression
        return value

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
        return self._call(word) if self._peek() == "(" else self._names.value(word)

    def _defined(self) -> int | None:
        parenthesized = self._peek() == "("
        if parenthesized:
            self._next()
        defined = self._names.defined(self._next())
        if parenthesized:
            self._expect(")")
        return None if defined is None else int(defined)

    def _call(self, name: str) -> int | None:
        """A function-like macro that is the same in every kernel; the value of any other is unknown."""
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
        if name == "KERNEL_VERSION" and len(arguments) == 3 and None not in arguments:
            version, patchlevel, sublevel = (number or 0 for number in arguments)
            return (version << 16) + (patchlevel << 8) + min(sublevel, 255)
        return None

    def _option(self, name: str, option: str) -> int | None:
        built_in = self._names.defined(option)
        if name == "IS_BUILTIN" or built_in:
            return None if built_in is None else int(built_in and name != "IS_MODULE")
        module = self._names.defined(f"{option}_MODULE")
        # Whether a module can reach a module depends on who asks, so that stays unknown.
        if built_in is None or module is None or (module and name == "IS_REACHABLE"):
            return None
        return int(module)


def _integer(word: str) -> int:
    digits = word.rstrip("uUlL")
    try:
        return int(digits, 8 if re.fullmatch("0[0-7]+", digits) else 0)
    except ValueError:
        raise NotAnExpression from None
