"""Several kernels side by side: their events for people, with a column for all kernels that have the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from tpgen.basics.columns import in_blocks
from tpgen.kernel.symbols.facts import EventSymbols, Symbols
from tpgen.model import Argument, Event, Field
from tpgen.programs.forms import Form, missing
from tpgen.show import event_json, field_type_text, type_text, value_text
from tpgen.spelling import spell
from tpgen.target import Target
from tpgen.variants.select import Selected, grouped

#: Returns the names of values of an event.
SymbolsOf: TypeAlias = Callable[[Selected], EventSymbols]


class _Cell(NamedTuple):
    """A value on one kernel: its place, its type, and its declaration."""

    place: str
    type: str
    declaration: str


class _Row(NamedTuple):
    """A value by its name, and what it is on each kernel; None where it is not."""

    name: str
    cells: tuple[_Cell | None, ...]


class _Table(NamedTuple):
    """The values of one form: a title, a note for each kernel, and a row for each value."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[_Row, ...]


# --- for programs


def events_json(
    selected: Sequence[Selected], targets: Mapping[str, Target], symbols_of: SymbolsOf
) -> list[dict[str, Any]]:
    """The events as `show --json` prints those of several kernels: event by event, each with the name of its kernel."""
    return [
        {"kernel": each.kernel, **event_json(each.event, targets[each.kernel], symbols_of(each))}
        for group in grouped(selected)
        for each in group
    ]


def list_json(selected: Sequence[Selected], kernels: Sequence[str]) -> list[dict[str, Any]]:
    """The events as `list --json` prints those of several kernels: `args` has a number for each that has the event."""
    return [
        {
            "system": group[-1].event.system,
            "name": group[-1].event.name,
            "module": group[-1].event.module,
            "class": group[-1].event.class_name,
            "kind": group[-1].event.kind.value,
            "args": {each.kernel: None if each.event.args is None else len(each.event.args) for each in group},
            "lacking": [name for name in kernels if name not in {each.kernel for each in group}],
        }
        for group in grouped(selected)
    ]


# --- for people


def events_text(
    selected: Sequence[Selected], kernels: Sequence[str], symbols_of: SymbolsOf, width: int | None = None
) -> str:
    """Each event: which kernels have the same, then a table with a column for each that differs.

    Of the names of values those are shown that do not have the same on all kernels. Columns for which `width` has no
    room stand below the others.
    """
    texts = (_event_lines(group, kernels, symbols_of, width) for group in grouped(selected))
    return "\n".join("".join(f"{line}\n" for line in lines) for lines in texts)


