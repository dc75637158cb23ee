"""The manifest: dependencies and outputs of a build. It decides whether there is anything to do.

It lies beside the generated files, as JSON. A file that it does not know is not ours: it is neither overwritten nor
removed. Every no-op build reads it, so nothing here imports more than it must.
"""

from __future__ import annotations

import json
import os
import time

from tpgen.building.states import fingerprints
from tpgen.cache.fingerprint import MISSING, file_digest, is_young, stamp_of, tree_stamp

TYPE_CHECKING = False  # as in typing, whose import is not worth it
if TYPE_CHECKING:
    from tpgen.cache.fingerprint import Stamp

_FORMAT = 1


# Plain classes: dataclasses take longer to import than a build with nothing to do takes for all the rest.


class Output:
    """An output as last written; holds old and new digest while it is being replaced."""

    def __init__(self, digests: list[str], stamp: Stamp | None = None) -> None:
        self.digests = digests
        self.stamp = stamp


class Inputs:
    """The dependencies of the generated files: files, trees of files by the ending of their names, and named states.

    A stamp is None where it cannot be relied on: of a file too young, or of none. `arguments` are those of the command
    line.
    """

    def __init__(self, arguments: list[str]) -> None:
        self.arguments = arguments
        self.files: dict[str, tuple[Stamp | None, str | None]] = {}
        self.trees: dict[str, tuple[Stamp | None, str]] = {}
        self.named_states: dict[str, str | None] = {}

    def add_file(self, path: str) -> None:
        """Add a file before it is read, or looked for: its stamp is older than its content, never younger."""
        stamp = stamp_of(path)
        self.files[path] = (_reliable(stamp), file_digest(path))

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
        return True


class Manifest:
    """A build on record. `outputs` are by name below its directory; `complete` is False while they are written."""

    def __init__(self, inputs: Inputs, outputs: dict[str, Output], complete: bool = False) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.complete = complete

    def fresh(self, root: str, arguments: list[str]) -> bool:
        """Whether a build would make the same again, and all outputs are still there."""
        return (
            self.complete
            and self.inputs.arguments == arguments
            and all(self._is_there(root, name) for name in self.outputs)
            and self.inputs.unchanged()
        )

    def _is_there(self, root: str, name: str) -> bool:
        path, made = os.path.join(root, name), self.outputs[name]
        now = stamp_of(path)
        if now == MISSING or (now != made.stamp and file_digest(path) not in made.digests):
            return False
        made.stamp = _reliable(now)
        return True

    def made(self, root: str, name: str) -> bool | None:
        """Whether a file is as the build made it; None where it does not exist, or is not an output of this build."""
        digest = file_digest(os.path.join(root, name)) if name in self.outputs else None
        return None if digest is None else digest in self.outputs[name].digests


def load(path: str) -> Manifest:
    """The manifest at `path`; an empty one where there is none, or none that this tpgen understands."""
    try:
        with open(path, "rb") as file:
            data = json.load(file)
        if data["format"] != _FORMAT:
            return Manifest(Inputs([]), {})
        inputs = Inputs(data["arguments"])
        inputs.files = {name: (_loaded_stamp(stamp), digest) for name, (stamp, digest) in data["files"].items()}
        inputs.trees = {name: (_loaded_stamp(stamp), suffix) for name, (stamp, suffix) in data["trees"].items()}
        inputs.named_states = dict(data["states"])
        outputs = {name: Output(digests, _loaded_stamp(stamp)) for name, (digests, stamp) in data["outputs"].items()}
        return Manifest(inputs, outputs, data["complete"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Manifest(Inputs([]), {})


def dump(manifest: Manifest) -> bytes:
    """The manifest as it is on disk."""
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
    return json.dumps(data).encode() + b"\n"


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
