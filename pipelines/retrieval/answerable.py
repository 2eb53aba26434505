"""Candidates of a question -> the probability that the documents answer it, before any model is asked.

A logistic model over what the best passages show, whichever search brought them; it does not look at their ranking, so
the weights of `retrieval.weights` may change without it. Its own weights (`retrieval.answerable_weights`) are fitted by
benchmarks/answerable.py, for one embedding model (`retrieval.answerable_model`): cosines of another mean other things,
and then nothing is said. The probability is at even odds: it takes a question to be as likely answerable as not.
Limits: it tells questions on other subjects; one on a subject that the documents treat, without the detail that is
asked for, looks like one that they answer (docs/answers.md gives the figures). Those are for the model to refuse.
"""

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np

from pipelines.retrieval.candidates import Candidates
from pipelines.retrieval.features import pairs
from pipelines.settings import AnswerableWeight

Sign = Literal["cosine", "cosine_of_words", "coverage", "unknown", "pairs"]
SIGNS: tuple[Sign, ...] = get_args(Sign)
Weights = Mapping[AnswerableWeight, float]


def signs(found: Candidates) -> dict[Sign, float]:
    """What speaks for an answer among the candidates, each about 0..1.

    cosine: of the nearest passage. cosine_of_words: of the passage with the highest BM25. coverage: largest share of
    the question's weight (idf) in one passage with its title and headings. unknown: share of that weight in words that
    no passage of the index holds. pairs: largest share of the question's neighbouring words that are neighbours there.
    """
    if not len(found):
        return {"cosine": 0.0, "cosine_of_words": 0.0, "coverage": 0.0, "unknown": 1.0, "pairs": 0.0}
    weight = float(found.idf.sum())
    held = found.counts > 0
    if found.asked:
        held = held | np.array([[term in each for term in found.asked] for each in found.heading_terms], dtype=bool)
    never = found.idf[found.idf >= np.log1p((found.lexicon.passages + 0.5) / 0.5) - 1e-9]
    return {
        "cosine": float(found.cosine.max()),
        "cosine_of_words": float(found.cosine[int(np.argmax(found.bm25))]),
        "coverage": float((held @ found.idf).max()) / weight if weight > 0 else 0.0,
        "unknown": float(never.sum()) / weight if weight > 0 else 0.0,
        "pairs": float(pairs(found).max()),
    }


def probability(found: Candidates, weights: Weights) -> float:
    """0..1, at even odds; no candidates: 0."""
    return of_signs(signs(found), weights) if len(found) else 0.0


def of_signs(values: Mapping[Sign, float], weights: Weights) -> float:
    """The logistic model: a sign without a weight adds nothing."""
    z = weights["bias"] + sum(weights.get(name, 0.0) * value for name, value in values.items())
    return float(1.0 / (1.0 + np.exp(-z)))
