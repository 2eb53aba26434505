"""Cut where the subject changes: sentences are grouped so that those of a chunk are alike.

A sentence's vector is the mean of its tokens' entries in the embedding model's own input table, rare tokens weighing
more (Arora, Liang, Ma, "A simple but tough-to-beat baseline for sentence embeddings", 2017): no model is run. The best
grouping within the budget is found by dynamic programming over the sum of likenesses above the document's average
(Smith and Troynikov, "Evaluating chunking strategies for retrieval", 2024: their cluster chunker).
Limits: needs a model folder with an input table; a long document is looked at SENTENCES at a time.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipelines.contracts import Block
from pipelines.documents.chunking import Piece
from pipelines.documents.chunking.structural import Unit, fitted, piece_of, units_of
from pipelines.documents.chunking.tokens import ModelTokens, Tokens
from pipelines.errors import SettingsError

SENTENCES = 400
"""Looked at together: the likenesses of all pairs are held at once."""
LONGEST_UNIT = 48
"""Tokens: a longer paragraph is taken sentence by sentence."""
COMMON = 1e-3
"""Of Arora et al.: a token of this share weighs half of a rare one."""

Floats = npt.NDArray[np.float32]


def divide(text: str, blocks: Sequence[Block], tokens: Tokens, *, size: int, overlap: int) -> list[Piece]:
    """Chunks of like sentences; `overlap` is not used, since a chunk ends where the subject does."""
    if not isinstance(tokens, ModelTokens):
        raise SettingsError("chunking.strategy semantic needs an embedding model with a tokenizer of its own.")
    units = units_of(text, blocks, tokens, min(size, LONGEST_UNIT))
    found: list[Sequence[Unit]] = []
    for start in range(0, len(units), SENTENCES):
        part = units[start : start + SENTENCES]
        vectors = _vectors([text[unit.start : unit.end] for unit in part], tokens)
        found += [part[a:b] for a, b in grouped(vectors, [unit.tokens for unit in part], size)]
    return [piece_of(text, blocks, run, counted) for run, counted in fitted(text, blocks, found, tokens, size)]


def grouped(vectors: Floats, counts: Sequence[int], size: int) -> list[tuple[int, int]]:
    """Spans of sentences with the largest sum of likenesses above average; unit vectors float32 [n, dim] in."""
    n = len(vectors)
    likeness = vectors @ vectors.T
    above = likeness - (likeness.sum() - np.trace(likeness)) / max(n * (n - 1), 1)
    np.fill_diagonal(above, 0.0)
    sums = np.zeros((n + 1, n + 1))
    sums[1:, 1:] = above.cumsum(0).cumsum(1)
    held = np.concatenate([[0], np.cumsum(counts)])
    best, cut = np.full(n + 1, -np.inf), np.zeros(n + 1, dtype=np.int64)
    best[0] = 0.0
    for end in range(1, n + 1):
        first = int(np.searchsorted(held, held[end] - size))  # the longest run that fits
        starts = np.arange(min(first, end - 1), end)
        inside = sums[end, end] - sums[starts, end] - sums[end, starts] + sums[starts, starts]
        gains = best[starts] + inside
        cut[end] = starts[int(np.argmax(gains))]
        best[end] = gains.max()
    spans: list[tuple[int, int]] = []
    end = n
    while end:
        spans.insert(0, (int(cut[end]), end))
        end = int(cut[end])
    return spans


def _vectors(sentences: Sequence[str], tokens: ModelTokens) -> Floats:
    """float32 [n, dim] of unit length; a sentence without a token is a zero row."""
    table = _table(tokens.folder)
    made = np.zeros((len(sentences), table.shape[1]), dtype=np.float32)
    for row, ids in enumerate(tokens.ids(sentences)):
        if ids:
            rank = np.asarray(ids, dtype=np.float64) + 1
            weight = COMMON / (COMMON + 0.1 / rank)  # vocabularies are sorted by how common a token is: Zipf's law
            made[row] = (table[ids] * weight[:, None]).sum(0)
    made -= made.mean(0, keepdims=True)
    lengths = np.linalg.norm(made, axis=1, keepdims=True)
    unit: Floats = np.divide(made, lengths, out=np.zeros_like(made), where=lengths > 0)
    return unit


@lru_cache(maxsize=1)
def _table(folder: Path) -> Floats:
    """The input table of a model folder: float32 [tokens, dim]. Raises SettingsError for a folder without one."""
    from safetensors import safe_open

    for place in sorted(folder.glob("*.safetensors")):
        with safe_open(place, framework="numpy") as weights:
            for name in weights.keys():  # noqa: SIM118  not a mapping
                if name.endswith(("word_embeddings.weight", "embed_tokens.weight")):
                    table: Floats = weights.get_tensor(name).astype(np.float32)
                    return table
    raise SettingsError(f"{folder} holds no input table: choose another chunking.strategy than semantic.")
