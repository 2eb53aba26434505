"""What a model folder says of itself, as sentence-transformers lays it out.

Pooling stands in `1_Pooling/config.json`, the longest text in `sentence_bert_config.json`.
Not covered: models with a dense layer after pooling, or with code of their own: both are refused.
"""

import json
from pathlib import Path
from typing import Any, Literal

from pipelines.errors import ModelError

Pooling = Literal["mean", "cls", "last"]
POOLED_BY: dict[str, Pooling] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "last",
}
DEFAULT_LONGEST = 512
"""Tokens, for a folder that does not say: what BERT-like encoders hold."""


def pooling_of(folder: Path) -> Pooling:
    """How token states become a vector. Raises ModelError for a way that is not known."""
    place = folder / "modules.json"
    modules = read(place) if place.exists() else []
    if dense := [module["path"] for module in modules if str(module.get("type", "")).endswith(".Dense")]:
        raise ModelError(f"{folder} has a dense layer after pooling ({dense[0]}), which is not supported.")
    place = folder / "1_Pooling" / "config.json"
    if not place.exists():
        return "mean"
    asked = [name for name, on in read(place).items() if name.startswith("pooling_mode_") and on is True]
    if len(asked) != 1 or asked[0] not in POOLED_BY:
        raise ModelError(f"{place} asks for {', '.join(asked) or 'no pooling'}; known: {', '.join(POOLED_BY)}.")
    return POOLED_BY[asked[0]]


def longest_of(folder: Path) -> int:
    """Tokens, special ones included, that the model was trained on at most; longer texts are cut."""
    holds = int(read(folder / "config.json").get("max_position_embeddings", DEFAULT_LONGEST))
    place = folder / "sentence_bert_config.json"
    said = read(place).get("max_seq_length") if place.exists() else None
    return min(int(said or DEFAULT_LONGEST), holds)


def dim_of(folder: Path) -> int:
    """Length of a vector."""
    return int(read(folder / "config.json")["hidden_size"])


def read(place: Path) -> Any:
    """A JSON file of a model folder. Raises ModelError."""
    try:
        return json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ModelError(f"{place} cannot be read: {exc}. `embedding.model` must name a sentence encoder.") from exc
