"""Opening the kernel of a request, for the command line, the build step and programs that import tpgen.

The one module that knows sources, cache and catalog.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Container, Iterable, Mapping, Sequence

from tpgen.basics.patterns import pattern
from tpgen.basics.typing import TYPE_CHECKING, NamedTuple
from tpgen.diagnostics import Diagnostic, Position, Severity, TpgenError, fail
from tpgen.kernel.options import PATH, options_of, split_catalog
from tpgen.kernel.request import KernelRequest
from tpgen.paths import live_kernel_askable
from tpgen.target import target_named

if TYPE_CHECKING:
    from tpgen.catalog.known_classes import KnownClasses
    from tpgen.catalog.read import Catalog, CatalogKernel
    from tpgen.catalog.with_drivers import KernelWithDrivers
    from tpgen.kernel.check import CheckedKernel
    from tpgen.kernel.comparison import Comparison
    from tpgen.kernel.events import EventKey, KernelEvents
    from tpgen.kernel.sources import HeaderOptions, Sources

#: What messages call the kernel that this machine runs.
LIVE_LABEL = "the running kernel"
# Two numbers, and whatever a vendor adds to them.
_RELEASE = pattern(r"[0-9]+\.[0-9]+[!-~]*")

#: Reports what a user should know about the kernel that was opened.
Report = Callable[[Diagnostic], None]


def open_kernel(request: KernelRequest, report: Report) -> KernelEvents:
    """Open the kernel of a request: from a catalog, from the cache or from its sources. Raises `TpgenError`."""
    if (catalog := open_catalog(request, report)) is not None:
        return with_drivers(catalog, request) if request.headers else catalog
    if request.has_files or request.no_cache:
        return open_checked(request)
    from tpgen.catalog.live_cache import CachingKernel, cached_kernel

    return cached_kernel(LIVE_LABEL) or CachingKernel(open_sources(request))


def open_kernels(requests: Iterable[KernelRequest], report: Report) -> dict[str, KernelEvents]:
    """Open the kernels of several requests with `open_kernel`, and name them with `apart`."""
    return apart((None, open_kernel(request, report)) for request in expanded(requests))


def on_hand(big_endian: Container[bool], arch: str | None = None) -> list[KernelRequest]:
    """Requests for all shipped kernels of these byte orders, and for the running one if it can be read.

    With `arch` only those of that architecture. Raises `unknown-arch`.
    """
    from tpgen.catalog.store import stored_kernels

    wanted = target_named(arch).arch if arch else None
    shipped = (item.info for item in stored_kernels()[0] if item.shipped)
    fitting = (info for info in shipped if info.target.big_endian in big_endian)
    found = [KernelRequest(info.name) for info in fitting if wanted in (None, info.target.arch)]
    is_own = (sys.byteorder == "big") in big_endian and (arch is None or _is_of_this_machine(arch))
    return [*found, KernelRequest("live")] if is_own and live_kernel_askable() else found


def open_fleet(names: Sequence[str], arch: str | None, report: Report) -> dict[str, KernelEvents]:
    """Open all kernels that match a name, like `--kernel`, oldest first; without a name all stored ones.

    With `arch` only those of that architecture. Kernels of one file share one opened catalog, and what is read from it.
    Files that cannot be read are reported, unless a name asks for them. Raises `TpgenError`.
    """
    from tpgen.catalog.read import Catalog
    from tpgen.catalog.store import located, stored_kernels

    if names:
        wanted = [each for name in names for each in ([(name, None)] if name == "live" else located(name, arch))]
    else:
        known, broken = stored_kernels()
        for fault in broken:
            report(fault)
        of_arch = target_named(arch).arch if arch else None
        wanted = [(item.path, item.info.name) for item in known if of_arch in (None, item.info.target.arch)]
    catalogs: dict[str, Catalog] = {}
    opened: list[tuple[str | None, KernelEvents]] = []
    for path, name in dict.fromkeys(wanted):
        if path == "live":
            opened.append(("live", open_kernel(KernelRequest("live", arch=arch), report)))
            continue
        if name is None:
            opened.append((None, open_stored(path, arch, report)))
            continue
        if path not in catalogs:
            catalogs[path] = Catalog(path)
        opened.append((None, catalogs[path].kernel(name)))
    if not opened:
        raise fail("unknown-kernel", f"no kernel is stored{f' for {arch}' if arch else ''}", hint="give --kernel")
    return apart(opened)


def open_by_name(requests: Iterable[KernelRequest], report: Report) -> dict[str, KernelEvents]:
    """Open the kernels of several requests, oldest first, by the names that a user would give to have them again.

    That is `live`, the name in a catalog, or the first of the files.
    """
    return apart((_named_by(request), open_kernel(request, report)) for request in expanded(requests))


def _named_by(request: KernelRequest) -> str | None:
    """The name of the kernel of a request; None if its catalog has the name."""
    if request.kernel is not None:
        return "live" if request.kernel == "live" else None
    if request.has_files:
        return next(path for option in options_of(PATH) for path in request.values_of(option))
    return "live" if live_kernel_askable() else None


def expanded(requests: Iterable[KernelRequest]) -> list[KernelRequest]:
    """The requests. A request that names several kernels, by a glob or a file, becomes one for each kernel.

    Each kernel is there once. Raises `unknown-kernel` if there is none, and errors about the file.
    """
    return list(dict.fromkeys(request._replace(kernel=name) for request in requests for name in _names(request)))


def _names(request: KernelRequest) -> Sequence[str | None]:
    """The names of the single kernels that the name in a request means."""
    if request.kernel in (None, "live"):
        return [request.kernel]
    from tpgen.catalog.store import names_of

    return names_of(request.kernel, request.arch)


def apart(opened: Iterable[tuple[str | None, KernelEvents]]) -> dict[str, KernelEvents]:
    """The kernels by unique names, each once: the given name, else that of the catalog, else the release.

    They are sorted by release, oldest first. Kernels whose release is unknown stay in their order.
    """
    kernels: dict[object, tuple[str, KernelEvents]] = {}
    for name, kernel in opened:
        kernels.setdefault(_identity(kernel), (name or _name_of(kernel), kernel))
    found = list(kernels.values())
    if len(found) > 1 and all(kernel.release for _, kernel in found):
        from tpgen.catalog.releases import age

        found.sort(key=lambda pair: (age(pair[1].release), pair[1].release, pair[0]))
    named: dict[str, KernelEvents] = {}
    for name, kernel in found:
        number = sum(other == name or other.startswith(f"{name} #") for other in named)
        named[f"{name} #{number + 1}" if number else name] = kernel
    return named


def _identity(kernel: KernelEvents) -> object:
    """The identity of a kernel: its place in a catalog, or that it is the running one."""
    if kernel.label == LIVE_LABEL:
        return LIVE_LABEL
    catalog: Catalog | None = getattr(kernel, "catalog", None)
    return id(kernel) if catalog is None else (os.path.realpath(catalog.path), kernel.label)


def _name_of(kernel: KernelEvents) -> str:
    """The name of a kernel among others. It contains nothing of this machine; labels of files have paths."""
    if kernel.label == LIVE_LABEL or not hasattr(kernel, "catalog"):
        return kernel.release or "unknown release"
    return kernel.label


def open_catalog(request: KernelRequest, report: Report) -> CatalogKernel | None:
    """Open the kernel from a catalog: if the name means one, or without a name if the running one cannot be read.

    None if sources are meant. Raises `TpgenError` if options contradict each other or have no effect,
    `unknown-kernel`, and errors about the catalog.
    """
    _refuse_useless(request)
    if request.kernel == "live" or (request.kernel is None and (request.has_files or live_kernel_askable())):
        return None
    from tpgen.catalog.store import newest_shipped

    if request.btf or request.tracefs:
        raise fail("usage", "--kernel NAME and files exclude each other", hint="give one or the other")
    if request.kernel is not None:
        return open_stored(request.kernel, request.arch, report)
    newest = newest_shipped(request.arch)
    if newest is None:
        return None
    message = f"neither BTF nor tracefs of a running kernel can be read here: this is {newest.info.name}"
    hint = "it is the newest that came with tpgen; --kernel picks another"
    report(Diagnostic("kernel-shipped", message, None, hint, Severity.NOTE))
    found = newest.open()
    found.is_stand_in = True
    return found


def open_stored(name: str, arch: str | None, report: Report) -> CatalogKernel:
    """The kernel of a catalog that `--kernel` means; for an image that of its build id, which is reported.

    Raises `TpgenError`: `unknown-kernel`, and what is wrong with the catalog.
    """
    from tpgen.catalog.store import open_named

    try:
        return open_named(name, arch)
    except TpgenError as error:
        if not _is_no_catalog(name, error) or (found := _of_image(name, report)) is None:
            raise
        return found


def _is_no_catalog(path: str, error: TpgenError) -> bool:
    """Whether an error says that this file is no catalog, not one of those that were searched for its name."""
    return any(each.code == "catalog-foreign" and each.position == Position(path) for each in error.diagnostics)


def _of_image(path: str, report: Report) -> CatalogKernel | None:
    """The stored kernel whose image is in a file, which is reported; None where none is."""
    from tpgen.catalog.store import by_image

    if (found := by_image(path)) is None:
        return None
    message = f"this image is not read: a catalog has the kernel of its build id, {found.info.name}"
    report(Diagnostic("kernel-image", message, Position(path), "--btf reads the image", Severity.NOTE))
    return found.open()


def with_drivers(catalog: CatalogKernel, request: KernelRequest) -> KernelWithDrivers:
    """The kernel of a catalog with the events of drivers, of which the request has the headers.

    Raises `TpgenError` `usage` for the headers of a kernel.
    """
    from tpgen.catalog.with_drivers import KernelWithDrivers
    from tpgen.kernel.sources import open_headers

    label = ", ".join((catalog.label, *request.headers))
    sources = open_headers(_header_options(request), catalog.target, label, catalog.release)
    assert sources.tree is not None
    if trees := [path for path in request.headers if path not in sources.tree.drivers]:
        message = f"--kernel and the headers of a kernel, {trees[0]}: a catalog has its own"
        raise fail("usage", message, hint="give one or the other; a driver's headers go with either")
    return KernelWithDrivers(catalog, sources)


def open_named(name: str, report: Report) -> KernelEvents:
    """The kernel that `--kernel NAME` means; a file that is no catalog is one with BTF, of vmlinux alone.

    An image without BTF is the stored kernel of its build id, which is reported.
    """
    if name == "live":
        return open_kernel(KernelRequest(kernel=name), report)
    from tpgen.catalog.store import open_named

    try:
        return open_named(name)
    except TpgenError as error:
        if not _is_no_catalog(name, error):
            raise
    try:
        return open_checked(KernelRequest(btf=(name,)))
    except TpgenError as error:
        can_be_asked = any(each.code != "image-no-btf" for each in error.diagnostics)
        if can_be_asked or (found := _of_image(name, report)) is None:
            raise
        return found


def kernel_names(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words before the first that does not name a kernel, and the others, which are patterns of events.

    A word that could be the name of an event means a kernel only if it is `live` or a stored kernel, not a file.
    """
    number = next((number for number, word in enumerate(words) if not _names_kernel(word)), len(words))
    return list(words[:number]), list(words[number:])


