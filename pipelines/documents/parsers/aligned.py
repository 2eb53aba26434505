"""Rows of a page -> tables that no lines rule: cells that stand in columns, row after row.

A run of rows is a table when the white strips between its cells go through it from top to bottom, cells are
short and stand under each other (left, right or centred), and enough of them are filled. Prose in columns
never gets here: columns.py has read it column by column. Lines ruled above and below (`bands`), as papers set
their tables, ask for less proof.
"""

import bisect
import re
from collections.abc import Iterator, Sequence
from statistics import median
from typing import NamedTuple

from pipelines.documents.parsers.layout import Row, Segment, Table, is_figure, is_number
from pipelines.documents.parsers.lines import table_of, text_of

_MAX_GAP = 1.7
"""Rows of a table stand at most this far apart, in sizes of their type."""
_MIN_ROWS = 3
_MIN_ROWS_OF_WORDS = 4
"""Two columns of words need more rows to be told from chance than columns with figures."""
_MAX_WORDS = 8
_MIN_FILLED = 0.5
_MIN_FRAMED = 0.6
"""Share of rows with several cells, or a short one, between ruled lines that frame a table."""
_MIN_ALIGNED = 0.7
_NEAR = 3.0
_OVER, _OFF_CENTRE = 0.15, 0.04
_MAX_COLUMNS = 60
_MAX_HEADER_ROWS = 4
_YEAR = re.compile(r"^(?:19|20)\d\d\b")
_MARKER = re.compile(r"^(?:[•▪◦●■☐☑☒❖➢✓–—\-*·]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)]|\([ivx]+\))$")

Band = tuple[float, float, float, float]
"""A region between ruled lines: x0, top, x1, bottom."""


class _Columns(NamedTuple):
    """White strips that divide rows into cells."""

    edges: list[float]
    """Where one column ends and the next begins: one less than there are columns."""

    def of(self, segment: Segment) -> int:
        """The column in which a segment begins; a short one belongs to where its middle is."""
        middle = (segment.x0 + segment.x1) / 2
        place = middle if segment.x1 - segment.x0 < 60 else segment.x0 + 1
        return bisect.bisect_left(self.edges, place)


def with_tables(rows: Sequence[Row], bands: Sequence[Sequence[Band]], *, code: bool) -> list[Row | Table]:
    """Rows with runs of them that are tables put together, in the same order.

    `code`: a typewriter's font means code here, whose lines may look like rows of cells.
    """
    rows = [[_whole(row)] if code and _is_mono(row) else _with_markers(row) for row in rows]
    frames = _frames(rows, bands)
    found: list[Row | Table] = []
    at = 0
    while at < len(rows):
        run = _run_from(rows, at, frames)
        for start, end, framed in _parts(at, run, frames.get(at, at)):
            table = _table(rows[start:end], framed=framed)
            if table is not None:
                found += [*rows[at:start], table]
                at = end
                break
        else:
            step = 1 + max(0, run - at) // 16  # a long run that is no table is not tried row by row
            found += rows[at : at + step]
            at += step
    return found


def _parts(start: int, end: int, frame: int) -> Iterator[tuple[int, int, bool]]:
    """What may be a table from a row on: what ruled lines frame, a run of rows, or that without a few at its ends."""
    if frame > start:
        yield start, frame, True
    for to in range(end, end - 3, -1):
        for at in range(start, start + 4):
            if to - at >= 2:
                yield at, to, False


def framed_table(rows: Sequence[Row]) -> Table | None:
    """All the rows as one table, None when they are none: for what ruled lines surround."""
    return _table([_with_markers(row) for row in rows], framed=True)


def _with_markers(row: Row) -> Row:
    """A row whose first segment, where it is the mark of a list's item, is one with the next."""
    if len(row) < 2 or row[0].table or row[1].table or len(row[0].words) > 1:
        return row
    if not _MARKER.match(row[0].words[0].text):
        return row
    first, second = row[0], row[1]
    joined = second._replace(words=[*first.words, *second.words], x0=first.x0, top=min(first.top, second.top))
    return [joined, *row[2:]]


