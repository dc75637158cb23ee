"""`tpgen check`: compare all sources."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tpgen.commands.common import base, parsing
from tpgen.commands.common.options import EVENTS_HELP
from tpgen.commands.common.parsing import Parser
from tpgen.commands.common.terminal import print_text, width_of
from tpgen.commands.deliver import write
from tpgen.diagnostics import Severity, TpgenError, printable_lines
from tpgen.opening import Compared, compare_sources, expanded


def parser() -> Parser:
    made = parsing.parser("check", "Compare what all sources say; exit 1 on a finding.")
    made.add_argument("events", nargs="*", default=[], metavar="PATTERN", help=EVENTS_HELP)
    output = made.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print JSON: an array with an object for each kernel")
    output.add_argument("--format", choices=base.ANNOTATED, help="print annotations for a code review")
    made.add_argument("-v", "--verbose", action="store_true", help="list every comparison that could not be made")
    return made


def run(options: argparse.Namespace) -> int:
    requests = expanded(base.kernel_requests(options))
    checked, unknown = [], []
    for request in requests:
        try:
            compared = compare_sources(request, options.events or ["*"], options.module, base.report_note)
        except TpgenError as error:
            if len(requests) == 1 or [diagnostic.code for diagnostic in error.diagnostics] != ["unknown-event"]:
                raise
            unknown.append(error)
        else:
            checked.append(compared)
            if not _for_programs(options):
                if len(checked) > 1:
                    print_text("\n")
                _print_text(compared, options)
    if not checked:
        raise unknown[-1]
    if _for_programs(options):
        write(_output(checked, options))
    elif len(requests) > 1:
        _report_joined(options)
    base.report([d._replace(severity=Severity.NOTE) for error in unknown for d in error.diagnostics])
    return base.EXIT_CHECK_FAILED if any(map(_fails, checked)) else base.EXIT_DONE


def _for_programs(options: argparse.Namespace) -> bool:
    return options.json or options.format is not None


def _output(checked: Sequence[Compared], options: argparse.Namespace) -> str:
    """The text for stdout."""
    if options.json:
        from tpgen.kernel.report import report_json

        return base.json_array(report_json(each.kernel, each.comparisons, each.skipped) for each in checked)
    from tpgen.annotations.annotation import of_diagnostic
    from tpgen.kernel.report import findings

    found = (finding for each in checked for finding in findings(each.kernel, each.comparisons, each.skipped))
    return base.annotated(options.format, "tpgen check", map(of_diagnostic, dict.fromkeys(found)))


def _report_joined(options: argparse.Namespace) -> None:
    """Print what a header for all of the kernels would offer, where there can be one."""
    kernels = base.open_kernels(options)
    targets = {(kernel.target.big_endian, kernel.target.pointer_size) for kernel in kernels.values()}
    if len(kernels) > 1 and len(targets) == 1:
        from tpgen.variants.report import joined_report

        print_text("\n" + printable_lines(joined_report(kernels, options.events or ["*"], options.module)))


def _print_text(compared: Compared, options: argparse.Namespace) -> None:
    from tpgen.kernel.report import report

    kernel, keys, comparisons, skipped = compared
    print_text(printable_lines(report(kernel, keys, comparisons, options.verbose, skipped, width_of(sys.stdout))))


def _fails(compared: Compared) -> bool:
    """Whether there is a finding, or a source that could not be read."""
    from tpgen.kernel.comparison import errors

    unread = any(diagnostic.severity == Severity.ERROR for diagnostic in compared.skipped)
    return unread or bool(errors(compared.comparisons))
