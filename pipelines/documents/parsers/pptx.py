"""PPTX -> a heading and its text a slide, in reading order; tables, charts' figures, SmartArt and speaker notes too.

`page` is the slide's number. Hidden slides count: who opens the deck sees them. Footers and comments become notes.
Not covered: text that only a layout or master holds, animations.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pipelines.documents.parsers.draft import Draft, Parsed, one_line, readable_name
from pipelines.documents.parsers.drawings import A, described, lines, number, text_of, write_chart, write_diagram
from pipelines.documents.parsers.grid import Cell, span, spread
from pipelines.documents.parsers.package import Package, Relation, core_title, main_part, relations
from pipelines.errors import DocumentError

_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}chart"
_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}relIds"
_SHAPES = frozenset(_P + name for name in ("sp", "grpSp", "graphicFrame", "pic", "cxnSp"))
_TITLES = ("title", "ctrTitle")
_MARGINS = ("dt", "ftr", "sldNum", "hdr")
_ROW_SHARE = 0.03
"""Shapes whose tops differ by less than this share of the slide's height stand side by side."""

Place = tuple[int, int]
Key = tuple[str, str]


@dataclass(frozen=True)
class Slide:
    """A slide's shapes, where they lead to, and where its layout puts placeholders."""

    number: int
    tree: Any
    links: dict[str, Relation]
    places: dict[Key, Place]
    height: int


def parse(data: bytes, name: str) -> Parsed:
    """Every slide; the deck's title is that of its first slide."""
    package = Package(data)
    part = main_part(package, "ppt/presentation.xml")
    root = package.xml(part)
    draft = Draft()
    size = root.find(f"{_P}sldSz")
    height = number(size.get("cy")) if size is not None else 0
    for at, (slide_part, slide_root) in enumerate(_slides(package, part, root), 1):
        tree = slide_root.find(f"{_P}cSld/{_P}spTree")
        links = relations(package, slide_part)
        if tree is not None:
            _write_slide(package, Slide(at, tree, links, _layout_places(package, links), height), draft)
    if draft.is_empty:
        raise DocumentError("the presentation holds no text")
    return draft.finish(draft.first_heading or core_title(package) or readable_name(name))


def _slides(package: Package, part: str, root: Any) -> Iterator[tuple[str, Any]]:
    """(part, root) of the slides that the deck lists; one that the file does not hold is passed over."""
    links = relations(package, part)
    for entry in root.iterfind(f"{_P}sldIdLst/{_P}sldId"):
        relation = links.get(entry.get(f"{_R}id") or "")
        slide = package.xml_or_none(relation.target) if relation is not None and not relation.external else None
        if relation is not None and slide is not None:
            yield relation.target, slide


def _write_slide(package: Package, slide: Slide, draft: Draft) -> None:
    shapes = list(_in_reading_order(_children(slide.tree), slide))
    title = next((s for s in shapes if _placeholder(s)[0] in _TITLES and _words(s)), None)
    draft.leave(2)
    if title is not None:
        draft.heading(1 if slide.number == 1 else 2, _words(title), slide.number)
    for shape in shapes:
        if shape is not title:
            _write_shape(package, shape, slide, draft)
    for relation in slide.links.values():
        if relation.kind == "notesSlide" and (notes := package.xml_or_none(relation.target)) is not None:
            bodies = [s for s in notes.iter(f"{_P}sp") if _placeholder(s)[0] == "body"]
            words = "\n".join(line.words for body in bodies for line in lines(body))
            draft.add("paragraph", f"Speaker notes: {words}" if words else "", slide.number)
        elif relation.kind == "comments" and (comments := package.xml_or_none(relation.target)) is not None:
            for comment in comments:
                words = one_line(" ".join(comment.itertext()))
                draft.put_aside(f"[Comment on slide {slide.number}] {words}" if words else "")


def _children(parent: Any) -> Iterator[Any]:
    """Shapes, also those of which the file holds two versions."""
    for child in parent:
        if child.tag in _SHAPES:
            yield child
        elif child.tag == f"{_MC}AlternateContent":
            yield from _children(child.find(f"{_MC}Choice") if child.find(f"{_MC}Choice") is not None else ())


