"""PDF -> text in reading order, page by page: columns one after another, tables as Markdown, headings by style.

pdfium.py reads words and lines, pages.py orders them, typography.py tells headings and running headers, flow.py
writes. A page without text is read by tesseract where it is installed and shows a picture; else it becomes a
note. A page that is damaged costs itself alone; a PDF without any text is refused.
Not covered: handwriting, formulas as formulas, tables inside pictures.
"""

import re
from collections.abc import Iterator, Sequence

from pipelines.documents.parsers.draft import Draft, Parsed, one_line, readable_name
from pipelines.documents.parsers.flow import Writer
from pipelines.documents.parsers.ocr import Ocr, OcrError, Reading, available, read_words
from pipelines.documents.parsers.pages import Page, arranged
from pipelines.documents.parsers.pdfium import File, PageError
from pipelines.documents.parsers.sheets import Face, Sheet, Word
from pipelines.documents.parsers.typography import body_size, drop_margins, typography_of
from pipelines.errors import DocumentError

_PICTURE_SHARE = 0.5
"""A page with next to no text is a scan when pictures cover this share of it."""
_FEW_LETTERS = 60
_UNREADABLE = 0.5
_DOTS_PER_INCH = 250
_MAX_MARGIN_NOTES = 20
_NO_TITLE = re.compile(r"untitled|^microsoft |^document\d*$|\.(?:docx?|pdf|indd|tex|dvi|pptx?|xlsx?)\b", re.I)


def parse(data: bytes, name: str, ocr: Ocr | None = None) -> Parsed:
    """The document; `page` is 1-based. Raises DocumentError for a damaged, protected or textless file."""
    with File(data) as file:
        if not file.pages:
            raise DocumentError("damaged PDF: it holds no page")
        read = _Scans(file, ocr or Ocr(pages_at_most=0))
        pages = [read.page(number) for number in range(1, file.pages + 1)]
        if not any(page.parts for page in pages):
            raise DocumentError(_why_no_text(pages, read))
        bookmarks, title = file.outline(), one_line(file.title)
    body = body_size(line for page in pages for line in page.lines)
    margins = drop_margins(pages, body)
    draft = Draft()
    writer = Writer(draft, typography_of(pages, bookmarks))
    for page in pages:
        if page.parts:
            writer.page(page)
        if page.number in read.notes:
            writer.note(f"[Page {page.number} {read.notes[page.number]}]", page.number)
    for text in margins[:_MAX_MARGIN_NOTES]:
        writer.note(text)
    writer.close()
    return draft.finish(_title(title, pages) or draft.first_heading or readable_name(name))


def _title(title: str, pages: Sequence[Page]) -> str | None:
    """The title in the file's properties, where the first page shows it: they often name a template or a program."""
    if len(title) < 4 or _NO_TITLE.search(title):
        return None
    first = next((page for page in pages if page.parts), None)
    shown = " ".join(line.text for line in first.lines) if first is not None else ""
    return title if _letters(title) in _letters(shown) else None


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())


# --- pages that are pictures -------------------------------------------------------------------


class _Scans:
    """Reads pages, those that are scans by tesseract; `notes`: what is to be said of a page."""

    def __init__(self, file: File, ocr: Ocr) -> None:
        self._file = file
        self._ocr = ocr
        self._read = 0
        self.notes: dict[int, str] = {}
        self.seen = 0
        """Pages that are pictures."""

    def page(self, number: int) -> Page:
        """A page in reading order."""
        try:
            sheet = self._file.read(number)
        except PageError as exc:
            self.notes[number] = f"is left out: {exc}"
            return Page(number, 1.0, [])
        page = arranged(sheet)
        if not _is_scan(sheet):
            if not page.parts:
                self.notes[number] = "holds no text: empty"
            return page
        self.seen += 1
        read, why = self._from_picture(number, sheet)
        if read is not None and _count(read.words) > _count(sheet.words):
            self.notes[number] = "is a picture, read by tesseract"
            return arranged(read)
        if not page.parts:
            self.notes[number] = f"holds no text: {why}"
        return page

    def _from_picture(self, number: int, sheet: Sheet) -> tuple[Sheet | None, str]:
        """(the page as tesseract reads it, ""), or (None, why not)."""
        if not self._ocr.pages_at_most or not available():
            return None, "a scanned image"
        if self._read >= self._ocr.pages_at_most:
            return None, f"a scanned image after {self._read} others (documents.ocr_pages_at_most)"
        self._read += 1
        try:
            picture, dots = self._file.render(number, dots_per_inch=_DOTS_PER_INCH)
            reading = read_words(picture, self._ocr, dots_per_inch=dots)
        except (OcrError, PageError) as exc:
            return None, f"a scanned image; {exc}"
        words = list(_placed(reading, 72 / dots))
        return Sheet(number, sheet.width, sheet.height, words), "an image in which tesseract finds none"


def _is_scan(sheet: Sheet) -> bool:
    letters = _count(sheet.words) + sum(map(_count, sheet.turned))
    if sheet.unreadable > _UNREADABLE:
        return True
    return letters < _FEW_LETTERS and sheet.picture_share >= (_PICTURE_SHARE if letters else 0.02)


def _count(words: Sequence[Word]) -> int:
    return sum(len(word.text) for word in words)


def _placed(reading: Reading, points: float) -> Iterator[Word]:
    """Words of a picture as a page's; lines of about the usual height are of one size."""
    heights = sorted(max(w.y1 for w in line) - min(w.y0 for w in line) for line in reading.lines)
    usual = heights[len(heights) // 2] if heights else 1.0
    left = min((w.x0 for line in reading.lines for w in line), default=0.0)
    for line in reading.lines:
        height = max(w.y1 for w in line) - min(w.y0 for w in line)
        size = round(2 * points * (usual if 0.6 * usual < height < 1.4 * usual else height)) / 2
        base = sorted(w.y1 for w in line)[len(line) // 2] * points
        for word in line:
            yield Word(word.text, (word.x0 - left) * points, (word.x1 - left) * points, base, size, Face(), True)


def _why_no_text(pages: Sequence[Page], scans: _Scans) -> str:
    reason = f"no text on any of its {len(pages)} pages"
    if not scans.seen:
        return reason
    if not available():
        return f"{reason}: probably scanned, and tesseract, which reads images, is not installed"
    return f"{reason}: probably scanned; the first that could not be read {next(iter(scans.notes.values()))}"
