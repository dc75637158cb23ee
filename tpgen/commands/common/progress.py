"""Progress of a long command, for a user at a terminal."""

from __future__ import annotations

import os
import sys
import time

from tpgen.basics.progress import watch
from tpgen.basics.typing import TYPE_CHECKING
from tpgen.commands.common.terminal import USUAL_WIDTH, width_of
from tpgen.commands.deliver import ERASE_LINE, Screen, write_to_stderr
from tpgen.diagnostics import printable

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

# A command shows nothing before the first of these has passed, and then something new after each of the second.
_FIRST_SECONDS, _EACH_SECONDS = 1.0, 0.1


class Line:
    """One line on the terminal that stderr is. It is written over, and erased before anything else is written."""

    def __init__(self) -> None:
        self._next = time.monotonic() + _FIRST_SECONDS

    def tell(self, what: str, done: int, of: int) -> None:
        """Show how far some work is, if the last time is long enough ago."""
        if (now := time.monotonic()) < self._next or (Screen.has_output and not sys.stdout.isatty()):
            return  # a pager may already show on the terminal what went into the pipe
        self._next = now + _EACH_SECONDS
        count = f": {done} of {of}" if of else f": {done}" if done else ""
        width = width_of(sys.stderr) or USUAL_WIDTH
        write_to_stderr(f"{ERASE_LINE}{printable(what + count)[: width - 1]}")
        Screen.has_line = True


def watched(run: Callable[[Namespace], int]) -> Callable[[Namespace], int]:
    """A command that shows its progress, if the terminal that stderr is can be written over and -q was not given."""

    def watched_run(options: Namespace) -> int:
        if os.environ.get("TERM") == "dumb" or Screen.quiet:
            return run(options)
        watch(Line().tell)
        try:
            return run(options)
        finally:
            watch(None)
            Screen.make_room()

    return watched_run
