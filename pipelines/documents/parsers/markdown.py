"""Markdown, in place: the text is the file's own, blocks are what markdown-it finds on its lines."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

from pipelines.contracts import Block
from pipelines.documents.parsers.decoding import decode
from pipelines.documents.parsers.draft import Kind, Outline, Parsed, lines_of, one_line, readable_name, storable

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_FRONT_MATTER = re.compile(
    r"\A---[ \t]*(?:\r\n|\n|\r)(?:.*?(?:\r\n|\n|\r))??(?:---|\.\.\.)[ \t]*(?:\r\n|\n|\r|\Z)", re.S
)
_LONGEST_HEADING = 250
"""Characters: a line of `=` below a paragraph makes it a heading, which one of this length is not meant to be."""
_KINDS: dict[str, Kind] = {
    "heading_open": "heading",
    "paragraph_open": "paragraph",
    "blockquote_open": "paragraph",
    "html_block": "paragraph",
    "bullet_list_open": "list",
    "ordered_list_open": "list",
    "table_open": "table",
    "fence": "code",
    "code_block": "code",
}


def parse(data: bytes, name: str) -> Parsed:
    """Markdown with its headings, paragraphs, lists, tables and code; front matter is a note."""
    text = decode(data)
    matter = _FRONT_MATTER.match(text)
    begin = matter.end() if matter else 0
    blocks = list(blocks_of(text, begin))
    if matter:
        blocks.insert(0, Block(kind="note", start=0, end=len(matter.group().rstrip())))
    title = next((b.heading_path[-1] for b in blocks if b.kind == "heading"), None) or readable_name(name)
    return Parsed(storable(title), text, tuple(blocks))


def blocks_of(text: str, begin: int = 0) -> Iterator[Block]:
    """The blocks of Markdown from an offset on."""
    lines = [(begin + start, begin + end) for start, end in lines_of(text[begin:])]
    tokens = _blocks_parser().parse(text[begin:])
    outline = Outline()
    for index, token in enumerate(tokens):
        kind = _KINDS.get(token.type) if token.level == 0 else None
        span = _span(text, lines, token)
        if kind is None or span is None:
            continue
        if kind == "heading":
            title = _plain(tokens[index + 1].content)
            kind = "heading" if 0 < len(title) <= _LONGEST_HEADING else "paragraph"
            if kind == "heading":
                outline.enter(int(token.tag[1:]), title)
        yield Block(kind=kind, start=span[0], end=span[1], heading_path=outline.path)


@cache
def _blocks_parser() -> "MarkdownIt":
    """Finds blocks, and does not look into their words."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable("table")
    parser.core.ruler.disable(["inline", "text_join"])
    return parser


@cache
def _parser() -> "MarkdownIt":
    """Made once: its rules take longer to put together than most files to parse."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table")


def _span(text: str, lines: Sequence[tuple[int, int]], token: "Token") -> tuple[int, int] | None:
    """Where a token's lines lie, white space around them cut off."""
    if token.map is None or token.map[0] >= len(lines):
        return None
    start = lines[token.map[0]][0]
    end = lines[min(token.map[1], len(lines)) - 1][1] if token.map[1] > token.map[0] else start
    piece = text[start:end]
    if not piece.strip():
        return None
    return start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())


def _plain(source: str) -> str:
    """A heading's words without its markup."""
    (inline,) = _parser().parseInline(source)
    parts = (" " if child.type in ("softbreak", "hardbreak") else child.content for child in inline.children or ())
    return one_line("".join(parts))
