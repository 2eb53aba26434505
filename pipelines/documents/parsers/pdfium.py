"""The door to pdfium: a PDF's pages as words with boxes, ruled lines and pictures.

Text comes in one call a page; a word then costs three (box of its first and last character, its text object),
an object's font and size one set more: some 2 ms for a dense page. Everything is given in the frame in which
most of the page's text stands upright, so turned pages need no care further on. Lengths are PDF points
(1/72 inch), `y` and `base` grow downwards.
Invariant: a page that pdfium cannot read raises PageError and costs itself alone.
Limits: one thread (pdfium has no locks); drawings of many thousand paths give no lines.
"""

import contextlib
import ctypes
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple, Self

from pipelines.documents.parsers.glyphs import cleaned, symbol
from pipelines.errors import DocumentError

_MAX_OBJECTS = 20_000
"""Objects of a page that are looked at for lines and pictures; further ones belong to a drawing."""
_MAX_SEGMENTS = 8_000
"""A page with more line segments is a drawing: no table is looked for in it."""
_MAX_NESTING = 6
_MAX_ANNOTATIONS = 500
_THIN = 3.0
"""A filled shape of up to this height or width is a line."""
_TOKEN = re.compile("[^\\s\ufffe]+\ufffe?")
"""A word in pdfium's text; U+FFFE stands for a hyphen at the end of a line."""
_LEADERS = re.compile(r"(?:\.[ \u00a0]?){5,}")
"""Dots that lead from an entry of a table of contents to its page."""
_MARK = re.compile(r"[\d,]{1,5}|[a-z∗*†‡§¶#]{1,2}")
_MARKED = re.compile(r"[A-Za-zÀ-ÿ]{3}[.,;:!?)\]”’\"]*$|[.,;:!?)\]”’\"]$")
"""What the mark of a footnote may follow: not `m` or `10`, whose raised figures are exponents."""
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_BOLD = re.compile(r"bold|black|heavy|demi|-medi\b|bd\b|cmb|bx\d", re.I)
_ITALIC = re.compile(r"ital|obliq|-it\b|cmti|cmsl|slanted", re.I)
_MONO = re.compile(r"courier|mono|consol|typewriter|cmtt|sftt|menlo|lettergothic|fixed", re.I)
_DINGBATS = re.compile(r"dingbat|wingding|webding", re.I)
_FIXED_PITCH, _IS_ITALIC, _FORCE_BOLD = 1, 1 << 6, 1 << 18
"""Flags of a font's descriptor (ISO 32000-1, table 123)."""
_RENDER_PIXELS = 6_000_000
"""Largest picture made of a page: A4 at 250 dots an inch."""


class PageError(DocumentError):
    """A page that pdfium cannot load; the rest of the file may be well."""


class Face(NamedTuple):
    """How a font looks, as far as it tells headings and code from prose."""

    bold: bool = False
    italic: bool = False
    mono: bool = False


class Word(NamedTuple):
    """A word with its box, the baseline it stands on, and its font."""

    text: str
    x0: float
    x1: float
    base: float
    size: float
    face: Face
    spaced: bool
    """Whether a space stands before it in the file's own order, and not an end of line or nothing."""


class Rule(NamedTuple):
    """A horizontal or vertical line: its place on the other axis, and from where to where it runs."""

    at: float
    start: float
    end: float


@dataclass(frozen=True)
class Sheet:
    """A page as pdfium sees it, in the frame of its upright text."""

    number: int
    width: float
    height: float
    words: list[Word]
    """In the file's own order."""
    turned: list[list[Word]] = field(default_factory=list)
    """Words that run in other directions, each direction in a frame of its own, box in this one."""
    across: list[Rule] = field(default_factory=list)
    down: list[Rule] = field(default_factory=list)
    picture_share: float = 0.0
    """Share of the page that pictures cover."""
    unreadable: float = 0.0
    """Share of characters that their font maps to nothing."""


class Style(NamedTuple):
    """What a text object says about its characters."""

    size: float
    face: Face
    dingbats: bool
    base: tuple[float, float]
    quarter: int
    """Where its text runs: 0 to the right, 1 up, 2 to the left, 3 down; -1 aslant."""


