"""Attention of a training step on a CPU: blocks of queries that leave out the keys which none of them may see.

torch's CPU kernel takes 40% of a step, four fifths of it backward. Here a block is a handful of matrix products,
with heads that share keys and values (grouped queries) as rows of one product: 10.6 ms instead of 25.2 for a layer
of SmolLM2-135M, forward and backward, on 4 rows of 461 tokens (two cores with AMX, bfloat16).
Invariant: outputs and gradients equal those of torch's kernel but for rounding (tests/training/test_attention.py).
Limits: causal masks; no dropout; keeps the probabilities of the visible half, 2 bytes each in bfloat16. On a GPU
torch's own kernel is the better one.
"""

from typing import Any

import torch

NAME = "blocked"
BLOCK = 64
"""Queries at a time: 128 is as fast on long rows and slower on short ones."""


class BlockedAttention(torch.autograd.Function):  # type: ignore[misc]  # torch is not followed by mypy
    """`query`: [rows, heads, length, size]; `key`, `value`: [rows, groups, length, size], heads a multiple of groups.

    `bias`: [rows, 1, length, length], added to the scores: 0 where a token (third axis) may look, else -inf.
    """

    @staticmethod
    def forward(
        ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bias: torch.Tensor, scale: float
    ) -> torch.Tensor:
        """[rows, heads, length, size]."""
        rows, heads, length, size = query.shape
        groups = key.shape[1]
        scaled, keys, values = query * scale, key.flatten(0, 1), value.flatten(0, 1)
        result = torch.empty_like(query)
        kept = []
        for start, end in _blocks(length):
            scores = torch.bmm(_rows(scaled, start, end, groups), keys[:, :end].transpose(1, 2))
            scores.view(rows, heads, end - start, end).add_(bias[:, :, start:end, :end])
            shares = torch.softmax(scores, -1)
            result[:, :, start:end] = torch.bmm(shares, values[:, :end]).view(rows, heads, end - start, size)
            kept.append(shares)
        ctx.save_for_backward(scaled, keys, values, *kept)
        ctx.scale, ctx.groups = scale, groups
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of query, key and value."""
        scaled, keys, values, *kept = ctx.saved_tensors
        rows, heads, length, size = scaled.shape
        of_query, of_keys, of_values = torch.empty_like(scaled), torch.zeros_like(keys), torch.zeros_like(values)
        for (start, end), shares in zip(_blocks(length), kept, strict=True):
            gradient = _rows(gradients[0], start, end, ctx.groups)
            of_values[:, :end] += torch.bmm(shares.transpose(1, 2), gradient)
            of_shares = torch.bmm(gradient, values[:, :end].transpose(1, 2))
            of_scores = torch._softmax_backward_data(of_shares, shares, -1, shares.dtype)
            of_query[:, :, start:end] = torch.bmm(of_scores, keys[:, :end]).view(rows, heads, end - start, size)
            of_keys[:, :end] += torch.bmm(of_scores.transpose(1, 2), _rows(scaled, start, end, ctx.groups))
        shape = (rows, ctx.groups, length, size)
        return of_query.mul_(ctx.scale), of_keys.view(shape), of_values.view(shape), None, None


def register() -> str:
    """Make it known to transformers; gives the name for `attn_implementation`."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, _of_layer)
    return NAME


def as_bias(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """A mask (true: may look) as what is added to scores, made once for all layers."""
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, float("-inf"))


def _of_layer(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor,
    scaling: float,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' attention interface: gives [rows, length, heads, size] and no weights."""
    result: torch.Tensor = BlockedAttention.apply(query, key, value, attention_mask, scaling)
    return result.transpose(1, 2).contiguous(), None


def _blocks(length: int) -> list[tuple[int, int]]:
    return [(start, min(start + BLOCK, length)) for start in range(0, length, BLOCK)]


def _rows(heads: torch.Tensor, start: int, end: int, groups: int) -> torch.Tensor:
    """Queries start..end, heads of a group under one another: [rows * groups, heads a group * queries, size]."""
    part = heads[:, :, start:end]
    return part.reshape(part.shape[0] * groups, -1, part.shape[-1])
