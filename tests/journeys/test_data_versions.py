"""Data under DVC: what a run made is pushed, pulled into a clean clone, and made again by nobody.

The repository here is a copy of this one's own files with a small world in place of the sample.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines.settings import ROOT
from tests.journeys.conftest import SAMPLE, small_documents
from tests.journeys.small_model import small_model

SMALLER = {
    "base_model": str(small_model()),
    "max_tokens": "2048",
    "minutes_at_most": "0.3",
    "epochs": "1",
    "golden_answerable": "8",
    "golden_unanswerable": "3",
    "bootstrap_resamples": "200",
    "attacks_at_most": "6",
    "max_new_tokens": "16",
    "made_per_chunk": "1",
}
CODE = (
    "configs",
    "flows",
    "pipelines",
    ".dvc",
    ".dvcignore",
    ".gitignore",
    "dvc.yaml",
    "pyproject.toml",
    "prefect.yaml",
)


class Repository:
    """A git and DVC repository with the command over it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(self, *command: str, expect: int = 0) -> str:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_", "DVC_"))
        }
        environment = {**kept, "PYTHONPATH": str(self.root), "GROUNDWORK_ACTOR": "trainer"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.root, env=environment)
        assert done.returncode == expect, f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr[-3000:]}"
        return done.stdout + done.stderr

    def groundwork(self, *arguments: str, expect: int = 0) -> str:
        return self.run(sys.executable, "-m", "pipelines", *arguments, expect=expect)

    def dvc(self, *arguments: str) -> str:
        return self.run(sys.executable, "-m", "dvc", *arguments)

    def commit(self, why: str) -> None:
        self.run("git", "add", "-A")
        self.run("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "-m", why)

    def change(self, name: str, value: str) -> None:
        """Set one key of configs/groundwork.yaml, its comment kept."""
        place = self.root / "configs" / "groundwork.yaml"
        text, count = re.subn(rf"^(  {name}: +)\S+", rf"\g<1>{value}", place.read_text(), count=1, flags=re.M)
        assert count == 1, name
        place.write_text(text)


def repository(root: Path) -> Repository:
    made = Repository(root)
    for name in CODE:
        source, target = ROOT / name, root / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "tmp", "cache", "*.local"))
        else:
            shutil.copyfile(source, target)
    sample = root / "data" / "sample"
    small_documents(sample / "documents", sample / "questions.jsonl", documents=10)
    for name in ("feedback.jsonl", "golden_prompts.yaml", "attacks.jsonl"):
        shutil.copyfile(SAMPLE / name, sample / name)
    (root / ".venv" / "bin").mkdir(parents=True)
    script = f'#!/bin/sh\nexec "{sys.executable}" -m pipelines "$@"\n'
    (root / ".venv" / "bin" / "groundwork").write_text(script)
    (root / ".venv" / "bin" / "groundwork").chmod(0o755)
    for name, value in SMALLER.items():
        made.change(name, value)
    made.run("git", "init", "-q")
    made.commit("a repository")
    return made


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository in which the flow has run once."""
    made = repository(tmp_path_factory.mktemp("repository"))
    made.groundwork("run")
    return made


def test_after_the_flow_dvc_has_nothing_to_do(lived_in: Repository) -> None:
    said = lived_in.dvc("repro")
    assert "up to date" in said
    assert "Running stage" not in said
    assert "Nothing to do" in lived_in.groundwork("run")
    assert "nothing to do" in lived_in.groundwork("stage", "train")


def test_a_clean_clone_pulls_and_repeats_nothing(lived_in: Repository, tmp_path: Path) -> None:
    lived_in.dvc("remote", "add", "-f", "-d", "store", str(tmp_path / "store"))
    lived_in.dvc("push")
    lived_in.commit("the first run")
    lived_in.run("git", "clone", "-q", str(lived_in.root), str(tmp_path / "clone"))
    clone = Repository(tmp_path / "clone")
    shutil.copytree(lived_in.root / ".venv", clone.root / ".venv")
    clone.dvc("pull")
    said = clone.dvc("repro")
    assert "up to date" in said
    assert "Running stage" not in said
    # The index lies outside the stage folders: it is rebuilt from the vectors, and no stage body runs.
    before = {p: p.stat().st_mtime_ns for p in clone.root.glob("data/*/stage.json")}
    assert "nothing to do" in clone.groundwork("stage", "embed")
    assert '"hits"' in clone.groundwork("search", "annual leave", "--json")
    assert {p: p.stat().st_mtime_ns for p in clone.root.glob("data/*/stage.json")} == before


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("overlap_tokens", "16", {"chunk"}),  # what follows it is decided when the chunks are there
        ("rank", "8", {"train"}),
        ("bootstrap_resamples", "300", {"evaluate", "gate"}),
        ("attacks_at_most", "5", {"redteam"}),
        ("threads", "1", set()),  # how fast, not what
    ],
)
def test_dvc_sees_one_changed_parameter_where_it_counts(
    lived_in: Repository, name: str, value: str, expected: set[str]
) -> None:
    place = lived_in.root / "configs" / "groundwork.yaml"
    before = place.read_text()
    try:
        lived_in.change(name, value)
        said = lived_in.dvc("status", "--json")
    finally:
        place.write_text(before)
    assert set(re.findall(r'"(\w+)": \[', said)) == expected


def test_a_folder_of_documents_is_put_under_dvc(lived_in: Repository, tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "note.md").write_text("# Parking\n\nThe car park closes at 20:30 on weekdays.\n")
    said = lived_in.groundwork("data", "add", str(folder))
    assert "sources/notes" in said
    assert (lived_in.root / "sources" / "notes.dvc").exists()
    assert "sources/notes" in (lived_in.root / "dvc.yaml").read_text()
    lived_in.groundwork("stage", "ingest")
    parsed = pq.read_table(lived_in.root / "data" / "ingest" / "documents.parquet", columns=["uri"])
    assert parsed.num_rows == 11  # the ten, and the note
    assert "note.md" in parsed.column("uri").to_pylist()
