"""The store of catalogs: the shipped ones and those that the user added, found by the value of `--kernel`.

`6.12` is a release, as far as it is written: the newest 6.12 for this machine's architecture. `debian-6.12-arm64` asks
for a distribution and an architecture as well. A name that the user gave, or a whole release, says it exactly. What is
short of that means a kernel that travels with tpgen, if there is one, whatever the user added.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence

from tpgen.basics.frozen import frozen
from tpgen.cache.private_files import make_directory
from tpgen.catalog.collection.images import build_id_of, has_build_id, is_build_id
from tpgen.catalog.collection.names import kernels_in
from tpgen.catalog.read import Catalog, CatalogKernel
from tpgen.catalog.releases import NUMBERS, age, release_numbers
from tpgen.catalog.schema import KernelInfo
from tpgen.diagnostics import Diagnostic, TpgenError, fail, nearest
from tpgen.kernel.options import CATALOG_SUFFIX, split_catalog
from tpgen.kernel.request import is_glob
from tpgen.paths import shipped_catalogs, user_catalogs
from tpgen.target import target_named

# What a catalog may be called: more would be a path, an option or a riddle.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+~-]{0,99}")


@frozen
class StoredKernel:
    """A kernel in a catalog file with its number of events; `shipped` is set if it comes with tpgen."""

    info: KernelInfo
    path: str
    shipped: bool
    events: int = 0

    def open(self) -> CatalogKernel:
        """Open its file and return the kernel. Raises `TpgenError` where the file is not what it was."""
        return Catalog(self.path).kernel(self.info.name)


def stored_kernels() -> tuple[list[StoredKernel], list[Diagnostic]]:
    """All stored kernels, the user's first, and what is wrong with files that cannot be read."""
    users, their_faults = _kernels_in(user_catalogs(), shipped=False)
    shipped, our_faults = _shipped()
    return [*users, *shipped], [*their_faults, *our_faults]


def _shipped() -> tuple[list[StoredKernel], list[Diagnostic]]:
    return _kernels_in(shipped_catalogs(), shipped=True)


def _kernels_in(directory: str | None, shipped: bool) -> tuple[list[StoredKernel], list[Diagnostic]]:
    held, broken = kernels_in(directory)
    return [StoredKernel(kernel.info, kernel.path, shipped, kernel.events) for kernel in held], broken


def make_user_directory() -> None:
    """Make the directory for the user's own catalogs. Raises `unwritable`."""
    directory = user_catalogs()
    assert directory is not None
    try:
        make_directory(directory)
    except OSError as error:
        raise fail("unwritable", f"cannot write: {error.strerror or error}", directory) from None


def path_of(name: str) -> str:
    """The path of the user's catalog of that name, whether it exists or not.

    Raises `usage` for what is no name, or one by which `--kernel` means a kernel that travels with tpgen.
    """
    directory = user_catalogs()
    if directory is None:
        raise fail("usage", "no home directory to store catalogs in", hint="set XDG_DATA_HOME")
    check_name(name)
    for item in _shipped()[0]:
        if name == item.info.name or _fits(item.info, name, None):
            message = f"{name!r} means {item.info.name}, which is a shipped kernel"
            raise fail("usage", message, hint=f"give it a name of its own, such as my-{name}")
    return os.path.join(directory, f"{name}{CATALOG_SUFFIX}")


def check_name(name: str) -> None:
    """Raise `usage` for what cannot be the name of a kernel in a catalog."""
    if not _NAME.fullmatch(name) or name == "live" or name.endswith(CATALOG_SUFFIX):
        raise fail("usage", f"{name!r} cannot be a catalog's name", hint="letters, digits and `_.+~-`")


# --- which is meant


def names_of(wanted: str, arch: str | None = None) -> list[str]:
    """The names of the single kernels that `--kernel` means, oldest first: of a glob, of a file of several, or itself.

    Of several those count that are of the architecture, where one is given. Raises `unknown-kernel` where none is left,
    and what is wrong with the file.
    """
    path, pattern = split_catalog(wanted)
    if path.endswith(CATALOG_SUFFIX):
        return _names_in(path, pattern, arch)
    if not is_glob(wanted) or os.path.exists(wanted):
        return [wanted]
    known, broken = stored_kernels()
    found = _like(wanted, arch, (item.info for item in known))
    if not found and broken:
        raise TpgenError(*broken)
    if not found:
        raise fail("unknown-kernel", f"no kernel is called {wanted!r}{_for(arch)}", hint=_known(wanted, known))
    return found


