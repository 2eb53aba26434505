"""DOCX -> headings, paragraphs, lists and tables in the order of the body; footnotes at the end.

Numbers of lists and headings are worked out as Word shows them, equations become LaTeX, charts and SmartArt what
they say. Text of text boxes and tracked insertions counts; deleted and hidden text does not. Comments and page
headers and footers become notes at the end: a document's number and version often stand there.
`page` is where Word last put a page's end, None in a file that no such program has laid out.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pipelines.documents.parsers.draft import Kind, Parsed, one_line, readable_name
from pipelines.documents.parsers.drawings import described, write_chart, write_diagram
from pipelines.documents.parsers.grid import Cell, span, spread
from pipelines.documents.parsers.numbering import Numbering
from pipelines.documents.parsers.package import Package, core_title, main_part, relations
from pipelines.documents.parsers.wordml import BOX, CHART, DOC_PROPERTIES, Words, text_of
from pipelines.errors import DocumentError

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_CONTAINERS = frozenset(_W + name for name in ("sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag", "body"))
_HEADING = re.compile(r"heading ([1-9])")
_CODE_STYLES = ("html preformatted", "source code", "code", "macro text")
_LONG_CELL = 500
"""Characters from which a table of one row is taken for a layout."""


@dataclass(frozen=True)
class Style:
    """What a paragraph takes over from its style."""

    names: tuple[str, ...] = ()
    """Lower case, of the style and of those that it is based on, nearest first."""
    level: int | None = None
    list_id: str = ""
    depth: int = 0


class Styles:
    """The paragraph styles of a document; one is worked out when the first paragraph of it comes."""

    def __init__(self, root: Any) -> None:
        # `root`: of word/styles.xml, None where the document has none.
        elements = () if root is None else root.iterchildren(f"{_W}style")
        self._elements = {element.get(f"{_W}styleId"): element for element in elements}
        self._known = {"": Style()}

    def of(self, name: str) -> Style:
        """The style of a name; a plain one where there is none."""
        if name not in self._known:
            self._known[name] = self._worked_out(name)
        return self._known[name]

    def _worked_out(self, name: str) -> Style:
        names: list[str] = []
        level, list_id, depth = None, "", 0
        at = self._elements.get(name)
        while at is not None and len(names) < 10:
            names.append(_value(at, "name").lower())
            level = _level(_value(at, "pPr", "outlineLvl")) if level is None else level
            list_id = list_id or _value(at, "pPr", "numPr", "numId")
            depth = depth or _count(_value(at, "pPr", "numPr", "ilvl"))
            at = self._elements.get(_value(at, "basedOn"))
        return Style(tuple(names), level, list_id, depth)


@dataclass(kw_only=True)
class Reader(Words):
    """What is known while a document is read from top to bottom."""

    package: Package
    styles: Styles
    numbering: Numbering
    shift: int = 0
    """Levels that a Title paragraph pushes headings down."""
    items: list[str] = field(default_factory=list)
    """Lines of the list that is being read."""


def parse(data: bytes, name: str) -> Parsed:
    """The document's text; its title is the Title paragraph, the first heading or the file's name."""
    package = Package(data)
    part = main_part(package, "word/document.xml")
    root = package.xml(part)
    body = root.find(f"{_W}body")
    if body is None:
        raise DocumentError("damaged: its body is missing")
    links = relations(package, part)
    parts = {relation.kind: relation.target for relation in links.values() if not relation.external}
    styles = Styles(package.xml_or_none(parts.get("styles")))
    numbering = Numbering(package.xml_or_none(parts.get("numbering")))
    reader = Reader(links=links, package=package, styles=styles, numbering=numbering)
    used = {e.get(f"{_W}val") or "" for e in body.iter(f"{_W}pStyle")}
    reader.shift = int(any("title" in styles.of(style).names for style in used))
    reader.page = 1 if next(body.iter(f"{_W}lastRenderedPageBreak"), None) is not None else None
    _read(reader, body)
    _write_footnotes(reader, parts)
    _put_aside(reader, parts)
    if reader.draft.is_empty:
        raise DocumentError("the document holds no text")
    return reader.draft.finish(reader.draft.first_heading or core_title(package) or readable_name(name))


def _level(outline: str) -> int | None:
    """A heading's level by its outline level, of which 9 is body text."""
    return int(outline) + 1 if outline in tuple("012345678") else None


