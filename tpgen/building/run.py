"""One run of the build step: whether there is anything to do, and doing it under a lock."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tpgen.basics.frozen import replace
from tpgen.building.config import NamedKernel, parse
from tpgen.building.manifest import Inputs, Manifest
from tpgen.building.request import BuildRequest
from tpgen.building.steps import Rendered, Written, differences, render, write
from tpgen.diagnostics import Diagnostic, TpgenError, fail
from tpgen.kernel.events import KernelEvents
from tpgen.kernel.options import FILE, HEADERS, PATH, TREES, options_of, split_catalog
from tpgen.kernel.request import KernelRequest
from tpgen.opening import Report, expanded, files_read, open_kernel
from tpgen.output import Inside
from tpgen.sources.files import read_bytes
from tpgen.sources.source_tree.null_args import PATH as NULL_ARGS
from tpgen.sources.source_tree.release import release_files

_BIGGEST_TOML = 1 << 22


class Defaults(NamedTuple):
    """The kernels and the module of every `[[generate]]` that names none."""

    kernels: tuple[KernelRequest, ...]
    module: str | None = None


class Built(NamedTuple):
    """The files of a build, and the findings about events that have none."""

    files: Written
    refused: list[Diagnostic]


class Checked(NamedTuple):
    """The unified diff of what a build would change, by lines, and the findings about events that it leaves out."""

    diff: list[str]
    refused: list[Diagnostic]


def check(request: BuildRequest, defaults: Defaults, report: Report) -> Checked:
    """Compare what a build would write with what there is."""
    manifest = request.load()
    if request.is_done(manifest):
        return Checked([], [])
    rendered, _ = _render(request, defaults, report)
    with Inside(request.root) as home:
        name = os.path.basename(request.manifest_path)
        return Checked(list(differences(home, name, rendered.files, manifest)), rendered.refused)


def build(request: BuildRequest, defaults: Defaults, adopt: bool, report: Report) -> Built:
    """Write the files, unless the process that had the lock before did so. Raises `TpgenError`.

    With `adopt`, files of others are overwritten. Events are left out whose sources contradict each other:
    then neither stamp nor depfile is written, and the next build tries again.
    """
    with _locked(request.toml):
        manifest = request.load()
        if request.is_done(manifest):
            return Built(Written(unchanged=list(manifest.outputs)), [])
        _refuse_other_toml(request, manifest)
        rendered, inputs = _render(request, defaults, report)
        for note in rendered.notes:
            report(note)
        name = os.path.basename(request.manifest_path)
        with Inside(request.root) as home:
            written = write(home, name, rendered.files, manifest, inputs, adopt, complete=not rendered.refused)
        for note in written.notes:
            report(note)
        if not rendered.refused:
            request.write_side_files(request.load())
        return Built(written, rendered.refused)


@contextlib.contextmanager
def _locked(toml: str) -> Iterator[None]:
    """Lock out other builds of this file. The file is the lock itself, so that none stays behind.

    Without locks (some network file systems), or without such a file, nothing is locked.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            file = stack.enter_context(open(os.open(toml, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb"))
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _refuse_other_toml(request: BuildRequest, manifest: Manifest) -> None:
    """Refuse a directory that another tpgen.toml owns. If that file no longer exists, it was moved here."""
    other = manifest.inputs.arguments[:1]
    if other and other != request.arguments[:1] and os.path.exists(other[0]):
        raise fail("other-toml", f"the files here belong to {other[0]}", request.root, "give another -o DIR")


def _render(request: BuildRequest, defaults: Defaults, report: Report) -> tuple[Rendered, Inputs]:
    """Render the files that tpgen.toml wants; return them with their dependencies."""
    inputs = Inputs(request.arguments)
    inputs.add_file(os.path.abspath(request.toml))
    inputs.add_named_state("program")
    wanted = parse(_text(request.toml), request.toml)
    wanted = [each if each.module else replace(each, module=defaults.module) for each in wanted]
    kernels = _Kernels(defaults.kernels, os.path.dirname(request.toml), inputs, report)
    rendered = render(wanted, kernels.open, inputs, os.path.basename(request.manifest_path))
    kernels.add_files_read()
    return rendered, inputs


def _text(toml: str) -> str:
    try:
        return read_bytes(toml, _BIGGEST_TOML).decode()
    except TpgenError as error:
        raise TpgenError(*(d._replace(hint="docs/build.md explains the file") for d in error.diagnostics)) from None
    except UnicodeDecodeError:
        raise fail("toml-syntax", "not UTF-8", toml) from None


class _Kernels:
    """Opens the kernels of a tpgen.toml in `directory`, each once, and adds what they depend on to the inputs."""

    def __init__(self, defaults: Sequence[KernelRequest], directory: str, inputs: Inputs, report: Report) -> None:
        self._defaults = defaults
        self._directory = directory
        self._inputs = inputs
        self._report = report
        self._open: dict[KernelRequest, KernelEvents] = {}

    def open(self, named: NamedKernel | None) -> list[tuple[str | None, KernelEvents]]:
        """The kernels of a word in tpgen.toml, or else the default ones, by the name of their table if any."""
        requests = self._defaults if named is None else [self._request(named.request)]
        for request in requests:
            self._add_inputs(request)
        name = named.word if named and named.is_table else None
        return [(name, self._opened(request)) for request in expanded(requests)]

    def _opened(self, request: KernelRequest) -> KernelEvents:
        if request not in self._open:
            self._open[request] = open_kernel(request, self._report)
        return self._open[request]

    def add_files_read(self) -> None:
        """Add the files that opened kernels have read in addition to the named ones, such as included headers."""
        for kernel in self._open.values():
            for path in files_read(kernel):
                if os.path.isfile(path):
                    self._inputs.add_file_read(os.path.abspath(path))

    def _request(self, request: KernelRequest) -> KernelRequest:
        return request.below(self._directory)._replace(no_cache=self._defaults[0].no_cache)

    def _add_inputs(self, request: KernelRequest) -> None:
        for option in options_of(PATH):
            for path in map(os.path.abspath, request.values_of(option)):
                if option.cache == FILE or not os.path.isdir(path):
                    self._inputs.add_file(path)
                else:
                    self._inputs.add_tree(path, TREES[option.cache])
                if option.cache == HEADERS:
                    for other in (os.path.join(path, NULL_ARGS), *release_files(path)):
                        self._inputs.add_file(other)
        if request.kernel or not request.has_files:
            self._add_named(request.kernel)

    def _add_named(self, name: str | None) -> None:
        """Add what a kernel without files depends on. Whether there is a live one decides what None means."""
        if name is not None and os.path.isfile(path := split_catalog(name)[0]):
            self._inputs.add_file(os.path.abspath(path))
        else:
            self._inputs.add_named_state("live" if name in (None, "live") else "catalogs")
