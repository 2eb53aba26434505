"""Words of WordprocessingML: runs, fields, links, equations, marks of notes, and what a paragraph anchors."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pipelines.documents.parsers.draft import Draft, one_line, superscript
from pipelines.documents.parsers.equations import omml, shown
from pipelines.documents.parsers.package import Relation

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_W14 = "{http://schemas.microsoft.com/office/word/2010/wordml}"
_M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
BOX = f"{_W}txbxContent"
DOC_PROPERTIES = "{http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing}docPr"
CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}chart"
DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}relIds"
_SKIPPED = frozenset(
    [_FALLBACK, *(_W + name for name in ("del", "delText", "delInstrText", "moveFrom", "pPr", "rt", "sdtPr"))]
)
_CHARACTERS = {
    f"{_W}tab": " ",
    f"{_W}ptab": " ",
    f"{_W}cr": "\n",
    f"{_W}noBreakHyphen": "-",
    f"{_W}footnoteRef": "",
    f"{_W}endnoteRef": "",
}
_TARGET = re.compile(r'HYPERLINK\s+(?:\\[a-z]\s+)*"([^"]+)"', re.I)
_SYMBOLS = {0xFE: "[x]", 0xFD: "[x]", 0xFC: "✓", 0xFB: "✗", 0xA8: "[ ]", 0x6F: "[ ]", 0xE0: "→", 0xF0: "→", 0xB7: "•"}
"""Of Wingdings, by the low byte of a `w:sym`."""


@dataclass(kw_only=True)
class Words:
    """What is met on the way through a document's words."""

    links: dict[str, Relation]
    draft: Draft = field(default_factory=Draft)
    page: int | None = None
    began: int | None = None
    """The page on which the paragraph's first word stands; None before it."""
    notes: dict[tuple[str, str], int] = field(default_factory=dict)
    """(kind, id) of a footnote -> its number."""
    fields: list[str] = field(default_factory=list)
    """Instructions of the fields that are open."""
    after: list[Any] = field(default_factory=list)
    """Boxes, drawings and pictures of the paragraph that is being read."""


def text_of(reader: Words, element: Any) -> str:
    """A paragraph's words; what it anchors goes to `reader.after`."""
    parts: list[str] = []
    _collect(reader, element, parts)
    return "\n".join(one_line(line) for line in "".join(parts).split("\n")).strip()


def _collect(reader: Words, element: Any, parts: list[str]) -> None:
    for child in element:
        tag = child.tag
        if tag == f"{_W}t":
            parts.append(child.text or "")
            reader.began = reader.began or reader.page
        elif tag == f"{_W}r":
            _collect_run(reader, child, parts)
        elif tag in _CHARACTERS:
            parts.append(_CHARACTERS[tag])
        elif tag in _RULES:
            _RULES[tag](reader, child, parts)
        elif tag == BOX:
            reader.after.append(child)
        elif tag not in _SKIPPED:
            _collect(reader, child, parts)


def _collect_run(reader: Words, run: Any, parts: list[str]) -> None:
    """A run's words: none when they are hidden, figures behind `^` when they are raised."""
    properties = run.find(f"{_W}rPr")
    if properties is None:
        _collect(reader, run, parts)
        return
    hidden = properties.find(f"{_W}vanish")
    if hidden is not None and hidden.get(f"{_W}val") not in ("0", "false", "off"):
        return
    if _vertical(properties) != "superscript":
        _collect(reader, run, parts)
        return
    words: list[str] = []
    _collect(reader, run, words)
    parts.append(superscript("".join(words)))


def _vertical(properties: Any) -> str:
    found = properties.find(f"{_W}vertAlign")
    return "" if found is None else found.get(f"{_W}val") or ""


def _break(reader: Words, element: Any, parts: list[str]) -> None:
    parts.append("\n")


def _page_end(reader: Words, element: Any, parts: list[str]) -> None:
    if reader.page is not None:
        reader.page += 1


def _symbol(reader: Words, element: Any, parts: list[str]) -> None:
    code = element.get(f"{_W}char") or ""
    if re.fullmatch(r"[0-9A-Fa-f]{1,4}", code):
        parts.append(_SYMBOLS.get(int(code, 16) & 0xFF, ""))


def _content_control(reader: Words, element: Any, parts: list[str]) -> None:
    box = element.find(f"{_W}sdtPr/{_W14}checkbox")
    if box is None:
        _collect(reader, element, parts)
        return
    checked = box.find(f"{_W14}checked")
    parts.append("[x]" if checked is not None and checked.get(f"{_W14}val") in ("1", "true") else "[ ]")


def _field_mark(reader: Words, element: Any, parts: list[str]) -> None:
    """Fields: their results are ordinary text; a check box of an old form has none."""
    kind = element.get(f"{_W}fldCharType")
    if kind == "begin":
        reader.fields.append("")
        if (box := element.find(f"{_W}ffData/{_W}checkBox")) is not None:
            state = box.find(f"{_W}checked")
            state = box.find(f"{_W}default") if state is None else state
            parts.append("[x]" if state is not None and state.get(f"{_W}val", "1") in ("1", "true") else "[ ]")
    elif kind == "end" and reader.fields and (target := _TARGET.search(reader.fields.pop())):
        reader.draft.link("", target.group(1))


def _field_words(reader: Words, element: Any, parts: list[str]) -> None:
    if reader.fields:
        reader.fields[-1] += element.text or ""


def _hyperlink(reader: Words, element: Any, parts: list[str]) -> None:
    words: list[str] = []
    _collect(reader, element, words)
    relation = reader.links.get(element.get(f"{_R}id") or "")
    shown_words = "".join(words)
    parts.append(reader.draft.link(shown_words, relation.target) if relation and relation.external else shown_words)


def _equation(reader: Words, element: Any, parts: list[str]) -> None:
    parts.append(f" {shown(omml(element))} ")


def _equations(reader: Words, element: Any, parts: list[str]) -> None:
    parts += [f"\n{shown(omml(each), display=True)}\n" for each in element.iter(f"{_M}oMath")]


def _reference(reader: Words, element: Any, parts: list[str]) -> None:
    kind = element.tag[len(_W) :].removesuffix("Reference")
    key = (kind, element.get(f"{_W}id") or "")
    parts.append(f"[{reader.notes.setdefault(key, len(reader.notes) + 1)}]")


def _anchored(reader: Words, element: Any, parts: list[str]) -> None:
    reader.after.append(element)


_RULES: dict[str, Callable[[Words, Any, list[str]], None]] = {
    f"{_W}br": _break,
    f"{_W}lastRenderedPageBreak": _page_end,
    f"{_W}sym": _symbol,
    f"{_W}sdt": _content_control,
    f"{_W}fldChar": _field_mark,
    f"{_W}instrText": _field_words,
    f"{_W}hyperlink": _hyperlink,
    f"{_M}oMath": _equation,
    f"{_M}oMathPara": _equations,
    f"{_W}footnoteReference": _reference,
    f"{_W}endnoteReference": _reference,
    DOC_PROPERTIES: _anchored,
    CHART: _anchored,
    DIAGRAM: _anchored,
}
