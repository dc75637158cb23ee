"""Writing generated files: all or nothing, atomically, and only what changed."""

from __future__ import annotations

import contextlib
import errno
import os
from collections import deque
from collections.abc import Iterable, Iterator

from tpgen.diagnostics import TpgenError, fail

TYPE_CHECKING = False  # as in typing, which a run that finds its output in the cache goes without
if TYPE_CHECKING:
    from typing import TypeAlias

    #: The bytes of a file.
    Data: TypeAlias = bytes | memoryview


def write_files(directory: str, files: Iterable[tuple[str, Data]]) -> list[str]:
    """Write files, of distinct names, below `directory`; return the paths of those that changed.

    Directories are made as needed. The files may be made as they are taken: one is in memory at a time. Every file is
    first written in full beside its place and only then renamed into it, so that a failure, theirs too, leaves what was
    there before. Raises `TpgenError` `unwritable`.
    """
    made: list[str] = []
    try:
        return _replace(_with_places(directory, files, made))
    except BaseException:
        for path in reversed(made):
            with contextlib.suppress(OSError):
                os.rmdir(path)
        raise


def _with_places(
    directory: str, files: Iterable[tuple[str, Data]], made: list[str]
) -> Iterator[tuple[str, Data, bool]]:
    """Yield the path of each file, its content, and whether there is something at that path.

    The directories that are made for them are added to `made`.
    """
    listed: dict[str, set[str]] = {}
    for name, data in files:
        path = os.path.join(directory, name)
        parent, base = os.path.split(path)
        if parent not in listed:
            try:
                _make_directory(parent, made)
                listed[parent] = set(os.listdir(parent))
            except OSError as error:
                raise _unwritable(parent, error) from None
        yield path, data, base in listed[parent]


def _make_directory(path: str, made: list[str]) -> None:
    """Make a directory and those above it, as far as they are missing."""
    missing, above = [], path
    while above and not os.path.exists(above):
        missing.append(above)
        above = os.path.dirname(above)
    made += reversed(missing)
    os.makedirs(path, exist_ok=True)


def write_file(path: str, data: bytes) -> list[str]:
    """Write one file, atomically and only if it changes; a device or a pipe is written to. Raises `unwritable`."""
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        return _write_into(path, data)
    return _replace([(path, data, True)])


def _write_into(path: str, data: bytes) -> list[str]:
    """Write to what must not be replaced, such as /dev/null."""
    try:
        with open(path, "wb") as file:
            file.write(data)
    except OSError as error:
        raise _unwritable(path, error) from None
    return [path]


def _replace(contents: Iterable[tuple[str, Data, bool]]) -> list[str]:
    """Put each content at its path, except where the same is there already; return the paths of the others.

    False means that there is nothing at the path, True that there may be.
    """
    changed: list[str] = []
    # Nobody else's: several of us may be at work in a directory.
    prefix = f".tpgen-{os.urandom(8).hex()}-"
    staged: deque[tuple[str, str, str]] = deque()
    path = ""
    try:
        for path, data, there in contents:
            if there and _holds(path, data):
                continue
            place = _place(path) if there else path
            temporary = os.path.join(os.path.dirname(place), f"{prefix}{len(staged)}")
            changed.append(path)
            staged.append((temporary, place, path))
            _write(temporary, data)
        while staged:
            temporary, place, path = staged[0]
            os.replace(temporary, place)
            staged.popleft()
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:  # whatever it was, Ctrl-C too, no half file stays
        for temporary, _, _ in staged:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
    return changed


def _write(path: str, data: Data) -> None:
    """Write a new file, in as few system calls as there can be: a kernel has thousands of headers."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)


def _place(path: str) -> str:
    """The path to replace: not a symbolic link but its target. Raises `OSError` for a directory."""
    place = os.path.realpath(path) if os.path.islink(path) else path
    if os.path.isdir(place):  # found now and not halfway through the renaming
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return place


def _holds(path: str, data: Data) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read() == data
    except OSError:
        return False


def _unwritable(path: str, error: OSError) -> TpgenError:
    return fail("unwritable", f"cannot write: {error.strerror or error}", path)
