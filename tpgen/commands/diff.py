"""`tpgen diff`: what changed for a BPF program between two kernels."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from tpgen.commands import base
from tpgen.commands.base import Parser
from tpgen.diagnostics import printable_json, printable_lines

if TYPE_CHECKING:
    from tpgen.diff.changes import KernelsDiff


def parser() -> Parser:
    made = Parser(
        "tpgen diff", description="Show what changed for a BPF program between two kernels.", allow_abbrev=False
    )
    made.add_argument("before", metavar="K1", help="live, a name or a file as for --kernel, or a file with BTF")
    made.add_argument("after", metavar="K2", help="the kernel to compare it with")
    made.add_argument("events", nargs="*", default=[], metavar="PATTERN")
    made.add_argument("--module", metavar="NAME", help="only events of this module")
    made.add_argument("--json", action="store_true", help="an object for programs")
    made.add_argument("--exit-code", action="store_true", help="exit with 1 if there is a difference")
    return made


def run(options: argparse.Namespace) -> int:
    from tpgen.diff.compare import diff
    from tpgen.diff.render import diff_text

    names = options.before, options.after
    before, after = map(base.kernel_named, names)
    found = diff(before, after, names, options.events, options.module)
    base.report([*before.notes, *after.notes, *found.notes])
    if options.json:
        _print_json(found)
    else:
        colours = _colours()
        text = diff_text(found, colours)
        sys.stdout.write(text if colours else printable_lines(text))
    return base.EXIT_CHECK_FAILED if options.exit_code and found.changed else base.EXIT_DONE


def _print_json(found: KernelsDiff) -> None:
    """Print the object with its events one per line, as `print_json` prints an array."""
    import json

    from tpgen.diff.render import diff_json

    head, events = diff_json(found)
    sys.stdout.write(f'{printable_json(json.dumps(head, ensure_ascii=False))[:-1]}, "events": ')
    base.print_json(events)
    sys.stdout.write("}\n")


def _colours() -> bool:
    """Whether stdout is to have colours: https://no-color.org."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
