"""The directives of a header, each with the place that it leads to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tpgen.sources.headers.preprocessor.conditions import MULTI_READ, ClosedWorld, Conditionals, Names, Place, evaluate
from tpgen.sources.headers.preprocessor.source import Source, blank, line_matches

# The rest of a line from its first `#` on, which is a directive where only blanks stand before it.
_HASH = re.compile(r"#[ \t]*(\w*)([^\n]*)")
_NAME = re.compile(r"\s*(\w+)")
_NUMBER = re.compile(r"[0-9]\w*")
_CONDITIONAL = frozenset(("if", "ifdef", "ifndef", "elif", "elifdef", "elifndef", "else", "endif"))


@dataclass(frozen=True, slots=True)
class Directive:
    """`#keyword rest`, from its line's start to its line's end (splices taken out), and the place behind it."""

    start: int
    end: int
    keyword: str
    rest: str
    place: Place

    @property
    def name(self) -> str:
        """What a #define or #undef is about."""
        match = _NAME.match(self.rest)
        return match[1] if match else ""


@dataclass(frozen=True, slots=True)
class Structure:
    """A header's directives in order, and its code: the clean text with the directives and the dead branches blank.

    `stray` are the offsets of directives that belong to no #if, `open` is True when some #if never ends.
    """

    directives: tuple[Directive, ...]
    code: str
    stray: tuple[int, ...]
    open: bool


def structure(source: Source, names: Names) -> Structure:
    """The structure of `source`, its conditions decided as far as `names` and its own definitions tell."""
    lines = list(line_matches(_HASH, source.clean))
    own = _OwnNames(names, _guards(lines))
    conditionals = Conditionals(own)
    directives: list[Directive] = []
    stray: list[int] = []
    place = conditionals.place
    for start, match in lines:
        keyword, rest = match.groups()
        if keyword in _CONDITIONAL:
            if not conditionals.follow(keyword, rest, start):
                stray.append(start)
            place = conditionals.place
        directive = Directive(start, match.end(), keyword, rest, place)
        if keyword in ("define", "undef") and place.truth is not False:
            own.note(directive)
        directives.append(directive)
    return Structure(tuple(directives), _code(source.clean, directives), tuple(stray), bool(place.branches))


def _code(text: str, directives: list[Directive]) -> str:
    pieces: list[str] = []
    at, dead = 0, False
    for directive in directives:
        pieces.append(blank(text[at : directive.start]) if dead else text[at : directive.start])
        pieces.append(" " * (directive.end - directive.start))
        at, dead = directive.end, directive.place.truth is False
    pieces.append(blank(text[at:]) if dead else text[at:])
    return "".join(pieces)


_GUARD = re.compile(r"[ \t]+(\w+)[ \t]*1?[ \t\r]*")


def _guards(lines: Iterable[tuple[int, re.Match[str]]]) -> frozenset[str]:
    guards = (_GUARD.fullmatch(line[2]) for _, line in lines if line[1] == "define")
    return frozenset(guard[1] for guard in guards if guard)


@dataclass(slots=True)
class _OwnNames:
    """The names of a header as it is read for the first time: its own definitions so far, then what others know."""

    others: Names
    # Names that the header itself defines as empty: before that point a first reading has them undefined.
    guards: frozenset[str]
    # By the name of each macro that surely is defined: what its #define says, the name included.
    certain: dict[str, str] = field(default_factory=dict)
    possible: set[str] = field(default_factory=set)

    def note(self, directive: Directive) -> None:
        name = directive.name
        if directive.keyword == "define" and directive.place.truth:
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
                return evaluate(name, ClosedWorld({})) if _NUMBER.fullmatch(name) else None
        return None


@dataclass(frozen=True, slots=True)
class OpenWorld:
    """What a kernel's configuration tells of names: all about CONFIG_ options, nothing about others.

    `config` is None when the configuration is not known; else it maps `CONFIG_FOO` to `y`, `m` or a value. An option
    that is `m` is the macro `CONFIG_FOO_MODULE`, as in autoconf.h.
    """

    config: Mapping[str, str] | None

    def defined(self, name: str) -> bool | None:
        if name == MULTI_READ:
            return True
        if self.config is None or not name.startswith("CONFIG_"):
            return None
        value = self.config.get(name, "n")
        if value == "m":
            return False
        return value != "n" or (self.config.get(name.removesuffix("_MODULE")) == "m" and name.endswith("_MODULE"))

    def value(self, name: str) -> int | None:
        defined = self.defined(name)
        if not defined:
            return None if defined is None else 0
        if self.config is None or not name.startswith("CONFIG_"):
            return None  # MULTI_READ: it is defined, as nothing that could be compared
        text = self.config.get(name, "y")
        return 1 if text == "y" else evaluate(text, ClosedWorld({}))
