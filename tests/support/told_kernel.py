"""A kernel whose events are told, not read; and parts to make such events of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tpgen.diagnostics import Position
from tpgen.kernel.comparison import Comparison
from tpgen.kernel.events import EventKey, KernelEvents
from tpgen.kernel.symbols.facts import NO_SYMBOLS, EventSymbols
from tpgen.model import Argument, CType, Event, Field, Int, Kind, Origin, Pointer, Record, Struct
from tpgen.target import Target, target_named

INT = Int("int", 4, True)
X86_64 = target_named("x86_64")


def pointer(tag: str) -> Pointer:
    """`struct TAG *`."""
    return Pointer(Struct("struct", tag))


def event(
    name: str,
    args: Mapping[str, CType] | None = None,
    fields: Sequence[Field] = (),
    system: str | None = "sys",
    module: str | None = None,
    header: str = "include/trace/events/sys.h",
) -> Event:
    """A trace event with these arguments, and these fields behind a header of 8 bytes."""
    arguments = tuple(Argument(arg, ctype, slot) for slot, (arg, ctype) in enumerate((args or {}).items()))
    size = max((8, *((field.offset_bytes or 0) + (field.size_bytes or 0) for field in fields)))
    return Event(
        system=system, name=name, module=module, kind=Kind.TRACE_EVENT, attach_name=name, class_name=name,
        class_origin=Origin.HEADERS, class_candidates=(), header=Position(header, 12, 3), args=arguments,
        args_origin=Origin.BTF, names_origin=Origin.TRACEITER, record=Record(8, size, tuple(fields)),
        record_origin=Origin.BTF, print_fmt=None,
    )  # fmt: skip


def number(name: str, offset_bytes: int) -> Field:
    """An `int` of a record."""
    return Field(name, INT, offset_bytes, 4, True)


class ToldKernel(KernelEvents):
    """A kernel of these events; `symbols` and `comparisons` are those of events by name."""

    def __init__(
        self,
        events: Sequence[Event],
        release: str | None = "6.1.0",
        target: Target = X86_64,
        symbols: Mapping[str, EventSymbols] | None = None,
        comparisons: Mapping[str, Sequence[Comparison]] | None = None,
    ) -> None:
        super().__init__(release or "told", target, release)
        self._events = {EventKey(each.system, each.name, each.module): each for each in events}
        self._symbols, self._comparisons = symbols or {}, comparisons or {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted({key.name for key in self._events}))

    def keys_of(self, name: str) -> list[EventKey]:
        return [key for key in self.keys() if key.name == name]

    def keys(self) -> list[EventKey]:
        return sorted(self._events, key=lambda key: (key.system or "", key.name, key.module or ""))

    def events(self, keys: list[EventKey], raw_only: bool = False, nullness: bool = True) -> list[Event]:
        return [self._events[key] for key in keys]

    def symbols(self, key: EventKey) -> EventSymbols:
        return self._symbols.get(key.name, NO_SYMBOLS)

    def comparisons(self, key: EventKey, raw_only: bool = False) -> Sequence[Comparison]:
        return self._comparisons.get(key.name, ())
