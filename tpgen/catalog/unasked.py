"""The running kernel from a catalog without its verifier's assumptions about NULL, which are asked for when needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from tpgen.basics.frozen import replace
from tpgen.catalog.read import CatalogKernel
from tpgen.kernel.sources import open_modules_btf
from tpgen.sources.verifier import Verifier

if TYPE_CHECKING:
    from tpgen.catalog.schema import KernelInfo
    from tpgen.kernel.events import EventKey, KernelEvents
    from tpgen.model import Event

    #: Stores a kernel as a catalog with that row of it, and whether its verifier was asked; the second time.
    Store: TypeAlias = Callable[[KernelEvents, Callable[[], KernelInfo], bool], None]


class UnaskedKernel(CatalogKernel):
    """The kernel of such a catalog. When all of its events have been asked about, `store` gets it with the answers."""

    def __init__(self, of: CatalogKernel, store: Store) -> None:
        super().__init__(of.catalog, of.info, of.label)
        self._store: Store | None = store
        self._verifier = Verifier()

    def events(self, keys: list[EventKey], raw_only: bool = False, nullness: bool = True) -> list[Event]:
        events = super().events(keys, raw_only, nullness)
        if not nullness:
            return events
        btfs = open_modules_btf({event.module for event in events if _has_tracepoint(event)})
        asked = [
            self._verifier.with_assumptions(btfs[event.module], event) if _has_tracepoint(event) else event
            for event in events
        ]
        store, self._store = self._store, None
        if store is not None and len(keys) == self.count:
            store(self, lambda: replace(self.info, sources=(*self.info.sources, "verifier")), True)
        return asked


def _has_tracepoint(event: Event) -> bool:
    return event.attach_name is not None and bool(event.args)
