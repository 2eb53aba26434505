"""Hits against the gold document and the gold span: recall@k, MRR, nDCG.

Documents are ranked by their best chunk. One document (or its twin), and one chunk that overlaps the gold
span, is all there is to find, so nDCG is 1 / log2(1 + rank) of the first right one (Järvelin & Kekäläinen
2002 with one relevant result) and MRR its reciprocal rank; beyond k both are 0.
"""

import math
from collections.abc import Sequence

from pipelines.contracts import Hit, Question
from pipelines.evaluation.suites import Suite


def first_document(hits: Sequence[Hit], accepted: frozenset[str]) -> int | None:
    """Rank (from 1) of the first accepted document, each document counted once."""
    order = list(dict.fromkeys(hit.chunk.uri for hit in hits))
    return next((rank for rank, uri in enumerate(order, 1) if uri in accepted), None)


def first_span(hits: Sequence[Hit], document: str, start: int, end: int) -> int | None:
    """Rank (from 1) of the first chunk that overlaps the gold span."""
    for rank, hit in enumerate(hits, 1):
        if hit.chunk.uri == document and hit.chunk.start < end and start < hit.chunk.end:
            return rank
    return None


def of_rank(rank: int | None, *, shown: int, k: int, unit: str) -> dict[str, float | None]:
    """Metrics of one question; `shown` passages reach the model, `k` hits were looked at."""
    found = rank if rank is not None and rank <= k else None
    cuts = sorted({1, min(shown, k), k})
    recalls: dict[str, float | None] = {
        f"{unit}_recall@{cut}": float(found is not None and found <= cut) for cut in cuts
    }
    return recalls | {
        f"{unit}_mrr@{k}": 1 / found if found else 0.0,
        f"{unit}_ndcg@{k}": 1 / math.log2(1 + found) if found else 0.0,
    }


def of_question(
    question: Question, hits: Sequence[Hit], *, shown: int, k: int, suite: Suite
) -> dict[str, float | None]:
    """Document and span metrics of an answerable question; none where its gold is unknown."""
    if not question.answers or question.document is None:
        return {}
    document = first_document(hits, suite.accepted(question.document))
    values = of_rank(document, shown=shown, k=k, unit="document")
    if question.start is not None and question.end is not None:
        span = first_span(hits, question.document, question.start, question.end)
        values |= of_rank(span, shown=shown, k=k, unit="span")
    return values
