"""The terminal, where there is one: how wide it is, text that fits in it, and whether it is to have colours.

What goes into a pipe or a file is as wide as it is, and plain.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Sequence

from tpgen.basics.columns import CUT, aligned
from tpgen.basics.patterns import pattern
from tpgen.basics.typing import TYPE_CHECKING
from tpgen.commands.deliver import Screen, write, write_to_stderr
from tpgen.diagnostics import printable_lines

if TYPE_CHECKING:
    from typing import TextIO

#: The width of what is not asked, or does not answer.
USUAL_WIDTH = 80
_LEAST = 20
# A line in one colour: what is before it, the colour, the text and the end of the colour.
_COLOURED = pattern(r"( *)(\x1b\[[0-9;]+m)(.*)(\x1b\[m)")


def width_of(stream: TextIO | None) -> int | None:
    """The columns of the terminal that a stream goes to; None where it goes elsewhere."""
    if stream is None or not stream.isatty():
        return None
    columns = os.environ.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and int(columns):
        return max(int(columns), _LEAST)
    try:
        asked = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        asked = 0
    return max(asked or USUAL_WIDTH, _LEAST)


def folded(text: str, width: int | None) -> str:
    """The text with lines of at most `width`: what is longer goes on in the next one, further to the right."""
    if width is None:
        return text
    return "".join(_folded(line, width) for line in text.splitlines(keepends=True))


def _folded(line: str, width: int) -> str:
    rest = line.rstrip("\n")
    if coloured := _COLOURED.fullmatch(rest):
        indent, colour, text, end = coloured.groups()
        parts = _folded(f"{indent}{text}\n", width).splitlines()
        return "".join(f"{part[: -len(bare)]}{colour}{bare}{end}\n" for part in parts if (bare := part.lstrip()))
    parts = []
    indent = " " * _indent_of(rest, width)
    while len(rest) > width:
        cut = _end_of(rest, len(indent) + 1, width)
        parts.append(rest[:cut].rstrip())
        rest = indent + rest[cut:].lstrip()
    return "".join(f"{part}\n" for part in (*parts, rest))


def _indent_of(line: str, width: int) -> int:
    """Where the next line begins: below the last of columns that a wide gap tells, else two further to the right."""
    leading = len(line) - len(line.lstrip())
    gap = line.rfind("  ", leading, width // 2)
    below = len(line) - len(line[gap:].lstrip())
    return below if gap > 0 and below <= width * 2 // 3 else min(leading + 2, width // 2)


def _end_of(line: str, least: int, width: int) -> int:
    """Where a line ends that is too long: behind a comma that is far enough in it, else at a blank or behind a `(`."""
    comma = max(line.rfind(", ", least, width + 1), line.rfind("; ", least, width + 1))
    if comma >= width * 2 // 3:
        return comma + 1
    blank = line.rfind(" ", least, width + 1)
    return blank if blank > 0 else line.rfind("(", least, width) + 1 or width


# --- text for people


def say(text: str) -> None:
    """Write text for people to stderr."""
    Screen.make_room()
    write_to_stderr(shown(text, sys.stderr))


def print_text(text: str) -> None:
    """Print text for people to stdout."""
    write(shown(text, sys.stdout))


def print_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int] = (), always: bool = False
) -> None:
    """Print a table to stdout: as narrow as the terminal, below its `head` at one, and in a pipe where that is `always`
    to be there."""
    width = width_of(sys.stdout)
    has_head = always or width is not None
    cut = CUT if width is None else _sayable(CUT)
    lines = aligned([head, *rows] if has_head else rows, right, width, cut)
    write(printable_lines("".join(f"{line}\n" for line in lines)))


# --- what the terminal can say


def shown(text: str, stream: TextIO) -> str:
    """The text as the terminal of a stream shows it, in its width and its characters; as it is for a pipe or a file."""
    width = width_of(stream)
    return text if width is None else folded(_sayable(text), width)


# How the characters that are not ASCII are written where the locale has no others.
_IN_ASCII = str.maketrans({"…": "...", "→": "->", "×": "x", "§": "section "})


def _sayable(text: str) -> str:
    return text if text.isascii() or _is_utf8() else text.translate(_IN_ASCII)


def _is_utf8() -> bool:
    """Whether the user's locale is one of UTF-8.

    Python sets LC_CTYPE to C.UTF-8 where the locale is C (PEP 538): of that value nobody knows who wrote it.
    """
    of_characters = os.environ.get("LC_CTYPE", "")
    named = os.environ.get("LC_ALL") or (of_characters != "C.UTF-8" and of_characters) or os.environ.get("LANG", "")
    return named.upper().replace("-", "").endswith("UTF8")


# --- colours


def colours(stream: TextIO) -> bool:
    """Whether a stream is to have colours, by --color, else by NO_COLOR and CLICOLOR_FORCE (https://no-color.org)."""
    if Screen.color != "auto":
        return Screen.color == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("CLICOLOR_FORCE", "0") not in ("", "0"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


# The colours of gcc.
_SEVERITIES = {"error": "\x1b[1;31m", "note": "\x1b[1;36m"}


def say_diagnostic(line: str) -> None:
    """Write the line of a diagnostic to stderr; the word for its severity in colour, as compilers have it."""
    text = shown(f"{line}\n", sys.stderr)
    if colours(sys.stderr):
        places = {text.find(f"{word}:"): word for word in _SEVERITIES}
        at = min((place for place in places if place >= 0), default=-1)
        if at >= 0:
            word = places[at]
            text = f"{text[:at]}{_SEVERITIES[word]}{word}:\x1b[m{text[at + len(word) + 1 :]}"
    Screen.make_room()
    write_to_stderr(text)
