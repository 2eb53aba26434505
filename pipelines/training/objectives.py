"""What a training step lowers: the loss of answers (SFT). That of preferred answers is in dpo.py.

Invariant: an objective's figures are sums over rows, so that a step's mean does not depend on how the step is cut
into forward passes or spread over processes.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import torch

from pipelines.training.attention import as_bias
from pipelines.training.grouping import Batch, Group, collate

VALIDATION_TOKENS = 4096
"""At most this many tokens are looked at in one validation: about 5% of a step's time each."""


class AnswerLoss(torch.nn.Module):  # type: ignore[misc]  # torch is not followed by mypy
    """Cross entropies of the answer tokens, with logits computed only there."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        base = model.get_base_model()
        self._decoder = (base.get_decoder(),)  # in tuples: not registered a second time
        self._head = (base.get_output_embeddings(),)

    def forward(self, batch: Batch, *, by_row: bool = False) -> torch.Tensor:
        """Their sum, a scalar in float32; `by_row`: log-probability of each row's answer, float32 [rows]."""
        hidden = self._decoder[0](
            input_ids=batch.input_ids,
            attention_mask=as_bias(batch.mask, self._head[0].weight.dtype),
            position_ids=batch.position_ids,
            use_cache=False,
        ).last_hidden_state
        at_answers = hidden.reshape(-1, hidden.shape[-1])[batch.at]
        logits = self._head[0](at_answers).float()
        if not by_row:
            return torch.nn.functional.cross_entropy(logits, batch.targets, reduction="sum")
        of_tokens = -torch.nn.functional.cross_entropy(logits, batch.targets, reduction="none")
        return of_tokens.new_zeros(batch.rows).index_add(0, batch.row, of_tokens)


class Objective(Protocol):
    """A loss with what else is told of it."""

    names: tuple[str, ...]
    """Of its figures on the curve; the first is the loss."""
    validated: tuple[str, ...]
    """The same figures on validation examples."""
    validation_tokens: int
    """At most so many are looked at in one validation."""

    def size(self, groups: Sequence[Group]) -> int:
        """What a mean over these groups divides by."""
        ...

    def figures(self, loss: Any, groups: Sequence[Group], device: torch.device) -> torch.Tensor:
        """Sums over the groups, float32 [figures]; only the first has a gradient. `loss`: an AnswerLoss."""
        ...


class Answers:
    """Supervised fine-tuning: the mean cross entropy of answer tokens."""

    names: tuple[str, ...] = ("loss",)
    validated: tuple[str, ...] = ("validation",)
    validation_tokens = VALIDATION_TOKENS

    def size(self, groups: Sequence[Group]) -> int:
        """Answer tokens."""
        return sum(made.targets for made in groups)

    def figures(self, loss: Any, groups: Sequence[Group], device: torch.device) -> torch.Tensor:
        """[1]: the sum of cross entropies."""
        summed: torch.Tensor = loss(on_device(collate(groups), device))
        return summed[None]


def mean_figures(
    objective: Objective, loss: Any, batches: Sequence[Sequence[Group]], device: torch.device
) -> list[float]:
    """An objective's figures over some batches, without gradients; `loss`: an AnswerLoss."""
    loss.eval()
    with torch.no_grad():
        of_batches = [objective.figures(loss, groups, device).tolist() for groups in batches]
    loss.train()
    size = sum(objective.size(groups) for groups in batches)
    return [sum(figures) / size for figures in zip(*of_batches, strict=True)]


def on_device(batch: Batch, device: torch.device) -> Batch:
    """The same batch with its tensors on a device."""
    moved = {name: value.to(device) for name, value in vars(batch).items() if isinstance(value, torch.Tensor)}
    return replace(batch, **moved)


def bounded(groups: Sequence[Group], tokens: int = VALIDATION_TOKENS) -> list[list[Group]]:
    """The first groups within so many tokens, one a batch: the same at every validation."""
    kept: list[list[Group]] = []
    used = 0
    for made in groups:
        if kept and used + made.tokens > tokens:
            break
        kept.append([made])
        used += made.tokens
    return kept
