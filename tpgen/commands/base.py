"""What the commands share: exit codes, option parsing, opening the kernel that the options mean, saying things."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from tpgen.diagnostics import Diagnostic, Severity, TpgenError, excerpt, fail

if TYPE_CHECKING:
    from tpgen.check import CheckedKernel
    from tpgen.kernel import Sources
    from tpgen.selection import EventKey, KernelEvents

EXIT_DONE, EXIT_CHECK_FAILED, EXIT_BAD_INPUT, EXIT_UNKNOWN = 0, 1, 2, 3


def say(diagnostics: Sequence[Diagnostic]) -> None:
    """One line each; at a terminal with the place in the input below it."""
    for diagnostic in diagnostics:
        print(f"tpgen: {diagnostic.severity}: {diagnostic}", file=sys.stderr)
        if sys.stderr.isatty() and (position := diagnostic.position) and position.line is not None:
            with contextlib.suppress(OSError), open(position.path, encoding="utf-8", errors="replace") as file:
                sys.stderr.write(excerpt(file.read(), position))


class Parser(argparse.ArgumentParser):
    """argparse, but a mistake takes one line."""

    def _get_formatter(self) -> argparse.HelpFormatter:
        # A width of our own: asking for the terminal's imports shutil and all compressors, at every start.
        return argparse.HelpFormatter(self.prog, width=100)

    def error(self, message: str) -> NoReturn:
        raise fail("usage", message, hint=f"`{self.prog} --help` explains")


def parser(command: str, description: str) -> Parser:
    """The parser of a command that reads a kernel, with the source options."""
    made = Parser(f"tpgen {command}".rstrip(), description=description, allow_abbrev=False)
    sources = made.add_argument_group("source options", "given any of them, they are the kernel")
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
    made.add_argument("--module", metavar="NAME", help="of several events of a name, that of this module")
    return made


# --- the kernel


def open_kernel(options: argparse.Namespace) -> KernelEvents:
    """The kernel that the source options mean."""
    return open_checked(options)


def open_checked(options: argparse.Namespace, join_live: bool = False) -> CheckedKernel:
    """The same, but one whose sources are at hand. With `join_live`, headers alone are held against the running one."""
    from tpgen.check import CheckedKernel

    return CheckedKernel(open_sources(options, join_live))


def open_sources(options: argparse.Namespace, join_live: bool = False) -> Sources:
    """The opened sources that the options mean. Raises `TpgenError` where they contradict each other or are broken."""
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


def selected(kernel: KernelEvents, options: argparse.Namespace) -> list[EventKey]:
    """The events that the user means, each once: all where none is named."""
    patterns = options.events or ["*"]
    return list(dict.fromkeys(key for pattern in patterns for key in kernel.select(pattern, options.module)))


def print_json(items: list[dict[str, object]]) -> None:
    """One item per line: as quick as compact JSON, and grep and diff can still be used on it."""
    import json

    encode = json.JSONEncoder(ensure_ascii=False, separators=(", ", ": ")).encode
    sys.stdout.write("[\n" + ",\n".join(map(encode, items)) + "\n]\n" if items else "[]\n")
