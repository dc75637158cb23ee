"""The text of `tpgen check`: what was compared, how much agrees, every finding, and what could not be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tpgen.basics.columns import aligned
from tpgen.diagnostics import Diagnostic
from tpgen.kernel.comparison import Comparison, Subject
from tpgen.kernel.events import EventKey, KernelEvents
from tpgen.model import Event, Kind

# So many examples of a reason are enough to know what is meant.
_EXAMPLES = 3


def report(
    kernel: KernelEvents,
    keys: Sequence[EventKey],
    comparisons: Sequence[Comparison],
    verbose: bool = False,
    skipped: Sequence[Diagnostic] = (),
    width: int | None = None,
) -> str:
    """A table with a line per subject, where the classes of the events `keys` are from, the findings, the reasons.

    `verbose` names all that a reason holds for. `skipped` is what the headers hold that was not taken. The table is no
    wider than `width`.
    """
    lines = _lines(kernel, kernel.events(list(keys), nullness=False), comparisons, verbose, skipped, width)
    return "".join(f"{line}\n" for line in lines)


def _lines(
    kernel: KernelEvents,
    events: Sequence[Event],
    comparisons: Sequence[Comparison],
    verbose: bool,
    skipped: Sequence[Diagnostic],
    width: int | None,
) -> Iterator[str]:
    yield f"{kernel.label}{f', Linux {kernel.release}' if kernel.release else ''}"
    rows = [
        [f"  {subject}", str(compared - differ), str(differ), str(without)]
        for subject, (compared, differ, without) in _counts(comparisons).items()
    ]
    if rows:
        yield from aligned([["", "agree", "differ", "not comparable"], *rows], right=(1, 2, 3), width=width)
    yield from _classes(events)
    yield from _findings(comparisons)
    yield from _reasons(comparisons, verbose)
    yield from (f"note: {note}" for note in kernel.notes)
    yield from _not_taken(skipped)


def _counts(comparisons: Sequence[Comparison]) -> dict[Subject, tuple[int, int, int]]:
    """How many comparisons of each subject were made, how many of them differ, and how many could not be made."""
    counts = {}
    for subject in Subject:
        about = [comparison for comparison in comparisons if comparison.subject == subject]
        if about:
            differ = sum(any(d.severity == "error" for d in c.findings) for c in about)
            without = sum(c.reason is not None for c in about)
            counts[subject] = (len(about) - without, differ, without)
    return counts


def _classes(events: Iterable[Event]) -> Iterator[str]:
    """Counts of the events whose class is known, by origin; of an ambiguous one several classes fit equally well."""
    known = Counter(event.class_origin for event in events if event.kind == Kind.TRACE_EVENT)
    unknown = known.pop(None, 0)
    if known or unknown:
        parts = [f"{number} by {origin}" for origin, number in known.most_common()]
        yield f"classes of events: {', '.join([*parts, f'{unknown} ambiguous or unknown'])}"


def _findings(comparisons: Sequence[Comparison]) -> Iterator[str]:
    for diagnostic in (d for c in comparisons for d in c.findings):
        yield diagnostic.line


def findings(
    kernel: KernelEvents, comparisons: Iterable[Comparison], skipped: Iterable[Diagnostic]
) -> Iterator[Diagnostic]:
    """Diagnostics about a kernel: findings, notes, and what of the headers was not taken."""
    yield from (finding for comparison in comparisons for finding in comparison.findings)
    yield from kernel.notes
    yield from skipped


def report_json(
    kernel: KernelEvents, comparisons: Sequence[Comparison], skipped: Iterable[Diagnostic]
) -> dict[str, Any]:
    """The object for a kernel of `tpgen check --json`. Subjects go by the names of `Subject`, unknown is None."""
    return {
        "kernel": kernel.label,
        "release": kernel.release,
        "subjects": [
            {
                "subject": subject.name.lower(),
                "compared": compared,
                "agree": compared - differ,
                "differ": differ,
                "not_comparable": without,
            }
            for subject, (compared, differ, without) in _counts(comparisons).items()
        ],
        "findings": [finding.as_json() for finding in findings(kernel, comparisons, skipped)],
        "not_compared": [
            {"subject": c.subject.name.lower(), "what": c.what, "reason": c.reason}
            for c in comparisons
            if c.reason is not None
        ],
    }


def _reasons(comparisons: Sequence[Comparison], verbose: bool) -> Iterator[str]:
    by_reason: dict[tuple[Subject, str], list[Comparison]] = {}
    for comparison in comparisons:
        if comparison.reason is not None:
            by_reason.setdefault((comparison.subject, comparison.reason), []).append(comparison)
    for (subject, reason), about in by_reason.items():
        yield f"not comparable: {len(about)} × {subject}: {reason}"
        shown = about if verbose else about[:_EXAMPLES]
        yield from (f"  {c.detail or c.what}" for c in shown)
        if len(about) > len(shown):
            yield f"  and {len(about) - len(shown)} more; -v lists them"


def _not_taken(skipped: Sequence[Diagnostic]) -> Iterator[str]:
    if skipped:
        codes = ", ".join(f"{count} {code}" for code, count in sorted(Counter(d.code for d in skipped).items()))
        yield f"not taken from the headers: {len(skipped)} ({codes})"
        for diagnostic in skipped:
            yield diagnostic.line
