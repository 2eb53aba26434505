"""A finished training as files: the adapter, its curves as numbers and as a page, and what was done (training.json)."""

from pathlib import Path
from typing import Any

from pipelines.artifacts import write_json
from pipelines.settings import Training
from pipelines.training.adapter import save_adapter
from pipelines.training.curves import page
from pipelines.training.dpo import Preferring, pairs_of
from pipelines.training.loop import Progress
from pipelines.training.material import Material
from pipelines.training.phases import Phase, Trained

Lines = list[dict[str, float]]
Told = dict[str, Any]
LAST_STEPS = 10


def write_outputs(
    trained: Trained, material: Material, settings: Training, output: Path, *, base_model: str, where: Told
) -> None:
    """The adapter, the curves as numbers and as a page, and what was done, `where` (processes, device) included."""
    save_adapter(trained.model, trained.masters, output / "adapter", base_model=base_model)
    curve = curve_of(trained)
    write_json(output / "curves.json", curve)
    (output / "curves.html").write_text(page(curve), encoding="utf-8")
    write_json(output / "training.json", {"base_model": base_model, **where, **summary(trained, material, settings)})


def curve_of(trained: Trained) -> Lines:
    """The lines of both phases; steps and tokens of the second count on from the first."""
    first = trained.answers.progress
    second = trained.preferences.progress.curve if trained.preferences else []
    ahead = {"step": first.step, "tokens": first.tokens}
    return [*first.curve, *({**line, **{name: line[name] + more for name, more in ahead.items()}} for line in second)]


def summary(trained: Trained, material: Material, settings: Training) -> Told:
    """What was trained, on how much, to which loss."""
    phase, progress = trained.answers, trained.answers.progress
    validation = measured(progress, "validation")
    return {
        "parameters": settings.model_dump(mode="json"),
        "trainable_weights": sum(weight.numel() for weight in trained.masters.values()),
        "examples": sum(len(made.rows) for made in material.train),
        "groups": len(material.train),
        "too_long": material.too_long,
        "steps": progress.step,
        "steps_planned": phase.planned,
        "tokens_a_step": round(progress.tokens / progress.step),
        "examples_seen": progress.examples,
        "tokens_seen": progress.tokens,
        "targets_seen": progress.targets,
        "final_loss": recent(progress, "loss"),
        "validation_loss": progress.patience.least if settings.patience else validation[-1] if validation else None,
        "first_validation_loss": validation[0] if validation else None,
        "early_stopping": _stopping(phase) if settings.patience else None,
        "preferences": _preferences(trained, material, settings),
    }


def _stopping(phase: Phase) -> Told:
    """Which step's weights stayed, and whether patience ended the phase."""
    return {"stopped": phase.stopped_early, "best_step": phase.progress.patience.step}


def _preferences(trained: Trained, material: Material, settings: Training) -> Told | None:
    """What was done with preferred answers; None where they were not asked for."""
    pairs, phase = material.pairs, trained.preferences
    if pairs is None:
        return None
    counts = {"pairs": pairs.count, "validation_pairs": pairs_of(pairs.validation), "too_long": pairs.too_long}
    if phase is None:
        return {**counts, "steps": 0}
    progress = phase.progress
    kept = _kept_line(progress, Preferring.validated[0], phase.patience)
    return {
        **counts,
        "steps": progress.step,
        "steps_planned": phase.planned,
        "pairs_seen": progress.examples // 2,
        "final": {name: recent(progress, name) for name in Preferring.names},
        "validation": {name: kept[name] for name in Preferring.validated} if kept else None,
        "validation_loss_after": trained.loss_after_preferences,
        "early_stopping": _stopping(phase) if settings.patience else None,
    }


def _kept_line(progress: Progress, name: str, patience: int) -> dict[str, float] | None:
    """The line of the last validation, or of the best where the best weights stayed."""
    lines = [line for line in progress.curve if name in line]
    if patience and progress.patience.least is not None:
        return next(line for line in lines if line["step"] == progress.patience.step)
    return lines[-1] if lines else None


def measured(progress: Progress, name: str) -> list[float]:
    """The values of a figure where it was measured."""
    return [line[name] for line in progress.curve if name in line]


def recent(progress: Progress, name: str) -> float:
    """Mean of a training figure over the last ten steps."""
    last = [line[name] for line in progress.curve[-LAST_STEPS:]]
    return sum(last) / len(last)


def notes_of(trained: Trained, material: Material, settings: Training, seconds: float) -> Told:
    """Speeds and warnings for run.json; tokens with a shared context counted once, and as rows of their own."""
    progress = trained.answers.progress
    taken = max(progress.seconds, 1e-9)
    notes: Told = {
        "training_seconds": round(seconds, 1),
        "tokens_per_second": round(progress.tokens / taken, 1),
        "examples_per_second": round(progress.examples / taken, 2),
        "resumed_at_step": trained.resumed_at,
    }
    if trained.preferences:
        notes["preference_seconds"] = round(trained.preferences.progress.seconds, 1)
    warnings = _warnings(material, settings)
    return notes | ({"warnings": warnings} if warnings else {})


def _warnings(material: Material, settings: Training) -> list[str]:
    """What was asked for and could not be done."""
    told = []
    if settings.patience and not material.validation:
        told.append("training.patience had nothing to go by: the dataset holds no validation examples.")
    if material.pairs is not None and not material.pairs.train:
        left = f" but {material.pairs.too_long} too long for training.max_tokens" if material.pairs.too_long else ""
        told.append(f"training.dpo did nothing: the dataset holds no preferred answers to train on{left}.")
    return told
