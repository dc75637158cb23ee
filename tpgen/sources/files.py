"""Reading files of the user's: regular ones, whole, and none that is larger than what it can be."""

from __future__ import annotations

import errno
import os
import stat

from tpgen.diagnostics import fail, unreadable

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
        raise fail("unreadable", "cannot read: no such name of a file", path) from None


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
