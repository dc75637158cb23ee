"""`tpgen check`: compare all sources."""

from __future__ import annotations

import argparse
import sys

from tpgen.commands import base
from tpgen.commands.base import Parser


def parser() -> Parser:
    made = base.parser("check", "Compare what all sources say; exit 1 on a finding.")
    made.add_argument("events", nargs="*", metavar="PATTERN")
    made.add_argument("-v", "--verbose", action="store_true", help="list every comparison that could not be made")
    return made


def run(options: argparse.Namespace) -> int:
    from tpgen.check import check_kernel, errors
    from tpgen.report import report

    kernel = base.open_checked(options, join_live=True)
    keys = base.selected(kernel, options)
    comparisons = check_kernel(kernel, keys)
    sys.stdout.write(report(kernel.sources, comparisons, options.verbose))
    return base.EXIT_CHECK_FAILED if errors(comparisons) else base.EXIT_DONE
