"""Words of OpenDocument: spans, links, footnotes, comments, equations, list labels, and what a paragraph anchors."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pipelines.documents.parsers.draft import Draft, one_line, superscript
from pipelines.documents.parsers.equations import mathml, shown
from pipelines.documents.parsers.numbering import formatted
from pipelines.documents.parsers.package import Package

_NS = "urn:oasis:names:tc:opendocument:xmlns:"
OFFICE, TEXT, TABLE, STYLE, PRESENTATION = (
    f"{{{_NS}{name}:1.0}}" for name in ("office", "text", "table", "style", "presentation")
)
DRAW = f"{{{_NS}drawing:1.0}}"
SVG = f"{{{_NS}svg-compatible:1.0}}"
XLINK = "{http://www.w3.org/1999/xlink}"
DC = "{http://purl.org/dc/elements/1.1/}"
MATH = "{http://www.w3.org/1998/Math/MathML}math"
SKIPPED = frozenset(
    [TEXT + name for name in ("tracked-changes", "sequence-decls", "variable-decls", "hidden-text", "ruby-text")]
    + [f"{OFFICE}forms", f"{SVG}title", f"{SVG}desc"]
)
_SPACES = {f"{TEXT}s": " ", f"{TEXT}tab": " ", f"{TEXT}line-break": "\n"}


@dataclass(frozen=True)
class Level:
    """How a list's level is labelled; an empty format is a bullet, None no label."""

    format: str | None = ""
    before: str = ""
    after: str = ""
    start: int = 1
    shown_levels: int = 1


@dataclass
class Reader:
    """What is known while a document is read from top to bottom."""

    package: Package | None
    parents: dict[str, str]
    """Automatic style -> the style that it is based on."""
    lists: dict[str, dict[int, Level]]
    outline: dict[int, Level]
    """Labels of headings by level."""
    hidden: frozenset[str]
    """Styles of tables that are not shown."""
    raised: frozenset[str]
    """Styles of superscripts."""
    draft: Draft = field(default_factory=Draft)
    page: int | None = None
    shift: int = 0
    counts: dict[int, int] = field(default_factory=dict)
    """Of headings by level."""
    footnotes: list[str] = field(default_factory=list)
    after: list[Any] = field(default_factory=list)
    """Frames and shapes of the paragraph that is being read."""


def count_of(value: str | None, otherwise: int = 1) -> int:
    """A count as files write it; `otherwise` where it is none."""
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 8 else otherwise


def label_of(level: Level, depth: int, counts: dict[int, int], levels: dict[int, Level]) -> str:
    """The label of an item or heading: `2.1`, `b)`, `-` for a bullet, "" for none."""
    if level.format is None:
        return ""
    if not level.format:
        return "-"
    first = max(1, depth - level.shown_levels + 1)
    shown_counts = [
        formatted(counts[at], levels.get(at, Level()).format or "decimal")
        for at in range(first, depth + 1)
        if at in counts
    ]
    return f"{level.before}{'.'.join(shown_counts)}{level.after}".strip()


def end_page(reader: Reader) -> None:
    """Count a page, in a file that says where pages end."""
    if reader.page is not None:
        reader.page += 1


def words_of(reader: Reader, element: Any) -> str:
    """A paragraph's words; what it anchors goes to `reader.after`, footnotes to the end."""
    parts: list[str] = [element.text or ""]
    _collect(reader, element, parts)
    return "\n".join(one_line(line) for line in "".join(parts).split("\n")).strip()


def _collect(reader: Reader, element: Any, parts: list[str]) -> None:
    for child in element:
        tag = child.tag
        if tag in _RULES:
            _RULES[tag](reader, child, parts)
        elif tag in _SPACES:
            parts.append(_SPACES[tag] * min(count_of(child.get(f"{TEXT}c")), 100))
        elif isinstance(tag, str) and tag.startswith(DRAW) and tag != f"{DRAW}a":
            reader.after.append(child)
        elif isinstance(tag, str) and tag not in SKIPPED:
            parts.append(child.text or "")
            _collect(reader, child, parts)
        parts.append(child.tail or "")


def _frame(reader: Reader, element: Any, parts: list[str]) -> None:
    """A frame inside a line: an equation is part of the sentence, anything else follows the paragraph."""
    held = element.find(f"{DRAW}object")
    place = "" if held is None else (held.get(f"{XLINK}href") or "").removeprefix("./")
    part = f"{place}/content.xml"
    root = reader.package.xml_or_none(part) if held is not None and reader.package and part in reader.package else held
    equation = None if root is None else next(root.iter(MATH, "math"), None)
    if equation is None:
        reader.after.append(element)
    else:
        parts.append(f" {shown(mathml(equation))} ")


def _span(reader: Reader, element: Any, parts: list[str]) -> None:
    words: list[str] = [element.text or ""]
    _collect(reader, element, words)
    inside = "".join(words)
    parts.append(superscript(inside) if element.get(f"{TEXT}style-name") in reader.raised else inside)


def _link(reader: Reader, element: Any, parts: list[str]) -> None:
    words: list[str] = [element.text or ""]
    _collect(reader, element, words)
    parts.append(reader.draft.link("".join(words), element.get(f"{XLINK}href") or ""))


def _footnote(reader: Reader, element: Any, parts: list[str]) -> None:
    citation = one_line(element.findtext(f"{TEXT}note-citation") or str(len(reader.footnotes) + 1))
    body = element.find(f"{TEXT}note-body")
    words = "" if body is None else one_line(" ".join(words_of(reader, p) for p in body.iter(f"{TEXT}p")))
    parts.append(f"[{citation}]")
    reader.footnotes.append(f"[{citation}] {words}")


def put_comment_aside(reader: Reader, element: Any, parts: list[str] | None = None) -> None:
    """Keep a comment for a note at the end."""
    author = one_line(element.findtext(f"{DC}creator") or "")
    words = " ".join(filter(None, (words_of(reader, p) for p in element.iter(f"{TEXT}p"))))
    reader.draft.put_aside(f"[Comment{f' by {author}' if author else ''}] {words}" if words else "")


def _page_end(reader: Reader, element: Any, parts: list[str]) -> None:
    end_page(reader)


_RULES: dict[str, Callable[[Reader, Any, list[str]], None]] = {
    f"{TEXT}a": _link,
    f"{TEXT}span": _span,
    f"{TEXT}note": _footnote,
    f"{OFFICE}annotation": put_comment_aside,
    f"{TEXT}soft-page-break": _page_end,
    f"{DRAW}frame": _frame,
}
