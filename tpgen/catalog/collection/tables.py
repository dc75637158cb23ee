"""The tables of a catalog that have each thing once, as rows that refer to rows: for copying them by their content."""

from __future__ import annotations

from typing import NamedTuple


class Rows(NamedTuple):
    """A table: its columns after the number, and the tables that some of them, by index, have a number of.

    `by` is the column of the number: one row has it in a table of things, several in a table of their parts.
    """

    name: str
    by: str
    columns: tuple[str, ...]
    refers: tuple[tuple[int, str], ...]


class Things(NamedTuple):
    """Things that are numbered: a row of their own, if they have one, and tables of their parts."""

    own: Rows | None
    parts: tuple[Rows, ...] = ()


def _rows(name: str, by: str, columns: str) -> Rows:
    """The description of a table; a column that refers to a table is written as column>table."""
    words = [column.partition(">") for column in columns.split()]
    refers = tuple((at, table) for at, (_, _, table) in enumerate(words) if table)
    return Rows(name, by, tuple(column for column, _, _ in words), refers)


#: By name, those that are referred to before those that refer to them.
THINGS = {
    "type": Things(
        _rows("type", "id", "kind name target>type size_bytes align_bytes signed length length_text spelling"),
        (_rows("type_param", "type", "position param>type"),),
    ),
    "record": Things(
        _rows("record", "id", "header_bytes size_bytes fields"),
        (_rows("field", "record", "position name type>type offset_bytes size_bytes signed dynamic"),),
    ),
    "class": Things(_rows("class", "id", "name candidates record>record")),
    "prototype": Things(
        _rows("prototype", "id", "arguments"),
        (_rows("argument", "prototype", "slot name type>type nullness"),),
    ),
    "header": Things(_rows("header", "id", "path")),
    "alternative": Things(None, (_rows("alternative", "id", "position header>header line col condition"),)),
    "provenance": Things(_rows("provenance", "id", "class arguments names record")),
    "print_fmt": Things(_rows("print_fmt", "id", "text")),
    "checked": Things(
        None,
        (
            _rows("checked", "id", "position subject reason"),
            _rows("finding", "checked", "position sequence severity code message hint path line col"),
        ),
    ),
    "registers": Things(
        _rows("registers", "id", "native_value"),
        (_rows("register", "registers", "role position name offset_bytes size_bytes of_task mask"),),
    ),
    "syscall": Things(_rows("syscall", "id", "tracepoint number registers>registers")),
    "symbols": Things(
        _rows("symbols", "id", "enum is_flags mask symbols"),
        (_rows("symbol", "symbols", "position value name text"),),
    ),
    "named": Things(None, (_rows("named", "id", "position slot field symbols>symbols left_out"),)),
    "event": Things(
        _rows(
            "event",
            "id",
            "system name module kind attach_name class>class prototype>prototype header>header col "
            "alternatives>alternative provenance>provenance print_fmt>print_fmt checked>checked flags syscall>syscall "
            "named>named",
        )
    ),
    "event_group": Things(None, (_rows("group_event", "event_group", "event>event line"),)),
}
