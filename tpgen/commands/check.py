"""`tpgen check`: compare all sources."""

from __future__ import annotations

import argparse

from tpgen.commands import base
from tpgen.commands.base import Parser
from tpgen.commands.terminal import print_text
from tpgen.diagnostics import Severity, TpgenError, printable_lines
from tpgen.kernel.request import KernelRequest
from tpgen.opening import compare_sources, expanded


def parser() -> Parser:
    made = base.parser("check", "Compare what all sources say; exit 1 on a finding.")
    made.add_argument("events", nargs="*", default=[], metavar="PATTERN")
    made.add_argument("-v", "--verbose", action="store_true", help="list every comparison that could not be made")
    return made


def run(options: argparse.Namespace) -> int:
    requests = expanded(base.kernel_requests(options))
    if len(requests) == 1:
        return _check(requests[0], options)
    codes, unknown = [], []
    for request in requests:
        try:
            codes.append(_check(request, options))
        except TpgenError as error:
            if [diagnostic.code for diagnostic in error.diagnostics] != ["unknown-event"]:
                raise
            unknown.append(error)
    if not codes:
        raise unknown[-1]
    _report_joined(options)
    base.report([d._replace(severity=Severity.NOTE) for error in unknown for d in error.diagnostics])
    return max(codes)


def _report_joined(options: argparse.Namespace) -> None:
    """Print what a header for all of the kernels would offer, where there can be one."""
    kernels = base.open_kernels(options)
    targets = {(kernel.target.big_endian, kernel.target.pointer_size) for kernel in kernels.values()}
    if len(kernels) > 1 and len(targets) == 1:
        from tpgen.variants.report import joined_report

        print_text(printable_lines(joined_report(kernels, options.events or ["*"], options.module)))


def _check(request: KernelRequest, options: argparse.Namespace) -> int:
    """Compare the sources of one kernel; returns the exit status."""
    from tpgen.kernel.comparison import errors
    from tpgen.kernel.report import report

    compared = compare_sources(request, options.events or ["*"], options.module, base.report_note)
    kernel, keys, comparisons, skipped = compared
    print_text(printable_lines(report(kernel, keys, comparisons, options.verbose, skipped)))
    unread = any(diagnostic.severity == Severity.ERROR for diagnostic in skipped)
    return base.EXIT_CHECK_FAILED if unread or errors(comparisons) else base.EXIT_DONE
