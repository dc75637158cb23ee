"""Outcomes of comparing two sources of one kernel: `check` makes them, a catalog stores them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from tpgen.basics.typing import NamedTuple
from tpgen.diagnostics import Diagnostic, Severity

#: The codes of notes that whoever generates code has to see: what is generated may be wrong.
DOUBTS = frozenset(("syscall-context",))


class Subject(StrEnum):
    """A part of an event and the sources that are compared about it, once per event; the layout once per class."""

    RAW = "raw arguments: BTF typedef, functions and class"
    RECORD = "classic record: tracefs and BTF"
    SYSCALL = "syscall record: tracefs and BTF"
    LAYOUT = "computed layout: declared types and BTF"
    HEADER_RAW = "raw arguments: headers and BTF"
    HEADER_RECORD = "classic record: headers and the kernel"


class Comparison(NamedTuple):
    """One comparison: no `findings` and no `reason` means that the sources agree; a `reason` that there was none.

    `reason` is the same text for all events that it holds for; what is special to this one stands in `detail`.
    """

    subject: Subject
    what: str
    findings: tuple[Diagnostic, ...] = ()
    reason: str | None = None
    detail: Diagnostic | None = None


def doubts(comparisons: Iterable[Comparison]) -> list[Diagnostic]:
    """The findings that raise doubts: one for all events with the same text."""
    found: dict[str, list[Diagnostic]] = {}
    for finding in (d for comparison in comparisons for d in comparison.findings if d.code in DOUBTS):
        found.setdefault(finding.code, []).append(finding)
    return [
        first._replace(message=f"{first.message}; so it is with {len(more)} more events") if more else first
        for first, *more in found.values()
    ]


def errors(comparisons: Iterable[Comparison]) -> list[Diagnostic]:
    """The findings that make a check fail."""
    return [d for comparison in comparisons for d in comparison.findings if d.severity == Severity.ERROR]
