"""`tpgen show`: arguments, record, a drawing of the bytes, what was checked."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tpgen.commands.common import base
from tpgen.commands.common.options import EVENTS_HELP, Declared, read, with_kernel_options
from tpgen.commands.common.terminal import print_text, width_of
from tpgen.diagnostics import printable_lines

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from tpgen.commands.common.parsing import Parser
    from tpgen.kernel.events import KernelEvents
    from tpgen.kernel.symbols.facts import EventSymbols
    from tpgen.show import Shared
    from tpgen.variants.select import Selected


OPTIONS = (
    Declared("events", nargs="+", metavar="EVENT", help=EVENTS_HELP),
    Declared("--json", action="store_true", help="print JSON: an array"),
)


def parser() -> Parser:
    from tpgen.commands.common import parsing

    return parsing.parser(
        "show", "Show arguments, record, a drawing of the bytes, and where each fact is from.", OPTIONS
    )


def plain(words: Sequence[str]) -> argparse.Namespace | None:
    """The options as the parser has them, where all are plain."""
    return read(words, with_kernel_options(OPTIONS))


def run(options: argparse.Namespace) -> int:
    from tpgen.show import event_json, event_text

    kernels = base.open_kernels(options)
    if len(kernels) > 1:
        return _side_by_side(kernels, options)
    (kernel,) = kernels.values()
    keys = base.selected(kernel, options)
    events = kernel.events(keys)
    if options.json:
        shared: Shared = {}
        base.print_json(
            event_json(event, kernel.target, kernel.symbols(key), shared)
            for key, event in zip(keys, events, strict=True)
        )
        return base.outcome(kernel, keys, options)
    base.report(kernel.notes)
    texts = (
        event_text(event, kernel.target, kernel.comparisons(key), kernel.symbols(key))
        for key, event in zip(keys, events, strict=True)
    )
    print_text(printable_lines("\n".join(texts)))
    return base.outcome(kernel, keys, options)


def _side_by_side(kernels: Mapping[str, KernelEvents], options: argparse.Namespace) -> int:
    """Show the events of several kernels; returns the exit status."""
    from tpgen.variants.select import select
    from tpgen.variants.side_by_side import events_json, events_text

    def symbols_of(each: Selected) -> EventSymbols:
        return kernels[each.kernel].symbols(each.key)

    selected = select(kernels, options.events, options.module)
    if options.json:
        targets = {name: kernel.target for name, kernel in kernels.items()}
        base.print_json(events_json(selected, targets, symbols_of))
    else:
        base.report(list(dict.fromkeys(note for kernel in kernels.values() for note in kernel.notes)))
        print_text(printable_lines(events_text(selected, list(kernels), symbols_of, width_of(sys.stdout))))
    return base.outcomes(kernels, selected, options)