def _is_mono(row: Row) -> bool:
    return not row[0].table and all(word.face.mono for segment in row for word in segment.words)


def _whole(row: Row) -> Segment:
    words = [word for segment in row for word in segment.words]
    return row[0]._replace(words=words, x1=max(segment.x1 for segment in row))


def _frames(rows: Sequence[Row], bands: Sequence[Sequence[Band]]) -> dict[int, int]:
    """First row -> end of the rows that ruled lines frame as a table.

    Of lines above each other those belong to one table between which most rows hold several cells: a line under
    the page's header and one above its footer frame the page.
    """
    frames: dict[int, int] = {}
    for lines in bands:
        start: int | None = None
        last = 0
        for band in lines:
            inside = _between_titles(rows, [at for at, row in enumerate(rows) if _within(row, band)])
            width = band[2] - band[0]
            alike = sum(len(rows[at]) > 1 or rows[at][0].x1 - rows[at][0].x0 < 0.5 * width for at in inside)
            if inside and alike >= _MIN_FRAMED * len(inside):
                start = inside[0] if start is None else start
                last = inside[-1] + 1
            elif inside:
                if start is not None:
                    frames[start] = last
                start = None
        if start is not None:
            frames[start] = last
    return frames


def _between_titles(rows: Sequence[Row], inside: list[int]) -> list[int]:
    """Rows without those of a single cell at either end: titles and notes, not rows of the table.

    A cell above that stands over the columns on the right is part of the header.
    """
    several = [at for at in inside if len(rows[at]) > 1]
    if not several:
        return []
    left, right = min(rows[at][0].x0 for at in several), max(rows[at][-1].x1 for at in several)

    def is_header(row: Row) -> bool:
        off = (row[0].x0 + row[0].x1) / 2 - (left + right) / 2
        return row[0].x0 > left + _OVER * (right - left) and off > _OFF_CENTRE * (right - left)

    return [at for at in inside if several[0] <= at <= several[-1] or (at < several[0] and is_header(rows[at]))]


def _run_from(rows: Sequence[Row], at: int, frames: dict[int, int]) -> int:
    """Where the run of rows that may be a table ends, from a row on."""
    if rows[at][0].table or len(rows[at]) < 2:
        return at
    end = last = at + 1
    while end < len(rows) and not rows[end][0].table and end not in frames:
        size = max(s.size for s in rows[end])
        if _gap(rows[end - 1], rows[end]) > _MAX_GAP * size or (len(rows[end]) == 1 and end - last >= 2):
            break
        end += 1
        if len(rows[end - 1]) > 1:
            last = end
    return last


def _gap(above: Row, below: Row) -> float:
    return min(s.top for s in below) - max(s.bottom for s in above)


def _within(row: Row, band: Band) -> bool:
    x0, top, x1, bottom = band
    return (
        not row[0].table
        and row[0].top > top - _NEAR
        and row[0].bottom < bottom + _NEAR
        and row[0].x0 > x0 - _NEAR
        and row[-1].x1 < x1 + _NEAR
    )


def _table(rows: Sequence[Row], *, framed: bool) -> Table | None:
    """The rows as a table, None when they are none."""
    several = [row for row in rows if len(row) > 1]
    if any(row[0].table for row in rows):
        return None
    if len(several) < 2 or len(several) < 0.5 * len(rows):
        return None
    if framed and (len(rows) < _MIN_ROWS or median(map(_gap, rows, rows[1:])) > _MAX_GAP * rows[0][0].size):
        return None  # labels in a drawing
    columns = _columns(several)
    width = len(columns.edges) + 1
    if not 2 <= width <= _MAX_COLUMNS or not _proven(several, columns, framed=framed):
        return None
    left, right = min(row[0].x0 for row in rows), max(row[-1].x1 for row in rows)
    top, bottom = min(s.top for s in rows[0]), max(s.bottom for s in rows[-1])
    return table_of(_cells(rows, columns), (left, top, right, bottom))


