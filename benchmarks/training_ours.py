"""Groundwork's training room on given examples, in a process of its own: speed, memory, loss over time.

    .venv/bin/python -m benchmarks.training_ours '{"model": FOLDER, "epochs": [FILE, ...], "validation": FILE, ...}'

`epochs`: files of Example lines, one an epoch; `minutes`: the schedule is fitted to them. Prints one JSON object: what
peer_trl.py prints, and the validation loss by training second. `judge`: only the loss of a saved adapter is taken, with
the same ruler (the mean over answer tokens).
"""

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from pipelines.artifacts import read_lines
from pipelines.contracts import Example
from pipelines.generation.models import load_tokenizer
from pipelines.settings import Training
from pipelines.training import adapter, loop, objectives, pace, train
from pipelines.training.grouping import Group, group, tokenise

Asked = dict[str, Any]


def main() -> None:
    """One question, one answer; progress goes to stderr."""
    asked = json.loads(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    train.use_threads(asked["threads"])
    accelerator = Accelerator(cpu=True)
    settings = train.in_this_machines_precision(Training.model_validate(asked["settings"]), accelerator.device)
    found = judged(asked, settings, accelerator) if "judge" in asked else trained(asked, settings, accelerator)
    print(json.dumps(found), file=answers, flush=True)


def trained(asked: Asked, settings: Training, accelerator: Accelerator) -> dict[str, Any]:
    """Train on the epochs until they end or the minutes do; saves the adapter to `out`."""
    began = time.perf_counter()
    folder, out = Path(asked["model"]), Path(asked["out"])
    tokenizer = load_tokenizer(folder)
    epochs = [_groups(path, tokenizer, settings) for path in asked["epochs"]]
    model = adapter.load_for_training(folder, settings, accelerator.device)
    loss = accelerator.prepare(objectives.AnswerLoss(model))
    every = [made for groups in epochs for made in groups]
    settings = pace.with_steps_of(settings, pace.batch_tokens(settings, loss, every, accelerator), processes=1)
    plans = [
        loop.Plan.of(groups, settings.model_copy(update={"epochs": 1, "seed": number}))
        for number, groups in enumerate(epochs)
    ]
    plan = loop.Plan(tuple(step for one in plans for step in one.steps))
    validation = _groups(asked["validation"], tokenizer, settings)
    running = loop.Run(loss, plan, validation, settings, accelerator=accelerator, place=out)
    ready = time.perf_counter()
    done = running.fit(_told)
    adapter.save_adapter(
        accelerator.unwrap_model(running.loss).model, running.optimizer.masters, out / "adapter", base_model=str(folder)
    )
    counted = [line["seconds"] for line in done.curve[1:]]  # the first step warms up, as the peer's does
    first = sum(len(made.rows) for batch in plan.steps[0] for made in batch)
    rows = [row for step in plan.steps[1 : done.step] for batch in step for made in batch for row in made.rows]
    return {
        "start_s": round(ready - began, 1),
        "steps": done.step - 1,
        "steps_planned": len(plan.steps),
        "seconds": round(sum(counted), 2),
        "seconds_with_validation": round(done.seconds, 2),
        "examples": done.examples - first,
        "tokens": sum(row.tokens for row in rows),
        "tokens_computed": done.tokens,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        "validation": _by_second(done.curve),
    }


def judged(asked: Asked, settings: Training, accelerator: Accelerator) -> dict[str, Any]:
    """Validation loss of an adapter that peft can read."""
    from peft.utils import load_peft_weights, set_peft_model_state_dict

    folder = Path(asked["model"])
    model = adapter.load_for_training(folder, settings, accelerator.device)
    set_peft_model_state_dict(model, load_peft_weights(asked["judge"], device="cpu"))
    validation = _groups(asked["validation"], load_tokenizer(folder), settings)
    loss, batches = objectives.AnswerLoss(model), objectives.bounded(validation)
    return {"validation": objectives.mean_figures(objectives.Answers(), loss, batches, accelerator.device)[0]}


def _groups(path: str, tokenizer: Any, settings: Training) -> list[Group]:
    examples = read_lines(Path(path), Example)
    return group(examples, tokenise(examples, tokenizer), max_tokens=settings.max_tokens)[0]


def _by_second(curve: list[dict[str, float]]) -> list[tuple[float, float]]:
    """(seconds of training without validations, validation loss)."""
    found, seconds = [], 0.0
    for line in curve:
        seconds += line["seconds"]
        if "validation" in line:
            found.append((round(seconds, 2), round(line["validation"], 4)))
    return found


def _told(done: int, total: int, line: str) -> None:
    if done % 10 == 0 or done == total:
        print(f"training: {done}/{total} {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
