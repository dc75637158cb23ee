"""`tpgen EVENT...`: generate accessors."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tpgen.commands import base
from tpgen.commands.base import Parser
from tpgen.diagnostics import Diagnostic, Severity, TpgenError, fail

if TYPE_CHECKING:
    from tpgen.backends.base import Form, GeneratedFile, Request
    from tpgen.model import Event
    from tpgen.selection import EventKey, KernelEvents


def parser() -> Parser:
    made = base.parser("", "Generate accessors for tracepoints. Both forms are made where neither is named.")
    made.add_argument("events", nargs="+", metavar="EVENT")
    made.add_argument("--raw", action="store_true", help="the raw arguments, for raw_tp and tp_btf programs")
    made.add_argument("--classic", action="store_true", help="the classic record, for tp programs")
    made.add_argument("-b", "--backend", default="bpf", help="what to generate (default: bpf)")
    made.add_argument("-o", "--output", metavar="PATH", help="a file, or a directory for several events")
    return made


def run(options: argparse.Namespace) -> int:
    from tpgen.backends.base import Form
    from tpgen.backends.registry import backend

    if options.output == "":
        raise fail("usage", "-o with an empty path", hint="give a file or a directory")
    renderer = backend(options.backend)
    kernel = base.open_kernel(options)
    forms = [form for form in Form if getattr(options, form)] or list(Form)
    keys = base.selected(kernel, options)
    if len(keys) > 1 and options.output is None:
        raise fail("usage", f"{len(keys)} events are meant", hint="give -o DIR for one header per event and form")
    events = kernel.events(keys, raw_only=forms == [Form.RAW])
    requests = requests_for(events, forms, options.raw or options.classic)
    if found := findings(kernel, keys, forms):
        base.say(found)
        return base.EXIT_CHECK_FAILED
    files = renderer.render(kernel.target, kernel.release, requests)
    _deliver(files, options.output, several=len(keys) > 1)
    return base.EXIT_DONE


def requests_for(events: Sequence[Event], forms: Sequence[Form], named: bool) -> list[Request]:
    """The forms that the events have.

    Raises `TpgenError` `no-such-form` for a single event without any, or without one that was `named`. What a pattern
    meant as well is left out with a note.
    """
    from tpgen.backends.base import Request, missing

    requests = []
    for event in events:
        reasons = {form: reason for form in forms if (reason := missing(event, form))}
        requests += [Request(event, form) for form in forms if form not in reasons]
        lacking = [
            Diagnostic("no-such-form", f"no {form} form of {event.title}: {reason}", severity=Severity.NOTE)
            for form, reason in reasons.items()
            if named or len(reasons) == len(forms)
        ]
        if lacking and len(events) == 1:
            raise TpgenError(*(replace(diagnostic, severity=Severity.ERROR) for diagnostic in lacking))
        base.say(lacking)
    return requests


def _deliver(files: Sequence[GeneratedFile], path: str | None, several: bool) -> None:
    """The files to stdout, into one file, or below a directory."""
    text = "\n".join(file.text for file in files)
    if path is None:
        sys.stdout.write(text)
        return
    from tpgen import output

    if several or os.path.isdir(path) or path.endswith(os.sep):
        output.write_files(path, files)
    else:
        output.write_file(path, text)


def findings(kernel: KernelEvents, keys: Sequence[EventKey], forms: Sequence[Form]) -> list[Diagnostic]:
    """The findings that forbid generating: only what passed its checks reaches a backend."""
    from tpgen.backends.base import Form
    from tpgen.check import errors

    raw_only = list(forms) == [Form.RAW]
    return errors(comparison for key in keys for comparison in kernel.comparisons(key, raw_only))
