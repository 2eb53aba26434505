"""Where the time is short, a run takes more and smaller steps; where it is not, nothing changes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator

from pipelines.artifacts import read_json
from pipelines.generation.models import load_tokenizer
from pipelines.settings import Settings
from pipelines.training import pace
from pipelines.training.adapter import load_for_training, trainable
from pipelines.training.grouping import Group
from pipelines.training.material import read_material
from pipelines.training.objectives import AnswerLoss
from pipelines.training.train import run
from tests.training.conftest import stage_job

SIZE, WANTED = 400, 40
NO_TIME = 1e-9
"""Minutes: no machine makes a step of it."""


@pytest.fixture(scope="module")
def loss(tiny_settings: Settings, tiny_base: Path) -> AnswerLoss:
    return AnswerLoss(load_for_training(tiny_base, tiny_settings.training, torch.device("cpu")))


@pytest.fixture(scope="module")
def groups(tiny_settings: Settings, tiny_base: Path, dataset_folder: Path) -> list[Group]:
    return read_material(dataset_folder, load_tokenizer(tiny_base), tiny_settings.training).train


@pytest.mark.parametrize(
    ("minutes", "wanted", "size"),
    [
        (600.0, WANTED, SIZE),  # every epoch fits, in a few steps
        (NO_TIME, WANTED, SIZE >> pace.HALVINGS),
        (NO_TIME, 1, SIZE >> pace.HALVINGS),
    ],
)
def test_steps_are_halved_where_the_time_holds_too_few(
    minutes: float, wanted: int, size: int, tiny_settings: Settings, loss: Any, groups: list[Group], tmp_path: Path
) -> None:
    before = tiny_settings.training.model_copy(update={"minutes_at_most": minutes, "steps_at_least": wanted})
    found = pace.paced(before, loss, groups, accelerator=Accelerator(cpu=True), place=tmp_path)
    assert (found.batch_tokens, found.micro_batch_tokens) == (size, size)
    same = {"batch_tokens", "micro_batch_tokens"}
    assert found.model_dump(exclude=same) == before.model_dump(exclude=same)


def test_a_measurement_leaves_weights_gradients_and_randomness_alone(
    tiny_settings: Settings, loss: Any, groups: list[Group], tmp_path: Path
) -> None:
    weights, random = trainable(loss.model), torch.get_rng_state()
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    pace.paced(tiny_settings.training, loss, groups, accelerator=Accelerator(cpu=True), place=tmp_path)
    assert all(weight.grad is None and torch.equal(weight, before[name]) for name, weight in weights.items())
    assert torch.equal(torch.get_rng_state(), random)


def test_a_run_that_goes_on_keeps_its_steps_and_one_that_ended_leaves_nothing(
    tiny_settings: Settings, loss: Any, groups: list[Group], dataset_folder: Path, tmp_path: Path
) -> None:
    short = tiny_settings.training.model_copy(update={"minutes_at_most": NO_TIME})
    began = pace.paced(short, loss, groups, accelerator=Accelerator(cpu=True), place=tmp_path)
    longer = tiny_settings.training.model_copy(update={"minutes_at_most": 600.0})
    gone_on = pace.paced(longer, loss, groups, accelerator=Accelerator(cpu=True), place=tmp_path)
    assert gone_on.batch_tokens == began.batch_tokens < longer.batch_tokens
    job = stage_job(tiny_settings.model_copy(update={"training": short}), {"dataset": dataset_folder}, tmp_path / "job")
    run(job)
    assert not list(job.output.rglob(pace.PLACE))
    assert read_json(job.output / "training.json")["steps"] >= 2
