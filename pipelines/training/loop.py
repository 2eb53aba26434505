"""The training loop: planned to end on time, checkpointed, resumable, the same on CPU and many GPUs.

Invariants: the loss is the mean over the answer tokens of an optimizer step, however it is cut into
micro-batches and spread over processes; equal seed, data and number of steps give equal weights; a
checkpoint appears whole or not at all, and a run that goes on from it repeats no step.
Limits: a limit of time that is reached makes the number of steps depend on the machine's speed (it is
written down); float32 master weights and AdamW's state take 12 bytes per adapter weight.
"""

import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from pipelines.settings import Training
from pipelines.training import checkpoint
from pipelines.training.adapter import trainable
from pipelines.training.attention import as_bias
from pipelines.training.grouping import Batch, Group, collate, micro_batches, steps

VALIDATION_TOKENS = 4096
"""At most this many tokens are looked at in one validation: about 5% of a step's time each."""
GRADIENT_NORM = 1.0


@dataclass
class Progress:
    """Where a run is; kept in checkpoints."""

    step: int = 0
    seconds: float = 0.0
    tokens: int = 0
    """Tokens computed, a shared context once."""
    examples: int = 0
    targets: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    """A line per step: step, loss, learning_rate, tokens, seconds, and `validation` where it was measured."""


class AnswerLoss(torch.nn.Module):  # type: ignore[misc]  # torch is not followed by mypy
    """Sum of the cross entropies of the answer tokens, with logits computed only there."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        base = model.get_base_model()
        self._decoder = (base.get_decoder(),)  # in tuples: not registered a second time
        self._head = (base.get_output_embeddings(),)

    def forward(self, batch: Batch) -> torch.Tensor:
        """A scalar in float32."""
        hidden = self._decoder[0](
            input_ids=batch.input_ids,
            attention_mask=as_bias(batch.mask, self._head[0].weight.dtype),
            position_ids=batch.position_ids,
            use_cache=False,
        ).last_hidden_state
        at_answers = hidden.reshape(-1, hidden.shape[-1])[batch.at]
        logits = self._head[0](at_answers).float()
        return torch.nn.functional.cross_entropy(logits, batch.targets, reduction="sum")


class MasterAdamW:
    """AdamW on float32 copies of weights that the forward pass holds in its own precision."""

    def __init__(self, weights: dict[str, torch.nn.Parameter], *, weight_decay: float) -> None:
        self.weights = weights
        self.masters = {name: weight.detach().float().clone() for name, weight in weights.items()}
        self.adamw = torch.optim.AdamW(self.masters.values(), lr=0.0, weight_decay=weight_decay, foreach=True)

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


def learning_rate(step: int, total: int, settings: Training) -> float:
    """Linear warm-up, then linear decay that reaches zero after the last step (`step` counts from 0)."""
    warmup = min(settings.warmup_steps, max(total // 4, 1))
    rising = (step + 1) / (warmup + 1)
    falling = (total - step) / max(total - warmup, 1)
    return settings.learning_rate * min(rising, falling, 1.0)


@dataclass(frozen=True)
class Plan:
    """The steps of all epochs, the same for every process and every resumed run."""

    steps: tuple[tuple[list[Group], ...], ...]
    """Optimizer steps of micro-batches of groups."""

    @staticmethod
    def of(groups: Sequence[Group], settings: Training) -> "Plan":
        """Every group once an epoch, in an order that follows the seed."""
        made: list[tuple[list[Group], ...]] = []
        for epoch in range(settings.epochs):
            rng = random.Random(f"{settings.seed}-{epoch}")
            batches = micro_batches(groups, tokens=settings.micro_batch_tokens, rng=rng)
            made += [tuple(step) for step in steps(batches, tokens=settings.batch_tokens)]
        return Plan(tuple(made))


class Run:
    """A training run over a plan; `fit` carries it to its end."""

    def __init__(
        self,
        model: Any,
        plan: Plan,
        validation: Sequence[Group],
        settings: Training,
        *,
        accelerator: Accelerator,
        place: Path,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.plan, self.settings, self.accelerator, self.place, self.now = plan, settings, accelerator, place, now
        self.optimizer = MasterAdamW(trainable(model), weight_decay=settings.weight_decay)
        self.loss = accelerator.prepare(AnswerLoss(model))
        self.validation = bounded(validation)
        self.progress = Progress()
        self.resumed_at = self._resume()
        self._began = now() - self.progress.seconds

    def fit(self, report: Callable[[int, int, str], None]) -> Progress:
        """Train to the end of the plan or of the time, whichever comes first."""
        total = len(self.plan.steps)
        while self.progress.step < total:
            total = self._fitted_total()
            self._step(total)
            total = self._fitted_total()
            last = self.progress.step >= total
            if self.validation and (last or self.progress.step % self.settings.validate_every_steps == 0):
                self.progress.curve[-1]["validation"] = self._validate()
            if not last and self.progress.step % self.settings.checkpoint_every_steps == 0:
                self._keep()
            report(self.progress.step, total, self._line(total))
            if last:
                break
        return self.progress

    def _fitted_total(self) -> int:
        """How many steps the run will have: all that are planned, or what the time still allows."""
        done, planned = self.progress.step, len(self.plan.steps)
        recent = [line["seconds"] for line in self.progress.curve[-20:]]
        if len(recent) < 2:
            return planned
        left = self.settings.minutes_at_most * 60 - (self.now() - self._began) - self._validation_seconds()
        return min(planned, done + max(int(left / statistics.fmean(recent)), 0))

    def _validation_seconds(self) -> float:
        """What the validations still to come will take (a forward pass is a third of a step)."""
        seconds = [line["validation_seconds"] for line in self.progress.curve if "validation_seconds" in line]
        return max(seconds, default=0.0)

    def _step(self, total: int) -> None:
        started = self.now()
        step = self.plan.steps[self.progress.step]
        rate = learning_rate(self.progress.step, total, self.settings)
        loss = self._backward(step)
        self.optimizer.step(rate)
        groups = [made for batch in step for made in batch]
        self.progress.step += 1
        self.progress.tokens += sum(made.tokens for made in groups)
        self.progress.targets += sum(made.targets for made in groups)
        self.progress.examples += sum(len(made.rows) for made in groups)
        self.progress.seconds = self.now() - self._began
        self.progress.curve.append(
            {
                "step": self.progress.step,
                "loss": loss,
                "learning_rate": rate,
                "tokens": self.progress.tokens,
                "seconds": self.now() - started,
            }
        )

    def _backward(self, step: Sequence[list[Group]]) -> float:
        """Gradients of the mean loss of a step's answer tokens, over all processes; gives that loss."""
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        targets = sum(made.targets for batch in step for made in batch)
        mine = list(step[rank::world])
        weights = [1.0] * len(mine)
        if not mine:  # every process must take part in the exchange of gradients
            mine, weights = [step[0]], [0.0]
        summed = torch.zeros((), device=self.accelerator.device)
        for number, (groups, weight) in enumerate(zip(mine, weights, strict=True)):
            last = number == len(mine) - 1
            with _exchange(self.accelerator, self.loss, last):
                loss = self.loss(on_device(collate(groups), self.accelerator.device)) * weight
                self.accelerator.backward(loss * (world / targets))
            summed += loss.detach()
        return float(self.accelerator.reduce(summed, reduction="sum")) / targets

    def _validate(self) -> float:
        """Mean loss of the answer tokens of the validation sample."""
        started = self.now()
        loss = mean_loss(self.loss, self.validation, self.accelerator.device)
        self.progress.curve[-1]["validation_seconds"] = self.now() - started
        self.progress.seconds = self.now() - self._began
        return loss

    def _line(self, total: int) -> str:
        recent = [line["seconds"] for line in self.progress.curve[-20:]]
        left = (total - self.progress.step) * statistics.fmean(recent)
        return f"loss {self.progress.curve[-1]['loss']:.3f}, about {left:.0f} s left"

    def _keep(self) -> None:
        if self.accelerator.is_main_process:
            checkpoint.write(self.place, self.optimizer, asdict(self.progress), step=self.progress.step)
        self.accelerator.wait_for_everyone()

    def _resume(self) -> int:
        kept = checkpoint.read(self.place, self.optimizer)
        if kept is None:
            return 0
        self.progress = Progress(**kept)
        self.optimizer.write_back()
        return self.progress.step


