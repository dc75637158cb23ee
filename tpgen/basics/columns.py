"""Tables of text: columns that are aligned, and cut where a line may not be as long as it would be."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

#: What stands for the rest of a text that was cut.
CUT = "…"
_GAP = "  "
# No column is made narrower than this.
_LEAST = 8


def aligned(rows: Iterable[Sequence[str]], right: Collection[int] = (), width: int | None = None) -> Iterator[str]:
    """A line for each row, the columns numbered `right` on the right; without `width` as wide as they are.

    Where a line would be wider than `width`, the widest columns are cut.
    """
    rows = list(rows)
    if not rows:
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    if width is not None:
        _narrow(widths, width - len(_GAP) * (len(widths) - 1))
    for row in rows:
        cells = (_cut(cell, size) for cell, size in zip(row, widths, strict=True))
        padded = (
            cell.rjust(size) if number in right else cell.ljust(size)
            for number, (cell, size) in enumerate(zip(cells, widths, strict=True))
        )
        yield _GAP.join(padded).rstrip()


def _narrow(widths: list[int], total: int) -> None:
    """Take from the widest columns until all together have `total`, or none can be narrower."""
    while sum(widths) > total and max(widths) > _LEAST:
        widths[widths.index(max(widths))] -= 1


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 1] + CUT
