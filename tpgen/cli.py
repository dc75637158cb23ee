"""The command line: the only module that prints, and the only one that exits.

stdout carries the product, stderr everything else. Exit 0: done; 1: a check failed; 2: bad usage or bad input.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from tpgen import __version__
from tpgen.diagnostics import Diagnostic, Position, Severity, TpgenError, excerpt, fail

if TYPE_CHECKING:
    from tpgen.backends.base import Form, GeneratedFile, Request
    from tpgen.check import Comparison
    from tpgen.kernel import Sources
    from tpgen.model import Event
    from tpgen.resolve import EventKey, Kernel

EXIT_DONE, EXIT_CHECK_FAILED, EXIT_BAD_INPUT, EXIT_UNKNOWN = 0, 1, 2, 3

_OVERVIEW = """\
usage: tpgen EVENT... [--raw] [--classic] [-b BACKEND] [-o PATH] [source options]
       tpgen show EVENT... [--json]      arguments, record, a drawing of the bytes, what was checked
       tpgen list [PATTERN...] [--json]  every tracepoint, its argument count, class and module
       tpgen check [PATTERN...]          compare all sources; exit 1 on a finding
       tpgen probe                       are raw tracepoints supported, and by what evidence

EVENT is sched_switch, sched:sched_switch or a pattern such as 'sched:*' or '*:sched_switch'.
`tpgen COMMAND --help` and `tpgen EVENT --help` explain the options.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run tpgen with `argv` (the process's own by default); returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if sys.stdout is None:  # closed by the caller
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # as long as the process lives
    # A run builds facts and prints them: looking for garbage among them would cost a tenth of its time and find none.
    gc.disable()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # whatever the locale cannot say
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except TpgenError as error:
        _say(error.diagnostics)
        return EXIT_BAD_INPUT
    except BrokenPipeError:
        # The reader has seen enough; that Python flushes stdout at exit must not fail once more.
        _drop_stdout()
        return EXIT_DONE
    except OSError as error:
        # Every file is opened where its errors are known; what is left is stdout, on a full disk.
        _drop_stdout()
        _say([Diagnostic("unwritable", f"cannot write: {error.strerror or error}", Position("stdout"))])
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        return 130
    finally:
        gc.enable()


def _drop_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_OVERVIEW, end="", file=sys.stdout if arguments else sys.stderr)
        return EXIT_DONE if arguments else EXIT_BAD_INPUT
    if arguments[0] == "--version":
        print(f"tpgen {__version__}")
        return EXIT_DONE
    command = _COMMANDS.get(arguments[0])
    if command is None:
        return _generate(_generate_parser().parse_args(arguments))
    parse, run = command
    return run(parse().parse_args(arguments[1:]))


def _say(diagnostics: Sequence[Diagnostic]) -> None:
    """One line each; at a terminal with the place in the input below it."""
    for diagnostic in diagnostics:
        print(f"tpgen: {diagnostic.severity}: {diagnostic}", file=sys.stderr)
        if sys.stderr.isatty() and (position := diagnostic.position) and position.line is not None:
            with contextlib.suppress(OSError), open(position.path, encoding="utf-8", errors="replace") as file:
                sys.stderr.write(excerpt(file.read(), position))


# --- options


class _Parser(argparse.ArgumentParser):
    """argparse, but a mistake takes one line."""

    def _get_formatter(self) -> argparse.HelpFormatter:
        # A width of our own: asking for the terminal's imports shutil and all compressors, at every start.
        return argparse.HelpFormatter(self.prog, width=100)

    def error(self, message: str) -> NoReturn:
        raise fail("usage", message, hint=f"`{self.prog} --help` explains")


