"""Stages: done once, swapped in whole, taken up again; made of exactly what they say."""

import ast
import errno
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

from pipelines import dataversion, runner, stages
from pipelines import settings as configuration
from pipelines.artifacts import Digests, StageJob, Workspace, sha256_of, write_json
from pipelines.errors import SettingsError, SourceError, StageError
from pipelines.settings import ROOT, Settings
from pipelines.stages import STAGES, Stage
from tests.test_architecture import FOUNDATION


def upper(job: StageJob) -> None:
    """A body for the tests: the sources' names in capitals."""
    names = sorted(p.name for p in job.inputs["sources"].iterdir())
    for number, name in enumerate(names):
        place = job.output / f"shard-{number}"
        if not place.exists():
            CALLS.append(name)
            if name == FAIL_AT[0]:
                raise OSError(errno.ENOSPC, "no space", str(place))
            place.write_text(name.upper())
    write_json(job.output / "names.json", [p.read_text() for p in sorted(job.output.glob("shard-*"))])


CALLS: list[str] = []
FAIL_AT = [""]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "sources").mkdir()
    for name in "abc":
        (tmp_path / "sources" / name).write_text(name)
    overrides = {"files": {"sources": [str(tmp_path / "sources")]}}
    return configuration.load(overrides=overrides)


@pytest.fixture(autouse=True)
def one_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage("upper", "tests.test_runner:upper", files=("files.sources",), settings=("documents",))
    monkeypatch.setitem(STAGES, "upper", stage)
    CALLS.clear()
    FAIL_AT[0] = ""


def run(settings: Settings, root: Path) -> runner.Outcome:
    return runner.run_stage("upper", settings, Workspace(root / "w"))


def test_a_stage_whose_key_is_unchanged_does_nothing(settings: Settings, tmp_path: Path) -> None:
    first, second = run(settings, tmp_path), run(settings, tmp_path)
    assert (first.ran, second.ran) == (True, False)
    assert CALLS == ["a", "b", "c"]
    assert runner.is_current("upper", settings, Workspace(tmp_path / "w"), Digests(tmp_path / "d.json"))


def test_a_changed_source_or_parameter_runs_it_again(settings: Settings, tmp_path: Path) -> None:
    run(settings, tmp_path)
    (tmp_path / "sources" / "a").write_text("other")
    assert run(settings, tmp_path).ran
    documents = settings.documents.model_copy(update={"max_bytes": 5})
    assert run(settings.model_copy(update={"documents": documents}), tmp_path).ran
    training = settings.training.model_copy(update={"rank": 5})
    changed = settings.model_copy(update={"documents": documents, "training": training})
    assert not run(changed, tmp_path).ran  # not a parameter of this stage


