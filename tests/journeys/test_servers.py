"""`groundwork up`: healthy servers, a deployment started through its form's schema, everything gone after Ctrl-C."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from pipelines.settings import ROOT
from tests.journeys.conftest import World

READY_WITHIN_S = 300
RUN_WITHIN_S = 400


@dataclass
class Up:
    """The servers of a world, running."""

    process: subprocess.Popen[str]
    prefect: str
    mlflow: str
    config: Path
    world: World

    def api(self, method: str, path: str, **body: Any) -> httpx.Response:
        """As Prefect's own client asks: a server whose database is busy (503) is asked again."""
        for _ in range(5):
            answer = httpx.request(method, f"{self.prefect}/api{path}", json=body or None, timeout=30)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(2)
        return answer

    def deployment(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api("GET", f"/deployments/name/{name}").json()
        return found

    def start(self, name: str, parameters: dict[str, Any]) -> httpx.Response:
        identity = self.deployment(name)["id"]
        return self.api("POST", f"/deployments/{identity}/create_flow_run", parameters=parameters)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def up(lived: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    ports = free_port(), free_port(), free_port()
    config = tmp_path_factory.mktemp("up") / "ports.yaml"
    named = zip(("prefect_port", "mlflow_port", "review_port"), ports, strict=True)
    config.write_text("servers: {" + ", ".join(f"{name}: {port}" for name, port in named) + "}\n")
    log = config.with_suffix(".log")
    with log.open("w") as stream:
        process = subprocess.Popen(
            lived.command("up", "--config", str(config)),
            env=lived.environment(),
            cwd=ROOT,
            stderr=stream,
            text=True,
            start_new_session=True,
        )
    deadline = time.time() + READY_WITHIN_S
    while "up: ready" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.time() < deadline, log.read_text()
        time.sleep(0.5)
    yield Up(process, f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}", config, lived)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def test_the_addresses_answer(up: Up) -> None:
    assert httpx.get(f"{up.prefect}/api/health").is_success
    assert httpx.get(f"{up.mlflow}/health").is_success


def test_a_second_up_names_the_port_that_is_taken(up: Up) -> None:
    done = up.world.groundwork("up", "--config", str(up.config), expect=2)
    assert "prefect_port" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_form_with_a_bad_value_is_refused_by_its_field(up: Up) -> None:
    deadline = time.time() + 60
    while "id" not in up.deployment("ingest/local") and time.time() < deadline:
        time.sleep(1)
    refused = up.start("ingest/local", {"at": {"workspace": str(up.world.workspace), "profile": "moon"}})
    assert refused.status_code in (409, 422)
    assert "moon" in refused.text


def test_a_run_started_by_its_form_leaves_artifacts(up: Up) -> None:
    started = up.start("ingest/local", {"at": {"workspace": str(up.world.workspace)}})
    assert started.is_success, started.text
    run = started.json()["id"]
    deadline = time.time() + RUN_WITHIN_S
    state = ""
    while time.time() < deadline and state not in ("COMPLETED", "FAILED", "CRASHED"):
        time.sleep(1)
        state = up.api("GET", f"/flow_runs/{run}").json()["state"]["type"]
    assert state == "COMPLETED"
    artifacts = up.api("POST", "/artifacts/filter", artifacts={"flow_run_id": {"any_": [run]}}).json()
    assert {artifact["key"] for artifact in artifacts} >= {"stage-ingest", "stage-chunk", "stage-embed"}


def test_ctrl_c_stops_them_all(up: Up) -> None:
    children = psutil.Process(up.process.pid).children(recursive=True)
    assert children
    os.kill(up.process.pid, signal.SIGINT)
    assert up.process.wait(90) in (0, 130)
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{up.prefect}/api/health")
