"""The precision in which this machine multiplies faster, for everything that torch computes here.

Processors differ a hundredfold and more. With AMX tiles bfloat16 is several times faster than float32; with AVX-512
alone it can be half as fast; with AVX2 alone torch has a poor kernel for `x @ w.T` and none for `x @ w`, which every
backward pass needs (8 and 136 times slower than float32, seen on a Zen 3). So it is measured, once a process.
Limits: a GPU counts as one that has bfloat16 (NVIDIA since Ampere).
"""

import time
from functools import cache
from typing import Literal

Precision = Literal["float32", "bfloat16"]
SHAPE = (256, 640, 1536)
"""Tokens, features in, features out: half a GFLOP, a layer of a small model."""
TRIES = 5
ENOUGH_S = 0.1
"""No further try after this long: what is that slow is not chosen."""


def fastest(device: str) -> Precision:
    """`device`: "cpu", or the kind of a GPU."""
    return "bfloat16" if device != "cpu" else _of_processor()


@cache
def _of_processor() -> Precision:
    # float32 where they are even: it is the more exact one
    return "bfloat16" if _seconds("bfloat16") < _seconds("float32") else "float32"


def _seconds(dtype: Precision) -> float:
    """The best of some tries of both products, that with the weight transposed and that with it as it lies."""
    import torch

    tokens, before, after = SHAPE
    kind = getattr(torch, dtype)
    x, gradient = torch.ones(tokens, before, dtype=kind), torch.ones(tokens, after, dtype=kind)
    weight = torch.ones(after, before, dtype=kind)
    taken: list[float] = []
    while len(taken) <= TRIES and sum(taken) < ENOUGH_S:
        started = time.perf_counter()
        torch.nn.functional.linear(x, weight)
        torch.mm(gradient, weight)
        taken.append(time.perf_counter() - started)
    return min(taken[1:] or taken)  # the first one warms up
