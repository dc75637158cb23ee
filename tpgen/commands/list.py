"""`tpgen list`: every tracepoint."""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING

from tpgen.commands.common import base
from tpgen.commands.common.options import EVENTS_HELP, Declared, read, with_kernel_options
from tpgen.commands.common.terminal import print_table, print_text
from tpgen.diagnostics import Diagnostic, Severity, fail, printable_lines

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from tpgen.commands.common.parsing import Parser
    from tpgen.kernel.events import KernelEvents
    from tpgen.model import Event


OPTIONS = (
    Declared("events", nargs="*", default=[], metavar="PATTERN", help=EVENTS_HELP),
    Declared("--args", action="store_true", help="print the raw arguments of each event as a C prototype"),
    Declared("--type", metavar="TYPE", help="only events with this type, such as 'struct sock *'"),
    Declared("--json", action="store_true", help="print JSON: an array"),
)


def parser() -> Parser:
    from tpgen.commands.common import parsing

    return parsing.parser("list", "List tracepoints with their argument count, class and module.", OPTIONS)


def plain(words: Sequence[str]) -> argparse.Namespace | None:
    """The options as the parser has them, where all are plain."""
    return read(words, with_kernel_options(OPTIONS))


def run(options: argparse.Namespace) -> int:
    from tpgen.kernel.request import is_glob
    from tpgen.show import LIST_HEAD, list_json, list_rows, prototypes_text

    kernels = base.open_kernels(options)
    if len(kernels) > 1:
        return _side_by_side(kernels, options)
    (kernel,) = kernels.values()
    keys = base.selected(kernel, options)
    if options.type is None:
        events = kernel.listed(keys)
    else:
        every = kernel.events(keys, nullness=False)
        events = list(compress(every, _handing_out(every, options.type)))
    if options.json:
        base.print_json(list_json(events, options.args))
    else:
        base.report(kernel.notes)
        if any(map(is_glob, options.events or ["*"])):
            base.report(kernel.left_out())
        if options.args:
            print_text(printable_lines(prototypes_text(events)))
        else:
            print_table(LIST_HEAD, list_rows(events), right=(1,))
    return base.outcome(kernel, keys, options)


def _handing_out(events: Sequence[Event], spelled: str) -> list[bool]:
    """The events that have the type of that spelling; if none has, a note suggests another one."""
    from tpgen.show import handed_out, plain_type

    wanted = plain_type(spelled)
    types = [handed_out(event) for event in events]
    found = [wanted in each for each in types]
    if not any(found):
        base.report([_unknown_type(wanted, sorted(set().union(*types)))])
    return found


def _unknown_type(wanted: str, known: Sequence[str]) -> Diagnostic:
    """The note that no event has a type, with one of the same or a similar name."""
    from difflib import get_close_matches

    name = _name_of(wanted)
    named = [spelled for spelled in known if name and _name_of(spelled) == name]
    near = named[:3] or get_close_matches(wanted, known, n=1, cutoff=0.7)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else None
    what = f"no event here has the type {wanted!r}"
    return Diagnostic("unknown-type", what, hint=hint, severity=Severity.NOTE)


def _name_of(spelled: str) -> str:
    """The name in the spelling of a type, without `struct` and stars; "" where there is none."""
    words = spelled.replace("*", " ").split()
    return words[-1] if words else ""


def _side_by_side(kernels: Mapping[str, KernelEvents], options: argparse.Namespace) -> int:
    """List the events of several kernels; returns the exit status."""
    from tpgen.variants.select import select
    from tpgen.variants.side_by_side import list_json, list_legend, list_rows

    if options.args:
        raise fail(
            "usage", f"--args is for one kernel, not {len(kernels)}", hint="`tpgen show` puts kernels side by side"
        )
    selected = select(kernels, options.events or ["*"], options.module, nullness=False)
    if options.type is not None:
        selected = list(compress(selected, _handing_out([each.event for each in selected], options.type)))
    if options.json:
        base.print_json(list_json(selected, list(kernels)))
    else:
        base.report(list(dict.fromkeys(note for kernel in kernels.values() for note in kernel.notes)))
        print_text(printable_lines(f"{list_legend(list(kernels))}\n"))
        print_table(*list_rows(selected, list(kernels)), always=True)
    return base.outcomes(kernels, selected, options)
