"""tpgen's command line, run in this process: quick, and an exception that nobody expected fails the test."""

from __future__ import annotations

import contextlib
import io
import os
from dataclasses import dataclass

from tpgen.cli import main


@dataclass(frozen=True)
class Done:
    """What a run returned and wrote."""

    code: int
    out: str
    err: str


def tpgen(*arguments: str | os.PathLike[str]) -> Done:
    """Runs `tpgen` with these arguments."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([os.fspath(argument) for argument in arguments])
    assert "[internal]" not in err.getvalue(), err.getvalue()
    return Done(code, out.getvalue(), err.getvalue())


def refusal(*messages: str) -> Done:
    """A run that bad input or usage ended: nothing on stdout, these lines on stderr, exit status 2."""
    return Done(2, "", "".join(f"tpgen: error: {message}\n" for message in messages))
