"""Delivering generated files: to stdout, into a file, or below a directory; and words about them, to stderr.

The names of the commands are here as well: a run imports only the one that is meant.
"""

from __future__ import annotations

import os
import sys

from tpgen.paths import names_directory

TYPE_CHECKING = False  # as in typing, whose import is not worth it
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tpgen.cache.outputs import CachedOutput, Content


#: The commands. A word that is none of these is an event to generate for.
COMMANDS = (
    "show", "list", "check", "diff", "history", "build", "doctor", "backends", "catalog", "probe", "atlas", "explain",
)  # fmt: skip

#: The value of -o that is stdout.
STDOUT = "-"


def deliver(output: CachedOutput, path: str) -> list[str]:
    """Write the files to `path`, which may be `STDOUT`: into one file as far as they are not separate.

    Returns the paths of the files that changed.

    Raises `TpgenError`: `usage` for separate files where `path` is no directory, `unwritable`.
    """
    if path != STDOUT and names_directory(path):
        from tpgen.output import write_files

        return write_files(path, ((name, _data(content)) for name, content in output.files))
    elif output.separate:
        from tpgen.diagnostics import fail

        is_taken = path != STDOUT and os.path.exists(path)
        hint = "name a directory" if is_taken else f"-o {path}{os.sep} is a directory"
        raise fail("usage", f"-o {path} is one file, but several are made", hint=hint)
    elif path == STDOUT:
        _print([content for _, content in output.files])
    else:
        from tpgen.output import write_file

        return write_file(path, b"\n".join(_data(content) for _, content in output.files))
    return []


def _data(content: Content) -> bytes | memoryview:
    return content.encode() if isinstance(content, str) else content


def _print(contents: Sequence[Content]) -> None:
    for number, content in enumerate(contents):
        if isinstance(content, str):
            write("\n" * (number > 0) + content)
        else:
            Screen.make_room()
            sys.stdout.flush()
            sys.stdout.buffer.write(content)


#: Erases the line of the terminal that the cursor is in.
ERASE_LINE = "\r\033[K"


class Screen:
    """The terminal of a run: what the user wants to see there, and what stands there.

    It is one for the process, since messages come from functions that do not know the options. A line about progress
    may stand there, and it is erased before any other text.
    """

    #: Whether notes are hidden, by `-q`.
    quiet = False
    #: The value of `--color`.
    color = "auto"
    has_line = False
    #: Whether anything was written to stdout.
    has_output = False

    @classmethod
    def begin(cls) -> None:
        """Begin a run: nothing of an earlier one in this process counts."""
        cls.quiet, cls.color, cls.has_line, cls.has_output = False, "auto", False, False

    @classmethod
    def make_room(cls) -> None:
        """Erase the line about progress, if there is one."""
        if cls.has_line:
            cls.has_line = False
            write_to_stderr(ERASE_LINE)


def write(text: str) -> None:
    """Write to stdout."""
    Screen.make_room()
    Screen.has_output = True
    sys.stdout.write(text)


def write_to_stderr(text: str) -> None:
    """Write to stderr. Where that fails (a full disk, a reader who left), nothing of the run depends on it."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError):
        try:  # noqa: SIM105  # Python flushes it at exit, and would change the exit status
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
        except (OSError, ValueError):
            pass
