"""The definitions of one header: macros, enumerators, the bodies of structs, unions and enums, and typedefs."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import TypeVar

from tpgen.basics.frozen import frozen, replace
from tpgen.sources.headers.preprocessor.directives import Directive, Structure, structure
from tpgen.sources.headers.preprocessor.expressions import MacroEnvironment
from tpgen.sources.headers.preprocessor.hoisting import inner_directives
from tpgen.sources.headers.preprocessor.macros import Macro, parse_define
from tpgen.sources.headers.preprocessor.source import Source


@frozen
class Body:
    """`keyword name { text }`: a struct, union or enum. `before` and `behind` are the text around the braces.

    `uncertain` is True when directives inside may exclude a part of it. Parts that surely are not compiled are blank.
    """

    keyword: str
    name: str | None
    text: str
    before: str = ""
    behind: str = ""
    uncertain: bool = False


@frozen
class Alias:
    """A typedef of `name`: `text` declares it like a variable, or stands behind the `body` of its type."""

    name: str
    text: str
    body: Body | None = None


# No more than a tag and some attributes stand before a body.
_TO_BODY = r"\b((?:\s++|\w++|\(\([^()]*+(?:\([^()]*+\))?[^()]*+\)\)){0,12}+)\{"
TAGGED = re.compile(rf"\b(struct|union|enum){_TO_BODY}")
# The same for one keyword each: a pattern that begins with a plain word is searched for several times as fast.
_TAGGED = tuple(re.compile(rf"({word})(?<!\w{word}){_TO_BODY}") for word in ("struct", "union", "enum"))
_TYPEDEF = re.compile(r"typedef(?<!\wtypedef)\b")
_ALIAS_NAME = re.compile(r"\(\s*+\*\s*+(\w++)\s*+\)\s*+\(|(\w++)\s*+(?:\[[^\]]*+\]\s*+)*+\Z")
_PACK = re.compile(r"\s*+pack\s*+\((?:\s*+push\s*+,)?+(?:\s*+pop)?+([^)]*+)\)")
_BRACE = re.compile(r"[{}]")
_ATTRIBUTE_WORD = re.compile(r"__packed|__randomize_layout|__designated_init|_*cacheline_aligned\w*")
_LAST_WORD = re.compile(r"(\w+)\s*\Z")
# The text between a body or the word typedef and the next semicolon is shorter, in characters.
_FAR = 1 << 10

_Item = TypeVar("_Item")
_Key = TypeVar("_Key")


class Definitions:
    """The definitions of a header, found lazily. `environment` decides its conditions."""

    def __init__(self, source: Source, environment: MacroEnvironment) -> None:
        self.source = source
        self._environment = environment

    @cached_property
    def _shape(self) -> Structure:
        return structure(self.source, self._environment)

    @cached_property
    def _macros(self) -> dict[str, list[Macro]]:
        found: dict[str, list[Macro]] = {}
        for directive in self._shape.directives:
            if directive.keyword == "define" and directive.presence.value is not False:
                found.setdefault(directive.name, []).append(self._macro(directive))
        return found

    def _macro(self, directive: Directive) -> Macro:
        macro = parse_define(directive.rest, self.source, (directive.start, directive.end), directive.presence)
        return macro or Macro(directive.name, (), None, "", self.source, (directive.start, directive.end))

    def macros(self, name: str) -> list[Macro]:
        """Return the definitions of a macro, without those of branches that surely are not compiled."""
        return self._macros.get(name, [])

    def bodies(self, keyword: str, name: str) -> list[Body]:
        """Return the bodies of `keyword name`."""
        return self._bodies(self._tagged.get((keyword, name), []))

    def enums(self, name: str) -> list[Body]:
        """Return the bodies of the enums, with and without a tag, that have the enumerator `name`."""
        enumerator = re.compile(rf"(?:\A|,)\s*{name}\s*(?:[=,]|\Z)")
        matches = [match for (keyword, _), found in self._tagged.items() if keyword == "enum" for match in found]
        return [body for body in self._bodies(matches) if name in body.text and enumerator.search(body.text)]

    @cached_property
    def _tagged(self) -> dict[tuple[str, str | None], list[re.Match[str]]]:
        """The matches of `TAGGED`, by keyword and tag."""
        return grouped(_tagged(self._shape.code), key=lambda match: (match[1], _tag(match)[0]))

    def _bodies(self, matches: Iterable[re.Match[str]]) -> list[Body]:
        return [body for match in matches if (body := self._body(match))]

    @cached_property
    def _closings(self) -> dict[int, int]:
        return closing_braces(self._shape.code)

    def _body(self, match: re.Match[str]) -> Body | None:
        end = self._closings.get(match.end() - 1)
        if end is None:
            return None
        body = body_at(self._shape.code, match, end)
        pragma = self._pragma_before(match.start())
        before = f"{body.before} __packed" if pragma == "1" else body.before
        uncertain = pragma not in ("", "1") or self._is_uncertain(match.end(), end)
        return replace(body, before=before.strip(), uncertain=uncertain)

    def _is_uncertain(self, start: int, end: int) -> bool:
        inside = inner_directives(self._shape.directives, (start, end))
        return any(d.keyword in ("include", "pragma") or d.presence.value is None for d in inside)

    def _pragma_before(self, offset: int) -> str:
        """Return the alignment that `#pragma pack` sets at `offset`; empty where there is none, or it is undone."""
        index = bisect_right(self._pragmas, offset, key=lambda pragma: pragma[0])
        return self._pragmas[index - 1][1] if index else ""

    @cached_property
    def _pragmas(self) -> list[tuple[int, str]]:
        """The offset of each `#pragma pack` and its alignment, which is empty for `pack()` and `pack(pop)`."""
        found = [(d.start, _PACK.match(d.rest)) for d in self._shape.directives if d.keyword == "pragma"]
        return [(start, match[1].strip()) for start, match in found if match]

    def aliases(self, name: str) -> list[Alias]:
        """Return the typedefs of `name`."""
        return self._aliases.get(name, [])

    @cached_property
    def _aliases(self) -> dict[str, list[Alias]]:
        matches = _TYPEDEF.finditer(self._shape.code)
        return grouped(
            [alias for match in matches if (alias := self._alias(match.end()))], key=lambda alias: alias.name
        )

    def _alias(self, start: int) -> Alias | None:
        code, far = self._shape.code, start + _FAR
        stop = code.find(";", start, far)
        tagged = TAGGED.search(code, start, stop if stop >= 0 else far)
        body = self._body(tagged) if tagged else None
        text = body.behind if body else code[start : max(stop, start)]
        name = _ALIAS_NAME.search(text)
        return Alias(name[1] or name[2], " ".join(text.split()), body) if name else None


def body_at(code: str, match: re.Match[str], end: int) -> Body:
    """Return the body that begins at `match`, of `TAGGED`, and ends at `end` of `code`."""
    tag, before = _tag(match)
    stop = code.find(";", end, end + _FAR)
    behind = code[end : stop if stop >= 0 else end + _FAR]
    return Body(match[1], tag, code[match.end() : end - 1], before.strip(), behind.strip())


def _tag(match: re.Match[str]) -> tuple[str | None, str]:
    """Split a match of `TAGGED` into the tag and the text before it."""
    name = _LAST_WORD.search(match[2])
    if name is None or _ATTRIBUTE_WORD.fullmatch(name[1]):
        return None, match[2]
    return name[1], match[2][: name.start()]


def _tagged(code: str) -> Iterator[re.Match[str]]:
    """Yield the matches of `TAGGED` in `code`, in order and without overlap."""
    matches = [match for pattern in _TAGGED for match in pattern.finditer(code)]
    end = 0
    for match in sorted(matches, key=re.Match.start):
        if match.start() >= end:
            end = match.end()
            yield match


def closing_braces(code: str) -> dict[int, int]:
    """Map the offset of each opening brace to the offset behind the one that closes it."""
    closings: dict[int, int] = {}
    pending: list[int] = []
    for match in _BRACE.finditer(code):
        if match[0] == "{":
            pending.append(match.start())
        elif pending:
            closings[pending.pop()] = match.end()
    return closings


def grouped(items: Iterable[_Item], key: Callable[[_Item], _Key]) -> dict[_Key, list[_Item]]:
    """Group items by key, in order."""
    groups: dict[_Key, list[_Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups
