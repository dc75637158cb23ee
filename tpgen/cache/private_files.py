"""Private files: caches of this user, which are trusted and so must not be writable for anybody else.

A run that finds its output here must be quick, so this module imports next to nothing.
"""

from __future__ import annotations

import os
import stat

from tpgen.paths import cache_directory

TYPE_CHECKING = False  # as in typing, whose import takes longer than all that is done here
if TYPE_CHECKING:
    from collections.abc import Callable


class PrivateFiles:
    """A directory of small files in this user's cache directory, or at `directory`, of which the `most` newest stay.

    None of them is larger than `biggest` bytes. Every method raises `OSError` for whatever is in the way; a cache does
    without.
    """

    def __init__(self, name: str, most: int, biggest: int, directory: str | None = None) -> None:
        self.directory = directory or cache_directory(name)
        self._most = most
        self._biggest = biggest

    def path(self, name: str) -> str:
        """The path of the file of that name. Raises `OSError` where this user has no cache directory."""
        if self.directory is None:
            raise OSError("no cache directory of this user")
        return os.path.join(self.directory, name)

    def read(self, name: str) -> bytes:
        """Read a file that this user alone can have written. Raises `OSError`."""
        path = self.path(name)
        if not is_own(os.lstat(os.path.dirname(path)), stat.S_ISDIR):
            raise OSError("not this user's own directory")
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not is_own(status, stat.S_ISREG) or status.st_size > self._biggest:
                raise OSError("not a file of this user's own")
            return file.read()

    def write(self, name: str, *content: bytes) -> None:
        """Put a file in place at once: who reads meanwhile finds the old one or the new one. Raises `OSError`."""
        temporary = self.new(name)
        try:
            with open(temporary, "wb") as file:
                file.writelines(content)
            self.place(temporary, name)
        except BaseException:
            discard(temporary)
            raise

    def new(self, name: str) -> str:
        """Make an empty file, to be filled and then put in place under `name`; return its path. Raises `OSError`."""
        import time

        path = self.path(name)
        _make_directory(os.path.dirname(path))
        temporary = f"{path}.{os.getpid()}.{time.monotonic_ns()}.tmp"
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        return temporary

    def place(self, temporary: str, name: str) -> None:
        """Rename a file that `new` made to its name. Raises `OSError`."""
        os.replace(temporary, self.path(name))
        self._remove_oldest()

    def _remove_oldest(self) -> None:
        assert self.directory is not None
        with os.scandir(self.directory) as found:
            entries = sorted(
                ((entry.stat(follow_symlinks=False).st_mtime_ns, entry.path) for entry in found), reverse=True
            )
        for _, path in entries[self._most :]:
            discard(path)


def discard(path: str) -> None:
    """Remove a file, if that can be done."""
    try:  # noqa: SIM105  # contextlib takes longer to import than all of this module
        os.unlink(path)
    except OSError:
        pass


def _make_directory(path: str) -> None:
    """Make a directory, and those above it, for this user only. Raises `OSError` for one that others can write to."""
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    try:  # noqa: SIM105
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    if not is_own(os.lstat(path), stat.S_ISDIR):
        raise OSError("the cache directory is not this user's own")


def is_own(status: os.stat_result, is_kind: Callable[[int], bool]) -> bool:
    """Whether a file is of the expected kind, this user's, and not writable for anybody else."""
    return is_kind(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022
