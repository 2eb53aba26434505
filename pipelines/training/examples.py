"""Questions placed among passages -> examples to learn from.

Invariants: the examples of a context share every message up to the question; a question that followed others is asked
as serving asks it, whole (follow_ups.py), so every example is one question with one answer, the last message.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.contracts import Chunk, Example, Message, Origin, Question, Split, content_id
from pipelines.generation.prompts import PromptTemplate
from pipelines.settings import Settings
from pipelines.training.contexts import Asked, Context, Corpus, Vectors, contexts, plain

Encode = Callable[[Sequence[str]], Vectors]
"""Questions to unit vectors, float32 [n, dim]."""
VALIDATION_ROUNDS = 1


def remembering(encode: Encode) -> Encode:
    """The same encoder, which encodes no text twice: questions are compared before they are placed."""
    known: dict[str, npt.NDArray[np.float32]] = {}

    def encoded(texts: Sequence[str]) -> Vectors:
        new = [text for text in dict.fromkeys(texts) if text not in known]
        if new:
            known.update(zip(new, encode(new), strict=True))
        return np.stack([known[text] for text in texts]) if texts else encode(texts)

    return encoded


@dataclass(frozen=True)
class Placed:
    """An example, and the id of the question that it was made from."""

    question: str
    example: Example


def make_examples(
    asked: Sequence[Asked],
    corpus: Corpus,
    split: Split,
    prompt: PromptTemplate,
    settings: Settings,
    encode: Encode,
    origins: Mapping[str, Origin],
) -> list[Placed]:
    """The examples of a split. `origins`: of questions by id; those that it lacks were made from the documents."""
    if not asked:
        return []
    made = contexts(
        asked,
        encode([one.question.question for one in asked]),
        corpus,
        passages=settings.retrieval.passages,
        unanswerable_share=settings.dataset.unanswerable_share,
        rounds=settings.dataset.contexts_per_question if split == "train" else VALIDATION_ROUNDS,
        rng=random.Random(f"{settings.dataset.seed}-{split}"),
    )
    return [placed for context in made for placed in _of_context(context, asked, corpus.chunks, split, prompt, origins)]


def _of_context(
    context: Context,
    asked: Sequence[Asked],
    chunks: Sequence[Chunk],
    split: Split,
    prompt: PromptTemplate,
    origins: Mapping[str, Origin],
) -> list[Placed]:
    """One example a question; those of a context share every message up to the question."""
    passages = [chunks[number] for number in context.chunks]
    ids = tuple(chunk.id for chunk in passages)
    examples = []
    for number in (*context.answerable, *context.refused):
        one = asked[number]
        answerable = number in context.answerable
        said = target(one.question, [chunks[gold] for gold in one.gold]) if answerable else prompt.refusal
        messages = (*prompt.messages(passages, one.question.question), Message(role="assistant", content=said))
        example = Example(
            id=content_id("example", prompt.digest, ids, one.question.question, said),
            messages=messages,
            chunk_ids=ids,
            document=str(one.question.document),
            answerable=answerable,
            origin=origins.get(one.question.id, "synthetic"),
            split=split,
            slice=one.question.slice,
        )
        examples.append(Placed(one.question.id, example))
    return examples


def usable(questions: Sequence[Question], chunks: Sequence[Chunk], settings: Settings) -> list[Asked]:
    """Questions that can be shown among passages: unanswerable, or with few enough gold chunks."""
    located = [Asked(question, gold_chunks(question, chunks)) for question in questions]
    most = settings.retrieval.passages
    return [one for one in located if (one.gold or not one.question.answers) and len(one.gold) <= most]


def gold_chunks(question: Question, chunks: Sequence[Chunk]) -> tuple[int, ...]:
    """Indices of the chunks that hold a question's answer: one that holds it whole, else all it touches."""
    if question.start is None or question.end is None or not question.answers:
        return ()
    start, end = question.start, question.end
    touched = [
        (min(chunk.end, end) - max(chunk.start, start), -number)
        for number, chunk in enumerate(chunks)
        if chunk.uri == question.document and chunk.start < end and chunk.end > start
    ]
    if not touched:
        return ()
    best = -max(touched)[1]
    answers = [plain(answer) for answer in question.answers]
    whole = chunks[best].start <= start and end <= chunks[best].end
    if whole or any(answer in plain(chunks[best].text) for answer in answers):
        return (best,)
    return tuple(sorted(-number for _, number in touched))


def target(question: Question, gold: Sequence[Chunk]) -> str:
    """The accepted answer to learn: the first that the passages hold word for word, else the first."""
    texts = [plain(chunk.text) for chunk in gold]
    return next((a for a in question.answers if any(plain(a) in text for text in texts)), question.answers[0])
