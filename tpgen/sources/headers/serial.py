"""Facts of headers as JSON and back: what the cache keeps.

Everything that repeats stands in a table once and is referred to by its place there: types, arguments, fields, paths.
So it is small, and it is read back as fast as it is parsed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar, assert_never

from tpgen.diagnostics import Diagnostic, Position, Severity
from tpgen.model import (
    Argument,
    Array,
    CType,
    Dynamic,
    Enum,
    Field,
    Float,
    FuncProto,
    Int,
    Kind,
    Nullness,
    Pointer,
    Qualified,
    Struct,
    Typedef,
    TypeTag,
    Void,
)
from tpgen.sources.headers.facts import HeaderClass, HeaderEvent, HeaderFacts

_Item = TypeVar("_Item", bound=Hashable)


def to_json(facts: HeaderFacts) -> str:
    """The facts as one JSON text."""
    return json.dumps(_Writer().facts(facts), ensure_ascii=True, separators=(",", ":"))


def from_json(text: str | bytes) -> HeaderFacts:
    """The facts that `to_json` wrote. Raises `ValueError` for any other text."""
    try:
        return _Reader(json.loads(text)).facts()
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise ValueError(f"not the facts of headers: {error}") from None


class _Table:
    """Items in the order in which they were first seen, written as `write` says."""

    def __init__(self, write: Callable[[Any], list[Any]]) -> None:
        self.rows: list[list[Any]] = []
        self._write = write
        self._places: dict[Hashable, int] = {}

    def place(self, item: Hashable) -> int:
        place = self._places.get(item)
        if place is None:
            row = self._write(item)  # first, so that what it refers to stands before it
            place = self._places[item] = len(self.rows)
            self.rows.append(row)
        return place


class _Writer:
    def __init__(self) -> None:
        self._paths = _Table(lambda path: path)
        self._types = _Table(self._type)
        self._args = _Table(lambda arg: [arg.name, self._types.place(arg.type), arg.slot, arg.nullness])
        self._fields = _Table(self._field)

    def facts(self, facts: HeaderFacts) -> dict[str, Any]:
        classes, events = list(map(self._class, facts.classes)), list(map(self._event, facts.events))
        skipped = list(map(self._diagnostic, facts.skipped))
        tables = {"paths": self._paths, "types": self._types, "args": self._args, "fields": self._fields}
        return {
            "release": facts.release,
            **{name: table.rows for name, table in tables.items()},
            "classes": classes,
            "events": events,
            "skipped": skipped,
        }

    def _class(self, item: HeaderClass) -> list[Any]:
        args, fields = list(map(self._args.place, item.args)), list(map(self._fields.place, item.fields))
        return [item.name, args, fields, self._position(item.position), item.condition, list(item.chain)]

    def _event(self, item: HeaderEvent) -> list[Any]:
        args = list(map(self._args.place, item.args))
        place = self._position(item.position)
        return [item.system, item.name, item.class_name, item.kind, args, place, item.attachable, item.condition]

    def _position(self, position: Position) -> list[Any]:
        return [self._paths.place(position.path), position.line, position.column]

    def _diagnostic(self, item: Diagnostic) -> list[Any]:
        position = None if item.position is None else self._position(item.position)
        return [item.code, item.message, position, item.hint, item.severity, list(item.chain)]

    def _field(self, item: Field) -> list[Any]:
        ctype = None if item.type is None else self._types.place(item.type)
        return [item.name, ctype, item.offset_bytes, item.size_bytes, item.signed, item.dynamic]

    def _type(self, item: CType) -> list[Any]:
        place = self._types.place
        match item:
            case Void():
                return ["Void"]
            case Int():
                return ["Int", item.name, item.size_bytes, item.signed, item.is_bool]
            case Float():
                return ["Float", item.name, item.size_bytes]
            case Pointer():
                return ["Pointer", place(item.target)]
            case Array():
                return ["Array", place(item.element), item.length, item.length_text]
            case Struct():
                return ["Struct", item.keyword, item.name, item.size_bytes, item.align_bytes]
            case Enum():
                return ["Enum", item.name, item.size_bytes, item.signed]
            case Typedef():
                return ["Typedef", item.name, None if item.target is None else place(item.target)]
            case Qualified():
                return ["Qualified", item.qualifier, place(item.target)]
            case TypeTag():
                return ["TypeTag", item.tag, place(item.target)]
            case FuncProto():
                return ["FuncProto", place(item.result), list(map(place, item.params)), item.variadic]
            case _:
                assert_never(item)


class _Reader:
    def __init__(self, data: Any) -> None:
        self._data = data
        self._paths: list[str] = [_text(path) for path in data["paths"]]
        self._types: list[CType] = []
        for row in data["types"]:
            self._types.append(self._type(*row))
        self._args = [Argument(_name(n), self._types[t], int(s), u and Nullness(u)) for n, t, s, u in data["args"]]
        self._fields = [self._field(*row) for row in data["fields"]]

    def facts(self) -> HeaderFacts:
        data = self._data
        return HeaderFacts(
            _name(data["release"]),
            tuple([self._class(*row) for row in data["classes"]]),
            tuple([self._event(*row) for row in data["events"]]),
            tuple([self._diagnostic(*row) for row in data["skipped"]]),
        )

    def _class(self, name: str, args: Any, fields: Any, position: Any, condition: Any, chain: Any) -> HeaderClass:
        return HeaderClass(
            _text(name),
            _chosen(self._args, args),
            _chosen(self._fields, fields),
            self._position(*position),
            _name(condition),
            tuple(map(_text, chain)),
        )

    def _event(
        self,
        system: Any,
        name: Any,
        class_name: Any,
        kind: Any,
        args: Any,
        position: Any,
        attachable: Any,
        condition: Any,
    ) -> HeaderEvent:
        return HeaderEvent(
            _name(system),
            _text(name),
            _text(class_name),
            _KINDS[kind],
            _chosen(self._args, args),
            self._position(*position),
            bool(attachable),
            _name(condition),
        )

    def _position(self, path: int, line: int | None, column: int | None) -> Position:
        return Position(self._paths[path], line, column)

    def _diagnostic(self, code: Any, message: Any, position: Any, hint: Any, severity: Any, chain: Any) -> Diagnostic:
        where = position and self._position(*position)
        return Diagnostic(_text(code), _text(message), where, _name(hint), Severity(severity), tuple(chain))

    def _field(self, name: Any, ctype: Any, offset: Any, size: Any, signed: Any, dynamic: Any) -> Field:
        known = None if ctype is None else self._types[ctype]
        return Field(_text(name), known, offset, size, signed, dynamic and Dynamic(dynamic))

    def _type(self, kind: str, *row: Any) -> CType:
        types = self._types
        match kind, row:
            case "Void", []:
                return Void()
            case "Int", [name, size, signed, is_bool]:
                return Int(name, size, signed, is_bool)
            case "Float", [name, size]:
                return Float(name, size)
            case "Pointer", [target]:
                return Pointer(types[target])
            case "Array", [element, length, text]:
                return Array(types[element], length, text)
            case "Struct", [keyword, name, size, align]:
                return Struct(keyword, name, size, align)
            case "Enum", [name, size, signed]:
                return Enum(name, size, signed)
            case "Typedef", [name, target]:
                return Typedef(name, None if target is None else types[target])
            case "Qualified", [qualifier, target]:
                return Qualified(qualifier, types[target])
            case "TypeTag", [tag, target]:
                return TypeTag(tag, types[target])
            case "FuncProto", [result, params, variadic]:
                return FuncProto(types[result], _chosen(types, params), variadic)
            case _:
                raise ValueError(f"no type: {kind}")


_KINDS = {str(kind): kind for kind in Kind}


def _chosen(table: list[_Item], places: Iterable[int]) -> tuple[_Item, ...]:
    return tuple([table[place] for place in places])


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("text expected")
    return value


def _name(value: Any) -> str | None:
    return None if value is None else _text(value)
