"""`tpgen probe`: are raw tracepoints supported. For configure scripts: early, quick, answering by the exit status."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tpgen.commands.common import base, parsing
from tpgen.commands.common.parsing import Parser
from tpgen.commands.common.terminal import print_text
from tpgen.diagnostics import fail, printable, unreadable

if TYPE_CHECKING:
    from tpgen.probe import Evidence

_WORDS = {True: "yes", False: "no", None: "unknown"}


def parser() -> Parser:
    made = parsing.parser("probe", "Exit 0: raw tracepoints are supported; 1: they are not; 3: unknown.")
    made.add_argument("--symbols", metavar="FILE", help="the kernel's System.map, or a copy of its /proc/kallsyms")
    made.add_argument("--json", action="store_true", help="print JSON: an object")
    return made


def run(options: argparse.Namespace) -> int:
    from tpgen.probe import answer

    evidence: list[Evidence] = []
    for item in _evidence(options, evidence):
        evidence.append(item)
    found = answer(evidence)
    if options.json:
        _print_json(found, evidence)
    else:
        looks = (f"  {_WORDS[item.supported]:<8} {printable(item.what)}\n" for item in evidence)
        print_text(f"raw tracepoints: {_WORDS[found]}\n{''.join(looks)}")
    return {True: base.EXIT_DONE, False: base.EXIT_CHECK_FAILED, None: base.EXIT_UNKNOWN}[found]


def _print_json(found: bool | None, evidence: list[Evidence]) -> None:
    items = [{"supported": item.supported, "what": item.what} for item in evidence]
    base.print_object({"supported": found, "evidence": items})


def _evidence(options: argparse.Namespace, so_far: list[Evidence]) -> Iterator[Evidence]:
    """Yield the evidence in the order of its weight; `so_far` is what was yielded before."""
    from tpgen import probe
    from tpgen.kernel.sources import open_files
    from tpgen.opening import check_release
    from tpgen.paths import LIVE_BTF, live_kernel_readable

    kernel = base.kernel_request(options).kernel
    check_release(options.release)
    release: str | None
    files = options.btf or options.tracefs or options.headers or options.symbols or options.release
    if kernel == "live" and files:
        raise fail("usage", "--kernel live reads the running kernel itself", hint="leave out the files")
    if kernel not in (None, "live") and (known := base.open_catalog(options)) is not None:
        yield probe.catalog(known)
        release = known.release
    elif files:
        if options.btf:
            yield from probe.btf(open_files(options.btf, arch=options.arch).btfs[0])
        release = next(filter(None, map(_release_of, options.headers)), None)
    else:
        yield probe.loading()
        if live_kernel_readable():
            yield from probe.btf(open_files([os.path.join(LIVE_BTF, "vmlinux")]).btfs[0])
        # The kernel takes longer to list its symbols than all the rest takes.
        if probe.answer(so_far) is None and os.access(probe.LIVE_SYMBOLS, os.R_OK):
            yield probe.symbols(probe.LIVE_SYMBOLS)
        release = os.uname().release
    if options.symbols:
        yield probe.symbols(options.symbols)
    if known_release := options.release or release:
        yield probe.release(known_release)


def _release_of(headers: str) -> str | None:
    """The release of a tree of headers; nothing else of it is read."""
    from tpgen.sources.source_tree.release import find_release

    try:
        os.stat(headers)
    except OSError as error:
        raise unreadable(headers, error) from None
    return find_release(headers)
