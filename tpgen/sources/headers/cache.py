"""The cache of what trees of headers state: a second run over an unchanged tree reads one file instead of thousands.

An entry is a file in the user's own cache directory, of three lines: what it depends on in short, the same in full, and
the facts, as JSON. It holds for the very same program, tree, target and configuration, and for the same contents. Size,
inode and times of all headers tell at once that nothing changed. Of a header where one of these is another the contents
decide: one that the facts were made of must be as it was, any other must still have nothing to do with events. So what
edits a driver, or checks out another branch and comes back, costs no more than a look at what it touched.

A file whose times are younger than the clock is fine could change unnoticed, so a tree that was edited a moment ago is
not kept. Whatever is wrong with the cache, the headers are read instead.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import time
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

from tpgen.private import PrivateFiles, program
from tpgen.sources.headers.facts import HeaderFacts
from tpgen.sources.headers.serial import from_json, to_json

# Coarser than the clock of any file system.
_YOUNG_NS = 2_000_000_000
_MOST_ENTRIES = 16
_BIGGEST_ENTRY = 1 << 26

#: What changes when a file does: size in bytes, inode, time of the content and of the inode in ns.
Stamp = tuple[int, int, int, int]
_STAMP_NUMBERS = 4
#: The digest of each file that made the facts, by its path; None for one that was looked for and is none, or is empty.
Contents = Mapping[str, str | None]


def stamp(status: os.stat_result) -> Stamp:
    """The stamp of a file."""
    return status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns


@dataclass(slots=True)
class Inputs:
    """The headers that a tree was searched for, in the order of their paths, as they were before the first of them was
    read, at `taken_ns`."""

    headers: dict[str, Stamp] = field(default_factory=dict)
    taken_ns: int = field(default_factory=time.time_ns)

    def stamps(self) -> bytes:
        """The stamps of all of them, one behind the other."""
        return array("q", chain.from_iterable(self.headers.values())).tobytes()

    def digest(self) -> str:
        """One value for all of them."""
        names = "\0".join(self.headers).encode("utf-8", "surrogateescape")
        return hashlib.sha256(names + b"\0\0" + self.stamps()).hexdigest()

    def changed_since(self, paths: list[str], stamps: bytes) -> Iterator[str]:
        """The headers that had other stamps. Raises `ValueError` when these are not the same headers."""
        numbers = array("q", stamps)
        if paths != list(self.headers) or len(numbers) != _STAMP_NUMBERS * len(paths):
            raise ValueError("other headers")
        for at, (path, known) in enumerate(self.headers.items()):
            if known != tuple(numbers[_STAMP_NUMBERS * at : _STAMP_NUMBERS * (at + 1)]):
                yield path


@dataclass(frozen=True, slots=True)
class Kept:
    """Facts, and what tells the contents of all files that they were made of."""

    facts: HeaderFacts
    contents: Callable[[], Contents]


class Cache:
    """The entry for one tree, target and configuration. `directory` is where entries lie, the user's own by default."""

    def __init__(self, *key: object, directory: str | None = None) -> None:
        self._files = PrivateFiles("headers", _MOST_ENTRIES, _BIGGEST_ENTRY, directory)
        name = hashlib.sha256(json.dumps([program(), *map(repr, key)]).encode("utf-8", "surrogateescape")).hexdigest()
        self._name = f"{name[:32]}.json"

    def get(self, inputs: Inputs, is_used: Callable[[str], bool]) -> Kept | None:
        """What was kept for these headers; None where nothing fits. `is_used` says whether a header makes events."""
        try:
            head, full, body = self._files.read(self._name).split(b"\n", 2)
            about = json.loads(head)
            if about["facts"] != hashlib.sha256(body).hexdigest():
                return None
            others = about["others"].items()
            changed = [path for path, known in others if _stamp_of(path) != (known and tuple(known))]
            if changed or about["headers"] != inputs.digest():
                if about["full"] != hashlib.sha256(full).hexdigest():
                    return None
                record = json.loads(full)
                contents = record["contents"]
                changed += inputs.changed_since(record["paths"], bytes.fromhex(record["stamps"]))
                for path in changed:
                    if (file_digest(path) != contents[path]) if path in contents else is_used(path):
                        return None
                self._keep(inputs, contents, body)
            return Kept(from_json(body), lambda: json.loads(full)["contents"])
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None

    def put(self, inputs: Inputs, kept: Kept) -> None:
        """Keep facts that were made of files found among `inputs`, or looked for besides."""
        with contextlib.suppress(OSError, ValueError):  # a path or a text that is no Unicode
            self._keep(inputs, kept.contents(), to_json(kept.facts).encode())

    def _keep(self, inputs: Inputs, contents: Contents, body: bytes) -> None:
        now = {path: _stamp_of(path) for path in contents}
        # What was changed since it was listed may have been read in two states.
        if any(inputs.headers[path] != known for path, known in now.items() if path in inputs.headers):
            return
        others = {path: known for path, known in now.items() if path not in inputs.headers}
        limit = inputs.taken_ns - _YOUNG_NS
        if any(max(known[2:]) > limit for known in (*inputs.headers.values(), *filter(None, others.values()))):
            return
        record = {"paths": list(inputs.headers), "stamps": inputs.stamps().hex(), "contents": contents}
        full = json.dumps(record).encode()
        sums = {"full": hashlib.sha256(full).hexdigest(), "facts": hashlib.sha256(body).hexdigest()}
        head = {"headers": inputs.digest(), "others": others, **sums}
        self._files.write(self._name, b"\n".join((json.dumps(head).encode(), full, body)))


def digest(raw: bytes) -> str | None:
    """What tells these contents from any other; None for none, which is what a file that is missing has."""
    return hashlib.sha256(raw).hexdigest() if raw else None


def file_digest(path: str) -> str | None:
    """The digest of a file's contents; None for what cannot be read, as for what is empty."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
        with open(path, "rb") as file:
            return digest(file.read())
    except (OSError, ValueError):
        return None


def _stamp_of(path: str) -> Stamp | None:
    try:
        return stamp(os.stat(path))
    except (OSError, ValueError):
        return None
