"""CSV and its kin -> a Markdown table, one row a line, the first row as header."""

import csv
import io
import sys

from pipelines.documents.parsers.decoding import decode
from pipelines.documents.parsers.draft import Draft, Parsed, readable_name
from pipelines.errors import DocumentError

_DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_LINES = 50


def parse(data: bytes, name: str) -> Parsed:
    """The table; delimiter found by which one gives every row the same width."""
    text = decode(data)
    csv.field_size_limit(sys.maxsize)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), skipinitialspace=True))
    except csv.Error as exc:
        raise DocumentError(f"not readable as CSV: {exc}") from exc
    draft = Draft()
    draft.table(rows)
    if draft.is_empty:
        raise DocumentError("the table holds no text")
    return draft.finish(readable_name(name))


def _delimiter(text: str) -> str:
    """The delimiter whose rows agree best: most rows of the commonest width, then the widest."""
    sample = "\n".join(text.splitlines()[:_SAMPLE_LINES])

    def fit(delimiter: str) -> tuple[float, int]:
        widths = [len(row) for row in csv.reader(io.StringIO(sample), delimiter=delimiter) if row]
        common = max(set(widths), key=widths.count, default=1)
        return (widths.count(common) / len(widths), common) if common > 1 else (0.0, 1)

    return max(_DELIMITERS, key=fit)
