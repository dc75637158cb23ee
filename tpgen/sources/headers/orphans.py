"""Events that no kernel has: those of a fragment's copy that no header includes."""

from __future__ import annotations

from tpgen.basics.frozen import replace
from tpgen.diagnostics import Diagnostic, Severity
from tpgen.model import Kind
from tpgen.sources.headers.facts import HeaderEvent, HeaderFacts


def without_orphans(facts: HeaderFacts) -> HeaderFacts:
    """Leave out the trace events of headers without a TRACE_SYSTEM where a header with one has events of these names.

    Such a header is a fragment: it makes events of the system of whoever includes it. A copy that nobody includes makes
    none, and those of its original are there.
    """
    homeless = [event for event in facts.events if _is_homeless(event)]
    if not homeless:
        return facts
    originals = {event.name: event for event in facts.events if event.system is not None}
    orphans = [event for event in homeless if event.name in originals]
    if not orphans:
        return facts
    ids, told = set(map(id, orphans)), dict[str, Diagnostic]()
    for event in orphans:
        told.setdefault(event.position.path, _told(event, originals[event.name]))
    kept = tuple(event for event in facts.events if id(event) not in ids)
    inhabited = {event.position.path for event in kept}
    classes = tuple(
        found for found in facts.classes if found.position.path not in told or found.position.path in inhabited
    )
    return replace(facts, classes=classes, events=kept, skipped=(*facts.skipped, *told.values()))


def _is_homeless(event: HeaderEvent) -> bool:
    return event.system is None and event.kind != Kind.TRACEPOINT


def _told(event: HeaderEvent, original: HeaderEvent) -> Diagnostic:
    message = (
        f"no header with a TRACE_SYSTEM includes this one: its {event.name} is left out, "
        f"{original.system}:{original.name} is in {original.position}"
    )
    return Diagnostic("header-orphan", message, event.position, "remove the copy", Severity.NOTE)
