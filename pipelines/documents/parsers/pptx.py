"""PPTX -> a heading and its text a slide, in reading order; tables, charts' figures and speaker notes too."""

import io
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any

from pipelines.documents.parsers.draft import Draft, Parsed, one_line, readable_name
from pipelines.errors import DocumentError


def parse(data: bytes, name: str) -> Parsed:
    """Every slide; `page` is its number, the deck's title is that of its first slide."""
    deck = _opened(data)
    draft = Draft()
    for number, slide in enumerate(_slides(deck), 1):
        title = _title(slide)
        draft.heading(1 if number == 1 else 2, one_line(title.text_frame.text) if title is not None else "", number)
        for shape in _in_reading_order(slide.shapes):
            if title is None or shape.shape_id != title.shape_id:
                _write(shape, draft, number)
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            words = _lines(slide.notes_slide.notes_text_frame)
            draft.add("paragraph", "Speaker notes: " + "\n".join(w for _, w in words) if words else "", number)
    if draft.is_empty:
        raise DocumentError("the presentation holds no text")
    return draft.finish(draft.first_heading or one_line(deck.core_properties.title or "") or readable_name(name))


def _opened(data: bytes) -> Any:
    import pptx
    from lxml import etree
    from pptx.exc import PythonPptxError

    try:
        return pptx.Presentation(io.BytesIO(data))
    except (PythonPptxError, zipfile.BadZipFile, etree.LxmlError, KeyError, ValueError, OSError) as exc:
        raise DocumentError(f"damaged PPTX: {one_line(str(exc))}") from exc


def _slides(deck: Any) -> Iterator[Any]:
    """Slides that the deck shows; one that the file does not hold is passed over."""
    for entry in deck.slides._sldIdLst:
        try:
            yield deck.part.related_slide(entry.rId)
        except KeyError:
            continue


def _title(slide: Any) -> Any:
    title = slide.shapes.title
    return title if title is not None and title.text_frame.text.strip() else None


def _in_reading_order(shapes: Iterable[Any]) -> list[Any]:
    """Shapes from top to bottom, then left to right; those of a group stay together."""
    flat = []
    for index, shape in enumerate(shapes):
        place = (shape.top or 0, shape.left or 0, index)
        inner = _in_reading_order(shape.shapes) if hasattr(shape, "shapes") else [shape]
        flat.append((place, inner))
    return [shape for _, inner in sorted(flat, key=lambda entry: entry[0]) for shape in inner]


def _write(shape: Any, draft: Draft, number: int) -> None:
    if getattr(shape, "has_table", False):
        draft.table([[cell.text for cell in row.cells] for row in shape.table.rows], number)
    elif getattr(shape, "has_chart", False):
        draft.table(_figures(shape.chart), number)
    elif shape.has_text_frame:
        lines = _lines(shape.text_frame)
        if len(lines) > 1:
            draft.add("list", "\n".join("  " * level + f"- {words}" for level, words in lines), number)
        elif lines:
            draft.add("paragraph", lines[0][1], number)


def _lines(frame: Any) -> list[tuple[int, str]]:
    """(level, words) of the paragraphs that hold text."""
    found = [(p.level, one_line("".join(_runs(p._p)))) for p in frame.paragraphs]
    return [(level, words) for level, words in found if words]


def _runs(paragraph: Any) -> Iterator[str]:
    for child in paragraph.iter():
        tag = child.tag.rsplit("}", 1)[-1] if isinstance(child.tag, str) else ""
        if tag == "t":
            yield child.text or ""
        elif tag in ("br", "tab"):
            yield " "


def _figures(chart: Any) -> list[list[str]]:
    """A chart's categories and series as a table; no rows where it has none."""
    rows: list[list[str]] = []
    for plot in chart.plots:
        series = list(plot.series)
        rows.append(["", *(str(s.name or "") for s in series)])
        for index, category in enumerate(plot.categories):
            values = [s.values[index] if index < len(s.values) else None for s in series]
            rows.append([str(category), *("" if v is None else f"{v:g}" for v in values)])
    return rows
