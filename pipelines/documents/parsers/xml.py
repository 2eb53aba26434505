"""XML -> text and structure: articles (JATS, DocBook, TEI), patents, feeds (RSS, Atom), and data of any other kind.

Rules that need no schema: an element with words beside its children is a paragraph; one that has a title and other
children is a section; one whose children hold words alone is a record of `name: words`. Tables, lists, code and
equations are known by the names that they have in most schemas. Entities are not resolved, nothing is fetched.
"""

import itertools
import re
from collections.abc import Iterator
from typing import Any

from pipelines.documents.parsers import html, odf
from pipelines.documents.parsers.draft import Draft, Parsed, one_line, readable_name
from pipelines.documents.parsers.equations import mathml, shown
from pipelines.documents.parsers.grid import Cell, span, spread
from pipelines.documents.parsers.package import xml_root
from pipelines.errors import DocumentError

_TITLES = frozenset(["title", "article-title", "head", "heading", "invention-title", "bridgehead", "label-title"])
_PARAGRAPHS = frozenset(["p", "para", "simpara", "ab", "paragraph", "description", "summary", "abstract", "content"])
_LISTS = frozenset(["list", "itemizedlist", "orderedlist", "ul", "ol", "variablelist", "def-list", "ref-list"])
_ITEMS = frozenset(["list-item", "listitem", "item", "li", "varlistentry", "def-item", "ref", "biblioentry"])
_ORDERED = frozenset(["orderedlist", "ol"])
_TABLES = frozenset(["table", "tgroup", "informaltable"])
_ROWS = frozenset(["row", "tr"])
_CODE = frozenset(
    ["programlisting", "screen", "literallayout", "synopsis", "code", "pre", "verbatim", "preformat", "codeblock"]
)
_EQUATIONS = frozenset(["math", "disp-formula", "inline-formula", "equation", "inlineequation"])
_NAMES = frozenset(["name", "personname", "string-name", "persname", "author"])
_PERSONS = re.compile(
    r"^(?:given-names?|firstname|forename|first-name|surname|last-name|lastname|family|suffix|prefix)$"
)
_IGNORED = frozenset(
    ["journal-meta", "counts", "custom-meta-group", "processing-meta", "xsl", "style", "script", "metadata"]
)
_DEEPEST = 200
_LONG_WORDS = 100
_MARKUP = re.compile(r"<(?:p|br|div|a|ul|table|h\d|b|i|em|strong|img|span)\b[^>]*>", re.I)
_FIGURES = frozenset(["fig", "figure", "table-wrap", "informalfigure", "boxed-text", "mediaobject"])
_SILENT_LEAVES = frozenset(["label", "xref", "issn", "isbn-type", "graphic", "object-id"])
_LOOKED_AT = 5000
"""Elements by which a document is told from data: running text has words beside elements, data has not."""
_ATTRIBUTES_LEFT_OUT = re.compile(
    r"^(?:xmlns|id|rid|xml:id|href|src|style|class|width|height|.*schemaLocation|version)$"
)
_ODF_ROOT = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}document"


def parse(data: bytes, name: str) -> Parsed:
    """The document's text; its title is its first title, else its name."""
    root = xml_root(data, name)
    local = _local(root)
    if root.tag == _ODF_ROOT:
        return odf.parse(data, name)
    if local == "html":
        return html.parse(data, name)
    running = any(_is_running(element) for element in itertools.islice(root.iter(), _LOOKED_AT))
    reader = _Reader(attributes=not running and local != "svg")
    heads = (e for e in root.iter() if _local(e) in ("article-title", "invention-title") and not _is_cited(e))
    title = next(heads, None)
    if title is not None:
        reader.draft.heading(1, _words(title))
        reader.title = title
    reader.read(root, 1 if title is None else 2)
    reader.flush()
    if reader.draft.is_empty:
        raise DocumentError("the document holds no text")
    return reader.draft.finish(reader.draft.first_heading or readable_name(name))