def test_what_follows_a_stage_depends_on_what_it_holds_not_on_how_that_came_about(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = Stage("after", "tests.test_runner:upper", reads=("upper",), files=("files.sources",))
    monkeypatch.setitem(STAGES, "after", after)
    workspace = Workspace(tmp_path / "w")
    run(settings, tmp_path)
    assert runner.run_stage("after", settings, workspace).ran
    documents = settings.documents.model_copy(update={"max_bytes": 5})
    changed = settings.model_copy(update={"documents": documents})  # a parameter that changes no byte of the output
    assert run(changed, tmp_path).ran
    assert not runner.run_stage("after", changed, workspace).ran
    (workspace.stage("upper") / "names.json").write_text("[]")
    assert not runner.is_current("after", changed, workspace, Digests(tmp_path / "d.json"))


def test_a_damaged_output_is_made_again(settings: Settings, tmp_path: Path) -> None:
    outcome = run(settings, tmp_path)
    (outcome.folder / "names.json").write_text("[]")
    assert run(settings, tmp_path).ran


def test_a_full_disk_keeps_the_last_output_and_the_finished_shards(settings: Settings, tmp_path: Path) -> None:
    before = (run(settings, tmp_path).folder / "names.json").read_text()
    (tmp_path / "sources" / "d").write_text("d")
    CALLS.clear()
    FAIL_AT[0] = "d"
    with pytest.raises(StageError, match="no space left"):
        run(settings, tmp_path)
    assert (tmp_path / "w" / "upper" / "names.json").read_text() == before
    FAIL_AT[0] = ""
    CALLS.clear()
    run(settings, tmp_path)
    assert CALLS == ["d"]  # a, b and c were taken up again


def test_two_processes_at_once_run_it_once(settings: Settings, tmp_path: Path) -> None:
    outcomes: list[bool] = []
    threads = [threading.Thread(target=lambda: outcomes.append(run(settings, tmp_path).ran)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False, False, False, True]


def test_an_unknown_stage_names_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="ingest, chunk, embed"):
        stages.stage_named("nope")


def test_a_missing_upstream_says_what_to_run(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="groundwork stage ingest"):
        runner.run_stage("chunk", settings, Workspace(tmp_path / "w"))


def test_a_missing_source_is_named(settings: Settings, tmp_path: Path) -> None:
    files = settings.files.model_copy(update={"sources": (tmp_path / "nowhere",)})
    with pytest.raises(SourceError, match="nowhere"):
        run(settings.model_copy(update={"files": files}), tmp_path)


def test_equal_inputs_give_an_equal_key_in_another_folder(settings: Settings, tmp_path: Path) -> None:
    keys: list[str] = []
    for place in ("one", "two"):
        documents = tmp_path / place / "sources"
        documents.mkdir(parents=True)
        (documents / "a").write_text("same")
        files = settings.files.model_copy(update={"sources": (documents,)})
        keys.append(run(settings.model_copy(update={"files": files}), tmp_path / place).key)
    assert keys[0] == keys[1]


# --- what the stages are made of ---


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name for name in names if name.startswith("pipelines.") and name.count(".") > 1 and exists(name)}
    return found


def exists(module: str) -> bool:
    place = ROOT.joinpath(*module.split("."))
    return place.with_suffix(".py").exists() or (place / "__init__.py").exists()


def closure(module: str, seen: set[str]) -> set[str]:
    """Every module of the product that a module imports, directly or not, room docstrings aside.

    The foundation is not counted: its effect on a result is in the schema version and the parameters.
    """
    if module in seen or module.split(".")[1] in FOUNDATION:
        return seen
    seen.add(module)
    for file in stages.source_files(module):
        for name in imports_of(ROOT / file):
            closure(name, seen)
    return seen


def covered(module: str, listed: tuple[str, ...]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in listed)


@pytest.mark.parametrize("name", [n for n, s in STAGES.items() if n != "upper" and exists(s.body.partition(":")[0])])
def test_a_stage_lists_the_code_that_it_imports(name: str) -> None:
    stage = STAGES[name]
    needed = {m for m in closure(stage.body.partition(":")[0], set()) if m.count(".") > 1}
    assert sorted(m for m in needed if not covered(m, stage.modules)) == []
    of_code = [m for m in stage.modules if exists(m)]  # templates count too, and nothing imports them
    assert sorted(m for m in of_code if not any(covered(n, (m,)) for n in needed)) == []


def test_dvc_follows_the_same_arrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(STAGES, "upper")
    written = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    assert written == dataversion.pipeline_text(configuration.load())
    assert list(yaml.safe_load(written)["stages"]) == list(STAGES)


def test_dvc_follows_what_was_fetched_by_its_content_alone() -> None:
    named = ["data/sample/documents", "https://docs.example.com/guide/", "/usr/share/**/*.md", "docs/*.md"]
    made = configuration.load(overrides={"files": {"sources": named}})
    deps = yaml.safe_load(dataversion.pipeline_text(made))["stages"]["ingest"]["deps"]
    digest = sha256_of(named[1].encode())[:12]
    assert deps[:4] == [
        "data/sample/documents",
        f"data/state/sources/docs-example-com-guide-{digest}/files.jsonl",
        "/usr/share",
        "docs",
    ]


def test_a_wrong_key_ends_in_exit_code_2_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("chunkng: {}\n")
    command = [sys.executable, "-m", "pipelines", "stage", "chunk", "--config", str(tmp_path / "wrong.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert "chunking" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_list_of_releases_is_json_alone_on_stdout(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipelines", "releases", "--json", "--workspace", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert json.loads(done.stdout) == {"releases": []}