def _names_in(path: str, pattern: str | None, arch: str | None) -> list[str]:
    catalog = Catalog(path)
    kernels = catalog.kernels
    catalog.file.close()
    if pattern is None and len(kernels) == 1:
        return [path]
    found = _like(pattern or "*", arch, kernels)
    if not found:
        called = f" is called {pattern!r}" if pattern else ""
        hint = f"it has {', '.join(info.name for info in kernels) or 'none'}"
        raise fail("unknown-kernel", f"no kernel in this catalog{called}{_for(arch)}", path, hint)
    return [f"{path}:{name}" for name in found]


def _like(pattern: str, arch: str | None, kernels: Iterable[KernelInfo]) -> list[str]:
    """The names of those that are called so, and of that architecture if one is given, oldest first."""
    from fnmatch import fnmatchcase

    wanted = target_named(arch).arch if arch else None
    found = [info for info in kernels if fnmatchcase(info.name, pattern) and wanted in (None, info.target.arch)]
    found.sort(key=lambda info: (age(info.release), info.name))
    return list(dict.fromkeys(info.name for info in found))


def _for(arch: str | None) -> str:
    return f" for {arch}" if arch else ""


def open_named(wanted: str, arch: str | None = None) -> CatalogKernel:
    """The kernel that `--kernel` means: a catalog file, or a stored one, for this machine unless `arch` names another.

    Raises `TpgenError`: `unknown-kernel`, and what `Catalog` raises.
    """
    path, name = split_catalog(wanted)
    if os.sep in path or path.endswith(CATALOG_SUFFIX):
        return Catalog(path).kernel(name)
    of_arch = target_named(arch).arch if arch else machine()
    if (found := best_shipped(wanted, _shipped()[0], of_arch)) is not None:  # the user's may be thousands
        return found.open()
    if (own := _in_file_of_its_name(wanted)) is not None:
        return own
    known, broken = stored_kernels()
    if (found := best(wanted, known, of_arch)) is not None:
        return found.open()
    if os.path.isfile(wanted):
        return Catalog(wanted).kernel()
    if broken:  # it may have been in one of these
        raise TpgenError(*broken)
    raise fail("unknown-kernel", f"no kernel {wanted!r}", hint=_known(wanted, known))


def by_image(path: str) -> StoredKernel | None:
    """The stored kernel whose image, or one of the same build id, is in a file; None where none is."""
    build_id = build_id_of(path)
    return best(build_id, stored_kernels()[0], None) if build_id else None


def _in_file_of_its_name(name: str) -> CatalogKernel | None:
    """The user's kernel of that name in the file where `catalog add` stores it; no other file is read."""
    directory = user_catalogs()
    if directory is None or not _NAME.fullmatch(name):
        return None
    try:
        return Catalog(os.path.join(directory, f"{name}{CATALOG_SUFFIX}")).kernel(name)
    except TpgenError:  # which is told where no other file has it
        return None


def located(wanted: str, arch: str | None = None) -> list[tuple[str, str | None]]:
    """The files of the kernels that `--kernel` means, maybe several by a glob, and their names in them.

    The name is None for the only kernel of a file. Raises as `names_of` and `open_named` do.
    """
    path = split_catalog(wanted)[0]
    if path.endswith(CATALOG_SUFFIX) or (os.sep in path and not is_glob(path)):
        found = names_of(wanted, arch) if path.endswith(CATALOG_SUFFIX) else [wanted]
        return [split_catalog(name) for name in found]
    known, broken = stored_kernels()
    if is_glob(wanted):
        names = _like(wanted, arch, (item.info for item in known))
        items = [item for item in known if item.info.name in names]
    else:
        of_arch = target_named(arch).arch if arch else machine()
        items = [item for item in (best(wanted, known, of_arch),) if item is not None]
    if items:
        return [(item.path, item.info.name) for item in items]
    if os.path.isfile(wanted):
        return [(wanted, None)]
    if broken:
        raise TpgenError(*broken)
    raise fail("unknown-kernel", f"no kernel is called {wanted!r}{_for(arch)}", hint=_known(wanted, known))


def is_stored(wanted: str) -> bool:
    """Whether a name means a stored kernel, of whichever architecture."""
    known = (item.info for item in stored_kernels()[0])
    return any(
        wanted in (info.name, info.release) or _fits(info, wanted, None) or has_build_id(info, wanted) for info in known
    )


