"""Several trees of headers as one: the facts of all, each event from the first tree that defines it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import chain, compress

from tpgen.sources.headers.facts import HeaderClass, HeaderEvent, HeaderFacts, HeaderReader, PrintedTexts


class JoinedPrints:
    """The texts that the events of several trees print: a header is of the first tree that knows it."""

    def __init__(self, prints: Sequence[PrintedTexts]) -> None:
        self._prints = prints

    def text(self, event: HeaderEvent, event_class: HeaderClass) -> str | None:
        """Return the arguments of the event's TP_printk; None where they are unknown."""
        return next(filter(None, (each.text(event, event_class) for each in self._prints)), None)

    def value(self, name: str, path: str) -> int | None:
        """Return the value of a name in the header at `path`, where all trees that tell one agree; else None."""
        found = {value for each in self._prints if (value := each.value(name, path)) is not None}
        return found.pop() if len(found) == 1 else None


class JoinedHeaders:
    """The facts of several trees, in the order in which they were given.

    An event that an earlier tree defines is left out of the later ones. Classes are all there: an event is of the class
    in its own header, and a driver's may be of a class of the kernel's.
    """

    def __init__(self, readers: Sequence[HeaderReader]) -> None:
        self._readers = readers

    @cached_property
    def facts(self) -> HeaderFacts:
        """The facts of all trees, with types as they are written."""
        return self._joined(lambda reader: reader.facts)

    @cached_property
    def resolved(self) -> HeaderFacts:
        """The facts of all trees in their order, with resolved types."""
        return self._joined(lambda reader: reader.resolved)

    def dependencies(self) -> Iterable[str]:
        """Return the paths of the files that the facts which were asked for depend on, with some that are missing."""
        return chain.from_iterable(reader.dependencies() for reader in self._readers)

    def prints(self) -> JoinedPrints:
        """Return what the events of all trees print."""
        return JoinedPrints([reader.prints() for reader in self._readers])

    def _joined(self, facts_of: Callable[[HeaderReader], HeaderFacts]) -> HeaderFacts:
        facts = [facts_of(reader) for reader in self._readers]
        kept = (compress(each.events, first) for each, first in zip(facts, self._first, strict=True))
        return HeaderFacts(
            next((each.release for each in facts if each.release), None),
            tuple(chain.from_iterable(each.classes for each in facts)),
            tuple(chain.from_iterable(kept)),
            tuple(dict.fromkeys(chain.from_iterable(each.skipped for each in facts))),
        )

    @cached_property
    def _first(self) -> list[list[bool]]:
        """For each event of each tree, whether no earlier tree defines it."""
        seen: set[tuple[str | None, str]] = set()
        first = []
        for reader in self._readers:
            names = [(event.system, event.name) for event in reader.facts.events]
            first.append([name not in seen for name in names])
            seen.update(names)
        return first
