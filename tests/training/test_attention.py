"""Blocked attention against torch's own, on masks of the kind that grouping makes."""

import pytest
import torch

from pipelines.training.attention import BLOCK, BlockedAttention, as_bias

SIZE = 16


def heads(count: int, length: int, seed: int) -> torch.Tensor:
    return torch.randn(2, count, length, SIZE, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def mask_of(length: int) -> torch.Tensor:
    """Causal; the last third of the first row is a second question, which does not see the middle third."""
    mask = torch.ones(length, length, dtype=torch.bool).tril()[None, None].repeat(2, 1, 1, 1)
    third = length // 3
    mask[0, 0, 2 * third :, third : 2 * third] = False
    return mask


@pytest.mark.parametrize("length", [1, 7, BLOCK, BLOCK + 1, 3 * BLOCK - 5], ids=lambda n: f"{n} tokens")
@pytest.mark.parametrize("groups", [1, 2, 6], ids=["one key for all heads", "grouped", "a key for each head"])
def test_outputs_and_gradients_equal_torchs(length: int, groups: int) -> None:
    query, key, value = heads(6, length, 1), heads(groups, length, 2), heads(groups, length, 3)
    mask = mask_of(length)
    shared = [part.repeat_interleave(6 // groups, 1) for part in (key, value)]
    theirs = torch.nn.functional.scaled_dot_product_attention(query, *shared, attn_mask=mask)
    ours = BlockedAttention.apply(query, key, value, as_bias(mask, query.dtype), SIZE**-0.5)
    torch.testing.assert_close(ours, theirs)
    upstream = torch.randn(theirs.shape, generator=torch.Generator().manual_seed(4))
    expected = torch.autograd.grad(theirs, (query, key, value), upstream)
    for found, wanted in zip(torch.autograd.grad(ours, (query, key, value), upstream), expected, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


def test_a_later_token_changes_nothing_before_it() -> None:
    query, key, value = heads(2, 70, 1), heads(2, 70, 2), heads(2, 70, 3)
    bias = as_bias(torch.ones(70, 70, dtype=torch.bool).tril()[None, None].repeat(2, 1, 1, 1), query.dtype)
    before = BlockedAttention.apply(query, key, value, bias, 1.0)
    changed = value.detach().clone()
    changed[:, :, 69] += 100
    after = BlockedAttention.apply(query, key, changed, bias, 1.0)
    assert torch.equal(before[:, :, :69], after[:, :, :69])
    assert not torch.equal(before[:, :, 69], after[:, :, 69])
