"""The contents of the events of a catalog, each thing once however many events, and kernels, have it.

Whatever stands in the tables is held against `validate` before it becomes a fact. What breaks a rule is one
`TpgenError` with the code `catalog-malformed`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from tpgen.basics.memo import memoised
from tpgen.basics.progress import counted
from tpgen.catalog.file import CatalogFile, CheckedValues
from tpgen.catalog.schema import FLAGS, MOST_PARTS
from tpgen.diagnostics import Position
from tpgen.kernel import validate
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
from tpgen.target import Target

_Value = TypeVar("_Value")


class EventRow(NamedTuple):
    """The columns of the table `event` that its facts are read from, and `line`, which a group has."""

    line: Any
    system: Any
    name: Any
    module: Any
    kind: Any
    attach_name: Any
    of_class: Any
    prototype: Any
    header: Any
    column: Any
    alternatives: Any
    provenance: Any
    print_fmt: Any
    flags: Any
    syscall: Any


class Located(NamedTuple):
    """An event of a kernel: its number, which identifies everything but the line, and the rows that it refers to."""

    number: Any
    row: EventRow
    checked: Any
    named: Any


#: Selects what an `EventRow` has, from the tables `event` as `e` and `group_event` as `g`.
EVENT_ROW = (
    "g.line, e.system, e.name, e.module, e.kind, e.attach_name, e.class, e.prototype, e.header, e.col, e.alternatives, "
    "e.provenance, e.print_fmt, e.flags, e.syscall"
)

# What is referred to by number: the columns of a table, the one with the number, and the order of several rows.
_REFERRED = {
    "argument": ("slot, name, type, nullness", "prototype", "slot"),
    "prototype": ("arguments", "id", "id"),
    "record": ("header_bytes, size_bytes, fields", "id", "id"),
    "field": ("name, type, offset_bytes, size_bytes, signed, dynamic", "record", "position"),
    "class": ("name, candidates, record", "id", "id"),
    "provenance": ("class, arguments, names, record", "id", "id"),
    "header": ("path", "id", "id"),
    "print_fmt": ("text", "id", "id"),
    "syscall": ("tracepoint, number, registers", "id", "id"),
    "type": ("kind, name, target, size_bytes, align_bytes, signed, length, length_text", "id", "id"),
    "type_param": ("param", "type", "position"),
}
_NO_ROWS: dict[Any, list[tuple[Any, ...]]] = {}
# Events for which all that they refer to is read at once, and how many rows a query names.
_MANY, _AT_ONCE = 300, 10_000


class CatalogContents:
    """The facts of a catalog's events for the kernels of one target: where two have the same, it is the same object."""

    def __init__(self, catalog: CatalogFile, target: Target) -> None:
        self._catalog = catalog
        self._target = target
        self._types: dict[Any, tuple[CType, int]] = {}
        self._events: dict[tuple[Any, ...], Event] = {}
        self._kinds = CheckedValues(catalog, Kind)
        self._systems = CheckedValues(catalog, validate.system_name)
        self._event_names = CheckedValues(catalog, validate.event_name)
        self._modules = CheckedValues(catalog, validate.word)
        self._flags: CheckedValues[dict[str, Any]] = CheckedValues(catalog, _flags)
        self._paths = CheckedValues(catalog, validate.path)
        self._lines = CheckedValues(catalog, line_number)
        self._argument_names = CheckedValues(catalog, validate.c_name)
        self._nullness = CheckedValues(catalog, Nullness)
        self._field_names = CheckedValues(catalog, validate.identifier)
        self._bytes = CheckedValues(catalog, _bytes)
        self._signs = CheckedValues(catalog, validate.flag)
        self._locators = CheckedValues(catalog, Dynamic)
        # While many events are read: the rows of some tables, by number.
        self._at_hand: dict[str, dict[Any, list[tuple[Any, ...]]]] = {}

    # --- events

    def events(self, located: Sequence[Located], sources: tuple[Origin, ...]) -> list[Event]:
        """The events of these rows. `sources` are those of the kernel that may have told of NULL, the best first."""
        unread = [each.row for each in located if (each.number, each.row.line, sources) not in self._events]
        if len(unread) < _MANY:
            return [self.event(each, sources) for each in counted("reading events", located)]
        try:
            self._read_at_once(unread)
            return [self.event(each, sources) for each in counted("reading events", located)]
        finally:
            self._at_hand = {}

    def listed(self, located: Sequence[Located]) -> list[Event]:
        """The events of these rows as a list has them: without record, print format and position."""
        try:
            if len(located) >= _MANY:
                self._read_arguments_at_once([each.row for each in located])
            return [self._listed(each.row) for each in counted("reading events", located)]
        finally:
            self._at_hand = {}

    def _listed(self, row: EventRow) -> Event:
        return Event(header=None, record=None, record_origin=None, print_fmt=None, **self._in_lists(row))

    def event(self, located: Located, sources: tuple[Origin, ...]) -> Event:
        """The event of a row. `sources` are those of the kernel that may have told of NULL, the best first."""
        key = (located.number, located.row.line, sources)
        if (event := self._events.get(key)) is None:
            event = self._events[key] = self._event(located.row, sources)
        return event

    def _event(self, row: EventRow, sources: tuple[Origin, ...]) -> Event:
        known = self._in_lists(row)
        record = self._class(row.of_class)[2]
        return Event(
            header=None if row.header is None else self._position(row.header, row.line, row.column),
            record=None if record is None else self.record(record, known["kind"]),
            record_origin=self._provenance(row.provenance)[3],
            print_fmt=None if row.print_fmt is None else self._print_fmt(row.print_fmt),
            syscall=None if row.syscall is None else self._syscall(row.syscall),
            nullness_origin=_nullness_origin(known["args"], sources, known["names_origin"]),
            alternatives=() if row.alternatives is None else self._alternatives(row.alternatives),
            **known,
        )

    def _in_lists(self, row: EventRow) -> dict[str, Any]:
        """The facts of an event that lists have as well, by their names."""
        kind = self._kinds[row.kind]
        system, name, module = self.names(row.system, row.name, row.module)
        class_name, candidates, _ = self._class(row.of_class)
        is_handed_out = validate.is_handed_out(kind, row.attach_name)
        class_origin, args_origin, names_origin, _ = self._provenance(row.provenance)
        return {
            "system": system,
            "name": name,
            "module": module,
            "kind": kind,
            "attach_name": self._event_names.opt(row.attach_name),
            "class_name": class_name,
            "class_origin": class_origin,
            "class_candidates": candidates,
            "args": None if row.prototype is None else self._args(row.prototype, is_handed_out),
            "args_origin": args_origin,
            "names_origin": names_origin,
            **self._flags[row.flags],
        }

    def names(self, system: Any, name: Any, module: Any) -> tuple[str | None, str, str | None]:
        """The system, the name and the module of an event."""
        return self._systems.opt(system), self._event_names[name], self._modules.opt(module)

    @memoised
    def record(self, number: Any, kind: Kind) -> Record:
        """The record of that number, which an event of that kind has."""
        return self._value(validate.record, self.unchecked_record(number), kind, self._target)

    # --- many rows at once

    def _read_at_once(self, rows: Sequence[EventRow]) -> None:
        """Read what many events refer to in a few queries instead of thousands."""
        records = self._read_arguments_at_once(rows)
        self._fetch("header", (row.header for row in rows))
        self._fetch("print_fmt", (row.print_fmt for row in rows))
        self._fetch("syscall", (row.syscall for row in rows))
        self._fetch("record", records)
        self._fetch_types(row[2] for row in self._fetch("field", records))

    def _read_arguments_at_once(self, rows: Sequence[EventRow]) -> list[Any]:
        """Read the arguments and the classes of many events; return the numbers of the classes' records."""
        self._fetch("provenance", (row.provenance for row in rows))
        self._fetch("prototype", (row.prototype for row in rows))
        self._fetch_types(row[3] for row in self._fetch("argument", (row.prototype for row in rows)))
        return [record for _, _, _, record in self._fetch("class", (row.of_class for row in rows))]

    def _fetch_types(self, numbers: Iterable[Any]) -> None:
        """Load types, with all types that they contain."""
        wanted = list(numbers)
        while wanted:
            read = self._fetch("type", wanted)
            params = self._fetch("type_param", (row[0] for row in read if row[1] == "func_proto"))
            wanted = [*(row[3] for row in read), *(row[1] for row in params)]

    def _fetch(self, table: str, numbers: Iterable[Any]) -> list[tuple[Any, ...]]:
        """Load the rows with these numbers; return those that were not loaded before, each after its number."""
        columns, by, order = _REFERRED[table]
        at_hand = self._at_hand.setdefault(table, {})
        unread = sorted({number for number in numbers if isinstance(number, int) and number not in at_hand})
        found = []
        for start in range(0, len(unread), _AT_ONCE):
            some = unread[start : start + _AT_ONCE]
            among = ",".join(map(str, some))
            query = f"SELECT {by}, {columns} FROM {table} WHERE {by} IN ({among}) ORDER BY {by}, {order}"
            at_hand.update((number, []) for number in some)
            for row in self._catalog.rows(query):
                at_hand[row[0]].append(row[1:])
                found.append(row)
        return found

    # --- what events refer to

    @memoised
    def _class(self, number: Any) -> tuple[str | None, tuple[str, ...], Any]:
        """The name of a class, the candidates for it, and the number of its record."""
        name, candidates, record = self._only("class", number)
        others = self._value(validate.text, candidates).split() if candidates else ()
        names = tuple(self._event_names[other] for other in others)
        return self._event_names.opt(name), names, record

    @memoised
    def _provenance(self, number: Any) -> tuple[Origin | None, ...]:
        return tuple(self._opt(Origin, origin) for origin in self._only("provenance", number))

    def _position(self, header: Any, line: Any, column: Any) -> Position:
        (path,) = self._only("header", header)
        return Position(self._paths[path], self._lines.opt(line), self._lines.opt(column))

    @memoised
    def _alternatives(self, number: Any) -> tuple[Alternative, ...]:
        query = "SELECT header, line, col, condition FROM alternative WHERE id = ? ORDER BY position"
        rows = self._catalog.rows(query, number)
        if not rows:
            raise self._catalog.malformed(f"no alternatives of number {number}")
        return tuple(
            Alternative(self._position(*place), self._opt(validate.condition, condition)) for *place, condition in rows
        )

    def _print_fmt(self, number: Any) -> str:
        return self._value(validate.text, self._only("print_fmt", number)[0])

    @memoised
    def _args(self, number: Any, handed_out: bool) -> tuple[Argument, ...]:
        rows = self._rows("argument", number)
        count = self._only("prototype", number)[0]
        self._expect(count, len(rows), validate.MOST_ARGUMENTS, f"prototype {number}")
        return tuple(self._arg(slot, handed_out, *row) for slot, row in enumerate(rows))

    def _arg(self, expected: int, handed_out: bool, slot: Any, name: Any, ctype: Any, nullness: Any) -> Argument:
        if slot != expected:
            raise self._catalog.malformed(f"argument {expected} has the slot {slot!r}")
        held = self._value(validate.argument_type, self.type(ctype), self._target, handed_out)
        return Argument(self._argument_names.opt(name), held, expected, self._nullness.opt(nullness))

    @memoised
    def unchecked_record(self, number: Any) -> Record:
        header_bytes, size_bytes, count = self._only("record", number)
        rows = self._rows("field", number)
        self._expect(count, len(rows), MAX_RECORD_BYTES, f"record {number}")
        fields = tuple(self._field(*row) for row in rows)
        return Record(self._bytes[header_bytes], self._bytes.opt(size_bytes), fields)

    def _field(self, name: Any, ctype: Any, offset: Any, size: Any, signed: Any, dynamic: Any) -> Field:
        return Field(
            self._field_names[name],
            None if ctype is None else self.type(ctype),
            self._bytes.opt(offset),
            self._bytes.opt(size),
            self._signs.opt(signed),
            self._locators.opt(dynamic),
        )

    @memoised
    def _syscall(self, number: Any) -> Syscall:
        tracepoint, call, registers = self._only("syscall", number)
        return Syscall(
            self._event_names[tracepoint],
            self._opt(validate.count, call),
            None if registers is None else self._registers(registers),
        )

    @memoised
    def _registers(self, number: Any) -> SyscallRegisters:
        native_value = self._value(_mask, self._one("SELECT native_value FROM registers WHERE id = ?", number)[0])
        columns = "role, name, offset_bytes, size_bytes, of_task, mask"
        rows = self._catalog.rows(f"SELECT {columns} FROM register WHERE registers = ? ORDER BY position", number)
        held: dict[str, list[Register]] = {"argument": [], "number": [], "native": []}
        for role, *row in rows:
            if role not in held:
                raise self._catalog.malformed(f"registers {number} have the role {role!r}")
            held[role].append(self._register(*row))
        self._expect(1, len(held["number"]), 1, f"the number's register in registers {number}")
        native = held["native"][0] if held["native"] else None
        return SyscallRegisters(tuple(held["argument"]), held["number"][0], native, native_value)

    def _register(self, name: Any, offset: Any, size: Any, of_task: Any, mask: Any) -> Register:
        placed = self._bytes[offset], self._value(validate.number, size, SLOT_BYTES, 1)
        flag = self._value(validate.flag, of_task)
        return Register(self._value(validate.member_path, name), *placed, flag, self._opt(_mask, mask))

    def type(self, number: Any) -> CType:
        try:
            return self._type_and_parts(number)[0]
        except RecursionError:
            raise self._catalog.malformed(f"type {number} nests too deeply") from None

    def _type_and_parts(self, number: Any) -> tuple[CType, int]:
        """The type of that number, and how many parts its spelling has."""
        found = self._types.get(number)
        if found is None:
            found = self._types[number] = self._read_type(number)
            if found[1] > MOST_PARTS:
                raise self._catalog.malformed(f"type {number} has more than {MOST_PARTS} parts")
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
                return Struct(kind, name_of, self._opt(validate.count, size), self._bytes.opt(align)), 1
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
                raise self._catalog.malformed(f"type {number} is no type")

    def _referred(self, number: int, other: Any) -> tuple[CType, int]:
        """A type that type `number` refers to: an earlier one, so that there is an end to it."""
        return self._type_and_parts(self._value(validate.number, other, number - 1, 1))

    def _func_proto(self, number: int, result: CType, parts: int) -> tuple[CType, int]:
        numbers = [param for (param,) in self._rows("type_param", number)]
        variadic = bool(numbers) and numbers[-1] is None
        if len(numbers) > MOST_PARTS:
            raise self._catalog.malformed(f"type {number} has {len(numbers)} parameters")
        params = [self._referred(number, param) for param in (numbers[:-1] if variadic else numbers)]
        parts += sum(param_parts for _, param_parts in params)
        prototype = FuncProto(result, tuple(ctype for ctype, _ in params), variadic)
        return self._value(validate.composed, prototype), parts

    def _value(self, check: Callable[..., _Value], *values: Any) -> _Value:
        return self._catalog.value(check, *values)

    def _opt(self, check: Callable[[Any], _Value], value: Any) -> _Value | None:
        return None if value is None else self._catalog.value(check, value)

    def _one(self, query: str, number: Any) -> tuple[Any, ...]:
        """The row of that number."""
        return self._alone(self._catalog.rows(query, number), number)

    def _rows(self, table: str, number: Any) -> list[tuple[Any, ...]]:
        """The rows of that number in a table that events refer to."""
        if (rows := self._at_hand.get(table, _NO_ROWS).get(number)) is not None:
            return rows
        columns, by, order = _REFERRED[table]
        return self._catalog.rows(f"SELECT {columns} FROM {table} WHERE {by} = ? ORDER BY {order}", number)

    def _only(self, table: str, number: Any) -> tuple[Any, ...]:
        return self._alone(self._rows(table, number), number)

    def _alone(self, rows: list[tuple[Any, ...]], number: Any) -> tuple[Any, ...]:
        if len(rows) != 1:
            raise self._catalog.malformed(f"{len(rows)} rows of number {number}")
        return rows[0]

    def _expect(self, stated: Any, found: int, most: int, what: str) -> None:
        if stated != found or found > most:
            raise self._catalog.malformed(f"{what} has {found} rows")


def _bytes(value: Any) -> int:
    """An offset or a size in bytes inside of a record."""
    return validate.number(value, MAX_RECORD_BYTES)


def _flags(value: Any) -> dict[str, bool]:
    """Flags of an event, by the words in a column."""
    named = validate.text(value).split()
    if unknown := set(named) - set(FLAGS):
        raise ValueError(f"{unknown.pop()!r} is nothing that an event can be")
    return dict.fromkeys(named, True)


def _mask(value: Any) -> int:
    """Bits of a register."""
    return validate.number(value, (1 << 63) - 1)


def line_number(value: Any) -> int:
    """A line or a column."""
    return validate.number(value, (1 << 31) - 1, 1)


def _nullness_origin(
    args: tuple[Argument, ...] | None, sources: tuple[Origin, ...], names_origin: Origin | None
) -> Origin | None:
    """The source of the arguments' nullness, if the kernel's sources have it."""
    if all(arg.nullness is None for arg in args or ()):
        return None
    return sources[0] if sources else names_origin
