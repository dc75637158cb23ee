"""Tables of text with aligned columns. Where a line has no room for all, columns are cut or stand below the others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

#: What stands for the rest of a text that was cut.
CUT = "…"
_GAP = "  "
# No column is made narrower than this.
_LEAST = 8


def aligned(
    rows: Iterable[Sequence[str]], right: Collection[int] = (), width: int | None = None, cut: str = CUT
) -> Iterator[str]:
    """The lines of a table, one for each row. The columns with the numbers `right` hold numbers, aligned on the right.

    If a line is wider than `width`, the widest columns are cut, and `cut` marks the place. Numbers are never cut. The
    first column names the row, and it keeps at least half of `width`. If the line is still too wide, the last columns
    stand below the others.
    """
    rows = list(rows)
    if width is not None and rows:
        widths = _widths(rows)
        _narrow(widths, right, width)
        rows = [[_cut(cell, size, cut) for cell, size in zip(row, widths, strict=True)] for row in rows]
    return in_blocks(rows, width, right)


def in_blocks(rows: Sequence[Sequence[str]], width: int | None = None, right: Collection[int] = ()) -> Iterator[str]:
    """The lines of a table in which nothing is cut. Columns that do not fit into `width` stand below the others.

    Each of these blocks begins with the first column.
    """
    widths = _widths(rows)
    for number, columns in enumerate(_fitting(widths, width)):
        if number:
            yield ""
        for row in rows:
            cells = (row[at].rjust(widths[at]) if at in right else row[at].ljust(widths[at]) for at in columns)
            yield _GAP.join(cells).rstrip()


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


def _fitting(widths: Sequence[int], width: int | None) -> Iterator[list[int]]:
    """The numbers of the columns of each block: the first, and at least one more."""
    columns, used = [0], sum(widths[:1])
    for column, size in enumerate(widths[1:], 1):
        used += len(_GAP) + size
        if width is not None and used > width and len(columns) > 1:
            yield columns
            columns, used = [0], widths[0] + len(_GAP) + size
        columns.append(column)
    yield columns


def _narrow(widths: list[int], right: Collection[int], width: int) -> None:
    """Make the widest columns narrower until all fit into `width` or have their least width."""
    least = [width // 2, *(size if at in right else _LEAST for at, size in enumerate(widths[1:], 1))]
    total = width - len(_GAP) * (len(widths) - 1)
    for those in (range(1, len(widths)), range(1)):
        while sum(widths) > total and (wide := [at for at in those if widths[at] > least[at]]):
            widths[max(wide, key=widths.__getitem__)] -= 1


def _cut(text: str, size: int, cut: str) -> str:
    return text if len(text) <= size else text[: size - len(cut)] + cut
