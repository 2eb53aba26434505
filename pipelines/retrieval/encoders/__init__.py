"""Tokens -> unit vectors: what runs an encoder, one file an engine.

`openvino` (a processor) and `torch` (a GPU) run a model folder; `endpoint` asks an OpenAI-compatible server. The
engine is not part of a vector's identity: in float they agree to a cosine above .999.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pipelines.settings import Embedding

Vectors = npt.NDArray[np.float32]
LENGTHS = 16
"""Padded lengths are multiples of this: an engine compiles for each new shape, and a few dozen serve every text."""


class Forward(Protocol):
    """A loaded encoder."""

    def __call__(self, ids: Sequence[Sequence[int]]) -> Vectors:
        """float32 [batch, dim] of unit length, for token ids with their special tokens."""
        ...


def padded_length(tokens: Sequence[int]) -> int:
    """The length that a text is padded to at least."""
    return -(-len(tokens) // LENGTHS) * LENGTHS


def open_encoder(embedding: Embedding, folder: Path, *, threads: int) -> Forward:
    """The encoder of a model folder on the engine that is set, or that this machine has."""
    if engine_of(embedding) == "torch":
        from pipelines.retrieval.encoders.torch import TorchEncoder

        return TorchEncoder(folder, threads=threads)
    from pipelines.retrieval.encoders.openvino import OpenVINOEncoder

    return OpenVINOEncoder(embedding, threads=threads)


def engine_of(embedding: Embedding) -> str:
    """`auto` decided: torch where the CUDA driver is there and torch finds a device, OpenVINO elsewhere."""
    if embedding.engine != "auto":
        return embedding.engine
    if not Path("/proc/driver/nvidia/version").exists():  # spares a laptop the import of torch
        return "openvino"
    import torch

    return "torch" if torch.cuda.is_available() else "openvino"
