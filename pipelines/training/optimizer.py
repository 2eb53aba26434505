"""AdamW on float32 masters, and the learning rate by step.

Limit: masters and AdamW's state take 12 bytes per adapter weight.
"""

from collections.abc import Mapping

import torch

from pipelines.settings import Training

GRADIENT_NORM = 1.0


class MasterAdamW:
    """AdamW on float32 copies of weights that the forward pass holds in its own precision.

    `masters`: the copies to begin with, where an earlier phase left finer ones than the weights are.
    """

    def __init__(
        self,
        weights: dict[str, torch.nn.Parameter],
        *,
        weight_decay: float,
        masters: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        self.weights = weights
        self.masters = {name: weight.detach().float().clone() for name, weight in weights.items()}
        self.adamw = torch.optim.AdamW(self.masters.values(), lr=0.0, weight_decay=weight_decay, foreach=True)
        if masters is not None:
            self.load(masters)

    def step(self, learning_rate: float) -> None:
        """Apply and clear the gradients."""
        for name, weight in self.weights.items():
            self.masters[name].grad = None if weight.grad is None else weight.grad.float()
            weight.grad = None
        torch.nn.utils.clip_grad_norm_(self.masters.values(), GRADIENT_NORM)
        for chosen in self.adamw.param_groups:
            chosen["lr"] = learning_rate
        self.adamw.step()
        self.adamw.zero_grad(set_to_none=True)
        self.write_back()

    def write_back(self) -> None:
        """Round the masters into the weights that the forward pass uses."""
        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(self.masters[name])

    def load(self, masters: Mapping[str, torch.Tensor]) -> None:
        """Take other weights, in the forward pass too; AdamW's state stays."""
        with torch.no_grad():
            for name, weight in self.masters.items():
                weight.copy_(masters[name])
        self.write_back()

    def copied(self) -> dict[str, torch.Tensor]:
        """The masters as they are now."""
        return {name: weight.detach().clone() for name, weight in self.masters.items()}


def learning_rate(step: int, total: int, settings: Training) -> float:
    """Linear warm-up, then linear decay that reaches zero after the last step (`step` counts from 0)."""
    warmup = min(settings.warmup_steps, max(total // 4, 1))
    rising = (step + 1) / (warmup + 1)
    falling = (total - step) / max(total - warmup, 1)
    return settings.learning_rate * min(rising, falling, 1.0)
