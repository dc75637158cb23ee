"""Event classes from catalogs, for a running kernel whose own sources leave several possible."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tpgen.catalog.read import CatalogKernel


class KnownClasses:
    """The classes of events in the stored catalogs, for a kernel of a `release`. They are opened at the first question.

    Only what a catalog has from headers counts: whatever it found out otherwise, the kernel itself tells as well.
    """

    def __init__(self, release: str | None) -> None:
        self._release = release

    @cached_property
    def _kernels(self) -> list[CatalogKernel]:
        from tpgen.catalog.store import stored_kernels

        return [item.open() for item in stored_kernels()[0] if "headers" in item.info.sources]

    def of(self, name: str, module: str | None, possible: Collection[str]) -> str | None:
        """The class of an event, one of the `possible` ones that fit it equally well; None where no catalog decides.

        Catalogs of this very release decide; else all that know one of the possible must agree, whatever the kernel.
        """
        if not possible:
            return None
        said = [(kernel.release, kernel.class_in_headers(name, module)) for kernel in self._kernels]
        fitting = [(release, known) for release, known in said if known in possible]
        classes = {known for release, known in fitting if release == self._release} or {known for _, known in fitting}
        return classes.pop() if len(classes) == 1 else None
