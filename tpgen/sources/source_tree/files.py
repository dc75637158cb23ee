"""File access with content digests for change detection.

A path that ends in a slash is a directory, whose content are the names of the headers directly in it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping

from tpgen.cache.fingerprint import Stamp, digest, stamp_of

# A generated header or a table of registers is bigger, and of no use but for the events in it.
_BIGGEST = 1 << 19

#: What tells the contents of a file from any other; None for one that is missing or of another kind.
Digest = bytes | None
_TOO_BIG = b""

NO_STAMPS: Mapping[str, Stamp] = {}
NO_DIGESTS: Mapping[str, Digest] = {}


class Files:
    """A reader of files that records the digest of each.

    Of files whose stamps, as `stamps` has them or as they are now, are still the `old_stamps`, the `old` digests count.
    """

    def __init__(
        self,
        stamps: Mapping[str, Stamp] = NO_STAMPS,
        old_stamps: Mapping[str, Stamp] = NO_STAMPS,
        old_digests: Mapping[str, Digest] = NO_DIGESTS,
    ) -> None:
        self._stamps = stamps
        self._old_stamps = old_stamps
        self._old_digests = old_digests
        self._digests: dict[str, Digest] = {}

    def is_unchanged(self, path: str) -> bool:
        """Return whether a file has its old stamp."""
        if path not in self._old_stamps:
            return False
        now = self._stamps[path] if path in self._stamps else stamp_of(path)
        return now == self._old_stamps[path]

    def digest(self, path: str) -> Digest:
        """Return the digest of a file's contents, or of the list of headers of a directory."""
        if path not in self._digests:
            if path in self._old_digests and self.is_unchanged(path):
                self._digests[path] = self._old_digests[path]
            elif path.endswith("/"):
                self.headers_in(path[:-1])
            else:
                self.read(path)
        return self._digests[path]

    def read(self, path: str) -> bytes:
        """Return the bytes of a file; b"" for what is no readable file of a sensible size."""
        raw = self._raw(path)
        self.record(path, raw)
        return raw or b""

    def record(self, path: str, raw: bytes | None) -> None:
        """Record the contents of a file; None where it cannot be read."""
        self._digests[path] = None if raw is None else digest(raw) if raw else _TOO_BIG

    def record_digest(self, path: str, found: Digest) -> None:
        """Record the digest of a file that another process read."""
        self._digests[path] = found

    def headers_in(self, directory: str) -> list[str]:
        """Return the headers directly in a directory, in order."""
        names = self._names(directory)
        self.record(f"{directory}/", "\n".join(names).encode("utf-8", "surrogateescape"))
        return [os.path.join(directory, name) for name in names]

    def mentioning(self, paths: Iterable[str], words: Collection[bytes]) -> Iterator[tuple[str, bytes]]:
        """Yield those of some files of a sensible size that have one of the words in them, with their bytes.

        Nothing is recorded of them.
        """
        window = bytearray(_BIGGEST + 1)
        find, windows = window.find, [window]
        for path in paths:
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            except (OSError, ValueError):
                continue
            try:
                size = os.readv(descriptor, windows)
            except OSError:
                continue
            finally:
                os.close(descriptor)
            if size <= _BIGGEST:
                for word in words:
                    if find(word, 0, size) >= 0:
                        yield path, bytes(memoryview(window)[:size])
                        break

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
    """A reader of texts that are on no disk."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        super().__init__()
        self._contents = contents

    def _raw(self, path: str) -> bytes | None:
        return self._contents.get(path)

    def _names(self, directory: str) -> list[str]:
        return []
