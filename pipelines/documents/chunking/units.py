"""What is never divided: sentences, items, rows, lines, and where those are too long, words and characters.

Invariants: units come in order and leave out white space alone; none holds more than `size` tokens. Text is looked at a
fixed number of times, however it is nested.
Sentences end as Latin, Greek, Cyrillic, Arabic, Indic and East Asian scripts end them; a line's end ends one too,
unless the line was wrapped. Not covered: Thai, which marks no sentence.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from pipelines.contracts import Block
from pipelines.documents.chunking.tokens import LONGEST_WORD, Span, Tokens, trimmed, weights

CHARACTERS_A_TOKEN = 16
"""A block of more than this many for each token of `size` is divided without being counted first."""
WORDS_SHARE = 8
"""Words that have no sentence are taken together, up to this part of `size`."""

LINES = re.compile(r"[\r\n]+")
ITEMS = re.compile(r"(?<=\S)[^\S\r\n]*[\r\n]\s*(?=(?:[-*+•–!]|\d{1,3}[.)]|[a-z][.)])\s)")
SENTENCES = re.compile(
    r"(?<=[.!?…؟।。！？])[\"'”’)\]]*\s+(?=[\"'“‘«(\[¿¡]?[^\W_a-zß-öø-ÿα-ωа-я])"  # not before a small letter
    r"|(?<=[。！？])[」』”’）]*(?=\S)"  # written without spaces
    r"|(?<=\S)[^\S\r\n]*[\r\n]\s*"
)
_WRAPPED = re.compile(r"[^\s.!?:;…؟।。！？|]$")
"""A line that goes on: its end is no sign."""
_GOES_ON = re.compile(r"[a-zß-öø-ÿα-ωа-я(,;]")
_ABBREVIATED = re.compile(
    r"(?:\b(?:e\.g|i\.e|cf|vs|approx|no|nos|fig|figs|dr|mr|mrs|ms|prof|st|ltd|inc|ca|etc|vol|pp?|ext|tel|art|sec|min|max)"
    r"|\b[A-Z])\.[\"'”’)\]]*$",
    re.I,
)


class Gap(IntEnum):
    """What stands before a unit, from what is best to cut at to what is worst."""

    BLOCK = 0
    LINE = 1
    """Rows, items, lines of code."""
    SENTENCE = 2
    WORD = 3


@dataclass(frozen=True, slots=True)
class Unit:
    """A span of one block."""

    start: int
    end: int
    tokens: int
    block: int
    """Index of its block."""
    gap: Gap


def units_of(text: str, blocks: Sequence[Block], tokens: Tokens, size: int, whole: int) -> list[Unit]:
    """Units of every block in order: rows and items, and other blocks whole where they hold at most `whole` tokens."""
    parts: list[_Part] = []
    for index, block in enumerate(blocks):
        span = trimmed(text, block.start, block.end)
        cut = {"table": LINES, "list": ITEMS}.get(block.kind)
        spans = list(_between(text, span, cut)) if cut else [span]
        parts += [_Part(s, index, Gap.LINE if n else Gap.BLOCK, whole) for n, s in enumerate(spans)]
    for cut, gap, kinds in _CUTS:
        parts = _cut(text, blocks, parts, tokens, cut, gap, kinds, size)
    return list(_words(text, parts, tokens, size))


@dataclass(frozen=True, slots=True)
class _Part:
    """A unit on its way: it is divided while it holds more than `whole` tokens."""

    span: Span
    block: int
    gap: Gap
    whole: int


_CUTS = ((LINES, Gap.LINE, ("code",)), (SENTENCES, Gap.SENTENCE, ("paragraph", "heading", "list", "table", "code")))


def _cut(
    text: str,
    blocks: Sequence[Block],
    parts: Sequence[_Part],
    tokens: Tokens,
    cut: re.Pattern[str],
    gap: Gap,
    kinds: Sequence[str],
    size: int,
) -> list[_Part]:
    """Parts, those that are too long cut."""
    long = _too_long(text, parts, tokens, size)
    made: list[_Part] = []
    for part, is_long in zip(parts, long, strict=True):
        if not is_long or blocks[part.block].kind not in kinds:
            made.append(part)
            continue
        for start, end in _between(text, part.span, cut):
            own = Gap.LINE if made and _line_between(text, made[-1].span[1], start) else gap
            made.append(_Part((start, end), part.block, own if start > part.span[0] else part.gap, part.whole))
    return made


def _line_between(text: str, end: int, start: int) -> bool:
    """Whether a sentence begins on a line of its own: paragraphs of a text without blank lines."""
    between = text[end:start]
    return "\n" in between or "\r" in between


def _too_long(text: str, parts: Sequence[_Part], tokens: Tokens, size: int) -> list[bool]:
    counted = [p for p in parts if p.span[1] - p.span[0] <= CHARACTERS_A_TOKEN * size]
    counts = iter(weights(text, [p.span for p in counted], tokens))
    return [p.span[1] - p.span[0] > CHARACTERS_A_TOKEN * size or next(counts) > p.whole for p in parts]


def _between(text: str, span: Span, cut: re.Pattern[str]) -> Iterator[Span]:
    """Spans between matches of `cut` that hold more than white space; marks that close a sentence stay with it."""
    at = span[0]
    for match in cut.finditer(text, *span):
        if cut is SENTENCES and not _ends(text, at, match):
            continue
        end = match.start() + len(match.group().rstrip())
        found = trimmed(text, at, end)
        if found[0] < found[1]:
            yield found
        at = match.end()
    found = trimmed(text, at, span[1])
    if found[0] < found[1]:
        yield found


def _ends(text: str, at: int, match: re.Match[str]) -> bool:
    """Whether a sentence ends there: no abbreviation, and no line that was merely wrapped."""
    before = text[max(at, match.start() - 12) : match.start()]
    if _ABBREVIATED.search(before):
        return False
    gap = match.group()
    lines = gap.count("\n") or gap.count("\r")
    return lines != 1 or not _WRAPPED.search(before) or not _GOES_ON.match(text, match.end())


# --- words and characters ----------------------------------------------------------------------


def _words(text: str, parts: Sequence[_Part], tokens: Tokens, size: int) -> Iterator[Unit]:
    """Units; parts that are still too long become runs of words, and of characters in a word that is too long."""
    counts = weights(text, [part.span for part in parts], tokens)
    for part, counted in zip(parts, counts, strict=True):
        if counted <= size:
            yield Unit(*part.span, counted, part.block, part.gap)
        else:
            for number, (span, held) in enumerate(runs_of_words(text, part.span, tokens, size)):
                yield Unit(*span, held, part.block, Gap.WORD if number else part.gap)


def runs_of_words(text: str, span: Span, tokens: Tokens, size: int) -> Iterator[tuple[Span, int]]:
    """Runs of whole words of at most size / WORDS_SHARE tokens; longer words, and pieces of words, stand alone.

    No run goes over a gap of more than LONGEST_WORD characters.
    """
    words = [(span[0] + m.start(), span[0] + m.end()) for m in re.finditer(r"\S+", text[span[0] : span[1]])]
    spans: list[Span] = []
    for word, counted in zip(words, weights(text, words, tokens), strict=True):
        spans += [word] if counted <= size else _pieces_of(text, word, size)
    held = 0
    begin = end = 0
    for (start, stop), counted in zip(spans, weights(text, spans, tokens), strict=True):
        if held and (held + counted > max(1, size // WORDS_SHARE) or start - end > LONGEST_WORD):
            yield (begin, end), held
            held = 0
        if not held:
            begin = start
        held, end = held + counted, stop
    if held:
        yield (begin, end), held


def _pieces_of(text: str, word: Span, size: int) -> Iterator[Span]:
    """Pieces of a word that fit whatever a tokenizer makes of them; what joins two characters is not cut off."""
    step = max(1, size // 4)  # a character outside ASCII may be up to four byte-level tokens
    start = word[0]
    while start < word[1]:
        end = min(start + step, word[1])
        while start + 1 < end < word[1] and _joined(text, end):
            end -= 1
        yield start, end
        start = end


def _joined(text: str, at: int) -> bool:
    """Whether a character goes with the one before: accents, vowel signs, parts of an emoji."""
    return text[at] in "\u200d\ufe0f" or text[at - 1] == "\u200d" or bool(unicodedata.combining(text[at]))
