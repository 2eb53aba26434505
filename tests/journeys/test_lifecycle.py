"""From documents to production and back, through the command alone."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pipelines.settings import ROOT
from tests.journeys.conftest import World, world

STAGES = ["chunk", "dataset", "embed", "evaluate", "gate", "ingest", "redteam", "train"]


def state_of(lived: World, release: str) -> str:
    return next(r["state"] for r in lived.json("releases")["releases"] if r["id"] == release)


def test_a_run_ends_in_a_judged_release(lived: World) -> None:
    listed = lived.json("releases")["releases"]
    assert len(listed) == 1
    assert listed[0]["state"] == "pending"
    assert listed[0]["verdict"] in ("PASS", "INCONCLUSIVE")
    assert (listed[0]["warning"] is not None) == (listed[0]["verdict"] == "INCONCLUSIVE")
    assert sorted(lived.keys()) == STAGES
    for page in ("evaluate/report.html", "redteam/redteam.html", "train/curves.html", "gate/decision.html"):
        text = (lived.workspace / page).read_text(encoding="utf-8")
        assert "http://" not in text.replace("http://www.w3.org", "") or "src=" not in text


def test_a_second_run_does_nothing(lived: World) -> None:
    before = lived.keys()
    started = time.time()
    done = lived.groundwork("run")
    assert "Nothing to do" in done.stdout
    assert lived.keys() == before
    assert all(p.stat().st_mtime < started for p in lived.workspace.glob("*/stage.json"))


def test_an_answer_cites_a_span_of_a_source(lived: World) -> None:
    line = lived.json("ask", "How many days of annual leave do I get?")
    assert "waits for approval" in line["notice"]
    if line["answered"]:
        citation = line["citations"][0]
        assert (lived.sources / citation["uri"]).exists()
        assert citation["end"] > citation["start"]


def test_a_scan_attacks_the_release_anew_each_day_and_touches_no_stage(lived: World) -> None:
    before = lived.keys()
    first = lived.json("redteam", "scan", "--day", "2026-03-02")
    again = lived.json("redteam", "scan", "--day", "2026-03-02")
    other = lived.json("redteam", "scan", "--day", "2026-03-09", "--keep")
    assert (first["new"], again["new"], other["new"]) == (True, False, True)
    assert {**again, "new": True, "opened": first["opened"]} == first
    assert again["opened"] == []
    held = {each["id"] for each in lived.json("findings", first["release"])["findings"]}
    assert {*first["opened"], *other["opened"]} <= held
    assert other["added"] >= other["succeeded"] and "added" not in first  # only --keep writes regressions
    assert (first["attacks"], first["attempts"]) == (6, 8)
    assert attempts_of(first) != attempts_of(other)  # equal attacks, other mutations
    assert attempts_of({"page": lived.workspace / "redteam" / "redteam.html"}) not in map(attempts_of, (first, other))
    assert lived.keys() == before
    assert lived.json("release", "verify", first["release"])["releases"][0]["wrong"] == []  # the audit log too


def attempts_of(scan: dict[str, Any]) -> list[tuple[str, str]]:
    """What was tried, in order: attack and mutation."""
    lines = (Path(scan["page"]).parent / "attempts.jsonl").read_text(encoding="utf-8").splitlines()
    return [(each["attack"], each["mutation"]) for each in map(json.loads, lines)]


def test_a_scan_without_a_release_says_what_to_do(tmp_path: Path) -> None:
    done = world(tmp_path).groundwork("redteam", "scan", expect=2)
    assert "No release is in production or pending" in done.stderr


def test_the_registered_model_loads_with_mlflow_alone(lived: World, tmp_path: Path) -> None:
    code = (
        "import mlflow; mlflow.set_tracking_uri('sqlite:///{db}'); mlflow.set_registry_uri('sqlite:///{db}');"
        "m = mlflow.pyfunc.load_model('models:/groundwork/1');"
        "import json; print(json.dumps(m.predict(['Say hello.'])))"
    ).format(db=lived.workspace / "state" / "mlflow.db")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path, env=environment
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert isinstance(json.loads(done.stdout.strip().splitlines()[-1])[0], str)


def test_mlflow_knows_the_dataset_by_the_digests_of_its_release(lived: World) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{lived.workspace / 'state' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("groundwork")
    (run,) = client.search_runs([experiment.experiment_id], "tags.`groundwork.stage` = 'train'")
    outputs = json.loads((lived.workspace / "dataset" / "stage.json").read_text())["outputs"]
    known = {each.dataset.name: each.dataset.digest for each in run.inputs.dataset_inputs}
    assert known == {name: outputs[f"{name}.jsonl"][:36] for name in ("train", "validation")}  # no feedback, no pairs
    release = lived.json("releases")["releases"][0]["id"]
    assert run.data.tags["groundwork.dataset"] == lived.json("release", "show", release)["manifest"]["parts"]["dataset"]


def test_one_changed_parameter_runs_what_depends_on_it(lived: World, tmp_path: Path) -> None:
    before = lived.keys()
    copy = lived.root / "prompt.yaml"
    text = (ROOT / "configs" / "prompts" / "answer.yaml").read_text()
    copy.write_text(text.replace("in a few words", "in few words"))
    config = tmp_path / "prompt-config.yaml"
    config.write_text(f"generation: {{prompt: {copy}}}\n")
    lived.groundwork("run", "--config", str(config))
    after = lived.keys()
    assert {name for name in after if after[name] != before[name]} == {"evaluate", "redteam", "gate"}
    assert len(lived.json("releases")["releases"]) == 2  # a release without training


def test_nobody_approves_what_they_trained_and_somebody_else_may(lived: World) -> None:
    second, first = (r["id"] for r in lived.json("releases")["releases"])
    done = lived.groundwork("approve", first, "--by", "Trainer", "--why", "mine", expect=2)
    assert "separation of duties" in done.stderr
    assert "say which" in lived.groundwork("approve", "--by", "reviewer", "--why", "fine", expect=2).stderr
    lived.groundwork("rollback", "--by", "op", "--why", "try", expect=2)
    lived.groundwork("approve", first, "--by", "reviewer", "--why", "read the report")
    assert state_of(lived, first) == "production"
    asked, outcome = approved_on_the_page_of_mlflow(lived, second)
    assert asked["changed"]
    assert outcome == f"approved by reviewer as reviewer: release {second[:12]} is in production"
    assert (state_of(lived, first), state_of(lived, second)) == ("previous", "production")
    assert "whole" in lived.groundwork("release", "verify", second).stdout
    assert aliases(lived) == {"production": second, "previous": first}
    lived.groundwork("rollback", "--by", "op", "--why", "worse")
    assert (state_of(lived, first), state_of(lived, second)) == ("production", "rolled_back")
    assert aliases(lived) == {"production": first}


def approved_on_the_page_of_mlflow(lived: World, release: str) -> tuple[dict[str, Any], str]:
    """Approve by tags of the model version; what the poll says, and the outcome that it leaves there."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{lived.workspace / 'state' / 'mlflow.db'}")
    (version,) = client.search_model_versions(f"name = 'groundwork' and tags.release = '{release}'")
    request = {"review": "approved", "review_by": "reviewer", "review_why": "read the page"}
    for tag, value in {**request, "review_report": version.tags["report"]}.items():
        client.set_model_version_tag("groundwork", version.version, tag, value)
    (asked,) = lived.json("decisions", "poll")["decisions"]
    left = client.get_model_version("groundwork", version.version).tags
    assert {*request, "review_report"} & set(left) == set()
    return asked, left["review_outcome"]


