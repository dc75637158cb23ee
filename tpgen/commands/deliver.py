"""Where generated files go: to stdout, into a file, or below a directory. Imports only what the way needs."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # as in typing, whose import is not worth it
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tpgen.cache.outputs import Answer, Content


def deliver(answer: Answer, path: str | None) -> None:
    """The files to where `path` says, to stdout where it is None, which separate files cannot go to."""
    if path is None:
        assert not answer.separate
        _print([content for _, content in answer.files])
        return
    from tpgen import output

    if answer.separate or os.path.isdir(path) or path.endswith(os.sep):
        output.write_files(path, ((name, _data(content)) for name, content in answer.files))
    else:
        output.write_file(path, b"\n".join(_data(content) for _, content in answer.files))


def _data(content: Content) -> bytes | memoryview:
    return content.encode() if isinstance(content, str) else content


def _print(contents: Sequence[Content]) -> None:
    for number, content in enumerate(contents):
        if isinstance(content, str):
            sys.stdout.write("\n" * (number > 0) + content)
        else:
            sys.stdout.flush()
            sys.stdout.buffer.write(content)
