"""The files that headers are read from, and what tells whether one of them is as it was.

A path that ends in a slash is a directory's, and what it holds are the names of the headers right in it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from tpgen.cache.fingerprint import Stamp, digest, stamp_of

# A generated header or a table of registers is bigger, and of no use but for the events in it.
_BIGGEST = 1 << 19

#: What tells the contents of a file from any other; None for one that is missing or of another kind.
Digest = bytes | None
_TOO_BIG = b""

NO_STAMPS: Mapping[str, Stamp] = {}
NO_DIGESTS: Mapping[str, Digest] = {}


class Files:
    """Reads files, and remembers what they held.

    Of files whose stamps, as `stamps` has them or as they are now, are still the `old_stamps`, the `old` digests count.
    """

    def __init__(
        self,
        stamps: Mapping[str, Stamp] = NO_STAMPS,
        old_stamps: Mapping[str, Stamp] = NO_STAMPS,
        old: Mapping[str, Digest] = NO_DIGESTS,
    ) -> None:
        self._stamps = stamps
        self._old_stamps = old_stamps
        self._old = old
        self._digests: dict[str, Digest] = {}

    def is_unchanged(self, path: str) -> bool:
        """Whether a file has the stamp that it had."""
        if path not in self._old_stamps:
            return False
        now = self._stamps[path] if path in self._stamps else stamp_of(path)
        return now == self._old_stamps[path]

    def digest(self, path: str) -> Digest:
        """What tells the contents of a file, or the headers of a directory, from any other."""
        if path not in self._digests:
            if path in self._old and self.is_unchanged(path):
                self._digests[path] = self._old[path]
            elif path.endswith("/"):
                self.headers_in(path[:-1])
            else:
                self.read(path)
        return self._digests[path]

    def read(self, path: str) -> bytes:
        """The bytes of a file; none for what is no readable file of a sensible size."""
        raw = self._raw(path)
        self.note(path, raw)
        return raw or b""

    def note(self, path: str, raw: bytes | None) -> None:
        """Note what a file held; None where it cannot be read."""
        self._digests[path] = None if raw is None else digest(raw) if raw else _TOO_BIG

    def headers_in(self, directory: str) -> list[str]:
        """The headers right in a directory, in order."""
        names = self._names(directory)
        self.note(f"{directory}/", "\n".join(names).encode("utf-8", "surrogateescape"))
        return [os.path.join(directory, name) for name in names]

    def _raw(self, path: str) -> bytes | None:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except (OSError, ValueError):
            return None
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return None
            return os.read(descriptor, status.st_size) if status.st_size <= _BIGGEST else b""
        except OSError:
            return None
        finally:
            os.close(descriptor)

    def _names(self, directory: str) -> list[str]:
        try:
            return sorted(name for name in os.listdir(directory or os.curdir) if name.endswith(".h"))
        except OSError:
            return []


class GivenFiles(Files):
    """Files that are on no disk."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        super().__init__()
        self._contents = contents

    def _raw(self, path: str) -> bytes | None:
        return self._contents.get(path)

    def _names(self, directory: str) -> list[str]:
        return []
