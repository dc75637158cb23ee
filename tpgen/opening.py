"""Which kernel somebody means, and opening it: for the command line, the build step and programs that import tpgen."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from tpgen.diagnostics import Diagnostic, Severity, TpgenError, fail

if TYPE_CHECKING:
    from tpgen.catalog.read import CatalogKernel
    from tpgen.kernel.check import CheckedKernel
    from tpgen.kernel.events import KernelEvents
    from tpgen.kernel.sources import Sources

#: What messages call the kernel that this machine runs.
LIVE_LABEL = "the running kernel"

#: Is told what a user should know about the kernel that was opened.
Tell = Callable[[Diagnostic], None]


class Where(NamedTuple):
    """The kernel that is meant: a name (live, 6.12, a catalog file), or files; the options of these names say more.

    Without any it is the running one, or else the newest that came with tpgen.
    """

    kernel: str | None = None
    btf: tuple[str, ...] = ()
    tracefs: str | None = None
    headers: str | None = None
    config: str | None = None
    arch: str | None = None
    use_cache: bool = True

    @property
    def has_files(self) -> bool:
        return bool(self.btf or self.tracefs or self.headers or self.config)


def open_kernel(where: Where, tell: Tell) -> KernelEvents:
    """The kernel from a catalog, from the cache or from its sources. Raises `TpgenError`."""
    if (catalog := open_catalog(where, tell)) is not None:
        return catalog
    if where.has_files or not where.use_cache:
        return open_checked(where)
    from tpgen.catalog.live_cache import kept_kernel

    if (kept := kept_kernel(LIVE_LABEL)) is not None:
        return kept
    from tpgen.catalog.keep import KeptKernel

    return KeptKernel(open_sources(where))


def open_catalog(where: Where, tell: Tell) -> CatalogKernel | None:
    """The kernel from a catalog where a name says one, or where nothing says any and none can be asked.

    None where sources are meant. Raises `TpgenError` where they contradict each other, `unknown-kernel`, and what is
    wrong with the catalog.
    """
    if where.kernel == "live" or (where.kernel is None and (where.has_files or _live_kernel_readable())):
        return None
    from tpgen.catalog.store import newest_shipped, open_named

    if where.has_files:
        raise fail("usage", "--kernel and files: a catalog has its own", hint="give one or the other")
    if where.kernel is not None:
        return open_named(where.kernel, where.arch)
    newest = newest_shipped(where.arch)
    if newest is None:
        return None
    message = f"no BTF of a running kernel here: this is {newest.info.name}, the newest that came with tpgen"
    tell(Diagnostic("kernel-shipped", message, None, "--kernel picks another", Severity.NOTE))
    return newest.open()


def open_named(name: str, tell: Tell) -> KernelEvents:
    """The kernel of a name as for `Where.kernel`; a file that is no catalog is one with BTF, of vmlinux alone."""
    try:
        return open_kernel(Where(kernel=name), tell)
    except TpgenError as error:
        if [diagnostic.code for diagnostic in error.diagnostics] != ["catalog-foreign"]:
            raise
    return open_checked(Where(btf=(name,)))


def open_checked(where: Where, join_live: bool = False) -> CheckedKernel:
    """The same, but one whose sources are at hand. With `join_live`, headers alone are held against the running one."""
    from tpgen.kernel.check import CheckedKernel

    return CheckedKernel(open_sources(where, join_live))


def open_sources(where: Where, join_live: bool = False, contents: Mapping[str, bytes] | None = None) -> Sources:
    """The opened sources; `contents` are those of files that are not on disk under their names.

    Raises `TpgenError` where they contradict each other or are broken.
    """
    from tpgen.kernel.sources import live_kernel_readable, open_files, open_live

    if where.kernel not in (None, "live"):
        raise fail("usage", "this needs sources, and a catalog has none", hint="--kernel live, or give files")
    if where.config and not where.headers:
        raise fail("usage", "--config decides what of --headers counts", hint="give --headers as well")
    if where.kernel == "live" and (where.btf or where.tracefs):
        raise fail("usage", "--kernel live has its own BTF and tracefs", hint="leave --btf and --tracefs away")
    headers_alone = where.headers is not None and not (where.btf or where.tracefs)
    if where.kernel == "live" or (join_live and headers_alone and live_kernel_readable()):
        sources = open_live(where.headers, where.config, where.use_cache)
    elif where.has_files:
        given = (where.btf, where.tracefs, where.headers, where.config, where.arch)
        sources = open_files(*given, use_cache=where.use_cache, contents=contents or {})
    elif live_kernel_readable():
        sources = open_live()
    else:
        raise fail("no-kernel", "no BTF of a running kernel here", hint="give --btf, --tracefs, --headers or --kernel")
    broken = [d for d in sources.headers.skipped if d.severity == Severity.ERROR] if sources.headers else []
    if broken:
        raise TpgenError(*broken)
    return sources


def _live_kernel_readable() -> bool:
    return os.access("/sys/kernel/btf/vmlinux", os.R_OK)
