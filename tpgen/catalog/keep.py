"""Keeping the running kernel: a run that resolves all events leaves its catalog in the user's cache for later ones.

A run that asks for a few events resolves no others for the sake of it.
"""

from __future__ import annotations

from collections.abc import Iterator

from tpgen.cache.private_files import discard
from tpgen.catalog.live_cache import kept_files, kept_key, kept_name
from tpgen.diagnostics import TpgenError
from tpgen.kernel.check import CheckedKernel
from tpgen.kernel.comparison import Comparison
from tpgen.kernel.events import EventKey
from tpgen.kernel.sources import Sources
from tpgen.model import Event


class KeptKernel(CheckedKernel):
    """The running kernel, which is kept once all of its events are asked for."""

    def __init__(self, sources: Sources) -> None:
        super().__init__(sources)
        self._all: list[EventKey] | None = None
        self._kept = False
        self._compared: dict[EventKey, tuple[Comparison, ...]] = {}

    def keys(self) -> list[EventKey]:
        if self._all is None:
            self._all = super().keys()
        return self._all

    def events(self, keys: list[EventKey], raw_only: bool = False) -> list[Event]:
        events = super().events(keys, raw_only)
        if not raw_only and not self._kept and keys == self._all:
            self._kept = True
            _keep(self)
        return events

    def comparisons(self, key: EventKey, raw_only: bool = False) -> Iterator[Comparison]:
        if raw_only:
            yield from super().comparisons(key, raw_only)
            return
        if key not in self._compared:
            self._compared[key] = tuple(super().comparisons(key))
        yield from self._compared[key]


def _keep(kernel: KeptKernel) -> None:
    """Keep the kernel, if that can be done."""
    from tpgen.cache import kernel_identity
    from tpgen.catalog.write import CatalogWriter, info_of

    files, key = kept_files(), kept_key()
    if key is None:
        return
    try:
        temporary = files.new(key)
        try:
            writer = CatalogWriter()
            writer.add(info_of(kernel.sources, "live", build_id=kernel_identity.build_id()), kernel)
            writer.fill(temporary)
            with open(temporary, "rb") as file:
                name = kept_name(key, file.read())
            files.place(temporary, name)
        finally:
            discard(temporary)
    except (OSError, TpgenError):  # no room, no permission
        pass
