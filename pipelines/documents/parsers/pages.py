"""A page's words and ruled lines -> its lines and tables in reading order.

Words inside a ruled table leave the flow; the table takes its place among the segments, so that columns and
rows treat it like any other. Text that runs in another direction than the page's (stamps, labels of axes)
comes last.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from pipelines.documents.parsers.aligned import framed_table, with_tables
from pipelines.documents.parsers.columns import runs_in_order
from pipelines.documents.parsers.grids import Grid, bands_of, grids_of
from pipelines.documents.parsers.layout import Line, Row, Segment, Table, is_figure, rows_of, segments_of
from pipelines.documents.parsers.lines import line_of, table_of, text_of
from pipelines.documents.parsers.sheets import Face, Sheet, Word

ASIDE = -1
"""The column of lines that stand apart from the page's flow."""
_EDGE_SHARE = 0.09
"""Share of the page's height at top and bottom where running headers and footers stand."""
_CELL = 4.0
"""Words that are drawn twice lie in one square of this side, or in two that touch."""
_MIN_FILLED = 0.3
_MIN_TEXT_SHARE = 0.2
"""Lines of text make up at least this share of the height of a table's rows, in the median."""
_MAX_WORDS_PER_CELL = 60
"""Cells that hold more, on average, are a page laid out with frames."""
_MIN_BAND_SHARE = 0.12
"""Lines shorter than this share of the page's width frame no table."""


@dataclass(frozen=True)
class Page:
    """A page's lines and tables in reading order."""

    number: int
    height: float
    parts: list[Line | Table]

    @property
    def lines(self) -> list[Line]:
        """The lines alone."""
        return [part for part in self.parts if isinstance(part, Line)]

    def at_edge(self, line: Line) -> bool:
        """Whether a line stands where running headers and footers stand."""
        low, high = _EDGE_SHARE * self.height, (1 - _EDGE_SHARE) * self.height
        return line.column == ASIDE or line.bottom < low or line.top > high


def arranged(sheet: Sheet) -> Page:
    """The page in reading order."""
    words = _once(sheet.words)
    grids = grids_of(sheet.across, sheet.down)
    tables, words = _ruled_tables(words, grids)
    bands = bands_of(sheet.across, least=_MIN_BAND_SHARE * sheet.width)
    mono = sum(len(word.text) for word in words if word.face.mono)
    code = mono <= 0.5 * sum(len(word.text) for word in words)
    parts: list[Line | Table] = []
    for column, run in enumerate(runs_in_order([*segments_of(words), *tables])):
        parts += [_part(part, column) for part in with_tables(rows_of(run), bands, code=code)]
    for others in sheet.turned:
        parts += [line_of(row, ASIDE) for row in rows_of(segments_of(_once(others)))]
    if sheet.aslant:
        parts.append(Line(" ".join(sheet.aslant), 0.0, sheet.width, 0.0, sheet.height, 1.0, Face(), ASIDE))
    return Page(sheet.number, sheet.height, parts)


def _part(found: Row | Table, column: int) -> Line | Table:
    if isinstance(found, Table):
        return found
    return found[0].table or line_of(found, column)


def _once(words: Sequence[Word]) -> list[Word]:
    """Words without those that are drawn a second time at their place, to look bold or to throw a shadow."""
    if len({(word.text, int(word.x0 / 8), int(word.base / 8)) for word in words}) == len(words):
        return list(words)  # what is drawn twice would show at some of its words
    drawn: dict[tuple[str, int, int], Word] = {}
    kept = []
    for word in words:
        x, y = word.x0 / _CELL, word.base / _CELL
        twin = drawn.get((word.text, int(x), int(y)))
        near = max(1.0, 0.12 * word.size)
        if twin is not None and abs(twin.x0 - word.x0) <= near and abs(twin.base - word.base) <= near:
            continue
        kept.append(word)
        for column in {int(x - 0.5), int(x + 0.5)}:
            for row in {int(y - 0.5), int(y + 0.5)}:
                drawn[word.text, column, row] = word
    return kept


# --- ruled tables ------------------------------------------------------------------------------


