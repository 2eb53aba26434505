"""The words of a page -> lines and tables in reading order.

Words on one baseline form segments that end at wide gaps. A gutter is a vertical strip beside which two
columns are to be read one after the other: prose that fills its lines on both sides, or shorter lines that
the file itself holds column by column. It may run over a part of the page: what crosses it above and below
is read before and after it. Segments side by side that are no columns are rows, of a table (aligned.py) or
of a line. Lengths are PDF points (1/72 inch), `top` grows downwards.
"""

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from pipelines.documents.parsers.pdfium import Face, Word

_EDGE_SHARE = 0.09
"""Share of the page's height at top and bottom where running headers and footers stand."""
_MIN_PROSE_LINES = 4
_MIN_OTHER_LINES = 2
_PROSE_SHARE = 0.6
"""Share of words in longer segments from which a column is prose and not a table's column."""
_FILLED = 0.6
"""Lines of prose fill at least this share of their column in the median."""
_MIN_GUTTER = 6.0
_WIDE_GAP = 0.9
"""A gap of more times the size of the type ends a segment."""
_NARROW_GUTTER = 0.55
_MAX_DEPTH = 6
_CJK = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff]")
_NUMBER = re.compile(r"^[^A-Za-z]*\d[^A-Za-z]*%?$")


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


# --- segments ----------------------------------------------------------------------------------


def segments_of(words: Sequence[Word]) -> list[Segment]:
    """Words as segments: first those that follow each other in the file, then those that only stand together."""
    pieces: list[Segment] = []
    open_piece: list[Word] = []
    for place, word in enumerate(words):
        if open_piece and _follows(open_piece[-1], word):
            open_piece.append(word)
            continue
        if open_piece:
            pieces.append(_segment(open_piece, place - len(open_piece)))
        open_piece = [word]
    if open_piece:
        pieces.append(_segment(open_piece, len(words) - len(open_piece)))
    return [segment for row in rows_of(pieces) for segment in _joined_row(row)]


def _follows(last: Word, word: Word) -> bool:
    size = max(last.size, word.size)
    return -0.35 * size <= word.x0 - last.x1 <= max(_MIN_GUTTER, _WIDE_GAP * size) and (
        abs(word.base - last.base) <= (0.15 if word.size == last.size else 0.45) * size
    )


def _segment(words: list[Word], place: int) -> Segment:
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
        near = max(_MIN_GUTTER, _WIDE_GAP * max(segment.size, last.size)) if last is not None else 0.0
        if last is not None and not (last.table or segment.table) and segment.x0 - last.x1 <= near:
            words = sorted([*last.words, *segment.words], key=lambda word: word.x0)
            joined[-1] = _segment(words, min(last.place, segment.place))
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


# --- columns -----------------------------------------------------------------------------------


class _Gutter(NamedTuple):
    """A place where a region falls into columns: indices of its segments by where they belong."""

    height: float
    above: list[Segment]
    left: list[Segment]
    right: list[Segment]
    below: list[Segment]


def runs_in_order(segments: list[Segment], depth: int = 0) -> list[list[Segment]]:
    """Segments as runs that are read one after another, each from top to bottom."""
    gutter = _gutter(segments) if depth < _MAX_DEPTH else None
    if gutter is None:
        return [segments] if segments else []
    parts = (gutter.above, gutter.left, gutter.right, gutter.below)
    return [run for part in parts for run in runs_in_order(part, depth + 1)]


def _gutter(segments: list[Segment]) -> _Gutter | None:
    """The gutter with most text beside it, or None."""
    if len(segments) < 2 * _MIN_OTHER_LINES:
        return None
    ordered = sorted(segments, key=lambda s: (s.top, s.x0))
    best: _Gutter | None = None
    for x in _left_edges(ordered):
        for found in _gutters_at(ordered, x):
            if best is None or found.height > best.height:
                best = found
    return best


def _left_edges(segments: Sequence[Segment]) -> list[float]:
    """Where several segments begin that have others to their left."""
    leftmost = min(s.x0 for s in segments)
    counts: dict[int, list[float]] = {}
    for segment in segments:
        if segment.x0 > leftmost + 2 * _MIN_GUTTER:
            counts.setdefault(round(segment.x0 / 4), []).append(segment.x0)
    edges: list[float] = []
    for bucket in sorted(counts):
        near = len(counts[bucket]) + max(len(counts.get(bucket - 1, ())), len(counts.get(bucket + 1, ())))
        if near >= _MIN_OTHER_LINES:
            edges.append(min(counts[bucket]))
    return edges


def _gutters_at(ordered: Sequence[Segment], x: float) -> Iterable[_Gutter]:
    """Stretches of the page in which no segment crosses x and both sides are columns."""
    start = 0
    left: list[Segment] = []
    right: list[Segment] = []
    for at, segment in enumerate([*ordered, None]):
        if segment is not None and segment.x1 <= x + 1:
            left.append(segment)
        elif segment is not None and segment.x0 >= x - 1:
            right.append(segment)
        elif segment is not None and (halves := _halves(segment, x)) is not None:
            left.append(halves[0])
            right.append(halves[1])
        else:
            if _are_columns(left, right):
                bottom = min(max(s.bottom for s in side) for side in (left, right))
                top = max(min(s.top for s in side) for side in (left, right))
                yield _Gutter(bottom - top, list(ordered[:start]), left, right, list(ordered[at:]))
            start, left, right = at + 1, [], []


