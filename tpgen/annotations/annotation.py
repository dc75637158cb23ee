"""An annotation, as every format has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from tpgen.diagnostics import Diagnostic, Severity


class Annotation(NamedTuple):
    """One finding at a place: `path` is relative to the repository where it can be, `line` and `column` count from 1.

    `title` says of what `message` is, "" where the place tells. `fingerprint` is what stays of it though lines move.
    `function` is the one at the place, and `properties` are for programs.
    """

    level: Literal["error", "warning", "note"]
    code: str
    message: str
    path: str | None
    line: int | None = None
    column: int | None = None
    title: str = ""
    function: str | None = None
    fingerprint: tuple[str, ...] = ()
    properties: Mapping[str, object] = {}


def of_diagnostic(diagnostic: Diagnostic) -> Annotation:
    """The annotation for a diagnostic."""
    place = diagnostic.position
    chain = "".join(f", {link}" for link in diagnostic.chain)
    hint = f"; {diagnostic.hint}" if diagnostic.hint else ""
    return Annotation(
        "error" if diagnostic.severity == Severity.ERROR else "note",
        diagnostic.code,
        f"{diagnostic.message}{chain}{hint}",
        place.path if place else None,
        place.line if place else None,
        place.column if place else None,
    )
