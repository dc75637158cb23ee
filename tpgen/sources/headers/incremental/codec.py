"""Encoding the facts of headers for marshal, and decoding them.

Types, arguments, fields and paths, which repeat, stand in tables once and are referred to by their index. So the result
is small and is decoded quickly. It is not validated: a digest tells that it is what was encoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar, assert_never

from tpgen.basics.frozen import replace
from tpgen.basics.interning import InterningTable
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

_Item = TypeVar("_Item")
#: Numbers, texts, None, and tuples, lists and dictionaries of these.
Encoded = Any


class _Table(InterningTable):
    """Rows of facts of one kind, each once; facts that a row refers to have theirs before it.

    Rows are compared, not facts: what consists of many others takes time to compare.
    """

    def __init__(self, write: Callable[[Any], Encoded]) -> None:
        super().__init__(lambda row: row)
        self._write = write
        self._seen: dict[int, int] = {}

    def place(self, fact: object) -> int:
        """Return the index of the fact's row, which is added where there is none."""
        place = self._seen.get(id(fact))
        if place is None:
            place = self._seen[id(fact)] = super().place(self._write(fact))
        return place


class Encoder:
    """Encodes facts, and then the same facts with resolved types, as values that marshal takes."""

    def __init__(self) -> None:
        self._paths = _Table(lambda path: path)
        self._types = _Table(self._type)
        self._args = _Table(lambda arg: (arg.name, self._types.place(arg.type), arg.slot, _value(arg.nullness)))
        self._arg_lists = _Table(lambda args: tuple(map(self._args.place, args)))
        self._fields = _Table(self._field)

        self._tables = self._paths, self._types, self._args, self._arg_lists, self._fields

    def facts(self, facts: HeaderFacts) -> Encoded:
        """Encode the facts."""
        classes, events = list(map(self._class, facts.classes)), list(map(self._event, facts.events))
        skipped = list(map(self._diagnostic, facts.skipped))
        return facts.release, tuple(table.rows for table in self._tables), classes, events, skipped

    def resolved(self, facts: HeaderFacts, resolved: HeaderFacts) -> Encoded:
        """Encode facts of which nothing but types is other than in `facts`, which were encoded before."""
        before = [len(table.rows) for table in self._tables]
        classes = [
            None if new is old else (self._arg_lists.place(new.args), tuple(map(self._fields.place, new.fields)))
            for old, new in zip(facts.classes, resolved.classes, strict=True)
        ]
        events = [
            None if new is old else self._arg_lists.place(new.args)
            for old, new in zip(facts.events, resolved.events, strict=True)
        ]
        rows = tuple(table.rows[known:] for table, known in zip(self._tables, before, strict=True))
        return rows, classes, events

    def _class(self, item: HeaderClass) -> Encoded:
        args, fields = self._arg_lists.place(item.args), tuple(map(self._fields.place, item.fields))
        return item.name, args, fields, *self._position(item.position), item.condition, item.chain

    def _event(self, item: HeaderEvent) -> Encoded:
        args, place = self._arg_lists.place(item.args), self._position(item.position)
        return item.system, item.name, item.class_name, item.kind.value, args, *place, item.attachable, item.condition

    def _position(self, position: Position) -> Encoded:
        return self._paths.place(position.path), position.line, position.column

    def _diagnostic(self, item: Diagnostic) -> Encoded:
        position = None if item.position is None else self._position(item.position)
        return item.code, item.message, position, item.hint, item.severity.value, item.chain

    def _field(self, item: Field) -> Encoded:
        ctype = None if item.type is None else self._types.place(item.type)
        return item.name, ctype, item.offset_bytes, item.size_bytes, item.signed, _value(item.dynamic)

    def _type(self, item: CType) -> Encoded:
        place = self._types.place
        match item:
            case Void():
                return ("Void",)
            case Int():
                return "Int", item.name, item.size_bytes, item.signed, item.is_bool
            case Float():
                return "Float", item.name, item.size_bytes
            case Pointer():
                return "Pointer", place(item.target)
            case Array():
                return "Array", place(item.element), item.length, item.length_text
            case Struct():
                return "Struct", item.keyword, item.name, item.size_bytes, item.align_bytes
            case Enum():
                return "Enum", item.name, item.size_bytes, item.signed
            case Typedef():
                return "Typedef", item.name, None if item.target is None else place(item.target)
            case Qualified():
                return "Qualified", item.qualifier, place(item.target)
            case TypeTag():
                return "TypeTag", item.tag, place(item.target)
            case FuncProto():
                return "FuncProto", place(item.result), tuple(map(place, item.params)), item.variadic
            case _:
                assert_never(item)


