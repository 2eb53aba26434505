"""Cut at the widest gaps that give parts which fit: blank lines, then lines, sentences, words.

The way of most libraries, here by tokens instead of characters. Small parts side by side are joined while they fit.
"""

import re
from collections.abc import Sequence

from pipelines.contracts import Block
from pipelines.documents.chunking import Piece
from pipelines.documents.chunking.fixed import fitting, runs
from pipelines.documents.chunking.tokens import Span, Tokens, weights

_GAPS = (re.compile(r"\n\s*\n"), re.compile(r"\n"), re.compile(r"(?<=[.!?;])\s+"), re.compile(r"\s+"))


def divide(text: str, blocks: Sequence[Block], tokens: Tokens, *, size: int, overlap: int) -> list[Piece]:
    """Chunks of runs of blocks."""
    found = []
    for run in runs(text, blocks):
        parts = _parts(text, run, tokens, size, 0)
        for joined in _joined(text, parts, tokens, size, overlap):
            found += fitting(text, blocks, joined, tokens, size)
    return found


def _parts(text: str, span: Span, tokens: Tokens, size: int, gap: int) -> list[Span]:
    """Spans that fit, cut at the first kind of gap that does."""
    (counted,) = weights(text, [span], tokens)
    if counted <= size or gap == len(_GAPS):
        return [span]
    ends = [(span[0] + m.start(), span[0] + m.end()) for m in _GAPS[gap].finditer(text[span[0] : span[1]])]
    starts = [span[0], *(after for _, after in ends)]
    stops = [*(before for before, _ in ends), span[1]]
    cut = [(a, b) for a, b in zip(starts, stops, strict=True) if text[a:b].strip()]
    return [small for part in cut for small in _parts(text, part, tokens, size, gap + 1)]


def _joined(text: str, parts: Sequence[Span], tokens: Tokens, size: int, overlap: int) -> list[Span]:
    """Neighbours joined while they fit; the next one begins with as many of the last parts as `overlap` holds."""
    counts = weights(text, parts, tokens)
    groups: list[list[int]] = [[]]
    for number, counted in enumerate(counts):
        held = sum(counts[i] for i in groups[-1])
        if groups[-1] and held + counted > size:
            carried: list[int] = []
            for i in reversed(groups[-1][1:]):
                if sum(counts[j] for j in carried) + counts[i] > min(overlap, size - counted):
                    break
                carried.insert(0, i)
            groups.append(carried)
        groups[-1].append(number)
    return [(parts[group[0]][0], parts[group[-1]][1]) for group in groups if group]
