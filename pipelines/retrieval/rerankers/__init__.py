"""A query and its best passages -> scores by a model that reads both together: one file a kind.

`cross_encoder` runs a model folder; `endpoint` asks a server. Scores lie in 0..1 and are one more part of a hit's,
with their weight: what the index said still counts, and passages beyond `candidates` keep their places below.
Source: Nogueira and Cho, "Passage Re-ranking with BERT" (2019).
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pipelines.settings import Reranking

Floats = npt.NDArray[np.float64]


class Reranker(Protocol):
    """A model that judges how well passages answer a query."""

    name: str
    """For messages: kind and model."""

    def __call__(self, query: str, passages: Sequence[str]) -> Floats:
        """float64 [passages] in 0..1, in their order. Raises ModelError or EngineError."""
        ...


def open_reranker(reranking: Reranking, *, threads: int) -> Reranker | None:
    """The reranker that the settings name; None for `none`. Raises SettingsError or ModelError."""
    if reranking.kind == "none":
        return None
    if reranking.kind == "endpoint":
        from pipelines.retrieval.rerankers.endpoint import EndpointReranker

        return EndpointReranker(reranking)
    from pipelines.retrieval.rerankers.cross_encoder import CrossEncoder

    return CrossEncoder(reranking, threads=threads)


def squashed(logits: Floats) -> Floats:
    """Logits as 0..1 by the logistic function, without overflow."""
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1 / (1 + small), small / (1 + small))
