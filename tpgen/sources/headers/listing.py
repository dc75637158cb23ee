"""The headers of a tree on disk, listed without reading any."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tpgen.diagnostics import Diagnostic, fail, unreadable
from tpgen.sources.headers.cache import Stamp, stamp

# The directory under arch/ that has a target's headers.
_ARCH_DIRECTORIES = {
    "x86_64": "x86", "i386": "x86", "aarch64": "arm64", "arm": "arm", "riscv64": "riscv", "s390x": "s390",
}  # fmt: skip


@dataclass(slots=True)
class Listing:
    """The headers at or below `root`, sorted by path, and the directories that could not be read.

    `is_directory` is False where the root is itself the only header. `stamps` are those of the headers, where they were
    asked for.
    """

    root: str
    is_directory: bool
    paths: list[str] = field(default_factory=list)
    stamps: dict[str, Stamp] = field(default_factory=dict)
    skipped: list[Diagnostic] = field(default_factory=list)

    @property
    def directories(self) -> list[str]:
        """All directories with headers in or below them, the root left out."""
        found: dict[str, None] = {}
        for directory in dict.fromkeys(map(os.path.dirname, self.paths)):
            while len(directory) > len(self.root) and directory not in found:
                found[directory] = None
                directory = os.path.dirname(directory)
        return list(found)


def list_headers(root: str, arch: str | None = None, with_stamps: bool = False) -> Listing:
    """Every header at or below `root`.

    Of a kernel's arch/ only the directory of `arch` counts, where that is one that we know; all of it with None.
    Raises `TpgenError` when `root` itself cannot be read.
    """
    try:
        mode = os.stat(root).st_mode
        listing = Listing(root, stat.S_ISDIR(mode))
        if listing.is_directory:
            os.scandir(root).close()
        elif not stat.S_ISREG(mode):
            raise fail("unreadable", "neither a header nor a directory of headers", root)
    except OSError as error:
        raise unreadable(root, error) from None
    if not listing.is_directory:
        listing.paths.append(root)
        return listing
    found = _files(root, ".h", _ARCH_DIRECTORIES.get(arch or ""), listing.skipped)
    entries = sorted(found, key=lambda entry: entry.path)
    listing.paths = [entry.path for entry in entries]
    for entry in entries if with_stamps else ():
        with contextlib.suppress(OSError):  # gone by now: that is noticed when it is read
            listing.stamps[entry.path] = stamp(entry.stat())
    return listing


def include_directories(root: str, arch: str | None) -> tuple[str, ...]:
    """Where the kernel that `root` is, or lies in, keeps the headers that `#include <…>` names; the first one first."""
    kernel_arch = _ARCH_DIRECTORIES.get(arch or "")
    found: list[str] = []
    for base in (root, *map(str, Path(os.path.abspath(root)).parents)):
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


def list_files(root: str, suffix: str, arch: str | None, skipped: list[Diagnostic]) -> list[str]:
    """Every file below `root` that is named so; of a kernel's arch/ only the directory of `arch`, where known."""
    return sorted(entry.path for entry in _files(root, suffix, _ARCH_DIRECTORIES.get(arch or ""), skipped))


def _files(root: str, suffix: str, arch_directory: str | None, skipped: list[Diagnostic]) -> Iterator[os.DirEntry[str]]:
    """The regular files below `root` that are named so. Directories behind symlinks are not entered."""
    arch = os.path.join(root, "arch")
    # A kernel's tools/ is user space: stand-ins for the kernel's headers, and templates of headers.
    tools = os.path.join(root, "tools") if os.path.isdir(arch) else None
    pending = [root]
    while pending:
        directory = pending.pop()
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    if entry.name.endswith(suffix):
                        if _is_file(entry):
                            yield entry
                    elif entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                        foreign = directory == arch and arch_directory not in (None, entry.name)
                        if not foreign and entry.path != tools:
                            pending.append(entry.path)
        except OSError as error:
            skipped.extend(unreadable(directory, error).diagnostics)


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a loop of symlinks
        return False
