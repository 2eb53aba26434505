"""reStructuredText, in place: the text is the file's own, blocks point into it.

Headings are told by their underlines, whose levels follow from the order in which they first occur. Code, tables
and lists are blocks as a whole; comments, targets and tables of contents are notes.
Not covered: what directives fetch or make.
"""

import re

from pipelines.contracts import Block
from pipelines.documents.parsers.decoding import decode
from pipelines.documents.parsers.draft import Kind, Outline, Parsed, lines_of, one_line, readable_name, storable

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1{1,}\s*")
_SIMPLE_TABLE = re.compile(r"=+(?: +=+)+\s*")
_GRID = re.compile(r"\+[-=+]+\+\s*")
_DIRECTIVE = re.compile(r"\.\. (?:\|[^|]+\| )?([A-Za-z][\w:.+-]*)::(?:\s|$)")
_ITEM = re.compile(r"\s*(?:[-*+•‣]|(?:\d{1,3}|[#A-Za-z])[.)]|\((?:\d{1,3}|[#a-zA-Z])\))\s+\S")
_CODE = frozenset(
    "code code-block sourcecode parsed-literal literalinclude math prompt doctest testcode ipython".split()
)
_TABLES = frozenset(["table", "csv-table", "list-table"])
_NOTES = frozenset("toctree contents meta index highlight default-role include only raw sectnum role replace".split())
_ROLE = re.compile(r":[\w:+-]+:`([^`<]*?)(?:\s*<[^`]*>)?`|``?([^`]+?)(?:\s*<[^`]*>)?``?_{0,2}|\*{1,2}([^*]+)\*{1,2}")
_LONGEST_TABLE = 2000
"""Lines in which a table's last rule is looked for."""


def parse(data: bytes, name: str) -> Parsed:
    """The text with its headings, paragraphs, lists, tables and code."""
    text = decode(data)
    blocks = _Scanner(text).blocks()
    title = next((b.heading_path[-1] for b in blocks if b.kind == "heading"), None) or readable_name(name)
    return Parsed(storable(title), text, tuple(blocks))


