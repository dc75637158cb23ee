"""What one header that uses the family states, and all that this depends on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tpgen.diagnostics import Diagnostic
from tpgen.sources.headers.facts import HeaderClass, HeaderEvent, HeaderFacts
from tpgen.sources.source_tree.files import Digest

#: For each raw argument, which parameter of TP_PROTO it is.
Order = tuple[int, ...]
#: The includer's path, the name as it is written, and the path of the fragment that it means, None for another header.
Include = tuple[str, str, str | None]


@dataclass(frozen=True, slots=True)
class Unit:
    """What the header at `path` states, together with the fragments that it includes. Types are as they are written.

    It is the same as long as the files that were read for it, or looked for, have these `contents`, each of its
    `includes` leads where it did, and the classes of other headers that its events are of have their arguments in the
    same order (`foreign`). `orders` are those of its own classes.
    """

    path: str
    contents: Mapping[str, Digest]
    includes: tuple[Include, ...]
    orders: Mapping[str, Order]
    foreign: Mapping[str, Order | None]
    classes: tuple[HeaderClass, ...]
    events: tuple[HeaderEvent, ...]
    skipped: tuple[Diagnostic, ...]

    def is_of_other_orders(self, orders: Mapping[str, Order]) -> bool:
        """Whether the arguments of a class of another header have another order now."""
        return any(orders.get(name) != order for name, order in self.foreign.items())


def facts_of(units: Iterable[Unit], release: str | None, skipped: Iterable[Diagnostic] = ()) -> HeaderFacts:
    """What all headers of a tree state together; `skipped` is what could not be read of it."""
    classes: list[HeaderClass] = []
    events: list[HeaderEvent] = []
    all_skipped = dict.fromkeys(skipped)
    for unit in units:
        classes += unit.classes
        events += unit.events
        all_skipped |= dict.fromkeys(unit.skipped)
    return HeaderFacts(release, tuple(classes), tuple(events), tuple(all_skipped))
