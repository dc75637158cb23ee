"""`tpgen check`: compare all sources."""

from __future__ import annotations

import argparse
import sys

from tpgen.commands import base
from tpgen.commands.base import Parser
from tpgen.diagnostics import printable_lines


def parser() -> Parser:
    made = base.parser("check", "Compare what all sources say; exit 1 on a finding.")
    made.add_argument("events", nargs="*", metavar="PATTERN")
    made.add_argument("-v", "--verbose", action="store_true", help="list every comparison that could not be made")
    return made


def run(options: argparse.Namespace) -> int:
    from tpgen.diagnostics import Severity
    from tpgen.kernel.comparison import errors
    from tpgen.kernel.report import report
    from tpgen.opening import compare_sources

    patterns = options.events or ["*"]
    compared = compare_sources(base.kernel_request(options), patterns, options.module, base.report_note)
    kernel, keys, comparisons, skipped = compared
    sys.stdout.write(printable_lines(report(kernel, keys, comparisons, options.verbose, skipped)))
    unread = any(diagnostic.severity == Severity.ERROR for diagnostic in skipped)
    return base.EXIT_CHECK_FAILED if unread or errors(comparisons) else base.EXIT_DONE
