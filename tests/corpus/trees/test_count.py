"""How much there is in each tree, and that tpgen takes no less than all of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from corpus.markers import WORDS
from corpus.trees.case import Case
from tpgen.diagnostics import Diagnostic, Position, Severity
from tpgen.model import Dynamic

# Counted by hand for the field guide: events of all branches, those written directly and those behind wrapper macros.
_FLOORS = {"5.10": 4448, "6.1": 5062, "6.12": 6031, "7.2": 6335}
_DIRECT = re.compile(rf"(?:{'|'.join(WORDS)})\b")


def test_counts(case: Case, report: list[str]) -> None:
    facts = case.facts
    direct = sum(_is_direct(case, event.position) for event in facts.events)
    files = {cls.position.path for cls in facts.classes} | {event.position.path for event in facts.events}
    fields = _fields_by_macro(case)
    report += [
        f"Linux {case.tree.version}: {len(files)} files, {len(facts.classes)} classes, {len(facts.events)} events:"
        f" {direct} written directly, {len(facts.events) - direct} behind a wrapper macro",
        f"    fields by macro: {_listed(fields)}",
        f"    skipped: {_listed(Counter(_reason(case, skipped) for skipped in facts.skipped)) or 'nothing'}"
        f"; not looked at: {len(case.user_space)} headers of tools/",
    ]
    assert facts.release is not None
    assert facts.release.startswith(case.kernel + ".")
    assert len(facts.events) >= _FLOORS[case.kernel]
    assert {case.relative(path) for path in files} <= case.headers.keys()


def test_nothing_is_left_out(case: Case) -> None:
    # Other facilities' events are not tracepoints. Any other reason would hide an event.
    assert {skipped.code for skipped in case.facts.skipped} == {"header-other-event"}
    assert {skipped.severity for skipped in case.facts.skipped} == {Severity.NOTE}


def test_fields_by_kind(case: Case) -> None:
    # Of the classes that gcc makes in one of its configurations, counted by macro; nearly all that there are.
    by_macro = _fields_by_macro(case)
    located = sum(count for macro, count in by_macro.items() if not macro.startswith(("__field", "__array")))
    ours = Counter(field.dynamic for cls in case.facts.classes for field in cls.fields)
    assert ours[Dynamic.DATA_LOC] + ours[Dynamic.REL_LOC] == located
    assert by_macro.total() <= ours.total() <= by_macro.total() + 30


def _is_direct(case: Case, position: Position) -> bool:
    """Whether a word of the family stands at a position."""
    assert position.line is not None
    assert position.column is not None
    line = case.headers[case.relative(position.path)].split("\n")[position.line - 1]
    return bool(_DIRECT.match(line, position.column - 1))


def _fields_by_macro(case: Case) -> Counter[str]:
    return Counter(macro for cls in _classes(case) for macro, _ in cls)


def _classes(case: Case) -> Iterator[tuple[tuple[str, str], ...]]:
    for runs in case.gcc.values():
        yield from (cls.members for cls in (runs.all_options | runs.no_options).classes)


def _reason(case: Case, skipped: Diagnostic) -> str:
    return f"{skipped.code} ({skipped.message.split(' ')[0]})"


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in _by_count(counts.items()))


def _by_count(items: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    return sorted(items, key=lambda item: (-item[1], item[0]))