def _parser(command: str, description: str) -> _Parser:
    parser = _Parser(f"tpgen {command}".rstrip(), description=description, allow_abbrev=False)
    sources = parser.add_argument_group("source options", "given any of them, they are the kernel")
    sources.add_argument("--kernel", metavar="K", help="live: the running kernel, the default where it has BTF")
    sources.add_argument(
        "--btf", action="append", default=[], metavar="FILE",
        help="BTF of a kernel or module: raw, vmlinux, .ko or vmlinuz; repeatable",
    )  # fmt: skip
    sources.add_argument("--tracefs", metavar="DIR", help="a tracefs mount, or a copy of one")
    sources.add_argument("--headers", metavar="DIR", help="a kernel source tree, linux-headers, or trace headers")
    sources.add_argument("--config", metavar="FILE", help="the .config or autoconf.h that decides the headers' #if")
    sources.add_argument("--no-cache", action="store_true", help="read all headers anew, and keep nothing of them")
    sources.add_argument("--arch", metavar="NAME", help="the target, where BTF does not show it")
    parser.add_argument("--module", metavar="NAME", help="of several events of a name, that of this module")
    return parser


def _generate_parser() -> _Parser:
    parser = _parser("", "Generate accessors for tracepoints. Both forms are made where neither is named.")
    parser.add_argument("events", nargs="+", metavar="EVENT")
    parser.add_argument("--raw", action="store_true", help="the raw arguments, for raw_tp and tp_btf programs")
    parser.add_argument("--classic", action="store_true", help="the classic record, for tp programs")
    parser.add_argument("-b", "--backend", default="bpf", help="what to generate (default: bpf)")
    parser.add_argument("-o", "--output", metavar="PATH", help="a file, or a directory for several events")
    return parser


def _show_parser() -> _Parser:
    parser = _parser("show", "Show arguments, record, a drawing of the bytes, and where each fact is from.")
    parser.add_argument("events", nargs="+", metavar="EVENT")
    parser.add_argument("--json", action="store_true", help="an array for programs")
    return parser


def _list_parser() -> _Parser:
    parser = _parser("list", "List tracepoints with their argument count, class and module.")
    parser.add_argument("events", nargs="*", metavar="PATTERN")
    parser.add_argument("--json", action="store_true", help="an array for programs")
    return parser


def _check_parser() -> _Parser:
    parser = _parser("check", "Compare what all sources say; exit 1 on a finding.")
    parser.add_argument("events", nargs="*", metavar="PATTERN")
    parser.add_argument("-v", "--verbose", action="store_true", help="list every comparison that could not be made")
    return parser


def _probe_parser() -> _Parser:
    return _parser("probe", "Exit 0: raw tracepoints are supported; 1: they are not; 3: unknown.")


# --- the kernel


def _kernel(options: argparse.Namespace, join_live: bool = False) -> Kernel:
    """The kernel that the source options mean. With `join_live`, headers alone are held against the running one."""
    from tpgen.resolve import Kernel

    return Kernel(_sources(options, join_live))


def _sources(options: argparse.Namespace, join_live: bool = False) -> Sources:
    from tpgen.kernel import live_kernel_readable, open_files, open_live

    if options.kernel not in (None, "live"):
        raise fail("unknown-kernel", f"no kernel {options.kernel!r}", hint="there is live")
    if options.config and not options.headers:
        raise fail("usage", "--config decides what of --headers counts", hint="give --headers as well")
    given = options.btf or options.tracefs or options.headers
    if join_live and options.headers and not (options.btf or options.tracefs) and live_kernel_readable():
        options.kernel = "live"
    if options.kernel == "live":
        if options.btf or options.tracefs:
            raise fail("usage", "--kernel live has its own BTF and tracefs", hint="leave --btf and --tracefs away")
        sources = open_live(options.headers, options.config, not options.no_cache)
    elif given:
        given_files = (options.btf, options.tracefs, options.headers, options.config, options.arch)
        sources = open_files(*given_files, use_cache=not options.no_cache)
    elif live_kernel_readable():
        sources = open_live()
    else:
        raise fail("no-kernel", "no BTF of a running kernel here", hint="give --btf, --tracefs or --headers")
    broken = [d for d in sources.headers.skipped if d.severity == Severity.ERROR] if sources.headers else []
    if broken:
        raise TpgenError(*broken)
    return sources


def _selected(kernel: Kernel, options: argparse.Namespace) -> list[EventKey]:
    """The events that the user means, each once: all where none is named."""
    patterns = options.events or ["*"]
    return list(dict.fromkeys(key for pattern in patterns for key in kernel.select(pattern, options.module)))


# --- commands


