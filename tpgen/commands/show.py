"""`tpgen show`: arguments, record, a drawing of the bytes, what was checked."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from tpgen.commands import base
from tpgen.commands.base import Parser
from tpgen.diagnostics import printable_lines

if TYPE_CHECKING:
    from tpgen.kernel.events import EventKey, KernelEvents


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
        return _outcome(kernel, keys)
    base.report(kernel.notes)
    texts = (event_text(event, kernel.target, kernel.comparisons(key)) for key, event in zip(keys, events, strict=True))
    sys.stdout.write(printable_lines("\n".join(texts)))
    return _outcome(kernel, keys)


def _outcome(kernel: KernelEvents, keys: list[EventKey]) -> int:
    """Report the sources of these events that could not be read, and return the exit status."""
    unreadable = kernel.unreadable(keys)
    base.report(unreadable)
    return base.EXIT_CHECK_FAILED if unreadable else base.EXIT_DONE
