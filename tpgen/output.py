"""Writing generated files: all or nothing, atomically, and only what changed.

A symbolic link at the end of a path that the user named is followed, and its target replaced, unless it belongs to
another user in a directory that everybody can write to, such as /tmp. Below the directory of a build (`inside`) no link
is followed: each step starts at the directory before it, so that a race cannot lead out either. A file that is replaced
keeps its mode and, if this user is permitted to set it, its owner.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain

from tpgen.basics.patterns import pattern
from tpgen.basics.typing import TYPE_CHECKING, NamedTuple
from tpgen.diagnostics import TpgenError, fail

if TYPE_CHECKING:
    from typing import TypeAlias

    #: The bytes of a file.
    Data: TypeAlias = bytes | memoryview

# What a run that was killed leaves behind, and how long another one may still be at work on it.
_TEMPORARY = pattern(r"\.tpgen-[0-9a-f]{16}-\d+")
_DAY_SECONDS = 86_400


class _Place(NamedTuple):
    """A file to write: its path for messages, and its name in an open directory; without one the path again."""

    path: str
    name: str
    directory: int | None = None

    def beside(self, name: str) -> _Place:
        """The place of another file in the same directory."""
        path = self.folder + name
        if self.directory is None:
            return _Place(path, path)
        return _Place(path, self.name[: self.name.rfind("/") + 1] + name, self.directory)

    @property
    def folder(self) -> str:
        """The path without the name of the file in its directory."""
        return self.path[: self.path.rfind("/") + 1]

    def status(self, follow: bool = False) -> os.stat_result | None:
        """The status of the file at the place, None if there is none."""
        try:
            return os.stat(self.name, dir_fd=self.directory, follow_symlinks=follow)
        except FileNotFoundError:
            return None

    def read(self) -> bytes | None:
        """The content of a regular file, None for anything else. In an open directory no link is followed."""
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if self.directory is None else os.O_NOFOLLOW)
        try:
            with open(os.open(self.name, flags, dir_fd=self.directory), "rb") as file:
                return file.read() if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
        except OSError:
            return None

    def unlink(self) -> None:
        os.unlink(self.name, dir_fd=self.directory)


# --- directories


class _Named:
    """The directory that the user named, and those below it; messages call it `shown`."""

    def __init__(self, root: str, shown: str | None = None) -> None:
        self.root = root
        self._shown = root if shown is None else shown
        # By what a name begins with: what the path does then, and the files there.
        self._listed: dict[str, tuple[str, set[str]]] = {}
        self._made: list[str] = []

    def place(self, name: str) -> tuple[_Place, bool]:
        """The place of a file below the directory, which is made if need be, and whether something is there."""
        folder, base = name[: name.rfind("/") + 1], name[name.rfind("/") + 1 :]
        if folder not in self._listed:
            path = os.path.join(self.root, name)
            parent = os.path.dirname(path)
            try:
                _make_directories(parent, self._made)
                self._listed[folder] = (path[: len(path) - len(base)], set(os.listdir(parent)))
            except OSError as error:
                raise _unwritable(self._shown + parent[len(self.root) :], error) from None
        above, there = self._listed[folder]
        return _Place(above + base, above + base), base in there

    def undo(self) -> None:
        """Remove the directories that were made, as far as they are empty."""
        _remove_directories(self._made)

    def close(self) -> None:
        """Nothing is open."""


class Inside:
    """A directory and everything below it. No name and no symbolic link leads out. `is_inside` checks the names.

    Its methods raise `TpgenError` `unwritable`. Close it.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self._open: dict[str, int] = {}
        self._made: list[tuple[int, str]] = []
        self._made_above: list[str] = []

    def __enter__(self) -> Inside:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def place(self, name: str, make: bool = True) -> tuple[_Place, bool]:
        """The place of a file, whose directories are made if need be, and whether something is there.

        Without `make`, raises `FileNotFoundError` where a directory is missing.
        """
        assert is_inside(name)
        parent, base = os.path.split(name)
        place = _Place(os.path.join(self.root, name), base, self._directory(parent, make))
        return place, place.status() is not None

    def read(self, name: str) -> bytes | None:
        """The contents of a regular file, None if there is none."""
        try:
            return self.place(name, make=False)[0].read()
        except (OSError, TpgenError):
            return None

    def exists(self, name: str) -> bool:
        """Whether there is anything of that name."""
        try:
            return self.place(name, make=False)[1]
        except FileNotFoundError:
            return False

    def remove(self, name: str) -> None:
        """Remove a file, and the directories that are empty then."""
        try:
            place, _ = self.place(name, make=False)
            place.unlink()
            while parent := os.path.dirname(name):
                above, base = os.path.split(parent)
                os.rmdir(base, dir_fd=self._directory(above, make=False))
                os.close(self._open.pop(parent))
                name = parent
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise _unwritable(os.path.join(self.root, name), error, "remove") from None

    def _directory(self, name: str, make: bool) -> int:
        """The open directory of that name, "" for the root."""
        if name not in self._open:
            path = os.path.join(self.root, name) if name else self.root
            try:
                self._open[name] = self._opened(name, make)
            except FileNotFoundError as error:
                if not make:
                    raise
                raise _unwritable(path, error) from None
            except OSError as error:
                raise _unwritable(path, error) from None
        return self._open[name]

    def _opened(self, name: str, make: bool) -> int:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        if not name:
            if make:
                _make_directories(self.root, self._made_above)
            return os.open(self.root, flags)
        above, base = os.path.split(name)
        directory = self._directory(above, make)
        if make:
            with contextlib.suppress(FileExistsError):
                os.mkdir(base, dir_fd=directory)
                self._made.append((directory, base))
        try:
            return os.open(base, flags | os.O_NOFOLLOW, dir_fd=directory)
        except OSError as error:
            if stat.S_ISLNK(os.stat(base, dir_fd=directory, follow_symlinks=False).st_mode):
                hint = "below the directory of a build no link is followed: name where it leads with -o DIR"
                where = os.path.join(self.root, name)
                raise fail("unwritable", "cannot write: this is a symbolic link", where, hint) from None
            raise error

    def undo(self) -> None:
        """Remove the directories that were made, as far as they are empty."""
        for directory, name in reversed(self._made):
            with contextlib.suppress(OSError):
                os.rmdir(name, dir_fd=directory)
        _remove_directories(self._made_above)

    def close(self) -> None:
        """Close the directories."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()


def _make_directories(path: str, made: list[str]) -> None:
    """Make a directory and those above it, as far as they are missing, and add them to those that were made."""
    missing, above = [], path
    while above and not os.path.exists(above):
        missing.append(above)
        above = os.path.dirname(above)
    made += reversed(missing)
    try:
        os.makedirs(path, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path) from None


@contextlib.contextmanager
def _parents(path: str) -> Iterator[None]:
    """Make the directories above a file. If the block raises, those that are empty are removed again."""
    made: list[str] = []
    parent = os.path.dirname(path)
    try:
        if parent:
            _make_directories(parent, made)
    except OSError as error:
        raise _unwritable(parent, error) from None
    try:
        yield
    except BaseException:
        _remove_directories(made)
        raise


def _remove_directories(made: list[str]) -> None:
    """Remove directories that were made, as far as they are empty."""
    for path in reversed(made):
        with contextlib.suppress(OSError):
            os.rmdir(path)


def is_inside(name: str) -> bool:
    """Whether a name is one below a directory, in the one way to write it, and none that means something to git."""
    parts = name.split("/")
    return name.isprintable() and not {"", ".", ".."} & set(parts) and ".git" not in map(str.lower, parts)


# --- files


def write_files(directory: str | Inside, files: Iterable[tuple[str, Data]]) -> list[str]:
    """Write files, of distinct names, below `directory`; return the paths of those that changed.

    Directories are made as needed. The files may be made as they are taken: one is in memory at a time. Every file, or
    a directory that is new with all in it, is first written in full beside its place and only then renamed into it, so
    that a failure, theirs too, leaves what was there before. Raises `TpgenError` `unwritable`.
    """
    if isinstance(directory, str) and not os.path.lexists(directory.rstrip(os.sep) or os.sep):
        files = iter(files)
        first = next(files, None)
        return [] if first is None else _write_directory(directory.rstrip(os.sep), chain([first], files))
    below = directory if isinstance(directory, Inside) else _Named(directory)
    try:
        return _replace((*below.place(name), data) for name, data in files)
    except BaseException:
        below.undo()
        raise


def remove_files(directory: str, names: Iterable[str]) -> None:
    """Remove files below `directory`, and directories that are empty then; no name and no symbolic link leads out.

    Names are as `is_inside` has it; what is not there is no fault. Raises `TpgenError` `unwritable`.
    """
    for name in names:
        with Inside(directory) as below:  # which keeps each directory open
            below.remove(name)


def _write_directory(path: str, files: Iterable[tuple[str, Data]]) -> list[str]:
    """Write files into a directory that does not exist: to rename it costs as much as to rename one of thousands."""
    staged = _Named(os.path.join(os.path.dirname(path), f".tpgen-{os.urandom(8).hex()}-0"), path)
    names: list[str] = []
    try:
        for name, data in files:
            place, _ = staged.place(name)
            names.append(name)
            _write(place, data, None)
        try:
            os.rename(staged.root, path)
        except OSError:  # somebody else made one meanwhile
            there = _Named(path)
            _replace((*there.place(name), staged.place(name)[0].read() or b"") for name in names)
            _remove_tree(staged.root)
        _clean(_Place(path, path))
    except BaseException as error:
        _remove_tree(staged.root)
        staged.undo()
        if isinstance(error, OSError):
            raise _unwritable(os.path.join(path, names[-1]), error) from None
        raise
    return [os.path.join(path, name) for name in names]


def write_file(path: str, data: bytes) -> list[str]:
    """Write one file, atomically and only if it changes; a device or a pipe is written to. Raises `unwritable`.

    Directories are made as needed.
    """
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        return _write_into(path, data)
    with _parents(path):
        return _replace([(_Place(path, path), True, data)])


def _write_into(path: str, data: bytes) -> list[str]:
    """Write to what must not be replaced, such as /dev/null."""
    try:
        with open(path, "wb") as file:
            file.write(data)
    except OSError as error:
        raise _unwritable(path, error) from None
    return [path]


@contextlib.contextmanager
def replacing(path: str) -> Iterator[str]:
    """Yield the path of a new file to fill; it replaces that at `path` when the block ends. Raises `unwritable`.

    The contents are on disk then, also after a crash of the machine. Missing directories are made.
    """
    with _parents(path), _replacing(path) as new:
        yield new


@contextlib.contextmanager
def _replacing(path: str) -> Iterator[str]:
    temporary: _Place | None = None
    try:
        target = _target(_Place(path, path))
        temporary = target.beside(f".tpgen-{os.urandom(8).hex()}-0")
        _write(temporary, b"", target.status())
        yield temporary.name
        descriptor = os.open(temporary.name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary.name, target.name)
        temporary = None
        _clean(target)
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()


def _replace(contents: Iterable[tuple[_Place, bool, Data]]) -> list[str]:
    """Put each content at its place, unless the file has it already; return the paths of files that changed.

    False means that there is nothing at the place, True that there may be.
    """
    changed: list[str] = []
    # Nobody else's: several of us may be at work in a directory.
    prefix = f".tpgen-{os.urandom(8).hex()}-"
    staged: deque[tuple[_Place, _Place, str]] = deque()
    path = ""
    try:
        for place, there, data in contents:
            path = place.path
            if there and place.read() == data:
                continue
            target = _target(place) if there else place
            temporary = target.beside(f"{prefix}{len(staged)}")
            changed.append(path)
            staged.append((temporary, target, path))
            _write(temporary, data, target.status() if there else None)
        directories = {target.folder: target for _, target, _ in staged}
        while staged:
            temporary, target, path = staged[0]
            os.replace(temporary.name, target.name, src_dir_fd=temporary.directory, dst_dir_fd=target.directory)
            staged.popleft()
        for target in directories.values():
            _clean(target)
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:  # whatever it was, Ctrl-C too, no half file stays
        for temporary, _, _ in staged:
            with contextlib.suppress(OSError):
                temporary.unlink()
    return changed


def _write(place: _Place, data: Data, replaced: os.stat_result | None) -> None:
    """Write a new file, in as few system calls as there can be: a kernel has thousands of headers."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(place.name, flags, 0o666, dir_fd=place.directory)
    try:
        while (written := os.write(descriptor, data)) < len(data):
            data = data[written:]
        if replaced is not None and stat.S_ISREG(replaced.st_mode):
            if (replaced.st_uid, replaced.st_gid) != (os.geteuid(), os.getegid()):
                with contextlib.suppress(OSError):  # it is for root alone
                    os.fchown(descriptor, replaced.st_uid, replaced.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(replaced.st_mode) & 0o777)
    finally:
        os.close(descriptor)


