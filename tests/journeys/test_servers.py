"""`groundwork up`: healthy servers, deployments started through their forms' schema, a decision as soon as its tags are
set on MLflow's page, everything gone after Ctrl-C."""

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
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.release import listing
from pipelines.settings import ROOT
from pipelines.store import Store, open_store
from tests.journeys.conftest import World
from tests.release.candidates import candidate, known_to_mlflow

READY_WITHIN_S = 300
RUN_WITHIN_S = 400
DECIDED_WITHIN_S = 30
"""On a busy machine; the poll comes every five minutes."""
SECRET = "the webhook's secret of this test"


@dataclass
class Up:
    """The servers of a world, running."""

    process: subprocess.Popen[str]
    prefect: str
    mlflow: str
    webhook: str
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

    def ended(self, run: str) -> dict[str, Any]:
        """The state that a run ends in: type and message."""
        deadline, state = time.time() + RUN_WITHIN_S, {"type": ""}
        while time.time() < deadline and state["type"] not in ("COMPLETED", "FAILED", "CRASHED"):
            time.sleep(1)
            state = self.api("GET", f"/flow_runs/{run}").json()["state"]
        return state


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def up(lived: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    ports = free_port(), free_port(), free_port(), free_port()
    config = tmp_path_factory.mktemp("up") / "ports.yaml"
    named = zip(("prefect_port", "mlflow_port", "review_port", "webhook_port"), ports, strict=True)
    config.write_text("servers: {" + ", ".join(f"{name}: {port}" for name, port in named) + "}\n")
    log = config.with_suffix(".log")
    with log.open("w") as stream:
        process = subprocess.Popen(
            lived.command("up", "--config", str(config)),
            env={**lived.environment(), "GROUNDWORK_WEBHOOK_SECRET": SECRET},
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
    prefect, mlflow, _, webhook = (f"http://127.0.0.1:{port}" for port in ports)
    yield Up(process, prefect, mlflow, webhook, config, lived)
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
    assert up.ended(run)["type"] == "COMPLETED"
    artifacts = up.api("POST", "/artifacts/filter", artifacts={"flow_run_id": {"any_": [run]}}).json()
    assert {artifact["key"] for artifact in artifacts} >= {"stage-ingest", "stage-chunk", "stage-embed"}


def test_a_decision_by_the_form_is_the_same_record_as_by_the_command(up: Up, tmp_path: Path) -> None:
    store = open_store(tmp_path / "state", None)
    first, second = (candidate(store, tmp_path, name) for name in ("first", "second"))
    known_to_mlflow(tmp_path, first, second)
    seen = listing.manifest(store, second).parts["report"]
    approve = ("approve", first, "--by", "bob", "--why", "read the report", "--workspace", str(tmp_path))
    assert CliRunner().invoke(app, approve).exit_code == 0
    form = {"verdict": "approve", "by": "anna", "why": "read the report", "role": "reviewer", "report_digest": seen}
    at = {"workspace": str(tmp_path)}
    states = {}
    for by in ("trainer", "anna"):  # one after the other: waiting runs start in any order
        started = up.start("decide/local", {"decision": {**form, "by": by, "release": second[:12]}, "at": at})
        assert started.is_success, started.text
        states[by] = up.ended(started.json()["id"])
    assert (states["trainer"]["type"], states["anna"]["type"]) == ("FAILED", "COMPLETED")
    assert "separation of duties" in states["trainer"]["message"]
    assert [told(store, each) for each in (first, second)] == [
        [("bob", "reviewer", "claimed", "read the report", "approved")],
        [("anna", "reviewer", "claimed", "read the report", "approved")],
    ]
    assert [each.state for each in listing.in_states(store)] == ["production", "previous"]
    for wrong in ({"verdict": "maybe"}, {"by": ""}, {"rank": "owner"}):
        refused = up.start("decide/local", {"decision": {**form, **wrong}, "at": at})
        assert refused.status_code in (409, 422), refused.text
    store.close()


def told(store: Store, release: str) -> list[tuple[str, str, str, str, str]]:
    with store.reading() as session:
        return [(a.who, a.role, a.identity, a.why, a.verdict) for a in listing.approvals(session, release)]


def test_tags_on_mlflows_page_are_decided_on_when_they_are_set(up: Up) -> None:
    from mlflow import MlflowClient

    store = open_store(up.world.workspace / "state", None)
    release = next(each.id for each in listing.in_states(store, "pending"))
    page = MlflowClient(up.mlflow, up.mlflow)
    (version,) = page.search_model_versions(f"name = 'groundwork' and tags.release = '{release}'")
    forged = httpx.post(f"{up.webhook}/mlflow", content=b"{}", headers={"X-MLflow-Signature": "v1,AAAA"})
    assert forged.status_code == 403
    request = {"review_by": "carol", "review_why": "read the page", "review_report": version.tags["report"]}
    for tag, value in {**request, "review": "approved"}.items():
        page.set_model_version_tag("groundwork", version.version, tag, value)
    # said by the receiver when all is done: not by a poll that came just then
    log = up.world.workspace / "state" / "logs" / "webhook.log"
    deadline = time.time() + DECIDED_WITHIN_S
    while f"release {release[:12]}: approved by carol" not in log.read_text():
        assert time.time() < deadline
        time.sleep(0.1)
    tags = page.get_model_version("groundwork", version.version).tags
    assert not {"review", *request} & set(tags)
    assert tags["review_outcome"] == f"approved by carol as reviewer: release {release[:12]} is in production"
    assert told(store, release) == [("carol", "reviewer", "claimed", "read the page", "approved")]
    asked = page.list_webhooks()[0]
    assert page.test_webhook(asked.webhook_id).response_status == 200  # signed, and of no reviewer's tag
    store.close()


def test_ctrl_c_stops_them_all(up: Up) -> None:
    children = psutil.Process(up.process.pid).children(recursive=True)
    assert children
    os.kill(up.process.pid, signal.SIGINT)
    assert up.process.wait(90) in (0, 130)
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{up.prefect}/api/health")