class _Reader:
    """A tree on its way into a draft; fields of a record wait until it ends."""

    def __init__(self, *, attributes: bool) -> None:
        self.draft = Draft()
        self.title: Any = None
        """The title of the whole, which is written already."""
        self._attributes = attributes
        self._fields: list[str] = []

    def flush(self) -> None:
        """Write the fields that wait as one paragraph."""
        self.draft.add("paragraph", "\n".join(self._fields))
        self._fields.clear()

    def read(self, element: Any, level: int, depth: int = 0) -> None:
        """Write what an element holds; `level`: of the headings in it."""
        name = _local(element)
        if name in _IGNORED or not name or element is self.title:
            return
        if depth > _DEEPEST:
            self._write("paragraph", one_line(" ".join(element.itertext())))
        elif name in _TABLES and _rows_of(element):
            self._write_table(element, level, depth)
        elif name in _CODE:
            self._write("code", "".join(element.itertext()).strip("\n"))
        elif name in _LISTS:
            self._write_list(element, level, depth)
        elif name in _EQUATIONS:
            self._write("paragraph", _equation(element, display=True))
        elif name in _FIGURES:
            self._write_figure(element, level, depth)
        elif name == "caption":
            self._write("paragraph", _words(element))
        elif name in _TITLES and (words := _words(element)):
            self.flush()
            given = element.get("level") or ""
            self.draft.heading(int(given) + level - 1 if given.isdecimal() and len(given) < 3 else level, words)
        elif name in _NAMES and any(_PERSONS.match(_local(child)) for child in element):
            self._fields.append(_person(element))
        elif _is_running(element):
            self._write_paragraph(element, name)
        elif len(element):
            self._read_children(element, level, depth)
        else:
            self._write_leaf(element, name, level)

    def _read_children(self, element: Any, level: int, depth: int) -> None:
        children = list(element)
        titles = [child for child in children[:6] if _local(child) in _TITLES]
        below = level
        if titles and len(children) > 1:
            label = one_line(next((c.text or "" for c in children if _local(c) == "label"), ""))
            words = _words(titles[0])
            self.flush()
            if words:
                self.draft.leave(level)
                self.draft.heading(level, f"{label} {words}" if label else words)
                below = level + 1
        is_record = all(not len(child) for child in children)
        if is_record:
            self.flush()
        if self._attributes:
            self._write_attributes(element)
        for child in children:
            if below > level and (child is titles[0] or _local(child) == "label"):
                continue
            self.read(child, below, depth + 1)
        if is_record or below > level:
            self.flush()
        if below > level:
            self.draft.leave(below)

    def _write(self, kind: Any, words: str) -> None:
        self.flush()
        self.draft.add(kind, words)

    def _write_paragraph(self, element: Any, name: str) -> None:
        """Running text; blocks inside it (a list in a paragraph) follow it."""
        inner = [
            e for e in element.iterdescendants() if _local(e) in _LISTS | _TABLES | _CODE and not _inside(e, element)
        ]
        self._write("paragraph", _words(element, without=inner))
        for each in inner:
            self.read(each, 9)

    def _write_leaf(self, element: Any, name: str, level: int) -> None:
        words = (element.text or "").strip()
        if words and _MARKUP.search(words):
            try:
                self.flush()
                self.draft.embed(html.parse_text(words, name))
            except DocumentError:
                return  # tags around nothing
            return
        words = one_line(words)
        if name in _SILENT_LEAVES:
            return
        if name in _PARAGRAPHS or len(words) > _LONG_WORDS:
            self._write("paragraph", words)
        elif words:
            self._fields.append(f"{_readable(element)}: {words}")
        elif self._attributes:
            self._write_attributes(element)

    def _write_attributes(self, element: Any) -> None:
        held = [
            f"{_spelled(str(key).rsplit('}', 1)[-1])} {one_line(str(value))}"
            for key, value in element.attrib.items()
            if value.strip() and not _ATTRIBUTES_LEFT_OUT.match(str(key).rsplit("}", 1)[-1])
        ]
        if held:
            self._fields.append(f"{_readable(element)}: {', '.join(held)}")

    def _write_figure(self, element: Any, level: int, depth: int) -> None:
        """A figure or table: its label and caption as one paragraph, then what it holds."""
        heads = [child for child in element if _local(child) in ("label", "caption", *_TITLES)]
        self._write("paragraph", " ".join(filter(None, map(_words, heads))))
        for child in element:
            if child not in heads:
                self.read(child, level, depth + 1)

    def _write_list(self, element: Any, level: int, depth: int) -> None:
        for child in element:
            if _local(child) in _TITLES:
                self.flush()
                self.draft.heading(level, _words(child))
        self._write("list", "\n".join(_list_lines(element, 0)))

    def _write_table(self, element: Any, level: int, depth: int) -> None:
        rows = []
        for row in _rows_of(element):
            cells = [child for child in row if _local(child) in ("entry", "td", "th", "cell")]
            rows.append([Cell(_words(c), _columns(c), _down(c)) for c in cells])
        for child in element:
            if _local(child) in ("caption", *_TITLES):
                self._write("paragraph", _words(child))
        self.flush()
        self.draft.table(spread(rows))


