"""Cut at the widest gaps that give parts which fit: blank lines, then lines, sentences, words.

The way of most libraries, here by tokens instead of characters. Small parts side by side are joined while they fit.
"""

import re
from collections import deque
from collections.abc import Sequence

from pipelines.contracts import Block
from pipelines.documents.chunking import Piece
from pipelines.documents.chunking.runs import fitting, runs
from pipelines.documents.chunking.tokens import Span, Tokens, trimmed, weights
from pipelines.documents.chunking.units import CHARACTERS_A_TOKEN, runs_of_words

_GAPS = (
    re.compile(r"(?<=\S)[^\S\r\n]*(?:\r\n|\r|\n)[^\S\r\n]*(?:\r\n|\r|\n)\s*"),
    re.compile(r"[\r\n]+"),
    re.compile(r"(?<=[.!?;…])\s+|(?<=[。！？；])"),
)


def divide(text: str, blocks: Sequence[Block], tokens: Tokens, *, size: int, overlap: int) -> list[Piece]:
    """Chunks of runs of blocks."""
    spans = [
        joined
        for run in runs(text, blocks)
        for joined in _joined(_parts(text, run, tokens, size), size, min(overlap, size // 2))
    ]
    return fitting(text, blocks, spans, tokens, size)


def _parts(text: str, run: Span, tokens: Tokens, size: int) -> list[tuple[Span, int]]:
    """Spans that fit with their tokens, cut at the first kind of gap that does; each kind counts the text once."""
    parts = _counted(text, [run], tokens, size)
    for gap in _GAPS:
        cut: list[tuple[Span, int]] = []
        waiting: list[Span] = []
        for span, counted in parts:
            if counted <= size:
                cut += [*_counted(text, waiting, tokens, size), (span, counted)]
                waiting = []
            else:
                waiting += _between(text, span, gap)
        parts = [*cut, *_counted(text, waiting, tokens, size)]
    small: list[tuple[Span, int]] = []
    for span, counted in parts:
        small += [(span, counted)] if counted <= size else runs_of_words(text, span, tokens, size)
    return small


def _counted(text: str, spans: Sequence[Span], tokens: Tokens, size: int) -> list[tuple[Span, int]]:
    """Spans with their tokens; one that is far too long is not counted."""
    short = [(a, b) for a, b in spans if b - a <= CHARACTERS_A_TOKEN * size]
    counts = dict(zip(short, weights(text, short, tokens), strict=True))
    return [(span, counts.get(span, size + 1)) for span in spans]


def _between(text: str, span: Span, gap: re.Pattern[str]) -> list[Span]:
    at, found = span[0], []
    for match in gap.finditer(text, *span):
        found.append(trimmed(text, at, match.start()))
        at = match.end()
    found.append(trimmed(text, at, span[1]))
    return [(start, end) for start, end in found if start < end]


def _joined(parts: Sequence[tuple[Span, int]], size: int, overlap: int) -> list[Span]:
    """Neighbours joined while they fit; the next one begins with as many of the last parts as `overlap` holds."""
    spans: list[Span] = []
    group: deque[tuple[Span, int]] = deque()
    held = 0
    for span, counted in parts:
        if group and held + counted > size:
            spans.append((group[0][0][0], group[-1][0][1]))
            held -= group.popleft()[1]  # a chunk never begins where the one before did
            while group and (held > overlap or held + counted > size):
                held -= group.popleft()[1]
        group.append((span, counted))
        held += counted
    if group:
        spans.append((group[0][0][0], group[-1][0][1]))
    return spans
