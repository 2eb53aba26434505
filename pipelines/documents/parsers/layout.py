"""The words of a page -> lines in reading order.

Words on one baseline form segments that end at wide gaps. A gutter is a vertical strip that few segments
cross while prose stands on both sides of it; between the segments that cross it, the left column is read
before the right one. Short segments side by side are rows of an unruled table and stay on one line.
Lengths are PDF points (1/72 inch), `top` grows downwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass

_EDGE_SHARE = 0.09
"""Share of the page's height at top and bottom where running headers and footers stand."""
_MIN_COLUMN_LINES = 4
_MIN_SEGMENT_WORDS = 3
_PROSE_SHARE = 0.6
"""Share of words in segments of several words from which a column is prose and not a table's column."""
_MAX_CROSSING = 0.35
_MIN_GUTTER = 6.0


@dataclass(frozen=True)
class Word:
    """A word with its box and font."""

    text: str
    x0: float
    x1: float
    top: float
    bottom: float
    size: float
    bold: bool


@dataclass(frozen=True)
class Line:
    """A line of one column; `column` differs where reading jumps."""

    text: str
    x0: float
    x1: float
    top: float
    bottom: float
    size: float
    bold: bool
    column: int


@dataclass(frozen=True)
class Table:
    """A ruled table with its box."""

    rows: list[list[str]]
    x0: float
    x1: float
    top: float
    bottom: float


@dataclass(frozen=True)
class Page:
    """A page's lines in reading order, and its tables."""

    number: int
    height: float
    lines: list[Line]
    tables: list[Table]
    has_images: bool
    turned: bool = False
    """Whether its text runs upwards or downwards."""

    def at_edge(self, line: Line) -> bool:
        """Whether a line stands where running headers and footers stand."""
        return line.bottom < _EDGE_SHARE * self.height or line.top > (1 - _EDGE_SHARE) * self.height

    def in_order(self) -> list[list[Line] | Table]:
        """Runs of lines with the tables between them: a table comes before the first line below it in its column."""
        parts: list[list[Line] | Table] = []
        waiting = sorted(self.tables, key=lambda table: (table.top, table.x0))
        for line in self.lines:
            due = [t for t in waiting if t.top < line.top and t.x0 < line.x1 and line.x0 < t.x1]
            waiting = [t for t in waiting if t not in due]
            parts += due
            if not parts or isinstance(parts[-1], Table):
                parts.append([])
            last = parts[-1]
            if isinstance(last, list):
                last.append(line)
        return [*parts, *waiting]


Segment = list[Word]


def lines_in_order(words: Sequence[Word], width: float) -> list[Line]:
    """Lines of a page of a width, in reading order."""
    lines: list[Line] = []
    for column, run in enumerate(_columns(_segments(words), 0.0, width)):
        lines += [_line(row, column) for row in _rows(run)]
    return lines


def _segments(words: Sequence[Word]) -> list[Segment]:
    """Words on one baseline without a gap wider than the size of their type."""
    segments: list[Segment] = []
    for row in _rows([[word] for word in words]):
        for word in row:
            last = segments[-1][-1] if segments else None
            near = last is not None and last in row and word.x0 - last.x1 <= max(_MIN_GUTTER, 0.9 * word.size)
            if near:
                segments[-1].append(word)
            else:
                segments.append([word])
    return segments


def _rows(segments: Sequence[Segment]) -> list[list[Word]]:
    """Segments that share a baseline, joined from left to right; rows from top to bottom.

    A smaller segment that mostly lies within a row (an index, an exponent) belongs to it.
    """
    rows: list[list[Word]] = []
    top = bottom = 0.0
    for segment in sorted(segments, key=lambda s: ((s[0].top + s[0].bottom) / 2, s[0].x0)):
        word = segment[0]
        shared = min(bottom, word.bottom) - max(top, word.top)
        if rows and shared > 0.5 * max(min(bottom - top, word.bottom - word.top), 0.1):
            rows[-1] += segment
            if word.bottom - word.top > bottom - top:
                top, bottom = word.top, word.bottom
        else:
            rows.append(list(segment))
            top, bottom = word.top, word.bottom
    return [sorted(row, key=lambda word: word.x0) for row in rows]