def _generate(options: argparse.Namespace) -> int:
    from tpgen.backends.base import Form
    from tpgen.backends.registry import backend

    if options.output == "":
        raise fail("usage", "-o with an empty path", hint="give a file or a directory")
    renderer = backend(options.backend)
    kernel = _kernel(options)
    forms = [form for form in Form if getattr(options, form)] or list(Form)
    keys = _selected(kernel, options)
    if len(keys) > 1 and options.output is None:
        raise fail("usage", f"{len(keys)} events are meant", hint="give -o DIR for one header per event and form")
    requests = _requests(kernel.events(keys, raw_only=forms == [Form.RAW]), forms, options.raw or options.classic)
    if findings := _findings(kernel, keys, forms):
        _say(findings)
        return EXIT_CHECK_FAILED
    files = renderer.render(kernel.target, kernel.sources.release, requests)
    _deliver(files, options.output, several=len(keys) > 1)
    return EXIT_DONE


def _requests(events: Sequence[Event], forms: Sequence[Form], named: bool) -> list[Request]:
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
        _say(lacking)
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


def _findings(kernel: Kernel, keys: list[EventKey], forms: list[Form]) -> list[Diagnostic]:
    """The findings that forbid generating: only what passed its checks reaches a backend."""
    from tpgen.backends.base import Form
    from tpgen.check import check_event, errors, layout_of

    raw_only = forms == [Form.RAW]
    comparisons: list[Comparison] = []
    for key in keys:
        comparisons += check_event(kernel, key, raw_only)
        if not raw_only:
            comparisons += layout_of(kernel, key)
    return errors(comparisons)


def _show(options: argparse.Namespace) -> int:
    from tpgen.check import check_event
    from tpgen.show import event_json, event_text

    kernel = _kernel(options)
    keys = _selected(kernel, options)
    events = kernel.events(keys)
    if options.json:
        _print_json([event_json(event, kernel.target) for event in events])
        return EXIT_DONE
    _say(kernel.sources.notes)
    texts = (
        event_text(event, kernel.target, check_event(kernel, key)) for key, event in zip(keys, events, strict=True)
    )
    sys.stdout.write("\n".join(texts))
    return EXIT_DONE


def _list(options: argparse.Namespace) -> int:
    from tpgen.show import list_json, list_text

    kernel = _kernel(options)
    events = kernel.events(_selected(kernel, options))
    if options.json:
        _print_json(list_json(events))
    else:
        _say(kernel.sources.notes)
        sys.stdout.write(list_text(events))
    return EXIT_DONE


def _print_json(items: list[dict[str, object]]) -> None:
    """One item per line: as quick as compact JSON, and grep and diff can still be used on it."""
    import json

    encode = json.JSONEncoder(ensure_ascii=False, separators=(", ", ": ")).encode
    sys.stdout.write("[\n" + ",\n".join(map(encode, items)) + "\n]\n" if items else "[]\n")


def _check(options: argparse.Namespace) -> int:
    from tpgen.check import check_kernel, errors
    from tpgen.report import report

    kernel = _kernel(options, join_live=True)
    keys = _selected(kernel, options)
    comparisons = check_kernel(kernel, keys)
    sys.stdout.write(report(kernel.sources, comparisons, options.verbose))
    return EXIT_CHECK_FAILED if errors(comparisons) else EXIT_DONE


def _probe(options: argparse.Namespace) -> int:
    from tpgen.kernel import Sources, live_kernel_readable
    from tpgen.probe import answer, probe
    from tpgen.target import target_like

    live = not (options.btf or options.tracefs or options.headers)
    if live and not live_kernel_readable():
        uname = os.uname()
        sources = Sources("the running kernel", target_like(8, False, uname.machine), uname.release)
    else:
        sources = _sources(options)
    evidence = probe(sources, live)
    found = answer(evidence)
    word = {True: "yes", False: "no", None: "unknown"}
    print(f"raw tracepoints: {word[found]}")
    for item in evidence:
        print(f"  {word[item.supported]:<8} {item.what}")
    return {True: EXIT_DONE, False: EXIT_CHECK_FAILED, None: EXIT_UNKNOWN}[found]


_COMMANDS = {
    "show": (_show_parser, _show),
    "list": (_list_parser, _list),
    "check": (_check_parser, _check),
    "probe": (_probe_parser, _probe),
}
