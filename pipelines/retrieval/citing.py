"""An answer's sentences -> the spans of passages that support them, and what becomes of those that none supports.

Invariants: a citation's text is its chunk's and `Document.text[start:end]`; every sentence of what was said lies in a
cited part of the answer or is listed as unsupported. A sentence without content words ("Yes.") claims nothing by itself
and goes with the next one.
A sentence is supported when the passages hold enough of its content words (guardrails/grounding.py), so that an answer
that is supported as a whole has a supported sentence; which spans are cited says how it is put together.
Limits: words are compared, not meanings; a right word in a wrong place counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from pipelines.contracts import Chunk, Citation, Unsupported
from pipelines.guardrails.grounding import claimed, is_figure, says_nothing, support, words_of
from pipelines.guardrails.policy import GuardrailPolicy
from pipelines.retrieval.sentences import Span, sentences

SPANS_AT_MOST = 3
"""Spans that one sentence cites: two facts of two passages, and one to spare."""
FIGURE_WEIGHT = 3.0
"""A number or code says more about where a sentence comes from than a word does."""
WORTH_CITING = 0.25
"""Share of a sentence's weight that a further span must add, or a number."""
_ACTION: dict[str, Literal["kept", "flagged", "dropped"]] = {"keep": "kept", "flag": "flagged", "drop": "dropped"}


@dataclass(frozen=True)
class Cited:
    """What is left of an answer, where it stands, and what nothing supports. No text: everything was dropped."""

    text: str
    citations: tuple[Citation, ...]
    unsupported: tuple[Unsupported, ...]


@dataclass(frozen=True)
class Evidence:
    """A sentence of a chunk: `chunk.text[start:end]`."""

    chunk: Chunk
    start: int
    end: int

    @property
    def text(self) -> str:
        """Its words as they stand."""
        return self.chunk.text[self.start : self.end]

    @cached_property
    def held(self) -> frozenset[str]:
        """Words that it holds, those that it stands under included."""
        return words_of([self.text, self.chunk.title, *self.chunk.heading_path])


def cite(said: str, question: str, chunks: Sequence[Chunk], policy: GuardrailPolicy) -> Cited:
    """Tie each sentence of what was said to the spans that support it best, strongest chunk first."""
    evidence = evidence_of(chunks)
    shown = [text for chunk in chunks for text in (chunk.text, chunk.title, *chunk.heading_path)]
    keeper = _Keeper(said)
    for span in claims(said):
        text = said[span[0] : span[1]]
        score = support(text, shown)
        chosen = _spans_of(text, question, evidence) if score >= policy.min_support and score > 0 else []
        if chosen:
            keeper.cited(span, chosen)
        else:
            keeper.unsupported(span, score, _ACTION[policy.unsupported_sentences])
    return keeper.done()


def claims(said: str) -> list[Span]:
    """Sentences, those without content words joined with the next one, or at the end with the last."""
    joined: list[Span] = []
    waiting: Span | None = None
    for start, end in sentences(said):
        start = waiting[0] if waiting else start
        waiting = (start, end) if says_nothing(said[start:end]) else None
        if waiting is None:
            joined.append((start, end))
    if waiting:
        joined.append((joined.pop()[0], waiting[1]) if joined else waiting)
    return joined


def evidence_of(chunks: Sequence[Chunk]) -> list[Evidence]:
    """Every sentence of the chunks, each place of a document once."""
    seen: set[tuple[str, int, int]] = set()
    found = []
    for chunk in chunks:
        for start, end in sentences(chunk.text):
            place = (chunk.document_id, chunk.start + start, chunk.start + end)
            if place not in seen:
                seen.add(place)
                found.append(Evidence(chunk, start, end))
    return found


def _spans_of(claim: str, question: str, evidence: Sequence[Evidence]) -> list[tuple[Evidence, float]]:
    """The span that carries a claim best, then those that hold what it lacks; each with its share of the claim."""
    words = claimed(claim)
    weights = {word: FIGURE_WEIGHT if is_figure(word) else 1.0 for word in words}
    asked = set(claimed(question))

    def carries(each: Evidence) -> float:
        """Verbatim first, then its words, then the question's."""
        verbatim = _plain(claim) in _plain(each.text)
        return 2.0 * verbatim + _share(weights, each.held) + 0.5 * len(asked & each.held) / max(1, len(asked))

    some = [each for each in evidence if weights.keys() & each.held]
    chosen = [max(some, key=carries)] if some else []
    while chosen and len(chosen) < SPANS_AT_MOST:
        held = frozenset().union(*(each.held for each in chosen))
        missing = {word: weight for word, weight in weights.items() if word not in held}
        adds = [_weight(missing, each.held) for each in some]
        best = some[adds.index(max(adds))]
        gained = missing.keys() & best.held
        worth = max(adds) >= WORTH_CITING * sum(weights.values())
        if not gained or not (worth or any(map(is_figure, gained))):
            break
        chosen.append(best)
    return [(each, sum(word in each.held for word in words) / len(words)) for each in chosen]


def _weight(weights: dict[str, float], held: frozenset[str]) -> float:
    return sum(weight for word, weight in weights.items() if word in held)


def _share(weights: dict[str, float], held: frozenset[str]) -> float:
    return _weight(weights, held) / max(1.0, sum(weights.values()))


class _Keeper:
    """Puts the answer together from the sentences that stay."""

    def __init__(self, said: str) -> None:
        self.said = said
        self.text = ""
        self.citations: list[Citation] = []
        self.left: list[Unsupported] = []
        self.whole = True
        self.gap = ""
        """White space that stood before what was dropped after the last sentence that stays."""

    def cited(self, span: Span, chosen: Sequence[tuple[Evidence, float]]) -> None:
        """A sentence that spans support."""
        start, end = self._kept(span)
        self.citations += [_citation(each, score, start, end) for each, score in chosen]

    def unsupported(self, span: Span, score: float, action: Literal["kept", "flagged", "dropped"]) -> None:
        """A sentence that none supports."""
        start, end = span
        self.left.append(Unsupported(text=self.said[start:end], start=start, end=end, support=score, action=action))
        if action == "dropped":
            self.whole = False
            self.gap = self.gap or self._space_before(start)
        else:
            self._kept(span)

    def _kept(self, span: Span) -> Span:
        """Where a sentence stands in the answer."""
        if self.whole:
            self.text = self.said[: span[1]]
            return span
        # scripts that part sentences without a space may stand between others that need one
        space = (self._space_before(span[0]) or self.gap) if self.text else ""
        self.gap = ""
        start = len(self.text) + len(space)
        self.text += space + self.said[span[0] : span[1]]
        return start, len(self.text)

    def _space_before(self, start: int) -> str:
        before = self.said[:start]
        return before[len(before.rstrip()) :]

    def done(self) -> Cited:
        """The answer: all of what was said where nothing was dropped."""
        return Cited(self.said if self.whole else self.text, tuple(self.citations), tuple(self.left))


def _citation(each: Evidence, score: float, answer_start: int, answer_end: int) -> Citation:
    chunk = each.chunk
    return Citation(
        uri=chunk.uri,
        start=chunk.start + each.start,
        end=chunk.start + each.end,
        title=chunk.title,
        heading_path=chunk.heading_path,
        page=chunk.page,
        text=each.text,
        chunk_id=chunk.id,
        answer_start=answer_start,
        answer_end=answer_end,
        support=score,
    )


def _plain(text: str) -> str:
    """Lower-case words framed by spaces, so that whole words are compared."""
    words = "".join(character if character.isalnum() else " " for character in text.lower())
    return f" {' '.join(words.split())} "