def _value(element: Any, *path: str) -> str:
    """The value of the element at a path; "" where there is none."""
    found = element.find("/".join(_W + name for name in path))
    return "" if found is None else found.get(f"{_W}val") or ""


def _count(value: str) -> int:
    return min(int(value), 8) if value.isascii() and value.isdigit() and len(value) < 4 else 0


# --- blocks ------------------------------------------------------------------------------------


def _read(reader: Reader, parent: Any) -> None:
    """Write what a body, a box or a cell holds."""
    for element in parent:
        if element.tag == f"{_W}p":
            _read_paragraph(reader, element)
        elif element.tag == f"{_W}tbl":
            _end_list(reader)
            _read_table(reader, element)
        elif element.tag == f"{_W}altChunk":
            _end_list(reader)
            _read_foreign(reader, element)
        elif element.tag in _CONTAINERS:
            _read(reader, element)
    if parent.tag not in _CONTAINERS or parent.tag == f"{_W}body":
        _end_list(reader)


def _read_paragraph(reader: Reader, paragraph: Any) -> None:
    reader.began = None
    words = text_of(reader, paragraph)
    page = reader.began or reader.page
    kind, depth, label = _kind(reader, paragraph, words)
    if kind == "list" and words:
        reader.items.append("  " * depth + " ".join(filter(None, (label, one_line(words)))))
    elif words:
        _end_list(reader)
        if kind == "heading":
            reader.draft.heading(depth, f"{label} {words}" if label != "-" else words, page)
        else:
            reader.draft.add(kind, f"{label} {words}".strip(), page)
    if reader.after:
        _end_list(reader)
        _write_after(reader)


def _end_list(reader: Reader) -> None:
    reader.draft.add("list", "\n".join(reader.items), reader.page)
    reader.items.clear()


def _kind(reader: Reader, paragraph: Any, words: str) -> tuple[Kind, int, str]:
    """(kind, level of a heading or depth of an item, its number)."""
    properties = paragraph.find(f"{_W}pPr")
    style = reader.styles.of(_value(paragraph, "pPr", "pStyle"))
    outline = "" if properties is None else _value(properties, "outlineLvl")
    level = next((int(found.group(1)) for n in style.names if (found := _HEADING.fullmatch(n))), style.level)
    level = _level(outline) or level
    list_id, depth = style.list_id, style.depth
    if properties is not None and (numbered := properties.find(f"{_W}numPr")) is not None:
        list_id = _value(numbered, "numId") or list_id
        depth = _count(_value(numbered, "ilvl")) if numbered.find(f"{_W}ilvl") is not None else depth
    label = reader.numbering.label(list_id, depth) if list_id and list_id != "0" and words else ""
    if "title" in style.names and level is None:
        return "heading", 1, label
    if level is not None and not any(name.startswith("toc ") for name in style.names):
        return "heading", level + reader.shift, label
    listed = any(name.startswith("list") for name in style.names)
    if (list_id and list_id != "0") or listed:
        return "list", depth, label or "-"
    return ("code" if style.names[:1] and style.names[0] in _CODE_STYLES else "paragraph"), 0, label


def _write_after(reader: Reader) -> None:
    """What a paragraph anchors: boxes, pictures, charts, SmartArt."""
    anchored, reader.after = reader.after, []
    for element in anchored:
        if element.tag == BOX:
            _read(reader, element)
        elif element.tag == DOC_PROPERTIES:
            reader.draft.add("paragraph", described(element), reader.page)
        elif (relation := reader.links.get(element.get(f"{_R}{'id' if element.tag == CHART else 'dm'}"))) is not None:
            write = write_chart if element.tag == CHART else write_diagram
            write(reader.package, relation.target, reader.draft, reader.page)


def _read_foreign(reader: Reader, element: Any) -> None:
    """A web page that was inserted as it was."""
    relation = reader.links.get(element.get(f"{_R}id") or "")
    if relation is None or relation.target not in reader.package or not relation.target.endswith(("htm", "html")):
        return
    from pipelines.documents.parsers import html

    try:
        reader.draft.embed(html.parse(reader.package.read(relation.target), relation.target))
    except DocumentError:
        return  # an empty one


