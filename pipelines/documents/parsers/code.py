"""Source code and data files as plain text, in place: blocks are runs of lines between blank ones."""

from pipelines.contracts import Block
from pipelines.documents.parsers.decoding import decode
from pipelines.documents.parsers.draft import Parsed
from pipelines.documents.parsers.plain import paragraphs


def parse(data: bytes, name: str) -> Parsed:
    """The file's own text; its title is its name, which for code says more than its first line."""
    text = decode(data)
    blocks = tuple(Block(kind="code", start=run[0][0], end=run[-1][1]) for run in paragraphs(text))
    return Parsed(name.rsplit("/", 1)[-1], text, blocks)
