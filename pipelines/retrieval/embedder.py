"""Texts -> unit vectors, by a sentence encoder of the hub, a folder or a package.

A model folder is read as sentence-transformers lays it out: pooling from `1_Pooling/config.json`, the longest
text from `sentence_bert_config.json`. Batches hold texts of like length within a token budget, so that little
padding is computed; bfloat16 agrees with float32 to a cosine above .999 (tests/retrieval/test_embedder.py).
Not covered: models with a dense layer after pooling, or with code of their own.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pipelines.contracts import content_id
from pipelines.errors import ModelError
from pipelines.modelfiles import model_digest, model_folder
from pipelines.settings import Embedding

Vectors = npt.NDArray[np.float32]
Pooling = Literal["mean", "cls", "last"]
POOLED_BY: dict[str, Pooling] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "last",
}
DEFAULT_LONGEST = 512
"""Tokens, for a folder that does not say: what BERT-like encoders hold."""


class Embedder:
    """A sentence encoder; weights are loaded when the first text is encoded.

    Raises ModelError for a folder that is no such model.
    """

    def __init__(self, settings: Embedding, *, threads: int = 0) -> None:
        self.settings, self.threads = settings, threads
        self.folder = model_folder(settings.model)
        self.pooling = _pooling(self.folder)
        self.longest = _longest(self.folder)

    @property
    def digest(self) -> str:
        """Identity of the vectors: weights, precision, pooling, cut and passage prefix."""
        weights = model_digest(self.settings.model)
        return content_id(weights, self.settings.dtype, self.pooling, self.longest, self.settings.passage_prefix)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(_json(self.folder / "config.json")["hidden_size"])

    def encode_passages(self, texts: Sequence[str], *, report: Callable[[int, int], None] | None = None) -> Vectors:
        """float32 [n, dim], rows of unit length, in the order of the texts; `report(done, total)` by batch."""
        return self._encode([self.settings.passage_prefix + text for text in texts], report)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """float32 [n, dim], rows of unit length."""
        return self._encode([self.settings.query_prefix + text for text in texts], None)

    def _encode(self, texts: Sequence[str], report: Callable[[int, int], None] | None) -> Vectors:
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        if not texts:
            return vectors
        ids = self._tokenizer(list(texts), truncation=True, max_length=self.longest)["input_ids"]
        done = 0
        for batch in batches([len(row) for row in ids], self.settings.batch_tokens):
            vectors[batch] = self._forward([ids[i] for i in batch])
            done += len(batch)
            if report:
                report(done, len(texts))
        return vectors

    def _forward(self, ids: list[list[int]]) -> Vectors:
        """float32 [batch, dim] of unit length."""
        import torch

        padded = self._tokenizer.pad({"input_ids": ids}, return_tensors="pt", padding_side="right")
        with torch.inference_mode():
            hidden = self._model(**padded).last_hidden_state.float()  # [batch, tokens, dim]
        pooled = _pooled(hidden, padded["attention_mask"], self.pooling)
        unit: Vectors = torch.nn.functional.normalize(pooled, dim=1).numpy()
        return unit

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        try:
            return AutoTokenizer.from_pretrained(self.folder)
        except (OSError, ValueError) as exc:
            raise ModelError(f"{self.settings.model}: its tokenizer cannot be loaded: {exc}") from exc

    @cached_property
    def _model(self) -> Any:
        import torch
        from transformers import AutoModel
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        if self.threads:
            torch.set_num_threads(self.threads)
        dtype = getattr(torch, self.settings.dtype)
        try:
            return AutoModel.from_pretrained(self.folder, dtype=dtype, use_safetensors=True).eval()
        except (OSError, ValueError) as exc:
            raise ModelError(f"{self.settings.model}: its weights cannot be loaded: {exc}") from exc


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


def _pooled(hidden: Any, mask: Any, pooling: Pooling) -> Any:
    """float32 [batch, tokens, dim] and the mask of real tokens [batch, tokens] -> [batch, dim]."""
    if pooling == "cls":
        return hidden[:, 0]
    if pooling == "last":
        return hidden[range(len(hidden)), mask.sum(1) - 1]
    real = mask.unsqueeze(-1).float()
    return (hidden * real).sum(1) / real.sum(1).clamp(min=1)


def _pooling(folder: Path) -> Pooling:
    place = folder / "1_Pooling" / "config.json"
    if not place.exists():
        return "mean"
    asked = [name for name, on in _json(place).items() if name.startswith("pooling_mode_") and on is True]
    if len(asked) != 1 or asked[0] not in POOLED_BY:
        raise ModelError(f"{place} asks for {', '.join(asked) or 'no pooling'}; known: {', '.join(POOLED_BY)}.")
    return POOLED_BY[asked[0]]


def _longest(folder: Path) -> int:
    """Tokens that the model was trained on at most; longer texts are cut."""
    holds = int(_json(folder / "config.json").get("max_position_embeddings", DEFAULT_LONGEST))
    place = folder / "sentence_bert_config.json"
    said = _json(place).get("max_seq_length") if place.exists() else None
    return min(int(said or DEFAULT_LONGEST), holds)


def _json(place: Path) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ModelError(f"{place} cannot be read: {exc}. `embedding.model` must name a sentence encoder.") from exc
    return loaded
