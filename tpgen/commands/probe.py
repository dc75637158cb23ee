"""`tpgen probe`: are raw tracepoints supported."""

from __future__ import annotations

import argparse
import os

from tpgen.commands import base
from tpgen.commands.base import Parser


def parser() -> Parser:
    return base.parser("probe", "Exit 0: raw tracepoints are supported; 1: they are not; 3: unknown.")


def run(options: argparse.Namespace) -> int:
    from tpgen.kernel import Sources, live_kernel_readable
    from tpgen.probe import answer, probe
    from tpgen.target import target_like

    live = not (options.btf or options.tracefs or options.headers)
    if live and not live_kernel_readable():
        uname = os.uname()
        sources = Sources("the running kernel", target_like(8, False, uname.machine), uname.release)
    else:
        sources = base.open_sources(options)
    evidence = probe(sources, live)
    found = answer(evidence)
    word = {True: "yes", False: "no", None: "unknown"}
    print(f"raw tracepoints: {word[found]}")
    for item in evidence:
        print(f"  {word[item.supported]:<8} {item.what}")
    return {True: base.EXIT_DONE, False: base.EXIT_CHECK_FAILED, None: base.EXIT_UNKNOWN}[found]
