"""OpenDocument (ODT, ODS, ODP, and their flat and template forms) -> headings, paragraphs, lists, tables.

Lists are numbered as their styles say, equations become LaTeX, footnotes follow at the end. `page` is a sheet's or
slide's number, and in a text where LibreOffice last put a page's end. Deleted text and hidden sheets are left out;
comments, page headers and footers become notes.
"""

import re
from collections.abc import Iterator
from typing import Any

from pipelines.documents.parsers.draft import Parsed, one_line, readable_name
from pipelines.documents.parsers.equations import mathml, shown
from pipelines.documents.parsers.grid import Cell, span, spread
from pipelines.documents.parsers.odf_words import (
    DC,
    DRAW,
    MATH,
    OFFICE,
    PRESENTATION,
    SKIPPED,
    STYLE,
    SVG,
    TABLE,
    TEXT,
    XLINK,
    Level,
    Reader,
    count_of,
    end_page,
    label_of,
    put_comment_aside,
    words_of,
)
from pipelines.documents.parsers.package import Package, xml_root
from pipelines.errors import DocumentError

_FORMATS = {"1": "decimal", "a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman"}
_DEEPEST = 100
_MOST_REPEATED = 1000
"""Rows and columns that a file repeats by a number instead of by writing them."""
_LENGTH = re.compile(r"(-?[\d.]+)(cm|mm|in|pt|px)?")


def parse(data: bytes, name: str) -> Parsed:
    """The document's text; its title is that of its properties, the first heading or the file's name."""
    package = Package(data) if data.startswith(b"PK") else None
    if package is not None and b"encryption-data" in _bytes(package, "META-INF/manifest.xml"):
        raise DocumentError("protected by a password")
    content = package.xml("content.xml") if package is not None else xml_root(data, name)
    styles = package.xml_or_none("styles.xml") if package is not None else content
    meta = package.xml_or_none("meta.xml") if package is not None else content
    body = content.find(f"{OFFICE}body")
    if body is None or not len(body):
        raise DocumentError("damaged: its body is missing")
    reader = _reader(package, [root for root in (styles, content) if root is not None])
    reader.page = 1 if next(body.iter(f"{TEXT}soft-page-break"), None) is not None else None
    for part in body:
        _read_body(reader, part)
    reader.draft.add("paragraph", "\n".join(reader.footnotes))
    for margin in () if styles is None else styles.iter(f"{STYLE}header", f"{STYLE}footer"):
        words = "\n".join(filter(None, (words_of(reader, p) for p in margin.iter(f"{TEXT}p", f"{TEXT}h"))))
        reader.draft.put_aside("" if re.fullmatch(r"[\d\s/]*", words) else words)
    title = one_line(meta.findtext(f".//{DC}title") or "") if meta is not None else ""
    sheets = body.find(f"{OFFICE}spreadsheet") is not None  # whose headings are the names of its sheets
    if reader.draft.is_empty or (sheets and all(b.kind in ("heading", "note") for b in reader.draft.blocks)):
        raise DocumentError("the document holds no text")
    return reader.draft.finish((None if sheets else reader.draft.first_heading) or title or readable_name(name))


def _bytes(package: Package, name: str) -> bytes:
    return package.read(name) if name in package else b""


def _reader(package: Package | None, roots: list[Any]) -> Reader:
    parents: dict[str, str] = {}
    lists: dict[str, dict[int, Level]] = {}
    outline: dict[int, Level] = {}
    hidden: set[str] = set()
    raised: set[str] = set()
    for root in roots:
        for style in root.iter(f"{STYLE}style"):
            parents[style.get(f"{STYLE}name") or ""] = style.get(f"{STYLE}parent-style-name") or ""
            shown = style.find(f"{STYLE}table-properties")
            if shown is not None and shown.get(f"{TABLE}display") == "false":
                hidden.add(style.get(f"{STYLE}name") or "")
            words = style.find(f"{STYLE}text-properties")
            if words is not None and (words.get(f"{STYLE}text-position") or "").startswith("super"):
                raised.add(style.get(f"{STYLE}name") or "")
        for style in root.iter(f"{TEXT}list-style"):
            lists[style.get(f"{STYLE}name") or ""] = dict(map(_level, style))
        for style in root.iter(f"{TEXT}outline-style"):
            outline = dict(map(_level, style))
    return Reader(package, parents, lists, outline, frozenset(hidden), frozenset(raised))


