"""dataset -> adapter: LoRA fine-tuning on grounded answers, on a CPU or on many GPUs.

Writes adapter/ (safetensors, its configuration and its card), curves.json, curves.html and training.json.
Invariants: the loss is taken on answers alone; a killed run goes on from its last checkpoint; nothing
in the output names a path of this machine.
Limits: a base model with a chat template and a decoder that transformers' attention interface serves;
the tokens of a step follow `training`, whatever the number of processes.
"""

import time
from collections.abc import Callable
from typing import Any

from pipelines.artifacts import StageJob
from pipelines.settings import Training


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
    from pipelines.training import checkpoint, dpo, pace
    from pipelines.training.adapter import load_for_training
    from pipelines.training.card import write_card
    from pipelines.training.material import read_material
    from pipelines.training.outputs import notes_of, write_outputs
    from pipelines.training.phases import fit
    from pipelines.training.processes import agreed, one_clock

    use_threads(job.settings.runtime.threads)
    job.report(0, 1, "loading the base model")
    base_model = job.settings.generation.base_model
    folder = base_folder(base_model, job.state)
    accelerator = Accelerator(cpu=not _has_gpu())
    settings = agreed(in_this_machines_precision(job.settings.training, accelerator.device), accelerator)
    material = read_material(job.inputs["dataset"], load_tokenizer(folder), settings)
    model = load_for_training(folder, settings, accelerator.device)
    started = time.monotonic()
    clock = one_clock(now, accelerator)
    trained = fit(model, material, settings, accelerator=accelerator, place=job.output, report=job.report, now=clock)
    if accelerator.is_main_process:
        where = {"processes": accelerator.num_processes, "device": accelerator.device.type}
        write_outputs(trained, material, settings, job.output, base_model=base_model, where=where)
        write_card(job.output, job.inputs["dataset"], base_model)
        checkpoint.clear(job.output)
        dpo.clear(job.output)
        pace.clear(job.output)
    job.notes.update(notes_of(trained, material, settings, time.monotonic() - started))
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


def _has_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())
