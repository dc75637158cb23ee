"""Annotations of GitHub: workflow commands, which its runner reads from a step's output.

Source: actions/toolkit, packages/core/src/command.ts. A property has more characters escaped than the message.
"""

from __future__ import annotations

from tpgen.annotations.annotation import Annotation
from tpgen.diagnostics import printable

_IN_MESSAGE = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_IN_PROPERTY = _IN_MESSAGE | {":": "%3A", ",": "%2C"}
_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def workflow_command(annotation: Annotation) -> str:
    """The line for an annotation."""
    properties = {
        "file": annotation.path,
        "line": annotation.line,
        "col": annotation.column,
        "title": f"{annotation.title} [{annotation.code}]".lstrip(),
    }
    texts = (f"{name}={_escaped(str(value), _IN_PROPERTY)}" for name, value in properties.items() if value)
    return f"::{_COMMANDS[annotation.level]} {','.join(texts)}::{_escaped(annotation.message, _IN_MESSAGE)}\n"


def _escaped(text: str, escapes: dict[str, str]) -> str:
    return "".join(escapes.get(character) or printable(character) for character in text)
