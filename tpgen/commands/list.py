"""`tpgen list`: every tracepoint."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from tpgen.commands import base
from tpgen.commands.base import Parser
from tpgen.diagnostics import printable_lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tpgen.kernel.events import KernelEvents


def parser() -> Parser:
    made = base.parser("list", "List tracepoints with their argument count, class and module.")
    made.add_argument("events", nargs="*", default=[], metavar="PATTERN")
    made.add_argument("--json", action="store_true", help="an array for programs")
    return made


def run(options: argparse.Namespace) -> int:
    from tpgen.kernel.request import is_glob
    from tpgen.show import list_json, list_text

    kernels = base.open_kernels(options)
    if len(kernels) > 1:
        return _side_by_side(kernels, options)
    (kernel,) = kernels.values()
    keys = base.selected(kernel, options)
    events = kernel.events(keys, nullness=False)
    if options.json:
        base.print_json(list_json(events))
    else:
        base.report(kernel.notes)
        if any(map(is_glob, options.events or ["*"])):
            base.report(kernel.left_out())
        sys.stdout.write(printable_lines(list_text(events)))
    return base.outcome(kernel, keys, options)


def _side_by_side(kernels: Mapping[str, KernelEvents], options: argparse.Namespace) -> int:
    """List the events of several kernels; returns the exit status."""
    from tpgen.variants.select import select
    from tpgen.variants.side_by_side import list_json, list_text

    selected = select(kernels, options.events or ["*"], options.module, nullness=False)
    if options.json:
        base.print_json(list_json(selected, list(kernels)))
    else:
        base.report(list(dict.fromkeys(note for kernel in kernels.values() for note in kernel.notes)))
        sys.stdout.write(printable_lines(list_text(selected, list(kernels))))
    return base.outcomes(kernels, selected, options)
