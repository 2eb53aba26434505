"""Training in several processes: the weights of one, progress that arrives, and nothing left behind.

Real processes, on the CPU over gloo; what differs on GPUs (NCCL, a device each) is not run here.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipelines import settings as configuration
from pipelines.artifacts import StageJob, read_json, write_lines
from pipelines.errors import DatasetError, GroundworkError, SettingsError, StageError
from pipelines.settings import Settings
from pipelines.training.processes import how_many, run_in_processes
from pipelines.training.train import run, train
from tests.training.conftest import example, stage_job
from tests.training.test_dpo import HELD, PAIRS


@pytest.fixture(autouse=True, scope="module")
def on_the_cpu() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        yield


def alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def workers(place: Path) -> list[int]:
    return [int(path.read_text()) for path in sorted(place.glob("*.pid"))]


# --- the stage ---------------------------------------------------------------------------------


def with_training(settings: Settings, **changes: Any) -> Settings:
    return settings.model_copy(update={"training": settings.training.model_copy(update=changes)})


def trains_by_a_clock_of_its_own(job: StageJob) -> None:
    pace = 1 + 10_000 * int(os.environ["RANK"])
    train(job, now=lambda: pace * time.monotonic())


@pytest.fixture(scope="module")
def trained(
    tiny_settings: Settings, dataset_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[StageJob, StageJob, list[tuple[int, int, str]]]:
    """The jobs of one process and of two, and what the latter reported here."""
    # 4 groups an epoch, one a micro-batch, 3 to a step: shares of 2 and 1, then of 1 and none.
    settings = with_training(tiny_settings, micro_batch_tokens=100)
    inputs = {"dataset": dataset_folder}
    told: list[tuple[int, int, str]] = []
    one = stage_job(settings, inputs, tmp_path_factory.mktemp("one"))
    two = stage_job(settings, inputs, tmp_path_factory.mktemp("two"), report=lambda *seen: told.append(seen))
    train(one)
    run_in_processes(trains_by_a_clock_of_its_own, two, 2, gpus=0)
    return one, two, told


def test_two_processes_give_the_weights_of_one(trained: Any) -> None:
    import torch
    from safetensors.torch import load_file

    one, two = (load_file(job.output / "adapter" / "adapter_model.safetensors") for job in trained[:2])
    # The same sums in another order: float32 gradients differ by some 1e-7 of their size. AdamW divides by that
    # size, so a step moves a weight by up to learning_rate = 0.01 and carries the error in the same proportion; the
    # most that was seen after 6 steps is 4e-6. Gradients of half the size (a mean taken twice) move weights by 1e-2.
    assert one.keys() == two.keys()
    for name, weights in one.items():
        assert torch.allclose(weights, two[name], rtol=0, atol=1e-4), name


def test_one_clock_counts_for_all_processes(trained: Any) -> None:
    # The limit is 10 minutes. By its own clock the second would stop after 60 ms, and the first would wait for its
    # share of the next step for ever.
    one, two = (read_json(job.output / "training.json") for job in trained[:2])
    assert (one["processes"], two["processes"]) == (1, 2)
    assert one["steps"] == two["steps"] == two["steps_planned"] == 6
    assert one["examples_seen"] == two["examples_seen"] == 12 * 3  # epochs


def test_progress_notes_and_files_are_those_of_one_process(trained: Any) -> None:
    one, two, told = trained
    assert [seen[:2] for seen in told if "loss" in seen[2]] == [(step, 6) for step in range(1, 7)]
    assert two.notes.keys() == one.notes.keys()
    assert two.notes["tokens_per_second"] > 0
    names = [sorted(path.relative_to(job.output) for path in job.output.rglob("*")) for job in (one, two)]
    assert names[0] == names[1]


def trains_on_a_validation_of_its_own(job: StageJob) -> None:
    """Rank 1 measures other losses than rank 0, as another GPU might by a little."""
    own = job.inputs["dataset"] if os.environ["RANK"] == "0" else job.inputs["other"]
    train(replace(job, inputs={"dataset": own}))


def test_processes_stop_early_together_and_learn_preferences_as_one_does(
    tiny_settings: Settings, dataset_folder: Path, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file

    inputs = {"dataset": tmp_path / "dataset", "other": tmp_path / "other"}
    for place in inputs.values():
        shutil.copytree(dataset_folder, place)
        write_lines(place / "preferences.jsonl", [*PAIRS, *HELD])
    of_others = [example("Where?", "Porto", context="w", split="validation")]  # an answer that is never right
    write_lines(inputs["other"] / "validation.jsonl", of_others)
    # a rate that rises far too high: the loss falls, then grows; 4 groups an epoch, one or two to a step
    dpo = tiny_settings.training.dpo.model_copy(update={"epochs": 2, "learning_rate": 0.001})
    changes = {"patience": 1, "validate_every_steps": 2, "epochs": 30, "learning_rate": 0.3, "warmup_steps": 20}
    settings = with_training(tiny_settings, micro_batch_tokens=100, batch_tokens=200, dpo=dpo, **changes)
    one, two = (stage_job(settings, inputs, tmp_path, output=name) for name in ("one", "two"))
    train(one)
    run_in_processes(trains_on_a_validation_of_its_own, two, 2, gpus=0)
    told = [read_json(job.output / "training.json") for job in (one, two)]
    assert told[0]["early_stopping"]["stopped"]
    assert told[0]["steps"] < told[0]["steps_planned"]
    for name in ("steps", "early_stopping"):
        assert told[0][name] == told[1][name]
        assert told[0]["preferences"][name] == told[1]["preferences"][name]
    weights = [load_file(job.output / "adapter" / "adapter_model.safetensors") for job in (one, two)]
    for name, weight in weights[0].items():
        assert torch.allclose(weight, weights[1][name], rtol=0, atol=1e-3), name


def test_the_stage_starts_as_many_processes_as_are_set(tiny_settings: Settings, tmp_path: Path) -> None:
    for name in ("train", "validation"):
        (tmp_path / f"{name}.jsonl").write_text("")
    told: list[str] = []
    settings = with_training(tiny_settings, processes=2)
    job = stage_job(settings, {"dataset": tmp_path}, tmp_path, report=lambda *seen: told.append(seen[2]))
    with pytest.raises(DatasetError, match="groundwork stage dataset"):
        run(job)
    assert told == ["starting 2 processes", "loading the base model"]  # the latter is said by a worker


@pytest.mark.parametrize(
    ("wanted", "gpus", "count"),
    [
        (0, 0, 1),  # no GPU: one process, nothing is spawned
        (0, 1, 1),
        (0, 4, 4),
        (2, 4, 2),
        (2, 0, 2),  # on a CPU as many as asked
    ],
)
def test_there_is_a_process_per_gpu_unless_the_settings_say_otherwise(wanted: int, gpus: int, count: int) -> None:
    assert how_many(wanted, gpus=gpus) == count


def test_more_processes_than_gpus_is_a_setting_to_mend() -> None:
    with pytest.raises(SettingsError, match=r"training\.processes is 3, and this machine has 2 CUDA GPUs"):
        how_many(3, gpus=2)


# --- workers that fail -------------------------------------------------------------------------


def all_here(job: StageJob) -> int:
    """A worker's rank, once both workers have written down who they are."""
    rank = int(os.environ["RANK"])
    place = job.output / f"{rank}.pid"
    place.with_suffix(".new").write_text(str(os.getpid()))
    place.with_suffix(".new").rename(place)
    while len(workers(job.output)) < 2:
        time.sleep(0.01)
    return rank


