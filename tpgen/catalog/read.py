"""Reading a catalog: the same events that the sources had, from a file that may come from anywhere.

The file must be just what `write` makes: its tables, word by word (`file` sees to that), and in them nothing that
`validate` refuses. Anything else is one `TpgenError` with the code `catalog-malformed` or `catalog-foreign`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from tpgen.basics.memo import memoised
from tpgen.basics.progress import counted
from tpgen.catalog.contents import EVENT_ROW, CatalogContents, EventRow, Located, line_number
from tpgen.catalog.file import CatalogFile
from tpgen.catalog.kernel_row import KERNEL_COLUMNS, KERNEL_ROW, build_id, kernel_info
from tpgen.catalog.schema import KernelInfo
from tpgen.catalog.symbols import CatalogSymbols
from tpgen.diagnostics import Diagnostic, Position, Severity, fail
from tpgen.kernel import validate
from tpgen.kernel.comparison import Comparison, Subject, errors
from tpgen.kernel.events import EventKey, KernelEvents, Part
from tpgen.kernel.options import CATALOG_SUFFIX
from tpgen.kernel.symbols.facts import EventSymbols
from tpgen.model import CType, Dynamic, Event, Field, Kind, Origin, Record
from tpgen.target import Target

_Value = TypeVar("_Value")


class NamedEvent(NamedTuple):
    """An event among those of its name. With `is_stated`, headers state the class."""

    module: Any
    system: Any
    kind: Any
    class_name: Any
    is_stated: Any


_NAMED_EVENTS = (
    "SELECT k.kernel, e.module, e.system, e.kind, (SELECT c.name FROM class c WHERE c.id = e.class), "
    "(SELECT p.class FROM provenance p WHERE p.id = e.provenance) IS ? "
    "FROM event e CROSS JOIN group_event g ON g.event = e.id CROSS JOIN kernel "
    "CROSS JOIN kernel_group k ON k.kernel = kernel.id AND k.event_group = g.event_group WHERE e.name = ?"
)


class Catalog:
    """An opened catalog, with its kernels. Raises what `CatalogFile` does, also later, by whoever finds it so.

    The facts of events are read once for all kernels of a target; `file` is theirs too, and they do not refer to this.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.file = CatalogFile(path)
        self._of_name: tuple[str | None, dict[int, list[NamedEvent]]] = (None, {})

    @cached_property
    def kernels(self) -> tuple[KernelInfo, ...]:
        """The kernels in this file, in the order in which they were written."""
        return tuple(self.file.value(kernel_info, row) for row in self.file.rows(f"{KERNEL_ROW} ORDER BY id"))

    def rows_of_kernels(self) -> list[tuple[KernelInfo, int]]:
        """The kernels in this file, each with the number of its events."""
        rows = self.file.rows(f"SELECT events, {KERNEL_COLUMNS} FROM kernel ORDER BY id")
        return [(self.file.value(kernel_info, row), self.file.value(validate.count, events)) for events, *row in rows]

    def kernel(self, name: str | None = None, label: str | None = None) -> CatalogKernel:
        """The kernel of that name; the only one without a name. Messages call it `label`, or by its name.

        Raises `unknown-kernel` where there is none, and without a name where there are several.
        """
        if name is None:
            infos = self.kernels
        else:  # there may be thousands
            infos = tuple(
                self.file.value(kernel_info, row) for row in self.file.rows(f"{KERNEL_ROW} WHERE name = ?", name)
            )
        if len(infos) == 1:
            return CatalogKernel(self, infos[0], label or infos[0].name)
        names = [info.name for info in self.kernels]
        hint = f"it has {', '.join(names) or 'none'}"
        if name is None and names:
            path = self.path if self.path.endswith(CATALOG_SUFFIX) else f"{self.path}{CATALOG_SUFFIX}"
            hint += f"; {path}:{names[0]} would be one"
        what = "which of its kernels is not said" if name is None else f"no kernel {name!r} in this catalog"
        raise fail("unknown-kernel", what, self.path, hint)

    def events_of_name(self, name: str) -> dict[int, list[NamedEvent]]:
        """The events of that name by the number of the kernel: who asks one kernel of a file asks the others next."""
        if self._of_name[0] != name:
            found: dict[int, list[NamedEvent]] = {}
            for kernel, *row in self.file.rows(_NAMED_EVENTS, Origin.HEADERS.value, name):
                found.setdefault(kernel, []).append(NamedEvent(*row))
            self._of_name = name, found
        return self._of_name[1]

    @memoised
    def contents(self, target: Target) -> CatalogContents:
        """The facts of the events of kernels of that target."""
        return CatalogContents(self.file, target)

    @cached_property
    def symbols(self) -> CatalogSymbols:
        """The names of values."""
        return CatalogSymbols(self.file)

    @cached_property
    def telling_null(self) -> frozenset[int]:
        """The numbers of the kernels that have information about NULL."""
        from tpgen.sources.source_tree.null_args import NULLABLE_SUFFIX

        query = (
            "SELECT DISTINCT kernel FROM kernel_group WHERE event_group IN (SELECT event_group FROM group_event WHERE "
            "event IN (SELECT id FROM event WHERE prototype IN (SELECT prototype FROM argument "
            "WHERE nullness IS NOT NULL OR substr(name, ?) = ?)))"
        )
        return frozenset(number for (number,) in self.file.rows(query, -len(NULLABLE_SUFFIX), NULLABLE_SUFFIX))

    def shared_events(
        self, kernels: Mapping[int, int], names: Collection[str] | None
    ) -> Iterator[tuple[tuple[Any, ...], int]]:
        """Rows of events, those of `names` or all, with the bits of the kernels that have them, by their numbers.

        However many kernels have an event, it is read once.
        """
        groups: dict[Any, int] = {}
        for kernel, group in self.file.rows("SELECT kernel, event_group FROM kernel_group"):
            if kernel in kernels:
                groups[group] = groups.get(group, 0) | kernels[kernel]
        by_name = names is not None and len(names) < _MANY
        of_events = " WHERE event IN (SELECT id FROM event WHERE name = ?)" if by_name else ""
        named = " WHERE name = ?" if by_name else ""
        for values in [(name,) for name in names or ()] if by_name else [()]:
            bits: dict[Any, int] = {}
            for group, event in self.file.rows(f"SELECT event_group, event FROM group_event{of_events}", *values):
                if group in groups:
                    bits[event] = bits.get(event, 0) | groups[group]
            for number, *row in self.file.rows(f"SELECT id, {_FINGERPRINT} FROM event{named}", *values):
                if number in bits and (names is None or row[1] in names):
                    yield tuple(row), bits[number]