def _value(value: Nullness | Dynamic | None) -> str | None:
    return None if value is None else value.value


class Decoder:
    """Decodes what an `Encoder` made: the facts, and those with resolved types, which share what is the same."""

    def __init__(self, encoded: Encoded) -> None:
        release, rows, classes, events, skipped = encoded
        self._paths: list[str] = []
        self._types: list[CType] = []
        self._args: list[Argument] = []
        self._arg_lists: list[tuple[Argument, ...]] = []
        self._fields: list[Field] = []
        self._add(*rows)
        self.facts = HeaderFacts(
            release,
            tuple([self._class(*row) for row in classes]),
            tuple([self._event(*row) for row in events]),
            tuple([self._diagnostic(*row) for row in skipped]),
        )

    def resolved(self, encoded: Encoded) -> HeaderFacts:
        """Decode the facts with resolved types."""
        rows, classes, events = encoded
        self._add(*rows)
        lists, known = self._arg_lists, self._fields
        return replace(
            self.facts,
            classes=tuple([
                old if row is None else replace(old, args=lists[row[0]], fields=_chosen(known, row[1]))
                for old, row in zip(self.facts.classes, classes, strict=True)
            ]),
            events=tuple([
                old if row is None else replace(old, args=lists[row])
                for old, row in zip(self.facts.events, events, strict=True)
            ]),
        )  # fmt: skip

    def _add(
        self, paths: Iterable[str], types: Iterable[Encoded], args: Iterable[Encoded], arg_lists: Iterable[Encoded],
        fields: Iterable[Encoded],
    ) -> None:  # fmt: skip
        """Decode rows of all tables."""
        self._paths += paths
        known = self._types
        for row in types:
            known.append(self._type(*row))
        self._args += [Argument(name, known[at], slot, null and Nullness(null)) for name, at, slot, null in args]
        self._arg_lists += [_chosen(self._args, row) for row in arg_lists]
        self._fields += [
            Field(name, None if at is None else known[at], offset, size, signed, dynamic and Dynamic(dynamic))
            for name, at, offset, size, signed, dynamic in fields
        ]

    def _class(
        self, name: str, args: int, fields: tuple[int, ...], path: int, line: int, column: int, condition: str | None,
        chain: tuple[str, ...],
    ) -> HeaderClass:  # fmt: skip
        where = Position(self._paths[path], line, column)
        return HeaderClass(name, self._arg_lists[args], _chosen(self._fields, fields), where, condition, chain)

    def _event(
        self, system: str | None, name: str, class_name: str, kind: str, args: int, path: int, line: int, column: int,
        attachable: bool, condition: str | None,
    ) -> HeaderEvent:  # fmt: skip
        where = Position(self._paths[path], line, column)
        return HeaderEvent(system, name, class_name, _KINDS[kind], self._arg_lists[args], where, attachable, condition)

    def _diagnostic(
        self, code: str, message: str, position: tuple[int, int | None, int | None] | None, hint: str | None,
        severity: str, chain: tuple[str, ...],
    ) -> Diagnostic:  # fmt: skip
        where = None if position is None else Position(self._paths[position[0]], *position[1:])
        return Diagnostic(code, message, where, hint, Severity(severity), chain)

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


_KINDS = {kind.value: kind for kind in Kind}


def _chosen(table: list[_Item], places: Iterable[int]) -> tuple[_Item, ...]:
    return tuple([table[place] for place in places])
