"""`tpgen build`: the header-generation build step. Where there is nothing to do, `building.request` has seen so."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tpgen.building.manifest import Inputs, Manifest
from tpgen.building.request import SOURCES, Request
from tpgen.commands import base
from tpgen.commands.base import Parser
from tpgen.diagnostics import fail, unreadable

if TYPE_CHECKING:
    from tpgen.building.config import KernelFiles
    from tpgen.building.steps import Rendered
    from tpgen.kernel.events import KernelEvents


def parser() -> Parser:
    description = "Bring generated files up to date with tpgen.toml. docs/build.md explains the file."
    made = base.parser("build", description)
    made.add_argument("toml", nargs="?", default="tpgen.toml", metavar="TOML", help="default: tpgen.toml")
    made.add_argument("-o", "--output", metavar="DIR", help="what its names are relative to, by default where it lies")
    made.add_argument("--check", action="store_true", help="write nothing; exit 1 with a diff where a file is stale")
    made.add_argument("--stamp", metavar="FILE", help="write a file that changes only when a generated one does")
    made.add_argument("--depfile", metavar="FILE", help="write what the stamp depends on, in make's format")
    made.add_argument("--adopt", action="store_true", help="overwrite files that are in the way")
    made.add_argument("--cmake-dir", action="store_true", help="print where tpgen.cmake is, and do nothing else")
    return made


def run(options: argparse.Namespace) -> int:
    if options.cmake_dir:
        print(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "integrations"))
        return base.EXIT_DONE
    if options.check and (options.stamp or options.depfile):
        raise fail("usage", "--check writes nothing", hint="leave --stamp and --depfile away")
    request = _request(options)
    return _check(request, options) if options.check else _build(request, options)


def _request(options: argparse.Namespace) -> Request:
    given = {name: getattr(options, name) for name in SOURCES}
    sources = [f"--{name}={value}" for name, value in given.items() if value and name != "btf"]
    sources += [f"--btf={value}" for value in options.btf]
    return Request(options.toml, options.output, options.stamp, options.depfile, options.check, sources)


def _check(request: Request, options: argparse.Namespace) -> int:
    """Print what a build would change."""
    from tpgen.building.steps import differences

    manifest = request.load()
    if request.is_done(manifest):
        return base.EXIT_DONE
    rendered, _ = _render(request, options)
    stale = list(differences(request.root, rendered.files, manifest))
    sys.stdout.writelines(stale)
    return base.EXIT_CHECK_FAILED if stale else base.EXIT_DONE


def _build(request: Request, options: argparse.Namespace) -> int:
    """Write what is wanted, unless whoever had the lock has done so meanwhile."""
    from tpgen.building.steps import write

    with _locked(request.toml):
        manifest = request.load()
        if request.is_done(manifest):
            return base.EXIT_DONE
        _refuse_other_toml(request, manifest)
        rendered, inputs = _render(request, options)
        base.say(rendered.notes)
        base.say(write(request.root, request.manifest_path, rendered.files, manifest, inputs, options.adopt))
        request.tell_others(request.load())
    return base.EXIT_DONE


@contextlib.contextmanager
def _locked(toml: str) -> Iterator[None]:
    """Nobody else builds what this file asks for meanwhile; it is the lock itself, so that none stays behind.

    Where there are no locks (some network file systems), or no such file, it is left at that.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            file = stack.enter_context(open(toml, "rb"))
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _refuse_other_toml(request: Request, manifest: Manifest) -> None:
    """Of two files of one name, each would remove what the other made. One that is gone was moved to here."""
    other = manifest.inputs.arguments[:1]
    if other and other != request.arguments[:1] and os.path.exists(other[0]):
        raise fail("other-toml", f"the files here are those of {other[0]}", request.root, "give another -o DIR")


def _render(request: Request, options: argparse.Namespace) -> tuple[Rendered, Inputs]:
    from tpgen.building.config import parse
    from tpgen.building.steps import render

    inputs = Inputs(request.arguments)
    inputs.add_file(os.path.abspath(request.toml))
    inputs.add_state("program")
    try:
        with open(request.toml, encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        raise unreadable(request.toml, error, "docs/build.md explains the file") from None
    except UnicodeDecodeError:
        raise fail("toml-syntax", "not UTF-8", request.toml) from None
    kernels = _Kernels(options, os.path.dirname(request.toml), inputs)
    return render(parse(text, request.toml), kernels.open, inputs), inputs


class _Kernels:
    """Opens the kernels of a tpgen.toml in `directory`, each once, and adds what they are read from to the inputs."""

    def __init__(self, options: argparse.Namespace, directory: str, inputs: Inputs) -> None:
        self._options = options
        self._directory = directory
        self._inputs = inputs
        self._open: dict[str | KernelFiles | None, KernelEvents] = {}

    def open(self, kernel: str | KernelFiles | None) -> KernelEvents:
        if kernel not in self._open:
            options = self._options_for(kernel)
            self._add_inputs(options)
            self._open[kernel] = base.open_kernel(options)
        return self._open[kernel]

    def _options_for(self, kernel: str | KernelFiles | None) -> argparse.Namespace:
        """The source options that mean `kernel`."""
        if kernel is None:
            return argparse.Namespace(**vars(self._options))
        words: list[str] = []
        if isinstance(kernel, str):
            path = os.path.join(self._directory, kernel)
            words.append(f"--kernel={path if os.path.isfile(path) else kernel}")
        else:
            words += [f"--btf={os.path.join(self._directory, path)}" for path in kernel.btf]
            for name in ("tracefs", "headers", "config"):
                if path := getattr(kernel, name):
                    words.append(f"--{name}={os.path.join(self._directory, path)}")
            if kernel.arch:
                words.append(f"--arch={kernel.arch}")
        return base.parser("build", "").parse_args(words)

    def _add_inputs(self, options: argparse.Namespace) -> None:
        for path in (*options.btf, options.config):
            if path:
                self._inputs.add_file(os.path.abspath(path))
        for path, suffix in ((options.tracefs, "format"), (options.headers, ".h")):
            if path and os.path.isdir(path):
                self._inputs.add_tree(os.path.abspath(path), suffix)
            elif path:
                self._inputs.add_file(os.path.abspath(path))
        if not (options.btf or options.tracefs or options.headers) or options.kernel:
            self._add_named(options.kernel)

    def _add_named(self, name: str | None) -> None:
        """What a kernel without files of its own is read from. Whether there is a live one decides what None means."""
        if name is not None and os.path.isfile(name):
            self._inputs.add_file(os.path.abspath(name))
        else:
            self._inputs.add_state("live" if name in (None, "live") else "catalogs")
