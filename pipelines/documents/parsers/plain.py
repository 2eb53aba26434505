"""Plain text, in place: the text is the file's own, blocks point into it.

Headings of plain text are guessed: a line that is underlined, in capitals, or numbered and short, at the
start of a paragraph. What is not clearly one stays a paragraph.
"""

import re
from collections.abc import Sequence

from pipelines.contracts import Block
from pipelines.documents.parsers.decoding import decode
from pipelines.documents.parsers.draft import Kind, Outline, Parsed, lines_of, one_line, readable_name, storable

Line = tuple[int, int]

_RULE = re.compile(r"^\s*([=\-~^*_#+])\1{2,}\s*$")
_NUMBERED = re.compile(r"^(\d{1,2}(?:\.\d{1,2}){0,3})[.)]?\s+\S")
_ITEM = re.compile(r"^\s*(?:[-*+•–!]|\d{1,3}[.)]|[a-z][.)])\s+")
_LEVELS = {"=": 1, "#": 1, "*": 1, "-": 2, "_": 2, "~": 3, "^": 3, "+": 3}
_HEADING_CHARACTERS = 70


def parse(data: bytes, name: str) -> Parsed:
    """Text with paragraphs, lists and guessed headings."""
    text = decode(data)
    blocks = blocks_of(text)
    first = blocks[0] if blocks else None
    title = first.heading_path[-1] if first is not None and first.kind == "heading" else readable_name(name)
    return Parsed(storable(title), text, tuple(blocks))


def blocks_of(text: str) -> list[Block]:
    """Blocks of plain text: runs of lines between blank ones, headings apart."""
    outline = Outline()
    blocks: list[Block] = []
    for lines in paragraphs(text):
        rest = lines
        while rest:
            level, taken = _heading(text, rest, first=not blocks)
            if level is None:
                break
            if level:
                start, end = rest[taken]
                title = one_line(text[start:end])
                path = outline.enter(level, title)
                blocks.append(Block(kind="heading", start=start, end=end, heading_path=path))
            rest = rest[taken + 1 :]
            if rest and _RULE.match(text[rest[0][0] : rest[0][1]]):
                rest = rest[1:]
        if rest:
            start, end = rest[0][0], rest[-1][1]
            kind: Kind = "list" if is_list(text, rest) else "paragraph"
            blocks.append(Block(kind=kind, start=start, end=end, heading_path=outline.path))
    return blocks


def paragraphs(text: str) -> list[list[Line]]:
    """Runs of lines that hold more than white space; trailing white space is cut off each line."""
    runs: list[list[Line]] = [[]]
    for start, end in lines_of(text):
        line = text[start:end]
        if line.strip():
            runs[-1].append((start + len(line) - len(line.lstrip()), start + len(line.rstrip())))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _heading(text: str, lines: Sequence[Line], *, first: bool) -> tuple[int | None, int]:
    """(level, index of the heading's line); level 0: the line is a rule to be passed over; None: no heading."""
    line = text[lines[0][0] : lines[0][1]]
    following = text[lines[1][0] : lines[1][1]] if len(lines) > 1 else ""
    if _RULE.match(line):
        if len(lines) > 2 and _RULE.match(text[lines[2][0] : lines[2][1]]):
            return 2, 1
        return 0, 0
    if rule := _RULE.match(following):
        return (_LEVELS[rule.group(1)], 0) if len(line) <= 2 * _HEADING_CHARACTERS else (None, 0)
    if len(line) > _HEADING_CHARACTERS or line.endswith((".", ",", ";", ":")):
        return None, 0
    if _in_capitals(line):
        return (1 if first else _numbered_level(line) or 2), 0
    if _numbered_level(line) and not _numbered_level(following) and _begins_anew(following):
        return _numbered_level(line), 0
    return None, 0


def _numbered_level(line: str) -> int | None:
    """`4. Scope` is level 2 (the title is 1), `4.1 Detail` level 3."""
    found = _NUMBERED.match(line)
    return 2 + found.group(1).count(".") if found else None


def _begins_anew(following: str) -> bool:
    """Whether a line does not continue the one before it."""
    return not following or following[0].isupper() or not following[0].isalpha()


def _in_capitals(line: str) -> bool:
    letters = [c for c in line if c.isalpha()]
    return len(letters) >= 4 and sum(c.isupper() for c in letters) >= 0.85 * len(letters)


def is_list(text: str, lines: Sequence[Line]) -> bool:
    """Whether lines are items behind marks."""
    marked = sum(bool(_ITEM.match(text[start:end])) for start, end in lines)
    return bool(_ITEM.match(text[lines[0][0] : lines[0][1]])) and (marked > 1 or len(lines) == 1)