def _target(place: _Place) -> _Place:
    """The place to replace: not a symbolic link but its target, unless links are not followed there.

    Raises `OSError` for a directory, which is found now and not halfway through the renaming.
    """
    status = place.status()
    if status is not None and stat.S_ISLNK(status.st_mode) and place.directory is None:
        if not _may_follow(place.path, status):
            hint = "it belongs to another user, in a directory that everybody can write to"
            raise fail("unwritable", "cannot write: this is a symbolic link", place.path, hint)
        target = os.path.realpath(place.path)
        place = _Place(target, target)
        status = place.status()
    if status is not None and stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return place


def _may_follow(path: str, link: os.stat_result) -> bool:
    """Whether a link can be followed, by the rule of the kernel for fs.protected_symlinks."""
    directory = os.stat(os.path.dirname(path) or ".")
    for_all = stat.S_ISVTX | stat.S_IWOTH
    return directory.st_mode & for_all != for_all or link.st_uid in (os.geteuid(), directory.st_uid)


def _clean(place: _Place) -> None:
    """Remove what runs that were killed left beside a file, a day after."""
    directory = place.directory if place.directory is not None else os.path.dirname(place.name) or "."
    with contextlib.suppress(OSError):
        for name in os.listdir(directory):
            if name.startswith(".tpgen-") and _TEMPORARY.fullmatch(name):
                left = place.beside(name)
                status = left.status()
                if status and status.st_uid == os.geteuid() and status.st_mtime < time.time() - _DAY_SECONDS:
                    if stat.S_ISDIR(status.st_mode):
                        _remove_tree(left.name, left.directory)
                    else:
                        left.unlink()


def _remove_tree(path: str, directory: int | None = None) -> None:
    """Remove a directory and what is in it, where there is one."""
    import shutil

    shutil.rmtree(path, ignore_errors=True, dir_fd=directory)


def _unwritable(path: str, error: OSError, what: str = "write") -> TpgenError:
    return fail("unwritable", f"cannot {what}: {error.strerror or error}", path)
