"""Reading a catalog: the same events that the sources had, from a file that may come from anywhere.

The file must be just what `write` makes: its tables, word by word (`file` sees to that), and in them nothing that
`validate` refuses. Anything else is one `TpgenError` with the code `catalog-malformed` or `catalog-foreign`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from functools import cached_property
from typing import Any, TypeVar

from tpgen.basics.memo import memoised
from tpgen.catalog.file import CatalogFile
from tpgen.catalog.kernel_row import KERNEL_ROW, kernel_info
from tpgen.catalog.schema import FLAGS, MOST_PARTS, KernelInfo
from tpgen.catalog.symbols import CatalogSymbols
from tpgen.diagnostics import Diagnostic, Position, Severity, fail
from tpgen.kernel import validate
from tpgen.kernel.comparison import Comparison, Subject, errors
from tpgen.kernel.events import EventKey, KernelEvents, Part
from tpgen.kernel.options import CATALOG_SUFFIX
from tpgen.kernel.symbols.facts import EventSymbols
from tpgen.layout import MAX_RECORD_BYTES, SLOT_BYTES
from tpgen.model import (
    Alternative,
    Argument,
    Array,
    CType,
    Dynamic,
    Enum,
    Event,
    Field,
    Float,
    FuncProto,
    Int,
    Kind,
    Nullness,
    Origin,
    Pointer,
    Qualified,
    Record,
    Register,
    Struct,
    Syscall,
    SyscallRegisters,
    Typedef,
    TypeTag,
    Void,
)

_Value = TypeVar("_Value")


class Catalog(CatalogFile):
    """An opened catalog, with its kernels. Raises what `CatalogFile` does, also later, by whoever finds it so."""

    @cached_property
    def kernels(self) -> tuple[KernelInfo, ...]:
        """The kernels in this file, in the order in which they were written."""
        return tuple(self.value(kernel_info, row) for row in self.rows(f"{KERNEL_ROW} ORDER BY id"))

    def kernel(self, name: str | None = None, label: str | None = None) -> CatalogKernel:
        """The kernel of that name; the only one without a name. Messages call it `label`, or by its name.

        Raises `unknown-kernel` where there is none, and without a name where there are several.
        """
        names = [info.name for info in self.kernels]
        if name is None and len(names) == 1:
            name = names[0]
        if name is None or name not in names:
            hint = f"it has {', '.join(names) or 'none'}"
            if name is None and names:
                path = self.path if self.path.endswith(CATALOG_SUFFIX) else f"{self.path}{CATALOG_SUFFIX}"
                hint += f"; {path}:{names[0]} would be one"
            what = "which of its kernels is not said" if name is None else f"no kernel {name!r} in this catalog"
            raise fail("unknown-kernel", what, self.path, hint)
        return CatalogKernel(self, self.kernels[names.index(name)], label or name)


_EVENT_COLUMNS = (
    "kind, attach_name, class, provenance, prototype, print_fmt, syscall, header, line, col, alternatives, flags"
)


# What an event refers to by number: the columns of a table, the one with the number, the order of several rows, and
# which of them the events of a kernel refer to; all where that is nothing.
_OF_PROTOTYPES = "IN (SELECT prototype FROM event WHERE kernel = ?)"
_OF_RECORDS = "IN (SELECT c.record FROM event e JOIN class c ON c.id = e.class WHERE e.kernel = ?)"
_REFERRED = {
    "argument": ("slot, name, type, nullness", "prototype", "slot", _OF_PROTOTYPES),
    "prototype": ("arguments", "id", "id", _OF_PROTOTYPES),
    "record": ("header_bytes, size_bytes, fields", "id", "id", _OF_RECORDS),
    "field": ("name, type, offset_bytes, size_bytes, signed, dynamic", "record", "position", _OF_RECORDS),
    "class": ("name, candidates, record", "id", "id", "IN (SELECT class FROM event WHERE kernel = ?)"),
    "provenance": ("class, arguments, names, record", "id", "id", ""),
    "header": ("path", "id", "id", ""),
    "type": ("kind, name, target, size_bytes, align_bytes, signed, length, length_text", "id", "id", ""),
    "type_param": ("param", "type", "position", ""),
}
# Events for which all that they refer to is read at once.
_MANY = 300

# The findings about a format file that could not be read.
_UNREADABLE = ("format-malformed", "unreadable")


class CatalogKernel(KernelEvents):
    """A kernel from a catalog; its events are read when they are asked for."""

    def __init__(self, catalog: Catalog, info: KernelInfo, label: str) -> None:
        self.catalog = catalog
        self.info = info
        numbers = catalog.rows("SELECT id FROM kernel WHERE name = ?", info.name)
        if len(numbers) != 1:  # a damaged index finds other rows than the table has
            raise catalog.malformed(f"{len(numbers)} kernels have the name {info.name!r}")
        self._id = numbers[0][0]
        self._types: dict[Any, tuple[CType, int]] = {}
        self._symbols = CatalogSymbols(catalog)
        # While many events are read: the rows of each table by number, those of events by name, system and module.
        self._at_hand: dict[str, dict[Any, list[tuple[Any, ...]]]] = {}
        super().__init__(label, info.target, info.release, tuple(self._notes()))
        self.is_stored = True

    def _notes(self) -> Iterator[Diagnostic]:
        query = "SELECT code, message, hint FROM note WHERE kernel = ? ORDER BY position"
        for code, message, hint in self.catalog.rows(query, self._id):
            texts = self._value(validate.text, code), self._value(validate.text, message)
            yield Diagnostic(*texts, hint=self._opt(validate.text, hint), severity=Severity.NOTE)

    # --- which events there are

    @property
    def count(self) -> int:
        """The number of events."""
        counted: int = self.catalog.rows("SELECT count(*) FROM event WHERE kernel = ?", self._id)[0][0]
        return counted

    @cached_property
    def names(self) -> tuple[str, ...]:
        rows = self.catalog.rows("SELECT DISTINCT name FROM event WHERE kernel = ? ORDER BY name", self._id)
        return tuple(self._value(validate.event_name, name) for (name,) in rows)

    def keys_of(self, name: str) -> list[EventKey]:
        return self._keys("AND name = ? ", name)

    def keys(self) -> list[EventKey]:
        return self._keys("")

    def _keys(self, condition: str, *values: str) -> list[EventKey]:
        query = f"SELECT system, name, module, kind FROM event WHERE kernel = ? {condition}ORDER BY id"
        return [self._key(*row) for row in self.catalog.rows(query, self._id, *values)]

    def _key(self, system: Any, name: Any, module: Any, kind: Any) -> EventKey:
        system, module = self._opt(validate.system_name, system), self._opt(validate.word, module)
        return EventKey(system, self._value(validate.event_name, name), module, kind == Kind.DYNAMIC)

    def fingerprints(self, names: Collection[str] | None = None) -> Iterator[tuple[EventKey, Hashable]]:
        of_names = [("", None)] if names is None or len(names) >= _MANY else [(" AND name = ?", name) for name in names]
        facts = "SELECT system, name, module, kind, attach_name IS NULL, prototype, class FROM event WHERE kernel = ?"
        for condition, name in of_names:
            for row in self.catalog.rows(facts + condition, self._id, *([] if name is None else [name])):
                if names is None or row[1] in names:
                    yield self._key(*row[:4]), (self.catalog, *row[3:])

    def tells(self, part: Part) -> bool:
        sort = "module IS NOT NULL" if part is Part.MODULES else "system = 'syscalls'"
        query = f"SELECT EXISTS (SELECT 1 FROM event WHERE kernel = ? AND {sort})"
        return bool(self.catalog.rows(query, self._id)[0][0])

    # --- one event

    def events(self, keys: list[EventKey], raw_only: bool = False, nullness: bool = True) -> list[Event]:
        if len(keys) < _MANY:
            return [self._event(key) for key in keys]
        try:
            self._at_hand = self._read_at_once()
            return [self._event(key) for key in keys]
        finally:
            self._at_hand = {}

    def _read_at_once(self) -> dict[str, dict[Any, list[tuple[Any, ...]]]]:
        """Read what the events of this kernel refer to, and their own rows, in a few queries instead of thousands."""
        found: dict[str, dict[Any, list[tuple[Any, ...]]]] = {"event": {}}
        query = f"SELECT name, system, module, {_EVENT_COLUMNS} FROM event WHERE kernel = ?"
        for row in self.catalog.rows(query, self._id):
            found["event"].setdefault(row[:3], []).append(row[3:])
        for table, (columns, by, order, which) in _REFERRED.items():
            of, values = (f"WHERE {by} {which}", (self._id,)) if which else ("", ())
            found[table] = {}
            for row in self.catalog.rows(f"SELECT {by}, {columns} FROM {table} {of} ORDER BY {order}", *values):
                found[table].setdefault(row[0], []).append(row[1:])
        return found

    def event(self, key: EventKey) -> Event:
        """The event of one key."""
        return self._event(key)

    def _row(self, columns: str, key: EventKey) -> tuple[Any, ...]:
        if columns == _EVENT_COLUMNS and "event" in self._at_hand:
            rows = self._at_hand["event"].get((key.name, key.system, key.module), [])
        else:
            query = f"SELECT {columns} FROM event WHERE kernel = ? AND name = ? AND system IS ? AND module IS ?"
            rows = self.catalog.rows(query, self._id, key.name, key.system, key.module)
        if len(rows) != 1:
            raise self.catalog.malformed(f"{len(rows)} events {key}")
        return rows[0]

    @memoised
    def _event(self, key: EventKey) -> Event:
        kind, attach, of_class, provenance, prototype, print_fmt, syscall, *rest = self._row(_EVENT_COLUMNS, key)
        header, line, column, alternatives, flags = rest
        event_kind = self._value(Kind, kind)
        class_name, candidates, record = self._class(of_class, event_kind)
        class_origin, args_origin, names_origin, record_origin = self._provenance(provenance)
        args = None if prototype is None else self._args(prototype, validate.is_handed_out(event_kind, attach))
        return Event(
            system=key.system,
            name=key.name,
            module=key.module,
            kind=event_kind,
            attach_name=self._opt(validate.event_name, attach),
            class_name=class_name,
            class_origin=class_origin,
            class_candidates=candidates,
            header=None if header is None else self._position(header, line, column),
            args=args,
            args_origin=args_origin,
            names_origin=names_origin,
            record=record,
            record_origin=record_origin,
            print_fmt=None if print_fmt is None else self._print_fmt(print_fmt),
            syscall=None if syscall is None else self._syscall(syscall),
            nullness_origin=self._nullness_origin(args, names_origin),
            alternatives=() if alternatives is None else self._alternatives(alternatives),
            **self._flags(flags),
        )

    def _nullness_origin(self, args: tuple[Argument, ...] | None, names_origin: Origin | None) -> Origin | None:
        """The source of the arguments' nullness, as far as the kernel's sources tell."""
        if all(arg.nullness is None for arg in args or ()):
            return None
        sources = self.info.sources
        best = (origin for origin in (Origin.VERIFIER, Origin.HEADERS) if origin in sources)
        return next(best, names_origin)

    def tells_null(self) -> bool | None:
        """Look for what the verifier told, or its table, and for arguments whose names have the suffix."""
        from tpgen.sources.source_tree.null_args import NULLABLE_SUFFIX

        query = (
            "SELECT EXISTS (SELECT 1 FROM event e JOIN argument a ON a.prototype = e.prototype WHERE e.kernel = ? "
            "AND (a.nullness IS NOT NULL OR substr(a.name, ?) = ?))"
        )
        if "btf" not in self.info.sources:
            return None
        return bool(self.catalog.rows(query, self._id, -len(NULLABLE_SUFFIX), NULLABLE_SUFFIX)[0][0])

    def raw_evidence(self) -> Iterator[tuple[str, bool | None]]:
        """Arguments in a catalog are from BTF only where the kernel has raw tracepoints."""
        query = (
            "SELECT e.system, e.name, e.module, e.kind FROM event e JOIN provenance p ON p.id = e.provenance "
            "WHERE e.kernel = ? AND e.attach_name IS NOT NULL AND p.arguments = ? ORDER BY e.id LIMIT 1"
        )
        for row in self.catalog.rows(query, self._id, Origin.BTF.value):
            title = self._event(self._key(*row)).title
            yield f"the catalog has the btf_trace_* prototype of {title}", True
            return
        yield "the catalog has no btf_trace_* prototype", None

    def records_of(self, class_name: str) -> tuple[Record, ...]:
        numbers = self._class_records.get(class_name, ())
        vmlinux = {number for module, number in numbers if module is None}
        records = map(self._record, sorted(vmlinux or {number for _, number in numbers}))
        return tuple(self._value(validate.record, record, Kind.TRACE_EVENT, self.target) for record in records)

    @cached_property
    def _class_records(self) -> dict[str, set[tuple[str | None, int]]]:
        """The records that BTF has for each class of an event, by number, and the modules of the events."""
        query = (
            "SELECT DISTINCT c.name, e.module, c.record FROM event e JOIN class c ON c.id = e.class "
            "JOIN provenance p ON p.id = e.provenance WHERE e.kernel = ? AND p.record = ?"
        )
        found: dict[str, set[tuple[str | None, int]]] = {}
        for name, module, record in self.catalog.rows(query, self._id, Origin.BTF.value):
            if name is not None and record is not None:
                found.setdefault(name, set()).add((module, record))
        return found

    def class_in_headers(self, name: str, module: str | None) -> str | None:
        """The class of the event of that name, if headers stated it; None otherwise.

        What is a module in one kernel is built into another: one of another module counts where `module` has none.
        """
        query = (
            "SELECT e.module, c.name FROM event e JOIN class c ON c.id = e.class "
            "JOIN provenance p ON p.id = e.provenance WHERE e.kernel = ? AND e.name = ? AND p.class = ?"
        )
        rows = self.catalog.rows(query, self._id, name, Origin.HEADERS.value)
        same = [row for row in rows if row[0] == module] or rows
        return self._opt(validate.event_name, same[0][1]) if len(same) == 1 else None

    def system_of(self, name: str, module: str | None) -> str | None:
        """The system of the event of that name; None where there is none, or several.

        One of another module counts where `module` has none.
        """
        query = "SELECT module, system FROM event WHERE kernel = ? AND name = ? AND kind != ? AND kind != ?"
        rows = self.catalog.rows(query, self._id, name, Kind.DYNAMIC.value, Kind.SYSCALL.value)
        systems = {system for of, system in rows if of == module} or {system for _, system in rows}
        return self._opt(validate.word, systems.pop()) if len(systems) == 1 else None

    def elements(self, class_name: str, like: Record | None, field: Field) -> list[CType]:
        """The types of the elements of a dynamic `field`, in whichever kernels of this file have a class of that name.

        With `like` those count that have its members.
        """
        query = "SELECT DISTINCT record FROM class WHERE name = ? AND record IS NOT NULL"
        records = [self._record(number) for (number,) in self.catalog.rows(query, class_name)]
        wanted = None if like is None else _members(like)
        alike = (found for found in records if wanted is None or _members(found) == wanted)
        types = (own.type for found in alike for own in found.fields if _member(own) == _member(field))
        return [ctype for ctype in types if ctype is not None]

    def _flags(self, flags: Any) -> dict[str, Any]:
        named = self._value(validate.text, flags).split()
        if unknown := set(named) - set(FLAGS):
            raise self.catalog.malformed(f"{unknown.pop()!r} is nothing that an event can be")
        return dict.fromkeys(named, True)

    @memoised
    def _class(self, number: Any, kind: Kind) -> tuple[str | None, tuple[str, ...], Record | None]:
        name, candidates, record = self._only("class", number)
        others = self._value(validate.text, candidates).split() if candidates else ()
        names = tuple(self._value(validate.event_name, other) for other in others)
        found = None if record is None else self._value(validate.record, self._record(record), kind, self.target)
        return self._opt(validate.event_name, name), names, found

    @memoised
    def _provenance(self, number: Any) -> tuple[Origin | None, ...]:
        return tuple(self._opt(Origin, origin) for origin in self._only("provenance", number))

    def _position(self, header: Any, line: Any, column: Any) -> Position:
        (path,) = self._only("header", header)
        return Position(self._value(validate.path, path), self._opt(_line, line), self._opt(_line, column))

    @memoised
    def _alternatives(self, number: Any) -> tuple[Alternative, ...]:
        query = "SELECT header, line, col, condition FROM alternative WHERE id = ? ORDER BY position"
        rows = self.catalog.rows(query, number)
        if not rows:
            raise self.catalog.malformed(f"no alternatives of number {number}")
        return tuple(
            Alternative(self._position(*place), self._opt(validate.condition, condition)) for *place, condition in rows
        )

    def _print_fmt(self, number: Any) -> str:
        return self._value(validate.text, self._one("SELECT text FROM print_fmt WHERE id = ?", number)[0])

    @memoised
    def _args(self, number: Any, handed_out: bool) -> tuple[Argument, ...]:
        rows = self._rows("argument", number)
        count = self._only("prototype", number)[0]
        self._expect(count, len(rows), validate.MOST_ARGUMENTS, f"prototype {number}")
        return tuple(self._arg(slot, handed_out, *row) for slot, row in enumerate(rows))

    def _arg(self, expected: int, handed_out: bool, slot: Any, name: Any, ctype: Any, nullness: Any) -> Argument:
        self._value(validate.number, slot, expected, expected)
        held = self._value(validate.argument_type, self._type(ctype), self.target, handed_out)
        return Argument(self._opt(validate.c_name, name), held, expected, self._opt(Nullness, nullness))

    @memoised
    def _record(self, number: Any) -> Record:
        header_bytes, size_bytes, count = self._only("record", number)
        rows = self._rows("field", number)
        self._expect(count, len(rows), MAX_RECORD_BYTES, f"record {number}")
        fields = tuple(self._field(*row) for row in rows)
        return Record(self._value(_bytes, header_bytes), self._opt(_bytes, size_bytes), fields)

    def _field(self, name: Any, ctype: Any, offset: Any, size: Any, signed: Any, dynamic: Any) -> Field:
        return Field(
            self._value(validate.identifier, name),
            None if ctype is None else self._type(ctype),
            self._opt(_bytes, offset),
            self._opt(_bytes, size),
            self._opt(validate.flag, signed),
            self._opt(Dynamic, dynamic),
        )

    @memoised
    def _syscall(self, number: Any) -> Syscall:
        tracepoint, call, registers = self._one(
            "SELECT tracepoint, number, registers FROM syscall WHERE id = ?", number
        )
        return Syscall(
            self._value(validate.event_name, tracepoint),
            self._opt(validate.count, call),
            None if registers is None else self._registers(registers),
        )

    @memoised
    def _registers(self, number: Any) -> SyscallRegisters:
        native_value = self._value(_mask, self._one("SELECT native_value FROM registers WHERE id = ?", number)[0])
        columns = "role, name, offset_bytes, size_bytes, of_task, mask"
        rows = self.catalog.rows(f"SELECT {columns} FROM register WHERE registers = ? ORDER BY position", number)
        held: dict[str, list[Register]] = {"argument": [], "number": [], "native": []}
        for role, *row in rows:
            if role not in held:
                raise self.catalog.malformed(f"registers {number} have the role {role!r}")
            held[role].append(self._register(*row))
        self._expect(1, len(held["number"]), 1, f"the number's register in registers {number}")
        native = held["native"][0] if held["native"] else None
        return SyscallRegisters(tuple(held["argument"]), held["number"][0], native, native_value)

    def _register(self, name: Any, offset: Any, size: Any, of_task: Any, mask: Any) -> Register:
        placed = self._value(_bytes, offset), self._value(validate.number, size, SLOT_BYTES, 1)
        flag = self._value(validate.flag, of_task)
        return Register(self._value(validate.member_path, name), *placed, flag, self._opt(_mask, mask))

    def symbols(self, key: EventKey) -> EventSymbols:
        return self._symbols.of(self._row("named", key)[0])

    # --- types

    def types(self) -> Iterator[CType]:
        """The types of all arguments and fields of the events of vmlinux, each once: those of modules are their own."""
        query = (
            "SELECT a.type FROM event e JOIN argument a ON a.prototype = e.prototype "
            "WHERE e.kernel = ? AND e.module IS NULL UNION "
            "SELECT f.type FROM event e JOIN class c ON c.id = e.class JOIN field f ON f.record = c.record "
            "WHERE e.kernel = ? AND e.module IS NULL AND f.type IS NOT NULL"
        )
        return (self._type(number) for (number,) in self.catalog.rows(query, self._id, self._id))

    def _type(self, number: Any) -> CType:
        try:
            return self._type_and_parts(number)[0]
        except RecursionError:
            raise self.catalog.malformed(f"type {number} nests too deeply") from None

    def _type_and_parts(self, number: Any) -> tuple[CType, int]:
        """The type of that number, and how many parts its spelling has."""
        found = self._types.get(number)
        if found is None:
            found = self._types[number] = self._read_type(number)
            if found[1] > MOST_PARTS:
                raise self.catalog.malformed(f"type {number} has more than {MOST_PARTS} parts")
        return found

    def _read_type(self, number: Any) -> tuple[CType, int]:
        kind, name, target, size, align, signed, length, length_text = self._only("type", number)
        name_of = self._opt(validate.number_name if kind in ("int", "bool", "float") else validate.c_name, name)
        of, parts = self._referred(number, target) if target is not None else (Void(), 0)
        parts += 1
        match kind:
            case "void":
                return Void(), 1
            case "int" | "bool" if name_of:
                sized = self._value(validate.type_size, kind, size)
                return Int(name_of, sized, self._value(validate.flag, signed), kind == "bool"), 1
            case "float" if name_of:
                return Float(name_of, self._value(validate.type_size, kind, size)), 1
            case "ptr" if target is not None:
                return Pointer(of), parts
            case "array" if target is not None:
                array = Array(of, self._opt(validate.count, length), self._opt(validate.length_text, length_text))
                return self._value(validate.composed, array), parts
            case "struct" | "union":
                return Struct(kind, name_of, self._opt(validate.count, size), self._opt(_bytes, align)), 1
            case "fwd_struct" | "fwd_union":
                return Struct(kind.removeprefix("fwd_"), name_of, forward=True), 1
            case "enum":
                whole = None if size is None else self._value(validate.type_size, kind, size)
                return Enum(name_of, whole, self._opt(validate.flag, signed)), 1
            case "typedef" if name_of:
                return Typedef(name_of, None if target is None else of), parts
            case "const" | "volatile" | "restrict" if target is not None:
                return Qualified(kind, of), parts
            case "type_tag" if name_of and target is not None:
                return TypeTag(name_of, of), parts
            case "func_proto" if target is not None:
                return self._func_proto(number, of, parts)
            case _:
                raise self.catalog.malformed(f"type {number} is no type")

    def _referred(self, number: int, other: Any) -> tuple[CType, int]:
        """A type that type `number` refers to: an earlier one, so that there is an end to it."""
        return self._type_and_parts(self._value(validate.number, other, number - 1, 1))

    def _func_proto(self, number: int, result: CType, parts: int) -> tuple[CType, int]:
        numbers = [param for (param,) in self._rows("type_param", number)]
        variadic = bool(numbers) and numbers[-1] is None
        if len(numbers) > MOST_PARTS:
            raise self.catalog.malformed(f"type {number} has {len(numbers)} parameters")
        params = [self._referred(number, param) for param in (numbers[:-1] if variadic else numbers)]
        parts += sum(param_parts for _, param_parts in params)
        prototype = FuncProto(result, tuple(ctype for ctype, _ in params), variadic)
        return self._value(validate.composed, prototype), parts

    # --- what was compared

    def comparisons(self, key: EventKey, raw_only: bool = False) -> Iterator[Comparison]:
        """The comparisons that were made when the catalog was."""
        event, checked = self._row("id, checked", key)
        query = "SELECT position, subject, reason FROM checked WHERE id = ? ORDER BY position"
        for position, subject, reason in self.catalog.rows(query, checked):
            about = self._value(Subject, subject)
            if not raw_only or about in (Subject.RAW, Subject.HEADER_RAW):
                yield self._comparison(key, event, position, about, self._opt(validate.text, reason))

    def all_comparisons(self, keys: Iterable[EventKey]) -> list[Comparison]:
        """The comparisons of many events, in the order of the subjects, each once: a layout is that of a class."""
        order = list(Subject)
        found = dict.fromkeys(comparison for key in keys for comparison in self.comparisons(key))
        return sorted(found, key=lambda comparison: order.index(comparison.subject))

    def _comparison(self, key: EventKey, event: int, position: int, subject: Subject, reason: str | None) -> Comparison:
        query = (
            "SELECT sequence, severity, code, message, hint, path, line, col FROM finding "
            "WHERE event = ? AND position = ? ORDER BY sequence"
        )
        told = {row[0]: self._finding(*row[1:]) for row in self.catalog.rows(query, event, position)}
        what = f"class {self.event(key).class_name}" if subject == Subject.LAYOUT else str(key)
        detail = told.pop(0, None)
        return Comparison(subject, what, tuple(told.values()), reason, detail)

    def _finding(
        self, severity: Any, code: Any, message: Any, hint: Any, path: Any, line: Any, column: Any
    ) -> Diagnostic:
        where = None
        if path is not None:
            where = Position(self._value(validate.path, path), self._opt(_line, line), self._opt(_line, column))
        said = self._value(validate.word, code), self._value(validate.text, message)
        return Diagnostic(*said, where, self._opt(validate.text, hint), self._value(Severity, severity))

    def unreadable(self, keys: Iterable[EventKey]) -> list[Diagnostic]:
        query = (
            "SELECT DISTINCT e.name FROM finding f JOIN event e ON e.id = f.event "
            "WHERE e.kernel = ? AND f.code IN (?, ?)"
        )
        names = {name for (name,) in self.catalog.rows(query, self._id, *_UNREADABLE)}
        return [d for key in keys if key.name in names for d in errors(self.comparisons(key)) if d.code in _UNREADABLE]

    # --- values

    def _value(self, check: Callable[..., _Value], *values: Any) -> _Value:
        return self.catalog.value(check, *values)

    def _opt(self, check: Callable[[Any], _Value], value: Any) -> _Value | None:
        return None if value is None else self.catalog.value(check, value)

    def _one(self, query: str, number: Any) -> tuple[Any, ...]:
        """The row of that number."""
        return self._alone(self.catalog.rows(query, number), number)

    def _rows(self, table: str, number: Any) -> list[tuple[Any, ...]]:
        """The rows of that number in a table that events refer to."""
        if table in self._at_hand:
            return self._at_hand[table].get(number, [])
        columns, by, order, _ = _REFERRED[table]
        return self.catalog.rows(f"SELECT {columns} FROM {table} WHERE {by} = ? ORDER BY {order}", number)

    def _only(self, table: str, number: Any) -> tuple[Any, ...]:
        return self._alone(self._rows(table, number), number)

    def _alone(self, rows: list[tuple[Any, ...]], number: Any) -> tuple[Any, ...]:
        if len(rows) != 1:
            raise self.catalog.malformed(f"{len(rows)} rows of number {number}")
        return rows[0]

    def _expect(self, stated: Any, found: int, most: int, what: str) -> None:
        if stated != found or found > most:
            raise self.catalog.malformed(f"{what} has {found} rows")


def _member(field: Field) -> tuple[str, Dynamic | None]:
    return field.name, field.dynamic


def _members(record: Record) -> list[tuple[str, Dynamic | None]]:
    return [_member(field) for field in record.fields]


def _bytes(value: Any) -> int:
    """An offset or a size in bytes inside of a record."""
    return validate.number(value, MAX_RECORD_BYTES)


def _mask(value: Any) -> int:
    """Bits of a register."""
    return validate.number(value, (1 << 63) - 1)


def _line(value: Any) -> int:
    """A line or a column."""
    return validate.number(value, (1 << 31) - 1, 1)
