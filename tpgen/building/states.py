"""Stamps: what changes when an input of a build does, had without reading the input.

Every no-op build takes all of them, so nothing here imports more than it must.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False  # as in typing, whose import is not worth it
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    #: Of a file: size in bytes, inode, time of the content and of the inode in ns. Of a tree: the same, of all files.
    Stamp: TypeAlias = list[int]

# Coarser than the clock of any file system: a younger file can change again without its times doing so.
_YOUNG_NS = 2_000_000_000


def file_stamp(path: str) -> Stamp | None:
    """The stamp of a file, None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns]


def is_young(stamp: Stamp) -> bool:
    """Whether what the stamp is of could still change without getting another one."""
    return max(stamp[2:]) > time.time_ns() - _YOUNG_NS


def tree_stamp(*roots: str, suffix: str = "") -> Stamp:
    """One stamp for all files below some directories whose names end so; what Python compiled is left out."""
    size = inodes = changed = touched = 0
    for path in files_below(*roots, suffix=suffix):
        if stamp := file_stamp(path):
            size += stamp[0]
            inodes ^= hash(tuple(stamp))
            changed, touched = max(changed, stamp[2]), max(touched, stamp[3])
    return [size, inodes, changed, touched]


def files_below(*roots: str, suffix: str = "") -> Iterator[str]:
    """The files that a stamp of these directories is of, in no order."""
    pending = list(roots)
    while pending:
        try:
            entries = os.scandir(pending.pop())
        except OSError:  # whoever reads it will say so
            continue
        with entries:
            for entry in entries:
                if entry.is_dir():
                    if entry.name not in ("__pycache__", ".git") and not entry.is_symlink():
                        pending.append(entry.path)
                elif entry.name.endswith(suffix):
                    yield entry.path


# --- what is no file


def states() -> dict[str, Callable[[], str | None]]:
    """By name, what else can decide about a build, and how to tell that it is another; None is never the same again."""
    from tpgen.cache.private_files import program

    return {"program": program, "live": _live, "catalogs": _catalogs}


def _live() -> str | None:
    """The running kernel. Where it cannot be read it is not used either."""
    from tpgen.cache.kernel_identity import identity

    return identity() or (None if os.access("/sys/kernel/btf/vmlinux", os.R_OK) else "not readable")


def _catalogs() -> str:
    """The user's catalogs. Those that travel with tpgen are part of the program."""
    from tpgen.cache.private_files import stamp_text
    from tpgen.paths import catalog_files, user_catalogs

    return "\n".join(map(stamp_text, catalog_files(user_catalogs())))


# --- contents


def digest(data: bytes) -> str:
    """The SHA-256 of some bytes in hexadecimal."""
    import hashlib

    return hashlib.sha256(data).hexdigest()


def file_digest(path: str) -> str | None:
    """The digest of what is in a file, None where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return digest(file.read())
    except OSError:
        return None
