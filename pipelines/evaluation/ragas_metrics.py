"""The only file that imports ragas (6 s): its metrics that need no language model, and those that a judge gives.

Invariant: a score that ragas could not give (NaN, a judge's failure) is None and counted as missing, never
dropped; the judge's key is read from the environment and reaches nothing but the judge.
Limits: string metrics see wording, not meaning; a judge's scores are as good as the judge.
"""

import asyncio
import math
import os
import warnings
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.settings import Judge, judge_key

CONCURRENT = 8
"""Requests to a judge at a time."""
TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Sample:
    """One answer as ragas looks at it."""

    question: str
    answer: str
    accepted: tuple[str, ...]
    contexts: tuple[str, ...]
    retrieved: tuple[str, ...]
    """uris of the passages' documents."""
    relevant: tuple[str, ...]
    """uris of the documents that hold the answer."""


Scores = dict[str, list[float | None]]
"""Metric to its score for each sample, in order."""


@dataclass(frozen=True)
class Judged:
    """What the judge gave, and the first reason why it did not."""

    scores: Scores
    failures: int
    first_failure: str | None


def offline(samples: Sequence[Sample]) -> Scores:
    """ROUGE-L and Levenshtein similarity to the nearest accepted answer; recall and precision by document."""
    _quiet()
    from ragas.metrics.collections import NonLLMStringSimilarity, RougeScore

    by_string = {"ragas_rouge_l": RougeScore(rouge_type="rougeL"), "ragas_string_similarity": NonLLMStringSimilarity()}
    scores: Scores = {name: asyncio.run(_best_over_accepted(metric, samples)) for name, metric in by_string.items()}
    return scores | asyncio.run(_by_document(samples))


def judged(samples: Sequence[Sample], judge: Judge, embed: Callable[[Sequence[str]], Any]) -> Judged:
    """Faithfulness, answer relevancy and context recall as the judge sees them.

    `embed`: texts to unit vectors, for answer relevancy.
    """
    _quiet()
    return asyncio.run(_judged(samples, judge, embed))


async def _judged(samples: Sequence[Sample], judge: Judge, embed: Callable[[Sequence[str]], Any]) -> Judged:
    from openai import AsyncOpenAI
    from ragas.llms.base import llm_factory
    from ragas.metrics.collections import AnswerRelevancy, ContextRecall, Faithfulness

    key = judge_key(judge)
    async with AsyncOpenAI(
        base_url=judge.base_url, api_key=key.get_secret_value() if key else "none", timeout=TIMEOUT_S, max_retries=3
    ) as client:
        llm = llm_factory(judge.model, client=client)
        faithful, recall = Faithfulness(llm=llm), ContextRecall(llm=llm)
        relevant = AnswerRelevancy(llm=llm, embeddings=_embeddings(embed))
        calls: dict[str, list[Callable[[], Awaitable[Any]] | None]] = {
            "ragas_faithfulness": [_call(faithful, s, answer=True, contexts=True) for s in samples],
            "ragas_answer_relevancy": [_call(relevant, s, answer=True) for s in samples],
            "ragas_context_recall": [_call(recall, s, contexts=True, reference=True) for s in samples],
        }
        return await _gathered(calls)


def _call(
    metric: Any, sample: Sample, *, answer: bool = False, contexts: bool = False, reference: bool = False
) -> Callable[[], Awaitable[Any]] | None:
    """A score still to be asked for; None where the sample lacks what the metric looks at."""
    arguments: dict[str, Any] = {"user_input": sample.question}
    if answer:
        arguments["response"] = sample.answer
    if contexts:
        arguments["retrieved_contexts"] = list(sample.contexts)
    if reference:
        arguments["reference"] = sample.accepted[0] if sample.accepted else ""
    return (lambda: metric.ascore(**arguments)) if all(arguments.values()) else None


async def _gathered(calls: dict[str, list[Callable[[], Awaitable[Any]] | None]]) -> Judged:
    from instructor.core.exceptions import InstructorError
    from openai import OpenAIError
    from pydantic import ValidationError

    limit, failures = asyncio.Semaphore(CONCURRENT), []

    async def one(call: Callable[[], Awaitable[Any]] | None) -> float | None:
        if call is None:
            return None
        async with limit:
            try:
                return _number((await call()).value)
            except (OpenAIError, InstructorError, ValidationError, ValueError, TimeoutError) as exc:
                failures.append(f"{type(exc).__name__}: {str(exc)[:300]}")
                return None

    scores = {name: list(await asyncio.gather(*(one(call) for call in each))) for name, each in calls.items()}
    return Judged(scores, len(failures), failures[0] if failures else None)


async def _best_over_accepted(metric: Any, samples: Sequence[Sample]) -> list[float | None]:
    """The best score over the accepted answers; None where there is none."""
    found: list[float | None] = []
    for sample in samples:
        scores = [
            _number((await metric.ascore(reference=answer, response=sample.answer)).value) for answer in sample.accepted
        ]
        found.append(max((score for score in scores if score is not None), default=None))
    return found


async def _by_document(samples: Sequence[Sample]) -> Scores:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # these two have no successor in ragas 0.4
        from ragas import SingleTurnSample
        from ragas.metrics import IDBasedContextPrecision, IDBasedContextRecall

    metrics = {"ragas_id_recall": IDBasedContextRecall(), "ragas_id_precision": IDBasedContextPrecision()}
    scores: Scores = {name: [] for name in metrics}
    for sample in samples:
        row = SingleTurnSample(
            retrieved_context_ids=list(sample.retrieved), reference_context_ids=list(sample.relevant)
        )
        for name, metric in metrics.items():
            known = sample.retrieved and sample.relevant
            scores[name].append(_number(await metric.single_turn_ascore(row)) if known else None)
    return scores


def _number(value: Any) -> float | None:
    """A finite score, or None for what ragas gives when it has none."""
    return float(value) if value is not None and math.isfinite(float(value)) else None


def _embeddings(embed: Callable[[Sequence[str]], Any]) -> Any:
    from ragas.embeddings.base import BaseRagasEmbedding

    class Ours(BaseRagasEmbedding):  # type: ignore[misc]
        """The pipeline's own sentence encoder behind ragas' interface."""

        def embed_text(self, text: str, **_: Any) -> list[float]:
            return [float(x) for x in embed([text])[0]]

        async def aembed_text(self, text: str, **_: Any) -> list[float]:
            return self.embed_text(text)

    return Ours()


def _quiet() -> None:
    """No usage reports to its makers; must be set before ragas is imported."""
    os.environ["RAGAS_DO_NOT_TRACK"] = "true"