def mean_loss(loss: Any, batches: Sequence[list[Group]], device: torch.device) -> float:
    """Mean loss of the answer tokens of some batches, without gradients; `loss`: an AnswerLoss."""
    loss.eval()
    with torch.no_grad():
        total = sum(float(loss(on_device(collate(groups), device))) for groups in batches)
    loss.train()
    return total / sum(made.targets for batch in batches for made in batch)


def on_device(batch: Batch, device: torch.device) -> Batch:
    """The same batch with its tensors on a device."""
    moved = {name: value.to(device) for name, value in vars(batch).items() if isinstance(value, torch.Tensor)}
    return Batch(**moved, tokens=batch.tokens)


def _exchange(accelerator: Accelerator, module: torch.nn.Module, last: bool) -> Any:
    """Gradients travel between processes once a step: with its last micro-batch."""
    import contextlib

    return contextlib.nullcontext() if last else accelerator.no_sync(module)


def bounded(groups: Sequence[Group]) -> list[list[Group]]:
    """The first groups within VALIDATION_TOKENS, one a batch: the same at every validation."""
    kept: list[list[Group]] = []
    used = 0
    for made in groups:
        if kept and used + made.tokens > VALIDATION_TOKENS:
            break
        kept.append([made])
        used += made.tokens
    return kept
