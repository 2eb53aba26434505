"""CSV and its kin -> Markdown tables, one row a line, the first row as header.

Lines above the table (a report's name, a date) are paragraphs; blank lines divide tables of different widths; a
first row that is plainly data leaves the header blank.
"""

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from pipelines.documents.parsers.decoding import decode
from pipelines.documents.parsers.draft import Draft, Parsed, readable_name
from pipelines.errors import DocumentError

_DELIMITERS = (",", ";", "\t", "|", ":", "^", "~")
_SAMPLE_CHARACTERS = 50_000
_SAMPLE_ROWS = 50
_LARGEST_FIELD = 10_000_000
_SEPARATOR = re.compile(r'"?sep=(.)"?[ \t]*(?:\r\n|\r|\n)', re.I)
_FIGURE = re.compile(r"[-+]?(?:\d+[.,]\d+|\d{5,}|\d{4}-\d\d-\d\d.*|\d{1,2}[./]\d{1,2}[./]\d{2,4})")
"""A decimal number, a long one or a date: what is in no header, unlike a year."""

Row = list[str]


def parse(data: bytes, name: str) -> Parsed:
    """The tables; delimiter found by which one gives every row the same width."""
    text = decode(data)
    draft = Draft()
    regions = list(_regions(_rows(text)))
    single = all(_width(region) == 1 for region in regions)
    for region in regions:
        if _width(region) > 1 or single:
            _write(region, draft)
        else:
            draft.add("paragraph", "\n".join(cell for row in region for cell in row))
    if draft.is_empty:
        raise DocumentError("the table holds no text")
    return draft.finish(readable_name(name))


def _rows(text: str) -> list[Row]:
    csv.field_size_limit(_LARGEST_FIELD)
    named = _SEPARATOR.match(text)
    delimiter = named.group(1) if named else _delimiter(text)
    text = text[named.end() :] if named else text
    escape = "\\" if f"\\{delimiter}" in text[:_SAMPLE_CHARACTERS] or '\\"' in text[:_SAMPLE_CHARACTERS] else None
    stream = io.StringIO(text.replace("\x00", ""), newline="")
    try:
        return list(csv.reader(stream, delimiter=delimiter, skipinitialspace=delimiter != "\t", escapechar=escape))
    except csv.Error as exc:
        raise DocumentError(f"not readable as CSV: {exc}") from exc


def _delimiter(text: str) -> str:
    """The delimiter whose rows agree best: most rows of the commonest width, then the widest."""
    sample = text[:_SAMPLE_CHARACTERS]
    if len(sample) < len(text):
        sample = sample[: max(map(sample.rfind, "\r\n")) + 1] or sample  # its last line is cut off

    def fit(delimiter: str) -> tuple[float, int]:
        if delimiter not in sample:
            return 0.0, 1
        try:
            reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, skipinitialspace=True)
            widths = [len(row) for row in itertools.islice(reader, _SAMPLE_ROWS) if row]
        except csv.Error:
            return 0.0, 1
        common, rows = Counter(widths).most_common(1)[0] if widths else (1, 0)
        share = rows / len(widths) if widths else 0.0
        # colons and the like stand inside fields of every file: they must fit without exception
        return (share, common) if common > 1 and (share == 1 or delimiter in _DELIMITERS[:4]) else (0.0, 1)

    return max(_DELIMITERS, key=fit)


def _regions(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Runs of rows between blank ones; runs of one width are one table."""
    found: list[list[Row]] = []
    for filled, group in itertools.groupby(rows, key=lambda row: any(map(str.strip, row))):
        if filled:
            region = list(group)
            if found and _width(found[-1]) == _width(region):
                found[-1] += region
            else:
                found.append(region)
    yield from found


def _width(rows: Sequence[Row]) -> int:
    return Counter(map(len, rows)).most_common(1)[0][0]


def _write(rows: list[Row], draft: Draft) -> None:
    width = _width(rows)
    above = 0
    while width > 1 and above < len(rows) - 1 and _is_title(rows[above], rows[above + 1], width):
        draft.add("paragraph", "".join(rows[above]))
        above += 1
    table = rows[above:]
    draft.table(table, headless=_is_headless(table))


def _is_title(row: Row, following: Row, width: int) -> bool:
    """A row of one field that is shorter than the table, or that stands above a full one."""
    return _filled(row) == 1 and (
        len(row) != width or (bool(row[0].strip()) and width > 2 and _filled(following) == width)
    )


def _filled(row: Row) -> int:
    return sum(bool(cell.strip()) for cell in row)


def _is_headless(rows: Sequence[Row]) -> bool:
    """Whether the first row is data: a figure or date stands there in a column of figures or dates."""
    if len(rows) < 3 or not all(map(str.strip, rows[0])):
        return False
    columns = range(min(map(len, rows[:5])))
    return any(all(_FIGURE.fullmatch(row[x].strip()) for row in rows[:5]) for x in columns)