def _ruled_tables(words: list[Word], grids: Sequence[Grid]) -> tuple[list[Segment], list[Word]]:
    """Tables among the grids, as segments, and the words outside of them."""
    tables: list[Segment] = []
    for grid in grids:
        x0, top, x1, bottom = grid.box
        inside: dict[int, tuple[int, int]] = {}
        for place, word in enumerate(words):
            if top <= word.base <= bottom + 0.3 * word.size and x0 <= (word.x0 + word.x1) / 2 <= x1:
                spot = grid.place((word.x0 + word.x1) / 2, word.base - 0.3 * word.size)
                if spot is not None:
                    inside[place] = spot
        if not inside:
            continue
        held: defaultdict[int, list[Word]] = defaultdict(list)
        for place, (row, column) in inside.items():
            held[grid.cell_of[row][column]].append(words[place])
        cells = {number: rows_of(segments_of(found)) for number, found in held.items()}
        table = None
        if any(map(_holds_columns, cells.values())):
            table = framed_table(rows_of(segments_of([words[place] for place in inside])))
        elif _is_sparse(words, inside, grid):
            continue
        if table is None and _is_table(rows := _cells(cells, grid)):
            table = table_of(rows, grid.box)
        if table is not None:
            tables.append(Segment([], x0, x1, top, bottom, 10.0, min(inside), table))
            words = [word for place, word in enumerate(words) if place not in inside]
    return tables, words


def _holds_columns(lines: Sequence[Row]) -> bool:
    """Whether a cell holds columns of figures that are not ruled."""
    return sum(sum(map(is_figure, line)) >= 2 for line in lines) >= 3


def _cells(held: dict[int, list[Row]], grid: Grid) -> list[list[str]]:
    """Text of the cells, row by row; a cell over several places fills the first of them."""
    rows: list[list[str]] = []
    seen: set[int] = set()
    for numbers in grid.cell_of:
        lines: list[list[Row]] = []
        for number in numbers:
            fresh = number not in seen and number in held
            seen.add(number)
            lines.append(held[number] if fresh else [])
        rows += _split(lines)
    return rows


def _split(cells: Sequence[Sequence[Row]]) -> list[list[str]]:
    """A ruled row as one row of texts, or as several where its lines are rows of figures without rules."""
    figures = [c for c in cells[1:] if len(c) >= 2 and all(is_figure(s) for line in c for s in line)]
    counts = {len(cell) for cell in cells if cell}
    even = len(counts) == 1 and max(counts) >= 3 and sum(map(bool, cells)) >= 3
    if not figures and not even:
        return [[" ".join(map(_text, cell)) for cell in cells]]
    leading = max(figures, key=len) if figures else next(cell for cell in cells if cell)
    starts = [line[0].top for line in leading]
    rows = [[""] * len(cells) for _ in starts]
    for column, cell in enumerate(cells):
        for line in cell:
            at = max(0, sum(start <= line[0].top + 0.4 * line[0].size for start in starts) - 1)
            rows[at][column] = f"{rows[at][column]} {_text(line)}".strip()
    return rows


def _text(row: Row) -> str:
    return text_of([word for segment in row for word in segment.words])


def _is_sparse(words: Sequence[Word], inside: dict[int, tuple[int, int]], grid: Grid) -> bool:
    """Whether lines of text fill next to nothing of most rows' height: labels in a drawing."""
    heights: defaultdict[int, dict[int, float]] = defaultdict(dict)
    for place, (row, _) in inside.items():
        heights[row][round(words[place].base / 4)] = words[place].size
    shares = [sum(lines.values()) / (grid.ys[row + 1] - grid.ys[row]) for row, lines in heights.items()]
    return median(shares) < _MIN_TEXT_SHARE


def _is_table(rows: Sequence[Sequence[str]]) -> bool:
    cells = [cell for row in rows for cell in row]
    filled = [cell for cell in cells if cell]
    columns = sum(any(row[i] for row in rows) for i in range(len(rows[0]))) if rows else 0
    return (
        sum(map(any, rows)) >= 2
        and columns >= 2
        and len(filled) >= _MIN_FILLED * len(cells)
        and sum(len(cell.split()) for cell in filled) <= _MAX_WORDS_PER_CELL * len(filled)
    )