def _level(element: Any) -> tuple[int, Level]:
    depth = count_of(element.get(f"{TEXT}level"))
    if not isinstance(element.tag, str) or ("number" not in element.tag and "outline" not in element.tag):
        return depth, Level()
    format = element.get(f"{STYLE}num-format")
    return depth, Level(
        format=_FORMATS.get(format, "decimal") if format else None,
        before=element.get(f"{STYLE}num-prefix") or "",
        after=element.get(f"{STYLE}num-suffix") or "",
        start=count_of(element.get(f"{TEXT}start-value")),
        shown_levels=count_of(element.get(f"{TEXT}display-levels")),
    )


# --- text documents ----------------------------------------------------------------------------


def _read_body(reader: Reader, body: Any) -> None:
    if body.tag == f"{OFFICE}spreadsheet":
        _read_sheets(reader, body)
    elif body.tag == f"{OFFICE}presentation":
        for number, slide in enumerate(body.iterchildren(f"{DRAW}page"), 1):
            _read_slide(reader, slide, number)
    elif body.tag == f"{OFFICE}drawing":
        for number, page in enumerate(body.iterchildren(f"{DRAW}page"), 1):
            reader.page = number
            _read(reader, page)
    else:
        titled = any("Title" in _style_names(reader, p) for p in body.iter(f"{TEXT}p"))
        reader.shift = 1 if titled else 0
        _read(reader, body)


def _read(reader: Reader, parent: Any, depth: int = 0) -> None:
    """Write what a section, frame or cell holds."""
    if depth > _DEEPEST:
        reader.draft.add("paragraph", words_of(reader, parent), reader.page)
        return
    lines: list[str] = []
    for element in parent:
        tag = element.tag
        page = reader.page
        if tag == f"{TEXT}list":
            lines += _items(reader, element)  # a list that changes its style is several in the file
            continue
        if lines:
            reader.draft.add("list", "\n".join(lines), page)
            lines = []
            _write_after(reader)
        if tag == f"{TEXT}h":
            _write_heading(reader, element, page)
        elif tag == f"{TEXT}p":
            _write_paragraph(reader, element, page)
        elif tag == f"{TABLE}table":
            _write_table(reader, element)
        elif tag == f"{TEXT}soft-page-break":
            end_page(reader)
        elif tag in (f"{DRAW}object", f"{DRAW}image"):
            _write_object(reader, element)
        elif isinstance(tag, str) and tag not in SKIPPED and tag != f"{OFFICE}annotation":
            _read(reader, element, depth + 1)
    reader.draft.add("list", "\n".join(lines), reader.page)
    _write_after(reader)


def _style_names(reader: Reader, element: Any) -> list[str]:
    """A paragraph's style and those that it is based on."""
    names = [element.get(f"{TEXT}style-name") or ""]
    while names[-1] in reader.parents and len(names) < 10:
        names.append(reader.parents[names[-1]])
    return names


def _write_heading(reader: Reader, element: Any, page: int | None) -> None:
    level = count_of(element.get(f"{TEXT}outline-level"))
    words = one_line(words_of(reader, element))
    if not words:
        return
    reader.counts[level] = reader.counts.get(level, reader.outline.get(level, Level()).start - 1) + 1
    reader.counts = {at: count for at, count in reader.counts.items() if at <= level}
    label = label_of(reader.outline.get(level, Level()), level, reader.counts, reader.outline)
    reader.draft.heading(level + reader.shift, f"{label} {words}" if label not in ("", "-") else words, page)
    _write_after(reader)


