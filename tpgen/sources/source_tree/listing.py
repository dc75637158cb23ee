"""The headers of a tree on disk, listed without reading any."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tpgen.cache.fingerprint import MISSING, Stamp, stamp_of
from tpgen.diagnostics import Diagnostic, fail, unreadable

# The directory under arch/ that has a target's headers.
_ARCH_DIRECTORIES = {
    "x86_64": "x86", "i386": "x86", "aarch64": "arm64", "arm": "arm", "riscv64": "riscv", "s390x": "s390",
}  # fmt: skip
# Of these, the directory under drivers/ is of that architecture alone.
_OWN_DRIVERS = frozenset(("s390", "parisc", "sh"))


@dataclass(slots=True)
class Listing:
    """The headers at or below `root`, sorted by path, and the directories that could not be read.

    `folders` are all directories that were searched, and `odd` is what is named like a header and is no file. `stamps`
    are those of all three, where they were asked for.
    """

    root: str
    paths: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    stamps: dict[str, Stamp] = field(default_factory=dict)
    skipped: list[Diagnostic] = field(default_factory=list)

    @property
    def directories(self) -> list[str]:
        """All directories with headers in or below them, without the root."""
        found: dict[str, None] = {}
        for directory in dict.fromkeys(map(os.path.dirname, self.paths)):
            while len(directory) > len(self.root) and directory not in found:
                found[directory] = None
                directory = os.path.dirname(directory)
        return list(found)


def is_directory(root: str) -> bool:
    """Return whether `root` is a directory; else it is one header. Raises `TpgenError` when it is neither."""
    try:
        mode = os.stat(root).st_mode
        if stat.S_ISDIR(mode):
            os.scandir(root).close()
        elif not stat.S_ISREG(mode):
            raise fail("unreadable", "neither a header nor a directory of headers", root)
    except OSError as error:
        raise unreadable(root, error) from None
    return stat.S_ISDIR(mode)


def list_headers(root: str, arch: str | None = None, with_stamps: bool = False) -> Listing:
    """List every header below the directory `root`.

    Of a kernel's arch/ only the directory of `arch` counts, where that is one that we know; all of it with None. The
    kernel may be the root or lie below it.
    """
    listing = Listing(root)
    listing.paths = sorted(_files(listing, ".h", _ARCH_DIRECTORIES.get(arch or ""), with_stamps))
    for path in listing.odd if with_stamps else ():
        listing.stamps[path] = stamp_of(path)
    return listing


def parents(path: str) -> Iterator[str]:
    """Yield all directories above a path, the nearest first."""
    path = os.path.abspath(path)
    while (above := os.path.dirname(path)) != path:
        yield above
        path = above


def is_of_other_arch(path: str, root: str, arch: str | None) -> bool:
    """Return whether a header of the kernel tree at `root` is of a driver that only another architecture has."""
    top, _, rest = path.removeprefix(os.path.join(root, "")).partition(os.sep)
    return top == "drivers" and rest.partition(os.sep)[0] in _OWN_DRIVERS.difference(
        [_ARCH_DIRECTORIES.get(arch or "")]
    )


def include_directories(root: str, arch: str | None) -> tuple[str, ...]:
    """Return the directories that `#include <…>` searches in the kernel that `root` is or lies in, in order."""
    kernel_arch = _ARCH_DIRECTORIES.get(arch or "")
    found: list[str] = []
    for base in (root, *parents(root)):
        include = os.path.join(base, "include")
        if not os.path.isdir(include):
            continue
        places = [include, os.path.join(include, "uapi")]
        if kernel_arch:
            own = os.path.join(base, "arch", kernel_arch, "include")
            places = [own, os.path.join(own, "generated"), include, os.path.join(own, "uapi")]
            places += [os.path.join(own, "generated", "uapi"), os.path.join(include, "uapi")]
            places.append(os.path.join(include, "generated", "uapi"))
        found += filter(os.path.isdir, places)
    return tuple(found)


_MOST_DIRECTORIES = 1024


def directories_below(root: str) -> list[str]:
    """List the directories below `root`, the nearer ones first, and of a very large tree no more than a driver has."""
    found = [root]
    for directory in found:
        if len(found) > _MOST_DIRECTORIES:
            break
        try:
            with os.scandir(directory) as entries:
                found += sorted(
                    e.path for e in entries if not e.name.startswith(".") and e.is_dir(follow_symlinks=False)
                )
        except OSError:
            continue
    return found[1:]


def list_files(root: str, suffix: str, arch: str | None, skipped: list[Diagnostic]) -> list[str]:
    """List every file below `root` with this suffix; of a kernel's arch/ only the directory of `arch`, where known."""
    return sorted(_files(Listing(root, skipped=skipped), suffix, _ARCH_DIRECTORIES.get(arch or "")))


def _files(listing: Listing, suffix: str, arch_directory: str | None, with_stamps: bool = False) -> Iterator[str]:
    """Yield the regular files below a root with this suffix. Directories behind symlinks are not entered."""
    pending = [listing.root]
    while pending:
        directory = pending.pop()
        listing.folders.append(directory)
        if with_stamps:
            listing.stamps[directory] = stamp_of(directory)
        inner: list[str] = []
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    if entry.name.endswith(suffix):
                        if _is_file(entry):
                            path = entry.path
                            if with_stamps:
                                listing.stamps[path] = _stamp(entry)
                            yield path
                        elif not entry.is_dir(follow_symlinks=False):
                            listing.odd.append(entry.path)
                    elif entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                        inner.append(entry.path)
        except OSError as error:
            listing.skipped.extend(unreadable(directory, error).diagnostics)
        pending += _entered(directory, inner, listing.root, arch_directory)


def _entered(directory: str, inner: Sequence[str], root: str, arch_directory: str | None) -> Iterable[str]:
    """Return those of the directories in `directory` that are searched: in a kernel, not all are."""
    kernel, name = os.path.split(directory)
    if name == "arch" and arch_directory is not None and _is_kernel(kernel, root):
        return [path for path in inner if os.path.basename(path) == arch_directory]
    tools = os.path.join(directory, "tools")
    # A kernel's tools/ is user space: stand-ins for the kernel's headers, and templates of headers.
    if tools in inner and os.path.join(directory, "arch") in inner and _is_kernel(directory, root):
        return [path for path in inner if path != tools]
    return inner


def _is_kernel(directory: str, root: str) -> bool:
    """Return whether a directory with an arch/ is a kernel's: the root, or one below it that has <linux/...> too."""
    is_root = os.path.join(directory, "") == os.path.join(root, "")
    return is_root or os.path.isdir(os.path.join(directory, "include", "linux"))


def _stamp(entry: os.DirEntry[str]) -> Stamp:
    try:
        found = entry.stat()
    except OSError:
        return MISSING
    return found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a loop of symlinks
        return False
