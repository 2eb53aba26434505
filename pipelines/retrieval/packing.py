"""Ranked hits -> the passages that the model is shown: few, without repeats, within a budget of tokens.

The strongest passage comes first; chunks that follow one another in a document are shown as one passage, in the order
of the document. Invariant: what is shown of a chunk is its own text, whose offsets stay those of the document; a
passage keeps the chunks that it is made of, so that a citation points into one of them.
Training shows passages in random order (training/contexts.py), so a model reads any order alike.
Limits: tokens are the chunks' own counts (of the embedding model's tokenizer); a generation model's differ by a tenth.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from pipelines.contracts import Chunk

GAP = 8
"""Characters between two chunks that still follow one another: white space, a rule."""
SAME = 0.8
"""Share of word triples from which two passages say the same, if their figures are equal."""
_COLUMNS = "Columns: "
"""How a chunk's heading path names the columns of a table whose header is not in it (chunking/structural.py)."""
_DECISIVE = re.compile(r"[\w.,]*\d[\w.,]*|\b(?:not?|never|without|unless|except|cannot|nor)\b|n['’]t\b")
"""Figures, codes and negations."""


@dataclass(frozen=True)
class Passage:
    """Neighbouring chunks of one document, in its order, shown as one."""

    chunks: tuple[Chunk, ...]

    @property
    def title(self) -> str:
        """Title of the document."""
        return self.chunks[0].title

    @property
    def uri(self) -> str:
        """The document's."""
        return self.chunks[0].uri

    @property
    def heading_path(self) -> tuple[str, ...]:
        """Headings above its beginning."""
        return self.chunks[0].heading_path

    @cached_property
    def text(self) -> str:
        """The chunks' texts, what they share once."""
        shown, end = self.chunks[0].text, self.chunks[0].end
        for chunk in self.chunks[1:]:
            shared = end - chunk.start
            shown += chunk.text[shared:] if shared >= 0 else f"\n{chunk.text}"
            end = max(end, chunk.end)
        return shown

    @property
    def tokens(self) -> int:
        """Of its chunks together; what they share counts for each."""
        return sum(chunk.tokens for chunk in self.chunks)


@dataclass(frozen=True)
class Retrieved:
    """What the model is shown of the documents for a question, or why it is not asked."""

    passages: tuple[Passage, ...]
    answerable: float | None = None
    """Probability that the documents answer, by retrieval; None: nothing was estimated."""
    stopped_by: str | None = None
    """The guardrail that refuses the question."""

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """The chunks of the passages, in prompt order."""
        return tuple(chunk for passage in self.passages for chunk in passage.chunks)


def pack(ranked: Sequence[Chunk], *, passages: int, tokens: int) -> tuple[Passage, ...]:
    """At most `passages` passages of at most `tokens` tokens together, from chunks in the order of their rank.

    The first is shown whatever its length. A chunk that does not fit is passed over for a shorter one after it.
    """
    packed: list[tuple[Chunk, ...]] = []
    used = 0
    for chunk in ranked:
        if packed and used + chunk.tokens > tokens:
            continue
        if any(_repeats(chunk, held) for group in packed for held in group):
            continue
        beside = [number for number, group in enumerate(packed) if _follows(group, chunk) or _follows((chunk,), group)]
        if not beside and len(packed) == passages:
            continue
        packed = _with(packed, chunk, beside)
        used += chunk.tokens
    return tuple(Passage(group) for group in packed)


def _with(packed: list[tuple[Chunk, ...]], chunk: Chunk, beside: Sequence[int]) -> list[tuple[Chunk, ...]]:
    """The groups with a chunk joined to those that it stands beside, or as the last."""
    if not beside:
        return [*packed, (chunk,)]
    joined = sorted([chunk, *(each for number in beside for each in packed[number])], key=lambda each: each.start)
    return [
        tuple(joined) if number == beside[0] else group
        for number, group in enumerate(packed)
        if number == beside[0] or number not in beside
    ]


def _follows(before: Sequence[Chunk], after: Chunk | Sequence[Chunk]) -> bool:
    """Whether a chunk goes on where another ends, under the same headings or deeper ones."""
    last, first = before[-1], after if isinstance(after, Chunk) else after[0]
    if last.document_id != first.document_id or not 0 <= first.start - last.start <= last.end - last.start + GAP:
        return False
    path, deeper = _headings(last), _headings(first)
    return deeper[: len(path)] == path


def _headings(chunk: Chunk) -> tuple[str, ...]:
    return tuple(part for part in chunk.heading_path if not part.startswith(_COLUMNS))


def _repeats(chunk: Chunk, held: Chunk) -> bool:
    """Whether a chunk says nothing that another does not: it lies in it, or repeats it under the same headings.

    A word is enough to make a difference where it is a figure or a negation.
    """
    if chunk.document_id == held.document_id and held.start <= chunk.start and chunk.end <= held.end:
        return True
    if (chunk.title, chunk.heading_path) != (held.title, held.heading_path):
        return False
    mine, theirs = _triples(chunk.text), _triples(held.text)
    return len(mine & theirs) >= SAME * len(mine | theirs) and _decisive(chunk.text) == _decisive(held.text)


def _triples(text: str) -> frozenset[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return frozenset(zip(words, words[1:], words[2:], strict=False)) or frozenset([tuple(words)])


def _decisive(text: str) -> list[str]:
    return sorted(_DECISIVE.findall(text.lower()))
