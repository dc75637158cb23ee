"""`tpgen doctor`: whether compiled programs work on kernels, and read there what their author meant."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from tpgen import opening
from tpgen.commands.common import base, parsing
from tpgen.commands.common.parsing import Parser
from tpgen.commands.deliver import write
from tpgen.diagnostics import fail, printable_lines, shortened
from tpgen.kernel.request import KernelRequest
from tpgen.sources.files import read_bytes

if TYPE_CHECKING:
    from tpgen.doctor.examine import KernelsOf
    from tpgen.doctor.reports.folding import Examined
    from tpgen.doctor.reports.source_paths import SourcePaths

_MOST_BASELINE_BYTES = 1 << 28
_WORDS = {"true": 1, "false": 0}
#: Verdicts by which a run may fail, the worst last.
_LEVELS = ("depends", "wrong", "refused-attach", "refused-load", "never")


def parser() -> Parser:
    description = "Check whether compiled programs work on other kernels, and read what their author meant there."
    made = parsing.parser("doctor", description, pick=False)
    made.add_argument("objects", nargs="+", metavar="OBJECT", help="a BPF object, or a file that contains some")
    made.add_argument(
        "--program",
        action="append",
        default=[],
        metavar="GLOB",
        help="only programs of this name or section; repeatable",
    )
    made.add_argument(
        "--set", action="append", default=[], metavar="VAR=VALUE",
        help="the value that a loader gives to a variable of .rodata; repeatable",
    )  # fmt: skip
    output = made.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print JSON: an array")
    about = "print annotations for a code review"
    output.add_argument("--annotate", "--format", choices=base.ANNOTATED, help=about)
    made.add_argument("--source-root", metavar="DIR", help="where the objects were compiled; paths are relative to it")
    made.add_argument("--baseline", metavar="FILE", help="earlier output of `--json`; only new findings count")
    made.add_argument(
        "--exit-code", choices=_LEVELS, default="wrong", metavar="LEVEL",
        help=f"exit with 1 for this verdict or a worse one: {', '.join(_LEVELS)}; the default is wrong",
    )  # fmt: skip
    return made


def run(options: argparse.Namespace) -> int:
    from tpgen.doctor.examine import Question, examine_files
    from tpgen.doctor.findings import Verdict
    from tpgen.doctor.reports.baseline import Baseline

    baseline = Baseline()
    if options.baseline is not None:
        baseline = Baseline.read(read_bytes(options.baseline, _MOST_BASELINE_BYTES), options.baseline)
    question = Question(options.program, _variables(options.set))
    examined = examine_files(dict.fromkeys(options.objects), _kernels(options), question, base.report_note)
    new = [each.beside(baseline) for each in examined]
    if options.json or options.annotate:
        write(_for_programs(examined if options.json else new, options))
    else:
        _print_text(new, options)
    worst = max((judgement.verdict.rank for each in new for judgement in each.judgements), default=0)
    failed = options.exit_code != "never" and worst >= Verdict(options.exit_code).rank
    return base.EXIT_CHECK_FAILED if failed else base.EXIT_DONE


# --- what is asked


def _variables(words: Iterable[str]) -> dict[str, int]:
    """The values of `--set`: numbers as C writes them, true or false. Raises `usage`."""
    found: dict[str, int] = {}
    for word in words:
        name, equals, text = word.partition("=")
        try:
            found[name] = _WORDS[text] if text in _WORDS else int(text, 0)
        except ValueError:
            message = f"--set {shortened(word)!r}: not a number" if equals and name else "--set without a value"
            raise fail("usage", message, hint="give VAR=VALUE, such as targ_ms=1") from None
    return found


def _kernels(options: argparse.Namespace) -> KernelsOf:
    """The kernels of the source options; without any, all stored ones and the running one."""
    from tpgen.doctor.examine import known_kernels, of_byte_order

    requests = base.kernel_requests(options)
    if requests != (KernelRequest(no_cache=options.no_cache, arch=options.arch),):
        return of_byte_order(known_kernels(requests, base.report_note))
    return cache(lambda big_endian: known_kernels(opening.on_hand({big_endian}, options.arch), base.report_note))


# --- what is answered


def _print_text(examined: Sequence[Examined], options: argparse.Namespace) -> None:
    from tpgen.commands.common.terminal import print_text, width_of
    from tpgen.doctor.reports.text import report

    print_text(printable_lines(report(examined, _paths(examined, options), width_of(sys.stdout))))


def _for_programs(examined: Sequence[Examined], options: argparse.Namespace) -> str:
    """The text for stdout."""
    if options.annotate:
        from tpgen.doctor.reports.annotations import annotations_of

        return base.annotated(options.annotate, "tpgen doctor", annotations_of(examined, _paths(examined, options)))
    from tpgen.doctor.reports.as_json import judgement_json

    return base.json_array(judgement_json(judgement) for each in examined for judgement in each.judgements)


def _paths(examined: Sequence[Examined], options: argparse.Namespace) -> SourcePaths:
    from tpgen.doctor.reports.source_paths import SourcePaths

    found = (finding for each in examined for judgement in each.judgements for finding in judgement.findings)
    return SourcePaths({finding.file for finding in found if finding.file}, options.source_root)
