"""`tpgen check`: compare all sources."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tpgen.commands import base
from tpgen.commands.base import Parser

if TYPE_CHECKING:
    from tpgen.diagnostics import Diagnostic
    from tpgen.kernel.comparison import Comparison
    from tpgen.kernel.events import EventKey, KernelEvents


def parser() -> Parser:
    made = base.parser("check", "Compare what all sources say; exit 1 on a finding.")
    made.add_argument("events", nargs="*", metavar="PATTERN")
    made.add_argument("-v", "--verbose", action="store_true", help="list every comparison that could not be made")
    return made


def run(options: argparse.Namespace) -> int:
    from tpgen.kernel.comparison import errors
    from tpgen.kernel.report import report

    kernel, keys, comparisons, skipped = _compared(options)
    sys.stdout.write(report(kernel, keys, comparisons, options.verbose, skipped))
    return base.EXIT_CHECK_FAILED if errors(comparisons) else base.EXIT_DONE


def _compared(
    options: argparse.Namespace,
) -> tuple[KernelEvents, list[EventKey], list[Comparison], Sequence[Diagnostic]]:
    """The kernel, the events, the comparisons, and the diagnostics of skipped headers.

    A catalog has stored all of them.
    """
    if (known := base.open_catalog(options)) is not None:
        keys = base.selected(known, options)
        return known, keys, known.all_comparisons(keys), ()
    from tpgen.kernel.check import check_kernel

    kernel = base.open_checked(options, join_live=True)
    headers, keys = kernel.sources.headers, base.selected(kernel, options)
    return kernel, keys, check_kernel(kernel, keys), headers.skipped if headers else ()
