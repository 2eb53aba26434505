"""TRL's SFTTrainer, told what to do by one JSON object: trains so long and saves its adapter.

    python benchmarks/peer_trl.py '{"model": FOLDER, "examples": FILE, "out": FOLDER, "seconds": 60, "options": {}}'

`examples`: lines of {"prompt": [messages], "completion": [messages]}. It runs with Groundwork's own torch, transformers
and peft, TRL beside them (peers.py), and knows nothing of Groundwork. It prints one JSON object: steps, examples and
real tokens seen, seconds without start-up and the first step, peak memory.
"""

import json
import os
import resource
import sys
import time
import warnings
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "DO_NOT_TRACK": "1"}
_ANSWERS = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)
warnings.simplefilter("ignore")


def prepared(asked, rows, clock):
    """A trainer of the asked options over the rows."""
    import trl
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoTokenizer

    return trl.SFTTrainer(
        model=asked["model"],
        args=trl.SFTConfig(
            output_dir=asked["out"],
            use_cpu=True,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            learning_rate=asked["learning_rate"],
            warmup_steps=asked["warmup_steps"],
            max_steps=asked["steps_at_most"],
            seed=asked["seed"],
            **asked["options"],
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(asked["model"]),
        peft_config=LoraConfig(
            r=asked["rank"],
            lora_alpha=asked["alpha"],
            lora_dropout=0.0,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
        callbacks=[clock],
    )


def count(trainer, seen):
    """Let every training step add its answers and real tokens to `seen`."""
    import torch

    inner = trainer.training_step

    def counted(model, inputs, *args, **kwargs):
        """Answers begun in a batch: a packed row holds several, each with its own run of labels."""
        labels = inputs["labels"]
        learned = labels != -100
        starts = learned & ~torch.nn.functional.pad(learned, (1, 0))[:, :-1]
        loss = inner(model, inputs, *args, **kwargs)
        seen["examples"] += int(starts.sum())
        mask = inputs.get("attention_mask")
        seen["tokens"] += int(mask.sum()) if mask is not None else int(inputs["input_ids"].numel())
        return loss

    trainer.training_step = counted


def main() -> None:
    asked = json.loads(sys.argv[1])
    started = time.perf_counter()
    import torch
    import trl
    from transformers import TrainerCallback

    torch.set_num_threads(asked["threads"])
    rows = [json.loads(line) for line in Path(asked["examples"]).read_text(encoding="utf-8").splitlines()]
    seen = {"steps": 0, "examples": 0, "tokens": 0, "began": 0.0, "ended": 0.0}

    class Clock(TrainerCallback):
        """Stops when the time is up; the first step is not counted: it warms up."""

        def on_step_end(self, args, state, control, **_):
            now = time.perf_counter()
            if not seen["began"]:
                seen.update(began=now, ended=now, tokens=0, examples=0)
                return
            seen.update(ended=now, steps=seen["steps"] + 1)
            if now - seen["began"] >= asked["seconds"]:
                control.should_training_stop = True

    trainer = prepared(asked, rows, Clock())
    count(trainer, seen)
    ready = time.perf_counter()
    trainer.train()
    if asked.get("save"):
        trainer.save_model(asked["out"])
    seconds = seen["ended"] - seen["began"]
    answer = {
        "peer": "trl.SFTTrainer",
        "version": trl.__version__,
        "start_s": round(ready - started, 1),
        "steps": seen["steps"],
        "seconds": round(seconds, 2),
        "examples": seen["examples"],
        "tokens": seen["tokens"],
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
    }
    print(json.dumps(answer), file=_ANSWERS, flush=True)


main()
