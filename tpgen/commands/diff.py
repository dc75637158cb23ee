"""`tpgen diff`: what changed for a BPF program from kernel to kernel."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from tpgen.commands.common import base
from tpgen.commands.common.parsing import Parser
from tpgen.commands.common.terminal import colours, print_text
from tpgen.commands.deliver import write
from tpgen.diagnostics import printable_json, printable_lines
from tpgen.opening import kernel_names

if TYPE_CHECKING:
    from tpgen.diff.changes import KernelsDiff
    from tpgen.kernel.events import KernelEvents
    from tpgen.sources.bpf_object.facts import BpfObject


def parser() -> Parser:
    made = Parser(
        "tpgen diff", description="Show what changed for BPF programs from kernel to kernel.", allow_abbrev=False
    )
    made.add_argument("before", metavar="K1", help="a kernel as for --kernel, or a file with BTF")
    made.add_argument("after", metavar="K2", help="the kernel to compare it with")
    made.add_argument(
        "events", nargs="*", default=[], metavar="K3... PATTERN",
        help="more kernels, each compared with the one before it, and then patterns of events",
    )  # fmt: skip
    made.add_argument("--module", metavar="NAME", help="only events of this module")
    made.add_argument(
        "--object", action="append", default=[], metavar="FILE",
        help="only changes that concern the BPF programs in this file; repeatable",
    )  # fmt: skip
    made.add_argument("--json", action="store_true", help="print JSON: an object; for more kernels an array")
    made.add_argument("--exit-code", action="store_true", help="exit with 1 if there is a difference")
    return made


def run(options: argparse.Namespace) -> int:
    more, patterns = kernel_names(options.events)
    names = options.before, options.after, *more
    objects = base.bpf_objects(options.object) if options.object else []
    kernels = {name: base.kernel_named(name) for name in dict.fromkeys(names)}
    found = list(_compared(kernels, names, patterns, options.module, objects))
    notes = [note for kernel in kernels.values() for note in kernel.notes]
    base.report(dict.fromkeys((*notes, *(note for each in found for note in each.notes))))
    if options.json:
        _print_json(found)
    else:
        _print_text(found, colours(sys.stdout))
    return base.EXIT_CHECK_FAILED if options.exit_code and any(each.changed for each in found) else base.EXIT_DONE


def _compared(
    kernels: Mapping[str, KernelEvents],
    names: Sequence[str],
    patterns: Sequence[str],
    module: str | None,
    objects: Sequence[BpfObject],
) -> Iterator[KernelsDiff]:
    """The differences from each kernel to the next, with objects only what their programs touch."""
    if not objects:
        from tpgen.diff.compare import diff

        for old, new in pairwise(names):
            yield diff(kernels[old], kernels[new], (old, new), patterns, module)
        return
    from tpgen.doctor.kernels import KnownKernel
    from tpgen.doctor.touched import diff_for

    known = {name: KnownKernel.of(name, events) for name, events in kernels.items()}
    for old, new in pairwise(names):
        yield diff_for(objects, (known[old], known[new]), patterns, module)


def _print_text(found: Sequence[KernelsDiff], colours: bool) -> None:
    from tpgen.diff.render import diff_text

    text = "\n".join(diff_text(each, colours) for each in found)
    print_text(text if colours else printable_lines(text))


def _print_json(found: Sequence[KernelsDiff]) -> None:
    """Print the object of two kernels, an array of those of more."""
    objects = ",\n".join(map(_json, found))
    write(f"{objects}\n" if len(found) == 1 else f"[\n{objects}\n]\n")


def _json(found: KernelsDiff) -> str:
    """The object with its events one per line, as `print_json` prints an array."""
    import json

    from tpgen.diff.render import diff_json

    head, events = diff_json(found)
    start = printable_json(json.dumps({"version": base.JSON_VERSION, **head}, ensure_ascii=False))[:-1]
    return f'{start}, "events": {base.json_lines(events)}}}'
