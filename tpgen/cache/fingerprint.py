"""Fingerprints: values that change when a file, a tree of files or tpgen itself does, without reading contents.

Runs that find nothing to do take most of their time here, so this module imports next to nothing.
"""

from __future__ import annotations

import os
from stat import S_ISREG

from tpgen import __version__
from tpgen.paths import installed_directories

TYPE_CHECKING = False  # as in typing, whose import takes longer than all that is done here
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Of a file or a directory: size in bytes, inode, time of the content and of the inode in ns. Of a tree: one such tuple
#: made from those of all its files.
Stamp = tuple[int, int, int, int]
#: The stamp of a missing file.
MISSING: Stamp = (0, 0, 0, 0)
# Coarser than the clock of any file system: a younger file can change again without its times doing so.
_YOUNG_NS = 2_000_000_000


# --- stamps


def stamp_of(path: str) -> Stamp:
    """The stamp of a file or a directory, `MISSING` where there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return MISSING
    return found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns


def stamps_of(paths: Iterable[str], directory: int | None = None) -> bytes:
    """The stamps of files and directories, four 64-bit numbers each; relative to an open directory where one is given.

    The empty path is the directory itself.
    """
    from array import array

    # To look at all headers of a kernel is half of what a run does that finds nothing changed, so this calls nothing.
    look, numbers = os.stat, array("q")
    for path in paths:
        try:
            found = look(path or ".", dir_fd=directory)
            numbers.extend((found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns))
        except (OSError, ValueError):
            numbers.extend(MISSING)
    return numbers.tobytes()


def path_stamp(path: str) -> str:
    """The path with its stamp as text; the path alone where there is no such file."""
    try:
        return _with_stamp(path, os.stat(path))
    except OSError:
        return path


def _with_stamp(path: str, status: os.stat_result) -> str:
    return f"{path} {status.st_size} {status.st_ino} {status.st_mtime_ns} {status.st_ctime_ns}"


def tree_stamp(*roots: str, suffix: str = "") -> Stamp:
    """One stamp for all files below some directories whose names end so, in one of several ways between blanks.

    What Python compiled is left out.
    """
    size = inodes = changed = touched = 0
    for path in files_below(*roots, suffix=suffix):
        if (stamp := stamp_of(path)) != MISSING:
            size += stamp[0]
            inodes ^= hash(stamp)
            changed, touched = max(changed, stamp[2]), max(touched, stamp[3])
    return size, inodes, changed, touched


def files_below(*roots: str, suffix: str = "") -> Iterator[str]:
    """The files that a stamp of these directories depends on, in no order. Symbolic links to directories are not
    followed."""
    pending, endings = list(roots), tuple(suffix.split(" "))
    while pending:
        try:
            entries = os.scandir(pending.pop())
        except OSError:  # whoever reads it will say so
            continue
        with entries:
            for entry in entries:
                try:
                    is_directory = entry.is_dir()
                except OSError:  # a loop of symbolic links leads to nothing that could be read
                    continue
                if is_directory:
                    if entry.name not in ("__pycache__", ".git") and not entry.is_symlink():
                        pending.append(entry.path)
                elif entry.name.endswith(endings):
                    yield entry.path


def is_young(changed_ns: int, at_ns: int) -> bool:
    """Whether a file that was changed at one time could, at the other, still change without getting another stamp."""
    return changed_ns > at_ns - _YOUNG_NS


# --- contents


def digest(data: bytes | memoryview) -> bytes:
    """The SHA-256 of some bytes."""
    import hashlib

    return hashlib.sha256(data).digest()


def file_digest(path: str) -> str | None:
    """The SHA-256 of a regular file in hexadecimal, None where it cannot be read."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            return digest(file.read()).hex() if S_ISREG(os.fstat(file.fileno()).st_mode) else None
    except (OSError, ValueError):
        return None


# --- tpgen itself


def installation() -> str:
    """Fingerprint of the installation: version, interpreter, site-packages, stamps of tpgen's files."""
    import sys

    # Installing or removing any package changes the directory that it goes into.
    packages = [path for path in sys.path if path.endswith("-packages")]
    parts = [__version__, sys.version, *map(path_stamp, packages)]
    for directory in installed_directories():
        parts += sorted(_stamps_below(directory))
    return "\n".join(parts)


def _stamps_below(directory: str) -> list[str]:
    stamps, pending = [], [directory]
    for path in pending:
        with os.scandir(path) as found:
            for entry in found:
                if entry.is_dir():
                    if entry.name != "__pycache__":
                        pending.append(entry.path)
                    continue
                try:
                    stamps.append(_with_stamp(entry.path, entry.stat()))  # in half the time of a look at the path
                except OSError:  # a symbolic link to nowhere
                    stamps.append(entry.path)
    return stamps
