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

TYPE_CHECKING = False  # as in typing, which a run that finds its output in the cache goes without
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tpgen.diagnostics import TpgenError

EXIT_DONE, EXIT_BAD_INPUT = 0, 2

_OVERVIEW = """\
usage: tpgen EVENT... [--raw] [--classic] [-b BACKEND] [-o PATH] [source options]
       tpgen show EVENT... [--json]      arguments, record, a drawing of the bytes, what was checked
       tpgen list [PATTERN...] [--json]  every tracepoint, its argument count, class and module
       tpgen check [PATTERN...]          compare all sources; exit 1 on a finding
       tpgen diff K1 K2 [PATTERN...]     what changed for a BPF program between two kernels
       tpgen build [tpgen.toml]          bring generated files up to date, as a step of a build
       tpgen backends                    what -b can name, from tpgen and from other packages
       tpgen catalog list|add|export     the kernels that --kernel can name, beside the running one
       tpgen probe                       are raw tracepoints supported, and by what evidence

EVENT is sched_switch, sched:sched_switch or a pattern such as 'sched:*' or '*:sched_switch'.
`tpgen COMMAND --help` and `tpgen EVENT --help` explain the options.
"""


#: The words that are commands, of which only the one given is imported. Anything else is an event to generate for.
_COMMANDS = ("show", "list", "check", "diff", "build", "backends", "catalog", "probe")


def main(argv: Sequence[str] | None = None) -> int:
    """Run tpgen with `argv` (the process's own by default); returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if sys.stdout is None:  # closed by the caller
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # as long as the process lives
    # A run builds facts and prints them: looking for garbage among them would cost a tenth of its time and find none.
    # Python does so once more at the end of the process, where there is no need to either.
    gc.disable()
    atexit.register(gc.freeze)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # whatever the locale cannot say
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader has seen enough; that Python flushes stdout at exit must not fail once more.
        _drop_stdout()
        return EXIT_DONE
    except OSError as error:
        # Every file is opened where its errors are known; what is left is stdout, on a full disk.
        from tpgen.diagnostics import fail

        _drop_stdout()
        return _bad_input(fail("unwritable", f"cannot write: {error.strerror or error}", "stdout"))
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        from tpgen.diagnostics import TpgenError  # which is there by now, if that is what it is

        if not isinstance(error, TpgenError):
            raise
        return _bad_input(error)
    finally:
        gc.enable()


def _bad_input(error: TpgenError) -> int:
    from tpgen.commands.base import report

    report(error.diagnostics)
    return EXIT_BAD_INPUT


def _drop_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_OVERVIEW, end="", file=sys.stdout if arguments else sys.stderr)
        return EXIT_DONE if arguments else EXIT_BAD_INPUT
    if arguments[0] == "--version":
        print(f"tpgen {__version__}")
        return EXIT_DONE
    if arguments[0] == "build":
        from tpgen.building.request import nothing_to_do

        if nothing_to_do(arguments[1:]):
            return EXIT_DONE
    if arguments[0] in _COMMANDS:
        return _command(arguments[0], arguments[1:])
    # The main job: where the output for these words is in the cache, no more than that is imported.
    from tpgen.cache.outputs import CachedInvocation

    invocation = CachedInvocation.of(arguments)
    if invocation is None or not (output := invocation.lookup()):
        return _command("generate", arguments, invocation=invocation)
    from tpgen.commands.deliver import deliver

    deliver(output, invocation.output)
    sys.stderr.writelines(f"{note}\n" for note in output.notes)
    return EXIT_DONE


def _command(name: str, arguments: list[str], **known: object) -> int:
    """Run a command on its `arguments`; what is `known` besides is added to its options."""
    from importlib import import_module

    command = import_module(f"tpgen.commands.{name}")
    options = command.parser().parse_args(arguments)
    vars(options).update(known)
    code: int = command.run(options)
    return code
