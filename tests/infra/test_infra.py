"""The image and the compose file, checked without Docker: what they start exists, and stays inside."""

import shlex
import subprocess
import sys
from typing import Any

import pytest
import yaml

from pipelines.settings import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "infra" / "compose.yaml").read_text(encoding="utf-8"))
DOCKERFILE = (ROOT / "infra" / "Dockerfile").read_text(encoding="utf-8")


def words(command: str | list[str]) -> list[str]:
    return command if isinstance(command, list) else shlex.split(command)


def test_ports_are_open_on_loopback_alone() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_no_secret_stands_in_a_file() -> None:
    for service in COMPOSE["services"].values():
        for name, value in service.get("environment", {}).items():
            if "PASSWORD" in name:
                assert value.startswith("${"), name


def test_the_image_runs_as_nobody_in_particular() -> None:
    users = [line.split()[1] for line in DOCKERFILE.splitlines() if line.startswith("USER ")]
    assert users == ["10001"]


@pytest.mark.parametrize("service", ["prefect", "mlflow"])
def test_a_server_knows_the_options_that_it_is_started_with(service: str) -> None:
    program, *rest = words(COMPOSE["services"][service]["command"])
    verbs = [word for word in rest[:2] if not word.startswith("-") and word.isalpha()]
    known = subprocess.run(
        [sys.executable, "-m", program, *verbs, "--help"], capture_output=True, text=True, check=True, env=PLAIN
    ).stdout
    options = [word for word in rest if word.startswith("--")]
    assert options
    assert [option for option in options if option not in known] == []


PLAIN = {"PATH": "/usr/bin:/bin", "COLUMNS": "200", "TERM": "dumb", "PREFECT_LOGGING_LEVEL": "ERROR", "HOME": "/tmp"}


def test_the_worker_uses_the_work_pool_that_the_deployments_name() -> None:
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    pools = {deployment["work_pool"]["name"] for deployment in deployments}
    assert len(pools) == 1
    pool = pools.pop()
    command = " ".join(words(COMPOSE["services"]["worker"]["command"]))
    assert f"work-pool create {pool} " in command
    assert f"worker start --pool {pool}" in command
