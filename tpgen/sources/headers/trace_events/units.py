"""The unit of incremental analysis: the facts of one trace header and the inputs they depend on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tpgen.basics.frozen import frozen
from tpgen.diagnostics import Diagnostic
from tpgen.sources.headers.facts import HeaderClass, HeaderEvent, HeaderFacts
from tpgen.sources.source_tree.files import Digest

#: For each raw argument the index of its parameter in TP_PROTO.
ArgumentOrder = tuple[int, ...]
#: The includer's path, the name as it is written, and the path of the fragment that it names, None for other headers.
Include = tuple[str, str, str | None]


@frozen
class HeaderUnit:
    """The facts of the header at `path` and of the fragments that it includes, with types as they are written.

    It is valid while the files that it was read from, or that were looked for, have the digests in `dependencies`, each
    of its `includes` names the same fragment, and the classes of other headers that its events use have the argument
    orders in `external_orders` (None: no such class). `argument_orders` are those of its own classes.
    """

    path: str
    dependencies: Mapping[str, Digest]
    includes: tuple[Include, ...]
    argument_orders: Mapping[str, ArgumentOrder]
    external_orders: Mapping[str, ArgumentOrder | None]
    classes: tuple[HeaderClass, ...]
    events: tuple[HeaderEvent, ...]
    skipped: tuple[Diagnostic, ...]

    def is_of_other_orders(self, orders: Mapping[str, ArgumentOrder]) -> bool:
        """Return whether a class of another header now has another argument order."""
        return any(orders.get(name) != order for name, order in self.external_orders.items())


def facts_of(units: Iterable[HeaderUnit], release: str | None, skipped: Iterable[Diagnostic] = ()) -> HeaderFacts:
    """Join the facts of all headers of a tree; `skipped` reports files that could not be read."""
    classes: list[HeaderClass] = []
    events: list[HeaderEvent] = []
    all_skipped = dict.fromkeys(skipped)
    for unit in units:
        classes += unit.classes
        events += unit.events
        all_skipped |= dict.fromkeys(unit.skipped)
    return HeaderFacts(release, tuple(classes), tuple(events), tuple(all_skipped))