# --- tables ------------------------------------------------------------------------------------


def _read_table(reader: Reader, table: Any) -> None:
    page = reader.page
    rows = [row for row in table.iter(f"{_W}tr") if next(row.iterancestors(f"{_W}tbl")) is table]
    cells = [[cell for cell in row.iter(f"{_W}tc") if next(cell.iterancestors(f"{_W}tr")) is row] for row in rows]
    if _is_layout(table, cells):
        for cell in (cell for row in cells for cell in row):
            _read(reader, cell)
        return
    reader.draft.table(spread(_joined([[_cell(reader, cell) for cell in row] for row in cells])), page)
    if reader.after:
        _write_after(reader)


def _is_layout(table: Any, cells: list[list[Any]]) -> bool:
    """A table that places things: of one cell, with tables in it, or of one row of long texts."""
    if sum(map(len, cells)) == 1 or next(table.iterdescendants(f"{_W}tbl"), None) is not None:
        return True
    lengths = (sum(len(t.text or "") for t in cell.iter(f"{_W}t")) for cell in cells[0]) if len(cells) == 1 else ()
    return max(lengths, default=0) > _LONG_CELL


def _cell(reader: Reader, cell: Any) -> tuple[Cell, bool]:
    """A cell, and whether it goes on with the one above."""
    words = []
    for paragraph in cell.iter(f"{_W}p"):
        if next(paragraph.iterancestors(f"{_W}tc")) is cell and next(paragraph.iterancestors(BOX), None) is None:
            text = one_line(text_of(reader, paragraph))
            kind, _, label = _kind(reader, paragraph, text)
            words.append(f"{label} {text}" if kind == "list" else text)
    merged = cell.find(f"{_W}tcPr/{_W}vMerge")
    width = cell.find(f"{_W}tcPr/{_W}gridSpan")
    columns = span(width.get(f"{_W}val")) if width is not None else 1
    return Cell(" ".join(filter(None, words)), columns), merged is not None and merged.get(f"{_W}val") != "restart"


def _joined(rows: list[list[tuple[Cell, bool]]]) -> Iterator[list[Cell]]:
    """Rows in which cells that go on with the one above hold its words."""
    above: dict[int, str] = {}
    for row in rows:
        cells: list[Cell] = []
        at = 0
        for cell, goes_on in row:
            words = above.get(at, "") if goes_on and not cell.words else cell.words
            cells.append(Cell(words, cell.columns))
            above[at] = words
            at += cell.columns
        yield cells


# --- what stands beside the body -----------------------------------------------------------------


def _write_footnotes(reader: Reader, parts: dict[str, str]) -> None:
    """Footnotes and endnotes in the order of their references, each behind its number."""
    found: dict[tuple[str, str], str] = {}
    for kind in ("footnote", "endnote"):
        root = reader.package.xml_or_none(parts.get(f"{kind}s"))
        for note in () if root is None else root.iterchildren(f"{_W}{kind}"):
            if note.get(f"{_W}type") in (None, "normal"):
                found[kind, note.get(f"{_W}id") or ""] = _words_of(reader, note)
    numbered = [f"[{number}] {found[key]}" for key, number in reader.notes.items() if found.get(key)]
    reader.draft.add("paragraph", "\n".join(numbered))


def _words_of(reader: Reader, element: Any) -> str:
    return "\n".join(filter(None, (text_of(reader, p) for p in element.iter(f"{_W}p")))).strip()


def _put_aside(reader: Reader, parts: dict[str, str]) -> None:
    """Comments, and page headers and footers once each."""
    root = reader.package.xml_or_none(parts.get("comments"))
    for comment in () if root is None else root.iterchildren(f"{_W}comment"):
        words = _words_of(reader, comment)
        author = comment.get(f"{_W}author") or ""
        reader.draft.put_aside(f"[Comment{f' by {author}' if author else ''}] {words}" if words else "")
    for relation in reader.links.values():
        if relation.kind in ("header", "footer") and not relation.external:
            margin = reader.package.xml_or_none(relation.target)
            for paragraph in () if margin is None else margin.iter(f"{_W}p"):
                words = text_of(reader, paragraph)
                reader.draft.put_aside("" if re.fullmatch(r"[\d\s|/–-]*", words) else words)
