"""The terminal, where there is one: how wide it is, text that fits in it, and whether it is to have colours.

What goes into a pipe or a file is as wide as it is, and plain.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Sequence

from tpgen.basics.columns import aligned
from tpgen.basics.patterns import pattern
from tpgen.basics.typing import TYPE_CHECKING
from tpgen.diagnostics import printable_lines

if TYPE_CHECKING:
    import argparse
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
    indent = " " * min(len(rest) - len(rest.lstrip()) + 2, width // 2)
    while len(rest) > width:
        at = rest.rfind(" ", len(indent) + 1, width + 1)
        cut = at if at > 0 else width
        parts.append(rest[:cut].rstrip())
        rest = indent + rest[cut:].lstrip()
    return "".join(f"{part}\n" for part in (*parts, rest))


def print_text(text: str) -> None:
    """Print text for people to stdout."""
    sys.stdout.write(folded(text, width_of(sys.stdout)))


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> None:
    """Print a table to stdout: at a terminal below its `head`, and as narrow as that is."""
    width = width_of(sys.stdout)
    lines = aligned(rows if width is None else [head, *rows], right, width)
    sys.stdout.write(printable_lines("".join(f"{line}\n" for line in lines)))


# --- colours


def add_color(parser: argparse.ArgumentParser) -> None:
    """Add the option that decides about colours."""
    parser.add_argument(
        "--color", choices=("auto", "always", "never"), default="auto", help="by default at a terminal alone"
    )


def colours(wish: str) -> bool:
    """Whether stdout is to have colours, by --color, else by NO_COLOR and CLICOLOR_FORCE (https://no-color.org)."""
    if wish != "auto":
        return wish == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("CLICOLOR_FORCE", "0") not in ("", "0"):
        return True
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
