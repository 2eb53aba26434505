"""The house rules that a machine can check: import directions, one door a vendor, names that say something."""

import ast
import re
from pathlib import Path

import pytest

from pipelines.settings import ROOT

ROOMS = [
    "gateway",
    "release",
    "evaluation",
    "training",
    "retrieval",
    "generation",
    "documents",
    "guardrails",
    "observability",
    "governance",
]
"""From the top down: a room imports rooms below it, never one above."""
FOUNDATION = {
    *("contracts", "artifacts", "settings", "errors", "store", "modelfiles", "shards", "yamlfiles", "bodies"),
    "suiterows",
}
COMPOSERS = {
    *("cli", "verbs", "doors", "index_doors", "telling", "stages", "runner", "workspaces", "variants", "console"),
    *("registry", "dataversion", "options", "cli_release", "release_doors", "release_telling"),
    *("cli_review", "review_doors"),
    *("cli_judge", "judge_doors", "cli_suite", "suite_doors"),
    *("cli_scan", "scan_doors"),
    *("cli_garak", "garak_doors"),
    *("cli_findings", "findings_doors"),
    *("cli_trace", "trace_telling"),
    *("cli_prompts", "prompt_doors", "prompt_compare_doors", "prompt_telling"),
    *("cli_tune", "tune_doors"),
}
DOORS = {
    "prefect": ("flows/",),
    "mlflow": ("pipelines/registry.py", "pipelines/registry_model.py"),
    "dvc": ("pipelines/dataversion.py",),
    "openai": (
        "pipelines/generation/endpoint.py",
        "pipelines/evaluation/ragas_metrics.py",
        "pipelines/retrieval/encoders/endpoint.py",
    ),
    "lancedb": ("pipelines/retrieval/index.py",),
    "ragas": ("pipelines/evaluation/ragas_metrics.py",),
    "botocore": ("pipelines/documents/fetching/s3.py",),
    "httpcore": ("pipelines/documents/fetching/visits.py",),
    "protego": ("pipelines/documents/fetching/web.py",),
    "sqlalchemy": (
        *("pipelines/store.py", "pipelines/release/", "pipelines/migrations/"),
        "pipelines/evaluation/review_votes.py",
    ),
    "starlette": (
        *("pipelines/evaluation/review_server.py", "pipelines/evaluation/garak_endpoint.py"),
        *("pipelines/release/webhook_server.py", "pipelines/bodies.py"),
    ),
}
FILES = sorted([*ROOT.glob("pipelines/**/*.py"), *ROOT.glob("flows/**/*.py")])


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def room_of(path: Path) -> str | None:
    parts = path.relative_to(ROOT).parts
    return parts[1] if parts[0] == "pipelines" and len(parts) > 2 and parts[1] in ROOMS else None


@pytest.mark.parametrize("path", [p for p in FILES if room_of(p)], ids=lambda p: str(p.relative_to(ROOT)))
def test_a_room_imports_rooms_below_it_and_the_foundation_alone(path: Path) -> None:
    room = room_of(path)
    assert room is not None
    below = set(ROOMS[ROOMS.index(room) :])
    for name in imported(path):
        if name.startswith("flows"):
            pytest.fail(f"{path} imports {name}")
        if name.startswith("pipelines."):
            part = name.split(".")[1]
            assert part in below | FOUNDATION, f"{path} imports {name}"


@pytest.mark.parametrize("vendor", DOORS)
def test_each_vendor_has_one_door(vendor: str) -> None:
    found = [str(p.relative_to(ROOT)) for p in FILES if any(name.split(".")[0] == vendor for name in imported(p))]
    assert [f for f in found if not f.startswith(DOORS[vendor])] == []


def test_only_composers_stand_beside_the_rooms() -> None:
    beside = {p.stem for p in ROOT.glob("pipelines/*.py")} - {"__init__", "__main__", "registry_model"}
    assert beside <= FOUNDATION | COMPOSERS


def test_no_file_has_a_name_that_says_nothing() -> None:
    empty = re.compile(r"^(utils?|commons?|helpers?|misc|manager)$")
    assert [p for p in FILES if any(empty.match(part) for part in p.with_suffix("").parts)] == []


def test_the_command_starts_without_the_pipeline() -> None:
    import subprocess
    import sys

    code = "import sys, pipelines.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"torch", "transformers", "prefect", "mlflow", "lancedb", "pandas", "numpy", "pydantic", "sqlalchemy"}
    assert heavy & set(loaded) == set()
