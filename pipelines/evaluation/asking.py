"""The questions of a suite put to one system: hits, answers, rows of the item table, rows of the answer table.

Invariant: every question of the suite has an answer and its rows; answers come through the same `AnswerSystem` that
serves, so guardrails and refusals are those of production. Golden prompts are asked in golden.py.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.contracts import Answer, Chunk, Citation, Contract, Hit, Item, Message, Question
from pipelines.evaluation import metrics, ranking
from pipelines.evaluation.suites import Suite
from pipelines.retrieval.kept import KeptCompletions
from pipelines.retrieval.packing import Retrieved

Report = Callable[[int, int], None]
ALONE = 6
"""Questions asked one at a time, for the latency that a person meets."""


class Finder(Protocol):
    """What is used of a `retrieval.search.Searcher`."""

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """The k best chunks for each query."""

    def rewritten(self, queries: Sequence[str], histories: Sequence[Sequence[Message]] = ()) -> list[str]:
        """Queries as they stand alone, after what was said before."""


class Answerer(Protocol):
    """What is used of a `retrieval.answer.AnswerSystem`."""

    digest: str
    kept: KeptCompletions | None
    """What the model said before; None: every question is asked anew."""

    def retrieve(self, questions: Sequence[str]) -> list[Retrieved]:
        """What the model is shown for each question."""

    def answer(
        self,
        questions: Sequence[str],
        *,
        retrieved: Sequence[Retrieved] | None = None,
        extra_passages: Sequence[Chunk | None] | None = None,
        report: Report | None = None,
    ) -> list[Answer]:
        """An answer for each question."""


Encode = Callable[[Sequence[str]], NDArray[Any]]
"""Texts to unit vectors, float32 [n, dim]."""


class Asked(Contract):
    """A row of the answer table: what a reader of the report sees of one question and system."""

    system: str
    kind: str
    """question or prompt."""
    id: str
    question: str
    slice: str
    gold: tuple[str, ...]
    document: str | None
    answer: str
    answered: bool
    correct: bool
    wrong: tuple[str, ...]
    """What is wrong with it, in words; empty when it is correct."""
    f1: float | None
    raw: str
    guardrail: str | None
    citations: tuple[Citation, ...]
    passages: tuple[str, ...]
    """uris of the passages that search put first, in order."""
    seconds: float
    completion_tokens: int
    chunk_ids: tuple[str, ...] = ()
    """The chunks that the model was shown, in prompt order; none where it was not asked, or before they were noted."""


@dataclass(frozen=True)
class Put:
    """What came of putting a suite to a system."""

    items: list[Item]
    asked: list[Asked]
    alone_s: list[float]
    """Seconds for one question at a time, search included."""
    search_s: float
    answers: list[Answer]
    texts: list[list[str]]
    """The passages of each, as the model was shown them (or would have been: a guardrail may have refused before)."""
    shown: list[tuple[Chunk, ...]]
    """The chunks that they are made of."""
    hits: list[list[Hit]]


def put(
    suite: Suite, finder: Finder, system: Answerer, encode: Encode, *, role: str, shown: int, k: int, report: Report
) -> Put:
    """Ask every question. `shown` passages reach the model, `k` hits are ranked."""
    alone_s = alone([question.question for question in suite.questions], system)
    started = time.monotonic()
    questions = [question.question for question in suite.questions]
    hits = finder.search(questions, max(k, shown))
    search_s = time.monotonic() - started
    retrieved = system.retrieve(questions)
    answers = system.answer(questions, retrieved=retrieved, report=report)
    texts = [[passage.text for passage in each.passages] for each in retrieved]
    similarities = _similarities(suite.questions, answers, encode)
    items: list[Item] = []
    asked: list[Asked] = []
    for i, question in enumerate(suite.questions):
        values = metrics.of_question(
            question, answers[i], passages=texts[i], similarity=similarities[i], suite=suite
        ) | ranking.of_question(question, hits[i], shown=shown, k=k, suite=suite)
        group = suite.group(question.document, question.id)
        items += metrics.items_of(question.id, group, metrics.slice_of(question), values)
        asked.append(_asked_question(role, question, answers[i], values, retrieved[i]))
    items += latencies(alone_s)
    return Put(items, asked, alone_s, search_s, answers, texts, [each.chunks for each in retrieved], hits)


def latencies(alone_s: Sequence[float]) -> list[Item]:
    """Seconds of questions asked one by one, as rows of an item table."""
    return [
        Item(item=f"alone-{i}", group=f"alone-{i}", slice="all", metric="latency_s", value=seconds)
        for i, seconds in enumerate(alone_s)
    ]


def alone(questions: Sequence[str], system: Answerer) -> list[float]:
    """Seconds of a few questions asked one by one, the first (which loads the model) left out."""
    timed = []
    for question in questions[: ALONE + 1]:
        started = time.monotonic()
        answer = system.answer([question])[0]
        timed.append(max(time.monotonic() - started, answer.seconds))  # a kept answer brings its own time
    return timed[1:]


def _similarities(questions: Sequence[Question], answers: Sequence[Answer], encode: Encode) -> list[float | None]:
    """Cosine of each answer given to its nearest accepted answer; None where there is nothing to compare."""
    wanted = [i for i, q in enumerate(questions) if q.answers and answers[i].answered]
    texts = sorted({answers[i].text for i in wanted} | {answer for i in wanted for answer in questions[i].answers})
    place = {text: row for row, text in enumerate(texts)}
    vectors = encode(texts) if texts else np.zeros((0, 1))
    found: list[float | None] = [None] * len(questions)
    for i in wanted:
        accepted = vectors[[place[answer] for answer in questions[i].answers]]
        found[i] = float(np.clip((accepted @ vectors[place[answers[i].text]]).max(), 0.0, 1.0))
    return found


def _asked_question(
    role: str, question: Question, answer: Answer, values: dict[str, float | None], found: Retrieved
) -> Asked:
    return Asked(
        system=role,
        kind="question",
        id=question.id,
        question=question.question,
        slice=metrics.slice_of(question),
        gold=question.answers,
        document=question.document,
        correct=bool(values["answer_correct"]),
        wrong=_wrong(question, answer, values),
        f1=values.get("token_f1"),
        passages=tuple(passage.uri for passage in found.passages),
        **of_answer(answer),
    )


def of_answer(answer: Answer) -> dict[str, Any]:
    """The columns of the answer table that hold the answer."""
    return {
        "answer": answer.text,
        "answered": answer.answered,
        "raw": answer.raw,
        "guardrail": answer.guardrail,
        "citations": answer.citations,
        "seconds": answer.seconds,
        "completion_tokens": answer.completion_tokens,
        "chunk_ids": answer.chunk_ids,
    }


def _wrong(question: Question, answer: Answer, values: dict[str, float | None]) -> tuple[str, ...]:
    """Why an answer is not correct, the retriever's part told from the model's."""
    if values["answer_correct"]:
        return ()
    if not question.answers:
        return ("answered what the documents do not hold",)
    found = ["refused what it could answer"] if not answer.answered else ["wrong answer"]
    recalls = [name for name in values if name.startswith("span_recall@")]
    shown = sorted(recalls, key=lambda name: int(name.rsplit("@", 1)[-1]))
    if len(shown) > 1 and not values[shown[-2]]:
        found.append("its passage was not retrieved")
    if answer.guardrail:
        found.append(f"guardrail: {answer.guardrail}")
    return tuple(found)
