"""`tpgen explain`: what a code in brackets behind a message means, as docs/ has it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

from tpgen.commands.common import base
from tpgen.commands.common.parsing import Parser
from tpgen.commands.common.terminal import print_text
from tpgen.commands.deliver import write
from tpgen.diagnostics import TpgenError, fail, nearest

# The pages that have tables of codes.
_PAGES = ("diagnostics.md", "doctor.md")
_CELL = re.compile(r"(?<!\\)\|")


def parser() -> Parser:
    about = "Explain the code of a message. Without a code, list all codes."
    made = Parser("tpgen explain", description=about, allow_abbrev=False)
    made.add_argument("codes", nargs="*", default=[], metavar="CODE")
    return made


def run(options: argparse.Namespace) -> int:
    known = dict(explanations())
    for code in options.codes:
        if code.strip("[]") not in known:
            raise _unknown(code, list(known))
    if options.codes:
        print_text("\n".join(_text(code, known[code]) for code in (word.strip("[]") for word in options.codes)))
    else:
        write("".join(f"{code}\n" for code in sorted(known)))
    return base.EXIT_DONE


def _unknown(code: str, known: list[str]) -> TpgenError:
    return fail("usage", f"no code {code!r}", hint=nearest(code.lower(), known, "`tpgen explain` lists all codes"))


def explanations() -> Iterator[tuple[str, dict[str, str]]]:
    """Each code with its row: the cells by the headings of their columns, and `about`, the heading of the section."""
    from tpgen.paths import resource_dir

    for page in _PAGES:
        about = ""
        columns: list[str] = []
        for line in (resource_dir("docs") / page).read_text(encoding="utf-8").splitlines():
            cells = [cell.strip() for cell in _CELL.split(line)[1:-1]]
            if line.startswith("#"):
                about = line.lstrip("# ")
            elif not line.startswith("|"):
                columns = []
            elif not columns:
                columns = cells
            elif columns[0] == "code" and not cells[0].startswith("-"):
                yield cells[0].strip("`"), {"about": about, **dict(zip(columns[1:], cells[1:], strict=True))}


def _text(code: str, row: dict[str, str]) -> str:
    """The code with the cells of its row that are not empty, one below the other."""
    cells = [(name, value.replace("\\|", "|")) for name, value in row.items() if value]
    width = max(len(name) for name, _ in cells)
    return "".join((f"{code}\n", *(f"  {name:<{width}}  {value}\n" for name, value in cells)))
