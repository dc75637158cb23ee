"""Private files: caches of this user, which are trusted and so must not be writable for anybody else.

A run that finds its output here must be quick, so this module imports next to nothing.
"""

from __future__ import annotations

import os
import stat
import time

from tpgen.paths import cache_directory

TYPE_CHECKING = False  # as in typing, whose import takes longer than all that is done here
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


# The ending of what is being written, and how long that may take at most.
_TEMPORARY, _LEFT_SECONDS = ".tmp", 86_400
# How exactly it is known when a file was last used.
_USED_SECONDS = 3600
# What versions before 0.1 called the directory of outputs.
_FORMER = "answers"


class PrivateFiles:
    """A directory of small files in this user's cache directory, or at `directory`.

    None of them is larger than `biggest` bytes. The `most` that were last used stay, as long as all together are no
    larger than `total` bytes. Every method raises `OSError` for whatever is in the way; a cache does without.
    """

    def __init__(
        self, name: str, most: int, biggest: int, directory: str | None = None, total: int | None = None
    ) -> None:
        self.directory = directory or cache_directory(name)
        self._most = most
        self._biggest = biggest
        self._total = biggest * most if total is None else total

    def path(self, name: str) -> str:
        """The path of the file of that name. Raises `OSError` where this user has no cache directory."""
        if self.directory is None:
            raise OSError("no cache directory of this user")
        return os.path.join(self.directory, name)

    def read(self, name: str) -> bytes:
        """Read a file that only this user can have written. Raises `OSError`."""
        path = self.path(name)
        if not is_own(os.lstat(os.path.dirname(path)), stat.S_ISDIR):
            raise OSError("not this user's own directory")
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not is_own(status, stat.S_ISREG) or status.st_size > self._biggest:
                raise OSError("not a file of this user's own")
            if status.st_mtime < time.time() - _USED_SECONDS:
                _touch(file.fileno())
            return file.read()

    def write(self, name: str, *content: bytes) -> None:
        """Put a file in place at once: who reads meanwhile finds the old one or the new one. Raises `OSError`."""
        self.write_pieces(name, content)

    def write_pieces(self, name: str, content: Iterable[bytes]) -> None:
        """Put a file in place as `write` does, each piece of its content written when it is made. Raises `OSError`."""
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
        path = self.path(name)
        make_directory(os.path.dirname(path))
        if not is_own(os.lstat(os.path.dirname(path)), stat.S_ISDIR):
            raise OSError("the cache directory is not this user's own")
        temporary = f"{path}.{os.getpid()}.{time.monotonic_ns()}{_TEMPORARY}"
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        return temporary

    def place(self, temporary: str, name: str) -> None:
        """Rename a file that `new` made to its name. Raises `OSError`, also where it is too large to be read again."""
        if os.lstat(temporary).st_size > self._biggest:
            raise OSError("larger than the cache takes")
        os.replace(temporary, self.path(name))
        self._clean()

    def _clean(self) -> None:
        """Remove what was used least of late, what runs that were killed left, and a directory of former versions."""
        assert self.directory is not None
        entries, count, size = [], 0, 0
        with os.scandir(self.directory) as found:
            for entry in found:
                status = entry.stat(follow_symlinks=False)
                if not entry.name.endswith(_TEMPORARY):
                    entries.append((status.st_mtime_ns, status.st_size, entry.path))
                elif status.st_mtime < time.time() - _LEFT_SECONDS:
                    discard(entry.path)
        for _, bytes_, path in sorted(entries, reverse=True):
            count, size = count + 1, size + bytes_
            if count > self._most or (size > self._total and count > 1):
                discard(path)
        _discard_directory(os.path.join(os.path.dirname(self.directory), _FORMER))


def discard(path: str) -> None:
    """Remove a file, if that can be done."""
    try:  # noqa: SIM105  # contextlib takes longer to import than all of this module
        os.unlink(path)
    except OSError:
        pass


def _discard_directory(path: str) -> None:
    """Remove a directory of this user's own and the files in it, if that can be done."""
    try:
        if is_own(os.lstat(path), stat.S_ISDIR):
            for name in os.listdir(path):
                discard(os.path.join(path, name))
            os.rmdir(path)
    except OSError:
        pass


def _touch(descriptor: int) -> None:
    """Set the time of a file to now, to show that it was used, if that is possible."""
    try:  # noqa: SIM105
        os.utime(descriptor)
    except OSError:
        pass


def make_directory(path: str) -> None:
    """Make a directory, and those above it, as far as they are missing, for this user only. Raises `OSError`."""
    missing, above = [], path
    while above and not os.path.isdir(above):
        missing.append(above)
        above = os.path.dirname(above)
    for each in reversed(missing):
        try:  # noqa: SIM105
            os.mkdir(each, 0o700)
        except FileExistsError:
            pass


def is_own(status: os.stat_result, is_kind: Callable[[int], bool]) -> bool:
    """Whether a file is of the expected kind, this user's, and not writable for anybody else."""
    return is_kind(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022
