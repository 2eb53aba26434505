"""The straight lines and the pictures on a page that pdfium has loaded.

A line is what is drawn along the page's edges: a stroke, a thin filled shape, a side of a rectangle. What is
filled with white is not seen and does not count.
"""

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pipelines.documents.parsers.sheets import Box, Frame, Rule

_MAX_OBJECTS = 20_000
"""Objects of a page that are looked at; further ones belong to a drawing."""
_MAX_SEGMENTS = 8_000
"""A page with more segments of paths is a drawing: none of its lines is taken for a table's."""
_MAX_NESTING = 6
_THIN = 3.0
"""A shape of up to this height or width is a line."""
_STRAIGHT = 1.0
_WHITE = 250


@dataclass(frozen=True)
class Drawn:
    """Horizontal and vertical lines in the frame of the page's text, and the area of pictures."""

    across: list[Rule]
    down: list[Rule]
    pictures: float


def drawn_on(page: Any, box: Box, frame: Frame, raw: Any) -> Drawn:
    """What is drawn on a page, inside its box."""
    return _Reader(box, raw).drawn(page, frame)


class _Reader:
    """Reads one page."""

    def __init__(self, box: Box, raw: Any) -> None:
        self._box = box
        self._raw = raw
        self._lines: list[Box] = []
        self._objects_left = _MAX_OBJECTS
        self._numbers = [ctypes.c_float() for _ in range(4)]

    def drawn(self, page: Any, frame: Frame) -> Drawn:
        pictures = 0.0
        segments = _MAX_SEGMENTS
        for thing, kind, matrix in self._objects(page, None, _MAX_NESTING):
            if kind == self._raw.FPDF_PAGEOBJ_IMAGE:
                left, bottom, right, top = self._bounds(thing, matrix)
                pictures += max(0.0, right - left) * max(0.0, top - bottom)
            elif segments > 0:
                segments -= self._read_path(thing, matrix)
        across: list[Rule] = []
        down: list[Rule] = []
        for line in self._lines if segments > 0 else ():
            x0, y0, x1, y1 = frame.box(*line)
            if y1 - y0 < x1 - x0:
                across.append(Rule((y0 + y1) / 2, x0, x1))
            else:
                down.append(Rule((x0 + x1) / 2, y0, y1))
        return Drawn(across, down, pictures)

    def _objects(self, holder: Any, matrix: Any, depth: int) -> Iterator[tuple[Any, int, Any]]:
        """Paths and pictures of a page and of the forms in it, each with the matrix of its form."""
        raw = self._raw
        if matrix is None:
            count, get = raw.FPDFPage_CountObjects, raw.FPDFPage_GetObject
        else:
            count, get = raw.FPDFFormObj_CountObjects, raw.FPDFFormObj_GetObject
        for index in range(max(0, count(holder))):
            self._objects_left -= 1
            if self._objects_left < 0:
                return
            thing = get(holder, index)
            kind = raw.FPDFPageObj_GetType(thing)
            if kind in (raw.FPDF_PAGEOBJ_PATH, raw.FPDF_PAGEOBJ_IMAGE):
                yield thing, kind, matrix
            elif kind == raw.FPDF_PAGEOBJ_FORM and depth:
                yield from self._objects(thing, self._matrix(thing, matrix), depth - 1)

    def _matrix(self, thing: Any, outer: Any) -> Any:
        """A thing's own matrix, and then that of the form it stands in."""
        own = self._raw.FS_MATRIX()
        self._raw.FPDFPageObj_GetMatrix(thing, own)
        if outer is None:
            return own
        return self._raw.FS_MATRIX(
            own.a * outer.a + own.b * outer.c,
            own.a * outer.b + own.b * outer.d,
            own.c * outer.a + own.d * outer.c,
            own.c * outer.b + own.d * outer.d,
            own.e * outer.a + own.f * outer.c + outer.e,
            own.e * outer.b + own.f * outer.d + outer.f,
        )

    def _bounds(self, thing: Any, matrix: Any) -> Box:
        """A thing's box inside that of the page; with its right end left of its left one when it lies outside."""
        self._raw.FPDFPageObj_GetBounds(thing, *self._numbers)
        left, bottom, right, top = (number.value for number in self._numbers)
        if matrix is not None:
            corners = [_moved(x, y, matrix) for x in (left, right) for y in (bottom, top)]
            (left, right), (bottom, top) = ((min(at), max(at)) for at in zip(*corners, strict=True))
        page = self._box
        return max(left, page[0]), max(bottom, page[1]), min(right, page[2]), min(top, page[3])

    def _read_path(self, path: Any, matrix: Any) -> int:
        """Keep the straight lines of a path; how many segments were looked at."""
        box = left, bottom, right, top = self._bounds(path, matrix)
        wide, high = right - left, top - bottom
        if wide < 0 or high < 0 or max(wide, high) < _THIN or not self._is_seen(path):
            return 1
        if min(wide, high) <= _THIN:
            self._lines.append(box)
            return 1
        raw = self._raw
        x, y = self._numbers[:2]
        whole = self._matrix(path, matrix)
        count = int(raw.FPDFPath_CountSegments(path))
        start = last = (0.0, 0.0)
        for index in range(min(count, _MAX_SEGMENTS)):
            segment = raw.FPDFPath_GetPathSegment(path, index)
            raw.FPDFPathSegment_GetPoint(segment, x, y)
            point = _moved(x.value, y.value, whole)
            kind = raw.FPDFPathSegment_GetType(segment)
            if kind == raw.FPDF_SEGMENT_MOVETO:
                start = point
            elif kind == raw.FPDF_SEGMENT_LINETO:
                self._keep(last, point)
                if raw.FPDFPathSegment_GetClose(segment):
                    self._keep(point, start)
            last = point
        return count

    def _keep(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        (left, right), (bottom, top) = (sorted(pair) for pair in zip(start, end, strict=True))
        if min(right - left, top - bottom) < _STRAIGHT and max(right - left, top - bottom) > _THIN:
            self._lines.append((left, bottom, right, top))

    def _is_seen(self, path: Any) -> bool:
        """Whether a path is stroked, or filled with something that is not white."""
        raw = self._raw
        fill, stroke = ctypes.c_int(), ctypes.c_int()
        if not raw.FPDFPath_GetDrawMode(path, fill, stroke):
            return False
        if stroke.value or not fill.value:
            return bool(stroke.value)
        red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
        raw.FPDFPageObj_GetFillColor(path, red, green, blue, alpha)
        return min(red.value, green.value, blue.value) < _WHITE


def _moved(x: float, y: float, m: Any) -> tuple[float, float]:
    return m.a * x + m.c * y + m.e, m.b * x + m.d * y + m.f