def _names_kernel(word: str) -> bool:
    from tpgen.catalog.store import is_stored

    return word == "live" or is_stored(word) or (not word.isidentifier() and os.path.isfile(split_catalog(word)[0]))


def open_checked(request: KernelRequest, join_live: bool = False) -> CheckedKernel:
    """Open the kernel from its sources. With `join_live`, headers alone are compared with the running one."""
    from tpgen.kernel.check import CheckedKernel

    return CheckedKernel(open_sources(request, join_live))


class Compared(NamedTuple):
    """Some events of a kernel, with the comparisons of its sources and the diagnostics of skipped headers."""

    kernel: KernelEvents
    keys: list[EventKey]
    comparisons: list[Comparison]
    skipped: Sequence[Diagnostic]


def compare_sources(request: KernelRequest, patterns: Sequence[str], module: str | None, report: Report) -> Compared:
    """Compare the sources of the kernel of a request, for the events that any of the patterns means.

    A catalog has its comparisons stored. Headers without other files are compared with the running kernel. For headers
    of a driver without a pattern, all of their events are compared, and a part that cannot be read is an error. Raises
    `TpgenError`.
    """
    catalog = open_catalog(request, report)
    if catalog is not None and not request.headers:
        keys = catalog.select_all(patterns, module)
        return Compared(catalog, keys, catalog.all_comparisons(keys), ())
    from tpgen.kernel.check import check_kernel
    from tpgen.sources.headers.left_out import placed

    kernel = with_drivers(catalog, request) if catalog else open_checked(request, join_live=True)
    headers, keys = kernel.sources.headers, kernel.select_all(patterns, module)
    skipped: Sequence[Diagnostic] = headers.skipped if headers else ()
    tree = kernel.sources.tree
    if tree is not None and tree.drivers:
        if list(patterns) == ["*"]:
            keys = [key for key in keys if kernel.header_forms(key)]
        skipped = [
            d._replace(severity=Severity.ERROR)
            if d.code in _UNREAD and d.position and tree.is_of_driver(d.position.path)
            else d
            for d in skipped
        ]
        if not keys and not any(d.severity == Severity.ERROR for d in skipped):
            hint = "; ".join((f"looked at: {tree.looked_at(kernel.target)}", *map(placed, kernel.left_out())))
            raise fail("unknown-event", f"no events in {', '.join(tree.roots)}", hint=hint)
    return Compared(kernel, keys, check_kernel(kernel, keys), skipped)