def waits(job: StageJob) -> None:
    all_here(job)
    time.sleep(60)


def raises_in_the_second(job: StageJob) -> None:
    if all_here(job) == 1:
        raise RuntimeError("no kernel image is available")
    time.sleep(60)


def misses_its_dataset(job: StageJob) -> None:
    if all_here(job) == 1:
        raise DatasetError("train.jsonl holds no examples; run `groundwork stage dataset`.")
    time.sleep(60)


def is_killed(job: StageJob) -> None:
    if all_here(job) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def leaves(job: StageJob) -> None:
    if all_here(job) == 1:
        os._exit(3)
    time.sleep(60)


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        (raises_in_the_second, StageError, "process 2 of 2 failed: RuntimeError: no kernel image"),
        (misses_its_dataset, DatasetError, "groundwork stage dataset"),  # what can be mended stays so: exit code 2
        (is_killed, StageError, "process 2 of 2 was ended by SIGKILL.*micro_batch_tokens"),
        (leaves, StageError, "process 2 of 2 ended with exit code 3"),
    ],
)
def test_a_worker_that_fails_ends_the_others(
    body: Any, error: type[GroundworkError], message: str, tiny_settings: Settings, tmp_path: Path
) -> None:
    job = stage_job(tiny_settings, {}, tmp_path)
    with pytest.raises(error, match=message):
        run_in_processes(body, job, 2, gpus=0)
    assert len(workers(job.output)) == 2
    assert [pid for pid in workers(job.output) if alive(pid)] == []


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_the_process_that_started_them(end: signal.Signals, tmp_path: Path) -> None:
    # SIGINT is Ctrl-C; after SIGKILL nobody is left to end them, and the stage's lock is free.
    script = (
        "import signal, sys\n"
        "from pathlib import Path\n"
        "from pipelines import settings\n"
        "from pipelines.training.processes import run_in_processes\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background job ignores it
        "from tests.training.conftest import stage_job\n"
        "from tests.training.test_processes import waits\n"
        "run_in_processes(waits, stage_job(settings.load(), {}, Path(sys.argv[1])), 2, gpus=0)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], cwd=configuration.ROOT, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while len(workers(tmp_path / "out")) < 2:
        assert time.monotonic() < deadline and parent.poll() is None
        time.sleep(0.05)
    parent.send_signal(end)
    said = parent.communicate(timeout=90)[1]
    assert parent.returncode == -end, said
    deadline = time.monotonic() + 60
    while any(alive(pid) for pid in workers(tmp_path / "out")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
