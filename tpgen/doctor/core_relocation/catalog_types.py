"""Types of a kernel of which only its events are known: `struct trace_event_raw_<class>` and `btf_trace_<event>`.

Nothing is known about other types, not even whether they exist.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from tpgen.basics.memo import memoised
from tpgen.doctor.core_relocation.btf_of import ROOT, TypeWriter
from tpgen.doctor.core_relocation.compatibility import Untold
from tpgen.doctor.core_relocation.kernel_types import InTable, TypeTable
from tpgen.doctor.core_relocation.stable_types import is_stable, stable_record
from tpgen.doctor.core_relocation.wanted import Candidate, Match, Types, Wanted
from tpgen.kernel.events import KernelEvents
from tpgen.model import Event, FuncProto, Origin, Pointer, Void
from tpgen.sources.bpf_object.facts import CoreKind
from tpgen.sources.btf_encoding import BtfKind

_RECORD, _PROTOTYPE = "trace_event_raw_", "btf_trace_"


class CatalogTypes(Types):
    """The types that are known from a kernel's events."""

    def __init__(self, events: KernelEvents) -> None:
        self._events = events

    @memoised
    def candidates(self, name: str, kind: BtfKind) -> tuple[Candidate, ...]:
        """The types of that name. Raises `Untold` for one that is not an event's."""
        if not self._has_btf:
            raise Untold
        if kind == BtfKind.STRUCT and name.startswith(_RECORD):
            return tuple(self._records(name))
        if kind == BtfKind.STRUCT and is_stable(name):
            return (self._stable(name),)
        if kind == BtfKind.TYPEDEF and name.startswith(_PROTOTYPE):
            return tuple(self._prototypes(name))
        raise Untold

    @cached_property
    def _has_btf(self) -> bool:
        """Whether what is known of the kernel is from its BTF: of an event that is missing there are no types then."""
        return any(decided for _, decided in self._events.raw_evidence())

    def _records(self, name: str) -> Iterator[Candidate]:
        for record in self._events.records_of(name.removeprefix(_RECORD)):
            if record.size_bytes is None:
                raise Untold
            writer = TypeWriter(self._events.target)
            writer.record(name, record)
            yield _OfEvents(TypeTable(writer.btf(self._events.label), partial=True), ROOT)

    def _stable(self, name: str) -> Candidate:
        """A struct that is the same on every kernel but for the header, which that of system calls tells."""
        known = self._events.records_of("sys_enter")
        if not known:
            raise Untold
        writer = TypeWriter(self._events.target)
        writer.struct(name, stable_record(name, known[0].header_bytes, self._events.target))
        return _OfEvents(TypeTable(writer.btf(self._events.label), partial=True), ROOT)

    def _prototypes(self, name: str) -> Iterator[Candidate]:
        """The prototypes of an event of vmlinux, or of those of that name in modules."""
        keys = self._events.keys_of(name.removeprefix(_PROTOTYPE))
        events = [each for each in self._events.events(keys, nullness=False) if each.args_origin == Origin.BTF]
        events = [each for each in events if each.attach_name == each.name]
        for event in [each for each in events if each.module is None] or events:
            writer = TypeWriter(self._events.target)
            writer.typedef(name, _prototype(event))
            table = TypeTable(writer.btf(self._events.label), event.module, partial=True)
            yield _OfEvents(table, ROOT)


class _OfEvents(InTable):
    def match(self, wanted: Wanted) -> Match | None:
        if wanted.kind == CoreKind.TYPE_ID_TARGET:
            raise Untold
        return super().match(wanted)


def _prototype(event: Event) -> Pointer:
    """The type of `btf_trace_<event>`: a pointer to a function of some data and the arguments."""
    assert event.args is not None
    return Pointer(FuncProto(Void(), (Pointer(Void()), *(arg.type for arg in event.args))))