class File:
    """An open PDF; use it as a context manager. Raises DocumentError when it is damaged or protected."""

    def __init__(self, data: bytes) -> None:
        import pypdfium2
        import pypdfium2.raw as raw

        try:
            self._pdf = pypdfium2.PdfDocument(data)
        except pypdfium2.PdfiumError as exc:
            if exc.err_code == raw.FPDF_ERR_PASSWORD:
                raise DocumentError("protected by a password") from exc
            raise DocumentError(f"damaged PDF: {str(exc).rstrip('.')}") from exc
        self._fonts: dict[int, tuple[Face, bool]] = {}
        self._fast = _Fast(raw)
        self.pages = len(self._pdf)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._pdf.close()

    @property
    def title(self) -> str:
        """The title in the file's properties, "" for none."""
        return str(self._pdf.get_metadata_value("Title"))

    def outline(self, *, at_most: int = 5000) -> list[tuple[int, str, int | None]]:
        """Bookmarks in order: (level from 1, title, page from 1 or None)."""
        import pypdfium2

        found: list[tuple[int, str, int | None]] = []
        with contextlib.suppress(pypdfium2.PdfiumError):
            for bookmark in self._pdf.get_toc(max_depth=6):
                target = bookmark.get_dest()
                index = target.get_index() if target is not None else None
                found.append((bookmark.level + 1, bookmark.get_title(), None if index is None else index + 1))
                if len(found) >= at_most:
                    break
        return found

    def read(self, number: int) -> Sheet:
        """A page by its number from 1. Raises PageError."""
        import pypdfium2.raw as raw

        page = self._loaded(number)
        try:
            if _has_fields(page) and raw.FPDFPage_Flatten(page, raw.FLAT_NORMALDISPLAY) == raw.FLATTEN_SUCCESS:
                raw.FPDF_ClosePage(page)  # what fields show is part of the page from its next load on
                page = self._loaded(number)
            return _Reader(page, number, self._fonts, self._fast).sheet()
        finally:
            raw.FPDF_ClosePage(page)

    def _loaded(self, number: int) -> Any:
        import pypdfium2.raw as raw

        page = raw.FPDF_LoadPage(self._pdf.raw, number - 1)
        if not page:
            raise PageError(f"page {number} is damaged")
        return page

    def render(self, number: int, *, dots_per_inch: int) -> tuple[bytes, int]:
        """A page as a picture in shades of grey (PGM), and its dots per inch: fewer where the page is large.

        Raises PageError.
        """
        import pypdfium2

        try:
            page = self._pdf[number - 1]
            width, height = page.get_size()
            dots = min(float(dots_per_inch), 72 * math.sqrt(_RENDER_PIXELS / max(width * height, 1.0)))
            bitmap = page.render(scale=dots / 72, grayscale=True, may_draw_forms=False)
            pixels = bytes(bitmap.buffer)
            rows = (pixels[at : at + bitmap.width] for at in range(0, bitmap.height * bitmap.stride, bitmap.stride))
            picture = b"P5 %d %d 255\n" % (bitmap.width, bitmap.height) + b"".join(rows)
            bitmap.close()
            page.close()
        except pypdfium2.PdfiumError as exc:
            raise PageError(f"page {number} cannot be drawn: {exc}") from exc
        return picture, round(dots)


class _Fast:
    """The two calls that every word costs, without the checks of their arguments: half of a page's time."""

    def __init__(self, raw: Any) -> None:
        self.text_object = _plain(raw.FPDFText_GetTextObject, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)
        self.loose_box = _plain(
            raw.FPDFText_GetLooseCharBox, ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p
        )


def _plain(function: Any, result: Any, *arguments: Any) -> Any:
    return ctypes.CFUNCTYPE(result, *arguments)(_address(function))


def _address(pointer: Any) -> int:
    return ctypes.cast(pointer, ctypes.c_void_p).value or 0