def list_rows(selected: Sequence[Selected], kernels: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """The head of a table, and a row per event: its name, its raw arguments on each kernel, and the newest's class.

    A kernel is a number, which `list_legend` explains. `-` is an event without raw arguments; a cell is empty where the
    kernel does not have the event.
    """
    rows = []
    for group in grouped(selected):
        counts = {each.kernel: _count(each.event) for each in group}
        event = group[-1].event
        cells = [counts.get(kernel, "") for kernel in kernels]
        event_class = event.class_name or "|".join(event.class_candidates) or "-"
        rows.append([event.title, *cells, event_class, event.image or "?"])
    return ["", *(str(number) for number, _ in enumerate(kernels, 1)), "class", "module"], rows


def list_legend(kernels: Sequence[str]) -> str:
    """Which kernel each number stands for."""
    return "".join(f"{number}  {kernel}\n" for number, kernel in enumerate(kernels, 1))


def _count(event: Event) -> str:
    return "?" if event.args is None else "-" if event.attach_name is None else str(len(event.args))


def _event_lines(
    group: Sequence[Selected], kernels: Sequence[str], symbols_of: SymbolsOf, width: int | None
) -> Iterator[str]:
    tables = [_arguments(group), _fields(group), *_names(group, symbols_of)]
    columns = _columns(tables, len(group))
    letters = [chr(ord("A") + number) if number < 26 else f"#{number + 1}" for number in range(len(columns))]
    yield group[-1].event.title
    for letter, members in zip(letters, columns, strict=True):
        yield f"  {letter}  {', '.join(group[member].kernel for member in members)}"
    if lacking := [kernel for kernel in kernels if kernel not in {each.kernel for each in group}]:
        yield f"  no such event on {', '.join(lacking)}"
    firsts = [members[0] for members in columns]
    rows = [["", *letters]]
    for table in tables:
        rows.append([table.title, *(table.heads[first] for first in firsts)])
        rows += [_cells(row, firsts) for row in table.rows]
    yield ""
    yield from in_blocks(rows, width)


def _columns(tables: Sequence[_Table], count: int) -> list[list[int]]:
    """The numbers of the kernels that have the same in all tables, in the order of the first of each."""
    same: dict[object, list[int]] = {}
    for number in range(count):
        content = tuple((table.heads[number], tuple(row.cells[number] for row in table.rows)) for table in tables)
        same.setdefault(content, []).append(number)
    return list(same.values())


def _cells(row: _Row, firsts: Sequence[int]) -> list[str]:
    """The line of a value: its declaration where all agree on it and only places differ, else its name."""
    cells = [row.cells[first] for first in firsts]
    declarations = {cell.declaration for cell in cells if cell is not None}
    if len(declarations) == 1:
        return [f"  {declarations.pop()}", *("-" if cell is None else cell.place for cell in cells)]
    return [f"  {row.name}", *("-" if cell is None else f"{cell.place} {cell.type}".rstrip() for cell in cells)]


def _arguments(group: Sequence[Selected]) -> _Table:
    heads, columns = [], []
    for each in group:
        reason = missing(each.event, Form.RAW)
        arguments = () if reason is not None or each.event.syscall is not None else each.event.args or ()
        heads.append(f"none, {reason}" if reason is not None else str(len(arguments)))
        columns.append({arg.name or f"arg{arg.slot}": _argument(arg) for arg in arguments})
    return _Table("raw arguments", tuple(heads), tuple(_rows(columns)))


def _argument(arg: Argument) -> _Cell:
    return _Cell(f"ctx[{arg.slot}]", type_text(arg.type), spell(arg.type, arg.name or f"arg{arg.slot}"))


def _fields(group: Sequence[Selected]) -> _Table:
    heads, columns = [], []
    for each in group:
        reason, record = missing(each.event, Form.CLASSIC), each.event.record
        known = record if reason is None else None
        size = None if known is None else known.size_bytes
        heads.append(f"none, {reason}" if known is None else "size unknown" if size is None else f"{size} bytes")
        fields = known.fields if known else ()
        count = Counter(field.name for field in fields)
        # A field that became dynamic keeps its name; some event has two of one name.
        columns.append({f.name if count[f.name] == 1 else f.member_name: _field(f) for f in fields})
    return _Table("classic record", tuple(heads), tuple(_rows(columns)))


def _field(field: Field) -> _Cell:
    kind = field_type_text(field) or ""
    if field.dynamic:
        return _Cell(f"@{field.offset_bytes} __{field.dynamic}", kind, f"{kind or '?[]'} {field.name}")
    declared = field.name if field.type is None else spell(field.type, field.name)
    return _Cell(f"@{field.offset_bytes}", kind, declared)


def _names(group: Sequence[Selected], symbols_of: SymbolsOf) -> Iterator[_Table]:
    """A table for each argument and field with names of values, or one for several that have the same."""
    columns: dict[str, list[Symbols | None]] = {}
    for number, each in enumerate(group):
        args = {arg.slot: arg.name or f"arg{arg.slot}" for arg in each.event.args or ()}
        found = symbols_of(each)
        named = [(args[slot], of) for slot, of in found.args]
        named += [(name, of) for name, of in found.fields if (name, of) not in named]
        for name, of in named:
            columns.setdefault(name, [None] * len(group))[number] = of
    for name, symbols in columns.items():
        heads = tuple("-" if of is None else f"{len(of.symbols)} names" for of in symbols)
        cells = [{} if of is None else {key: _Cell(v, "", key) for key, v in named_values(of)} for of in symbols]
        moved = [row for row in _rows(cells) if len(set(row.cells)) > 1]
        yield _Table(f"values of {name}", heads, tuple(moved))


def named_values(symbols: Symbols) -> Iterator[tuple[str, str]]:
    """The names with their values: in C what has such a name, else what is printed."""
    for each in symbols.symbols:
        yield each.name or repr(each.text), value_text(symbols, each)


def _rows(columns: Sequence[Mapping[str, _Cell]]) -> Iterator[_Row]:
    """A row for each name, in the order of the newest kernel's, then of what only older ones have."""
    for name in dict.fromkeys(name for column in reversed(columns) for name in column):
        yield _Row(name, tuple(column.get(name) for column in columns))
