"""Queries -> hits: vectors and BM25, fused by a convex combination of normalised scores.

Invariant: every candidate has its true cosine, whichever search brought it, so that a passage found by its words
alone is not treated as one without meaning. Source of the fusion: Bruch, Gai, Ingber, "An Analysis of Fusion
Functions for Hybrid Retrieval" (2023); it keeps the size of a score's lead, which reciprocal ranks throw away.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipelines.contracts import Chunk, Hit
from pipelines.errors import QuestionFileError
from pipelines.retrieval import index
from pipelines.retrieval.embedder import Embedder
from pipelines.retrieval.index import CHUNK_COLUMNS, Found
from pipelines.retrieval.terms import terms
from pipelines.settings import Settings

LONGEST_QUERY = 20_000
"""Characters: a longer query is a mistake or an attack."""

Vectors = npt.NDArray[np.float32]


class Searcher:
    """An index version, open for questions."""

    def __init__(self, settings: Settings, state: Path, folder: Path) -> None:
        """`folder`: a stage folder (or a release's `index/`) that holds index.json.

        Raises IndexMismatchError when it holds none, or one of another embedding model. A version that is
        missing from the store is rebuilt from the folder.
        """
        self.settings = settings.retrieval
        self.embedder = Embedder(settings.embedding, threads=settings.runtime.threads)
        self.pointer = index.load_pointer(folder, self.embedder.digest)
        if not index.present(state, folder):
            index.restore(state, folder)
        self._index = index.open_index(state, self.pointer)

    @property
    def tag(self) -> str:
        """The index version."""
        return self.pointer.tag

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """The k best chunks for each query, best first.

        Raises QuestionFileError for an empty or overlong query.
        """
        for number, query in enumerate(queries, 1):
            check_query(query, number)
        vectors = self.embedder.encode_queries(list(queries))
        return [self._one(query, vector, k) for query, vector in zip(queries, vectors, strict=True)]

    def _one(self, query: str, vector: Vectors, k: int) -> list[Hit]:
        wanted = max(k, self.settings.candidates)
        asked = terms(query)
        near = self._index.nearest(vector, wanted)
        matched = self._index.matching(asked, wanted) if asked else None
        found = _candidates(near, matched, vector)
        similarity = spread([one.cosine for one in found])
        words = share_of_best([one.bm25 for one in found])
        scored = [self._scored(one, s, w) for one, s, w in zip(found, similarity, words, strict=True)]
        scored.sort(key=lambda each: (-each.score, each.name))
        return [Hit(chunk=each.candidate.chunk(), score=each.score, parts=each.parts) for each in scored[:k]]

    def _scored(self, one: "_Candidate", similarity: float, words: float) -> "_Scored":
        weight = self.settings.vector_weight
        parts = {"vector": weight * similarity, "text": (1 - weight) * words}
        if one.superseded:
            parts["superseded"] = -self.settings.superseded_penalty
        return _Scored(sum(parts.values()), one.name, parts, one)


@dataclass(frozen=True)
class _Candidate:
    """Where a chunk's fields lie, and its two scores; `bm25` 0: not among the best by its words."""

    name: str
    found: Found
    row: int
    superseded: bool
    cosine: float
    bm25: float

    def chunk(self) -> Chunk:
        """The chunk itself: made for winners alone."""
        return Chunk.model_validate(self.found.rows.slice(self.row, 1).select(CHUNK_COLUMNS).to_pylist()[0])


@dataclass(frozen=True)
class _Scored:
    score: float
    name: str
    parts: dict[str, float]
    candidate: _Candidate


def _candidates(near: Found, matched: Found | None, vector: Vectors) -> list[_Candidate]:
    """Every row that either search brought, once."""
    by_words = dict(zip(_names(matched), matched.scores.tolist(), strict=True)) if matched else {}
    made: dict[str, _Candidate] = {}
    for found in (near, matched):
        if found is None:
            continue
        cosines, superseded = found.vectors @ vector, found.rows.column("superseded").to_pylist()
        for row, name in enumerate(_names(found)):
            if name not in made:
                cosine, bm25 = float(cosines[row]), by_words.get(name, 0.0)
                made[name] = _Candidate(name, found, row, superseded[row], cosine, bm25)
    return list(made.values())


def _names(found: Found) -> list[str]:
    names: list[str] = found.rows.column("id").to_pylist()
    return names


def spread(scores: Sequence[float]) -> list[float]:
    """Scores mapped to 0..1 by the smallest and the largest; equal scores are all 1."""
    low, high = min(scores, default=0.0), max(scores, default=0.0)
    return [(score - low) / (high - low) if high > low else 1.0 for score in scores]


def share_of_best(scores: Sequence[float]) -> list[float]:
    """Scores as shares of the largest: BM25's smallest is 0, a passage without any of the words."""
    high = max(scores, default=0.0)
    return [score / high if high > 0 else 0.0 for score in scores]


def check_query(query: str, number: int) -> None:
    """Raise QuestionFileError for a query that cannot be searched."""
    if not query.strip():
        raise QuestionFileError(f"Query {number} is empty: give it some words.")
    if len(query) > LONGEST_QUERY:
        raise QuestionFileError(
            f"Query {number} has {len(query):,} characters; the limit is {LONGEST_QUERY:,}. Shorten it to the question."
        )
