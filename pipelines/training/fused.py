"""LoRA's forward and backward as four matrix products each way, for linear layers in one precision.

y = x W' + s (x A') B', as peft computes it, but the small products are added in place (`addmm_`): no
scaled copy, no sum and no cast of [tokens, features] is made, which is a fifth of a step on a CPU.
Invariant: outputs and gradients equal peft's own (tests/training/test_fused.py).
Limits: layers with dropout, several adapters, variants such as DoRA, or a 4-bit base keep peft's path.
"""

from functools import partial
from typing import Any

import torch


class LoraProduct(torch.autograd.Function):  # type: ignore[misc]  # torch is not followed by mypy
    """`x`: [..., features in]; `weight`: [out, in], frozen; `down` (A): [rank, in]; `up` (B): [out, rank]."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        down: torch.Tensor,
        up: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        """[..., features out]."""
        rows = x.reshape(-1, x.shape[-1])
        low = rows @ down.t()
        result = torch.nn.functional.linear(rows, weight, bias)
        result.addmm_(low, up.t(), alpha=scale)
        ctx.save_for_backward(rows, low, weight, down, up)
        ctx.scale = scale
        return result.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of x, A and B; the base's weight and bias are frozen."""
        rows, low, weight, down, up = ctx.saved_tensors
        gradient = gradients[0].reshape(-1, weight.shape[0])
        up_low = gradient @ up
        of_down = (up_low.t() @ rows).mul_(ctx.scale)
        of_up = (gradient.t() @ low).mul_(ctx.scale)
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = (gradient @ weight).addmm_(up_low, down, alpha=ctx.scale)
            of_x = of_x.view(*gradients[0].shape[:-1], -1)
        return of_x, None, None, of_down, of_up, None


def fuse(model: Any) -> int:
    """Let every plain LoRA layer of a peft model compute as `LoraProduct`; how many do."""
    from peft.tuners.lora import Linear

    plain = [layer for layer in model.modules() if type(layer) is Linear and _is_plain(layer)]
    for layer in plain:
        layer.forward = partial(_forward, layer)
    return len(plain)


def _is_plain(layer: Any) -> bool:
    base = layer.get_base_layer()
    return (
        type(base) is torch.nn.Linear
        and layer.active_adapters == ["default"]
        and isinstance(layer.lora_dropout["default"], torch.nn.Identity)
        and "default" not in layer.lora_variant
        and base.weight.dtype == layer.lora_A["default"].weight.dtype
    )


def _forward(layer: Any, x: torch.Tensor) -> torch.Tensor:
    base = layer.get_base_layer()
    down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    product: torch.Tensor = LoraProduct.apply(x, base.weight, base.bias, down, up, layer.scaling["default"])
    return product
