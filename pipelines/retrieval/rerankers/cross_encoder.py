"""A sequence classifier over pairs of query and passage: a hub name or a folder, on a GPU or a processor.

Weights are safetensors and no code of the model's is run. One output is a logit of relevance; of two, the second is
the relevant class. Batches hold pairs of like length within a token budget, padding included.
Invariant: scores do not depend on what else is in the batch (up to rounding), and come in the passages' order.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.errors import EngineError, ModelError, SettingsError
from pipelines.modelfiles import model_folder
from pipelines.retrieval.embedder import batches
from pipelines.retrieval.rerankers import Floats, squashed
from pipelines.settings import Reranking


class CrossEncoder:
    """A loaded model. Raises ModelError for one that cannot judge pairs, SettingsError without a name."""

    def __init__(self, reranking: Reranking, *, threads: int = 0, device: str | None = None) -> None:
        import torch

        if not reranking.model:
            raise SettingsError(
                "retrieval.reranker.kind cross_encoder needs retrieval.reranker.model: a folder or a hub name."
            )
        self.name = f"cross encoder {reranking.model}"
        folder = model_folder(reranking.model)
        self._budget = reranking.batch_tokens
        if threads:
            torch.set_num_threads(threads)
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._model, self._tokenizer = _loaded(folder, self._device)
        self._longest = min(reranking.max_tokens, self._tokenizer.model_max_length, _positions(folder))

    def __call__(self, query: str, passages: Sequence[str]) -> Floats:
        """float64 [passages] in 0..1: the logistic of the logit, or the softmax's second class."""
        if not passages:
            return np.zeros(0)
        made = self._tokenizer([query] * len(passages), list(passages), truncation=True, max_length=self._longest)
        pairs = [{name: column[i] for name, column in made.items()} for i in range(len(passages))]
        logits = np.zeros((len(pairs), int(self._model.config.num_labels)))
        for batch in batches([len(pair["input_ids"]) for pair in pairs], self._budget):
            logits[batch] = self._forward([pairs[i] for i in batch])
        if not np.isfinite(logits).all():
            raise EngineError(f"{self.name} gave a score that is no number; its weights may be damaged.")
        return squashed(logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0])

    def _forward(self, pairs: list[dict[str, list[int]]]) -> np.ndarray:
        """float64 [batch, labels]."""
        import torch

        padded = self._tokenizer.pad(pairs, return_tensors="pt").to(self._device)
        try:
            with torch.inference_mode():
                logits: np.ndarray = self._model(**padded).logits.double().cpu().numpy()
        except RuntimeError as exc:  # out of memory, an input longer than its positions
            raise EngineError(
                f"{self.name} failed on {len(pairs)} passages ({str(exc).splitlines()[0]}); "
                "lower retrieval.reranker.batch_tokens."
            ) from exc
        return logits


def _loaded(folder: Path, device: str) -> tuple[Any, Any]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    _check(folder)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForSequenceClassification.from_pretrained(folder, use_safetensors=True)
    except (OSError, ValueError, KeyError) as exc:
        raise ModelError(f"{folder}: its weights or tokenizer cannot be loaded: {exc}") from exc
    return model.to(device).eval(), tokenizer


def _check(folder: Path) -> None:
    """Refuse what would load with an invented head, or cannot judge pairs."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ModelError(f"{folder} has no readable config.json: it is not a model folder.") from exc
    made_for = config.get("architectures") or ["nothing that its config.json names"]
    if not any("SequenceClassification" in str(each) for each in made_for):
        raise ModelError(
            f"{folder} was made for {', '.join(map(str, made_for))}; a reranker is a sequence classifier over pairs."
        )
    labels = len(config.get("id2label") or {0: "", 1: ""})
    if labels > 2:
        raise ModelError(f"{folder} tells {labels} classes apart; a reranker has one output, or two classes.")


def _positions(folder: Path) -> int:
    """Longest input in tokens; RoBERTa's kind keep two positions for themselves."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    held = int(config.get("max_position_embeddings") or 0)
    offset = 2 if "roberta" in str(config.get("model_type")) else 0
    return held - offset if held > offset else 1 << 20
