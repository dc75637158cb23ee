"""The directives of a header, each with the presence condition behind it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from tpgen.basics.frozen import frozen
from tpgen.sources.headers.preprocessor.conditions import Conditionals, PresenceCondition
from tpgen.sources.headers.preprocessor.environment import FixedEnvironment
from tpgen.sources.headers.preprocessor.expressions import MacroEnvironment, evaluate
from tpgen.sources.headers.preprocessor.source import Source, blank, line_matches

# The rest of a line from its first `#` on, which is a directive where only blanks stand before it.
_HASH = re.compile(r"#[ \t]*(\w*)([^\n]*)")
_NAME = re.compile(r"\s*(\w+)")
_NUMBER = re.compile(r"[0-9]\w*")
_CONDITIONAL = frozenset(("if", "ifdef", "ifndef", "elif", "elifdef", "elifndef", "else", "endif"))


@frozen
class Directive:
    """`#keyword rest`, from its line's start to its line's end (splices taken out).

    `presence` is the condition of what follows it.
    """

    start: int
    end: int
    keyword: str
    rest: str
    presence: PresenceCondition

    @property
    def name(self) -> str:
        """The macro that a #define or #undef names; empty where there is none."""
        match = _NAME.match(self.rest)
        return match[1] if match else ""


@frozen
class Structure:
    """A header's directives in order, and its code: the clean text with directives and dead branches blanked.

    `stray` are the offsets of directives that belong to no #if, `open` is True when some #if never ends.
    """

    directives: tuple[Directive, ...]
    code: str
    stray: tuple[int, ...]
    open: bool


def structure(source: Source, environment: MacroEnvironment) -> Structure:
    """Find the directives of `source`, conditions decided as far as `environment` and its own definitions do."""
    lines = list(line_matches(_HASH, source.clean))
    own = _HeaderEnvironment(environment, _guards(lines))
    conditionals = Conditionals(own)
    directives: list[Directive] = []
    stray: list[int] = []
    presence = conditionals.presence
    for start, match in lines:
        keyword, rest = match.groups()
        if keyword in _CONDITIONAL:
            if not conditionals.follow(keyword, rest, start):
                stray.append(start)
            presence = conditionals.presence
        directive = Directive(start, match.end(), keyword, rest, presence)
        if keyword in ("define", "undef") and presence.value is not False:
            own.note(directive)
        directives.append(directive)
    return Structure(tuple(directives), _code(source.clean, directives), tuple(stray), bool(presence.branches))


def _code(text: str, directives: list[Directive]) -> str:
    pieces: list[str] = []
    at, dead = 0, False
    for directive in directives:
        pieces.append(blank(text[at : directive.start]) if dead else text[at : directive.start])
        pieces.append(" " * (directive.end - directive.start))
        at, dead = directive.end, directive.presence.value is False
    pieces.append(blank(text[at:]) if dead else text[at:])
    return "".join(pieces)


_GUARD = re.compile(r"[ \t]++(\w++)[ \t]*+1?+[ \t\r]*+")


def _guards(lines: Iterable[tuple[int, re.Match[str]]]) -> frozenset[str]:
    guards = (_GUARD.fullmatch(line[2]) for _, line in lines if line[1] == "define")
    return frozenset(guard[1] for guard in guards if guard)


@dataclass(slots=True)
class _HeaderEnvironment:
    """The environment within a header at its first inclusion: its own definitions so far, then `others`."""

    others: MacroEnvironment
    # Names that the header itself defines as empty: before that point a first reading has them undefined.
    guards: frozenset[str]
    # For each macro that surely is defined the text of its #define, the name included.
    certain: dict[str, str] = field(default_factory=dict)
    possible: set[str] = field(default_factory=set)

    def note(self, directive: Directive) -> None:
        """Apply a #define or #undef."""
        name = directive.name
        if directive.keyword == "define" and directive.presence.value:
            self.certain[name] = directive.rest
        else:
            self.certain.pop(name, None)
            self.possible.add(name)

    def defined(self, name: str) -> bool | None:
        if name in self.certain:
            return True
        if name in self.possible:
            return None
        return False if name in self.guards else self.others.defined(name)

    def value(self, name: str) -> int | None:
        # Follows `#define A B`; anything longer could grow without end, and no header compares such.
        for _ in range(16):
            if name not in self.certain:
                return None if name in self.possible else self.others.value(name)
            name = _NAME.sub("", self.certain[name], count=1).strip()
            if not name.isidentifier():
                return evaluate(name, FixedEnvironment({})) if _NUMBER.fullmatch(name) else None
        return None
