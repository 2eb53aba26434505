"""Early stopping: when it stops, what it keeps, and that a kill changes nothing."""

import math
from pathlib import Path
from typing import Any

import pytest

from pipelines.artifacts import StageJob, read_json
from pipelines.settings import Settings
from pipelines.training.patience import Patience
from pipelines.training.train import train
from tests.training.conftest import stage_job


def after(losses: list[float], **options: Any) -> Patience:
    found = Patience()
    for number, loss in enumerate(losses, 1):
        found = found.after(loss, number, **options)
    return found


@pytest.mark.parametrize(
    ("losses", "by", "least", "waited"),
    [
        ([3.0, 2.0, 1.0], 0.0, (1.0, 3), 0),
        ([1.0, 1.0, 1.0], 0.0, (1.0, 1), 2),  # equal is no improvement
        ([1.0, 2.0, 1.5], 0.0, (1.0, 1), 2),
        # by .5 at least: .9 and .6 are not enough below 1.0, .5 is; the weights of .6 were kept all the same
        ([1.0, 0.9, 0.6], 0.5, (0.6, 3), 2),
        ([1.0, 0.9, 0.6, 0.5], 0.5, (0.5, 4), 0),
        ([1.0, math.nan, 0.5, math.nan], 0.0, (0.5, 3), 1),
    ],
)
def test_patience_waits_for_enough_and_keeps_the_least(
    losses: list[float], by: float, least: tuple[float, int], waited: int
) -> None:
    found = after(losses, min_improvement=by)
    assert ((found.least, found.step), found.waited) == (least, waited)


def impatient(settings: Settings, **changes: Any) -> Settings:
    """The first validations improve; then a learning rate far too large undoes what was learned."""
    chosen = {"patience": 2, "validate_every_steps": 2, "epochs": 30, "learning_rate": 0.3, "warmup_steps": 20}
    chosen |= {"batch_tokens": 100, "micro_batch_tokens": 100, **changes}
    return settings.model_copy(update={"training": settings.training.model_copy(update=chosen)})


@pytest.fixture(scope="module")
def stopped(dataset_folder: Path, tiny_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> StageJob:
    job = stage_job(impatient(tiny_settings), {"dataset": dataset_folder}, tmp_path_factory.mktemp("stopped"))
    train(job)
    return job


def test_the_run_ends_early_and_leaves_its_best_adapter(
    stopped: StageJob, dataset_folder: Path, tiny_settings: Settings, tmp_path: Path
) -> None:
    told, curve = read_json(stopped.output / "training.json"), read_json(stopped.output / "curves.json")
    validated = {line["step"]: line["validation"] for line in curve if "validation" in line}
    best = min(validated, key=lambda step: validated[step])
    assert told["steps"] == max(validated) == best + 2 * 2  # two validations, two steps apart, without improvement
    assert told["steps"] < told["steps_planned"]
    assert told["early_stopping"] == {"stopped": True, "best_step": best}
    assert told["validation_loss"] == validated[best]
    assert f"adapter of step {best}" in (stopped.output / "adapter" / "README.md").read_text()
    # What was written has the best step's loss, not the last one's: measured anew from the file.
    assert loss_of(stopped, tiny_settings) == pytest.approx(validated[best], abs=1e-4)


def loss_of(job: StageJob, settings: Settings) -> float:
    import torch
    from peft.utils import load_peft_weights, set_peft_model_state_dict

    from pipelines.generation.models import load_tokenizer
    from pipelines.training.adapter import load_for_training
    from pipelines.training.material import read_material
    from pipelines.training.objectives import AnswerLoss, Answers, bounded, mean_figures

    base, cpu = Path(settings.generation.base_model), torch.device("cpu")
    model = load_for_training(base, settings.training, cpu)
    set_peft_model_state_dict(model, load_peft_weights(job.output / "adapter", device="cpu"))
    material = read_material(job.inputs["dataset"], load_tokenizer(base), settings.training)
    return mean_figures(Answers(), AnswerLoss(model), bounded(material.validation), cpu)[0]


class Killed(Exception):
    """Stands for a kill: raised between two steps, it leaves what a killed process leaves."""


def killed_at(step: int, job: StageJob, said: str = "loss") -> None:
    def report(done: int, total: int, what: str) -> None:
        if what.startswith(said) and done == step:
            raise Killed

    with pytest.raises(Killed):
        train(StageJob(job.settings, job.inputs, job.output, None, job.state, report))


def test_a_run_that_goes_on_after_its_best_step_still_leaves_that(
    stopped: StageJob, dataset_folder: Path, tmp_path: Path
) -> None:
    told = read_json(stopped.output / "training.json")
    job = stage_job(stopped.settings, {"dataset": dataset_folder}, tmp_path)
    killed_at(told["steps"] - 1, job)  # after the best step, before the end; a checkpoint every second step
    train(job)
    assert job.notes["resumed_at_step"] == told["early_stopping"]["best_step"] + 2
    weights = [each.output / "adapter" / "adapter_model.safetensors" for each in (stopped, job)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert read_json(job.output / "training.json") == told


def test_patience_without_validation_examples_is_said(
    dataset_folder: Path, tiny_settings: Settings, tmp_path: Path
) -> None:
    import shutil

    dataset = tmp_path / "dataset"
    shutil.copytree(dataset_folder, dataset)
    (dataset / "validation.jsonl").write_text("")
    job = stage_job(impatient(tiny_settings, epochs=1), {"dataset": dataset}, tmp_path)
    train(job)
    assert "no validation examples" in job.notes["warnings"][0]
    assert read_json(job.output / "training.json")["early_stopping"] == {"stopped": False, "best_step": 0}
