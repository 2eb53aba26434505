"""The words of a page -> segments and rows.

A segment is words on one baseline that end at a wide gap: a line of a column, a cell of a table. A row is
segments that share a baseline. Lengths are PDF points (1/72 inch), `top` grows downwards.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pipelines.documents.parsers.sheets import Face, Word

MIN_GUTTER = 6.0
_WIDE_GAP = 0.9
"""A gap of more times the size of the type ends a segment."""
_FIGURE = re.compile(r"^[^A-Za-z]*\d[^A-Za-z]*%?$")


@dataclass(frozen=True)
class Table:
    """A table with its box."""

    rows: list[list[str]]
    x0: float
    x1: float
    top: float
    bottom: float


class Segment(NamedTuple):
    """Words on one baseline without a wide gap; or a table, which takes its place among them."""

    words: list[Word]
    x0: float
    x1: float
    top: float
    bottom: float
    size: float
    place: int
    """Where it stands in the file's own order."""
    table: Table | None = None


class Line(NamedTuple):
    """A line of one column; `column` differs where reading jumps."""

    text: str
    x0: float
    x1: float
    top: float
    bottom: float
    size: float
    face: Face
    column: int


Row = list[Segment]
"""Segments that share a baseline, from left to right."""


def segments_of(words: Sequence[Word]) -> list[Segment]:
    """Words as segments: first those that follow each other in the file, then those that only stand together."""
    pieces: list[Segment] = []
    open_piece: list[Word] = []
    for place, word in enumerate(words):
        if open_piece and _follows(open_piece[-1], word):
            open_piece.append(word)
            continue
        if open_piece:
            pieces.append(segment_of(open_piece, place - len(open_piece)))
        open_piece = [word]
    if open_piece:
        pieces.append(segment_of(open_piece, len(words) - len(open_piece)))
    return [segment for row in rows_of(pieces) for segment in _joined_row(row)]


def _follows(last: Word, word: Word) -> bool:
    size = max(last.size, word.size)
    return -0.35 * size <= word.x0 - last.x1 <= max(MIN_GUTTER, _WIDE_GAP * size) and (
        abs(word.base - last.base) <= (0.15 if word.size == last.size else 0.45) * size
    )


def segment_of(words: list[Word], place: int) -> Segment:
    """Words from left to right as a segment; `place`: where the first stands in the file's own order."""
    largest = max(words, key=lambda word: word.size)
    return Segment(
        words,
        min(word.x0 for word in words),
        max(word.x1 for word in words),
        largest.base - 0.8 * largest.size,
        largest.base + 0.2 * largest.size,
        largest.size,
        place,
    )


def _joined_row(row: Row) -> list[Segment]:
    """Neighbours of a row without a wide gap between them as one segment."""
    joined: list[Segment] = []
    for segment in row:
        last = joined[-1] if joined else None
        near = max(MIN_GUTTER, _WIDE_GAP * max(segment.size, last.size)) if last is not None else 0.0
        if last is not None and not (last.table or segment.table) and segment.x0 - last.x1 <= near:
            words = sorted([*last.words, *segment.words], key=lambda word: word.x0)
            joined[-1] = segment_of(words, min(last.place, segment.place))
        else:
            joined.append(segment)
    return joined


def rows_of(segments: Iterable[Segment]) -> list[Row]:
    """Segments that share a baseline, from left to right; rows from top to bottom.

    A smaller segment that touches a row (an index, an exponent) belongs to it.
    """
    rows: list[Row] = []
    tallest: list[Segment] = []
    for segment in sorted(segments, key=lambda s: (s.top + s.bottom, s.x0)):
        for at in range(len(rows) - 1, max(-1, len(rows) - 4), -1):
            if _is_level(tallest[at], segment) or _touches(rows[at], segment):
                rows[at].append(segment)
                if segment.size > tallest[at].size:
                    tallest[at] = segment
                break
        else:
            rows.append([segment])
            tallest.append(segment)
    return [sorted(row, key=lambda segment: segment.x0) if len(row) > 1 else row for row in rows]


def _is_level(one: Segment, other: Segment) -> bool:
    size = max(one.size, other.size)
    base = abs((one.bottom - 0.2 * one.size) - (other.bottom - 0.2 * other.size))
    return base <= 0.3 * size and not (one.table or other.table)


def _touches(row: Row, segment: Segment) -> bool:
    """Whether one of two sizes stands close beside the other, mostly within its height."""
    for other in row:
        if other.table or segment.table or 0.85 * max(other.size, segment.size) < min(other.size, segment.size):
            continue
        shared = min(other.bottom, segment.bottom) - max(other.top, segment.top)
        apart = max(segment.x0 - other.x1, other.x0 - segment.x1)
        if shared > 0.5 * min(other.size, segment.size) and apart < 0.5 * max(other.size, segment.size):
            return True
    return False


def is_figure(segment: Segment) -> bool:
    """Whether a segment is a number, with its unit or sign at most."""
    return not segment.table and is_number(" ".join(word.text for word in segment.words))


def is_number(text: str) -> bool:
    """Whether a text is a number with signs around it, and no word."""
    return bool(_FIGURE.match(text))
