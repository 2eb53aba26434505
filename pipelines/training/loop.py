"""The training loop: planned to end on time, checkpointed, resumable, the same on CPU and many GPUs.

Invariants: the loss is the mean over an optimizer step (of its answer tokens, or of what else the objective counts),
however it is cut into micro-batches and spread over processes; equal seed, data and number of steps give equal
weights; a checkpoint appears whole or not at all, and a run that goes on from it repeats no step; all processes end
at the same step.
Limits: a limit of time that is reached makes the number of steps depend on the machine's speed (it is written down).
"""

import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from pipelines.settings import Training
from pipelines.training import checkpoint
from pipelines.training.adapter import trainable
from pipelines.training.grouping import Group, micro_batches, steps
from pipelines.training.objectives import Answers, Objective, bounded, mean_figures
from pipelines.training.optimizer import MasterAdamW, learning_rate
from pipelines.training.patience import Patience
from pipelines.training.processes import agreed


@dataclass
class Progress:
    """Where a run is; kept in checkpoints."""

    step: int = 0
    seconds: float = 0.0
    tokens: int = 0
    """Tokens computed, a shared context once."""
    examples: int = 0
    """Rows."""
    targets: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    """A line per step: step, the objective's figures, learning_rate, tokens, seconds; its validated figures and
    `validation_seconds` where they were measured."""
    patience: Patience = field(default_factory=Patience)

    @staticmethod
    def of(kept: Mapping[str, Any]) -> "Progress":
        """From a checkpoint."""
        return Progress(**{**kept, "patience": Patience(**kept["patience"])})


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
    """A training run over a plan; `fit` carries it to its end.

    `loss`: an AnswerLoss as accelerate prepared it, one for all runs over a model. `masters`: the weights to begin
    with, where they are not the model's own.
    """

    def __init__(
        self,
        loss: Any,
        plan: Plan,
        validation: Sequence[Group],
        settings: Training,
        *,
        accelerator: Accelerator,
        place: Path,
        now: Callable[[], float] = time.monotonic,
        objective: Objective | None = None,
        masters: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        self.plan, self.settings, self.accelerator, self.place, self.now = plan, settings, accelerator, place, now
        self.loss, self.objective = loss, objective or Answers()
        weights = trainable(accelerator.unwrap_model(loss).model)
        self.optimizer = MasterAdamW(weights, weight_decay=settings.weight_decay, masters=masters)
        self.validation = bounded(validation, self.objective.validation_tokens)
        self.progress = Progress()
        self.best: dict[str, torch.Tensor] | None = None
        """The masters with the least validation loss so far, with `training.patience`."""
        self.resumed_at = self._resume()
        self._began = now() - self.progress.seconds

    def fit(self, report: Callable[[int, int, str], None]) -> Progress:
        """Train to the end of the plan, of the time or of patience, whichever comes first; the best weights stay."""
        total = len(self.plan.steps)
        while self.progress.step < total:
            total = self._fitted_total()
            self._step(total)
            total = self._fitted_total()
            last = self.progress.step >= total
            if self.validation and (last or self.progress.step % self.settings.validate_every_steps == 0):
                self._validate()
                if self.progress.patience.over(self.settings.patience):
                    last, total = True, self.progress.step
            if not last and self.progress.step % self.settings.checkpoint_every_steps == 0:
                self._keep()
            report(self.progress.step, total, self._line(total))
            if last:
                break
        if self.best is not None:
            self.optimizer.load(self.best)
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
        figures = self._backward(step)
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
                **dict(zip(self.objective.names, figures, strict=True)),
                "learning_rate": rate,
                "tokens": self.progress.tokens,
                "seconds": self.now() - started,
            }
        )

    def _backward(self, step: Sequence[list[Group]]) -> list[float]:
        """Gradients of a step's mean loss over all processes; gives the objective's mean figures."""
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        size = sum(self.objective.size(batch) for batch in step)
        mine = list(step[rank::world])
        weights = [1.0] * len(mine)
        if not mine:  # every process must take part in the exchange of gradients
            mine, weights = [step[0]], [0.0]
        summed = torch.zeros(len(self.objective.names), device=self.accelerator.device)
        for number, (groups, weight) in enumerate(zip(mine, weights, strict=True)):
            last = number == len(mine) - 1
            with _exchange(self.accelerator, self.loss, last):
                figures = self.objective.figures(self.loss, groups, self.accelerator.device) * weight
                self.accelerator.backward(figures[0] * (world / size))
            summed += figures.detach()
        return [figure / size for figure in self.accelerator.reduce(summed, reduction="sum").tolist()]

    def _validate(self) -> None:
        """Note the mean figures of the validation sample, as rank 0 finds them, and what they say of the weights."""
        started = self.now()
        found = mean_figures(self.objective, self.loss, self.validation, self.accelerator.device)
        found = agreed(found, self.accelerator)
        self.progress.curve[-1] |= dict(zip(self.objective.validated, found, strict=True))
        if self.settings.patience:
            step, by = self.progress.step, self.settings.min_improvement
            self.progress.patience = self.progress.patience.after(found[0], step, min_improvement=by)
            if self.progress.patience.step == step:
                self.best = self.optimizer.copied()
        self.progress.curve[-1]["validation_seconds"] = self.now() - started
        self.progress.seconds = self.now() - self._began

    def _line(self, total: int) -> str:
        recent = [line["seconds"] for line in self.progress.curve[-20:]]
        left = (total - self.progress.step) * statistics.fmean(recent)
        return f"loss {self.progress.curve[-1][self.objective.names[0]]:.3f}, about {left:.0f} s left"

    def _keep(self) -> None:
        if self.accelerator.is_main_process:
            step = self.progress.step
            checkpoint.write(self.place, self.optimizer, asdict(self.progress), step=step, best=self.best)
        self.accelerator.wait_for_everyone()

    def _resume(self) -> int:
        kept = checkpoint.read(self.place, self.optimizer)
        if kept is None:
            return 0
        self.progress, self.best = Progress.of(kept.progress), kept.best
        self.optimizer.write_back()
        return self.progress.step


def _exchange(accelerator: Accelerator, module: torch.nn.Module, last: bool) -> Any:
    """Gradients travel between processes once a step: with its last micro-batch."""
    import contextlib

    return contextlib.nullcontext() if last else accelerator.no_sync(module)
