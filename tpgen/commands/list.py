"""`tpgen list`: every tracepoint."""

from __future__ import annotations

import argparse
import sys

from tpgen.commands import base
from tpgen.commands.base import Parser
from tpgen.diagnostics import printable_lines


def parser() -> Parser:
    made = base.parser("list", "List tracepoints with their argument count, class and module.")
    made.add_argument("events", nargs="*", metavar="PATTERN")
    made.add_argument("--json", action="store_true", help="an array for programs")
    return made


def run(options: argparse.Namespace) -> int:
    from tpgen.show import list_json, list_text

    kernel = base.open_kernel(options)
    keys = base.selected(kernel, options)
    events = kernel.events(keys, nullness=False)
    if options.json:
        base.print_json(list_json(events))
    else:
        base.report(kernel.notes)
        sys.stdout.write(printable_lines(list_text(events)))
    return base.outcome(kernel, keys, options)
