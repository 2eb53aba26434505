"""documents -> chunks, one file a strategy.

A strategy gives spans of a document's text; what they stand under and how long they are is found here, the same way for
all. Invariants: `document.text[piece.start:piece.end]` is the chunk; no chunk holds more than `size` tokens of the
embedding model's tokenizer; a note is in no chunk; chunks come in reading order. `docs/chunking.md` compares them.
"""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pipelines.contracts import Block
from pipelines.documents.chunking.tokens import Tokens

CHUNKER_VERSION = 3
"""Part of a chunk's id: raise it when equal documents give other chunks."""
Strategy = Literal["structural", "recursive", "fixed", "semantic"]


@dataclass(frozen=True)
class Piece:
    """A chunk before it has an id: a span of the document's text."""

    start: int
    end: int
    tokens: int
    heading_path: tuple[str, ...]
    page: int | None


def pieces(
    text: str, blocks: Sequence[Block], tokens: Tokens, *, size: int, overlap: int, strategy: Strategy = "structural"
) -> list[Piece]:
    """Chunks of a document in reading order; a text without blocks is one paragraph."""
    kept = [block for block in blocks if block.kind != "note" and text[block.start : block.end].strip()]
    if not kept and not blocks and text.strip():
        kept = [Block(kind="paragraph", start=0, end=len(text))]
    divide: Callable[..., list[Piece]] = importlib.import_module(f"{__name__}.{strategy}").divide
    found = divide(text, kept, tokens, size=size, overlap=overlap)
    return sorted(found, key=lambda piece: (piece.start, piece.end))
