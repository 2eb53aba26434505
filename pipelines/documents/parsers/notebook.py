"""Jupyter notebooks -> their cells in order: Markdown as it is structured, code, and outputs that are text.

Tables that a cell shows become Markdown tables. Pictures and widgets are left out, long outputs cut.
"""

import json
import re
from typing import Any

from pipelines.documents.parsers import html, markdown
from pipelines.documents.parsers.decoding import decode
from pipelines.documents.parsers.draft import Draft, Parsed, readable_name
from pipelines.errors import DocumentError

_LONGEST_OUTPUT = 5000
"""Characters of a cell's outputs: more is data, not a statement."""
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def parse(data: bytes, name: str) -> Parsed:
    """The notebook's text; its title is its first heading."""
    try:
        book = json.loads(decode(data))
    except ValueError as exc:
        raise DocumentError(f"damaged notebook: {exc}") from exc
    draft = Draft()
    for cell in _cells(book):
        source = _joined(cell.get("source", cell.get("input")))
        kind = cell.get("cell_type")
        if kind == "markdown":
            _write_markdown(source, draft)
        elif kind == "heading":
            level = cell.get("level")
            draft.heading(level if isinstance(level, int) else 1, source)
        elif kind == "code":
            draft.add("code", source)
            draft.add("code", _cut("\n".join(filter(None, (_output(each, draft) for each in _list(cell, "outputs"))))))
        else:
            draft.add("paragraph", source)
    if draft.is_empty:
        raise DocumentError("the notebook holds no text")
    return draft.finish(draft.first_heading or readable_name(name))


def _cells(book: Any) -> list[dict[str, Any]]:
    """Cells, also of notebooks of the time before version 4."""
    if not isinstance(book, dict):
        raise DocumentError("damaged notebook: it holds no cells")
    sheets = [sheet for sheet in _list(book, "worksheets") if isinstance(sheet, dict)]
    cells = [cell for owner in (book, *sheets) for cell in _list(owner, "cells")]
    return [cell for cell in cells if isinstance(cell, dict)]


def _list(owner: dict[str, Any], key: str) -> list[Any]:
    value = owner.get(key)
    return value if isinstance(value, list) else []


def _joined(value: Any) -> str:
    """Text that a notebook keeps as one string or as its lines."""
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""


def _write_markdown(source: str, draft: Draft) -> None:
    for block in markdown.blocks_of(source):
        words = source[block.start : block.end]
        if block.kind == "heading":
            draft.heading(len(words) - len(words.lstrip("#")) or 1, block.heading_path[-1])
        else:
            draft.add(block.kind, words)


def _output(output: Any, draft: Draft) -> str:
    """An output's text; a table goes to the draft itself."""
    if not isinstance(output, dict):
        return ""
    data = output.get("data")
    shown = data if isinstance(data, dict) else output
    page = _joined(shown.get("text/html", shown.get("html")))
    if "<table" in page:
        try:
            draft.embed(html.parse_text(page, "output.html"))
        except DocumentError:
            pass  # an empty one
        else:
            return ""
    if output.get("output_type") in ("error", "pyerr"):
        return f"{_joined(output.get('ename'))}: {_joined(output.get('evalue'))}"
    found = _joined(shown.get("text/markdown")) or _joined(shown.get("text/latex")) or _joined(shown.get("text/plain"))
    return _ANSI.sub("", found or _joined(output.get("text"))).strip("\n")


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_OUTPUT else f"{text[:_LONGEST_OUTPUT]}\n[...]"