class _Scanner:
    """Goes through the lines once, a block at a time."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._spans = list(lines_of(text))
        self._lines = [text[start:end].rstrip() for start, end in self._spans]
        self._levels: dict[tuple[str, bool], int] = {}
        self._outline = Outline()
        self._blocks: list[Block] = []

    def blocks(self) -> list[Block]:
        at = 0
        literal = False
        while at < len(self._lines):
            line = self._lines[at]
            if not line:
                at += 1
                continue
            indented = line[0] in " \t"
            heading = None if indented else self._heading(at)
            if heading is not None:
                at = heading
                literal = False
                continue
            end, kind = self._extent(at, literal=literal and indented)
            self._add(kind, at, end)
            literal = kind in ("paragraph", "list") and self._lines[end - 1].endswith("::")
            at = end
        return self._blocks

    def _add(self, kind: Kind | None, first: int, end: int) -> None:
        """A block of lines; None for those that are nothing (a rule)."""
        start, last = self._spans[first][0], self._spans[end - 1][1]
        piece = self._text[start:last]
        if kind is not None and piece.strip():
            start += len(piece) - len(piece.lstrip())
            last = start + len(piece.strip())
            self._blocks.append(Block(kind=kind, start=start, end=last, heading_path=self._outline.path))

    def _heading(self, at: int) -> int | None:
        """The line after a heading, which is entered; None where there is none."""
        line = self._lines[at]
        following = self._lines[at + 1] if at + 1 < len(self._lines) else ""
        over = _ADORNMENT.fullmatch(line)
        if over is not None:
            under = self._lines[at + 2] if at + 2 < len(self._lines) else ""
            if not following.strip() or not _is_rule(under, over.group(1), following):
                return None
            title, taken, row = following, 3, at + 1
        elif _is_rule(following, None, line):
            title, taken, row = line, 2, at
        else:
            return None
        mark = (self._lines[at + taken - 1][0], over is not None)
        level = self._levels.setdefault(mark, len(self._levels) + 1)
        self._outline.enter(level, _plain(title))
        self._add("heading", row, row + 1)
        return at + taken

    def _extent(self, at: int, *, literal: bool) -> tuple[int, Kind | None]:
        """(line after the block, its kind)."""
        line = self._lines[at]
        if literal:
            return self._indented(at, 1), "code"
        if _ADORNMENT.fullmatch(line) and len(line) >= 4:
            return at + 1, None
        if line.startswith(".."):
            return self._explicit(at)
        if _SIMPLE_TABLE.fullmatch(line):
            return self._simple_table(at), "table"
        if _GRID.fullmatch(line.strip()):
            return self._run(at), "table"
        if line.startswith(">>> "):
            return self._run(at), "code"
        if _ITEM.match(line):
            return self._list(at), "list"
        return self._run(at), "paragraph"

    def _explicit(self, at: int) -> tuple[int, Kind]:
        """A directive with what is indented below it; comments and targets are notes."""
        end = self._indented(at + 1, 1)
        directive = _DIRECTIVE.match(self._lines[at])
        if directive is None:
            return end, "note" if not re.match(r"\.\. \[", self._lines[at]) else "paragraph"  # footnotes are text
        name = directive.group(1)
        if name in _CODE:
            return end, "code"
        return end, "table" if name in _TABLES else "note" if name in _NOTES else "paragraph"

    def _run(self, at: int) -> int:
        """The line after a run of lines without a blank one; a heading ends it too."""
        end = at + 1
        while end < len(self._lines) and self._lines[end]:
            if end + 1 < len(self._lines) and end > at + 1 and not self._lines[end][0].isspace():
                following = self._lines[end + 1]
                if (
                    _ADORNMENT.fullmatch(following)
                    and _is_rule(following, None, self._lines[end])
                    and len(following) > 3
                ):
                    break
            end += 1
        return end

    def _indented(self, at: int, least: int) -> int:
        """The line after those that are indented, blank ones between them counted in."""
        end = last = at
        while end < len(self._lines):
            line = self._lines[end]
            if line and len(line) - len(line.lstrip()) < least:
                break
            end += 1
            last = end if line else last
        return max(last, at)

    def _list(self, at: int) -> int:
        """The line after the items of a list and what is indented below them."""
        end = last = at + 1
        while end < len(self._lines):
            line = self._lines[end]
            if line and not line[0].isspace() and not _ITEM.match(line) and not self._lines[end - 1]:
                break
            if line and not line[0].isspace() and _is_rule(self._lines[min(end + 1, len(self._lines) - 1)], None, line):
                break
            end += 1
            last = end if line else last
        return last

    def _simple_table(self, at: int) -> int:
        """The line after a table's last rule."""
        end = at + 1
        rules = 1
        while end < min(len(self._lines), at + _LONGEST_TABLE):
            line = self._lines[end]
            if _SIMPLE_TABLE.fullmatch(line):
                rules += 1
                if rules >= 2 and (end + 1 == len(self._lines) or not self._lines[end + 1]):
                    return end + 1
            elif not line and rules >= 3:
                return end
            end += 1
        return self._run(at)


def _is_rule(line: str, mark: str | None, title: str) -> bool:
    """Whether a line underlines a title: of one character, at least about as long."""
    found = _ADORNMENT.fullmatch(line)
    if found is None or (mark is not None and found.group(1) != mark) or not title.strip():
        return False
    if _ADORNMENT.fullmatch(title) or len(title.strip()) > 200:
        return False
    return len(line.rstrip()) >= min(len(title.strip()), 4) and (len(line) >= 3 or len(line) >= len(title))


def _plain(title: str) -> str:
    """A heading's words without their markup."""
    return one_line(_ROLE.sub(lambda m: next(g for g in m.groups() if g is not None), title.strip())) or title.strip()