def _local(element: Any) -> str:
    return element.tag.rsplit("}", 1)[-1].lower() if isinstance(element.tag, str) else ""


def _is_running(element: Any) -> bool:
    """Whether words stand beside an element's children."""
    if not len(element):
        return False
    return bool((element.text or "").strip()) or any((child.tail or "").strip() for child in element)


def _inside(element: Any, outer: Any) -> bool:
    """Whether a block stands in another block of the same paragraph."""
    for ancestor in element.iterancestors():
        if ancestor is outer:
            return False
        if _local(ancestor) in _LISTS | _TABLES | _CODE:
            return True
    return False


def _words(element: Any, without: list[Any] | None = None) -> str:
    parts: list[str] = []
    _collect(element, parts, frozenset(map(id, without or ())), 0)
    return one_line("".join(parts))


def _collect(element: Any, parts: list[str], without: frozenset[int], depth: int) -> None:
    parts.append(element.text or "")
    between = "" if _is_running(element) else " "
    for child in element:
        name = _local(child)
        parts.append(between)
        if name in _EQUATIONS:
            parts.append(f" {_equation(child, display=False)} ")
        elif name and id(child) not in without and depth < _DEEPEST:
            apart = (
                name in _PARAGRAPHS or name in _ITEMS or name in _TITLES or name in ("entry", "td", "label", "break")
            )
            parts.append(" " if apart else "")
            _collect(child, parts, without, depth + 1)
            parts.append(" " if apart else "")
        parts.append(child.tail or "")


def _equation(element: Any, *, display: bool) -> str:
    """An equation as LaTeX: the author's where there is one."""
    for tex in element.iter():
        if _local(tex) == "tex-math" and tex.text:
            return shown(
                re.sub(r"^.*\\begin\{document\}|\\end\{document\}.*$", "", tex.text, flags=re.S).strip().strip("$"),
                display=display,
            )
    inner = next((e for e in element.iter() if _local(e) == "math"), None)
    if inner is not None:
        return shown(mathml(inner), display=display)
    return one_line(" ".join(element.itertext()))


def _person(element: Any) -> str:
    parts = {_local(child): one_line(" ".join(child.itertext())) for child in element if _PERSONS.match(_local(child))}
    family = [parts.pop(key) for key in list(parts) if key in ("surname", "last-name", "lastname", "family")]
    return " ".join(filter(None, [*parts.values(), *family]))


def _list_lines(element: Any, depth: int) -> Iterator[str]:
    number = 0
    for child in element:
        name = _local(child)
        if name in _LISTS and depth < _DEEPEST:
            yield from _list_lines(child, depth + 1)
        elif name and name not in _TITLES:
            inner = [e for e in child.iterdescendants() if _local(e) in _LISTS and not _inside(e, child)]
            words = _words(child, without=inner)
            number += 1
            mark = f"{number}." if _local(element) in _ORDERED else "-"
            if words:
                yield f"{'  ' * min(depth, 8)}{mark} {words}"
            for each in inner if depth < _DEEPEST else ():
                yield from _list_lines(each, depth + 1)


def _rows_of(table: Any) -> list[Any]:
    return [
        e
        for e in table.iter()
        if _local(e) in _ROWS and next((a for a in e.iterancestors() if _local(a) in _TABLES), None) is not None
    ]


def _columns(cell: Any) -> int:
    """Columns that a cell covers, by HTML's attribute or by the names of the first and last (CALS)."""
    first, last = cell.get("namest") or "", cell.get("nameend") or ""
    digits = [re.search(r"(\d{1,3})$", each) for each in (first, last)]
    if digits[0] and digits[1]:
        return max(1, min(int(digits[1].group(1)) - int(digits[0].group(1)) + 1, 100))
    return span(cell.get("colspan"))


def _down(cell: Any) -> int:
    more = cell.get("morerows") or ""
    return int(more) + 1 if more.isascii() and more.isdigit() and len(more) < 4 else span(cell.get("rowspan"))


def _readable(element: Any) -> str:
    return _spelled(element.tag.rsplit("}", 1)[-1])


def _spelled(name: str) -> str:
    """`pubDate` and `pub-date` as words."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|[_\-.]+", " ", name).strip() or name


def _is_cited(title: Any) -> bool:
    """Whether a title is that of another work, in a list of references."""
    return any(
        _local(ancestor) in ("ref", "ref-list", "related-article", "citation") for ancestor in title.iterancestors()
    )
