"""Shards over Prefect's runners: the same bytes whoever maps them, and after a kill; nothing is made twice."""

import importlib.util
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pipelines import settings as configuration
from pipelines.artifacts import read_json
from pipelines.errors import SettingsError, StageError
from pipelines.settings import ROOT, Runtime
from pipelines.shards import ATTEMPTS, Mapper, Shard, each_done, making, shards_of
from tests.flows import sharded

INSTALLED = [name for name in ("dask", "ray") if importlib.util.find_spec(f"prefect_{name}")]
NOT_HERE = "not installed: uv pip install -e '.[cluster]' brings the runners"


def distributed_runner(name: str) -> object:
    return pytest.param(name, marks=pytest.mark.skipif(name not in INSTALLED, reason=NOT_HERE))


RUNNERS = ["threads", distributed_runner("dask"), distributed_runner("ray")]


@pytest.fixture(scope="module", autouse=True)
def prefect_server() -> Iterator[None]:
    """One for the module: a start takes 10 s."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("parsing.FILES_EACH", "chunk_shards.ROWS_EACH"):
        monkeypatch.setattr(f"pipelines.documents.{name}", 1)
    monkeypatch.setattr("pipelines.retrieval.embed.KEPT_EACH", 1)
    sharded.cut_small()  # put back by the lines above


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sharded") / "documents"
    sharded.write_documents(folder)
    return folder


@pytest.fixture(scope="module")
def alone(sources: Path) -> dict[str, str]:
    """What one process makes without any shard, at the sizes of the tests."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("pipelines.retrieval.embed.KEPT_EACH", 32)
        return sharded.build(sources.parent / "alone", sources, "local")


def ran(workspace: Path, stage: str) -> dict[str, int]:
    found: dict[str, int] = read_json(workspace / stage / "run.json")
    return found


@pytest.mark.parametrize("runner", RUNNERS)
def test_every_file_has_the_same_bytes_whoever_maps(
    runner: str, sources: Path, alone: dict[str, str], tmp_path: Path
) -> None:
    assert sharded.build(tmp_path / runner, sources, runner) == alone
    assert ran(tmp_path / runner, "ingest")["parsed"] == sharded.FILES - 1  # all but the damaged one
    assert list((tmp_path / runner).glob(".*.partial")) == []


@pytest.mark.parametrize("runner", RUNNERS[:2])
def test_a_killed_run_goes_on_with_what_it_has_under_another_runner(
    runner: str, sources: Path, alone: dict[str, str], tmp_path: Path
) -> None:
    for attempt in range(5):  # on a busy machine the kill may come when everything is done: then once more
        workspace = tmp_path / f"killed-{attempt}"
        kill_when_there_is(runner, workspace, sources, "*.arrows")
        # `parsed-*`: taken over by the stage; `shards/`: finished, and not yet taken over
        places = [*workspace.glob(".ingest.*.partial/shards/*.arrows"), *workspace.glob(".ingest.*.partial/*.arrows")]
        reasons = [reason for place in places for reason in reasons_in(place)]
        if 0 < len(reasons) < sharded.FILES:
            break
    assert 0 < len(reasons) < sharded.FILES
    assert sharded.build(workspace, sources, "local") == alone
    # one file is damaged, and may be among those that were there or not: the note counts what could be parsed
    assert ran(workspace, "ingest")["parsed"] == sharded.FILES - 1 - reasons.count(None)


@pytest.mark.skipif("dask" not in INSTALLED, reason=NOT_HERE)
def test_vectors_that_a_killed_run_has_made_are_not_made_again(
    sources: Path, alone: dict[str, str], tmp_path: Path
) -> None:
    workspace = tmp_path / "killed"
    kill_when_there_is("dask", workspace, sources, ".embed.*.partial/shards/*.npy")
    held = sum(len(np.load(place)) for place in workspace.glob(".embed.*.partial/shards/*.npy"))
    with closing(sqlite3.connect(next(workspace.glob("state/vectors/*.db")))) as kept:
        [(taken,)] = kept.execute("SELECT count(*) FROM vectors")
    assert held or taken
    assert sharded.build(workspace, sources, "dask") == alone
    # distinct texts in all: those that were taken, or lay there and were taken now, are no work of this run
    assert ran(workspace, "embed")["embedded"] == ran(sources.parent / "alone", "embed")["embedded"] - taken


