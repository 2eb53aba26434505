"""As many tokens as fit, one window after another, whatever the text says: the plainest way, to compare with."""

from collections.abc import Sequence

from pipelines.contracts import Block
from pipelines.documents.chunking import Piece
from pipelines.documents.chunking.tokens import Tokens, trimmed, weights


def divide(text: str, blocks: Sequence[Block], tokens: Tokens, *, size: int, overlap: int) -> list[Piece]:
    """Windows of `size` tokens over runs of blocks that follow one another, `overlap` of them shared with the next."""
    found = []
    for start, end in runs(text, blocks):
        spans = [(start + a, start + b) for a, b in tokens.spans(text[start:end])]
        step = max(1, size - overlap)
        for first in range(0, max(1, len(spans) - overlap), step):
            window = spans[first : first + size]
            if window:
                found += fitting(text, blocks, (window[0][0], window[-1][1]), tokens, size)
    return found


def runs(text: str, blocks: Sequence[Block]) -> list[tuple[int, int]]:
    """Spans of blocks between which nothing was left out."""
    joined: list[tuple[int, int]] = []
    for block in blocks:
        if joined and not text[joined[-1][1] : block.start].strip():
            joined[-1] = (joined[-1][0], block.end)
        else:
            joined.append((block.start, block.end))
    return joined


def fitting(text: str, blocks: Sequence[Block], span: tuple[int, int], tokens: Tokens, size: int) -> list[Piece]:
    """A span as a chunk; halved while it is above `size`, which joining can bring about in a tokenizer or two."""
    start, end = trimmed(text, *span)
    if start >= end:
        return []
    (counted,) = weights(text, [(start, end)], tokens)
    if counted > size and end - start > 1:
        half = (start + end) // 2
        return [piece for part in ((start, half), (half, end)) for piece in fitting(text, blocks, part, tokens, size)]
    block = next((each for each in blocks if each.start <= start < each.end), blocks[0])
    return [Piece(start, end, counted, block.heading_path, block.page)]
