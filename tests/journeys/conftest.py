"""A small world for whole stories: a dozen of the sample's documents, a short training, few questions."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipelines.settings import ROOT
from tests.journeys.small_model import small_model

SAMPLE = ROOT / "data" / "sample"
SMALL = """
files:
  sources: [{sources}]
  questions: {questions}
  feedback: null
  golden_prompts: null
  attacks: {attacks}
dataset: {{made_per_chunk: 1}}
training: {{minutes_at_most: 0.3, epochs: 1, max_tokens: 2048, checkpoint_every_steps: 2, validate_every_steps: 4}}
evaluation: {{golden_answerable: 10, golden_unanswerable: 4, bootstrap_resamples: 200}}
redteam: {{attacks_at_most: 6, mutations: {{attempts_at_most: 8}}}}
policies: {{gate: {gate}}}
generation: {{base_model: {base_model}, max_new_tokens: 16}}
"""
GATE = """
alpha: 0.05
primary: {metric: answer_correct, better: higher, by: 0.0}
missing: inconclusive
"""
"""Without limits: a model that trained for seconds keeps none, and its release must still be one to decide on."""


@dataclass(frozen=True)
class World:
    """A workspace with its sources and a configuration, and the command over it."""

    root: Path

    @property
    def workspace(self) -> Path:
        return self.root / "workspace"

    @property
    def sources(self) -> Path:
        return self.root / "documents"

    @property
    def config(self) -> Path:
        return self.root / "small.yaml"

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "pipelines", *arguments, "--workspace", str(self.workspace)]

    def environment(self, actor: str = "trainer") -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))}
        return {**kept, "GROUNDWORK_ACTOR": actor, "PYTHONPATH": str(ROOT)}

    def groundwork(self, *arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*arguments), capture_output=True, text=True, check=False, env=self.environment(), cwd=ROOT
        )
        assert done.returncode == expect, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr[-3000:]}"
        return done

    def json(self, *arguments: str) -> Any:
        return json.loads(self.groundwork(*arguments, "--json").stdout.strip().splitlines()[-1])

    def keys(self) -> dict[str, str]:
        return {p.parent.name: json.loads(p.read_text())["key"] for p in sorted(self.workspace.glob("*/stage.json"))}


def small_documents(folder: Path, questions: Path, *, documents: int) -> None:
    """The handbook's first plain documents in `folder`, and the questions about them."""
    chosen = sorted(p for p in (SAMPLE / "documents" / "handbook").rglob("*") if p.suffix in (".md", ".txt", ".html"))
    for path in chosen[:documents]:
        place = folder / path.relative_to(SAMPLE / "documents")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    held = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    lines = (SAMPLE / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    mine = [line for line in lines if json.loads(line)["document"] in held]
    questions.write_text("\n".join(mine) + "\n", encoding="utf-8")


def world(root: Path, documents: int = 14) -> World:
    """A world of the handbook's first documents."""
    made = World(root)
    small_documents(made.sources, root / "questions.jsonl", documents=documents)
    (root / "gate.yaml").write_text(GATE)
    places = {"questions": root / "questions.jsonl", "attacks": SAMPLE / "attacks.jsonl", "gate": root / "gate.yaml"}
    places["base_model"] = small_model()
    made.config.write_text(SMALL.format(sources=made.sources, **places))
    return made


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world in which the lifecycle has run once."""
    made = world(tmp_path_factory.mktemp("world"))
    made.groundwork("run", "--config", str(made.config))
    return made