class _Reader:
    """Reads one loaded page."""

    def __init__(self, page: Any, number: int, fonts: dict[int, tuple[Face, bool]], fast: _Fast) -> None:
        import pypdfium2.raw as raw

        self._raw = raw
        self._fast = fast
        self._page = page
        self._number = number
        self._fonts = fonts
        box = raw.FS_RECTF()
        raw.FPDF_GetPageBoundingBox(page, box)
        self._left, self._right = sorted((box.left, box.right))
        self._bottom, self._top = sorted((box.bottom, box.top))
        self._rect = raw.FS_RECTF()

    def sheet(self) -> Sheet:
        """The page in the frame of most of its text."""
        text = self._raw.FPDFText_LoadPage(self._page)
        if not text:
            raise PageError(f"the text of page {self._number} is damaged")
        try:
            by_quarter, unreadable = self._words(text)
        finally:
            self._raw.FPDFText_ClosePage(text)
        main = max(by_quarter, key=lambda q: (sum(len(w[0]) for w in by_quarter[q]), -q), default=0) % 4
        frame = self._frame(main)
        across, down, pictures = self._drawn(frame)
        width, height = self._right - self._left, self._top - self._bottom
        area = max(width * height, 1.0)
        return Sheet(
            self._number,
            *((width, height) if main % 2 == 0 else (height, width)),
            words=_placed(by_quarter.pop(main, []), frame),
            turned=[_placed(found, self._frame(quarter % 4)) for quarter, found in sorted(by_quarter.items())],
            across=across,
            down=down,
            picture_share=min(1.0, pictures / area),
            unreadable=unreadable,
        )

    def _frame(self, quarter: int) -> "_Frame":
        """How points of the page become points of a frame where text that runs in that direction is upright."""
        if quarter == 0:
            return _Frame(1, 0, -self._left, 0, -1, self._top)
        if quarter == 1:
            return _Frame(0, 1, -self._bottom, 1, 0, -self._left)
        if quarter == 2:
            return _Frame(-1, 0, self._right, 0, 1, -self._bottom)
        return _Frame(0, -1, self._top, -1, 0, self._right)

    # --- words ---------------------------------------------------------------------------------

    def _words(self, page: Any) -> tuple[dict[int, list["_Found"]], float]:
        """Words in the file's order by the direction they run in, and the share of unreadable characters."""
        text = _LEADERS.sub(lambda dots: " " * len(dots.group()), self._text(page))
        mirrored = bool(_RIGHT_TO_LEFT.search(text))
        by_quarter: dict[int, list[_Found]] = {}
        unreadable = letters = 0
        box_of = self._boxes(page)
        shown_left, shown_bottom, shown_right, shown_top = self._left, self._bottom, self._right, self._top
        for start, end, spaced, style in self._tokens(page, text):
            raw_word = text[start:end]
            word = symbol(raw_word) if style.dingbats else cleaned(raw_word)
            letters += end - start
            if len(word) < end - start and not style.dingbats:
                unreadable += end - start - len(word)
            if not word:
                continue
            left, bottom, right, top = box = box_of(start, end)
            if left > shown_right or right < shown_left or bottom > shown_top or top < shown_bottom:
                continue
            if mirrored and _RIGHT_TO_LEFT.search(word):
                word = self._logical(page, start, end, word)
            by_quarter.setdefault(style.quarter, []).append((word, box, style, spaced))
        return by_quarter, unreadable / letters if letters else 0.0

    def _tokens(self, page: Any, text: str) -> Iterator[tuple[int, int, bool, Style]]:
        """Words as (start, end, whether a space stands before, style); marks of footnotes are words of their own."""
        styles: dict[int | None, Style] = {}
        text_object, address = self._fast.text_object, _address(page)

        def style_at(index: int) -> Style:
            owner = text_object(address, index)
            style = styles.get(owner)
            if style is None:
                style = styles[owner] = self._style(page, index)
            return style

        done = 0
        for match in _TOKEN.finditer(text):
            start, end = match.span()
            spaced = " " in text[done:start]
            done = end
            style = style_at(start)
            last = style_at(end - 1) if end - start > 1 else style
            if last.size == style.size or style.quarter:
                yield start, end, spaced, style
                continue
            cut = start + 1
            while cut < end - 1 and style_at(cut).size == style.size:
                cut += 1
            yield start, cut, spaced, style
            yield cut, end, _is_mark(text[start:cut], text[cut:end], style, last), last

    def _boxes(self, page: Any) -> Callable[[int, int], tuple[float, float, float, float]]:
        """Left, bottom, right and top of a word by its first character and the one after its last."""
        both = (ctypes.c_float * 8)()
        first, last = ctypes.addressof(both), ctypes.addressof(both) + 16
        loose_box, address = self._fast.loose_box, _address(page)

        def box(start: int, end: int) -> tuple[float, float, float, float]:
            loose_box(address, start, first)
            loose_box(address, end - 1, last)
            left, top, right, bottom, left2, top2, right2, bottom2 = both[:]
            return (
                left if left < left2 else left2,
                bottom if bottom < bottom2 else bottom2,
                right if right > right2 else right2,
                top if top > top2 else top2,
            )

        return box

    def _text(self, page: Any) -> str:
        """The page's text, one character for each of pdfium's."""
        count = self._raw.FPDFText_CountChars(page)
        if count <= 0:
            return ""
        buffer = (ctypes.c_ushort * (count + 1))()
        written = self._raw.FPDFText_GetText(page, 0, count, buffer)
        text = bytes(buffer)[: 2 * max(written - 1, 0)].decode("utf-16-le", "replace")
        if len(text) == count:
            return text
        unicode_of = self._raw.FPDFText_GetUnicode  # characters that GetText leaves out or writes as two
        return "".join(chr(code) if (code := unicode_of(page, i)) < 0x110000 else " " for i in range(count))

    def _style(self, page: Any, index: int) -> Style:
        owner = self._raw.FPDFText_GetTextObject(page, index)
        matrix = self._raw.FS_MATRIX()
        self._raw.FPDFText_GetMatrix(page, index, matrix)
        scale = math.hypot(matrix.c, matrix.d) or 1.0
        size = self._raw.FPDFText_GetFontSize(page, index) * scale
        self._raw.FPDFText_GetLooseCharBox(page, index, self._rect)
        quarter = _quarter(matrix.a, matrix.b)
        rect = self._rect
        tall = rect.top - rect.bottom if quarter % 2 == 0 else rect.right - rect.left
        if tall > 0 and not 0.4 * tall < size < 2.5 * tall and quarter >= 0:
            size = tall / 1.15  # fonts drawn by programs of their own have units of their own
        face, dingbats = self._font(owner) if owner else (Face(), False)
        return Style(max(round(2 * size) / 2, 0.5), face, dingbats, (matrix.e, matrix.f), quarter)

    def _font(self, owner: Any) -> tuple[Face, bool]:
        """How a text object's font looks, and whether it is one of symbols."""
        raw = self._raw
        font = raw.FPDFTextObj_GetFont(owner)
        if not font:
            return Face(), False
        key = _address(font)
        known = self._fonts.get(key)
        if known is None:
            buffer = ctypes.create_string_buffer(128)
            raw.FPDFFont_GetBaseFontName(font, buffer, 128)
            name = buffer.value.decode("utf-8", "replace")
            flags = raw.FPDFFont_GetFlags(font)
            face = Face(
                bold=bool(_BOLD.search(name)) or raw.FPDFFont_GetWeight(font) >= 600 or bool(flags & _FORCE_BOLD),
                italic=bool(_ITALIC.search(name) or flags & _IS_ITALIC),
                mono=bool(_MONO.search(name) or flags & _FIXED_PITCH),
            )
            known = self._fonts[key] = face, bool(_DINGBATS.search(name))
        return known

    def _logical(self, page: Any, start: int, end: int, word: str) -> str:
        """A word of a script that runs to the left, with ligatures in the order in which they are read.

        pdfium takes the ligature of lam and alef apart and then turns the run, which swaps the two: they are
        the characters of one box that come in the wrong order.
        """
        if "\u0644" not in word or len(word) != end - start:
            return word
        letters = list(word)
        place = -1.0
        for at in range(start, end):
            self._raw.FPDFText_GetLooseCharBox(page, at, ctypes.byref(self._rect))
            here = at - start
            same = abs(self._rect.left - place) < 0.01
            if same and letters[here] == "\u0644" and letters[here - 1] in "\u0622\u0623\u0625\u0627":
                letters[here - 1], letters[here] = letters[here], letters[here - 1]
            place = self._rect.left
        return "".join(letters)

    # --- what is drawn -------------------------------------------------------------------------

    def _drawn(self, frame: "_Frame") -> tuple[list[Rule], list[Rule], float]:
        """Horizontal and vertical lines in a frame, and the area of pictures."""
        lines: list[tuple[float, float, float, float]] = []
        pictures = 0.0
        segments = _MAX_SEGMENTS
        for thing, kind, matrix in self._objects(self._page, None, _MAX_NESTING, [_MAX_OBJECTS]):
            if kind == self._raw.FPDF_PAGEOBJ_IMAGE:
                x0, y0, x1, y1 = self._clipped(self._bounds(thing, matrix))
                pictures += max(0.0, x1 - x0) * max(0.0, y1 - y0)
            elif kind == self._raw.FPDF_PAGEOBJ_PATH and segments > 0:
                segments -= self._lines_of(thing, matrix, lines)
        if segments <= 0:
            return [], [], pictures
        across: list[Rule] = []
        down: list[Rule] = []
        for line in lines:
            x0, y0, x1, y1 = frame.box(*line)
            if y1 - y0 < x1 - x0:
                across.append(Rule((y0 + y1) / 2, x0, x1))
            else:
                down.append(Rule((x0 + x1) / 2, y0, y1))
        return across, down, pictures

    def _objects(self, holder: Any, matrix: Any, depth: int, left: list[int]) -> Iterator[tuple[Any, int, Any]]:
        """Paths and pictures of the page and of the forms in it; `left`: how many more objects are looked at."""
        raw = self._raw
        if matrix is None:
            count, get = raw.FPDFPage_CountObjects, raw.FPDFPage_GetObject
        else:
            count, get = raw.FPDFFormObj_CountObjects, raw.FPDFFormObj_GetObject
        for index in range(max(0, count(holder))):
            left[0] -= 1
            if left[0] < 0:
                return
            thing = get(holder, index)
            kind = raw.FPDFPageObj_GetType(thing)
            if kind in (raw.FPDF_PAGEOBJ_PATH, raw.FPDF_PAGEOBJ_IMAGE):
                yield thing, kind, matrix
            elif kind == raw.FPDF_PAGEOBJ_FORM and depth:
                own = raw.FS_MATRIX()
                raw.FPDFPageObj_GetMatrix(thing, own)
                yield from self._objects(thing, _after(own, matrix), depth - 1, left)

    def _bounds(self, thing: Any, matrix: Any) -> tuple[float, float, float, float]:
        left, bottom, right, top = (ctypes.c_float() for _ in range(4))
        self._raw.FPDFPageObj_GetBounds(thing, left, bottom, right, top)
        corners = (left.value, bottom.value, right.value, top.value)
        return corners if matrix is None else _mapped(corners, matrix)

    def _clipped(self, box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        x0, y0, x1, y1 = box
        return max(x0, self._left), max(y0, self._bottom), min(x1, self._right), min(y1, self._top)

    def _lines_of(self, path: Any, matrix: Any, lines: list[tuple[float, float, float, float]]) -> int:
        """Add the straight lines of a path that run along the page's edges; how many segments were looked at."""
        x0, y0, x1, y1 = self._clipped(self._bounds(path, matrix))
        if max(x1 - x0, y1 - y0) < _THIN or x1 < x0 or y1 < y0 or not self._visible(path):
            return 1
        if min(x1 - x0, y1 - y0) <= _THIN:
            lines.append((x0, y0, x1, y1))
            return 1
        raw = self._raw
        count = raw.FPDFPath_CountSegments(path)
        x, y = ctypes.c_float(), ctypes.c_float()
        own = raw.FS_MATRIX()
        raw.FPDFPageObj_GetMatrix(path, own)
        whole = _after(own, matrix)
        start = last = (0.0, 0.0)
        for index in range(min(count, _MAX_SEGMENTS)):
            segment = raw.FPDFPath_GetPathSegment(path, index)
            raw.FPDFPathSegment_GetPoint(segment, x, y)
            point = _moved(x.value, y.value, whole)
            kind = raw.FPDFPathSegment_GetType(segment)
            if kind == raw.FPDF_SEGMENT_MOVETO:
                start = point
            elif kind == raw.FPDF_SEGMENT_LINETO:
                _add_line(last, point, lines)
                if raw.FPDFPathSegment_GetClose(segment):
                    _add_line(point, start, lines)
            last = point
        return int(count)

    def _visible(self, path: Any) -> bool:
        """Whether a path is stroked, or filled with something that is not white."""
        raw = self._raw
        fill, stroke = ctypes.c_int(), ctypes.c_int()
        if not raw.FPDFPath_GetDrawMode(path, fill, stroke):
            return False
        if stroke.value:
            return True
        if not fill.value:
            return False
        red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
        raw.FPDFPageObj_GetFillColor(path, red, green, blue, alpha)
        return min(red.value, green.value, blue.value) < 250


_Found = tuple[str, tuple[float, float, float, float], Style, bool]
"""A word, its box on the page (left, bottom, right, top), its style, whether a space stands before it."""


class _Frame(NamedTuple):
    """An affine map: x' = a x + b y + c, y' = d x + e y + f."""

    a: int
    b: int
    c: float
    d: int
    e: int
    f: float

    def box(self, left: float, bottom: float, right: float, top: float) -> tuple[float, float, float, float]:
        """A box of the page in this frame: x0, y0, x1, y1."""
        if self.a == 1:
            return left + self.c, self.f - top, right + self.c, self.f - bottom
        ax, ay = self.a * left + self.b * bottom + self.c, self.d * left + self.e * bottom + self.f
        bx, by = self.a * right + self.b * top + self.c, self.d * right + self.e * top + self.f
        return min(ax, bx), min(ay, by), max(ax, bx), max(ay, by)


def _is_mark(first: str, second: str, before: Style, after: Style) -> bool:
    """Whether the raised one of two parts is the mark of a footnote, which is no part of the word."""
    raised = after.base[1] - before.base[1]
    if before.size > after.size:
        return raised > 0.15 * before.size and bool(_MARK.fullmatch(second) and _MARKED.search(first))
    return raised < -0.15 * after.size and bool(_MARK.fullmatch(first)) and second[:1].isalpha()


def _placed(words: Sequence[_Found], frame: _Frame) -> list[Word]:
    """Words in a frame; a text object that moves within itself, or stands aslant, has no baseline."""
    placed = []
    for word, box, style, spaced in words:
        x0, y0, x1, y1 = frame.box(*box)
        base = frame.d * style.base[0] + frame.e * style.base[1] + frame.f
        if not y0 - 1 <= base <= y1 + 1:
            base = y1 - 0.2 * (y1 - y0)
        placed.append(Word(word, x0, x1, base, style.size, style.face, spaced))
    return placed


def _has_fields(page: Any) -> bool:
    """Whether a page has fields, stamps or text that were added to it: pdfium reads what lies in the page alone."""
    import pypdfium2.raw as raw

    shown = (raw.FPDF_ANNOT_WIDGET, raw.FPDF_ANNOT_FREETEXT, raw.FPDF_ANNOT_STAMP)
    for index in range(min(raw.FPDFPage_GetAnnotCount(page), _MAX_ANNOTATIONS)):
        annotation = raw.FPDFPage_GetAnnot(page, index)
        if annotation:
            kind = raw.FPDFAnnot_GetSubtype(annotation)
            raw.FPDFPage_CloseAnnot(annotation)
            if kind in shown:
                return True
    return False


def _quarter(a: float, b: float) -> int:
    if abs(b) <= 0.2 * abs(a):
        return 0 if a >= 0 else 2
    if abs(a) <= 0.2 * abs(b):
        return 1 if b > 0 else 3
    return -1


def _after(own: Any, outer: Any) -> Any:
    """The matrix that does `own` and then `outer`."""
    if outer is None:
        return own
    return type(own)(
        own.a * outer.a + own.b * outer.c,
        own.a * outer.b + own.b * outer.d,
        own.c * outer.a + own.d * outer.c,
        own.c * outer.b + own.d * outer.d,
        own.e * outer.a + own.f * outer.c + outer.e,
        own.e * outer.b + own.f * outer.d + outer.f,
    )


def _moved(x: float, y: float, m: Any) -> tuple[float, float]:
    return m.a * x + m.c * y + m.e, m.b * x + m.d * y + m.f


def _mapped(box: tuple[float, float, float, float], m: Any) -> tuple[float, float, float, float]:
    corners = [_moved(x, y, m) for x in (box[0], box[2]) for y in (box[1], box[3])]
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return min(xs), min(ys), max(xs), max(ys)


def _add_line(
    start: tuple[float, float], end: tuple[float, float], lines: list[tuple[float, float, float, float]]
) -> None:
    wide, high = abs(end[0] - start[0]), abs(end[1] - start[1])
    if min(wide, high) < 1.0 and max(wide, high) > _THIN:
        lines.append((min(start[0], end[0]), min(start[1], end[1]), max(start[0], end[0]), max(start[1], end[1])))
