"""The command and MLflow's page, through the doors that people use: one Approval each, whichever comes first.

Prefect's form and the webhook need servers: tests/journeys/test_servers.py.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipelines import release_doors
from pipelines.cli import app
from pipelines.contracts import Approval
from pipelines.errors import SettingsError
from pipelines.registry import MODEL, WEBHOOK, Registry
from pipelines.release import listing
from pipelines.settings import ROOT
from pipelines.store import Store, open_store
from pipelines.workspaces import Choices, open_workspace
from tests.release.candidates import candidate, known_to_mlflow, without_stages

ASKED = {"review_by": "anna", "review_why": "read the page", "review": "approved"}


class House:
    """A workspace with three releases that MLflow knows, and the two ways into it that need no server."""

    def __init__(self, root: Path, store: Store) -> None:
        self.root, self.store = root, store
        self.releases = [candidate(store, root, name) for name in ("first", "second", "third")]
        self.client = known_to_mlflow(root, *self.releases)

    def command(self, *arguments: str) -> dict[str, Any]:
        done = CliRunner().invoke(app, [*arguments, "--workspace", str(self.root), "--json"], catch_exceptions=False)
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    def tag(self, number: int, **tags: str) -> None:
        for name, value in tags.items():
            self.client.set_model_version_tag(MODEL, str(number), name, value)

    def tags(self, number: int) -> dict[str, str]:
        return dict(self.client.get_model_version(MODEL, str(number)).tags)

    def decided(self, number: int) -> tuple[Approval, ...]:
        with self.store.reading() as session:
            return listing.approvals(session, self.releases[number - 1])

    def report(self, number: int) -> str:
        return listing.manifest(self.store, self.releases[number - 1]).parts["report"]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    root = tmp_path_factory.mktemp("house")
    store = open_store(root / "state", None)
    yield House(root, store)
    store.close()


def test_by_the_command_and_on_the_page_leave_the_same_kind_of_record(house: House) -> None:
    house.command("approve", house.releases[0], "--by", "bob", "--why", "read the report", "--role", "reviewer")
    house.tag(2, **ASKED, review_report=house.report(2))
    (outcome,) = house.command("decisions", "poll")["decisions"]
    assert (outcome["settled"], outcome["changed"]) == (True, True)
    for number, who, why in ((1, "bob", "read the report"), (2, "anna", "read the page")):
        (record,) = house.decided(number)
        assert (record.who, record.role, record.identity, record.why) == (who, "reviewer", "claimed", why)
        assert (record.verdict, record.report_digest) == ("approved", house.report(number))
    states = {each.id: each.state for each in listing.in_states(house.store)}
    assert [states[each] for each in house.releases] == ["previous", "production", "pending"]
    left = house.tags(2)
    assert left["review_outcome"].startswith("approved by anna as reviewer")
    assert set(ASKED) & set(left) == set()


def test_the_same_decision_by_two_ways_and_five_looks_at_once_is_one_record(house: House) -> None:
    house.tag(3, **ASKED)
    came: list[Any] = []

    def by_command() -> None:
        choices, said = Choices(house.root), release_doors.Said("approve", "anna", "read it", house.releases[2])
        came.append(release_doors.decided(choices, said)["changed"])

    def by_look() -> None:
        came.extend(each["changed"] for each in release_doors.poll(Choices(house.root)))

    threads = [threading.Thread(target=act) for act in (by_look, by_command, by_look, by_look, by_look, by_look)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(came) == [False, True]  # the command, and the one look that found the request
    assert [each.who for each in house.decided(3)] == ["anna"]
    assert set(ASKED) & set(house.tags(3)) == set()


def test_what_was_asked_while_nothing_received_is_decided_when_the_receiver_starts(house: House) -> None:
    fourth = candidate(house.store, house.root, "fourth")
    house.releases.append(fourth)
    without_stages(house.root)
    house.client.create_model_version(MODEL, source=house.root.as_uri(), tags={"release": fourth, **ASKED})
    process = receiver(house.root, secret="the secret of the webhook")
    try:
        line = ""
        while "is received at" not in line:
            line = process.stderr.readline()  # type: ignore[union-attr]
            assert line, "the receiver ended"
    finally:
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=30)[1]
    assert process.returncode == 0
    assert "Traceback" not in said
    assert [(each.who, each.verdict) for each in house.decided(4)] == [("anna", "approved")]


@pytest.mark.parametrize("secret", ["", "short"])
def test_without_a_secret_nothing_is_received(tmp_path: Path, secret: str) -> None:
    process = receiver(tmp_path, secret=secret)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 2
    assert "GROUNDWORK_WEBHOOK_SECRET holds" in said
    assert "Traceback" not in said


def receiver(root: Path, *, secret: str) -> "subprocess.Popen[str]":
    config = root / "ports.yaml"
    config.write_text(f"servers: {{webhook_port: {free_port()}}}\n")
    command = [
        sys.executable,
        "-m",
        "pipelines",
        "decisions",
        "serve",
        "--workspace",
        str(root),
        "--config",
        str(config),
    ]
    environment = {**os.environ, "GROUNDWORK_WEBHOOK_SECRET": secret}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_mlflow_is_told_of_the_webhook_once_however_often(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = open_workspace(Choices(house.root))
    registry = Registry(opened.workspace, opened.settings)
    with pytest.raises(SettingsError, match="MLFLOW_WEBHOOK_ALLOWED_SCHEMES"):
        registry.send_reviews_to("http://127.0.0.1:5200/mlflow", "a secret of the webhook")
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOWED_SCHEMES", "http,https")
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS", "true")
    registry.client.create_webhook("of-somebody-else", "http://127.0.0.1:1/", ["model_version.created"])
    for port in (5200, 5200, 5201):
        registry.send_reviews_to(f"http://127.0.0.1:{port}/mlflow", "a secret of the webhook")
    held = {each.name: each.url for each in registry.client.list_webhooks()}
    assert held == {"of-somebody-else": "http://127.0.0.1:1/", WEBHOOK: "http://127.0.0.1:5201/mlflow"}
    assert len(registry.client.list_webhooks()) == 2
