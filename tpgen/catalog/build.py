"""Building a catalog: kernels from package files, from sources or from other catalogs, added to one writer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from tpgen.basics.frozen import replace
from tpgen.catalog.write import CatalogWriter, info_of
from tpgen.diagnostics import Diagnostic, fail
from tpgen.kernel.request import KernelRequest
from tpgen.opening import Report, open_catalog, open_sources, with_drivers

if TYPE_CHECKING:
    from tpgen.catalog.schema import KernelInfo
    from tpgen.kernel.events import KernelEvents
    from tpgen.kernel.sources import Sources
    from tpgen.sources.packages import PackageContents


class Entry(NamedTuple):
    """A kernel for a catalog: that of `packages`, the .deb or .rpm files of one kernel, else the one of `request`.

    The request of packages may add headers, tracefs and an architecture. `name` is that in the catalog, by default the
    one that the kernel has in its own catalog, else its release. `distribution` is what no source tells.
    With `syscalls` the C files beside the headers are read for the system calls that they define, which takes seconds.
    """

    request: KernelRequest
    packages: tuple[str, ...] = ()
    name: str | None = None
    distribution: str | None = None
    syscalls: bool = False

    @property
    def directories(self) -> set[str]:
        """The directories that were given, and those of the files that were."""
        files = map(os.path.dirname, (*self.packages, *self.request.btf))
        return {path for path in (*self.request.headers, self.request.tracefs, *files) if path}


def add_kernel(writer: CatalogWriter, entry: Entry, report: Report) -> list[Diagnostic]:
    """Add a kernel to a catalog. `report` gets the notes for the user.

    Returns diagnostics about sources that could not be read, and that the catalog therefore does not have.

    Raises `TpgenError`: `usage` where the entry contradicts itself, and whatever opening the kernel raises.
    """
    info, kernel = _open(entry, report)
    writer.add(info, kernel, entry.directories)
    return [*kernel.broken_headers(), *kernel.unreadable(kernel.keys())]


def _open(entry: Entry, report: Report) -> tuple[KernelInfo, KernelEvents]:
    from tpgen.cache.kernel_identity import build_ids
    from tpgen.kernel.check import CheckedKernel

    if entry.packages:
        sources, release = _package_sources(entry)
    elif (known := open_catalog(entry.request, report)) is not None:
        info = replace(known.info, name=entry.name or known.info.name)
        if not entry.request.headers:
            return info, known
        sources_read = tuple(dict.fromkeys((*info.sources, "headers")))
        return replace(info, sources=sources_read), with_drivers(known, entry.request)
    else:
        sources, release = open_sources(entry.request, syscalls=entry.syscalls), None
    if entry.request.kernel == "live":
        sources = replace(sources, build_ids=build_ids())
    kernel = CheckedKernel(sources)
    info = info_of(sources, entry.name or "kernel", release, entry.distribution, kernel.build_ids().get(None))
    return replace(info, name=entry.name or info.release or info.name), kernel


def _package_sources(entry: Entry) -> tuple[Sources, str | None]:
    """The sources that are in packages and beside them, and the kernel's release."""
    from tpgen.sources.packages import read_packages

    if entry.request.btf or entry.request.kernel:
        raise fail("usage", "packages have their own BTF", hint="leave out --btf and --kernel")
    contents = read_packages(entry.packages)
    sources = open_sources(_with_contents(entry.request, contents), contents=contents.contents, syscalls=entry.syscalls)
    without_btf, build_ids = contents.modules_without_btf, contents.build_ids
    sources = replace(sources, modules_without_btf=without_btf, build_ids=build_ids)
    return sources, entry.request.release or contents.release


def _with_contents(request: KernelRequest, contents: PackageContents) -> KernelRequest:
    config = request.config or (contents.config if request.headers else None)
    return request._replace(btf=tuple(contents.btf), config=config, arch=request.arch or contents.arch)
