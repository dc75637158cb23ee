"""C source text: comments blanked without moving anything, and groups of parentheses found.

All offsets count characters from the start of the file. The regular expressions here never backtrack (atomic and
possessive), so every function takes time linear in the text that it looks at.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import AnyStr, TypeAlias

from tpgen.diagnostics import Position

Span: TypeAlias = tuple[int, int]

_STRING = r'"(?:[^"\\\n]|\\.)*+"'
_CHARACTER = r"'(?:[^'\\\n]|\\.)*+'"
_LITERAL = rf"{_STRING}|{_CHARACTER}"
_SPLICE = re.compile(r"\\[ \t]*\r?\n")
# A word that goes on behind a splice, which happens in the middle of long macro bodies. (A pattern that begins with a
# plain character is searched for much faster than one that begins with an assertion.)
_SPLIT_WORD = re.compile(r"(\\(?<=\w\\)[ \t]*\r?\n(?:\\[ \t]*\r?\n)*+)(\w+)")
_COMMENT_START = re.compile(r"/[/*]")
_COMMENT_START_OR_LITERAL = re.compile(rf"/[/*]|{_LITERAL}")


@dataclass(frozen=True)
class Source:
    """The text of a header. `path` is the file that positions in it name."""

    path: str
    text: str

    @cached_property
    def clean(self) -> str:
        """The text with comments and line splices blanked: every character stays at its offset."""
        text = self._unspliced
        pieces: list[str] = []
        at = 0
        for start, end in self._comments:
            pieces += (text[at:start], " " * (end - start))
            at = end
        return "".join((*pieces, text[at:])) if pieces else text

    @cached_property
    def _unspliced(self) -> str:
        text = self.text
        if "\\\n" in text or ("\\" in text and _SPLICE.search(text)):
            # C splices lines first: a comment may end in a backslash, and a splice may cut a word in two.
            text = _SPLIT_WORD.sub(lambda match: match[2] + " " * len(match[1]), text)
            text = text.replace("\\\n", "  ")
            text = _SPLICE.sub(lambda match: " " * len(match[0]), text)
        return text

    @cached_property
    def _comments(self) -> list[Span]:
        return list(_comments(self._unspliced))

    def position(self, offset: int) -> Position:
        """Return line and column, in characters from 1, of the character at `offset`."""
        line = bisect_right(self._line_starts, offset)
        return Position(self.path, line, offset - self._line_starts[line - 1] + 1)

    def offset(self, position: Position) -> int:
        """Return the offset of a position; the end of the text for a position behind it or without a line."""
        if position.line is None or position.line > len(self._line_starts):
            return len(self.text)
        return self._line_starts[position.line - 1] + (position.column or 1) - 1

    @property
    def open_comment(self) -> int | None:
        """The offset of a comment that the text never closes, None when there is none."""
        if not self._comments:
            return None
        start, end = self._comments[-1]
        closed = self._unspliced.startswith("//", start) or self._unspliced.endswith("*/", start + 2, end)
        return None if closed else start

    @cached_property
    def _line_starts(self) -> array[int]:
        starts = array("L", [0])
        starts.extend(match.end() for match in re.finditer("\n", self.text))
        return starts


def _comments(text: str) -> Iterator[Span]:
    """Yield the spans of the comments of a text without line splices."""
    at = 0
    while match := _COMMENT_START.search(text, at):
        start = match.start()
        # No literal goes on in the next line, so what makes a comment none, a literal, must begin in its own line.
        line = max(text.rfind("\n", at, start) + 1, at)
        if text.find('"', line, start) >= 0 or text.find("'", line, start) >= 0:
            at = _line_end(text, start)
            found = _first_comment(text, line, at)
            if found is None:
                continue
            start = found
        at = _comment_end(text, start)
        yield start, at


def _first_comment(text: str, start: int, end: int) -> int | None:
    """Return the start of the first comment in a line that begins outside of all literals."""
    matches = _COMMENT_START_OR_LITERAL.finditer(text, start, end)
    return next((match.start() for match in matches if match[0].startswith("/")), None)


def _comment_end(text: str, start: int) -> int:
    if text.startswith("//", start):
        return _line_end(text, start)
    end = text.find("*/", start + 2)
    return len(text) if end < 0 else end + 2


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


# --- directives ----------------------------------------------------------------------------------------------------


def line_matches(pattern: re.Pattern[AnyStr], text: AnyStr) -> Iterator[tuple[int, re.Match[AnyStr]]]:
    """Yield the matches of `pattern` that only blanks precede in their lines, each with its line's start.

    `pattern` begins with the `#` of a directive: to search for that and then to look back is ten times as fast as to
    try a pattern at every start of a line.
    """
    newline, blanks = ("\n", " \t\r\f\v") if isinstance(text, str) else (b"\n", b" \t\r\f\v")
    line_end = 0
    for match in pattern.finditer(text):
        if match.start() < line_end:
            continue  # behind another match
        line_end = text.find(newline, match.end())
        line_end = len(text) if line_end < 0 else line_end
        start = text.rfind(newline, 0, match.start()) + 1
        if start == match.start() or not text[start : match.start()].strip(blanks):
            yield start, match


# --- along the parentheses -----------------------------------------------------------------------------------------


def _group(depth: int) -> str:
    """Return a pattern for one balanced group of parentheses that nest up to `depth`."""
    return rf"\((?:[^()\"']++|{_LITERAL}|{_group(depth - 1)}|[\"'])*+\)" if depth else r"\([^()\"']*+\)"


# Trace headers hardly ever nest deeper; what does takes the slow way.
_GROUP = re.compile(_group(7))
_FLAT = re.compile(rf"(?:[^(),\"']++|{_LITERAL}|[\"'])*+")
_PARENTHESIS = re.compile(rf"{_LITERAL}|[()]")


def group_end(text: str, start: int, end: int | None = None) -> int | None:
    """Return the offset behind the parenthesis that closes the one at `start`; None when none does before `end`."""
    limit = len(text) if end is None else end
    match = _GROUP.match(text, start, limit)
    return match.end() if match else _slow_group_end(text, start, limit)


def split_arguments(text: str, start: int, end: int | None = None) -> tuple[list[Span], int] | None:
    """Split the group that opens at `start` at its commas: the spans of the arguments, and the offset behind the group.

    An empty group has one empty argument, as in C. None when the group does not close before `end`.
    """
    limit = len(text) if end is None else end
    spans: list[Span] = []
    begin = at = start + 1
    while at < limit:
        match = _FLAT.match(text, at, limit)
        at = match.end() if match else at
        if at == limit:
            break
        if text[at] == "(":
            closed = group_end(text, at, limit)
            if closed is None:
                return None
            at = closed
            continue
        spans.append((begin, at))
        at = begin = at + 1
        if text[at - 1] == ")":
            return spans, at
    return None


def split_commas(text: str) -> list[str]:
    """Split `text` at its top-level commas, parts stripped; [] for a blank text."""
    if not text or text.isspace():
        return []
    if "(" not in text and '"' not in text and "'" not in text:
        return [part.strip() for part in text.split(",")]
    parts = split_arguments(f"({text})", 0)
    return [text[start - 1 : end - 1].strip() for start, end in parts[0]] if parts else [text.strip()]


def _slow_group_end(text: str, start: int, limit: int) -> int | None:
    depth = 0
    for match in _PARENTHESIS.finditer(text, start, limit):
        if match[0] == "(":
            depth += 1
        elif match[0] == ")":
            depth -= 1
            if not depth:
                return match.end()
    return None


def blank(text: str) -> str:
    """Return spaces in the length of `text`."""
    return " " * len(text)
