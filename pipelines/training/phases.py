"""Training in its phases: examples, then preferred answers where there are any.

Time: `minutes_at_most` covers both. Where pairs follow, the examples may take all but `dpo.time_share` of it, and the
pairs what is left when they are done. Each phase takes two steps at least.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.settings import Training
from pipelines.training import checkpoint, dpo, pace
from pipelines.training.loop import Plan, Progress, Run
from pipelines.training.material import Material
from pipelines.training.objectives import AnswerLoss, Answers, bounded, mean_figures

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator

Report = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Phase:
    """What a phase did."""

    progress: Progress
    planned: int
    """Steps."""
    patience: int
    """Validations without improvement that would end it; 0: off."""

    @property
    def stopped_early(self) -> bool:
        """Whether patience ended it."""
        return self.progress.patience.over(self.patience)


@dataclass(frozen=True)
class Trained:
    """A model with its adapter, and how it came about."""

    model: Any
    masters: "Mapping[str, torch.Tensor]"
    """The adapter's weights in float32, the best where validation chose."""
    answers: Phase
    preferences: Phase | None
    loss_after_preferences: float | None
    """Validation loss of the examples after the second phase."""
    resumed_at: int
    """Step of the phase that was gone on with; 0: nothing was there to go on from."""


def fit(
    model: Any,
    material: Material,
    settings: Training,
    *,
    accelerator: "Accelerator",
    place: Path,
    report: Report,
    now: Callable[[], float],
) -> Trained:
    """Train `model` on the material; what a killed run goes on from lies in `place`."""
    loss = accelerator.prepare(AnswerLoss(model))
    pairs = material.pairs
    start = dpo.read_start(place, accelerator.device)
    resumed_at = None
    if start is None:
        chosen = dpo.settings_of_answers(settings, pairs) if pairs else settings
        report(0, 1, "measuring the machine's speed")
        chosen = pace.paced(chosen, loss, material.train, accelerator=accelerator, place=place)
        plan = Plan.of(material.train, chosen)
        answers = Run(loss, plan, material.validation, chosen, accelerator=accelerator, place=place, now=now)
        answers.fit(report)
        examples = Phase(answers.progress, len(plan.steps), settings.patience)
        if pairs is None or not pairs.train:
            return Trained(model, answers.optimizer.masters, examples, None, None, answers.resumed_at)
        report(0, 1, "preferences: the reference")
        resumed_at = answers.resumed_at
        start = _start(loss, answers, examples, pairs, accelerator, now)
        if accelerator.is_main_process:
            dpo.write_start(place, start)
            checkpoint.clear(place)
        accelerator.wait_for_everyone()
    assert pairs is not None  # what has begun has been read
    done = _prefer(loss, start, material, settings, accelerator=accelerator, place=place, report=report, now=now)
    return done if resumed_at is None else replace(done, resumed_at=resumed_at)


def _start(
    loss: Any, answers: Run, done: Phase, pairs: dpo.Pairs, accelerator: "Accelerator", now: Callable[[], float]
) -> dpo.Start:
    began = now()
    references = dpo.log_probabilities(loss, [*pairs.train, *pairs.validation], accelerator)
    return dpo.Start(done.progress, done.planned, answers.optimizer.copied(), references, now() - began)


def _prefer(
    loss: Any,
    start: dpo.Start,
    material: Material,
    settings: Training,
    *,
    accelerator: "Accelerator",
    place: Path,
    report: Report,
    now: Callable[[], float],
) -> Trained:
    pairs = material.pairs
    assert pairs is not None
    model = accelerator.unwrap_model(loss).model
    dpo.without_dropout(model)
    chosen = dpo.settings_of_phase(settings, start)
    references = dict(zip([*pairs.train, *pairs.validation], start.references, strict=True))
    plan = Plan.of(pairs.train, chosen)
    run = Run(
        loss,
        plan,
        pairs.validation,
        chosen,
        accelerator=accelerator,
        place=place / dpo.PLACE,
        now=now,
        objective=dpo.Preferring(references, settings.dpo.beta),
        masters=start.masters,
    )
    run.fit(lambda step, total, what: report(step, total, f"preferences: {what}"))
    after = None
    if material.validation:
        after = mean_figures(Answers(), loss, bounded(material.validation), accelerator.device)[0]
    return Trained(
        model,
        run.optimizer.masters,
        Phase(start.answers, start.answers_planned, settings.patience),
        Phase(run.progress, len(plan.steps), settings.patience),
        after,
        run.resumed_at,
    )
