"""Every trace header of every tree against `gcc -E`: nothing is lost or made up, and each #if is understood."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import pytest

from corpus.markers import Made
from corpus.trees.case import Case
from tpgen.model import Kind
from tpgen.sources.headers.facts import HeaderFacts

#: A class as (name, fields), an event as (name, class, whether it is bare, arguments).
_Fact: TypeAlias = tuple[object, ...]


@dataclass
class _Read:
    """What tpgen read in one header, each with its conditions, None for none: facts, and the systems of each event."""

    facts: dict[_Fact, set[str | None]] = field(default_factory=lambda: defaultdict(set))
    systems: dict[str, dict[str | None, set[str | None]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(set))
    )


def _by_header(case: Case, facts: HeaderFacts) -> dict[str, _Read]:
    found: dict[str, _Read] = defaultdict(_Read)
    for cls in facts.classes:
        read = found[case.relative(cls.position.path)]
        read.facts[cls.name, tuple(field.member_name for field in cls.fields)].add(cls.condition)
    for event in facts.events:
        read = found[case.relative(event.position.path)]
        args = tuple(arg.name for arg in event.args)
        read.facts[event.name, event.class_name, event.kind == Kind.TRACEPOINT, args].add(event.condition)
        read.systems[event.name][event.system].add(event.condition)
    return found


def _facts(made: Made) -> set[_Fact]:
    events = {(event.name, event.class_name, event.bare, event.args) for event in made.events}
    return events | {(cls.name, cls.fields) for cls in made.classes}


def test_nothing_is_lost(case: Case, report: list[str]) -> None:
    found = _by_header(case, case.facts)
    assert found.keys() <= case.headers.keys()
    total = 0
    for path, runs in case.gcc.items():
        made = _facts(runs.all_options | runs.no_options)
        assert made <= found[path].facts.keys(), path
        total += len((runs.all_options | runs.no_options).events)
    report.append(f"Linux {case.tree.version}: gcc -E makes {total} events with all options or none; lost: 0")


def test_nothing_is_made_up(case: Case, report: list[str]) -> None:
    """What gcc makes neither with all options nor with none, it makes under the very condition that tpgen names."""
    found = _by_header(case, case.facts)
    explained: dict[str, int] = defaultdict(int)
    for path, runs in case.gcc.items():
        made = _facts(runs.all_options | runs.no_options)
        for fact in found[path].facts.keys() - made:
            for condition in found[path].facts[fact]:
                assert condition is not None, (path, fact)
                assert fact in _facts(case.made(path, tuple(_definitions(condition)))), (path, fact, condition)
                explained[f"{path}: {condition}"] += 1
    for place, count in explained.items():
        report.append(f"    {count} classes and events under a condition of another kind: {place}")


def test_systems(case: Case, report: list[str]) -> None:
    found = _by_header(case, case.facts)
    fragments = set()
    for path, runs in case.gcc.items():
        made = {(event.name, event.system) for event in (runs.all_options | runs.no_options).events}
        for name, system in made:
            if system is None:  # the header that includes this one has the system
                fragments.add(path)
                assert found[path].systems[name].keys() - {None}, (path, name)
            else:
                assert system in found[path].systems[name], (path, name)
        for name, systems in found[path].systems.items():
            for system in systems.keys() - {system for other, system in made if other == name}:
                for condition in systems[system]:
                    assert path in fragments or _makes_in(case, path, condition, name, system), (path, name, system)
    report.append(f"Linux {case.tree.version}: {len(fragments)} headers have the system of those that include them")


def _makes_in(case: Case, path: str, condition: str | None, name: str, system: str | None) -> bool:
    """Whether gcc makes an event in a system where a condition holds that it does not hold in by itself."""
    assert condition is not None, (path, name, system)
    events = case.made(path, tuple(_definitions(condition))).events
    return any((event.name, event.system) == (name, system) for event in events)


@pytest.mark.parametrize("with_options", [True, False], ids=["all-options", "no-options"])
def test_configured(case: Case, with_options: bool) -> None:
    found = _by_header(case, case.read(case.options if with_options else {}))
    compared = 0
    for path, runs in case.gcc.items():
        made = _facts(runs.all_options if with_options else runs.no_options)
        # A name that is no option is unknown to tpgen and undefined to gcc, so tpgen may have more, with a condition.
        sure = {fact for fact, conditions in found[path].facts.items() if None in conditions}
        assert made <= found[path].facts.keys(), path
        assert sure <= made, path
        compared += len(made)
    assert compared > 5000


def _definitions(condition: str) -> Iterator[str]:
    """Definitions under which a condition without `!` holds: every name as 1, or as the least that it must be."""
    required = dict(re.findall(r"\b([A-Za-z_]\w*) >= (\d+)", condition))
    for name in set(re.findall(r"\b[A-Za-z_]\w*", condition)) - {"defined"}:
        yield f"{name}={required.get(name, 1)}"
