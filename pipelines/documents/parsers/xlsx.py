"""XLSX -> a heading and tables a sheet; values as they were last calculated, dates as ISO, per cent as shown.

Hidden sheets are left out, with a note. A blank row ends a table; rows above a table that hold a single
cell are paragraphs.
"""

import datetime
import io
import itertools
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

from pipelines.documents.parsers.draft import Draft, Parsed, one_line, readable_name
from pipelines.errors import DocumentError

_MAX_COLUMNS = 1024
_MAX_BLANK_ROWS = 5000
"""Sheets are often formatted far below their last value."""


def parse(data: bytes, name: str) -> Parsed:
    """Every visible sheet; `page` is the sheet's number."""
    book = _book(data)
    draft = Draft()
    for number, sheet in enumerate(book.worksheets, 1):
        if sheet.sheet_state != "visible":
            draft.add("note", f"[Hidden sheet left out: {sheet.title}]", number)
            continue
        draft.heading(1, sheet.title, number)
        sheet.reset_dimensions()
        for region in _regions(_rows(sheet)):
            _write(region, draft, number)
    if all(block.kind in ("heading", "note") for block in draft.blocks):
        raise DocumentError("the workbook holds no values")
    return draft.finish(one_line(str(book.properties.title or "")) or readable_name(name))


def _book(data: bytes) -> Any:
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        return openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, OSError, SyntaxError) as exc:
        raise DocumentError(f"damaged XLSX: {one_line(str(exc))}") from exc


def _rows(sheet: Any) -> Iterator[list[str]]:
    blank = 0
    for row in sheet.iter_rows(max_col=_MAX_COLUMNS):
        cells = [_shown(cell.value, getattr(cell, "number_format", "")) for cell in row]
        blank = 0 if any(cells) else blank + 1
        if blank > _MAX_BLANK_ROWS:
            return
        yield cells


def _regions(rows: Iterator[list[str]]) -> Iterator[list[list[str]]]:
    for filled, group in itertools.groupby(rows, key=any):
        if filled:
            yield list(group)


def _write(region: Sequence[list[str]], draft: Draft, number: int) -> None:
    wide = any(sum(map(bool, row)) > 1 for row in region)
    above = list(itertools.takewhile(lambda row: wide and sum(map(bool, row)) == 1, region))
    for row in above:
        draft.add("paragraph", "".join(row), number)
    if wide:
        draft.table(region[len(above) :], number)
    else:
        draft.add("paragraph", "\n".join("".join(row) for row in region), number)


def _shown(value: Any, number_format: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ", timespec="minutes")
    if isinstance(value, (int, float)) and "%" in (number_format or ""):
        return f"{_number(round(value * 100, 6))}%"
    return _number(value) if isinstance(value, float) else str(value)


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(round(value, 10))
