"""Reading files of the user's: regular ones, whole, none larger than what it can be; and mapping the kernel's."""

from __future__ import annotations

import errno
import os
import stat

from tpgen.diagnostics import fail, unreadable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mmap import mmap

_PIECE = 1 << 16


def read_bytes(path: str, limit: int) -> bytes:
    """The contents of a regular file; those of procfs and tracefs are, too, and come in short pieces.

    Raises `TpgenError` `unreadable`, also for a pipe, a device or a file of more than `limit` bytes: reading those
    could take forever, or all memory.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # does not wait for a pipe's writer
        try:
            return _read(descriptor, path, limit)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise unreadable(path, error) from None
    except ValueError:  # a NUL in the path
        raise fail("unreadable", "cannot read: not a valid file name", path) from None


def _read(descriptor: int, path: str, limit: int) -> bytes:
    status = os.fstat(descriptor)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise fail("unreadable", "cannot read: not a regular file", path)
    pieces, length = [], 0
    wanted = max(_PIECE, min(status.st_size, limit) + 1)
    # A file that states its size is read in one piece, if the kernel gives more than a page at once: sysfs does not.
    while piece := os.read(descriptor, wanted):
        wanted = _PIECE
        pieces.append(piece)
        length += len(piece)
        if length > limit:
            raise fail("unreadable", f"cannot read: more than {limit >> 20} MiB", path)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def mapped(path: str) -> mmap | None:
    """The memory of a file that the kernel lets be mapped, which nobody changes; None where it does not.

    sysfs gives a page for each read, and lets the BTF of vmlinux be mapped since Linux a539e2a6d51d ("btf: Allow mmap
    of vmlinux btf") (in v6.16).
    """
    from mmap import MAP_PRIVATE, PROT_READ, mmap

    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return mmap(descriptor, 0, MAP_PRIVATE, PROT_READ)
        finally:
            os.close(descriptor)
    except (OSError, ValueError):  # which reading it tells, or does without
        return None
