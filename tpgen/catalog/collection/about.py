"""Summaries of stored kernels: what a catalog knows of one, from which sources, and how complete it is."""

from __future__ import annotations

from typing import Any, NamedTuple

from tpgen.catalog.read import CatalogKernel


class KindSummary(NamedTuple):
    """How many events there are of a kind, and of how many what is known.

    `attachable` can be attached to as raw tracepoints. `arguments` have a prototype, `names` one with the names of all
    arguments, `class_name` a class that is decided, `record` a record, `header` a place in a header, `symbols` names of
    values, `alternatives` several definitions, or one under a condition.
    """

    kind: str
    events: int
    attachable: int
    arguments: int
    names: int
    class_name: int
    record: int
    header: int
    symbols: int
    alternatives: int


class ModuleSummary(NamedTuple):
    """A module (None for what is built in) with its number of events, and its build id in hex if known."""

    name: str | None
    events: int
    build_id: str | None


class KernelSummary(NamedTuple):
    """A summary of what a catalog knows of a kernel.

    `nullness` counts the arguments by what is known of NULL: maybe, never, None for what is unknown. `findings` count
    what was found when sources were compared, by code; `uncompared` events by the reason why they were not.
    """

    kinds: tuple[KindSummary, ...]
    modules: tuple[ModuleSummary, ...]
    nullness: dict[str | None, int]
    findings: dict[str, int]
    uncompared: dict[str, int]


_COUNTED = """\
e.kind, count(*), count(e.attach_name), count(e.prototype),
sum(e.prototype IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM argument a WHERE a.prototype = e.prototype AND a.name IS NULL)),
sum(EXISTS (SELECT 1 FROM class c WHERE c.id = e.class AND c.name IS NOT NULL)),
sum(EXISTS (SELECT 1 FROM class c WHERE c.id = e.class AND c.record IS NOT NULL)),
count(e.header), count(e.named), count(e.alternatives)"""


def summary(kernel: CatalogKernel) -> KernelSummary:
    """Summarise a kernel. Raises `catalog-malformed`."""
    kernel.keys()  # which looks at the names of all
    kinds = tuple(KindSummary(*row) for row in kernel.about_events(_COUNTED, "GROUP BY e.kind ORDER BY e.kind"))
    build_ids = kernel.build_ids()
    counts = kernel.about_events("e.module, count(*)", "GROUP BY e.module ORDER BY e.module")
    modules = tuple(ModuleSummary(name, events, build_ids.get(name)) for name, events in counts)
    nullness = _summed(
        kernel.about_events(
            "(SELECT group_concat(ifnull(a.nullness, '')) FROM argument a WHERE a.prototype = e.prototype)"
        )
    )
    findings = "(SELECT group_concat(f.code) FROM finding f WHERE f.checked = e.checked)"
    reasons = "SELECT c.reason FROM checked c WHERE c.id = e.checked AND c.reason IS NOT NULL"
    uncompared = kernel.about_events(f"({reasons} ORDER BY c.position LIMIT 1) AS reason, count(*)", "GROUP BY reason")
    return KernelSummary(
        kinds,
        modules,
        {word or None: count for word, count in nullness.items()},
        _summed(kernel.about_events(findings)),
        {str(reason): count for reason, count in uncompared if reason is not None},
    )


def _summed(rows: list[tuple[Any, ...]]) -> dict[str, int]:
    """How often each word occurs in rows of a list of words."""
    found: dict[str, int] = {}
    for (words,) in rows:
        for word in str(words).split(",") if words is not None else ():
            found[word] = found.get(word, 0) + 1
    return dict(sorted(found.items()))
