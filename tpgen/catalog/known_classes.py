"""Classes, systems and element types of dynamic fields from catalogs, which BTF alone does not have."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from functools import cached_property
from itertools import groupby

from tpgen.basics.typing import TYPE_CHECKING
from tpgen.diagnostics import TpgenError
from tpgen.paths import shipped_catalogs, user_catalogs
from tpgen.spelling import spell

if TYPE_CHECKING:
    from tpgen.catalog.read import CatalogKernel
    from tpgen.model import CType, Field, Record


class KnownClasses:
    """The classes of events in the stored catalogs, for a kernel of a `release`. They are opened when needed.

    Only what a catalog has from headers counts: whatever it found out otherwise, the kernel itself tells as well. With
    `shipped_only` the catalogs of this user do not count, so that the same files say the same on every machine.
    """

    def __init__(self, release: str | None, shipped_only: bool = False) -> None:
        self._release = release
        self._shipped_only = shipped_only

    @cached_property
    def _kernels(self) -> list[CatalogKernel]:
        from tpgen.catalog.collection.names import kernels_in
        from tpgen.catalog.read import Catalog

        directories = [None if self._shipped_only else user_catalogs()]
        with suppress(TpgenError):  # an installation without them knows nothing
            directories.append(shipped_catalogs())
        kernels = []
        for path, held in groupby((each for of in directories for each in kernels_in(of)[0]), lambda each: each.path):
            names = [each.info.name for each in held if "headers" in each.info.sources]
            with suppress(TpgenError):  # which `tpgen catalog list` tells
                catalog = Catalog(path) if names else None
                kernels += [catalog.kernel(name) for name in names if catalog]
        return kernels

    def of(self, name: str, module: str | None, possible: Collection[str]) -> str | None:
        """The class of an event, one of the `possible` ones that fit equally well; None if no catalog decides.

        Catalogs of this very release decide; else all that know one of the possible must agree, whatever the kernel.
        """
        if not possible:
            return None
        said = [(kernel.release, kernel.class_in_headers(name, module)) for kernel in self._kernels]
        fitting = [(release, known) for release, known in said if known in possible]
        classes = {known for release, known in fitting if release == self._release} or {known for _, known in fitting}
        return classes.pop() if len(classes) == 1 else None

    def system_of(self, name: str, module: str | None) -> str | None:
        """The system of an event; None where no catalog has it, or two disagree."""
        systems = {system for kernel in self._kernels if (system := kernel.system_of(name, module)) is not None}
        return systems.pop() if len(systems) == 1 else None

    def element(self, classes: Iterable[str], record: Record, field: Field) -> CType | None:
        """The type of the elements of a dynamic field of a class, or of any of several; None where it is not decided.

        All catalogs must agree that have a class of that name with the members of `record`. Where none has one, all of
        the running kernel must that have such a field in a class of that name; a file may be of any kernel.
        """
        files = {id(kernel.catalog): kernel for kernel in self._kernels}.values()
        for like in (record,) if self._shipped_only else (record, None):
            found = {
                spell(ctype): ctype
                for kernel in files
                for name in classes
                for ctype in kernel.elements(name, like, field)
            }
            if found:
                return found.popitem()[1] if len(found) == 1 else None
        return None
