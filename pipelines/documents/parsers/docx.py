"""DOCX -> headings, paragraphs, lists and tables in the order of the body; footnotes at the end.

Text of text boxes, equations and tracked insertions counts, deleted text does not. Page headers and
footers become notes at the end: a document's number and version often stand there.
"""

import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any

from pipelines.documents.parsers.draft import Draft, Parsed, one_line, readable_name
from pipelines.errors import DocumentError

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_SKIPPED = frozenset((f"{_W}del", f"{_W}instrText", f"{_W}delText", f"{_W}moveFrom", _FALLBACK))
_TEXT = frozenset((f"{_W}t", f"{_M}t"))
_BREAKS = {f"{_W}tab": " ", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}noBreakHyphen": "-", f"{_W}ptab": " "}
_LEVEL = re.compile(r"^heading (\d)$", re.I)


def parse(data: bytes, name: str) -> Parsed:
    """The document's text; its title is the Title paragraph, the first heading or the file's name."""
    file = _opened(data)
    draft = Draft()
    items: list[str] = []
    styles = _style_names(file)
    shift = _title_shift(file.element.body, styles)
    for element in _body_elements(file.element.body):
        kind = _kind(element, styles, shift) if element.tag == f"{_W}p" else "table"
        if items and kind != "list":
            draft.add("list", "\n".join(items))
            items = []
        if kind == "list":
            items.append(f"- {one_line(_text(element))}")
        elif kind == "table":
            _write_table(element, draft)
        elif isinstance(kind, int):
            draft.heading(kind, _text(element))
        else:
            draft.add("paragraph", _text(element))
        for box in _boxes(element):
            draft.add("paragraph", box)
    draft.add("list", "\n".join(items))
    _write_rest(file, draft)
    if draft.is_empty:
        raise DocumentError("the document holds no text")
    return draft.finish(draft.first_heading or one_line(file.core_properties.title or "") or readable_name(name))


def _opened(data: bytes) -> Any:
    import docx
    from docx.opc.exceptions import PackageNotFoundError
    from lxml import etree

    try:
        return docx.Document(io.BytesIO(data))
    except (PackageNotFoundError, zipfile.BadZipFile, etree.LxmlError, KeyError, ValueError, OSError) as exc:
        raise DocumentError(f"damaged DOCX: {one_line(str(exc))}") from exc


def _body_elements(body: Any) -> Iterator[Any]:
    """Paragraphs and tables in order, also those inside content controls and tracked insertions."""
    for element in body:
        if element.tag in (f"{_W}p", f"{_W}tbl"):
            yield element
        elif element.tag in (f"{_W}sdt", f"{_W}sdtContent", f"{_W}ins", f"{_W}customXml"):
            yield from _body_elements(element)


def _kind(paragraph: Any, styles: dict[str, list[str]], shift: int) -> int | str:
    """A heading's level, "list" or "paragraph"; `shift`: levels that a Title paragraph pushes headings down."""
    found = paragraph.find(f"{_W}pPr/{_W}pStyle")
    names = styles.get(found.get(f"{_W}val"), []) if found is not None else []
    for name in names:
        if level := _LEVEL.match(name):
            return int(level.group(1)) + shift
        if name == "title":
            return 1
    numbered = paragraph.find(f"{_W}pPr/{_W}numPr") is not None
    return "list" if numbered or any(name.startswith("list") for name in names) else "paragraph"


def _style_names(file: Any) -> dict[str, list[str]]:
    """Style id -> lower-case names of the style and of those that it is based on, nearest first."""
    found: dict[str, list[str]] = {}
    for style in file.styles.element.style_lst:
        names: list[str] = []
        at = style
        while at is not None and len(names) < 10:
            names.append(str(at.name_val or "").lower())
            at = at.base_style
        found[style.styleId] = names
    return found


def _title_shift(body: Any, styles: dict[str, list[str]]) -> int:
    used = {e.get(f"{_W}val") for e in body.iter(f"{_W}pStyle")}
    return 1 if any("title" in styles.get(style, []) for style in used) else 0


def _text(element: Any) -> str:
    """Text of an element, its text boxes left out."""
    parts: list[str] = []
    _collect(element, parts)
    return "\n".join(one_line(line) for line in "".join(parts).split("\n")).strip()


def _collect(element: Any, parts: list[str]) -> None:
    for child in element:
        if child.tag in _SKIPPED or child.tag == f"{_W}txbxContent" or child.tag == f"{_W}pPr":
            continue
        if child.tag in _TEXT:
            parts.append(child.text or "")
        elif child.tag in _BREAKS:
            parts.append(_BREAKS[child.tag])
        else:
            _collect(child, parts)


def _boxes(element: Any) -> Iterator[str]:
    for box in element.iter(f"{_W}txbxContent"):
        if not any(True for _ in box.iterancestors(_FALLBACK)):
            yield "\n".join(filter(None, (_text(p) for p in box.iter(f"{_W}p"))))


def _write_table(table: Any, draft: Draft) -> None:
    draft.table([_cells(row) for row in table.iter(f"{_W}tr") if _owner(row) is table])


def _owner(row: Any) -> Any:
    return next(row.iterancestors(f"{_W}tbl"))


def _cells(row: Any) -> list[str]:
    cells: list[str] = []
    for cell in row.iter(f"{_W}tc"):
        if next(cell.iterancestors(f"{_W}tr")) is not row:
            continue  # of a table inside a cell: its text is part of that cell
        span = cell.find(f"{_W}tcPr/{_W}gridSpan")
        width = int(span.get(f"{_W}val") or 1) if span is not None else 1
        words = " ".join(filter(None, (_text(p) for p in cell.iter(f"{_W}p"))))
        cells += [words, *[""] * (min(width, 100) - 1)]
    return cells


def _write_rest(file: Any, draft: Draft) -> None:
    """Footnotes as paragraphs; page headers and footers once each, as notes."""
    from lxml import etree

    margins: dict[str, None] = {}
    for relation in file.part.rels.values():
        if relation.is_external:
            continue
        kind = relation.reltype.rsplit("/", 1)[-1]
        if kind not in ("footnotes", "endnotes", "header", "footer"):
            continue
        root = etree.fromstring(relation.target_part.blob, etree.XMLParser(resolve_entities=False, no_network=True))
        texts = [text for p in root.iter(f"{_W}p") if (text := _text(p))]
        if kind in ("header", "footer"):
            margins.update(dict.fromkeys(texts))
        else:
            draft.add("paragraph", "\n".join(texts))
    for text in margins:
        draft.add("note", text)
