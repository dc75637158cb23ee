"""Findings as annotations of GitHub: workflow commands, which its runner reads from a step's output.

Source: actions/toolkit, packages/core/src/command.ts. A property has more characters escaped than the message.
"""

from __future__ import annotations

from collections.abc import Iterable

from tpgen.diagnostics import printable
from tpgen.doctor.findings import Verdict
from tpgen.doctor.reports.as_json import told
from tpgen.doctor.reports.folding import Examined, Folded, folded, kernel_ranges
from tpgen.doctor.reports.source_paths import SourcePaths

_IN_MESSAGE = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_IN_PROPERTY = _IN_MESSAGE | {":": "%3A", ",": "%2C"}


def workflow_commands(examined: Iterable[Examined], paths: SourcePaths) -> str:
    """A line for each finding."""
    lines = (
        _annotation(each, kernel_ranges(each.kernels, of_object.kernels), paths)
        for of_object in examined
        for each in folded(of_object.judgements)
    )
    return "".join(f"{line}\n" for line in lines)


def _annotation(each: Folded, kernels: str, paths: SourcePaths) -> str:
    """An error at the line of the source, or at the object; a warning where the program may be fine."""
    finding = each.finding
    command = "warning" if finding.verdict == Verdict.DEPENDS else "error"
    properties = {
        "file": paths.shown(finding.file) if finding.file else each.object,
        "line": str(finding.line) if finding.file and finding.line else "",
        "title": f"{each.program} on {kernels}: {finding.verdict} [{finding.code}]",
    }
    texts = (f"{name}={_escaped(text, _IN_PROPERTY)}" for name, text in properties.items() if text)
    return f"::{command} {','.join(texts)}::{_escaped(f'{each.section}: {told(finding)}', _IN_MESSAGE)}"


def _escaped(text: str, escapes: dict[str, str]) -> str:
    return "".join(escapes.get(character) or printable(character) for character in text)