# So many kernels are asked one by one.
_FEW = 20
# Of so many events the rows are found in one query.
_MANY = 300
# What identifies an event, and what all of its facts in both forms are made of.
_FINGERPRINT = "system, name, module, kind, attach_name IS NULL, prototype, class"

# The events of a kernel, and those of one name: the planner does not know that few kernels have an event.
_OF_KERNEL = (
    "FROM kernel_group k CROSS JOIN group_event g ON g.event_group = k.event_group "
    "CROSS JOIN event e ON e.id = g.event WHERE k.kernel = ? "
)
_OF_NAME = (
    "FROM event e CROSS JOIN group_event g ON g.event = e.id "
    "CROSS JOIN kernel_group k ON k.event_group = g.event_group WHERE k.kernel = ? AND e.name = ? "
)
_ORDER = "ORDER BY e.system, e.name, e.module"
_LOCATED = f"SELECT e.id, e.checked, e.named, {EVENT_ROW} "

# The findings about a format file that could not be read.
_UNREADABLE = ("format-malformed", "unreadable")


class CatalogKernel(KernelEvents):
    """A kernel from a catalog. Its events are read when they are needed."""

    def __init__(self, catalog: Catalog, info: KernelInfo, label: str) -> None:
        self.catalog = catalog
        self.info = info
        self._file = file = catalog.file
        numbers = file.rows("SELECT id, events FROM kernel WHERE name = ?", info.name)
        if len(numbers) != 1:  # a damaged index finds other rows than the table has
            raise file.malformed(f"{len(numbers)} kernels have the name {info.name!r}")
        self._id, count = numbers[0]
        #: The number of events.
        self.count = file.value(validate.count, count)
        self._contents = catalog.contents(info.target)
        self._null_sources = tuple(o for o in (Origin.VERIFIER, Origin.HEADERS) if o in info.sources)
        self._located: dict[EventKey, Located] = {}
        super().__init__(label, info.target, info.release, tuple(self._notes()))
        self.is_stored = True

    def _notes(self) -> Iterator[Diagnostic]:
        query = "SELECT code, message, hint FROM note WHERE kernel = ? ORDER BY position"
        for code, message, hint in self._file.rows(query, self._id):
            texts = self._value(validate.text, code), self._value(validate.text, message)
            yield Diagnostic(*texts, hint=self._opt(validate.text, hint), severity=Severity.NOTE)

    # --- which events there are

    @cached_property
    def names(self) -> tuple[str, ...]:
        rows = self._file.rows(f"SELECT DISTINCT e.name {_OF_KERNEL}ORDER BY e.name", self._id)
        return tuple(self._value(validate.event_name, name) for (name,) in rows)

    def keys_of(self, name: str) -> list[EventKey]:
        query = f"SELECT e.system, e.name, e.module, e.kind {_OF_NAME}{_ORDER}"
        return [self._key(*row) for row in self._file.rows(query, self._id, name)]

    def keys(self) -> list[EventKey]:
        rows = self._file.rows(f"SELECT e.system, e.name, e.module, e.kind {_OF_KERNEL}{_ORDER}", self._id)
        if len(rows) != self.count:
            raise self._file.malformed(f"{self.info.name!r} has {len(rows)} events, not {self.count}")
        return [self._key(*row) for row in rows]

    def about_events(self, columns: str, rest: str = "") -> list[tuple[Any, ...]]:
        """The rows of a query for columns about its events, which are `e`; `rest` stands behind the condition."""
        return self._file.rows(f"SELECT {columns} {_OF_KERNEL}{rest}", self._id)

    def members(self) -> list[tuple[int, int]]:
        """The numbers of the events in their tables, and of the groups that have them, in the order of the keys."""
        return [
            (event, group)
            for event, group in self._file.rows(f"SELECT e.id, k.event_group {_OF_KERNEL}{_ORDER}", self._id)
        ]

    def _key(self, system: Any, name: Any, module: Any, kind: Any) -> EventKey:
        return EventKey(*self._contents.names(system, name, module), kind == Kind.DYNAMIC)

    def fingerprints(self, names: Collection[str] | None = None) -> Iterator[tuple[EventKey, Hashable]]:
        for key, fingerprint, _ in self.fingerprints_of_several({1: self}, names):
            yield key, fingerprint

    @property
    def store(self) -> Catalog:
        return self.catalog

    def fingerprints_of_several(
        self, kernels: Mapping[int, KernelEvents], names: Collection[str] | None = None
    ) -> Iterator[tuple[EventKey, Hashable, int]]:
        numbers = {kernel._id: bit for bit, kernel in kernels.items() if isinstance(kernel, CatalogKernel)}
        for row, bits in self.catalog.shared_events(numbers, names):
            yield self._key(*row[:4]), (self.catalog, *row[3:]), bits

    def all_valid_of_several(self, kernels: Mapping[int, KernelEvents]) -> int:
        if len(kernels) < _FEW:
            return super().all_valid_of_several(kernels)
        telling = self.catalog.telling_null
        return sum(
            bit
            for bit, kernel in kernels.items()
            if isinstance(kernel, CatalogKernel) and "btf" in kernel.info.sources and kernel._id not in telling
        )

    def tells(self, part: Part) -> bool:
        sort = "e.module IS NOT NULL" if part is Part.MODULES else "e.system = 'syscalls'"
        query = f"SELECT EXISTS (SELECT 1 {_OF_KERNEL}AND {sort})"
        return bool(self._file.rows(query, self._id)[0][0])

    def build_ids(self) -> dict[str | None, str]:
        rows = self._file.rows("SELECT name, build_id FROM module WHERE kernel = ? ORDER BY name", self._id)
        found: dict[str | None, str] = {None: self.info.build_id} if self.info.build_id else {}
        found.update((self._value(validate.word, name), self._value(build_id, known)) for name, known in rows)
        return found

    # --- events

    def events(self, keys: list[EventKey], raw_only: bool = False, nullness: bool = True) -> list[Event]:
        if len(keys) > _MANY:
            self._locate_all()
        return self._contents.events([self._locate(key) for key in keys], self._null_sources)

    def listed(self, keys: list[EventKey]) -> list[Event]:
        if len(keys) > _MANY:
            self._locate_all()
        return self._contents.listed([self._locate(key) for key in keys])

    def event(self, key: EventKey) -> Event:
        """The event of one key."""
        return self._contents.event(self._locate(key), self._null_sources)

    def _locate(self, key: EventKey) -> Located:
        """The row of an event. Raises `catalog-malformed` where there is none, or several."""
        if (located := self._located.get(key)) is None:
            query = f"{_LOCATED}{_OF_NAME}AND e.system IS ? AND e.module IS ?"
            rows = self._file.rows(query, self._id, key.name, key.system, key.module)
            if len(rows) != 1:
                raise self._file.malformed(f"{len(rows)} events {key}")
            located = self._located[key] = _located(rows[0])
        return located

    def _locate_all(self) -> None:
        """Locate all events in one query."""
        if len(self._located) < self.count:
            for found in map(_located, self._file.rows(f"{_LOCATED}{_OF_KERNEL}", self._id)):
                row = found.row
                self._located[self._key(row.system, row.name, row.module, row.kind)] = found
            if len(self._located) != self.count:
                raise self._file.malformed(f"{self.info.name!r} has {len(self._located)} events, not {self.count}")

    def tells_null(self) -> bool | None:
        """Look for the verifier's answers, or its table, and for arguments whose names have the suffix."""
        from tpgen.sources.source_tree.null_args import NULLABLE_SUFFIX

        if "btf" not in self.info.sources:
            return None
        query = (
            f"SELECT EXISTS (SELECT 1 {_OF_KERNEL}AND EXISTS (SELECT 1 FROM argument a "
            "WHERE a.prototype = e.prototype AND (a.nullness IS NOT NULL OR substr(a.name, ?) = ?)))"
        )
        return bool(self._file.rows(query, self._id, -len(NULLABLE_SUFFIX), NULLABLE_SUFFIX)[0][0])

    def raw_evidence(self) -> Iterator[tuple[str, bool | None]]:
        """Arguments in a catalog are from BTF only where the kernel has raw tracepoints."""
        query = (
            f"SELECT e.system, e.name, e.module, e.kind {_OF_KERNEL}AND e.attach_name IS NOT NULL "
            f"AND e.provenance IN (SELECT id FROM provenance WHERE arguments = ?) {_ORDER} LIMIT 1"
        )
        for row in self._file.rows(query, self._id, Origin.BTF.value):
            title = self.event(self._key(*row)).title
            yield f"the catalog has the btf_trace_* prototype of {title}", True
            return
        yield "the catalog has no btf_trace_* prototype", None

    def records_of(self, class_name: str) -> tuple[Record, ...]:
        numbers = self._class_records.get(class_name, ())
        vmlinux = {number for module, number in numbers if module is None}
        wanted = sorted(vmlinux or {number for _, number in numbers})
        return tuple(self._contents.record(number, Kind.TRACE_EVENT) for number in wanted)

    @cached_property
    def _class_records(self) -> dict[str, set[tuple[str | None, int]]]:
        """The records that BTF has for each class of an event, by number, and the modules of the events."""
        query = (
            f"SELECT DISTINCT c.name, s.module, c.record FROM (SELECT e.class, e.module {_OF_KERNEL}"
            "AND e.provenance IN (SELECT id FROM provenance WHERE record = ?)) s JOIN class c ON c.id = s.class"
        )
        found: dict[str, set[tuple[str | None, int]]] = {}
        for name, module, record in self._file.rows(query, self._id, Origin.BTF.value):
            if name is not None and record is not None:
                found.setdefault(name, set()).add((module, record))
        return found

    def class_in_headers(self, name: str, module: str | None) -> str | None:
        """The class of the event of that name, if headers stated it; None otherwise.

        What is a module in one kernel is built into another: one of another module counts where `module` has none.
        """
        rows = [(each.module, each.class_name) for each in self._of_name(name) if each.is_stated]
        same = [row for row in rows if row[0] == module] or rows
        return self._opt(validate.event_name, same[0][1]) if len(same) == 1 else None

    def system_of(self, name: str, module: str | None) -> str | None:
        """The system of the event of that name; None where there is none, or several.

        One of another module counts where `module` has none.
        """
        without = (Kind.DYNAMIC.value, Kind.SYSCALL.value)
        rows = [(each.module, each.system) for each in self._of_name(name) if each.kind not in without]
        systems = {system for of, system in rows if of == module} or {system for _, system in rows}
        return self._opt(validate.word, systems.pop()) if len(systems) == 1 else None

    def _of_name(self, name: str) -> Sequence[NamedEvent]:
        """The events of that name."""
        return self.catalog.events_of_name(name).get(self._id, ())

    def elements(self, class_name: str, like: Record | None, field: Field) -> list[CType]:
        """The types of the elements of a dynamic `field`, in whichever kernels of this file have a class of that name.

        With `like` those count that have its members.
        """
        query = "SELECT DISTINCT record FROM class WHERE name = ? AND record IS NOT NULL"
        records = [self._contents.unchecked_record(number) for (number,) in self._file.rows(query, class_name)]
        wanted = None if like is None else _members(like)
        alike = (found for found in records if wanted is None or _members(found) == wanted)
        types = (own.type for found in alike for own in found.fields if _member(own) == _member(field))
        return [ctype for ctype in types if ctype is not None]

    def symbols(self, key: EventKey) -> EventSymbols:
        return self.catalog.symbols.of(self._locate(key).named)

    def types(self) -> Iterator[CType]:
        """The types of all arguments and fields of the events of vmlinux, each once: those of modules are their own."""
        query = (
            f"SELECT a.type {_OF_KERNEL.replace('WHERE', 'JOIN argument a ON a.prototype = e.prototype WHERE')}"
            "AND e.module IS NULL UNION SELECT f.type "
            f"{_OF_KERNEL.replace('WHERE', 'JOIN class c ON c.id = e.class JOIN field f ON f.record = c.record WHERE')}"
            "AND e.module IS NULL AND f.type IS NOT NULL"
        )
        return (self._contents.type(number) for (number,) in self._file.rows(query, self._id, self._id))

    # --- what was compared

    def comparisons(self, key: EventKey, raw_only: bool = False) -> Iterator[Comparison]:
        """The comparisons that were made when the catalog was."""
        checked = self._locate(key).checked
        for position, subject, reason in self._checks(checked):
            about = self._value(Subject, subject)
            if not raw_only or about in (Subject.RAW, Subject.HEADER_RAW):
                yield self._comparison(key, checked, position, about, self._opt(validate.text, reason))

    @memoised
    def _checks(self, checked: Any) -> list[tuple[Any, ...]]:
        query = "SELECT position, subject, reason FROM checked WHERE id = ? ORDER BY position"
        return self._file.rows(query, checked)

    def all_comparisons(self, keys: Sequence[EventKey]) -> list[Comparison]:
        """The comparisons of many events, in the order of the subjects, each once: a layout is that of a class."""
        order = list(Subject)
        found = dict.fromkeys(
            comparison for key in counted("reading comparisons", keys) for comparison in self.comparisons(key)
        )
        return sorted(found, key=lambda comparison: order.index(comparison.subject))

    def _comparison(
        self, key: EventKey, checked: Any, position: int, subject: Subject, reason: str | None
    ) -> Comparison:
        told = dict(self._findings(checked, position))
        what = f"class {self.event(key).class_name}" if subject == Subject.LAYOUT else str(key)
        detail = told.pop(0, None)
        return Comparison(subject, what, tuple(told.values()), reason, detail)

    @memoised
    def _findings(self, checked: Any, position: int) -> list[tuple[Any, Diagnostic]]:
        query = (
            "SELECT sequence, severity, code, message, hint, path, line, col FROM finding "
            "WHERE checked = ? AND position = ? ORDER BY sequence"
        )
        return [(row[0], self._finding(*row[1:])) for row in self._file.rows(query, checked, position)]

    def _finding(
        self, severity: Any, code: Any, message: Any, hint: Any, path: Any, line: Any, column: Any
    ) -> Diagnostic:
        where = None
        if path is not None:
            where = Position(
                self._value(validate.path, path), self._opt(line_number, line), self._opt(line_number, column)
            )
        said = self._value(validate.word, code), self._value(validate.text, message)
        return Diagnostic(*said, where, self._opt(validate.text, hint), self._value(Severity, severity))

    def unreadable(self, keys: Iterable[EventKey]) -> list[Diagnostic]:
        query = (
            f"SELECT DISTINCT e.name {_OF_KERNEL}AND e.checked IN (SELECT checked FROM finding WHERE code IN (?, ?))"
        )
        names = {name for (name,) in self._file.rows(query, self._id, *_UNREADABLE)}
        return [d for key in keys if key.name in names for d in errors(self.comparisons(key)) if d.code in _UNREADABLE]

    # --- values

    def _value(self, check: Callable[..., _Value], *values: Any) -> _Value:
        return self._file.value(check, *values)

    def _opt(self, check: Callable[[Any], _Value], value: Any) -> _Value | None:
        return None if value is None else self._file.value(check, value)


def _located(row: tuple[Any, ...]) -> Located:
    number, checked, named, *rest = row
    return Located(number, EventRow(*rest), checked, named)


def _member(field: Field) -> tuple[str, Dynamic | None]:
    return field.name, field.dynamic


def _members(record: Record) -> list[tuple[str, Dynamic | None]]:
    return [_member(field) for field in record.fields]