def kill_when_there_is(runner: str, workspace: Path, sources: Path, pattern: str) -> None:
    """Run the flow in a process group of its own until a file is there, and kill the group with SIGKILL."""
    from prefect.settings import get_current_settings

    environment = {**os.environ, "PREFECT_API_URL": str(get_current_settings().api.url), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.flows.sharded", str(workspace), str(sources), runner]
    process = subprocess.Popen(command, env=environment, cwd=ROOT, start_new_session=True, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while not list(workspace.rglob(pattern) if workspace.exists() else ()):
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def reasons_in(place: Path) -> list[str | None]:
    """Why each of a shard's files could not be parsed; None: it could."""
    import pyarrow as pa

    from pipelines.documents.tables import part_column

    with pa.ipc.open_stream(str(place)) as reader:
        return part_column(place, reader.schema, "reason")


# --- failures ---


def fragile(given: bytes, place: Path, threads: int) -> None:
    """Work for the tests: fails until there are as many notes beside it as it asks for; may end its own process."""
    asked = json.loads(given)
    notes = Path(asked["notes"])
    tried = len(list(notes.glob(f"{asked['name']}-*")))
    (notes / f"{asked['name']}-{tried}").touch()
    if tried < asked["fails"]:
        if asked["dies"]:
            os.kill(os.getpid(), signal.SIGKILL)
        raise RuntimeError("not yet")
    with making(place) as temporary:
        temporary.write_text(asked["name"])


def fragile_shards(output: Path, fails: dict[str, int], *, dies: bool = False) -> list[Shard]:
    output.mkdir(exist_ok=True)
    parts = [(n, {"name": n, "notes": str(output), "fails": fails.get(n, 0), "dies": dies}) for n in "abcd"]
    return list(shards_of(output, ".txt", parts))


@pytest.fixture(scope="module")
def mappers() -> Iterator[Callable[[str], Mapper]]:
    """A mapper by the runner's name: started once."""
    from flows.runners import PrefectMapper, mapper_of

    with ExitStack() as started:

        @cache
        def mapper(runner: str) -> PrefectMapper:
            made = mapper_of(runtime(runner=runner, workers=2))
            assert made is not None
            return started.enter_context(made)

        yield mapper


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_shard_that_fails_is_tried_again_and_then_fails_by_its_name_alone(
    runner: str, mappers: Callable[[str], Mapper], tmp_path: Path
) -> None:
    shards = fragile_shards(tmp_path / "w", {"b": ATTEMPTS, "c": 1})
    with pytest.raises(StageError, match=r"Shard b \[.*failed 3 times.*RuntimeError: not yet"):
        list(each_done(fragile, shards, mappers(runner), lambda name: None))
    assert [shard.place.exists() for shard in shards] == [True, False, True, True]
    tries = sorted(p.name for p in (tmp_path / "w").glob("?-*"))
    assert tries == ["a-0", "b-0", "b-1", "b-2", "c-0", "c-1", "d-0"]


@pytest.mark.parametrize("runner", RUNNERS[1:])
def test_a_worker_that_dies_costs_an_attempt(runner: str, mappers: Callable[[str], Mapper], tmp_path: Path) -> None:
    shards = fragile_shards(tmp_path / "w", {"b": 1}, dies=True)
    done = list(each_done(fragile, shards, mappers(runner), lambda name: None))
    assert [shard.place.read_text() for shard in done] == ["a", "b", "c", "d"]


# --- settings ---


def runtime(**chosen: object) -> Runtime:
    return configuration.load(overrides={"runtime": chosen}).runtime


def test_no_runner_no_mapper_and_the_key_does_not_know_it(alone: dict[str, str]) -> None:
    from flows.runners import mapper_of

    assert mapper_of(runtime()) is None
    assert alone["ingest key"]  # compared with that of every runner above


def test_an_address_that_nothing_would_use_is_refused() -> None:
    from flows.runners import mapper_of

    with pytest.raises(SettingsError, match=r"Set runtime\.runner to dask or ray"):
        mapper_of(runtime(runner="threads", runner_address="tcp://scheduler:8786"))


@pytest.mark.skipif("dask" in INSTALLED, reason="it is installed: nothing is missing")
def test_a_runner_that_is_not_installed_says_what_to_install() -> None:
    from flows.runners import mapper_of

    with pytest.raises(SettingsError, match=r"\[cluster\]"):
        mapper_of(runtime(runner="dask"))
