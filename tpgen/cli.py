"""The command line: with the modules of `tpgen.commands`, the only one that prints and exits.

stdout carries the product, stderr everything else. Exit 0: done; 1: a check failed; 2: bad usage or bad input.
"""

from __future__ import annotations

import gc
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from tpgen import __version__
from tpgen.commands.base import EXIT_BAD_INPUT, EXIT_DONE, say
from tpgen.diagnostics import Diagnostic, Position, TpgenError

_OVERVIEW = """\
usage: tpgen EVENT... [--raw] [--classic] [-b BACKEND] [-o PATH] [source options]
       tpgen show EVENT... [--json]      arguments, record, a drawing of the bytes, what was checked
       tpgen list [PATTERN...] [--json]  every tracepoint, its argument count, class and module
       tpgen check [PATTERN...]          compare all sources; exit 1 on a finding
       tpgen probe                       are raw tracepoints supported, and by what evidence

EVENT is sched_switch, sched:sched_switch or a pattern such as 'sched:*' or '*:sched_switch'.
`tpgen COMMAND --help` and `tpgen EVENT --help` explain the options.
"""


#: The words that are commands, of which only the one given is imported. Anything else is an event to generate for.
_COMMANDS = ("show", "list", "check", "probe")


def main(argv: Sequence[str] | None = None) -> int:
    """Run tpgen with `argv` (the process's own by default); returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if sys.stdout is None:  # closed by the caller
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # as long as the process lives
    # A run builds facts and prints them: looking for garbage among them would cost a tenth of its time and find none.
    gc.disable()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # whatever the locale cannot say
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except TpgenError as error:
        say(error.diagnostics)
        return EXIT_BAD_INPUT
    except BrokenPipeError:
        # The reader has seen enough; that Python flushes stdout at exit must not fail once more.
        _drop_stdout()
        return EXIT_DONE
    except OSError as error:
        # Every file is opened where its errors are known; what is left is stdout, on a full disk.
        _drop_stdout()
        say([Diagnostic("unwritable", f"cannot write: {error.strerror or error}", Position("stdout"))])
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        return 130
    finally:
        gc.enable()


def _drop_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_OVERVIEW, end="", file=sys.stdout if arguments else sys.stderr)
        return EXIT_DONE if arguments else EXIT_BAD_INPUT
    if arguments[0] == "--version":
        print(f"tpgen {__version__}")
        return EXIT_DONE
    named = arguments[0] in _COMMANDS
    command = import_module(f"tpgen.commands.{arguments[0] if named else 'generate'}")
    code: int = command.run(command.parser().parse_args(arguments[1:] if named else arguments))
    return code
