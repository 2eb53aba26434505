"""Questions and chunks -> contexts: passages as serving shows them, with the questions asked of them.

A context is a few chunks in random order, and every question whose gold chunks are all among them
(answerable there), and some that they do not answer (refusals): curated unanswerable ones and questions
whose gold chunk is elsewhere, the closest in meaning first, so that refusing is learned where it is hard.
Invariants: a refusal's accepted answers occur nowhere in its context; chunks outside `allowed` are never
shown; equal input and seed give equal contexts.
Limits: closeness is that of the embedding; an answer in other words than the accepted ones is not seen.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.contracts import Chunk, Question

Vectors = npt.NDArray[np.float32]

NEAREST = 6
"""Distractors are drawn from so many of the chunks closest to the question."""
USED_BEFORE = 0.08
"""Taken off a question's closeness each time it was used as a refusal: all get their turn."""


@dataclass(frozen=True)
class Asked:
    """A question with the chunks that hold its answer; no gold: no document answers it."""

    question: Question
    gold: tuple[int, ...]
    """Indices of the chunks that are needed together; one, unless a span crosses a border."""
    joins: bool = False
    """Asked where a context of another question happens to answer it; no context is made for it."""


@dataclass(frozen=True)
class Context:
    """Passages in prompt order, and indices of the questions asked of them."""

    chunks: tuple[int, ...]
    answerable: tuple[int, ...]
    refused: tuple[int, ...]


@dataclass(frozen=True)
class Corpus:
    """Chunks with unit vectors (float32 [chunks, dim]) and which of them may be shown (bool [chunks])."""

    chunks: Sequence[Chunk]
    vectors: Vectors
    allowed: npt.NDArray[np.bool_]


def contexts(
    asked: Sequence[Asked],
    vectors: Vectors,
    corpus: Corpus,
    *,
    passages: int,
    unanswerable_share: float,
    rounds: int,
    rng: random.Random,
) -> list[Context]:
    """Contexts in which each answerable question that does not merely join is asked at least `rounds` times.

    `vectors`: unit rows, float32 [questions, dim]. Each round draws other distractors and orders.
    """
    closeness = np.where(corpus.allowed[None, :], vectors @ corpus.vectors.T, -2.0)
    maker = _Maker(asked, closeness, corpus, passages, unanswerable_share, rng)
    return [made for _ in range(rounds) for made in maker.round()]


class _Maker:
    """Builds contexts; remembers how often each question was refused."""

    def __init__(
        self,
        asked: Sequence[Asked],
        closeness: Vectors,
        corpus: Corpus,
        passages: int,
        unanswerable_share: float,
        rng: random.Random,
    ) -> None:
        self.asked, self.closeness, self.corpus, self.passages, self.rng = asked, closeness, corpus, passages, rng
        self.refusals_each = unanswerable_share / (1 - unanswerable_share)
        self.by_chunk: dict[int, list[int]] = {}
        for number, one in enumerate(asked):
            for chunk in one.gold:
                self.by_chunk.setdefault(chunk, []).append(number)
        self.by_document: dict[str, list[int]] = {}
        for number, chunk_ in enumerate(corpus.chunks):
            if corpus.allowed[number]:
                self.by_document.setdefault(chunk_.uri, []).append(number)
        self.texts = [plain(chunk_.text) for chunk_ in corpus.chunks]
        self.answers = [[plain(answer) for answer in one.question.answers] for one in asked]
        self.refused: Counter[int] = Counter()
        self.owed = 0.0

    def round(self) -> list[Context]:
        """Contexts in which every answerable question is asked at least once."""
        pending = [number for number, one in enumerate(self.asked) if one.gold and not one.joins]
        self.rng.shuffle(pending)
        made = []
        asked_already: set[int] = set()
        for number in pending:
            if number not in asked_already:
                context = self._context(number, asked_already)
                asked_already |= set(context.answerable)
                made.append(context)
        return made

    def _context(self, number: int, asked_already: set[int]) -> Context:
        shown = self._passages(number, asked_already)
        inside = {other for chunk in shown for other in self.by_chunk.get(chunk, ())}
        answerable = sorted(other for other in inside if set(self.asked[other].gold) <= set(shown))
        self.owed += len(answerable) * self.refusals_each
        refused = self._refused(shown, set(answerable), int(self.owed))
        self.owed -= len(refused)
        return Context(tuple(shown), tuple(answerable), tuple(refused))

    def _passages(self, number: int, asked_already: set[int]) -> list[int]:
        """The gold chunks and distractors: the closest chunks and the document's own, in random order."""
        shown = list(self.asked[number].gold)
        nearest = [int(chunk) for chunk in np.argsort(-self.closeness[number])[: NEAREST + len(shown)]]
        around = self.by_document.get(self.corpus.chunks[shown[0]].uri, [])
        while len(shown) < self.passages:
            source = nearest if self.rng.random() < 0.5 else [*nearest, *around]
            free = [chunk for chunk in source if chunk not in shown and self.closeness[number, chunk] > -2.0]
            if not free:
                free = [chunk for chunk in range(len(self.texts)) if self.corpus.allowed[chunk] and chunk not in shown]
            if not free:
                break
            shown.append(max(self.rng.sample(free, min(2, len(free))), key=lambda c: self._fresh(c, asked_already)))
        self.rng.shuffle(shown)
        return shown

    def _fresh(self, chunk: int, asked_already: set[int]) -> int:
        """How many questions a chunk would newly make answerable: sharing a context is what saves time."""
        waiting = (other for other in self.by_chunk.get(chunk, ()) if not self.asked[other].joins)
        return min(sum(other not in asked_already for other in waiting), 3)

    def _refused(self, shown: Sequence[int], answerable: set[int], count: int) -> list[int]:
        """The closest questions that the passages do not answer, those used least first."""
        near = self.closeness[:, list(shown)].max(axis=1)
        ranked = sorted(range(len(self.asked)), key=lambda n: USED_BEFORE * self.refused[n] - float(near[n]))
        found: list[int] = []
        for number in ranked:
            if len(found) == count:
                break
            if number not in answerable and not self._may_answer(shown, number):
                found.append(number)
        self.refused.update(found)
        return found

    def _may_answer(self, shown: Sequence[int], number: int) -> bool:
        """Whether a gold chunk or an accepted answer is among the passages."""
        if set(shown) & set(self.asked[number].gold):
            return True
        return any(answer in self.texts[chunk] for answer in self.answers[number] for chunk in shown)


def plain(text: str) -> str:
    """Lower case, words and numbers only, framed by spaces: so that whole words are compared."""
    words = "".join(character if character.isalnum() else " " for character in text.lower())
    return f" {' '.join(words.split())} "