# What is wrong with a header of which something is left out or guessed.
_UNREAD = (
    "header-args-order", "header-field", "header-include-depth", "header-name", "header-open-condition",
    "header-parameter", "header-stray-directive", "header-unknown-macro",
)  # fmt: skip


def files_read(kernel: KernelEvents) -> Iterable[str]:
    """The files that the facts of a kernel's headers depend on, as far as they were read; none of one without."""
    sources: Sources | None = getattr(kernel, "sources", None)  # which a catalog has not
    tree = sources.tree if sources else None
    return tree.headers.dependencies() if tree else ()


def open_sources(
    request: KernelRequest,
    join_live: bool = False,
    contents: Mapping[str, bytes] | None = None,
    syscalls: bool = False,
) -> Sources:
    """Open the sources of a request; `contents` are the contents of files that are not on disk under their names.

    With `syscalls` the C files beside the headers are read too. Raises `TpgenError` if the sources contradict each
    other.
    """
    from tpgen.kernel.sources import open_files, open_live

    if request.kernel not in (None, "live"):
        raise fail("usage", "this command needs sources, and a catalog has none", hint="--kernel live, or give files")
    _refuse_useless(request)
    if request.kernel == "live" and (request.btf or request.tracefs):
        raise fail("usage", "--kernel live has its own BTF and tracefs", hint="leave out --btf and --tracefs")
    headers = _header_options(request)
    headers_alone = bool(request.headers) and not (request.btf or request.tracefs)
    join_live = join_live and headers_alone and live_kernel_askable()
    if request.kernel == "live" or (join_live and (request.arch is None or _is_of_this_machine(request.arch))):
        sources = open_live(headers, _known_classes(os.uname().release))
    elif request.has_files:
        given = (request.btf, request.tracefs, headers, request.arch)
        known = _known_classes(request.release, shipped_only=True)
        sources = open_files(*given, contents=contents or {}, syscalls=syscalls, known_classes=known)
    elif live_kernel_askable():
        sources = open_live(known_classes=_known_classes(os.uname().release))
    else:
        raise fail(
            "no-kernel",
            "the running kernel has no BTF that can be read",
            hint="give --btf, --tracefs, --headers or --kernel",
        )
    return sources


