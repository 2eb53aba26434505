"""The door to pdfium: a PDF opened, its pages as sheets, its bookmarks, its pages drawn.

Invariant: a page that pdfium cannot read raises PageError and costs itself alone.
Limits: one thread (pdfium has no locks); drawings of many thousand paths give no lines; comments are not read.
"""

import contextlib
import math
from types import TracebackType
from typing import Any, Self

from pipelines.documents.parsers.pdfium_drawn import drawn_on
from pipelines.documents.parsers.pdfium_text import ASLANT, Calls, placed, words_of
from pipelines.documents.parsers.sheets import Sheet, frame_of
from pipelines.errors import DocumentError

_MAX_ANNOTATIONS = 500
_MAX_BOOKMARKS = 5000
_PICTURE_PIXELS = 6_000_000
"""Largest picture made of a page: A4 at 250 dots an inch."""


class PageError(DocumentError):
    """A page that pdfium cannot load or draw; the rest of the file may be well."""


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
        self._raw = raw
        self._calls = Calls(raw)
        self.pages = len(self._pdf)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._pdf.close()

    @property
    def title(self) -> str:
        """The title in the file's properties, "" for none."""
        with contextlib.suppress(UnicodeDecodeError):
            return str(self._pdf.get_metadata_value("Title"))
        return ""

    def outline(self) -> list[tuple[int, str, int | None]]:
        """Bookmarks in order: (level from 1, title, page from 1 or None)."""
        import pypdfium2

        found: list[tuple[int, str, int | None]] = []
        with contextlib.suppress(pypdfium2.PdfiumError, UnicodeDecodeError):
            for bookmark in self._pdf.get_toc(max_depth=6):
                target = bookmark.get_dest()
                index = target.get_index() if target is not None else None
                found.append((bookmark.level + 1, bookmark.get_title(), None if index is None else index + 1))
                if len(found) >= _MAX_BOOKMARKS:
                    break
        return found

    def read(self, number: int) -> Sheet:
        """A page by its number from 1. Raises PageError."""
        raw = self._raw
        page = self._loaded(number)
        if self._has_fields(page):
            flat = raw.FPDFPage_Flatten(page, raw.FLAT_NORMALDISPLAY) == raw.FLATTEN_SUCCESS
            if flat:  # what fields show is part of the page from its next load on
                raw.FPDF_ClosePage(page)
                page = self._loaded(number)
        try:
            return self._sheet(page, number)
        finally:
            raw.FPDF_ClosePage(page)

    def _sheet(self, page: Any, number: int) -> Sheet:
        raw = self._raw
        rect = raw.FS_RECTF()
        raw.FPDF_GetPageBoundingBox(page, rect)
        (left, right), (bottom, top) = sorted((rect.left, rect.right)), sorted((rect.bottom, rect.top))
        box = left, bottom, right, top
        text = raw.FPDFText_LoadPage(page)
        if not text:
            raise PageError(f"the text of page {number} is damaged")
        try:
            found = words_of(text, box, self._calls)
        finally:
            raw.FPDFText_ClosePage(text)
        aslant = [word[0] for word in found.by_quarter.pop(ASLANT, [])]
        main = max(found.by_quarter, key=lambda q: (sum(len(w[0]) for w in found.by_quarter[q]), -q), default=0)
        frame = frame_of(box, main)
        drawn = drawn_on(page, box, frame, raw)
        width, height = right - left, top - bottom
        return Sheet(
            number,
            *((width, height) if main % 2 == 0 else (height, width)),
            words=placed(found.by_quarter.pop(main, []), frame),
            turned=[placed(words, frame_of(box, quarter)) for quarter, words in sorted(found.by_quarter.items())],
            aslant=aslant,
            across=drawn.across,
            down=drawn.down,
            picture_share=min(1.0, drawn.pictures / max(width * height, 1.0)),
            unreadable=found.unreadable,
        )

    def _loaded(self, number: int) -> Any:
        page = self._raw.FPDF_LoadPage(self._pdf.raw, number - 1)
        if not page:
            raise PageError(f"page {number} is damaged")
        return page

    def _has_fields(self, page: Any) -> bool:
        """Whether a page has fields, stamps or text put over it: pdfium reads what lies in the page alone."""
        raw = self._raw
        shown = (raw.FPDF_ANNOT_WIDGET, raw.FPDF_ANNOT_FREETEXT, raw.FPDF_ANNOT_STAMP)
        for index in range(min(raw.FPDFPage_GetAnnotCount(page), _MAX_ANNOTATIONS)):
            annotation = raw.FPDFPage_GetAnnot(page, index)
            if annotation:
                kind = raw.FPDFAnnot_GetSubtype(annotation)
                raw.FPDFPage_CloseAnnot(annotation)
                if kind in shown:
                    return True
        return False

    def render(self, number: int, *, dots_per_inch: int) -> tuple[bytes, int]:
        """A page as a picture in shades of grey (PGM), and its dots per inch: fewer where the page is large.

        Raises PageError.
        """
        import pypdfium2

        try:
            page = self._pdf[number - 1]
            width, height = page.get_size()
            dots = min(float(dots_per_inch), 72 * math.sqrt(_PICTURE_PIXELS / max(width * height, 1.0)))
            bitmap = page.render(scale=dots / 72, grayscale=True, may_draw_forms=False)
        except pypdfium2.PdfiumError as exc:
            raise PageError(f"page {number} cannot be drawn: {exc}") from exc
        pixels, wide, step = bytes(bitmap.buffer), bitmap.width, bitmap.stride
        rows = [pixels[at : at + wide] for at in range(0, bitmap.height * step, step)]
        picture = b"P5 %d %d 255\n" % (wide, bitmap.height) + b"".join(rows)
        bitmap.close()
        page.close()
        return picture, round(dots)
