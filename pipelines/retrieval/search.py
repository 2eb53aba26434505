"""Queries -> hits: vectors and BM25 bring candidates, a weighted sum of what speaks for them ranks them.

Vectors and words are fused by their scores, not their ranks: Bruch, Gai, Ingber, "An Analysis of Fusion Functions for
Hybrid Retrieval" (2023); reciprocal ranks throw away the size of a lead. The weights (`retrieval.weights`) were
fitted on questions of several domains, each left out in turn (docs/retrieval.md).
Invariant: a hit's parts add up to its score.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipelines.contracts import Hit
from pipelines.errors import QuestionFileError
from pipelines.retrieval import index, index_writing
from pipelines.retrieval.candidates import Candidates, Floats, Vectors, gather
from pipelines.retrieval.embedder import Embedder
from pipelines.retrieval.features import all_features
from pipelines.retrieval.filters import EVERYTHING, Filters
from pipelines.settings import Settings

LONGEST_QUERY = 20_000
"""Characters: a longer query is a mistake or an attack."""


class Searcher:
    """An index version, open for questions."""

    def __init__(self, settings: Settings, state: Path, folder: Path) -> None:
        """`folder`: a stage folder (or a release's `index/`) that holds index.json.

        Raises IndexMismatchError when it holds none, or one of another embedding model. A version that is
        missing from the store is rebuilt from the folder.
        """
        self.settings = settings.retrieval
        self.embedder = Embedder(settings.embedding, threads=settings.runtime.threads)
        self.pointer = index.load_pointer(folder, self.embedder.space)
        if not index.present(state, folder, settings):
            index_writing.restore(state, folder, settings)
        self._index = index.open_index(index.place_of(state, settings.index), self.pointer)

    @property
    def tag(self) -> str:
        """The index version."""
        return self.pointer.tag

    def search(self, queries: Sequence[str], k: int, filters: Filters = EVERYTHING) -> list[list[Hit]]:
        """The k best chunks that may be found, for each query, best first.

        Raises QuestionFileError for an empty or overlong query, or a filter with a value that it cannot have.
        """
        for number, query in enumerate(queries, 1):
            check_query(query, number)
        where = filters.where()
        vectors = self.embedder.encode_queries(list(queries))
        return [self._one(query, vector, k, where) for query, vector in zip(queries, vectors, strict=True)]

    def candidates(self, query: str, vector: Vectors, k: int, where: str | None = None) -> Candidates:
        """What both searches bring."""
        return gather(self._index, query, vector, max(k, self.settings.candidates), where)

    def _one(self, query: str, vector: Vectors, k: int, where: str | None) -> list[Hit]:
        found = self.candidates(query, vector, k, where)
        parts = self._parts(found)
        score = np.sum(list(parts.values()), axis=0) if len(found) else np.zeros(0)
        ranked = sorted(zip((-score).tolist(), found.column("id"), range(len(found)), strict=True))
        return [_hit(found, row, parts) for _, _, row in ranked[:k]]

    def _parts(self, found: Candidates) -> dict[str, Floats]:
        """What each feature adds to each candidate's score."""
        features = all_features(found)
        parts = {name: weight * features[name] for name, weight in self.settings.weights.items() if weight}
        older = np.array(found.column("superseded"), dtype=bool)
        if older.any():
            parts["superseded"] = -self.settings.superseded_penalty * older.astype(np.float64)
        return parts


def _hit(found: Candidates, row: int, parts: dict[str, Floats]) -> Hit:
    own = {name: float(values[row]) for name, values in parts.items() if name != "superseded" or values[row]}
    return Hit(chunk=found.chunk(row), score=sum(own.values()), parts=own)


def check_query(query: str, number: int) -> None:
    """Raise QuestionFileError for a query that cannot be searched."""
    if not query.strip():
        raise QuestionFileError(f"Query {number} is empty: give it some words.")
    if len(query) > LONGEST_QUERY:
        raise QuestionFileError(
            f"Query {number} has {len(query):,} characters; the limit is {LONGEST_QUERY:,}. Shorten it to the question."
        )
