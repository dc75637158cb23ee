"""Progress of a command that takes a while, for whoever waits at a terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

from tpgen.commands.common.terminal import USUAL_WIDTH, width_of
from tpgen.commands.deliver import write_to_stderr
from tpgen.diagnostics import printable


class Line:
    """One line on a terminal that is written over and taken away at the end; nothing where stderr is no terminal."""

    def __init__(self) -> None:
        self._shown = width_of(sys.stderr) is not None
        self._next = 0.0

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            write_to_stderr("\r\033[K")

    def stage(self, text: str) -> None:
        if self._shown:
            width = width_of(sys.stderr) or USUAL_WIDTH
            write_to_stderr(f"\r\033[K{printable(text)[: width - 1]}")

    def _now_and_then(self, text: Callable[[], str]) -> None:
        if self._shown and (now := time.monotonic()) >= self._next:
            self._next = now + 0.1
            self.stage(text())

    def modules(self, package: str, seen: int) -> None:
        self._now_and_then(lambda: f"{os.path.basename(package)}: {seen} modules")

    def events(self, kernel: str, done: int, of: int) -> None:
        self._now_and_then(lambda: f"{kernel}: {done} of {of} events")

    def counted(self, what: str, done: int, of: int) -> None:
        """Tell how far some work is; `of` is 0 where nobody counts."""
        if of:
            self._now_and_then(lambda: f"{what}: {done} of {of}")
        else:
            self.stage(what)