def _write_paragraph(reader: Reader, element: Any, page: int | None) -> None:
    words = words_of(reader, element)
    names = _style_names(reader, element)
    if "Title" in names:
        reader.draft.heading(1, words, page)
    elif "Subtitle" in names and len(words) < 200:
        reader.draft.heading(2, words, page)
    else:
        code = any(name.startswith(("Preformatted", "Source_20_Text")) for name in names)
        reader.draft.add("code" if code else "paragraph", words, page)
    _write_after(reader)


def _items(reader: Reader, element: Any, depth: int = 0, style: str = "") -> Iterator[str]:
    """A list's lines, each behind its label; deeper ones indented."""
    style = element.get(f"{TEXT}style-name") or style
    levels = reader.lists.get(style, {})
    level = levels.get(depth + 1, Level())
    count = level.start - 1
    for item in element.iterchildren(f"{TEXT}list-item", f"{TEXT}list-header"):
        words = [one_line(words_of(reader, part)) for part in item.iterchildren(f"{TEXT}p", f"{TEXT}h")]
        if any(words):
            count = count_of(item.get(f"{TEXT}start-value"), count + 1)
            label = label_of(level, depth + 1, {depth + 1: count}, levels) if item.tag.endswith("item") else ""
            yield "  " * min(depth, 8) + " ".join(filter(None, (label, *words)))
        for part in item.iterchildren(f"{TEXT}list"):
            if depth < _DEEPEST:
                yield from _items(reader, part, depth + 1, style)


def _write_after(reader: Reader) -> None:
    """What a paragraph anchors."""
    anchored, reader.after = reader.after, []
    for element in anchored:
        described = one_line(element.findtext(f"{SVG}desc") or element.findtext(f"{SVG}title") or "")
        _read(reader, element)
        reader.draft.add("paragraph", f"[Image: {described}]" if described else "", reader.page)


def _write_object(reader: Reader, element: Any) -> None:
    """An equation or a chart that the file embeds as a document of its own."""
    place = (element.get(f"{XLINK}href") or "").removeprefix("./")
    own = next(element.iter(MATH), None)
    if own is None and reader.package is not None and f"{place}/content.xml" in reader.package:
        root = reader.package.xml_or_none(f"{place}/content.xml")
        own = root if root is not None and root.tag in (MATH, "math") else None
        if root is not None and own is None:
            for table in root.iter(f"{TABLE}table"):
                _write_table(reader, table)
    if own is not None:
        reader.draft.add("paragraph", shown(mathml(own), display=True), reader.page)


# --- tables, sheets, slides ----------------------------------------------------------------------


def _write_table(reader: Reader, table: Any) -> None:
    rows = list(_rows(reader, table))
    cells = sum(map(len, rows))
    if cells == 1:
        for cell in table.iter(f"{TABLE}table-cell"):
            _read(reader, cell)
        return
    reader.draft.table(spread(rows), reader.page)
    _write_after(reader)


def _rows(reader: Reader, table: Any) -> Iterator[list[Cell]]:
    """A table's rows, those of tables inside its cells left to the cells."""
    for element in table:
        if element.tag == f"{TABLE}table-row":
            cells = _cells(reader, element)
            again = min(count_of(element.get(f"{TABLE}number-rows-repeated")), _MOST_REPEATED)
            for _ in range(again if any(cell.words for cell in cells) else 1):
                yield cells
        elif isinstance(element.tag, str) and element.tag.startswith(f"{TABLE}table-") and "cell" not in element.tag:
            yield from _rows(reader, element)


