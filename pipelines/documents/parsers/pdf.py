"""PDF -> text in reading order, page by page: columns one after another, tables as Markdown, headings by size.

pdfplumber gives words with their sizes and ruled tables; layout.py orders them. Lines that repeat at the
margins of most pages are dropped. A page without text becomes a note; a PDF without any is refused.
Not covered: text in images, tables without rules (their rows stay lines).
"""

import collections
import io
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.documents.parsers.draft import Draft, Parsed, one_line, readable_name
from pipelines.documents.parsers.layout import Line, Page, Table, Word, lines_in_order
from pipelines.errors import DocumentError

_MAX_RULES = 4000
"""A page with more lines and rectangles is a drawing: no table is looked for in it."""
_PLAIN_FROM_PAGE = 150
"""From here on pages are read by pdfium alone: hundreds of pages in seconds, without tables and columns."""
_HEADING_RATIO = 1.12
_HEADING_CHARACTERS = 120
_BULLET = re.compile(r"^(?:[•▪◦●■–\-*·]|\(?\d{1,2}[.)]|\(?[a-z][.)])\s+")
_PAGE_NUMBER = re.compile(r"^(?:page\s*)?\d{1,4}(?:\s*(?:of|/)\s*\d{1,4})?$", re.I)


def parse(data: bytes, name: str) -> Parsed:
    """The document; `page` is 1-based. Raises DocumentError for a damaged, protected or scanned file."""
    logging.getLogger("pdfminer").setLevel(logging.CRITICAL)
    pages = _pages(data)
    if not any(page.lines or page.tables for page in pages):
        raise DocumentError(f"no text on any of its {len(pages)} pages: probably scanned, and images are not read")
    body = _body_size(pages)
    _drop_margins(pages, body)
    script = Script(_heading_levels(pages, body), _vocabulary(pages))
    draft = Draft()
    for page in pages:
        _write_page(page, draft, script)
    return draft.finish(draft.first_heading or readable_name(name))


# --- reading -----------------------------------------------------------------------------------


def _pages(data: bytes) -> list[Page]:
    import pdfplumber
    from pdfminer.pdfdocument import PDFPasswordIncorrect
    from pdfplumber.utils.exceptions import PdfminerException

    try:
        with pdfplumber.open(io.BytesIO(data)) as file:
            pages = []
            for page in file.pages[: _PLAIN_FROM_PAGE - 1]:
                pages.append(_read(page))
                page.close()
            total = len(file.pages)
    except PdfminerException as exc:
        if exc.args and isinstance(exc.args[0], PDFPasswordIncorrect):
            raise DocumentError("protected by a password") from exc
        raise DocumentError(f"damaged PDF: {_reason(exc)}") from exc
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OSError, AssertionError) as exc:
        # pdfminer trips over damaged files in all these ways; the sandbox bounds the rest
        raise DocumentError(f"damaged PDF: {_reason(exc)}") from exc
    if not total:
        raise DocumentError("damaged PDF: it holds no page")
    turned = [page.number for page in pages if page.turned]
    plain = {page.number: page for page in _plain_pages(data, [*turned, *range(len(pages) + 1, total + 1)])}
    return [plain.pop(page.number, page) for page in pages] + list(plain.values())


def _reason(exc: Exception) -> str:
    inner = exc.args[0] if exc.args and isinstance(exc.args[0], Exception) else exc
    return one_line(f"{type(inner).__name__} {inner}")[:200]


def _read(page: Any) -> Page:
    rules = len(page.lines) + len(page.rects) + len(page.curves)
    tables = _tables(page) if rules and rules <= _MAX_RULES else []
    found = page.dedupe_chars(tolerance=0.5).extract_words(
        extra_attrs=["fontname", "size", "upright"], x_tolerance_ratio=0.18
    )
    upright = [w for w in found if w["upright"]]  # the others are stamps in the margin, or the page is turned
    if len(upright) < 0.5 * len(found):
        return Page(page.page_number, float(page.height), [], [], has_images=bool(page.images), turned=True)
    words = [_word(w) for w in upright if not any(_inside(w, table) for table in tables)]
    lines = lines_in_order(words, float(page.width))
    return Page(page.page_number, float(page.height), lines, tables, has_images=bool(page.images))


