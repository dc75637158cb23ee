"""Delivering generated files: to stdout, into a file, or below a directory; and words about them, to stderr.

Imports only what that way needs.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # as in typing, whose import is not worth it
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tpgen.cache.outputs import CachedOutput, Content


def deliver(output: CachedOutput, path: str | None) -> None:
    """Write the files to `path`; to stdout where it is None, which is not for separate files."""
    if path is None:
        assert not output.separate
        _print([content for _, content in output.files])
        return
    from tpgen.output import write_file, write_files

    if output.separate or os.path.isdir(path) or path.endswith(os.sep):
        write_files(path, ((name, _data(content)) for name, content in output.files))
    else:
        write_file(path, b"\n".join(_data(content) for _, content in output.files))


def _data(content: Content) -> bytes | memoryview:
    return content.encode() if isinstance(content, str) else content


def _print(contents: Sequence[Content]) -> None:
    for number, content in enumerate(contents):
        if isinstance(content, str):
            sys.stdout.write("\n" * (number > 0) + content)
        else:
            sys.stdout.flush()
            sys.stdout.buffer.write(content)


def say(text: str) -> None:
    """Write to stderr. Where that fails (a full disk, a reader who left), nothing of the run depends on it."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError):
        try:  # noqa: SIM105  # Python flushes it at exit, and would change the exit status
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
        except (OSError, ValueError):
            pass