def aliases(lived: World) -> dict[str, str]:
    """MLflow's aliases of the registered model, each with the release that its version carries."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{lived.workspace / 'state' / 'mlflow.db'}")
    held = client.get_registered_model("groundwork").aliases
    return {alias: client.get_model_version("groundwork", version).tags["release"] for alias, version in held.items()}


def test_the_next_candidate_is_compared_with_the_release_in_production(lived: World) -> None:
    champion = next(r["id"] for r in lived.json("releases")["releases"] if r["state"] == "production")
    (lived.sources / "handbook" / "bicycles.md").write_text(
        "# Bicycles\n\nThe bicycle shed in Kendal holds forty bicycles and is locked at 21:00 every evening.\n"
    )
    lived.groundwork("run", "--config", str(lived.config))
    decision = json.loads((lived.workspace / "gate" / "decision.json").read_text())
    assert decision["against"] == champion
    report = json.loads((lived.workspace / "evaluate" / "report.json").read_text())
    assert set(report["systems"]) == {"base", "candidate", "champion"}
    assert "forty" in lived.groundwork("search", "bicycle shed Kendal", "--json").stdout
    assert "Nothing to do" in lived.groundwork("run").stdout


def test_a_killed_run_goes_on_from_where_it_was(tmp_path: Path) -> None:
    made = world(tmp_path, documents=8)
    command = made.command("run", "--config", str(made.config))
    process = subprocess.Popen(
        command, env=made.environment(), cwd=ROOT, start_new_session=True, stderr=subprocess.DEVNULL
    )
    deadline = time.time() + 300
    while time.time() < deadline and not list(made.workspace.glob(".train.*.partial/*")):
        assert process.poll() is None
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = made.keys()
    assert set(before) >= {"ingest", "chunk", "embed", "dataset"}
    made.groundwork("stage", "train")
    after = made.keys()
    assert {name: after[name] for name in before} == before
    assert not list(made.workspace.glob(".*.partial"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--sources", "no-such-folder"], "no-such-folder"),
        (["run", "--qa", "no-such-file"], "no-such-file"),
        (["stage", "bake"], "ingest, chunk, embed"),
        (["ask"], "--queries"),
        (["search", "anything"], "groundwork"),
        (["approve", "--by", "r", "--why", "x"], "No release is pending"),
    ],
)
def test_a_mistake_is_explained_and_exits_2(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = World(tmp_path).groundwork(*arguments, expect=2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
