"""Texts -> unit vectors, by a sentence encoder of the hub, a folder or a package, or by a server.

Batches hold texts of like length within a token budget, so that little padding is computed. Two digests: `space` says
whose vectors can be compared with whose, `digest` also in which precision they were made (the same text's vectors in 8
bits and in float have a cosine of about .997). Tokenising is the model's own, without its library.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.contracts import content_id
from pipelines.errors import ModelError
from pipelines.modelfiles import model_digest, model_folder
from pipelines.retrieval.encoders import Forward, open_encoder, padded_length
from pipelines.retrieval.encoders.folder import dim_of, longest_of, pooling_of
from pipelines.retrieval.encoders.prepared import CALIBRATION
from pipelines.settings import Embedding

Vectors = npt.NDArray[np.float32]
Report = Callable[[int, int], None]
TOKENISED_AT_ONCE = 4096
"""Texts whose tokens are held at once."""


class Embedder:
    """A sentence encoder; weights are loaded when the first text is encoded.

    Raises ModelError for a folder that is no such model.
    """

    def __init__(self, settings: Embedding, *, threads: int = 0) -> None:
        self.settings, self.threads = settings, threads
        self._remote = settings.engine == "openai"
        if not self._remote:
            self.folder = model_folder(settings.model)
            self.pooling = pooling_of(self.folder)
            self.longest = longest_of(self.folder)

    @property
    def name(self) -> str:
        """What the model is called in messages."""
        return self.settings.upstream_model or "" if self._remote else self.settings.model

    @property
    def space(self) -> str:
        """Whose vectors can be compared with these: weights, pooling, cut and prefixes."""
        chosen = self.settings
        if self._remote:
            return content_id("endpoint", chosen.upstream_model, chosen.passage_prefix)
        return content_id(model_digest(chosen.model), self.pooling, self.longest, chosen.passage_prefix)

    @property
    def digest(self) -> str:
        """Identity of the vectors: the space, and the precision that they were made in."""
        return content_id(self.space, f"int8-{CALIBRATION}" if self.precision == "int8" else "float")

    @property
    def precision(self) -> str:
        """In which the vectors are made; a server keeps its own counsel."""
        return "as served" if self._remote else self.settings.precision

    @cached_property
    def dim(self) -> int:
        """Length of a vector; a server is asked for one."""
        return self._encode(["length"], None).shape[1] if self._remote else dim_of(self.folder)

    def encode_passages(self, texts: Sequence[str], *, report: Report | None = None) -> Vectors:
        """float32 [n, dim], rows of unit length, in the order of the texts; `report(done, total)` by batch."""
        return self._encode([self.settings.passage_prefix + text for text in texts], report)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """float32 [n, dim], rows of unit length."""
        return self._encode([self.settings.query_prefix + text for text in texts], None)

    def _encode(self, texts: Sequence[str], report: Report | None) -> Vectors:
        if self._remote:
            found: Vectors = self._endpoint.encode(texts)
            if report:
                report(len(texts), len(texts))
            return found
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        for start in range(0, len(texts), TOKENISED_AT_ONCE):
            part = vectors[start : start + TOKENISED_AT_ONCE]
            self._encode_part(texts[start : start + TOKENISED_AT_ONCE], part, report, start, len(texts))
        return vectors

    def _encode_part(
        self, texts: Sequence[str], vectors: Vectors, report: Report | None, before: int, total: int
    ) -> None:
        ids = [row.ids for row in self._tokenizer.encode_batch_fast(list(texts))]
        done = 0
        for batch in batches([padded_length(row) for row in ids], self.settings.batch_tokens):
            vectors[batch] = self._forward([ids[i] for i in batch])
            done += len(batch)
            if report:
                report(before + done, total)

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        place = self.folder / "tokenizer.json"
        if not place.exists():
            raise ModelError(f"{self.settings.model} has no tokenizer.json; convert its tokenizer to the fast format.")
        tokenizer = Tokenizer.from_file(str(place))
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.longest)
        return tokenizer

    @cached_property
    def _forward(self) -> Forward:
        return open_encoder(self.settings, self.folder, threads=self.threads)

    @cached_property
    def _endpoint(self) -> Any:
        from pipelines.retrieval.encoders.endpoint import EndpointEncoder

        return EndpointEncoder(self.settings)


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Positions in batches of like length; padded, a batch holds at most `budget` tokens (or one text)."""
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > budget:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
