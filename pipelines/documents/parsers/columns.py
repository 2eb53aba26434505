"""The segments of a page -> runs in the order in which they are read: columns one after another.

A gutter is a vertical strip beside which two columns are to be read one after the other: prose that fills its
lines on both sides, or shorter lines that the file itself holds column by column. It may run over a part of
the page: what crosses it above and below is read before and after it. Segments side by side that are no
columns stay together: they are rows, of a table (aligned.py) or of a line.
"""

import itertools
import re
from collections.abc import Iterable, Sequence
from statistics import median
from typing import NamedTuple

from pipelines.documents.parsers.layout import MIN_GUTTER, Segment, is_figure, rows_of, segment_of

_MIN_PROSE_LINES = 4
_MIN_OTHER_LINES = 2
_PROSE_SHARE = 0.6
"""Share of words in longer segments from which a column is prose and not a table's column."""
_FILLED = 0.6
"""The median line of prose is at least this share as long as the longest."""
_MAX_SWITCHES = 0.4
"""A file that goes from one side to the other more often than this, per line, goes row by row."""
_MIN_STRIP = 0.8
"""White over the whole width, in sizes of type, that may divide a page into bands."""
_NARROW_GUTTER = 0.55
_MIN_DIVIDED = 8
"""Lines that are divided at one place by no more than a wide space: fewer may be so by chance."""
_MAX_DEPTH = 6
_MAX_SEGMENTS = 1500
"""A page with more is a map, or one large table: no columns are looked for in it."""
_MAX_EDGES = 40
_CJK = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")


class _Gutter(NamedTuple):
    """A place where a region falls into columns: indices of its segments by where they belong."""

    height: float
    above: list[Segment]
    left: list[Segment]
    right: list[Segment]
    below: list[Segment]


def runs_in_order(segments: list[Segment], depth: int = 0) -> list[list[Segment]]:
    """Segments as runs that are read one after another, each from top to bottom."""
    if not 2 * _MIN_OTHER_LINES <= len(segments) <= _MAX_SEGMENTS or depth >= _MAX_DEPTH:
        return [segments] if segments else []
    runs: list[list[Segment]] = []
    whole = False  # whether the last run is of bands without columns
    for band in _bands(segments):
        gutter = _gutter(band)
        if gutter is None:
            if whole:
                runs[-1] += band
            else:
                runs.append(band)
            whole = True
            continue
        whole = False
        for part in (gutter.above, gutter.left, gutter.right, gutter.below):
            runs += runs_in_order(part, depth + 1)
    return runs


def _bands(segments: Sequence[Segment]) -> list[list[Segment]]:
    """Segments between white strips across the page that the file, too, holds one band after the other.

    A strip that runs through two columns by chance does not divide the page: the file holds the lower part of
    the left column before the upper part of the right one.
    """
    ordered = sorted(segments, key=lambda s: s.top)
    first_below = [0] * len(ordered)
    least = len(ordered) and max(s.place for s in ordered)
    for at in range(len(ordered) - 1, -1, -1):
        least = min(least, ordered[at].place)
        first_below[at] = least
    bands: list[list[Segment]] = []
    bottom = last = -1.0
    for at, segment in enumerate(ordered):
        if not bands or (segment.top - bottom > _MIN_STRIP * segment.size and last < first_below[at]):
            bands.append([])
        bands[-1].append(segment)
        bottom, last = max(bottom, segment.bottom), max(last, segment.place)
    return bands


def _gutter(segments: list[Segment]) -> _Gutter | None:
    """The gutter with most text beside it, or None."""
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
        if segment.x0 > leftmost + 2 * MIN_GUTTER:
            counts.setdefault(round(segment.x0 / 4), []).append(segment.x0)
    edges: list[tuple[int, float]] = []
    for bucket, places in counts.items():
        near = len(places) + max(len(counts.get(bucket - 1, ())), len(counts.get(bucket + 1, ())))
        if near >= _MIN_OTHER_LINES:
            edges.append((-near, min(places)))
    return [x for _, x in sorted(edges)[:_MAX_EDGES]]


def _gutters_at(ordered: Sequence[Segment], x: float) -> Iterable[_Gutter]:
    """Stretches of the page in which no segment crosses x and both sides are columns."""
    start = 0
    left: list[Segment] = []
    right: list[Segment] = []
    divided = 0
    for at, segment in enumerate([*ordered, None]):
        if segment is not None and segment.x1 <= x + 1:
            left.append(segment)
        elif segment is not None and segment.x0 >= x - 1:
            right.append(segment)
        elif segment is not None and (halves := _halves(segment, x)) is not None:
            left.append(halves[0])
            right.append(halves[1])
            divided += 1
        else:
            chance = divided > 0.4 * min(len(left), len(right)) and divided < _MIN_DIVIDED
            if not chance and _are_columns(left, right):
                bottom = min(max(s.bottom for s in side) for side in (left, right))
                top = max(min(s.top for s in side) for side in (left, right))
                yield _Gutter(bottom - top, list(ordered[:start]), left, right, list(ordered[at:]))
            start, left, right, divided = at + 1, [], [], 0


def _halves(segment: Segment, x: float) -> tuple[Segment, Segment] | None:
    """A segment divided at x, where a word begins there after a gap that is wide for a space."""
    for at in range(1, len(segment.words)):
        word = segment.words[at]
        if word.x0 > x + 2:
            return None
        if word.x0 >= x - 1 and word.x0 - segment.words[at - 1].x1 >= _NARROW_GUTTER * word.size:
            return segment_of(segment.words[:at], segment.place), segment_of(segment.words[at:], segment.place + at)
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
    widths = [s.x1 - s.x0 for s in long]
    return median(widths) >= _FILLED * max(widths)


def _is_long(segment: Segment) -> bool:
    return len(segment.words) >= 3 or sum(len(_CJK.findall(word.text)) for word in segment.words) >= 6


def _held_apart(left: Sequence[Segment], right: Sequence[Segment]) -> bool:
    """Whether the file holds the one side before the other."""
    sides = [0] * len(left) + [1] * len(right)
    order = sorted(range(len(sides)), key=lambda i: (left[i] if i < len(left) else right[i - len(left)]).place)
    switches = sum(sides[a] != sides[b] for a, b in itertools.pairwise(order))
    return switches <= max(1, _MAX_SWITCHES * min(len(left), len(right)))


def _is_paired(left: Sequence[Segment], right: Sequence[Segment]) -> bool:
    """Whether lines stand side by side like labels and values: short ones on common baselines, or figures."""
    figures = sum(is_figure(s) for s in right)
    if figures > 0.5 * len(right):
        return True
    if _has_labels(left) or _has_labels(right):
        return False
    bases = {round(s.bottom) for s in left}
    level = sum(bool({round(s.bottom) - 1, round(s.bottom), round(s.bottom) + 1} & bases) for s in right)
    short = min(median(len(s.words) for s in left), median(len(s.words) for s in right)) < 4
    labels = sum(_text(s).endswith(":") for s in left) > 0.5 * len(left)
    values = sum(any(map(str.isdigit, _text(s))) for s in right) > 0.5 * len(right)
    return level > 0.6 * len(right) and short and (labels or values)


def _text(segment: Segment) -> str:
    return " ".join(word.text for word in segment.words)


def _has_labels(side: Sequence[Segment]) -> bool:
    """Whether most rows of a side are labels with values: it needs none of the other side's."""
    rows = rows_of(side)
    return sum(len(row) > 1 and not is_figure(row[0]) for row in rows) > 0.6 * len(rows)
