"""Cells that span columns and rows -> plain rows, as Markdown wants them.

A cell's words stand in every row and column that it covers, so that each row can be read, and found, alone; long
text, and a cell over a row's whole width, stand once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_WIDEST = 1024
_MOST_SPANNED = 100
_REPEATED_CHARACTERS = 100


@dataclass(frozen=True)
class Cell:
    """A cell and how far it reaches."""

    words: str
    columns: int = 1
    rows: int = 1


def spread(rows: Iterable[Sequence[Cell]]) -> list[list[str]]:
    """Rows of words. Columns are filled from the left, around cells that reach down from above."""
    found: list[list[str]] = []
    above: dict[int, tuple[str, int]] = {}
    for cells in rows:
        if not above and all(cell.columns == 1 and cell.rows == 1 for cell in cells):
            found.append([cell.words for cell in cells[:_WIDEST]])
            continue
        row, above = _row(cells, above)
        found.append(row)
    return found


def _row(cells: Sequence[Cell], above: dict[int, tuple[str, int]]) -> tuple[list[str], dict[int, tuple[str, int]]]:
    """A row's words, and what reaches into the next one: column -> (words, rows left)."""
    row: list[str] = []
    below: dict[int, tuple[str, int]] = {}

    def fill() -> None:
        while len(row) in above:
            words, left = above[len(row)]
            if left > 1:
                below[len(row)] = (words, left - 1)
            row.append(words)

    for cell in cells:
        fill()
        again = cell.words if len(cell.words) <= _REPEATED_CHARACTERS else ""
        for number in range(max(0, min(cell.columns, _WIDEST - len(row)))):
            if cell.rows > 1:
                below[len(row)] = (again, cell.rows - 1)
            row.append(again if number else cell.words)
    for column in sorted(above):
        if column >= len(row):
            row += [""] * (column - len(row))
            fill()
    if len(cells) == 1 and len(row) > 1 and len(set(row)) == 1:
        row[1:] = [""] * (len(row) - 1)
    return row, below


def span(value: str | None) -> int:
    """A span as files write it: digits, else 1."""
    return max(1, min(int(value[:6]), _MOST_SPANNED)) if value and value.isascii() and value.isdigit() else 1