def _header_options(request: KernelRequest) -> HeaderOptions:
    from tpgen.kernel.sources import HeaderOptions

    return HeaderOptions(
        request.headers, request.config, request.macros(), request.release, use_cache=not request.no_cache
    )


def _refuse_useless(request: KernelRequest) -> None:
    """Raise `usage` for options without a meaning or an effect, `arch-mismatch` for one that this machine is not of."""
    check_release(request.release)
    for given, flag in ((request.config, "--config"), (request.defines, "-D"), (request.undefines, "-U")):
        if given and not request.headers:
            raise fail("usage", f"{flag} only affects --headers", hint="give --headers as well")
    is_live = request.kernel == "live" or (not (request.kernel or request.has_files) and live_kernel_askable())
    decides = request.has_files and (not request.kernel or (request.headers and not is_live))
    if request.release and not decides:
        named = f"kernel {request.kernel}" if request.kernel not in (None, "live") else LIVE_LABEL
        raise fail("usage", f"--release is for files, and {named} has its own release", hint="leave out --release")
    if request.arch and is_live and not _is_of_this_machine(request.arch):
        message = f"{LIVE_LABEL} is of {os.uname().machine}, not of {request.arch}"
        raise fail("arch-mismatch", message, hint=f"--kernel 6.12 --arch {request.arch} is another's")


def check_release(release: str | None) -> None:
    """Raise `usage` for a text that is not the release of a kernel."""
    if release is not None and not _RELEASE.fullmatch(release):
        hint = "as `uname -r` prints it: 6.12.107+deb13-amd64"
        raise fail("usage", f"{release!r} is not the release of a kernel", hint=hint)


def _is_of_this_machine(arch: str) -> bool:
    """Whether `arch` names the architecture of this machine. Raises `unknown-arch`."""
    target = target_named(arch)
    try:
        return target == target_named(os.uname().machine)
    except TpgenError:
        return False


def _known_classes(release: str | None, shipped_only: bool = False) -> KnownClasses:
    """The classes in the catalogs on hand, for a kernel of that release."""
    from tpgen.catalog.known_classes import KnownClasses

    return KnownClasses(release, shipped_only)