def _halves(segment: Segment, x: float) -> tuple[Segment, Segment] | None:
    """A segment divided at x, where a word begins there after a gap that is wide for a space."""
    for at in range(1, len(segment.words)):
        word = segment.words[at]
        if word.x0 > x + 2:
            return None
        if word.x0 >= x - 1 and word.x0 - segment.words[at - 1].x1 >= _NARROW_GUTTER * word.size:
            return _segment(segment.words[:at], segment.place), _segment(segment.words[at:], segment.place + at)
    return None


def _are_columns(left: Sequence[Segment], right: Sequence[Segment]) -> bool:
    """Whether two sides are to be read one after the other."""
    fewest = min(len(left), len(right))
    if fewest < _MIN_OTHER_LINES or not _side_by_side(left, right):
        return False
    if fewest >= _MIN_PROSE_LINES and _is_prose(left) and _is_prose(right):
        return True
    return _held_apart(left, right) and not _is_paired(left, right)


def _side_by_side(left: Sequence[Segment], right: Sequence[Segment]) -> bool:
    """Whether the two sides share a fair part of their height."""
    tops = [min(s.top for s in side) for side in (left, right)]
    bottoms = [max(s.bottom for s in side) for side in (left, right)]
    heights = [bottom - top for top, bottom in zip(tops, bottoms, strict=True)]
    return min(bottoms) - max(tops) > 0.4 * min(heights)


def _is_prose(side: Sequence[Segment]) -> bool:
    """Whether most words stand in longer segments that fill their column; bullets and numbers may stand alone."""
    lengths = [len(s.words) for s in side]
    long = [s for s in side if _is_long(s)]
    if len(long) < _MIN_PROSE_LINES or sum(len(s.words) for s in long) < _PROSE_SHARE * sum(lengths):
        return False
    width = max(s.x1 for s in long) - min(s.x0 for s in long)
    return median(s.x1 - s.x0 for s in long) >= _FILLED * width


def _is_long(segment: Segment) -> bool:
    return len(segment.words) >= 3 or sum(len(_CJK.findall(word.text)) for word in segment.words) >= 6


def _held_apart(left: Sequence[Segment], right: Sequence[Segment]) -> bool:
    """Whether the file holds the one side before the other."""
    sides = [0] * len(left) + [1] * len(right)
    order = sorted(range(len(sides)), key=lambda i: (left[i] if i < len(left) else right[i - len(left)]).place)
    switches = sum(sides[a] != sides[b] for a, b in itertools.pairwise(order))
    return switches <= max(1, min(len(left), len(right)) // 8)


def _is_paired(left: Sequence[Segment], right: Sequence[Segment]) -> bool:
    """Whether lines stand side by side like cells: short ones on common baselines, or figures."""
    figures = sum(is_figure(s) for s in right)
    if figures > 0.5 * len(right):
        return True
    bases = {round(s.bottom) for s in left}
    level = sum(bool({round(s.bottom) - 1, round(s.bottom), round(s.bottom) + 1} & bases) for s in right)
    short = min(median(len(s.words) for s in left), median(len(s.words) for s in right)) < 4
    return level > 0.6 * len(right) and short


def is_figure(segment: Segment) -> bool:
    """Whether a segment is a number, with its unit or sign at most."""
    return not segment.table and bool(_NUMBER.match(" ".join(word.text for word in segment.words)))


# --- lines -------------------------------------------------------------------------------------


def line_of(row: Row, column: int) -> Line:
    """A row as one line, with the size and weight that most of its characters have."""
    words = [word for segment in row for word in segment.words]
    letters: dict[tuple[float, Face], int] = {}
    for word in words:
        style = word.size, word.face
        letters[style] = letters.get(style, 0) + len(word.text)
    size, face = max(letters, key=letters.__getitem__)
    return Line(
        _fixed(words) if face.mono else text_of(words),
        row[0].x0,
        max(segment.x1 for segment in row),
        min(segment.top for segment in row),
        max(segment.bottom for segment in row),
        size,
        face,
        column,
    )


def text_of(words: Sequence[Word]) -> str:
    """Words of a line from left to right as text, in the order in which they are read."""
    if any(_RIGHT_TO_LEFT.search(word.text) for word in words):
        return _mirrored(words)
    parts = [words[0].text]
    for last, word in itertools.pairwise(words):
        gap = word.x0 - last.x1
        close = not word.spaced and gap < 0.15 * word.size
        parts.append(word.text if close else f" {word.text}")
    return "".join(parts)


def _fixed(words: Sequence[Word]) -> str:
    """A line of a typewriter's font with as many spaces between its words as they are apart."""
    width = median((word.x1 - word.x0) / len(word.text) for word in words)
    line = words[0].text
    for last, word in itertools.pairwise(words):
        line += " " * min(80, max(round((word.x0 - last.x1) / max(width, 0.1)), int(word.spaced))) + word.text
    return line


def _mirrored(words: Sequence[Word]) -> str:
    """A line that holds a script which runs to the left.

    Where that script has most letters, words are read from the right and runs of other words from the left;
    else the other way round.
    """
    to_left = [bool(_RIGHT_TO_LEFT.search(word.text)) for word in words]
    most = sum(len(w.text) for w, t in zip(words, to_left, strict=True) if t)
    whole = sum(len(w.text) for w, t in zip(words, to_left, strict=True) if t or re.search(r"[^\W\d]", w.text))
    mirrored = 2 * most >= whole
    runs: list[tuple[bool, list[str]]] = []
    for word, left in zip(words, to_left, strict=True):
        same = left == mirrored or not re.search(r"\w", word.text)
        if runs and not same and not runs[-1][0]:
            runs[-1][1].append(word.text)
        else:
            runs.append((same, [word.text]))
    ordered = reversed(runs) if mirrored else runs
    return " ".join(" ".join(texts if mirrored else reversed(texts)) for _, texts in ordered)