def _word(found: dict[str, Any]) -> Word:
    bold = bool(re.search(r"bold|black|heavy|demi|-medi\b", str(found["fontname"]), re.I))
    return Word(
        text=str(found["text"]),
        x0=float(found["x0"]),
        x1=float(found["x1"]),
        top=float(found["top"]),
        bottom=float(found["bottom"]),
        size=round(float(found["size"]) * 2) / 2,
        bold=bold,
    )


def _tables(page: Any) -> list[Table]:
    """Ruled tables of at least two rows and columns with text in a fair share of the cells."""
    tables = []
    for found in page.find_tables():
        rows = [[one_line(cell or "") for cell in row] for row in found.extract(x_tolerance_ratio=0.18)]
        cells = [cell for row in rows for cell in row]
        columns = sum(any(row[i] for row in rows if i < len(row)) for i in range(max(map(len, rows), default=0)))
        if len(rows) >= 2 and columns >= 2 and sum(map(bool, cells)) >= 0.3 * len(cells):
            x0, top, x1, bottom = (float(v) for v in found.bbox)
            tables.append(Table(rows, x0, x1, top, bottom))
    return tables


def _inside(word: dict[str, Any], table: Table) -> bool:
    x, y = (word["x0"] + word["x1"]) / 2, (word["top"] + word["bottom"]) / 2
    return bool(table.x0 <= x <= table.x1 and table.top <= y <= table.bottom)


def _plain_pages(data: bytes, numbers: Sequence[int]) -> list[Page]:
    """Pages as pdfium reads them, in the order of the file: no columns, no tables, no headings."""
    if not numbers:
        return []
    import pypdfium2

    pages = []
    with pypdfium2.PdfDocument(data) as file:
        for number in numbers:
            text = file[number - 1].get_textpage().get_text_bounded()
            found = [(at, words) for at, line in enumerate(text.splitlines()) if (words := one_line(line))]
            lines = [Line(words, 0.0, 0.0, 12.0 * at, 12.0 * at + 10.0, 10.0, False, 0) for at, words in found]
            pages.append(Page(number, 12.0 * len(text.splitlines()) or 1.0, lines, [], has_images=False))
    return pages


@dataclass(frozen=True)
class Script:
    """How a document is set: heading styles with their levels, and the words inside its lines."""

    levels: dict[tuple[float, bool], int]
    words: collections.Counter[str]


# --- what the whole document says about a line -------------------------------------------------


def _drop_margins(pages: Sequence[Page], body: float) -> None:
    """Take away lines near the top or bottom edge that repeat on most pages, and bare page numbers there.

    A line that is set larger than the body is a title, even where the running header repeats it.
    """
    seen = collections.Counter(
        key for page in pages for key in {_key(line) for line in page.lines if page.at_edge(line)}
    )
    often = max(2, int(0.5 * len(pages)) + 1)
    for page in pages:
        page.lines[:] = [
            line
            for line in page.lines
            if not page.at_edge(line)
            or line.size >= _HEADING_RATIO * body
            or not (seen[_key(line)] >= often or _PAGE_NUMBER.match(line.text))
        ]


def _key(line: Line) -> str:
    return re.sub(r"\d+", "#", line.text.lower())


def _body_size(pages: Sequence[Page]) -> float:
    """The size that most characters are set in."""
    sizes: collections.Counter[float] = collections.Counter()
    for page in pages:
        for line in page.lines:
            sizes[line.size] += len(line.text)
    return sizes.most_common(1)[0][0] if sizes else 10.0


def _heading_levels(pages: Sequence[Page], body: float) -> dict[tuple[float, bool], int]:
    """(size, bold) of headings -> level: larger is higher; bold lines of body size come last."""
    styles = {
        (line.size, line.bold)
        for page in pages
        for line in page.lines
        if _may_be_heading(line) and (line.size >= _HEADING_RATIO * body or (line.bold and line.size >= body))
    }
    bold_share = sum(len(x.text) for p in pages for x in p.lines if x.bold and x.size == body)
    all_text = sum(len(x.text) for p in pages for x in p.lines) or 1
    if bold_share > 0.3 * all_text:  # a document set in bold: weight says nothing
        styles = {style for style in styles if style[0] >= _HEADING_RATIO * body}
    return {style: min(level, 6) for level, style in enumerate(sorted(styles, reverse=True), 1)}


