"""The cache of what trees of headers state: a second run over an unchanged tree reads one file instead of thousands.

An entry is a file in the user's own cache directory: a line of JSON that says what it was made of, and the facts, also
as JSON. It holds for the very same program, tree, target and configuration, while size, inode and times of all headers
are what they were. A file whose times are younger than the clock is fine could change unnoticed, so a tree that was
edited a moment ago is not kept. Whatever is wrong with the cache, the headers are read instead.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import time
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tpgen.resources import resource_dir
from tpgen.sources.headers.facts import HeaderFacts
from tpgen.sources.headers.serial import from_json, to_json

# Coarser than the clock of any file system.
_YOUNG_NS = 2_000_000_000
_MOST_ENTRIES = 16
_BIGGEST_ENTRY = 1 << 26

#: What changes when a file does: size in bytes, inode, time of the content and of the inode in ns.
Stamp = tuple[int, int, int, int]


def stamp(status: os.stat_result) -> Stamp:
    """The stamp of a file."""
    return status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns


@dataclass(slots=True)
class Inputs:
    """The headers that a tree was searched for, as they were before the first of them was read, at `taken_ns`."""

    headers: dict[str, Stamp] = field(default_factory=dict)
    taken_ns: int = field(default_factory=time.time_ns)

    def digest(self) -> str:
        """One value for all of them."""
        paths = sorted(self.headers)
        numbers = array("q", [number for path in paths for number in self.headers[path]])
        names = "\0".join(paths).encode("utf-8", "surrogateescape")
        return hashlib.sha256(names + b"\0\0" + numbers.tobytes()).hexdigest()


class Cache:
    """The entry for one tree, target and configuration. `directory` is where entries lie, the user's own by default."""

    def __init__(self, *key: object, directory: str | None = None) -> None:
        self._directory = directory or _default_directory()
        name = hashlib.sha256(json.dumps([_program(), *map(repr, key)]).encode("utf-8", "surrogateescape")).hexdigest()
        self._path = None if self._directory is None else os.path.join(self._directory, f"{name[:32]}.json")

    def get(self, inputs: Inputs) -> HeaderFacts | None:
        """What was kept for these headers; None where nothing fits."""
        try:
            head, _, body = self._read().partition(b"\n")
            about = json.loads(head)
            fits = (
                about["headers"] == inputs.digest()
                and about["facts"] == hashlib.sha256(body).hexdigest()
                and all(_stamp_of(path) == (known and tuple(known)) for path, known in about["others"].items())
            )
            return from_json(body) if fits else None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None

    def put(self, inputs: Inputs, others: Iterable[str], facts: HeaderFacts) -> None:
        """Keep the facts that were made of `inputs` and of all `others` that were read or looked for."""
        stamps = {path: _stamp_of(path) for path in others if path not in inputs.headers}
        limit = inputs.taken_ns - _YOUNG_NS
        if any(max(known[2:]) > limit for known in (*inputs.headers.values(), *filter(None, stamps.values()))):
            return
        with contextlib.suppress(OSError, ValueError):  # a path or a text that is no Unicode
            body = to_json(facts).encode()
            head = {"headers": inputs.digest(), "facts": hashlib.sha256(body).hexdigest(), "others": stamps}
            self._write(json.dumps(head).encode() + b"\n" + body)

    # --- files

    def _read(self) -> bytes:
        """The entry. Raises `OSError` where there is none that this user alone can have written."""
        if self._path is None or self._directory is None or not _is_own(os.lstat(self._directory), stat.S_ISDIR):
            raise OSError("no cache directory of this user")
        with open(os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not _is_own(status, stat.S_ISREG) or status.st_size > _BIGGEST_ENTRY:
                raise OSError("not a cache entry of this user")
            return file.read()

    def _write(self, content: bytes) -> None:
        """Put an entry in place at once: who reads meanwhile finds the old one or the new one. Raises `OSError`."""
        if self._path is None or self._directory is None:
            return
        import tempfile  # with all that it imports, the half of a run that only reads

        _make_directory(self._directory)
        descriptor, temporary = tempfile.mkstemp(".tmp", dir=self._directory)
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
            os.replace(temporary, self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        _remove_oldest(self._directory)


def _default_directory() -> str | None:
    """Where the cache of this user lies by the XDG rules; None where no home is known."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        home = os.path.expanduser("~")
        if not os.path.isabs(home):
            return None
        base = os.path.join(home, ".cache")
    return os.path.join(base, "tpgen", "headers")


def _make_directory(path: str) -> None:
    """The directory, and those above it, for this user only. Raises `OSError` for one that others can write to."""
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    if not _is_own(os.lstat(path), stat.S_ISDIR):
        raise OSError("the cache directory is not this user's own")


def _is_own(status: os.stat_result, is_kind: Callable[[int], bool]) -> bool:
    """Whether it is of the kind that is expected, this user's, and for nobody else to write."""
    return is_kind(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022


def _remove_oldest(directory: str) -> None:
    with os.scandir(directory) as found:
        entries = sorted(((entry.stat(follow_symlinks=False).st_mtime_ns, entry.path) for entry in found), reverse=True)
    for _, path in entries[_MOST_ENTRIES:]:
        with contextlib.suppress(OSError):
            os.unlink(path)


def _stamp_of(path: str) -> Stamp | None:
    try:
        return stamp(os.stat(path))
    except (OSError, ValueError):
        return None


@cache
def _program() -> str:
    """What changes whenever tpgen itself does."""
    package = Path(__file__).parents[2]
    files = [*package.rglob("*.py"), *package.rglob("*.lark"), *resource_dir("kernel_headers").iterdir()]
    digest = hashlib.sha256()
    for path in sorted(files):
        if path.is_file():
            digest.update(f"{path.name}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return digest.hexdigest()
