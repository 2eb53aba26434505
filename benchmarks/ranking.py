"""Ranked spans against gold: nDCG@10 of documents and of chunks, and differences with intervals.

Documents are ranked by their best chunk, and one document is to be found: nDCG is 1 / log2(1 + rank) (Järvelin and
Kekäläinen 2002). Of chunks every one that overlaps a gold span is relevant, each as much as another; the ideal
ranking has as many of them at its top as the collection holds.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.corpora import Asked

K = 10
DEPTH = 50
"""Chunks that every system ranks for a question: enough for ten documents."""


@dataclass(frozen=True)
class Span:
    """A ranked passage."""

    uri: str
    start: int
    end: int


def relevant(question: Asked, span: Span) -> bool:
    """Whether a passage shares a character with a gold span."""
    return any(
        gold.uri == span.uri
        and gold.start is not None
        and gold.end is not None
        and gold.start < span.end
        and span.start < gold.end
        for gold in question.gold
    )


def of_documents(question: Asked, ranked: Sequence[Span], twins: Mapping[str, str]) -> float:
    """nDCG@10 of the document that answers; a document and its near-duplicate (`twins`) are one."""
    accepted = {twins.get(gold.uri, gold.uri) for gold in question.gold}
    order = list(dict.fromkeys(twins.get(span.uri, span.uri) for span in ranked))
    return next((1 / math.log2(1 + rank) for rank, uri in enumerate(order[:K], 1) if uri in accepted), 0.0)


def of_spans(question: Asked, ranked: Sequence[Span], held: int) -> float:
    """nDCG@10 of chunks that overlap gold; `held`: how many the collection has, at least one."""
    gained = sum(1 / math.log2(1 + rank) for rank, span in enumerate(ranked[:K], 1) if relevant(question, span))
    ideal = sum(1 / math.log2(1 + rank) for rank in range(1, min(K, held) + 1))
    return gained / ideal


def estimate(values: Sequence[float], groups: Sequence[str], name: str) -> dict[str, Any]:
    """A mean with its 95% interval over groups."""
    from pipelines.evaluation.statistics import generator, mean_interval

    found = mean_interval(values, groups, confidence=0.95, resamples=2000, rng=generator(7, name))
    return {"ndcg@10": round(found.value, 4), "low": rounded(found.low), "high": rounded(found.high)}


def difference(ours: Sequence[float], theirs: Sequence[float], groups: Sequence[str], name: str) -> dict[str, Any]:
    """Mean paired difference with its 95% interval over groups."""
    from pipelines.evaluation.statistics import generator, paired_difference

    each = [a - b for a, b in zip(ours, theirs, strict=True)]
    found = paired_difference(each, groups, confidence=0.95, resamples=2000, rng=generator(7, name))
    return {"difference": round(found.value, 4), "low": rounded(found.low), "high": rounded(found.high)}


def wanted(best: float) -> float:
    """How far above the best peer the goal lies: .05, or what is missing to .97, above which there is no room."""
    return round(min(0.05, max(0.0, 0.97 - best)), 4)


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
