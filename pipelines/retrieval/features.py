"""Candidates -> what speaks for each of them, as numbers between queries alike.

Every feature is a float64 [n], larger is better, and of the size of 1. Sources: BM25 and its parts as in lexicon.py;
neighbours and documents as context, Callan, "Passage-level evidence" (1994); feedback from the first passages, Rocchio
(1971); pairs of terms side by side, Metzler and Croft, "A Markov random field model for term dependencies" (2005).
"""

import itertools
from collections.abc import Callable

import numpy as np

from pipelines.retrieval.candidates import Candidates, Floats

FEEDBACK_FROM, FEEDBACK_SHARE = 5, 0.6
"""How many first passages the query's vector is drawn towards, and how far."""
GAP = 200
"""Characters between two chunks that still follow one another: white space, a heading that belongs to neither."""
Feature = Callable[[Candidates], Floats]


def spread(scores: Floats) -> Floats:
    """Scores mapped to 0..1 by the smallest and the largest; equal scores are all 1."""
    if not len(scores):
        return scores
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low) if high > low else np.ones_like(scores)


def share_of_best(scores: Floats) -> Floats:
    """Scores as shares of the largest: BM25's smallest is 0, a passage without any of the words."""
    best = scores.max(initial=0.0)
    return scores / best if best > 0 else np.zeros_like(scores)


def coverage(found: Candidates) -> Floats:
    """Share of the query's weight (idf) that stands in the passage, however often."""
    return _weighted(found, found.counts > 0)


def heading(found: Candidates) -> Floats:
    """Share of the query's weight that stands in title and headings."""
    held = np.array([[term in each for term in found.asked] for each in found.heading_terms], dtype=bool)
    return _weighted(found, held.reshape(len(found), len(found.asked)))


def rarest(found: Candidates) -> Floats:
    """Whether the query's rarest term is there: a name, a code, a number."""
    if not len(found.asked):
        return np.zeros(len(found))
    return (found.counts[:, int(np.argmax(found.idf))] > 0).astype(np.float64)


def pairs(found: Candidates) -> Floats:
    """Share of the query's neighbouring terms that are neighbours in the passage too, weighted by their idf."""
    place = {term: number for number, term in enumerate(found.asked)}
    asked = {(place[a], place[b]) for a, b in zip(found.in_order, found.in_order[1:], strict=False) if a != b}
    if not asked:
        return np.zeros(len(found))
    size = len(found.asked)
    codes = np.array([a * size + b for a, b in sorted(asked)])
    weights = np.array([found.idf[a] + found.idf[b] for a, b in sorted(asked)])
    side_by_side = (found.at[:-1] >= 0) & (found.at[1:] >= 0) & (found.owner[:-1] == found.owner[1:])
    there = found.at[:-1][side_by_side] * size + found.at[1:][side_by_side]
    held = np.zeros((len(found), len(codes)), dtype=bool)
    column = np.searchsorted(codes, there)
    column = np.minimum(column, len(codes) - 1)
    right = codes[column] == there
    held[found.owner[:-1][side_by_side][right], column[right]] = True
    shares: Floats = held @ weights / weights.sum()
    return shares


def neighbours(score: Floats, found: Candidates) -> Floats:
    """The larger score of the chunks before and after, among the candidates; 0 where neither is one."""
    return _neighbours(found, score)


def of_document(score: Floats, found: Candidates) -> Floats:
    """The best score of the same document's candidates."""
    best: dict[object, float] = {}
    documents = found.column("document_id")
    for name, value in zip(documents, score.tolist(), strict=True):
        best[name] = max(best.get(name, value), value)
    return np.array([best[name] for name in documents])


def feedback(found: Candidates, first: Floats) -> Floats:
    """Cosine to the query drawn towards the passages that are best so far."""
    if not len(found):
        return first
    best = np.argsort(-first, kind="stable")[:FEEDBACK_FROM]
    weights = np.exp(4 * (first[best] - first[best[0]]))
    drawn = found.query + FEEDBACK_SHARE * (weights / weights.sum()) @ found.vectors[best]
    drawn = drawn / np.linalg.norm(drawn)
    nearness: Floats = (found.vectors @ drawn).astype(np.float64)
    return spread(nearness)


def _weighted(found: Candidates, held: np.ndarray) -> Floats:
    whole = found.idf.sum()
    shares: Floats = held @ found.idf / whole if whole > 0 else np.zeros(len(found))
    return shares


def _neighbours(found: Candidates, score: Floats) -> Floats:
    places = zip(*(found.column(name) for name in ("document_id", "start", "end")), range(len(found)), strict=True)
    best = np.zeros(len(found))
    for (document, _, end, a), (other, start, _, b) in itertools.pairwise(sorted(places)):
        if document == other and start - end < GAP:
            best[a] = max(best[a], score[b])
            best[b] = max(best[b], score[a])
    return best


def all_features(found: Candidates) -> dict[str, Floats]:
    """Every feature by name."""
    cosine, words = spread(found.cosine), share_of_best(found.bm25)
    first = 0.5 * cosine + 0.5 * words
    return {
        "vector": cosine,
        "cosine": found.cosine,
        "words": words,
        "coverage": coverage(found),
        "heading": heading(found),
        "rarest": rarest(found),
        "pairs": pairs(found),
        "neighbour_vector": neighbours(cosine, found),
        "neighbour_words": neighbours(words, found),
        "document_vector": of_document(cosine, found),
        "document_words": of_document(words, found),
        "feedback": feedback(found, first),
    }
