"""Tables of text: columns that are aligned, and that are cut or stand below each other where a line has less room."""

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
    """A line for each row, the columns numbered `right` on the right; without `width` as wide as they are.

    Where a line would be wider than `width`, the widest columns are cut, which `cut` shows: the first, which names the
    row, to no less than half of `width`, and those on the right, which are numbers, never. Where that is not enough,
    the last columns stand below the others.
    """
    rows = list(rows)
    widths = _widths(rows)
    if width is not None and rows:
        _narrow(widths, right, width)
    return _in_blocks(
        [[_cut(cell, size, cut) for cell, size in zip(row, widths, strict=True)] for row in rows], right, width
    )


def in_blocks(rows: Iterable[Sequence[str]], width: int | None = None) -> Iterator[str]:
    """The lines of a table in which nothing is cut: text that does not fit into `width` is below the other columns."""
    return _in_blocks(list(rows), (), width)


def _in_blocks(rows: Sequence[Sequence[str]], right: Collection[int], width: int | None) -> Iterator[str]:
    """The lines of one table after the other, each with the first column and as many others as have room beside it."""
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
    """The numbers of the columns of each table: the first, and at least one more."""
    columns, used = [0], sum(widths[:1])
    for column, size in enumerate(widths[1:], 1):
        used += len(_GAP) + size
        if width is not None and used > width and len(columns) > 1:
            yield columns
            columns, used = [0], widths[0] + len(_GAP) + size
        columns.append(column)
    yield columns


def _narrow(widths: list[int], right: Collection[int], width: int) -> None:
    """Take from the widest columns until all fit into `width`, or none may be narrower; those on the right may not."""
    least = [width // 2, *(size if at in right else _LEAST for at, size in enumerate(widths[1:], 1))]
    total = width - len(_GAP) * (len(widths) - 1)
    for those in (range(1, len(widths)), range(1)):
        while sum(widths) > total and (wide := [at for at in those if widths[at] > least[at]]):
            widths[max(wide, key=widths.__getitem__)] -= 1


def _cut(text: str, size: int, cut: str) -> str:
    return text if len(text) <= size else text[: size - len(cut)] + cut
