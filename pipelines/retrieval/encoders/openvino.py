"""An encoder by OpenVINO: on a processor, in bfloat16 where it multiplies that, with 8-bit weights where asked for."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipelines.errors import ModelError
from pipelines.retrieval.encoders import Vectors, padded_length
from pipelines.retrieval.encoders.prepared import prepared
from pipelines.settings import Embedding


class OpenVINOEncoder:
    """A prepared graph, compiled for this processor."""

    def __init__(self, embedding: Embedding, *, threads: int = 0) -> None:
        import openvino

        graph = prepared(embedding.model, embedding.precision)
        core = openvino.Core()
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        used = threads or cores
        halves = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        properties: dict[str, Any] = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": used,
            # one thread in bfloat16 has ended the process (SIGFPE)
            "INFERENCE_PRECISION_HINT": "bf16" if halves and used > 1 else "f32",
        }
        try:
            self._request = core.compile_model(core.read_model(graph), "CPU", properties).create_infer_request()
        except RuntimeError as exc:
            raise ModelError(f"{graph} cannot be loaded ({exc}); remove its folder, and it is prepared anew.") from exc

    def __call__(self, ids: Sequence[Sequence[int]]) -> Vectors:
        """float32 [batch, dim] of unit length."""
        longest = max(map(padded_length, ids))
        padded = np.zeros((len(ids), longest), dtype=np.int64)
        mask = np.zeros_like(padded)
        for row, tokens in enumerate(ids):
            padded[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        found = self._request.infer({"input_ids": padded, "attention_mask": mask})
        unit: Vectors = found[0].astype(np.float32)  # a copy: the request's own memory is written again
        return unit
