"""The facts of the search index: what an atlas has pages for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tpgen.basics.frozen import frozen


@frozen
class IndexedEvent:
    """An event with the path of its page; `module` where that tells it from another of its system and name.

    `is_of_module` tells that no kernel has it in vmlinux.
    """

    system: str | None
    name: str
    path: str
    module: str | None = None
    is_of_module: bool = False


@frozen
class SearchIndex:
    """The names that an atlas has pages for. All but events is by name, and has the number of events.

    A type's name is its spelling: `struct sock`, `pid_t`.
    """

    events: Iterable[IndexedEvent]
    arguments: Mapping[str, int]
    fields: Mapping[str, int]
    types: Mapping[str, int]
    modules: Mapping[str, int]
    kernels: Iterable[str]
