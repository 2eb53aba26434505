"""Cut where the subject changes, as well as where structure says.

The words before and after a place are compared by vectors (Hearst, "TextTiling", 1997): the less alike they are, next
to other places of the document, the cheaper is a cut there; what fills a chunk and what structure holds together count
as in `structural`. A vector is the mean of the tokens' entries in the embedding model's own input table, rare tokens
weighing more (Arora, Liang, Ma, "A simple but tough-to-beat baseline for sentence embeddings", 2017): no model is run.
Limits: needs a model folder with an input table.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipelines.contracts import Block
from pipelines.documents.chunking import Piece
from pipelines.documents.chunking.structural import cut_costs, packed
from pipelines.documents.chunking.tokens import ModelTokens, Tokens
from pipelines.documents.chunking.units import Unit, units_of
from pipelines.errors import SettingsError

WHOLE_SHARE = 1.0
"""Of `size`: a longer paragraph is taken sentence by sentence."""
WEIGHT = 0.3
"""Of one standard deviation of likeness, where a cut between paragraphs costs .15."""
WINDOW_SHARE = 0.35
"""Of `size`: tokens on each side that are compared."""
COMMON = 1e-3
"""Of Arora et al.: a token of this share weighs half of a rare one."""
_READ_AT_ONCE = 4096

Floats = npt.NDArray[np.float64]


def divide(text: str, blocks: Sequence[Block], tokens: Tokens, *, size: int, overlap: int) -> list[Piece]:
    """Chunks that end where the subject does, if that is near."""
    if not isinstance(tokens, ModelTokens):
        raise SettingsError("chunking.strategy semantic needs an embedding model with a tokenizer of its own.")
    units = units_of(text, blocks, tokens, size, max(1, int(WHOLE_SHARE * size)))
    if not units:
        return []
    extra = WEIGHT * likeness(text, units, tokens, max(1, int(WINDOW_SHARE * size)))
    places = {(unit.start, unit.block): number for number, unit in enumerate(units)}

    def costs(part: Sequence[Unit]) -> list[float]:
        first = places[part[0].start, part[0].block]
        own = np.asarray(cut_costs(blocks, part)) + extra[first : first + len(part)]
        found: list[float] = np.maximum(own, 0.0).tolist()
        return found

    return packed(text, blocks, units, tokens, costs, size=size, overlap=overlap)


def likeness(text: str, units: Sequence[Unit], tokens: ModelTokens, window: int) -> Floats:
    """How alike the `window` tokens before and after each unit's start are: float64 [units], in standard deviations."""
    held = np.concatenate([[0], np.cumsum([unit.tokens for unit in units])])
    at = np.arange(len(units))
    first = np.minimum(np.searchsorted(held, held[:-1] - window, side="left"), np.maximum(at - 1, 0))
    last = np.maximum(np.searchsorted(held, held[:-1] + window, side="right") - 1, at + 1)
    found = np.zeros(len(units))
    for start in range(0, len(units), _READ_AT_ONCE):
        part = slice(start, min(start + _READ_AT_ONCE, len(units)))
        low, high = int(first[part].min()), int(last[part].max())
        sums = _summed([text[unit.start : unit.end] for unit in units[low:high]], tokens)
        before = _unit(sums[at[part] - low] - sums[first[part] - low])
        after = _unit(sums[last[part] - low] - sums[at[part] - low])
        found[part] = (before * after).sum(1)
    found[0] = found[1:].mean() if len(units) > 1 else 0.0
    spread: Floats = (found - found.mean()) / max(float(found.std()), 1e-6)
    return spread.round(6)  # what is alike stays alike on another processor


def _summed(texts: Sequence[str], tokens: ModelTokens) -> Floats:
    """Sums of token vectors (less the mean of all) of the texts before each: float64 [texts + 1, dim]."""
    table = _table(tokens.folder)
    made = np.zeros((len(texts) + 1, table.shape[1]))
    total = np.zeros(len(texts) + 1)
    for row, ids in enumerate(tokens.ids(texts), 1):
        if ids:
            weight = COMMON / (COMMON + 0.1 / (np.asarray(ids) + 1.0))  # ids go by how common a token is: Zipf
            made[row] = weight @ table[ids]
            total[row] = weight.sum()
    mean = made.sum(0) / max(float(total.sum()), 1e-9)
    summed: Floats = (made - total[:, None] * mean).cumsum(0)
    return summed


def _unit(rows: Floats) -> Floats:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Floats = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 1e-9)
    return scaled


@lru_cache(maxsize=1)
def _table(folder: Path) -> npt.NDArray[np.float32]:
    """The input table of a model folder: float32 [tokens, dim]. Raises SettingsError for a folder without one."""
    from safetensors import safe_open

    for place in sorted(folder.glob("*.safetensors")):
        with safe_open(place, framework="numpy") as weights:
            for name in weights.keys():  # noqa: SIM118  not a mapping
                if name.endswith(("word_embeddings.weight", "embed_tokens.weight")):
                    table: npt.NDArray[np.float32] = weights.get_tensor(name).astype(np.float32)
                    return table
    raise SettingsError(f"{folder} holds no input table: choose another chunking.strategy than semantic.")