def _in_reading_order(shapes: Iterable[Any], slide: Slide) -> Iterator[Any]:
    """Shapes row by row, each row from left to right; those of a group stay together."""
    placed = sorted(((_place(shape, slide), at, shape) for at, shape in enumerate(shapes)), key=lambda e: e[:2])
    rows: list[list[tuple[Place, int, Any]]] = []
    for entry in placed:
        if not rows or entry[0][0] - rows[-1][0][0][0] > _ROW_SHARE * slide.height:
            rows.append([])
        rows[-1].append(entry)
    for row in rows:
        for _, _, shape in sorted(row, key=lambda e: (e[0][1], e[1])):
            if shape.tag == f"{_P}grpSp":
                yield from _in_reading_order(_children(shape), slide)
            else:
                yield shape


def _place(shape: Any, slide: Slide) -> Place:
    """(top, left) in EMU; a placeholder that does not say stands where its layout has it."""
    own = _own_place(shape)
    if own is not None:
        return own
    kind, index = _placeholder(shape)
    return slide.places.get((kind, index)) or slide.places.get(("", index)) or slide.places.get((kind, "")) or (0, 0)


def _own_place(shape: Any) -> Place | None:
    for path in (f"{_P}spPr/{A}xfrm", f"{_P}grpSpPr/{A}xfrm", f"{_P}xfrm"):
        if (at := shape.find(f"{path}/{A}off")) is not None:
            return number(at.get("y")), number(at.get("x"))
    return None


def _layout_places(package: Package, links: dict[str, Relation]) -> dict[Key, Place]:
    """Where placeholders stand: (kind, index), and each of them alone, -> place; the layout goes before its master."""
    found: dict[Key, Place] = {}
    for kind in ("slideLayout", "slideMaster"):
        part = next((r.target for r in links.values() if r.kind == kind and not r.external), None)
        root = package.shared_xml(part) if part else None
        for shape in () if root is None else root.iter(f"{_P}sp"):
            if (place := _own_place(shape)) is not None and _placeholder(shape) != ("", ""):
                name, index = _placeholder(shape)
                for key in ((name, index), ("", index), (name, "")):
                    found.setdefault(key, place)
        links = relations(package, part) if part else {}
    return found


def _placeholder(shape: Any) -> Key:
    """(kind, index) of a placeholder; two empty strings for another shape."""
    found = shape.find(f"{_P}nvSpPr/{_P}nvPr/{_P}ph")
    return ("", "") if found is None else (found.get("type", "body"), found.get("idx", "0"))


def _words(shape: Any) -> str:
    body = shape.find(f"{_P}txBody")
    return "" if body is None else " ".join(line.words for line in lines(body))


def _write_shape(package: Package, shape: Any, slide: Slide, draft: Draft) -> None:
    if _placeholder(shape)[0] in _MARGINS:
        draft.put_aside("" if _placeholder(shape)[0] == "sldNum" else _words(shape))
    elif shape.tag == f"{_P}graphicFrame":
        _write_frame(package, shape, slide, draft)
    elif (body := shape.find(f"{_P}txBody")) is not None:
        found = lines(body, lambda link, words: _linked(slide, draft, link, words))
        if len(found) > 1:
            draft.add(
                "list", "\n".join(f"{'  ' * line.level}{line.label} {line.words}" for line in found), slide.number
            )
        elif found:
            draft.add("paragraph", found[0].words, slide.number)
    elif shape.tag == f"{_P}pic":
        draft.add("paragraph", described(shape.find(f"{_P}nvPicPr/{_P}cNvPr")), slide.number)


def _linked(slide: Slide, draft: Draft, link: str, words: str) -> str:
    relation = slide.links.get(link)
    return draft.link(words, relation.target) if relation is not None and relation.external else words


def _write_frame(package: Package, frame: Any, slide: Slide, draft: Draft) -> None:
    for table in frame.iter(f"{A}tbl"):
        draft.table(spread(_cells(row) for row in table.iterchildren(f"{A}tr")), slide.number)
    for tag, attribute, write in ((_CHART, "id", write_chart), (_DIAGRAM, "dm", write_diagram)):
        for element in frame.iter(tag):
            if (relation := slide.links.get(element.get(_R + attribute) or "")) is not None:
                write(package, relation.target, draft, slide.number)


def _cells(row: Any) -> list[Cell]:
    """A table row's cells; those that others cover are left out."""
    return [
        Cell(
            " ".join(one_line(text_of(p)) for p in cell.iter(f"{A}p")),
            span(cell.get("gridSpan")),
            span(cell.get("rowSpan")),
        )
        for cell in row.iterchildren(f"{A}tc")
        if cell.get("hMerge") not in ("1", "true") and cell.get("vMerge") not in ("1", "true")
    ]
