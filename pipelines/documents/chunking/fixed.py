"""As many tokens as fit, one window after another, whatever the text says: the plainest way, to compare with.

Windows end between words, unless a word is longer than a quarter of a window.
"""

from collections.abc import Iterator, Sequence

from pipelines.contracts import Block
from pipelines.documents.chunking import Piece
from pipelines.documents.chunking.runs import fitting, runs
from pipelines.documents.chunking.tokens import Span, Tokens, trimmed

_BACK_SHARE = 4


def divide(text: str, blocks: Sequence[Block], tokens: Tokens, *, size: int, overlap: int) -> list[Piece]:
    """Windows of at most `size` tokens over runs of blocks that follow one another, `overlap` shared with the next."""
    spans = [window for run in runs(text, blocks) for window in _windows(text, run, tokens, size, overlap)]
    return fitting(text, blocks, spans, tokens, size)


def _windows(text: str, run: Span, tokens: Tokens, size: int, overlap: int) -> Iterator[Span]:
    """Windows without a gap between them: what has no token goes with the token before it."""
    starts = [run[0] + start for start, _ in tokens.spans(text[run[0] : run[1]])] or [run[0]]
    starts[0] = run[0]
    first = 0
    while first < len(starts):
        end = _between_words(text, starts, first, min(first + size, len(starts)), size)
        yield trimmed(text, starts[first], starts[end] if end < len(starts) else run[1])
        if end >= len(starts):
            return
        back = _word_start(text, starts, max(first + 1, end - min(overlap, size // 2)), end)
        first = back


def _between_words(text: str, starts: Sequence[int], first: int, end: int, size: int) -> int:
    """The last token from `end` backwards that begins a word."""
    if end < len(starts):
        for at in range(end, max(first, end - size // _BACK_SHARE), -1):
            if _begins(text, starts[at]):
                return at
    return end


def _word_start(text: str, starts: Sequence[int], at: int, end: int) -> int:
    """The first token from `at` on that begins a word, at most `end`."""
    while at < end and not _begins(text, starts[at]):
        at += 1
    return at


def _begins(text: str, at: int) -> bool:
    return at == 0 or not (text[at].isalnum() and text[at - 1].isalnum())
