"""Paths of sources as a reader of a report finds them: in this repository, not where somebody compiled them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

# No tree is deeper. A path is somebody else's text, and for each of its tails the disk is asked.
_MOST_PARTS = 64


class SourcePaths:
    """Paths of sources as they are below `root`, or else below this directory, or as far as they differ.

    `exists` says whether a relative path is a file.
    """

    def __init__(
        self, files: Iterable[str] = (), root: str | None = None, exists: Callable[[str], bool] = os.path.isfile
    ) -> None:
        self._roots = [os.path.normpath(path) for path in (root, os.getcwd()) if path]
        self._exists = exists
        self._found: dict[str, str] = {}
        unplaced = {path for path in map(os.path.normpath, files) if path.startswith("/") and self._here(path) is None}
        folders = {os.path.dirname(path) for path in unplaced}
        self._common = os.path.commonpath(folders) if folders else "/"

    def shown(self, file: str) -> str:
        """The path of a source that an object names."""
        if file not in self._found:
            path = os.path.normpath(file)
            here = self._here(path)
            self._found[file] = here if here is not None else _below(path, self._common) or path
        return self._found[file]

    def _here(self, path: str) -> str | None:
        """The path below one of the roots, or the longest end of it that is there; None without either."""
        for root in self._roots:
            if (below := _below(path, root)) is not None:
                return below
        parts = path.replace("\0", "").split("/")[-_MOST_PARTS:]
        ends = ("/".join(parts[at:]) for at in range(len(parts)) if parts[at] not in ("", ".."))
        return next(filter(self._exists, ends), None)


def _below(path: str, root: str) -> str | None:
    """The path as seen from `root`, None where it is not below it."""
    if root == "/" or not path.startswith(f"{root}/"):
        return None
    return path[len(root) + 1 :]
