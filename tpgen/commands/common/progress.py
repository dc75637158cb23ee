"""Progress of a long command, for a user at a terminal."""

from __future__ import annotations

import os
import sys
import time

from tpgen.basics.progress import watch
from tpgen.commands.common.base import Quiet
from tpgen.commands.common.terminal import USUAL_WIDTH, width_of
from tpgen.commands.deliver import Screen, write_to_stderr
from tpgen.diagnostics import printable

# A command that takes no longer than the first of these shows nothing; then there is something new as often as that.
_FIRST_SECONDS, _EACH_SECONDS = 1.0, 0.1
_ERASE = "\r\033[K"


class Line:
    """One line on the terminal that stderr is, which is written over, and goes before anything else is written."""

    def __init__(self) -> None:
        self._next = time.monotonic() + _FIRST_SECONDS
        Screen.has_output = False

    def tell(self, what: str, done: int, of: int) -> None:
        """Show how far some work is, where the last time is long enough ago."""
        if (now := time.monotonic()) < self._next or (Screen.has_output and not sys.stdout.isatty()):
            return  # what is in a pipe may be on the terminal by now, by a pager
        self._next = now + _EACH_SECONDS
        count = f": {done} of {of}" if of else f": {done}" if done else ""
        width = width_of(sys.stderr) or USUAL_WIDTH
        write_to_stderr(f"{_ERASE}{printable(what + count)[: width - 1]}")
        Screen.erase = _erase


def _erase() -> None:
    write_to_stderr(_ERASE)


def begin() -> None:
    """Show progress from here on, if stderr is a terminal that can be written over and -q was not given."""
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and not Quiet.asked:
        watch(Line().tell)


def end() -> None:
    """Show no progress any more."""
    watch(None)
    Screen.make_room()
