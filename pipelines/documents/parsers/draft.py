"""What a parser gives, and how it is put together.

Invariant: `parsed.text[block.start:block.end]` is the block; blocks are in reading order and do not overlap.
A block's `heading_path` are the headings that it stands under; a heading's own path ends with itself, so
its length is the heading's depth. A `note` says something about the document and is not part of its prose.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Literal

from pipelines.contracts import Block

Kind = Literal["heading", "paragraph", "list", "table", "code", "note"]

_SURROGATES = re.compile("[\ud800-\udfff]")
_SPACES = re.compile(r"[ \t\u00a0\u2002-\u200a\u202f\u3000]+")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+\Z")


@dataclass(frozen=True)
class Parsed:
    """A parser's result."""

    title: str
    text: str
    blocks: tuple[Block, ...] = field(default=())
    meta: Mapping[str, str] = field(default_factory=dict)
    """What the file says about itself: names and values of properties.py."""


class Outline:
    """The headings that are open at a point of a document."""

    def __init__(self) -> None:
        self._open: list[tuple[int, str]] = []

    @property
    def path(self) -> tuple[str, ...]:
        """Open headings, outermost first."""
        return tuple(title for _, title in self._open)

    def enter(self, level: int, title: str) -> tuple[str, ...]:
        """Open a heading: those of the same or a deeper level are closed."""
        while self._open and self._open[-1][0] >= level:
            self._open.pop()
        self._open.append((level, title))
        return self.path


class Draft:
    """Text and blocks of a format that is not text itself, put together block by block."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._blocks: list[Block] = []
        self._outline = Outline()

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks so far."""
        return tuple(self._blocks)

    @property
    def first_heading(self) -> str | None:
        """The first heading, if there is one."""
        return next((b.heading_path[-1] for b in self._blocks if b.kind == "heading"), None)

    @property
    def is_empty(self) -> bool:
        """Whether nothing but notes was added."""
        return all(block.kind == "note" for block in self._blocks)

    def heading(self, level: int, title: str, page: int | None = None) -> None:
        """Add a heading of a level (1 is the highest)."""
        line = one_line(title)
        if line:
            self._outline.enter(level, line)
            self.add("heading", line, page)

    def add(self, kind: Kind, text: str, page: int | None = None) -> None:
        """Add a block; blank text adds nothing."""
        clean = storable(text).strip()
        if not clean:
            return
        if self._parts:
            self._parts.append("\n\n")
            self._length += 2
        self._parts.append(clean)
        start, self._length = self._length, self._length + len(clean)
        path = self._outline.path
        self._blocks.append(Block(kind=kind, start=start, end=self._length, page=page, heading_path=path))

    def table(self, rows: Sequence[Sequence[str]], page: int | None = None) -> None:
        """Add a table as Markdown, the first row as its header; a table without text adds nothing."""
        self.add("table", markdown_table(rows), page)

    def finish(self, title: str) -> Parsed:
        """The document as it stands."""
        return Parsed(storable(one_line(title)), "".join(self._parts), tuple(self._blocks))


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as a Markdown table, one row a line; empty rows and columns are left out. "" for no cells."""
    kept = [[_cell(cell) for cell in row] for row in rows]
    width = max((len(row) for row in kept), default=0)
    padded = [row + [""] * (width - len(row)) for row in kept if any(row)]
    columns = [i for i in range(width) if any(row[i] for row in padded)]
    lines = ["| " + " | ".join(row[i] for i in columns) + " |" for row in padded]
    if not lines:
        return ""
    return "\n".join([lines[0], "|" + "---|" * len(columns), *lines[1:]])


def _cell(text: str) -> str:
    return one_line(text).replace("|", "\\|")


def one_line(text: str) -> str:
    """Text with every run of white space as one space."""
    return " ".join(text.split())


def squeezed(text: str) -> str:
    """Text with runs of spaces as one, lines kept."""
    return _SPACES.sub(" ", text).strip()


def storable(text: str) -> str:
    """Text that UTF-8 and Parquet can hold: lone surrogates become U+FFFD, NUL is left out."""
    return _SURROGATES.sub("\ufffd", text).replace("\x00", "")


def readable_name(name: str) -> str:
    """A file name as a title: `travel-and-expenses_2026.md` -> `Travel and expenses 2026`."""
    stem = PurePosixPath(name).stem
    words = one_line(re.sub(r"[_\-]+", " ", stem)) or stem
    return words[:1].upper() + words[1:]


def lines_of(text: str) -> Iterator[tuple[int, int]]:
    """(start, end without the newline) of each line; a newline is CR, LF or CRLF and nothing else."""
    for match in _LINE.finditer(text):
        yield match.start(), match.start() + len(match.group().rstrip("\r\n"))
