"""Presence conditions: the `#if` branches around a place in a header, in three values.

A condition is true, false, or None where it depends on what a header alone cannot decide.

A trace header is read without the headers that it includes and perhaps without the kernel's configuration, so most
names in its `#if` lines are unknown. Branches that are surely not compiled are left out; of the others each keeps the
text of the conditions that it stands under.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import compress, product

from tpgen.basics.frozen import frozen
from tpgen.sources.headers.preprocessor.environment import MULTI_READ
from tpgen.sources.headers.preprocessor.expressions import MacroEnvironment, evaluate


@frozen
class Branch:
    """One branch of an `#if` … `#endif`: number `index` of the group that opened at offset `group`.

    `text` is the condition that it takes to get here, the failed conditions of earlier branches included.
    """

    group: int
    index: int
    text: str
    value: bool | None
    is_else: bool = False


@frozen
class PresenceCondition:
    """The condition under which a part of a header is compiled: the `#if` branches around it, outermost first."""

    branches: tuple[Branch, ...] = ()

    @property
    def value(self) -> bool | None:
        """Return False when some branch is surely not compiled, True when all surely are."""
        return _all_of([branch.value for branch in self.branches])

    @property
    def condition(self) -> str | None:
        """Return the conditions that are not known to be true as one C expression; None when there are none."""
        return conjunction(branch.text for branch in self.branches if branch.value is not True) or None

    def joined(self, other: PresenceCondition) -> PresenceCondition | None:
        """Return the condition that both are compiled; None where they are in different branches of one group."""
        known = {branch.group: branch.index for branch in self.branches}
        if any(known.get(branch.group, branch.index) != branch.index for branch in other.branches):
            return None
        return PresenceCondition((*self.branches, *(b for b in other.branches if b.group not in known)))

    def excludes(self, other: PresenceCondition) -> bool:
        """Return whether no compilation has both: they name different branches of one group."""
        for mine, theirs in zip(self.branches, other.branches, strict=False):
            if mine.group != theirs.group:
                return False
            if mine.index != theirs.index:
                return True
        return False


def _all_of(values: list[bool | None]) -> bool | None:
    return False if False in values else None if None in values else True


def conjunction(texts: Iterable[str]) -> str:
    """Return the condition that all of `texts` are true, as C."""
    parts = [text for text in dict.fromkeys(texts) if text]
    return parts[0] if len(parts) == 1 else " && ".join(f"({part})" if _is_loose(part) else part for part in parts)


def _is_loose(text: str) -> bool:
    """Return whether `text` binds more loosely than `&&`: an `||` or `?` stands outside all parentheses."""
    depth = 0
    for word in re.findall(r"[()?]|\|\|", text):
        depth += (word == "(") - (word == ")")
        if not depth and word in ("||", "?"):
            return True
    return False


@frozen
class _Assignment:
    """A macro environment with exactly these macros of value 1, one LINUX_VERSION_CODE, and `unknown` values."""

    names: frozenset[str]
    version_code: int
    unknown: bool

    def defined(self, name: str) -> bool | None:
        return name in self.names

    def value(self, name: str) -> int | None:
        if name == "LINUX_VERSION_CODE":
            return self.version_code
        return None if self.unknown else int(name in self.names)


_NAME = re.compile(r"[A-Za-z_]\w*")
_VERSION = re.compile(r"KERNEL_VERSION\s*\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,5})\s*\)")
_VERSION_TEST = re.compile(rf"LINUX_VERSION_CODE\s*[<>=!]=?\s*{_VERSION.pattern}")
_NOT_NAMES = frozenset(
    ("defined", "LINUX_VERSION_CODE", "KERNEL_VERSION", "IS_ENABLED", "IS_BUILTIN", "IS_MODULE", "IS_REACHABLE")
)
_MOST_NAMES, _MOST_VERSIONS = 6, 6


@lru_cache(maxsize=256)
def are_exclusive(one: str | None, other: str | None) -> bool:
    """Return whether two conditions are surely never true together, whatever the names in them mean."""
    if one is None or other is None:
        return False
    both = f"({one}) && ({other})"
    names = sorted(set(_NAME.findall(both)) - _NOT_NAMES)
    versions = {(int(a) << 16) + (int(b) << 8) + min(int(c), 255) for a, b, c in _VERSION.findall(both)}
    if len(names) > _MOST_NAMES or len(versions) > _MOST_VERSIONS:
        return False
    # What is compared with numbers may have any value.
    unknown = bool(re.search(r"[<>=+*/%&^|-]", re.sub(r"&&|\|\|", "", _VERSION_TEST.sub("", both))))
    codes = {code + step for code in versions for step in (-1, 0, 1)} or {0}
    chosen = (frozenset(compress(names, bits)) for bits in product((0, 1), repeat=len(names)))
    return all(evaluate(both, _Assignment(defined, code, unknown)) == 0 for defined in chosen for code in codes)


# Beyond this much nesting, and so many branches of one #if, conditions are no longer told apart; real headers have 4.
_DEEPEST = 100


class Conditionals:
    """Follow the conditional directives of one header, in order. `environment` decides their expressions."""

    def __init__(self, environment: MacroEnvironment) -> None:
        self._environment = environment
        self._stack: list[Branch] = []
        # For each open group the negation of its earlier branches, as text and as value.
        self._failed: list[list[tuple[str, bool | None]]] = []
        self._beyond = 0

    @property
    def presence(self) -> PresenceCondition:
        """The presence condition behind the last directive."""
        return PresenceCondition(tuple(self._stack))

    def follow(self, keyword: str, rest: str, offset: int) -> bool:
        """Apply one directive; return False when it belongs to no `#if`."""
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
        text, value = self._condition(keyword, " ".join(rest.split()))
        texts = [before for before, _ in failed] + [text]
        values = [before for _, before in failed] + [value]
        branch = Branch(
            group,
            len(failed),
            conjunction(texts),
            _all_of(values),
            is_else=keyword == "else",
        )
        failed.append((negated(text), None if value is None else not value))
        return branch

    def _condition(self, keyword: str, rest: str) -> tuple[str, bool | None]:
        if keyword == "else":
            return "", True
        if keyword.endswith("def"):
            name = rest.split(" ")[0]
            if name == MULTI_READ:
                return "", True
            defined = self._environment.defined(name)
            if keyword.endswith("ndef"):
                return f"!defined({name})", None if defined is None else not defined
            return f"defined({name})", defined
        value = evaluate(rest, self._environment)
        return rest, None if value is None else bool(value)


def negated(text: str) -> str:
    """Return the negation of a condition, as C."""
    if re.fullmatch(r"!?\s*defined\s*\(\s*\w+\s*\)|!?\s*\w+\s*\([\w, ]*\)|!?\w+", text):
        return text[1:].lstrip() if text.startswith("!") else f"!{text}"
    return f"!({text})"
