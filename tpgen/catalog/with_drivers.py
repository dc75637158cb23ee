"""A kernel from a catalog with headers of drivers: the drivers' events get the types of the kernel, as from BTF."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

from tpgen.basics.memo import memoised
from tpgen.kernel.check import CheckedKernel
from tpgen.layout import SLOT_BYTES
from tpgen.model import Array, CType, Enum, Event, Pointer, Record, Struct, Typedef
from tpgen.sources.btf_tracepoints import RawPrototype
from tpgen.typequery import children, element_of, mapped, stripped

if TYPE_CHECKING:
    from tpgen.catalog.read import CatalogKernel
    from tpgen.diagnostics import Diagnostic
    from tpgen.kernel.alternatives import FieldsOf
    from tpgen.kernel.comparison import Comparison
    from tpgen.kernel.events import EventKey
    from tpgen.kernel.sources import Sources
    from tpgen.kernel.symbols.facts import EventSymbols

#: The kind of a type and its name, by which C tells types apart.
_Name: TypeAlias = tuple[str, str]


class CatalogTypes:
    """The types of a catalog's kernel, by name: those that its events are made of."""

    def __init__(self, kernel: CatalogKernel) -> None:
        self._kernel = kernel
        self.target = kernel.target

    @cached_property
    def _by_name(self) -> dict[_Name, CType | None]:
        """The types with a name; None for a name that the kernel has twice, in several files."""
        found: dict[_Name, CType | None] = {}
        for ctype in _with_parts(self._kernel.types()):
            if (name := _name(ctype)) is not None:
                found[name] = ctype if found.get(name, ctype) == ctype else None
        return found

    def completed(self, ctype: CType) -> CType:
        """`ctype` with the types that it only names, as far as the catalog has them."""
        match ctype:
            case Typedef(target=None, name=name):
                return self._by_name.get(("typedef", name)) or ctype
            case Struct(name=str(name), size_bytes=None, keyword=kind):
                return self._by_name.get((kind, name)) or ctype
            case Enum(name=str(name), size_bytes=None):
                return self._by_name.get(("enum", name)) or ctype
            case Pointer(target=Struct()):  # of which the name is all there is to know
                return ctype
            case _:
                return mapped(ctype, self.completed)

    @cached_property
    def _switch(self) -> Record | None:
        """The record of sched_switch. Of these fields the kernel's source has the type in words that no BTF keeps."""
        keys = [key for key in self._kernel.keys_of("sched_switch") if key.module is None]
        return next((event.record for event in self._kernel.events(keys)), None)

    @cached_property
    def _comm(self) -> Array | None:
        """Its field prev_comm, which is a `char [TASK_COMM_LEN]` in every kernel."""
        fields = self._switch.fields if self._switch else ()
        types = (stripped(field.type) for field in fields if field.name == "prev_comm" and field.type is not None)
        return next((ctype for ctype in types if isinstance(ctype, Array)), None)

    def enumerator(self, name: str) -> int | None:
        """The value of a constant; it is the only one that a catalog has."""
        return self._comm.length if self._comm and name == "TASK_COMM_LEN" else None

    @property
    def char(self) -> CType | None:
        """The type char, which is signed before Linux 6.2 where the architecture has it so."""
        return element_of(self._comm) if self._comm else None

    @property
    def header_bytes(self) -> int:
        """The size of the common header of records."""
        return self._switch.header_bytes if self._switch else SLOT_BYTES


def _with_parts(types: Iterable[CType]) -> Iterator[CType]:
    for ctype in types:
        yield ctype
        yield from _with_parts(children(ctype))


def _name(ctype: CType) -> _Name | None:
    """The name of a type that the kernel defines; None for any other."""
    match ctype:
        case Typedef(name=name, target=target) if target is not None:
            return "typedef", name
        case Struct(name=str(name), size_bytes=int()):
            return ctype.keyword, name
        case Enum(name=str(name), size_bytes=int()):
            return "enum", name
        case _:
            return None


class KernelWithDrivers(CheckedKernel):
    """A catalog's kernel, and the events of drivers that it lacks; `sources` are the drivers' headers."""

    def __init__(self, catalog: CatalogKernel, sources: Sources) -> None:
        super().__init__(sources)
        self._catalog = catalog
        self._types = CatalogTypes(catalog)
        self.notes += catalog.notes

    # --- which events there are

    @cached_property
    def names(self) -> tuple[str, ...]:
        stated = filter(self._driver_events, self._header_events)
        return tuple(sorted({*self._catalog.names, *stated}))

    @property
    def is_asked(self) -> bool:
        return True

    def _stated_keys_of(self, name: str) -> list[EventKey]:
        return self._in_catalog(name) or super()._stated_keys_of(name)

    @memoised
    def _in_catalog(self, name: str) -> list[EventKey]:
        return self._catalog.keys_of(name)

    def _stored(self, key: EventKey) -> Event | None:
        """The event from the catalog; None where it is a driver's."""
        return self._catalog.event(key) if key in self._in_catalog(key.name) else None

    # --- one event

    def _resolve(self, key: EventKey, raw_only: bool = False) -> Event:
        stored = self._stored(key)
        if stored is None:
            return super()._resolve(key, raw_only)
        self._refusals[key] = ()
        return stored

    def comparisons(self, key: EventKey, raw_only: bool = False) -> Iterator[Comparison]:
        stored = self._catalog.comparisons(key, raw_only) if self._stored(key) else ()
        yield from chain(stored, super().comparisons(key, raw_only) if self.header_forms(key) else ())

    def symbols(self, key: EventKey) -> EventSymbols:
        return self._catalog.symbols(key) if self._stored(key) else super().symbols(key)

    def raw(self, key: EventKey) -> RawPrototype | None:
        stored = self._stored(key)
        return RawPrototype(stored.args, stored.names_origin, None) if stored and stored.args is not None else None

    def _known_fields(self, key: EventKey) -> Iterator[FieldsOf]:
        record = stored.record if (stored := self._stored(key)) else None
        if record is not None:
            fields = record.fields
            yield lambda form: fields

    def record_source(self, key: EventKey) -> str | None:
        return "the catalog" if self._stored(key) else None

    def types_of(self, key: EventKey) -> CatalogTypes:
        return self._types

    @property
    def char(self) -> CType | None:
        return self._types.char

    @property
    def common_bytes(self) -> int:
        return self._types.header_bytes

    def raw_evidence(self) -> Iterable[tuple[str, bool | None]]:
        return self._catalog.raw_evidence()

    def records_of(self, class_name: str) -> tuple[Record, ...]:
        return self._catalog.records_of(class_name)

    def build_ids(self) -> dict[str | None, str]:
        return self._catalog.build_ids()

    def tells_null(self) -> bool | None:
        return self._catalog.tells_null()

    def unreadable(self, keys: Iterable[EventKey]) -> list[Diagnostic]:
        return self._catalog.unreadable(key for key in keys if self._stored(key))
