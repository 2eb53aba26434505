"""DrawingML, which Word, PowerPoint and Excel share: charts, SmartArt, text in shapes, what a picture shows.

Charts give their titles and figures as a table, SmartArt its points as a list.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipelines.documents.parsers.draft import Draft, one_line, superscript
from pipelines.documents.parsers.equations import omml, shown
from pipelines.documents.parsers.numbering import formatted
from pipelines.documents.parsers.package import Package

Linked = Callable[[str, str], str]

A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_DGM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
_M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_MOST_POINTS = 2000
"""Of a chart; above that the figures are data, not a statement."""
_MADE_BY_MACHINE = re.compile(
    r"\s*(?:Description automatically generated|AI-generated content may be incorrect\.?).*$", re.S
)


@dataclass(frozen=True)
class Line:
    """A paragraph of a shape: how deep it stands, its label (`-`, `2.`), its words."""

    level: int
    label: str
    words: str


def lines(body: Any, linked: Linked | None = None) -> list[Line]:
    """The paragraphs of a text body that hold words. `linked`: (relation's id, words) -> what a link reads as."""
    found: list[Line] = []
    counts: dict[int, int] = {}
    for paragraph in body.iter(f"{A}p"):
        words = one_line(text_of(paragraph, linked))
        if not words:
            continue
        properties = paragraph.find(f"{A}pPr")
        level = 0 if properties is None else min(number(properties.get("lvl")), 8)
        counts = {deep: count for deep, count in counts.items() if deep <= level}
        numbered = None if properties is None else properties.find(f"{A}buAutoNum")
        if numbered is None:
            counts.pop(level, None)
            found.append(Line(level, "-", words))
        else:
            counts[level] = counts.get(level, number(numbered.get("startAt"), 1) - 1) + 1
            found.append(Line(level, _label(counts[level], numbered.get("type") or ""), words))
    return found


def _label(count: int, scheme: str) -> str:
    format = {"alphaLc": "lowerLetter", "alphaUc": "upperLetter", "romanLc": "lowerRoman", "romanUc": "upperRoman"}
    name = next((format[start] for start in format if scheme.startswith(start)), "decimal")
    return formatted(count, name) + (")" if "Paren" in scheme else ".")


def number(value: str | None, otherwise: int = 0) -> int:
    """An integer as DrawingML writes it; `otherwise` where it is not one."""
    return int(value) if value and re.fullmatch(r"-?[0-9]{1,12}", value) else otherwise


def text_of(paragraph: Any, linked: Linked | None = None) -> str:
    """A paragraph's words, equations as LaTeX."""
    parts: list[str] = []
    _collect(paragraph, parts, linked)
    return "".join(parts)


def _collect(element: Any, parts: list[str], linked: Linked | None) -> None:
    for child in element:
        if child.tag == f"{A}t":
            click = None if linked is None else element.find(f"{A}rPr/{A}hlinkClick")
            raised = element.find(f"{A}rPr")
            up = raised is not None and number(raised.get("baseline")) > 0
            words = superscript(child.text or "") if up else child.text or ""
            parts.append(words if linked is None or click is None else linked(click.get(f"{_R}id") or "", words))
        elif child.tag in (f"{A}br", f"{A}tab"):
            parts.append(" ")
        elif child.tag == f"{_M}oMath":
            parts.append(f" {shown(omml(child))} ")
        elif isinstance(child.tag, str) and child.tag != _FALLBACK:
            _collect(child, parts, linked)


def described(properties: Any) -> str:
    """`[Image: ...]` for the alternative text in a drawing's properties; "" without one worth reading."""
    words = one_line(_MADE_BY_MACHINE.sub("", properties.get("descr") or "")) if properties is not None else ""
    return f"[Image: {words}]" if len(words) > 3 and not re.fullmatch(r"\S+\.\w{3,4}", words) else ""


def write_chart(package: Package, part: str, draft: Draft, page: int | None = None) -> None:
    """A chart part's titles as a paragraph, its figures as a table."""
    root = package.xml_or_none(part)
    if root is None:
        return
    titles = [one_line(text_of(title)) for title in root.iter(f"{_C}title")]
    draft.add("paragraph", "Chart: " + "; ".join(filter(None, titles)) if any(titles) else "", page)
    rows = _figures(root)
    if sum(map(len, rows)) <= _MOST_POINTS:
        draft.table(rows, page)


def _figures(root: Any) -> list[list[str]]:
    """Categories and series of a chart as rows; a category that only some series have leaves blanks."""
    columns: list[tuple[str, dict[str, str]]] = []
    order: dict[str, str] = {}
    for series in root.iter(f"{_C}ser"):
        names = _points(series.find(f"{_C}cat")) or _points(series.find(f"{_C}xVal"))
        values = _points(series.find(f"{_C}val")) or _points(series.find(f"{_C}yVal"))
        name = " ".join(_points(series.find(f"{_C}tx")).values())
        for at in values:
            order.setdefault(at, names.get(at, str(number(at) + 1)))
        columns.append((name, values))
    if not order:
        return []
    header = ["", *(name for name, _ in columns)]
    return [
        header,
        *([category, *(_number(values.get(at, "")) for _, values in columns)] for at, category in order.items()),
    ]


def _points(source: Any) -> dict[str, str]:
    """Index -> value of a chart's stored data; several levels of categories are joined."""
    found: dict[str, str] = {}
    for point in () if source is None else source.iter(f"{_C}pt"):
        value = point.findtext(f"{_C}v") or ""
        at = point.get("idx") or "0"
        found[at] = f"{value} {found[at]}" if at in found else value
    if source is not None and not found:
        found = {"0": words} if (words := one_line(source.findtext(f"{_C}v") or "")) else {}
    return found


def _number(value: str) -> str:
    try:
        return f"{float(value):.10g}"
    except ValueError:
        return value


def write_diagram(package: Package, part: str, draft: Draft, page: int | None = None) -> None:
    """SmartArt's points in the order of its data."""
    root = package.xml_or_none(part)
    if root is None:
        return
    points = [" ".join(line.words for line in lines(point)) for point in root.iter(f"{_DGM}pt") if _is_content(point)]
    draft.add("list", "\n".join(f"- {words}" for words in points if words), page)


def _is_content(point: Any) -> bool:
    return point.get("type", "node") in ("node", "asst", "doc")