def _columns(segments: list[Segment], left: float, right: float, depth: int = 0) -> list[list[Segment]]:
    """Runs of segments to be read one after another."""
    gutter = _gutter(segments, left, right) if depth < 3 else None
    if gutter is None:
        return [segments] if segments else []
    runs: list[list[Segment]] = []
    band: list[Segment] = []
    for segment in sorted(segments, key=lambda s: s[0].top):
        if segment[0].x0 < gutter < segment[-1].x1:
            runs += _band(band, gutter, left, right, depth)
            if runs and _crosses(runs[-1], gutter):
                runs[-1].append(segment)
            else:
                runs.append([segment])
            band = []
        else:
            band.append(segment)
    return runs + _band(band, gutter, left, right, depth)


def _crosses(run: list[Segment], gutter: float) -> bool:
    return all(s[0].x0 < gutter < s[-1].x1 for s in run)


def _band(band: list[Segment], gutter: float, left: float, right: float, depth: int) -> list[list[Segment]]:
    before = [s for s in band if s[-1].x1 <= gutter]
    after = [s for s in band if s[-1].x1 > gutter]
    return _columns(before, left, gutter, depth + 1) + _columns(after, gutter, right, depth + 1)


def _gutter(segments: Sequence[Segment], left: float, right: float) -> float | None:
    """The x that divides the segments into two columns of prose, or None."""
    if len(segments) < 2 * _MIN_COLUMN_LINES:
        return None
    best: tuple[float, float] | None = None
    width = right - left
    for step in range(15, 86):
        x = left + width * step / 100
        score = _division(segments, x)
        if score is not None and (best is None or (score, abs(step - 50)) < best):
            best, place = (score, abs(step - 50)), x
    return place if best is not None else None


def _division(segments: Sequence[Segment], x: float) -> float | None:
    """Share of segments that cross x; None where x does not lie between two columns of prose."""
    before = [s for s in segments if s[-1].x1 <= x]
    after = [s for s in segments if s[0].x0 >= x]
    crossing = len(segments) - len(before) - len(after)
    if min(len(before), len(after)) < _MIN_COLUMN_LINES or crossing > _MAX_CROSSING * len(segments):
        return None
    if not (_is_prose(before) and _is_prose(after)):
        return None
    if not _side_by_side(before, after):
        return None
    return crossing / len(segments)


def _is_prose(side: Sequence[Segment]) -> bool:
    """Whether most words of a side stand in segments of several words; bullets and numbers may stand alone."""
    words = [len(segment) for segment in side]
    long = [n for n in words if n >= _MIN_SEGMENT_WORDS]
    return len(long) >= _MIN_COLUMN_LINES and sum(long) >= _PROSE_SHARE * sum(words)


def _side_by_side(before: Sequence[Segment], after: Sequence[Segment]) -> bool:
    """Whether the two sides share a fair part of their height."""
    top = max(min(s[0].top for s in side) for side in (before, after))
    bottom = min(max(s[0].bottom for s in side) for side in (before, after))
    heights = [max(s[0].bottom for s in side) - min(s[0].top for s in side) for side in (before, after)]
    return bottom - top > 0.4 * min(heights)


def _line(words: Sequence[Word], column: int) -> Line:
    """A line with the size and weight that most of its characters have."""
    letters: dict[tuple[float, bool], int] = {}
    for word in words:
        letters[word.size, word.bold] = letters.get((word.size, word.bold), 0) + len(word.text)
    size, bold = max(letters, key=lambda style: letters[style])
    return Line(
        text=" ".join(word.text for word in words),
        x0=words[0].x0,
        x1=words[-1].x1,
        top=min(word.top for word in words),
        bottom=max(word.bottom for word in words),
        size=size,
        bold=bold,
        column=column,
    )
