"""Steps small enough that the time holds enough of them.

An optimizer needs some tens of steps, whatever each looks at: on a slow machine many small ones teach more in the same
minutes than a few large ones (docs/training.md). Where the time holds every epoch, nothing is changed.
Invariants: a run that goes on keeps the size that it began with (PLACE beside its checkpoints, until it ends); sizes
are `batch_tokens` halved, so that the small noise of a measurement seldom chooses another.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.artifacts import read_json, write_json
from pipelines.settings import Training
from pipelines.training.adapter import trainable
from pipelines.training.grouping import Group
from pipelines.training.objectives import Answers
from pipelines.training.processes import agreed

if TYPE_CHECKING:
    from accelerate import Accelerator

PLACE = "pace.json"
HALVINGS = 3
"""At most: below an eighth a step would be a paragraph or two."""


def paced(
    settings: Training, loss: Any, groups: Sequence[Group], *, accelerator: "Accelerator", place: Path
) -> Training:
    """Settings with the steps that this run takes: those that it began with, or what the machine's speed asks for."""
    kept = agreed(read_json(place / PLACE) if (place / PLACE).exists() else None, accelerator)
    if kept is None:
        kept = {"batch_tokens": batch_tokens(settings, loss, groups, accelerator)}
        if accelerator.is_main_process:
            write_json(place / PLACE, kept)
    return with_steps_of(settings, kept["batch_tokens"], accelerator.num_processes)


def with_steps_of(settings: Training, tokens: int, processes: int) -> Training:
    """Settings with steps of so many tokens, and forward passes small enough to share a smaller step out."""
    if tokens == settings.batch_tokens:
        return settings
    shared = min(settings.micro_batch_tokens, max(tokens // processes, 1))
    return settings.model_copy(update={"batch_tokens": tokens, "micro_batch_tokens": shared})


def clear(place: Path) -> None:
    """Forget what a run began with: it has ended."""
    (place / PLACE).unlink(missing_ok=True)


def batch_tokens(settings: Training, loss: Any, groups: Sequence[Group], accelerator: "Accelerator") -> int:
    """Tokens of a step, so that `minutes_at_most` holds `steps_at_least` steps or all epochs; equal in all processes.

    `loss`: an AnswerLoss as accelerate prepared it; its weights and torch's randomness are left as they were.
    """
    planned = settings.epochs * sum(made.tokens for made in groups)
    a_second = accelerator.num_processes / _seconds_a_token(loss, groups, accelerator)
    held = settings.minutes_at_most * 60 * a_second
    size = settings.batch_tokens
    for _ in range(HALVINGS):
        if held >= min(planned, settings.steps_at_least * size):
            break
        size = max(size // 2, 1)
    return agreed(size, accelerator)


def _seconds_a_token(loss: Any, groups: Sequence[Group], accelerator: "Accelerator") -> float:
    """Of a forward and backward pass over a group of middling length, the second time: the first warms up."""
    import torch

    device = accelerator.device
    middling = sorted(groups, key=lambda made: made.tokens)[len(groups) // 2]
    seconds = 0.0
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for _ in range(2):
            started = time.perf_counter()
            accelerator.backward(Answers().figures(loss, [middling], device)[0])
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds = time.perf_counter() - started
    for weight in trainable(accelerator.unwrap_model(loss).model).values():
        weight.grad = None
    return max(seconds, 1e-9) / middling.tokens
