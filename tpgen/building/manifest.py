"""The manifest: dependencies and outputs of a build. It decides whether there is anything to do.

It lies beside the generated files. A file that is not in it is not ours: it is neither overwritten nor removed. It
may be somebody else's, committed with a project, so it is signed with a key of this user's; one that is not is a hint.
Every no-op build reads it, so nothing here imports more than it must.
"""

from __future__ import annotations

import os
import time
from stat import S_ISREG

from tpgen.building.states import fingerprints
from tpgen.cache.fingerprint import MISSING, file_digest, is_young, stamp_of, tree_stamp
from tpgen.cache.private_files import PrivateFiles

TYPE_CHECKING = False  # as in typing, whose import is not worth it
if TYPE_CHECKING:
    from typing import Any

    from tpgen.cache.fingerprint import Stamp

_FORMAT = 2
_BIGGEST = 1 << 27
_KEY_BYTES = 32


# Plain classes: dataclasses take longer to import than a build with nothing to do takes for all the rest.


class Output:
    """An output as last written; holds old and new digest while it is being replaced."""

    def __init__(self, digests: list[str], stamp: Stamp | None = None) -> None:
        self.digests = digests
        self.stamp = stamp


class Inputs:
    """The dependencies of the generated files: files, trees of files by the ending of their names, and named states.

    A stamp is None where it cannot be relied on: of a file too young, or of none. `arguments` are those of the command
    line. `restamped` is set where a file whose content is unchanged got a new stamp.
    """

    def __init__(self, arguments: list[str]) -> None:
        self.arguments = arguments
        self._begun_ns = time.time_ns()
        self.restamped = False
        self.files: dict[str, tuple[Stamp | None, str | None]] = {}
        self.trees: dict[str, tuple[Stamp | None, str]] = {}
        self.named_states: dict[str, str | None] = {}

    def add_file(self, path: str) -> None:
        """Add a file before it is read, or looked for: its stamp is older than its content, never younger."""
        stamp = stamp_of(path)
        self.files[path] = (_reliable(stamp), file_digest(path))

    def add_file_read(self, path: str) -> None:
        """Add a file that was read already, unless it is known. What changed since the run began counts as changed."""
        if path in self.files or any(self._is_in(path, *tree) for tree in self.trees.items()):
            return
        stamp = stamp_of(path)
        changed = max(stamp[2:]) > self._begun_ns
        self.files[path] = (None, "") if changed else (_reliable(stamp), file_digest(path))

    @staticmethod
    def _is_in(path: str, root: str, tree: tuple[Stamp | None, str]) -> bool:
        return path.startswith(os.path.join(root, "")) and path.endswith(tuple(tree[1].split(" ")))

    def add_tree(self, path: str, suffix: str = "") -> None:
        """Add all files below a directory before they are read."""
        self.trees[path] = (_reliable(tree_stamp(path, suffix=suffix)), suffix)

    def add_named_state(self, name: str) -> None:
        """Add a state by one of the names in `states.fingerprints`."""
        self.named_states[name] = fingerprints()[name]()

    def unchanged(self) -> bool:
        """Whether no dependency changed. A file whose content is the same did not, and gets its new stamp."""
        return (
            all(map(self._file_unchanged, self.files))
            and all(stamp == tree_stamp(path, suffix=suffix) for path, (stamp, suffix) in self.trees.items())
            and all(state is not None and state == fingerprints()[name]() for name, state in self.named_states.items())
        )

    def _file_unchanged(self, path: str) -> bool:
        stamp, digest = self.files[path]
        now = stamp_of(path)
        if now != MISSING and stamp == now:
            return True
        if file_digest(path) != digest:
            return False
        self.files[path] = (_reliable(now), digest)
        self.restamped = True
        return True


