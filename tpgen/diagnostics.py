"""Diagnostics: errors and notes about an input, with their place, and the one exception that carries them.

The input's fault is a `Diagnostic`; tpgen's own fault is an assert. A stage collects diagnostics and the next stage
does not run on broken input. Only `tpgen.cli` prints them.
"""

from __future__ import annotations

import os
from enum import StrEnum

from tpgen.basics.typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Severity(StrEnum):
    """The weight of a diagnostic: an `ERROR` ends in exit status 1 or 2, a `NOTE` is only reported."""

    ERROR = "error"
    NOTE = "note"


# Named tuples, not dataclasses: every run imports this module, and a run of `tpgen build` that has nothing to do needs
# nothing else that would need dataclasses, which take a quarter of its time.


class Position(NamedTuple):
    """A place in an input. `line` and `column` count from 1; both are None for binary or whole-file positions."""

    path: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.path or "''", self.line, self.column) if part is not None)


class Diagnostic(NamedTuple):
    """One finding: a stable `code` for programs, a `message` and a `hint` for people.

    `chain` are the steps that led to the place, innermost first, for example the macro expansions of a header.
    """

    code: str
    message: str
    position: Position | None = None
    hint: str | None = None
    severity: Severity = Severity.ERROR
    chain: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The text of an exception: `FILE:LINE:COL: message [code]; hint`."""
        return self._text(f"{self.position}: " if self.position else "")

    @property
    def line(self) -> str:
        """The one line a user reads, as compilers write it: `FILE:LINE:COL: error: message [code]; hint`."""
        return self._text(f"{self.position or 'tpgen'}: {self.severity}: ")

    def as_json(self) -> dict[str, object]:
        """The diagnostic for programs; what is not known of the place is None."""
        return {
            "code": self.code,
            "severity": self.severity.value,
            "message": "".join((self.message, *(f", {link}" for link in self.chain))),
            "hint": self.hint,
            "file": self.position.path if self.position else None,
            "line": self.position.line if self.position else None,
            "column": self.position.column if self.position else None,
        }

    def _text(self, head: str) -> str:
        """The message without its head. Text from an input is escaped if it cannot be printed."""
        chain = "".join(f", {link}" for link in self.chain)
        hint = f"; {self.hint}" if self.hint else ""
        return printable(f"{head}{self.message}{chain} [{self.code}]{hint}")


class TpgenError(Exception):
    """Raised if a stage cannot continue; it has the diagnostics with the reasons."""

    def __init__(self, *diagnostics: Diagnostic) -> None:
        assert diagnostics, "an error without a diagnostic explains nothing"
        super().__init__("\n".join(map(str, diagnostics)))
        self.diagnostics = diagnostics


def fail(code: str, message: str, position: Position | str | None = None, hint: str | None = None) -> TpgenError:
    """The `TpgenError` of a single diagnostic, to be raised by the caller. A `str` position is a whole file."""
    where = Position(position) if isinstance(position, str) else position
    return TpgenError(Diagnostic(code, message, where, hint))


def nearest(word: str, known: Iterable[str], otherwise: str | None = None, cutoff: float = 0.6) -> str:
    """The hint about a `word` that is none of `known`: the one that was probably meant, or `otherwise`, or all."""
    import difflib

    known = list(known)
    if near := difflib.get_close_matches(word, known, n=1, cutoff=cutoff):
        return f"did you mean {near[0]}?"
    return f"there is {', '.join(known) or 'none'}" if otherwise is None else otherwise


def unreadable(path: str, error: OSError, hint: str | None = None) -> TpgenError:
    """The `TpgenError` for a file that the operating system refuses to read."""
    return fail("unreadable", f"cannot read: {error.strerror or error}", path, hint)


def unforeseen(error: Exception) -> TpgenError:
    """The `TpgenError` for an exception that nobody expected: want of memory, or a fault of tpgen itself."""
    if isinstance(error, MemoryError):
        return fail("memory", "not enough memory", hint="give fewer events or files at once")
    where = _where_to_report()
    hint = f"a fault of tpgen: please report it {where}, with the command, its input, and what TPGEN_DEBUG=1 adds"
    return fail("internal", described(error), hint=hint)


def _where_to_report() -> str:
    """The address for reports that the installed package names, or where it is written what to do."""
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        urls = dict(url.split(", ", 1) for url in metadata("tpgen").get_all("Project-URL") or [])
    except (PackageNotFoundError, ValueError):
        urls = {}
    return f"at {urls['Issues']}" if "Issues" in urls else "as SECURITY.md of its sources says"


def described(error: BaseException) -> str:
    """An exception in one line, with the place that raised it."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    try:
        text = str(error)
    except Exception:  # an exception of somebody else can fail at anything
        text = "?"
    return f"{type(error).__name__}: {shortened(text)}{where}"


def excerpt(text: str, position: Position, width: int | None = None) -> str:
    """The line of `text` that `position` is in and a caret under its column; "" where it is in none.

    If the line is longer than `width`, it is the part around the column.
    """
    lines = text.split("\n")
    if position.line is None or not 0 < position.line <= len(lines):
        return ""
    line = printable(lines[position.line - 1].expandtabs(1))
    column = (position.column or 1) - 1
    if width is not None and len(line) > (room := width - 2):
        start = max(0, min(column - room // 2, len(line) - room))
        line, column = line[start : start + room], column - start
    caret = "" if position.column is None else f"  {' ' * column}^\n"
    return f"  {line}\n{caret}"


def shortened(text: str) -> str:
    """`text`, or its beginning if it is too long for a message."""
    return text if len(text) <= 80 else f"{text[:77]}..."


def printable(text: str) -> str:
    """`text` with what cannot be printed escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def printable_lines(text: str) -> str:
    """`text` with what cannot be printed escaped, but for tabs and the ends of lines."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c if c in "\n\t" else printable(c) for c in text)


def printable_json(text: str) -> str:
    """JSON in which characters that cannot be printed are escaped; they are only in its strings."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c if c == "\n" or c.isprintable() else _json_escape(c) for c in text)


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
