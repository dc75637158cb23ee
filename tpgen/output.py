"""Writing generated files: all or nothing, atomically, and only what changed."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Sequence

from tpgen.backends.base import GeneratedFile
from tpgen.diagnostics import TpgenError, fail


def write_files(directory: str, files: Sequence[GeneratedFile]) -> list[str]:
    """Write `files`, of distinct names, below `directory`; the paths that were really written are returned.

    Directories are made as needed. Every file is first written in full beside its place and only then renamed into it,
    so that a failure leaves what was there before. Raises `TpgenError` `unwritable`.
    """
    for parent in dict.fromkeys(os.path.dirname(os.path.join(directory, file.name)) for file in files):
        try:
            os.makedirs(parent, exist_ok=True)
        except OSError as error:
            raise _unwritable(parent, error) from None
    return _replace([(os.path.join(directory, file.name), file.data) for file in files])


def write_file(path: str, data: bytes) -> list[str]:
    """Write one file, atomically and only if it changes; a device or a pipe is written to. Raises `unwritable`."""
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        return _write_into(path, data)
    return _replace([(path, data)])


def _write_into(path: str, data: bytes) -> list[str]:
    """Write to what must not be replaced, such as /dev/null."""
    try:
        with open(path, "wb") as file:
            file.write(data)
    except OSError as error:
        raise _unwritable(path, error) from None
    return [path]


def _replace(contents: Sequence[tuple[str, bytes]]) -> list[str]:
    changed = [(path, data) for path, data in contents if not _holds(path, data)]
    staged: list[tuple[str, str]] = []
    path = ""
    try:
        for path, data in changed:
            # Not the symbolic link is replaced but what it leads to.
            staged.append((_stage(os.path.realpath(path), data), path))
        for temporary, path in staged:
            os.replace(temporary, os.path.realpath(path))
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        for temporary, _ in staged:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
    return [path for path, _ in changed]


def _stage(path: str, data: bytes) -> str:
    """`data` in a new file beside `path`, with the permissions that a plainly created file gets."""
    if os.path.isdir(path):  # found now and not halfway through the renaming
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    descriptor, temporary = tempfile.mkstemp(prefix=".tpgen-", dir=os.path.dirname(path) or ".")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
    except BaseException:  # whatever it was, Ctrl-C too, no half file stays
        os.unlink(temporary)
        raise
    return temporary


def _holds(path: str, data: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read() == data
    except OSError:
        return False


def _unwritable(path: str, error: OSError) -> TpgenError:
    return fail("unwritable", f"cannot write: {error.strerror or error}", path)
