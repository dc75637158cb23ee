"""The command line: with the modules of `tpgen.commands`, the only one that prints and exits.

stdout carries the product, stderr everything else. Exit 0: done; 1: a check failed; 2: bad usage or bad input.
"""

from __future__ import annotations

import atexit
import gc
import io
import os
import sys

from tpgen import __version__
from tpgen.commands.deliver import COMMANDS, Screen, deliver, write_to_stderr
from tpgen.kernel.options import FLAG, KERNEL_OPTIONS

TYPE_CHECKING = False  # as in typing, which a run that finds its output in the cache goes without
if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_DONE, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 0, 2, 130

_OVERVIEW = """\
usage: tpgen EVENT... [--raw] [--classic] [-b BACKEND] [-o PATH] [options]
       tpgen show EVENT...               show arguments, record and a drawing
       tpgen list [PATTERN...]           list tracepoints with class and module
       tpgen check [PATTERN...]          compare all sources with each other
       tpgen diff K1 K2... [PATTERN...]  show what changed for BPF programs
       tpgen history EVENT...            show in which kernels an event changed
       tpgen doctor OBJECT...            check compiled programs on many kernels
       tpgen build [tpgen.toml]          generate files as a step of a build
       tpgen backends                    list the backends, for -b
       tpgen catalog list|show|add|...   manage the kernels, for --kernel
       tpgen atlas -o DIR                make a web site of all tracepoints
       tpgen probe                       test support for raw tracepoints
       tpgen explain CODE                explain the code of a message

EVENT is sched_switch, sched:sched_switch or a pattern such as 'sched:*' or
'*:sched_switch'. `tpgen help COMMAND` explains the options of a command, and
`tpgen EVENT --help` the options without a command.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run tpgen with `argv` (the process's own by default); returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _open_streams()
    Screen.begin()
    # A run builds facts and prints them: looking for garbage among them would cost a tenth of its time and find none.
    # Python does so once more at the end of the process, where there is no need to either.
    gc.disable()
    atexit.register(gc.freeze)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # whatever the locale cannot say
    try:
        code = _exit_status(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader has seen enough; that Python flushes stdout at exit must not fail once more.
        _drop_stdout()
        return EXIT_DONE
    except KeyboardInterrupt:
        _drop_stdout()
        return EXIT_INTERRUPTED
    except Exception as error:
        if _is_interrupt(error):
            _drop_stdout()
            return EXIT_INTERRUPTED
        return _failed(error)
    finally:
        gc.enable()


def _open_streams() -> None:
    """Open /dev/null for streams that the caller closed, so that no file gets their numbers, and what goes there."""
    if sys.stdin is not None and sys.stdout is not None and sys.stderr is not None:
        return
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    # As long as the process lives.
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def _is_interrupt(error: BaseException | None) -> bool:
    """Whether an exception comes from Ctrl-C. Python wraps those that are raised while it makes a class, for one."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _failed(error: Exception) -> int:
    """Report what ended the run; returns the exit status."""
    from tpgen.diagnostics import TpgenError, fail, unforeseen, unreadable

    if not isinstance(error, TpgenError):
        if os.environ.get("TPGEN_DEBUG") == "1":
            import traceback

            _say("".join(traceback.format_exception(error)))
        if isinstance(error, OSError) and error.filename is not None:
            error = unreadable(os.fsdecode(error.filename), error)
        elif isinstance(error, OSError):
            # Every file is opened where its errors are known; what is left is stdout, on a full disk.
            _drop_stdout()
            error = fail("unwritable", f"cannot write: {error.strerror or error}", "stdout")
        else:
            error = unforeseen(error)
    from tpgen.commands.common.base import report

    report(error.diagnostics)
    return EXIT_BAD_INPUT


def _say(text: str) -> None:
    """Write to stderr; at a terminal as it fits there."""
    if not sys.stderr.isatty():
        write_to_stderr(text)
        return
    from tpgen.commands.common.terminal import say

    say(text)


def _say_diagnostics(lines: Sequence[str]) -> None:
    """Write lines of diagnostics to stderr, as `base.report` does."""
    if not sys.stderr.isatty() and "CLICOLOR_FORCE" not in os.environ:
        write_to_stderr("".join(f"{line}\n" for line in lines))
        return
    from tpgen.commands.common.terminal import say_diagnostic

    for line in lines:
        say_diagnostic(line)


def _drop_stdout() -> None:
    """Discard what is still to be written to stdout."""
    try:  # noqa: SIM105  # contextlib takes longer to import
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # it is no stream of the process
        pass


def _exit_status(arguments: list[str]) -> int:
    try:
        return _run(arguments)
    except SystemExit as left:  # argparse, which has printed its help
        return left.code if isinstance(left.code, int) else EXIT_DONE


def _run(arguments: list[str]) -> int:
    if not arguments:
        _say(_OVERVIEW)
        return EXIT_BAD_INPUT
    if arguments[0].startswith("-"):
        arguments = _command_first(arguments)
    first, *rest = arguments
    if first == "help" and rest and rest[0] != "help":
        return _command(_known(rest[0]), [*rest[1:], "--help"])
    if first in ("-h", "--help", "help"):
        from tpgen.commands.common.terminal import print_text

        print_text(_OVERVIEW)
        return EXIT_DONE
    if first in ("-V", "--version"):
        print(f"tpgen {__version__}")
        return EXIT_DONE
    if first == "build":
        from tpgen.building.request import nothing_to_do

        if nothing_to_do(rest):
            return EXIT_DONE
    if first in COMMANDS:
        return _command(first, rest)
    # The main job: where the output for these words is in the cache, no more than that is imported.
    from tpgen.cache.outputs import CachedInvocation

    invocation = CachedInvocation.of(arguments)
    if invocation is None or not (output := invocation.lookup()):
        return _command("generate", arguments, invocation=invocation)
    deliver(output, invocation.output)
    if output.notes:
        _say_diagnostics(output.notes)
    return EXIT_DONE


# The options with a value that may stand before a command.
_VALUED = (
    "-o",
    "--output",
    "-b",
    "--backend",
    "--color",
    *(option.flag for option in KERNEL_OPTIONS if option.kind != FLAG),
)


def _command_first(arguments: list[str]) -> list[str]:
    """The arguments with the command first, if options come before it."""
    rest = iter(enumerate(arguments))
    for at, word in rest:
        if word in COMMANDS:
            return [word, *arguments[:at], *arguments[at + 1 :]]
        if word == "--" or not word.startswith("-"):
            break
        if word in _VALUED:
            next(rest, None)
    return arguments


def _known(command: str) -> str:
    """The name of a command; raises `TpgenError` `usage` for any other word."""
    if command in COMMANDS:
        return command
    from tpgen.diagnostics import fail, nearest

    raise fail("usage", f"no command {command!r}", hint=nearest(command, COMMANDS))


def _command(name: str, arguments: list[str], **known: object) -> int:
    """Run a command on its `arguments`; what is `known` besides is added to its options."""
    from importlib import import_module

    command = import_module(f"tpgen.commands.{name}")
    # Most are read without argparse, which takes a tenth of a run for one event.
    plain = command.plain(arguments) if hasattr(command, "plain") else None
    options = plain or command.parser().parse_args(arguments)
    vars(options).update(known)
    run = command.run
    if sys.stderr.isatty():
        from tpgen.commands.common.progress import watched

        run = watched(run)
    code: int = run(options)
    return code
