"""Vectors from a server that speaks OpenAI's embeddings API; its key is GROUNDWORK_EMBEDDING_API_KEY.

Not covered: what the server runs. Its model's name stands for its identity, so a server that changes the model
under the same name goes unnoticed until the index is built anew.
"""

from collections.abc import Sequence

import numpy as np

from pipelines.errors import EngineError, SettingsError
from pipelines.retrieval.encoders import Vectors
from pipelines.settings import Embedding, secret

TEXTS_AT_ONCE = 128
TIMEOUT_S = 60


class EndpointEncoder:
    """A client for one model. Raises SettingsError without an address or a name."""

    def __init__(self, embedding: Embedding) -> None:
        from openai import OpenAI

        if not embedding.base_url or not embedding.upstream_model:
            raise SettingsError("embedding.engine openai needs embedding.base_url and embedding.upstream_model.")
        key = secret("EMBEDDING")
        self._model = embedding.upstream_model
        self._client = OpenAI(
            base_url=embedding.base_url,
            api_key=key.get_secret_value() if key else "none",
            timeout=TIMEOUT_S,
            max_retries=3,
        )

    def encode(self, texts: Sequence[str]) -> Vectors:
        """float32 [n, dim] of unit length. Raises EngineError when the server fails or answers oddly."""
        from openai import OpenAIError

        parts: list[Vectors] = []
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            part = list(texts[start : start + TEXTS_AT_ONCE])
            try:
                answer = self._client.embeddings.create(model=self._model, input=part, encoding_format="float")
            except OpenAIError as exc:
                kind = type(exc).__name__  # its text may repeat the request with its key
                raise EngineError(f"The embedding server failed on {len(part)} texts ({kind}).") from exc
            parts.append(_checked([row.embedding for row in sorted(answer.data, key=lambda row: row.index)], len(part)))
        return np.concatenate(parts) if parts else np.zeros((0, 0), dtype=np.float32)


def _checked(rows: list[list[float]], wanted: int) -> Vectors:
    if len(rows) != wanted or len({len(row) for row in rows}) != 1:
        raise EngineError(f"The embedding server gave {len(rows)} vectors of unequal length for {wanted} texts.")
    vectors = np.asarray(rows, dtype=np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(vectors).all() or not lengths.all():
        raise EngineError("The embedding server gave a vector that is zero or not a number.")
    unit: Vectors = vectors / lengths
    return unit