def listed(known: Sequence[StoredKernel], patterns: Sequence[str]) -> list[StoredKernel]:
    """The kernels of `known` that any pattern means, in their order; all without one.

    A pattern is a glob or a name, a release as far as it is written, the build id of an image or of a module, or the
    file of one. Raises `unknown-kernel` for one that means none.
    """
    chosen: list[StoredKernel] = []
    for pattern in patterns:
        found = _listed(known, pattern)
        if not found:
            names = (item.info.name for item in known)
            hint = nearest(pattern, names, "`tpgen catalog list` lists all", cutoff=0.7)
            raise fail("unknown-kernel", f"no kernel is called {pattern!r}", hint=hint)
        chosen += found
    return [item for item in known if item in chosen] if patterns else list(known)


def _listed(known: Sequence[StoredKernel], pattern: str) -> list[StoredKernel]:
    from fnmatch import fnmatchcase

    if os.sep in pattern:
        pattern = build_id_of(pattern) or pattern
    if is_build_id(pattern):
        return [item for item in known if has_build_id(item.info, pattern)] or [
            item for item in known if any(found.startswith(pattern) for found in item.open().build_ids().values())
        ]
    return [
        item
        for item in known
        if fnmatchcase(item.info.name, pattern) or pattern == item.info.release or _fits(item.info, pattern, None)
    ]


def _known(wanted: str, known: Iterable[StoredKernel]) -> str:
    from fnmatch import fnmatchcase

    known = list(known)
    names = [item.info.name for item in known]
    elsewhere = [name for item, name in zip(known, names, strict=True) if _fits(item.info, wanted, None)]
    if elsewhere := elsewhere or [name for name in names if fnmatchcase(name, wanted)]:
        return f"for another architecture there is {', '.join(elsewhere)}"
    otherwise = "live is the running one, and `tpgen catalog list` lists the others"
    return nearest(wanted, ["live", *names], otherwise, cutoff=0.7)


def best(wanted: str, known: Iterable[StoredKernel], arch: str | None) -> StoredKernel | None:
    """The kernel that fits `wanted` best: a shipped one where one fits, else of that name or release, else the newest.

    So nothing that the user adds changes what a name of a shipped kernel means. Of equals the user's own is meant.
    """
    known = list(known)
    shipped = [item for item in known if item.shipped]
    return best_shipped(wanted, shipped, arch) or _newest(
        [item for item in known if item.info.name == wanted],
        [item for item in known if item.info.release == wanted],
        [item for item in known if _fits(item.info, wanted, arch or "")],
        [item for item in known if has_build_id(item.info, wanted)],
    )


def best_shipped(wanted: str, shipped: Sequence[StoredKernel], arch: str | None) -> StoredKernel | None:
    """The shipped kernel that `wanted` means, regardless of the user's own."""
    return _newest(
        [item for item in shipped if item.info.name == wanted],
        [item for item in shipped if _fits(item.info, wanted, arch or "")],
        [item for item in shipped if has_build_id(item.info, wanted)],
    )


def _newest(*choices: list[StoredKernel]) -> StoredKernel | None:
    fitting = next(filter(None, choices), [])
    return max(fitting, key=_age, default=None)


def _age(item: StoredKernel) -> tuple[tuple[object, ...], int, bool]:
    """Sort key by age, greatest for the newest; of one release that is the plain flavour, whose name says least."""
    release = item.info.release
    return age(release), -(release or "").count("-"), not item.shipped


def _fits(info: KernelInfo, wanted: str, arch: str | None) -> bool:
    """Whether a kernel is what [DISTRIBUTION-]RELEASE[-ARCH] asks for; `arch` is that of a request that names none.

    With None, that may be any.
    """
    rest, _, last = wanted.rpartition("-")
    if rest and (named := _arch(last)) is not None:
        wanted, arch = rest, named
    first, _, rest = wanted.partition("-")
    distribution, wanted = (first, rest) if rest and not first[0:1].isdigit() else (None, wanted)
    if not NUMBERS.fullmatch(wanted) or distribution not in (None, info.distribution):
        return False
    numbers = release_numbers(wanted)
    return arch in (None, info.target.arch) and release_numbers(info.release)[: len(numbers)] == numbers


def newest_shipped(arch: str | None = None) -> StoredKernel | None:
    """The newest shipped kernel: for `arch`, else for this machine, else for x86_64."""
    shipped = _shipped()[0]
    for wanted in (target_named(arch).arch,) if arch else (machine(), "x86_64"):
        fitting = [item for item in shipped if item.info.target.arch == wanted]
        if fitting:
            return max(fitting, key=_age)
    return None


def machine() -> str | None:
    """The architecture of this machine as a `Target` calls it; None where tpgen does not know it."""
    return _arch(os.uname().machine)


def _arch(name: str) -> str | None:
    try:
        return target_named(name).arch
    except TpgenError:
        return None