def _cells(reader: Reader, row: Any) -> list[Cell]:
    cells: list[Cell] = []
    for element in row.iterchildren(f"{TABLE}table-cell", f"{TABLE}covered-table-cell"):
        again = min(count_of(element.get(f"{TABLE}number-columns-repeated")), _MOST_REPEATED)
        if element.tag == f"{TABLE}covered-table-cell":
            continue  # the cell that covers it says how far it reaches
        words = " ".join(filter(None, (one_line(words_of(reader, p)) for p in _paragraphs(element))))
        cell = Cell(
            words,
            span(element.get(f"{TABLE}number-columns-spanned")),
            span(element.get(f"{TABLE}number-rows-spanned")),
        )
        cells += [cell] * again
    while cells and not cells[-1].words and cells[-1].columns == 1:
        cells.pop()
    return cells


def _paragraphs(cell: Any) -> Iterator[Any]:
    for element in cell.iter(f"{TEXT}p", f"{TEXT}h", f"{OFFICE}annotation"):
        if element.tag != f"{OFFICE}annotation" and next(element.iterancestors(f"{OFFICE}annotation"), None) is None:
            yield element


def _read_sheets(reader: Reader, body: Any) -> None:
    for number, table in enumerate(body.iterchildren(f"{TABLE}table"), 1):
        reader.page = number
        title = table.get(f"{TABLE}name") or ""
        if table.get(f"{TABLE}style-name") in reader.hidden:
            reader.draft.add("note", f"[Hidden sheet left out: {title}]", number)
            continue
        reader.draft.heading(1, title, number)
        for note in table.iter(f"{OFFICE}annotation"):
            put_comment_aside(reader, note)
        region: list[list[Cell]] = []
        for row in [*_rows(reader, table), []]:
            if any(cell.words for cell in row):
                region.append(row)
            elif region:
                _write_region(reader, region)
                region = []
        for shapes in table.iterchildren(f"{TABLE}shapes"):
            _read(reader, shapes)
        _write_after(reader)


def _write_region(reader: Reader, region: list[list[Cell]]) -> None:
    """A run of rows: those above the table that hold a single cell are paragraphs."""
    wide = any(sum(bool(cell.words) for cell in row) > 1 for row in region)
    while wide and sum(bool(cell.words) for cell in region[0]) == 1:
        reader.draft.add("paragraph", "".join(cell.words for cell in region.pop(0)), reader.page)
    if wide:
        reader.draft.table(spread(region), reader.page)
    else:
        reader.draft.add("paragraph", "\n".join("".join(c.words for c in row) for row in region), reader.page)


def _read_slide(reader: Reader, slide: Any, number: int) -> None:
    """A slide's title, then its shapes from top to bottom, then its notes."""
    reader.page = number
    shapes = [e for e in slide if isinstance(e.tag, str) and e.tag.startswith(DRAW)]
    titles = [e for e in shapes if e.get(f"{PRESENTATION}class") == "title"]
    reader.draft.leave(2)
    for title in titles:
        words = " ".join(words_of(reader, p) for p in title.iter(f"{TEXT}p"))
        reader.draft.heading(1 if number == 1 else 2, words, number)
    for shape in sorted((e for e in shapes if e not in titles), key=_place):
        _read(reader, [shape])
        _write_after(reader)
    for notes in slide.iterchildren(f"{PRESENTATION}notes"):
        words = "\n".join(filter(None, (words_of(reader, p) for p in notes.iter(f"{TEXT}p"))))
        reader.draft.add("paragraph", f"Speaker notes: {words}" if words else "", number)


def _place(shape: Any) -> tuple[float, float]:
    return _length(shape.get(f"{SVG}y")), _length(shape.get(f"{SVG}x"))


def _length(value: str | None) -> float:
    found = _LENGTH.fullmatch(value or "")
    try:
        return (
            float(found.group(1)) * {"mm": 0.1, "in": 2.54, "pt": 0.0353}.get(found.group(2) or "", 1) if found else 0.0
        )
    except ValueError:
        return 0.0
