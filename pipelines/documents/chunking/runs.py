"""Stretches of a document that fixed and recursive cut: blocks between which nothing else stands."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from pipelines.contracts import Block
from pipelines.documents.chunking import Piece
from pipelines.documents.chunking.tokens import Span, Tokens, trimmed, weights
from pipelines.documents.chunking.units import runs_of_words


def runs(text: str, blocks: Sequence[Block]) -> list[Span]:
    """Spans of blocks between which nothing but white space was left out, trimmed."""
    joined: list[Span] = []
    for block in blocks:
        if joined and not text[joined[-1][1] : block.start].strip():
            joined[-1] = (joined[-1][0], max(joined[-1][1], block.end))
        else:
            joined.append((block.start, block.end))
    return [trimmed(text, *each) for each in joined]


def fitting(text: str, blocks: Sequence[Block], spans: Sequence[Span], tokens: Tokens, size: int) -> list[Piece]:
    """Spans as chunks; one that holds more than `size` (its parts together may) is cut at words once more.

    What is cut anew does not repeat the chunk before it, nor does what would begin where that one did.
    """
    starts = [block.start for block in blocks]
    found: list[Piece] = []
    counts = weights(text, spans, tokens)
    before = -1
    for span, counted in zip(spans, counts, strict=True):
        fits = counted <= size and not (found and span[0] <= found[-1].start)
        parts = [(span, counted)] if fits else _cut(text, (max(span[0], before), span[1]), tokens, size)
        for (start, end), held in parts:
            block = blocks[max(0, bisect_right(starts, start) - 1)]
            found.append(Piece(start, end, held, block.heading_path, block.page))
        before = span[1]
    return found


def _cut(text: str, span: Span, tokens: Tokens, size: int) -> Iterator[tuple[Span, int]]:
    """Runs of words put together while they fit, counted as they stand."""
    words = [run for run, _ in runs_of_words(text, trimmed(text, *span), tokens, size)]
    first = 0
    while first < len(words):
        last, held = first, 0
        for end in range(first, len(words)):
            (counted,) = weights(text, [(words[first][0], words[end][1])], tokens)
            if counted > size and end > first:
                break
            last, held = end, counted
        yield (words[first][0], words[last][1]), held
        first = last + 1
