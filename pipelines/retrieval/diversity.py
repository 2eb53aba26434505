"""Scores -> the hits that are shown: the best first, unlike each other, not all of one document.

Maximal marginal relevance: Carbonell and Goldstein, "The Use of MMR, Diversity-Based Reranking" (1998). Here a chunk's
score loses `strength` times its largest cosine to one picked before it, so that the loss is a part of the score like
any other; their lambda is 1 / (1 + strength). Invariant: scores with their losses do not rise along the picks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.retrieval.candidates import Floats, Vectors


@dataclass(frozen=True)
class Pick:
    """A candidate's row, and what its likeness to earlier picks costs it (0 or less)."""

    row: int
    loss: float


def pick(
    score: Floats,
    names: Sequence[str],
    vectors: Vectors,
    documents: Sequence[str],
    k: int,
    *,
    strength: float,
    per_document: int,
) -> list[Pick]:
    """At most k candidates, best first; equal scores by name. `vectors`: float32 [n, dim] of unit length.

    `strength` 0: likeness costs nothing. `per_document` 0: no limit; with one, fewer than k may be left.
    Each pick takes time linear in the candidates.
    """
    open_rows = np.array([row for _, _, row in sorted(zip((-score).tolist(), names, range(len(names)), strict=True))])
    if not strength and not per_document:
        return [Pick(int(row), 0.0) for row in open_rows[:k]]
    loss, taken = np.zeros(len(score)), dict.fromkeys(documents, 0)
    nearest = np.full(len(score), -1.0)
    picked: list[Pick] = []
    while len(open_rows) and len(picked) < k:
        row = int(open_rows[np.argmax((score + loss)[open_rows])])
        picked.append(Pick(row, float(loss[row])))
        taken[documents[row]] += 1
        full = per_document and taken[documents[row]] >= per_document
        gone = [documents[each] == documents[row] if full else each == row for each in open_rows]
        open_rows = open_rows[~np.array(gone)]
        if strength:
            nearest = np.maximum(nearest, vectors @ vectors[row])
            loss = -strength * np.maximum(nearest, 0.0)
    return picked
