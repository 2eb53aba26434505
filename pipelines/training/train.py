"""dataset -> adapter: LoRA fine-tuning on grounded answers, on a CPU or on many GPUs.

Writes adapter/ (safetensors, its configuration and its card), curves.json, curves.html and training.json.
Invariants: the loss is taken on answers alone; a killed run goes on from its last checkpoint; nothing
in the output names a path of this machine.
Limits: a base model with a chat template and a decoder that transformers' attention interface serves;
the tokens of a step follow `training`, whatever the number of processes.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.artifacts import StageJob, read_lines, write_json
from pipelines.contracts import Example
from pipelines.errors import DatasetError
from pipelines.settings import Training

if TYPE_CHECKING:
    from pipelines.training.grouping import Group
    from pipelines.training.loop import Progress, Run


@dataclass(frozen=True)
class Material:
    """What is trained on, tokenised and grouped by shared passages."""

    train: "list[Group]"
    validation: "list[Group]"
    too_long: int
    """Examples left out because they are longer than `training.max_tokens`."""


def run(job: StageJob) -> None:
    """Stage `train`: in this process, or in one per GPU that this one starts and follows; or nothing is trained."""
    from pipelines.generation.models import base_folder
    from pipelines.training import processes
    from pipelines.training.keeping import keep

    if job.settings.training.adapter == "production":
        keep(job)
        return
    gpus = processes.gpus()
    count = processes.how_many(job.settings.training.processes, gpus=gpus)
    if count == 1:
        train(job)
        return
    job.report(0, 1, f"starting {count} processes")
    base_folder(job.settings.generation.base_model, job.state)  # downloaded or converted here, once
    processes.run_in_processes(train, job, count, gpus=gpus)


def train(job: StageJob, *, now: Callable[[], float] = time.monotonic) -> None:
    """The stage's work, as one of several processes or alone: each trains on its share of every step."""
    from accelerate import Accelerator

    from pipelines.generation.models import base_folder, load_tokenizer
    from pipelines.training import checkpoint
    from pipelines.training.adapter import load_for_training
    from pipelines.training.card import write_card
    from pipelines.training.processes import agreed, one_clock

    use_threads(job.settings.runtime.threads)
    job.report(0, 1, "loading the base model")
    folder = base_folder(job.settings.generation.base_model, job.state)
    accelerator = Accelerator(cpu=not _has_gpu())
    settings = agreed(in_this_machines_precision(job.settings.training, accelerator.device), accelerator)
    material = read_material(job.inputs["dataset"], load_tokenizer(folder), settings)
    model = load_for_training(folder, settings, accelerator.device)
    started = time.monotonic()
    clock = one_clock(now, accelerator)
    finished = fit(model, material, settings, accelerator=accelerator, place=job.output, report=job.report, now=clock)
    if accelerator.is_main_process:
        base_model = job.settings.generation.base_model
        write_outputs(finished, material, settings, job.output, base_model=base_model)
        write_card(job.output, job.inputs["dataset"], base_model)
        checkpoint.clear(job.output)
    job.notes.update(notes_of(finished, time.monotonic() - started))
    accelerator.wait_for_everyone()  # rank 0 writes while the others wait; then they part together
    accelerator.end_training()


def use_threads(threads: int) -> None:
    """Threads for matrix products: 0 is every core that this process may use."""
    import os

    import torch

    torch.set_num_threads(threads or len(os.sched_getaffinity(0)))


def in_this_machines_precision(settings: Training, device: Any) -> Training:
    """Settings with `dtype: auto` replaced by the precision that is used."""
    from pipelines.training.adapter import resolved_dtype

    return settings.model_copy(update={"dtype": resolved_dtype(settings.dtype, device)})


def read_material(dataset: Path, tokenizer: Any, settings: Training) -> Material:
    """Groups of the dataset's train and validation examples."""
    train, long_train = _groups(dataset / "train.jsonl", tokenizer, settings)
    validation, long_validation = _groups(dataset / "validation.jsonl", tokenizer, settings)
    if not train:
        raise DatasetError(f"{dataset / 'train.jsonl'} holds no examples; run `groundwork stage dataset`.")
    return Material(train, validation, long_train + long_validation)


def fit(
    model: Any,
    material: Material,
    settings: Training,
    *,
    accelerator: Any,
    place: Path,
    report: Any,
    now: Callable[[], float],
) -> "Run":
    """Train `model` on the material; checkpoints lie in `place`."""
    from pipelines.training.loop import Plan, Run

    plan = Plan.of(material.train, settings)
    going = Run(model, plan, material.validation, settings, accelerator=accelerator, place=place, now=now)
    going.fit(report)
    return going


def write_outputs(finished: "Run", material: Material, settings: Training, output: Path, *, base_model: str) -> None:
    """The adapter, the curves as numbers and as a page, and what was done."""
    from pipelines.training.adapter import save_adapter
    from pipelines.training.curves import page

    model = finished.accelerator.unwrap_model(finished.loss).model
    save_adapter(model, finished.optimizer.masters, output / "adapter", base_model=base_model)
    write_json(output / "curves.json", finished.progress.curve)
    (output / "curves.html").write_text(page(finished.progress.curve), encoding="utf-8")
    write_json(output / "training.json", summary(finished, material, settings, base_model))


def summary(finished: "Run", material: Material, settings: Training, base_model: str) -> dict[str, Any]:
    """What was trained, on how much, to which loss."""
    progress = finished.progress
    validation = [line["validation"] for line in progress.curve if "validation" in line]
    return {
        "base_model": base_model,
        "parameters": settings.model_dump(mode="json"),
        "trainable_weights": sum(weight.numel() for weight in finished.optimizer.masters.values()),
        "examples": sum(len(made.rows) for made in material.train),
        "groups": len(material.train),
        "too_long": material.too_long,
        "steps": progress.step,
        "steps_planned": len(finished.plan.steps),
        "examples_seen": progress.examples,
        "tokens_seen": progress.tokens,
        "targets_seen": progress.targets,
        "processes": finished.accelerator.num_processes,
        "device": finished.accelerator.device.type,
        "final_loss": recent_loss(progress),
        "validation_loss": validation[-1] if validation else None,
        "first_validation_loss": validation[0] if validation else None,
    }


def recent_loss(progress: "Progress") -> float:
    """Mean training loss of the last ten steps."""
    last = [line["loss"] for line in progress.curve[-10:]]
    return sum(last) / len(last)


def notes_of(finished: "Run", seconds: float) -> dict[str, Any]:
    """Speeds for run.json: tokens with a shared context counted once, and as rows of their own."""
    trained = max(finished.progress.seconds, 1e-9)
    return {
        "training_seconds": round(seconds, 1),
        "tokens_per_second": round(finished.progress.tokens / trained, 1),
        "examples_per_second": round(finished.progress.examples / trained, 2),
        "resumed_at_step": finished.resumed_at,
    }


def _groups(path: Path, tokenizer: Any, settings: Training) -> "tuple[list[Group], int]":
    from pipelines.training.grouping import group, tokenise

    examples = read_lines(path, Example)
    if not examples:
        return [], 0
    return group(examples, tokenise(examples, tokenizer), max_tokens=settings.max_tokens)


def _has_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())
