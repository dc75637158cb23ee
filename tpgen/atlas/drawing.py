"""The drawing of a record: rows of eight bytes, each divided into its fields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tpgen.model import Field, Record

#: The bytes of a row.
ROW_BYTES = 8
# More rows of one field than this are drawn as the first and the last.
_MOST_ROWS = 4


class Cell(NamedTuple):
    """Some bytes of a row that belong together: of the field `name`, of the `pad`, or of a `hole` (`name` is None).

    `goes_on` means that the field began in an earlier row.
    """

    kind: str
    bytes: int
    name: str | None = None
    goes_on: bool = False


class Row(NamedTuple):
    """Eight bytes of a record from `offset` on, the last row's may be fewer; `skipped` rows like it were left out."""

    offset: int
    cells: tuple[Cell, ...]
    skipped: int = 0


def drawn(record: Record) -> tuple[Row, ...]:
    """The rows of a record of which every field's place is known."""
    return tuple(_shortened(list(_rows(_spans(record)))))


class _Span(NamedTuple):
    kind: str
    name: str | None
    start: int
    end: int


def _spans(record: Record) -> Iterator[_Span]:
    """The spans of a record, without a gap from the first byte on. Fields that lie in others' bytes are left out."""
    at = record.header_bytes
    yield _Span("pad", None, 0, at)
    for field in sorted(record.fields, key=_offset):
        start, size = _offset(field), field.size_bytes or 0
        if start < at or not size:
            continue
        if start > at:
            yield _Span("hole", None, at, start)
        at = start + size
        yield _Span("field", field.name, start, at)
    if (size := record.size_bytes or 0) > at:
        yield _Span("hole", None, at, size)


def _offset(field: Field) -> int:
    assert field.offset_bytes is not None
    return field.offset_bytes


def _rows(spans: Iterator[_Span]) -> Iterator[Row]:
    cells: list[Cell] = []
    offset = filled = 0
    for kind, name, start, end in spans:
        at = start
        while at < end:
            count = min(end - at, ROW_BYTES - filled)
            cells.append(Cell(kind, count, name, at > start))
            at, filled = at + count, filled + count
            if filled == ROW_BYTES:
                yield Row(offset, tuple(cells))
                cells, filled, offset = [], 0, offset + ROW_BYTES
    if cells:
        yield Row(offset, tuple(cells))


def _shortened(rows: list[Row]) -> Iterator[Row]:
    """The rows without the middle of a field that fills many: its last row says how many are not drawn."""
    at = 0
    while at < len(rows):
        end = at
        while end + 1 < len(rows) and rows[end + 1].cells == _going_on(rows[at]):
            end += 1
        if end - at >= _MOST_ROWS:
            yield rows[at]
            yield rows[end]._replace(skipped=end - at - 1)
        else:
            yield from rows[at : end + 1]
        at = end + 1


def _going_on(row: Row) -> tuple[Cell, ...]:
    """The cells of a row that the only field of `row` fills as well."""
    return tuple(cell._replace(goes_on=True) for cell in row.cells) if len(row.cells) == 1 else ()