class Manifest:
    """A build on record. `outputs` are by name below its directory; `complete` is False while they are written.

    One that is not `trusted` was not written by this user on this machine: its outputs are a hint and not ours.
    """

    def __init__(
        self, inputs: Inputs, outputs: dict[str, Output], complete: bool = False, trusted: bool = True
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.complete = complete
        self.trusted = trusted

    def fresh(self, root: str, arguments: list[str]) -> bool:
        """Whether a build would make the same again, and all outputs are still there."""
        return (
            self.complete
            and self.trusted
            and self.inputs.arguments == arguments
            and all(self._is_there(root, name) for name in self.outputs)
            and self.inputs.unchanged()
        )

    def _is_there(self, root: str, name: str) -> bool:
        path, made = os.path.join(root, name), self.outputs[name]
        now = stamp_of(path)
        if now != MISSING and now == made.stamp:
            return True
        if now == MISSING or file_digest(path) not in made.digests:
            return False
        made.stamp = _reliable(now)
        self.inputs.restamped = True
        return True


def load(path: str) -> Manifest:
    """The manifest at `path`; an empty one where there is none, or none that this tpgen understands.

    One that this user did not write on this machine is only a hint: no more of it is taken than the digests of outputs.
    """
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            if not S_ISREG(os.fstat(file.fileno()).st_mode):
                return Manifest(Inputs([]), {})
            signature, _, body = file.read(_BIGGEST).partition(b"\n")
        key = signing_key()
        if key is not None and signature == _signature(key, body) and (own := _parsed(body))["format"] == _FORMAT:
            return _loaded(own)
        import json

        hints = json.loads(body or signature)["outputs"]  # format 1 was JSON alone
        return Manifest(Inputs([]), _hints(hints), trusted=False)
    # That the content is anybody's shows in whatever a parser can raise.
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, StopIteration):
        return Manifest(Inputs([]), {})


def _parsed(body: bytes) -> Any:
    """The value of JSON that `dump` wrote."""
    try:
        from _json import make_scanner  # what json has; that takes as long to import as all the rest
    except ImportError:
        import json

        return json.loads(body)
    return make_scanner(_Plain)(body.decode(), 0)[0]  # type: ignore[arg-type]  # it takes whatever has these members


class _Plain:
    """The options of a scanner of JSON: every value as it is."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int, parse_constant = float, int, float


def _loaded(data: dict[str, Any]) -> Manifest:
    """The manifest that `dump` wrote."""
    inputs = Inputs(data["arguments"])
    inputs.files = {name: (_loaded_stamp(stamp), digest) for name, (stamp, digest) in data["files"].items()}
    inputs.trees = {name: (_loaded_stamp(stamp), suffix) for name, (stamp, suffix) in data["trees"].items()}
    inputs.named_states = dict(data["states"])
    outputs = {name: Output(digests, _loaded_stamp(stamp)) for name, (digests, stamp) in data["outputs"].items()}
    return Manifest(inputs, outputs, data["complete"])


def _hints(outputs: dict[str, Any]) -> dict[str, Output]:
    """The digests of outputs that anybody may have written. Raises whatever comes of what is no such table."""
    return {
        name: Output([digest for digest in digests if isinstance(digest, str)])
        for name, (digests, _) in outputs.items()
        if isinstance(digests, list)
    }


def dump(manifest: Manifest) -> bytes:
    """The manifest as text: a line that proves that this user wrote it, then JSON."""
    inputs = manifest.inputs
    data = {
        "format": _FORMAT,
        "complete": manifest.complete,
        "arguments": inputs.arguments,
        "states": inputs.named_states,
        "trees": inputs.trees,
        "files": inputs.files,
        "outputs": {name: (made.digests, made.stamp) for name, made in sorted(manifest.outputs.items())},
    }
    import json

    body = json.dumps(data).encode() + b"\n"
    key = signing_key(make=True)
    return (b"unsigned" if key is None else _signature(key, body)) + b"\n" + body


def signing_key(make: bool = False) -> bytes | None:
    """Return the user's key for manifests, in the cache directory; None where none can be had."""
    files = PrivateFiles("keys", 1, _KEY_BYTES)
    try:
        key = files.read("manifests")
    except OSError:
        if not make:
            return None
        try:
            files.write("manifests", os.urandom(_KEY_BYTES))
            key = files.read("manifests")  # two at once end with the same
        except OSError:
            return None
    return key if len(key) == _KEY_BYTES else None


def _signature(key: bytes, body: bytes) -> bytes:
    """The keyed digest of a manifest."""
    try:
        from _blake2 import blake2s  # what hashlib has; that takes as long to import as all the rest
    except ImportError:
        from hashlib import blake2s
    return blake2s(body, key=key).hexdigest().encode()


def reliable_stamp(path: str) -> Stamp | None:
    """The stamp of a file; None while the file could still change without getting another one."""
    return _reliable(stamp_of(path))


def _reliable(stamp: Stamp) -> Stamp | None:
    return None if stamp == MISSING or is_young(max(stamp[2:]), time.time_ns()) else stamp


def _loaded_stamp(stamp: list[int] | None) -> Stamp | None:
    """The stamp that JSON holds as a list."""
    if stamp is None:
        return None
    size, inode, changed, touched = stamp
    return size, inode, changed, touched
