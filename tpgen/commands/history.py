"""`tpgen history`: which kernels share an event's arguments and record, and what changed in between."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from tpgen import opening
from tpgen.commands.common import base
from tpgen.commands.common.options import FLEET_OPTIONS
from tpgen.commands.common.parsing import Parser, add
from tpgen.commands.common.terminal import colours, print_text
from tpgen.commands.deliver import write
from tpgen.diagnostics import printable_json, printable_lines

if TYPE_CHECKING:
    from tpgen.history.facts import History


def parser() -> Parser:
    made = Parser(
        "tpgen history",
        description="Show which kernels have the same event, and what changed between them.",
        allow_abbrev=False,
    )
    made.add_argument("events", nargs="+", metavar="EVENT", help="an event, or a pattern such as 'sched:*'")
    add(made, FLEET_OPTIONS)
    made.add_argument("--module", metavar="NAME", help="only events that belong to this module on at least one kernel")
    made.add_argument("--json", action="store_true", help="print JSON: an object")
    return made


def run(options: argparse.Namespace) -> int:
    from tpgen.history.compute import histories
    from tpgen.history.render import history_texts

    kernels = opening.open_fleet(options.kernel, options.arch, base.report_note)
    found = histories(kernels, options.events, options.module)
    base.report(dict.fromkeys((*(note for kernel in kernels.values() for note in kernel.notes), *found.notes)))
    if options.json:
        _print_json(found)
    else:
        coloured = colours(sys.stdout)
        for text in history_texts(found, coloured):
            print_text(text if coloured else printable_lines(text))
    return base.EXIT_DONE


def _print_json(found: History) -> None:
    """Print the object with its events one per line, each when it is made: all of them may take gigabytes."""
    import json

    from tpgen.history.render import history_json

    head, events = history_json(found)
    encode = json.JSONEncoder(ensure_ascii=False).encode
    start = printable_json(encode({"version": base.JSON_VERSION, **head}))[:-1]
    write(f'{start}, "events": [')
    separator = "\n"
    for event in events:
        write(f"{separator}{printable_json(encode(event))}")
        separator = ",\n"
    write("\n]}\n")
