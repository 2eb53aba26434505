"""Rows -> lines of text, cells -> tables, in the order in which they are read, whatever way their script runs."""

import itertools
import re
from collections.abc import Iterable, Sequence
from statistics import median

from pipelines.documents.parsers.layout import Line, Row, Table
from pipelines.documents.parsers.sheets import Box, Face, Word

_SHARED_LOOK = 0.85
"""A line is bold when this share of its letters is."""
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff]")
_LEADING_STOP = re.compile(r"^([.,:;!?]+)(\w.*)$")
"""A stop that ends a sentence of a script to the left stands left of the number before it."""


def line_of(row: Row, column: int) -> Line:
    """A row as one line, of the size that most of its characters have and the look that nearly all have."""
    words = [word for segment in row for word in segment.words]
    letters: dict[tuple[float, Face], int] = {}
    for word in words:
        style = word.size, word.face
        letters[style] = letters.get(style, 0) + len(word.text)
    size, face = max(letters, key=letters.__getitem__)
    if len(letters) > 1:
        whole = sum(letters.values())
        bold, italic, mono = (sum(n for (_, look), n in letters.items() if look[mark]) for mark in range(3))
        face = Face(bold >= _SHARED_LOOK * whole, italic >= _SHARED_LOOK * whole, mono == whole)
    return Line(
        _fixed(words) if face.mono else text_of(words),
        row[0].x0,
        max(segment.x1 for segment in row),
        min(segment.top for segment in row),
        max(segment.bottom for segment in row),
        size,
        face,
        column,
    )


def text_of(words: Sequence[Word]) -> str:
    """Words of a line from left to right as text, in the order in which they are read."""
    if any(_RIGHT_TO_LEFT.search(word.text) for word in words):
        return _mirrored(words)
    parts = [words[0].text]
    for last, word in itertools.pairwise(words):
        gap = word.x0 - last.x1
        close = not word.spaced and gap < 0.15 * word.size
        parts.append(word.text if close else f" {word.text}")
    return "".join(parts)


def _fixed(words: Sequence[Word]) -> str:
    """A line of a typewriter's font with as many spaces between its words as they are apart."""
    width = median((word.x1 - word.x0) / len(word.text) for word in words)
    line = words[0].text
    for last, word in itertools.pairwise(words):
        line += " " * min(80, max(round((word.x0 - last.x1) / max(width, 0.1)), int(word.spaced))) + word.text
    return line


def _mirrored(words: Sequence[Word]) -> str:
    """A line that holds a script which runs to the left.

    Where that script has most letters, words are read from the right and runs of other words from the left;
    else the other way round.
    """
    to_left = [bool(_RIGHT_TO_LEFT.search(word.text)) for word in words]
    mirrored = _runs_to_left(word.text for word in words)
    runs: list[tuple[bool, list[Word]]] = []
    for word, left in zip(words, to_left, strict=True):
        same = left == mirrored or not re.search(r"\w", word.text)
        if runs and not same and not runs[-1][0]:
            runs[-1][1].append(word)
        else:
            runs.append((same, [word]))
    line = ""
    last: Word | None = None
    for _, run in reversed(runs) if mirrored else runs:
        for word in run if mirrored else reversed(run):
            gap = max(word.x0 - last.x1, last.x0 - word.x1) if last is not None else 0.0
            close = not re.search(r"\w", word.text) and gap < 0.15 * word.size
            text = _LEADING_STOP.sub(r"\2\1", word.text) if mirrored else word.text
            line += text if close or last is None else f" {text}"
            last = word
    return line


def _runs_to_left(texts: Iterable[str]) -> bool:
    """Whether most letters are of a script that runs to the left."""
    letters = [c for text in texts for c in text if c.isalpha()]
    return 2 * sum(bool(_RIGHT_TO_LEFT.match(c)) for c in letters) > len(letters)


def table_of(rows: list[list[str]], box: Box) -> Table:
    """Rows from left to right as a table in the order in which they are read; the box: x0, top, x1, bottom."""
    if any(_RIGHT_TO_LEFT.search(cell) for row in rows for cell in row) and _runs_to_left(
        c for row in rows for c in row
    ):
        rows = [row[::-1] for row in rows]
    x0, top, x1, bottom = box
    return Table(rows, x0, x1, top, bottom)