def _columns(rows: Sequence[Row]) -> _Columns:
    """Strips that at most one of eight rows crosses, wide enough to be seen."""
    crossings = len(rows) // 8
    size = median(segment.size for row in rows for segment in row)
    steps = sorted([(s.x0, 1) for row in rows for s in row] + [(s.x1, -1) for row in rows for s in row])
    edges: list[float] = []
    inked = 0
    opened: float | None = None
    for x, step in steps:
        inked += step
        if inked <= crossings and opened is None:
            opened = x
        elif inked > crossings and opened is not None:
            if x - opened >= 0.5 * size and opened > steps[0][0]:
                edges.append((opened + x) / 2)
            opened = None
    return _Columns(edges)


def _proven(rows: Sequence[Row], columns: _Columns, *, framed: bool) -> bool:
    """Whether rows of several cells are those of a table."""
    width = len(columns.edges) + 1
    cells: list[list[Segment]] = [[] for _ in range(width)]
    for row in rows:
        for segment in row:
            cells[columns.of(segment)].append(segment)
    if any(not column for column in cells):
        return False
    filled = sum(len({columns.of(s) for s in row}) for row in rows) / (len(rows) * width)
    if filled < _MIN_FILLED:
        return False
    if framed:
        return True
    figures = [sum(map(is_figure, column)) >= 0.5 * len(column) for column in cells]
    lengths = [median(len(s.words) for s in column) for column in cells]
    aligned = sum(_aligned(column) for column in cells[1:]) / (width - 1)  # entries of the first may be indented
    if aligned < _MIN_ALIGNED or sum(length > _MAX_WORDS for length in lengths) > (1 if width > 2 else 0):
        return False
    if any(figures[1:]):
        return len(rows) >= (_MIN_ROWS if width == 2 else 2)
    return len(rows) >= (_MIN_ROWS if width > 2 else _MIN_ROWS_OF_WORDS) and max(lengths) <= _MAX_WORDS


def _aligned(column: Sequence[Segment]) -> float:
    """Share of cells that stand under each other by their left or right ends or by their middles."""
    best = 0
    for places in (
        [s.x0 for s in column],
        [s.x1 for s in column],
        [(s.x0 + s.x1) / 2 for s in column],
    ):
        middle = median(places)
        best = max(best, sum(abs(place - middle) <= _NEAR for place in places))
    return best / len(column)


def _cells(rows: Sequence[Row], columns: _Columns) -> list[list[str]]:
    """Text of the cells; a row that only goes on with cells of the row above it is joined with that row."""
    width = len(columns.edges) + 1
    cells: list[list[str]] = []
    last: Row | None = None
    for row in rows:
        texts: list[list[str]] = [[] for _ in range(width)]
        for segment in row:
            texts[columns.of(segment)].append(text_of(segment.words))
        line = [" ".join(parts) for parts in texts]
        if last is not None and cells and _goes_on(last, row, line, cells[-1]):
            cells[-1] = [" ".join(filter(None, pair)) for pair in zip(cells[-1], line, strict=True)]
        else:
            cells.append(line)
        last = row
    return _with_one_header(cells)


def _with_one_header(cells: list[list[str]]) -> list[list[str]]:
    """Rows of a table with the rows above its first figures, where they are several, as one."""
    first = next((at for at, row in enumerate(cells) if any(map(is_value, row[1:]))), 0)
    above = cells[:first]
    if not 2 <= first <= _MAX_HEADER_ROWS or any(sum(map(bool, row)) < 2 and row[0] for row in above):
        return cells
    return [[" ".join(filter(None, column)) for column in zip(*above, strict=True)], *cells[first:]]


def is_value(cell: str) -> bool:
    """Whether a cell holds a figure that is no year: those stand in headers too."""
    return is_number(cell) and not _YEAR.match(cell)


def _goes_on(last: Row, row: Row, line: Sequence[str], above: Sequence[str]) -> bool:
    """Whether a row continues the cells above it: close by, and either no figures and nothing in its first column,
    or a label that goes on in small letters.
    """
    if _gap(last, row) >= 0.5 * max(s.size for s in row):
        return False
    if line[0]:
        return line[0][0].islower() and (not any(line[1:]) or not any(above[1:]))
    within = all(bool(upper) for upper, lower in zip(above, line, strict=True) if lower)
    return within and not any(map(is_figure, row))
