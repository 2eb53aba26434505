"""Times of the main job: a first run, a second one, one document of 2,000 changed, `--help`.

    make bench-lifecycle

There is no peer: the figures stand against the goals that are printed beside them. It works in a temporary folder
with a workspace of its own, on the sample, and leaves nothing behind.
"""

import importlib
import json
import os
import random
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.machine import ROOT, machine, run, say

GROUNDWORK = [sys.executable, "-m", "pipelines"]
DOCUMENTS = 2000
PARAGRAPHS = 4
"""In each made document."""
GOALS = {"first_run_s": 600, "peak_mib": 4096, "second_run_s": 15, "changed_share": 0.05, "help_s": 0.5}


def first_and_second_run(folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    """The whole lifecycle on the sample in a fresh workspace, then the same command again."""
    command = [*GROUNDWORK, "run", "--workspace", str(folder), "--config", str(folder.with_suffix(".yaml"))]
    folder.with_suffix(".yaml").write_text("{}\n")
    say("first run: the whole lifecycle on the sample")
    first = run(command, cwd=ROOT, environment=environment)
    say("second run: nothing has changed")
    second = run(command, cwd=ROOT, environment=environment)
    stages = {place.parent.name: json.loads(place.read_text())["seconds"] for place in folder.glob("*/run.json")}
    return {
        "first_run_s": first.seconds,
        "peak_mib": first.peak_mib,
        "second_run_s": second.seconds,
        "stages_s": dict(sorted(stages.items(), key=lambda item: -item[1])),
    }


def one_changed_document(folder: Path) -> dict[str, Any]:
    """Ingest, chunk and embed of 2,000 documents, then of the same with one changed.

    In this process, with the libraries loaded before: imports are not counted.
    """
    from pipelines import doors
    from pipelines.workspaces import Choices

    for heavy in ("torch", "transformers", "lancedb", "pandas"):
        importlib.import_module(heavy)
    sources = folder / "documents"
    make_documents(sources)
    choices = Choices(workspace=folder / "workspace", sources=(sources,))
    say(f"index of {DOCUMENTS} documents")
    before = doors.build_index(choices)
    changed = sources / "d0777.md"
    changed.write_text(changed.read_text(encoding="utf-8") + "\nOne more line about nothing else.\n", encoding="utf-8")
    say("the same with one document changed")
    after = doors.build_index(choices)
    totals = [sum(each["seconds"].values()) for each in (before, after)]
    return {
        "documents": before["documents"],
        "chunks": before["chunks"],
        "all_s": before["seconds"],
        "one_changed_s": after["seconds"],
        "changed_share": round(totals[1] / totals[0], 4),
    }


def make_documents(folder: Path) -> None:
    """Documents of paragraphs of the sample's Markdown, mixed anew in each; no two alike."""
    folder.mkdir(parents=True)
    texts = [p.read_text(encoding="utf-8") for p in sorted((ROOT / "data" / "sample" / "documents").rglob("*.md"))]
    paragraphs = sorted({part.strip() for text in texts for part in text.split("\n\n") if len(part.split()) > 15})
    rng = random.Random(7)
    for number in range(DOCUMENTS):
        words = [rng.sample(part.split(), len(part.split())) for part in rng.sample(paragraphs, PARAGRAPHS)]
        body = "\n\n".join(" ".join(shuffled) for shuffled in words)
        (folder / f"d{number:04d}.md").write_text(f"# Document {number}\n\n{body}\n", encoding="utf-8")


def help_seconds(environment: dict[str, str]) -> float:
    """Median of five."""
    say("groundwork --help, five times")
    taken = [run([*GROUNDWORK, "--help"], cwd=ROOT, environment=environment).seconds for _ in range(5)]
    return round(statistics.median(taken), 3)


def main() -> None:
    """Measure, and print one JSON object."""
    environment = {**os.environ, "GROUNDWORK_ACTOR": "benchmark", "PYTHONPATH": str(ROOT)}
    where = machine()
    with tempfile.TemporaryDirectory(prefix="bench-lifecycle-") as name:
        folder = Path(name)
        figures = first_and_second_run(folder / "sample", environment)
        figures |= one_changed_document(folder / "many")
        figures["help_s"] = help_seconds(environment)
    ratios = {goal: round(figures[goal] / most, 3) for goal, most in GOALS.items()}
    print(json.dumps({"figures": figures, "goals": GOALS, "ratios": ratios, "peer": None, "machine": where}))


if __name__ == "__main__":
    main()
