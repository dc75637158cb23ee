"""tpgen's command line, run in this process: quick, and an exception that nobody expected fails the test."""

from __future__ import annotations

import contextlib
import io
import os
import re
from dataclasses import dataclass

from tpgen.cli import main


@dataclass(frozen=True)
class Done:
    """What a run returned and wrote."""

    code: int
    out: str
    err: str


class Terminal(io.StringIO):
    """Takes what a terminal would be sent; COLUMNS says how wide it is."""

    def isatty(self) -> bool:
        return True


def tpgen(*arguments: str | os.PathLike[str], stream: type[io.StringIO] = io.StringIO) -> Done:
    """Runs `tpgen` with these arguments; with `stream` `Terminal` as at one."""
    out, err = stream(), stream()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([os.fspath(argument) for argument in arguments])
    assert "[internal]" not in err.getvalue(), err.getvalue()
    return Done(code, out.getvalue(), err.getvalue())


def refusal(*messages: str) -> Done:
    """A run that bad input or usage ended: nothing on stdout, these lines on stderr, exit status 2."""
    return Done(2, "", "".join(line(message) for message in messages))


def is_line(text: str) -> bool:
    """Whether a line on stderr is that of a diagnostic."""
    return re.fullmatch(r"[^ ].*?: (?:error|note): .+ \[[a-z]+(?:-[a-z]+)*\].*", text) is not None


# What a path looks like: it has a slash or a suffix. The line and the column are behind it.
_PLACE = re.compile(r"(?=\S*[./])\S+?(?=: )")


def line(message: str, severity: str = "error") -> str:
    """The line on stderr for `message`, which may begin with a place: compilers have the severity behind it."""
    place = _PLACE.match(message)
    if place is None:
        return f"tpgen: {severity}: {message}\n"
    return f"{place[0]}: {severity}{message[place.end() :]}\n"
