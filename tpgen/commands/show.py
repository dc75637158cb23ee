"""`tpgen show`: arguments, record, a drawing of the bytes, what was checked."""

from __future__ import annotations

import argparse
import sys

from tpgen.commands import base
from tpgen.commands.base import Parser
from tpgen.diagnostics import printable_lines


def parser() -> Parser:
    made = base.parser("show", "Show arguments, record, a drawing of the bytes, and where each fact is from.")
    made.add_argument("events", nargs="+", metavar="EVENT")
    made.add_argument("--json", action="store_true", help="an array for programs")
    return made


def run(options: argparse.Namespace) -> int:
    from tpgen.show import event_json, event_text

    kernel = base.open_kernel(options)
    keys = base.selected(kernel, options)
    events = kernel.events(keys)
    if options.json:
        base.print_json([event_json(event, kernel.target) for event in events])
        return base.outcome(kernel, keys, options)
    base.report(kernel.notes)
    texts = (event_text(event, kernel.target, kernel.comparisons(key)) for key, event in zip(keys, events, strict=True))
    sys.stdout.write(printable_lines("\n".join(texts)))
    return base.outcome(kernel, keys, options)