def _may_be_heading(line: Line) -> bool:
    letters = sum(c.isalpha() for c in line.text)
    return letters >= 3 and len(line.text) <= _HEADING_CHARACTERS and not line.text.endswith((".", ",", ";"))


def _vocabulary(pages: Sequence[Page]) -> collections.Counter[str]:
    """Words inside lines: they tell whether a hyphen at a line's end belongs to its word."""
    return collections.Counter(
        word.lower() for page in pages for line in page.lines for word in re.findall(r"\w+(?:-\w+)*", line.text)
    )


# --- writing -----------------------------------------------------------------------------------


def _write_page(page: Page, draft: Draft, script: Script) -> None:
    if not page.lines and not page.tables:
        scanned = "a scanned image" if page.has_images else "empty"
        draft.add("note", f"[Page {page.number} holds no text: {scanned}]", page.number)
        return
    for part in page.in_order():
        if isinstance(part, Table):
            draft.table(part.rows, page.number)
        else:
            _write_lines(part, draft, page.number, script)


def _write_lines(lines: Sequence[Line], draft: Draft, number: int, script: Script) -> None:
    for group in _paragraphs(lines, script.levels):
        text = _joined([line.text for line in group], script.words)
        level = script.levels.get((group[0].size, group[0].bold)) if all(map(_may_be_heading, group)) else None
        if level is not None and len(text) <= _HEADING_CHARACTERS and not text.startswith(tuple("•▪◦●■–-*·")):
            draft.heading(level, text, number)
        elif _BULLET.match(group[0].text):
            draft.add("list", "\n".join(_items(group, script.words)), number)
        elif text[0].islower() and draft.ends_openly:
            draft.continue_last(text)
        else:
            draft.add("paragraph", text, number)


def _paragraphs(lines: Sequence[Line], levels: dict[tuple[float, bool], int]) -> list[list[Line]]:
    """Runs of lines of one column and style without a wider gap than between lines; lists stay together."""
    groups: list[list[Line]] = []
    for line in lines:
        last = groups[-1][-1] if groups else None
        if last is not None and _continues(last, line, in_list=bool(_BULLET.match(groups[-1][0].text)), levels=levels):
            groups[-1].append(line)
        else:
            groups.append([line])
    return groups


def _continues(last: Line, line: Line, *, in_list: bool, levels: dict[tuple[float, bool], int]) -> bool:
    if line.column != last.column or abs(line.size - last.size) > 0.75:
        return False
    if line.bold != last.bold and ((line.size, line.bold) in levels or (last.size, last.bold) in levels):
        return False
    gap = line.top - last.bottom
    starts_item = bool(_BULLET.match(line.text))
    if in_list:
        return gap < 0.9 * line.size and (starts_item or line.x0 >= last.x0 - 1)
    return gap < 0.55 * line.size and not starts_item and gap > -0.9 * line.size


def _items(group: Sequence[Line], words: collections.Counter[str]) -> list[str]:
    items: list[list[str]] = []
    for line in group:
        if _BULLET.match(line.text) or not items:
            items.append([line.text])
        else:
            items[-1].append(line.text)
    return [re.sub(r"^[•▪◦●■·]\s*", "- ", _joined(item, words)) for item in items]


def _joined(texts: Sequence[str], words: collections.Counter[str]) -> str:
    """Lines as running text; a word that was divided at a line's end is made whole."""
    whole = texts[0]
    for text in texts[1:]:
        before = re.search(r"(\w+)[-\u00ad\u2010]$", whole)
        after = re.match(r"[a-zà-öø-ÿ]\w*", text)
        if before and after:
            plain = (before.group(1) + after.group()).lower()
            hyphened = f"{before.group(1)}-{after.group()}".lower()
            whole = whole if words[hyphened] > words[plain] else whole[:-1]
            whole += text
        else:
            whole += ("" if before else " ") + text
    return whole
