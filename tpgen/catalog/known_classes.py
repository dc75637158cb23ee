"""Event classes as catalogs know them: what a running kernel without headers cannot tell of its events."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tpgen.catalog.read import CatalogKernel


class KnownClasses:
    """The classes of events in the catalogs on hand, for a kernel of a `release`. Nothing is opened before it is asked.

    Only what a catalog has from headers counts: whatever it found out otherwise, the kernel itself tells as well.
    """

    def __init__(self, release: str | None) -> None:
        self._release = release

    @cached_property
    def _kernels(self) -> list[CatalogKernel]:
        from tpgen.catalog.store import on_hand

        return [item.open() for item in on_hand()[0] if "headers" in item.info.sources]

    def of(self, name: str, module: str | None, possible: Collection[str]) -> str | None:
        """The class of an event, one of the `possible` ones that fit it equally well; None where nobody knows.

        Catalogs of this very release decide; else all that know one of the possible must agree, whatever the kernel.
        """
        if not possible:
            return None
        said = [(kernel.release, kernel.class_in_headers(name, module)) for kernel in self._kernels]
        fitting = [(release, known) for release, known in said if known in possible]
        classes = {known for release, known in fitting if release == self._release} or {known for _, known in fitting}
        return classes.pop() if len(classes) == 1 else None
