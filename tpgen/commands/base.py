"""What the commands share: exit codes, option parsing, opening the kernel that the options mean, saying things."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from tpgen.diagnostics import Diagnostic, Severity, TpgenError, excerpt, fail

if TYPE_CHECKING:
    from tpgen.catalog.read import CatalogKernel
    from tpgen.check import CheckedKernel
    from tpgen.kernel import Sources
    from tpgen.selection import EventKey, KernelEvents

#: What messages call the kernel that this machine runs.
LIVE_LABEL = "the running kernel"
EXIT_DONE, EXIT_CHECK_FAILED, EXIT_BAD_INPUT, EXIT_UNKNOWN = 0, 1, 2, 3


def said(diagnostic: Diagnostic) -> str:
    """The line that the user reads."""
    return f"tpgen: {diagnostic.severity}: {diagnostic}"


def say(diagnostics: Sequence[Diagnostic]) -> None:
    """One line each; at a terminal with the place in the input below it."""
    for diagnostic in diagnostics:
        print(said(diagnostic), file=sys.stderr)
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


class _Once(argparse.Action):
    """Refuses to be given twice, where the last would win without a word."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        if getattr(namespace, self.dest) is not None:
            raise fail("usage", f"{option} is given twice", hint="one run reads one kernel")
        setattr(namespace, self.dest, values)


def parser(command: str, description: str, kind: type[Parser] = Parser) -> Parser:
    """The parser of a command that reads a kernel, with the source options."""
    made = kind(f"tpgen {command}".rstrip(), description=description, allow_abbrev=False)
    sources = made.add_argument_group("source options", "given any of them, they are the kernel")
    sources.add_argument(
        "--kernel", action=_Once, metavar="K",
        help="live: the running one, the default where it has BTF; 6.12 or the like; a catalog file",
    )  # fmt: skip
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
    """The kernel that the source options mean: from a catalog, from the cache or from its sources."""
    if (catalog := open_catalog(options)) is not None:
        return catalog
    if options.btf or options.tracefs or options.headers or options.config or options.no_cache:
        return open_checked(options)
    from tpgen.catalog.kept import kept_kernel

    if (kept := kept_kernel(LIVE_LABEL)) is not None:
        return kept
    from tpgen.catalog.keep import KeptKernel

    return KeptKernel(open_sources(options))


def open_catalog(options: argparse.Namespace) -> CatalogKernel | None:
    """The kernel from a catalog where `--kernel` says one, or where nothing says any and none can be asked.

    None where the options mean sources. Raises `TpgenError` where they contradict each other, `unknown-kernel`, and
    what is wrong with the catalog.
    """
    given = bool(options.btf or options.tracefs or options.headers or options.config)
    if options.kernel == "live" or (options.kernel is None and (given or _live_kernel_readable())):
        return None
    from tpgen.catalog.store import newest_shipped, open_named

    if given:
        raise fail("usage", "--kernel and files: a catalog has its own", hint="give one or the other")
    if options.kernel is not None:
        return open_named(options.kernel, options.arch)
    newest = newest_shipped(options.arch)
    if newest is None:
        return None
    message = f"no BTF of a running kernel here: this is {newest.info.name}, the newest that came with tpgen"
    say([Diagnostic("kernel-shipped", message, None, "--kernel picks another", Severity.NOTE)])
    return newest.open()


def kernel_named(name: str) -> KernelEvents:
    """The kernel that `--kernel NAME` means; a file that is no catalog is one with BTF, of vmlinux alone."""
    options = parser("", "").parse_args(["--kernel", name])
    try:
        return open_kernel(options)
    except TpgenError as error:
        if [diagnostic.code for diagnostic in error.diagnostics] != ["catalog-foreign"]:
            raise
    return open_checked(parser("", "").parse_args(["--btf", name]))


def _live_kernel_readable() -> bool:
    return os.access("/sys/kernel/btf/vmlinux", os.R_OK)


def open_checked(options: argparse.Namespace, join_live: bool = False) -> CheckedKernel:
    """The same, but one whose sources are at hand. With `join_live`, headers alone are held against the running one."""
    from tpgen.check import CheckedKernel

    return CheckedKernel(open_sources(options, join_live))


def open_sources(
    options: argparse.Namespace, join_live: bool = False, contents: Mapping[str, bytes] | None = None
) -> Sources:
    """The opened sources that the options mean; `contents` are those of files that are not on disk under their names.

    Raises `TpgenError` where they contradict each other or are broken.
    """
    from tpgen.kernel import live_kernel_readable, open_files, open_live

    if options.kernel not in (None, "live"):
        raise fail("usage", "this needs sources, and a catalog has none", hint="--kernel live, or give files")
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
        sources = open_files(*given_files, use_cache=not options.no_cache, contents=contents or {})
    elif live_kernel_readable():
        sources = open_live()
    else:
        raise fail("no-kernel", "no BTF of a running kernel here", hint="give --btf, --tracefs, --headers or --kernel")
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
