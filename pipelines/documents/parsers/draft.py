"""What a parser gives, and how it is put together.

Invariant: `parsed.text[block.start:block.end]` is the block; blocks are in reading order and do not overlap.
A block's `heading_path` are the headings that it stands under; a heading's own path ends with itself, so
its length is the heading's depth. A `note` says something about the document and is not part of its prose: what
stands around a page, comments, where links lead. Search does not read notes.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from textwrap import dedent
from typing import Literal

from pipelines.contracts import Block
from pipelines.errors import DocumentError

Kind = Literal["heading", "paragraph", "list", "table", "code", "note"]

MAX_CHARACTERS = 250_000_000
"""Of a document's text; more is refused."""
_MAX_LINKS = 1000
_LONGEST_LINK = 500
_LINK_CHARACTERS = 3000
"""Links may always take so much room."""
_LONGEST_HEADING = 300
_INLINE = re.compile(r"(?:mailto|tel):", re.I)
_EMPTY_WORDS = re.compile(
    r"(?:click |see |read |look )?(?:here|this|link|this (?:link|page|site)|more|hier|ici|aquí|aqui|qui)\W*", re.I
)
_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]")
"""Soft hyphens and joiners: they part words for the eye, and break them for search."""
_RAISED = re.compile(r"\s*[-+−]?\d")
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
        self.leave(level)
        self._open.append((level, title))
        return self.path

    def leave(self, level: int) -> None:
        """Close the headings of a level and of deeper ones."""
        while self._open and self._open[-1][0] >= level:
            self._open.pop()


class Draft:
    """Text and blocks of a format that is not text itself, put together block by block."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._blocks: list[Block] = []
        self._outline = Outline()
        self._links: dict[str, str] = {}
        self._aside: dict[str, None] = {}

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
        line = one_line(storable(title))
        if len(line) > _LONGEST_HEADING:
            self.add("paragraph", line, page)  # a style taken for its looks
        elif line:
            self._outline.enter(level, line)
            self.add("heading", line, page)

    def leave(self, level: int) -> None:
        """What follows stands under no heading of this level or a deeper one."""
        self._outline.leave(level)

    def add(self, kind: Kind, text: str, page: int | None = None, below: tuple[str, ...] = ()) -> None:
        """Add a block; blank text adds nothing. `below`: further headings that it alone stands under."""
        if kind == "list" and text.startswith(" "):
            text = dedent(text)  # a list that begins with a deeper item
        clean = _INVISIBLE.sub("", storable(text)).strip()
        if not clean:
            return
        if self._parts:
            self._parts.append("\n\n")
            self._length += 2
        self._parts.append(clean)
        start, self._length = self._length, self._length + len(clean)
        if self._length > MAX_CHARACTERS:
            raise DocumentError(f"holds more than {MAX_CHARACTERS} characters of text; divide it")
        path = (*self._outline.path, *below)
        self._blocks.append(Block(kind=kind, start=start, end=self._length, page=page, heading_path=path))

    def table(self, rows: Sequence[Sequence[str]], page: int | None = None, *, headless: bool = False) -> None:
        """Add a table as Markdown, the first row as its header; a table without text adds nothing."""
        self.add("table", markdown_table(rows, headless=headless), page)

    def embed(self, parsed: Parsed) -> None:
        """Add another document's blocks under the headings that are open (an attachment's, say)."""
        for block in parsed.blocks:
            self.add(block.kind, parsed.text[block.start : block.end], block.page, block.heading_path)

    def put_aside(self, text: str) -> None:
        """Keep what stands around the document (page headers, comments) for a note at its end, once each."""
        if text.strip():
            self._aside.setdefault(text.strip())

    def link(self, words: str, target: str) -> str:
        """What a link reads as: its words, and where they say nothing or hide an address, its target after them.

        Every target is listed in a note at the end. Addresses between the words of every sentence would weigh more
        in search than the words do.
        """
        words, target = words.strip("\n"), one_line(target)[:_LONGEST_LINK]
        if not target or target.startswith("#") or target.lower().startswith(("javascript:", "data:")):
            return words
        address = _INLINE.sub("", target).split("?", 1)[0]
        if _INLINE.match(target) or _EMPTY_WORDS.fullmatch(words.strip()):
            return words if address in words.replace(" ", "") else f"{words} ({address})" if words else address
        if len(self._links) < _MAX_LINKS and target not in words:
            self._links.setdefault(target, one_line(words))
        return words

    def finish(self, title: str) -> Parsed:
        """The document as it stands, notes at its end."""
        self._outline = Outline()
        for text in self._aside:
            self.add("note", text)
        self.add("note", "\n".join(self._link_lines()))
        return Parsed(storable(one_line(title)), "".join(self._parts), tuple(self._blocks))

    def _link_lines(self) -> Iterator[str]:
        """The links, those that lead to other places first; not more than a share of the text itself."""
        room = max(_LINK_CHARACTERS, self._length // 3)
        hosts = Counter(_host(target) for target in self._links)
        own = hosts.most_common(1)[0][0] if hosts else ""
        for number, target in enumerate(sorted(self._links, key=lambda each: _host(each) in (own, ""))):
            line = f"- {words}: {target}" if (words := self._links[target]) else f"- {target}"
            room -= len(line)
            if room < 0:
                yield f"- and {len(self._links) - number} more"
                return
            yield line if number else f"[Links]\n{line}"


def _host(target: str) -> str:
    return target.split("/", 3)[2] if "://" in target[:12] else ""


def markdown_table(rows: Sequence[Sequence[str]], *, headless: bool = False) -> str:
    """Rows as a Markdown table, one row a line; empty rows and columns are left out. "" for no cells.

    The first row is the header; `headless`: it is data, and the header is left blank.
    """
    width = max(map(len, rows), default=0)
    blanks = [""] * width
    cleaned = ([_cell(cell) for cell in row] for row in rows)
    padded = [row if len(row) == width else row + blanks[len(row) :] for row in cleaned if any(row)]
    if not padded:
        return ""
    columns = [i for i in range(width) if any(row[i] for row in padded)]
    if len(columns) < width:
        padded = [[row[i] for i in columns] for row in padded]
    if headless:
        padded.insert(0, blanks[: len(columns)])
    lines = ["| " + " | ".join(row) + " |" for row in padded]
    return "\n".join([lines[0], "|" + "---|" * len(columns), *lines[1:]])


def _cell(text: str) -> str:
    if text.isalnum():
        return text
    line = " ".join(text.split())
    if "|" in line:
        return line.replace("|", "\\|")
    return text if line == text else line  # millions of cells: no copies


def one_line(text: str) -> str:
    """Text with every run of white space as one space."""
    return " ".join(text.split())


def superscript(words: str) -> str:
    """Raised words as text: figures behind `^`, since 10^3 is not 103; others (`1st`, `[2]`) as they are."""
    return f"^{words.strip()}" if _RAISED.match(words) else words


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
