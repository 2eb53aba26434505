"""`groundwork up`: Prefect's server, a runner of its deployments, MLflow, the review console, on loopback.

Where the environment holds a webhook's secret, MLflow's webhook is received too, and its server told of it.

Each is waited for until it is healthy; the addresses are printed; Ctrl-C, or the death of one of them,
stops them all. While they run, `groundwork run` uses this server instead of an embedded one.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from pipelines.artifacts import write_json
from pipelines.console import say
from pipelines.errors import GroundworkError
from pipelines.release import webhook
from pipelines.settings import ROOT
from pipelines.verbs import need_free_port
from pipelines.workspaces import Opened

HEALTHY_WITHIN_S = 180
STOP_WITHIN_S = 15


@dataclass(frozen=True)
class Service:
    """A process to run, and the address that answers once it is healthy."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    health: str | None


def services(opened: Opened) -> list[Service]:
    """What `up` starts, in order."""
    servers, state = opened.settings.servers, opened.workspace.state.absolute()
    prefect = f"http://{servers.host}:{servers.prefect_port}"
    mlflow = f"http://{servers.host}:{servers.mlflow_port}"
    python = sys.executable
    common = {
        "PREFECT_HOME": str(state / "prefect"),
        "PREFECT_API_URL": f"{prefect}/api",
        "PREFECT_UI_API_URL": f"{prefect}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "INFO",  # the terminal hears warnings; the pages show what runs say
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    prefect_server = (python, "-m", "prefect", "server", "start", "--host", servers.host, "--port")
    mlflow_server = (python, "-m", "mlflow", "server", "--workers", "1", "--host", servers.host, "--port")
    places = ("--backend-store-uri", f"sqlite:///{state / 'mlflow.db'}")
    artifacts = ("--default-artifact-root", (state / "mlartifacts").as_uri())
    review = f"http://{servers.host}:{servers.review_port}"
    console = (python, "-m", "flows.console", str(opened.workspace.root), servers.host, str(servers.review_port))
    told, receiving = mlflow_webhooks(opened), []
    if told:
        where = (str(opened.workspace.root), servers.host, str(servers.webhook_port), mlflow)
        health = f"http://{servers.host}:{servers.webhook_port}/health"
        receiving = [Service("webhook", (python, "-m", "flows.webhook", *where), common, health)]
    return [
        Service("Prefect", (*prefect_server, str(servers.prefect_port)), common, f"{prefect}/api/health"),
        Service(
            "MLflow", (*mlflow_server, str(servers.mlflow_port), *places, *artifacts), common | told, f"{mlflow}/health"
        ),
        Service("review", console, common, f"{review}/health"),
        Service("runner", (python, "-m", "flows.deployments", str(opened.workspace.root)), common, None),
        *receiving,
    ]


def mlflow_webhooks(opened: Opened) -> dict[str, str]:
    """What MLflow's server must know to send webhooks to this machine; nothing where none are wanted.

    Its guard against addresses of this machine is off then: whoever reaches the server (loopback alone) is trusted.
    """
    if not webhook.wanted():
        return {}
    webhook.secret_of_environment()
    given = os.environ.get("MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY")
    return {
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": given or webhook.encryption_key(opened.workspace.state),
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
    }


def serve_all(opened: Opened) -> None:
    """Start everything, wait, print the addresses, stay until told to stop."""
    servers = opened.settings.servers
    need_free_port(servers.host, servers.prefect_port, "Prefect")
    need_free_port(servers.host, servers.mlflow_port, "MLflow")
    need_free_port(servers.host, servers.review_port, "review")
    if webhook.wanted():
        need_free_port(servers.host, servers.webhook_port, "webhook")
    place = opened.workspace.state / "servers.json"
    running: list[tuple[Service, subprocess.Popen[bytes]]] = []
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for service in services(opened):
            say(f"up: starting {service.name}")
            running.append((service, _start(service, opened.workspace.state / "logs")))
            _wait(service, running[-1][1], opened.workspace.state / "logs")
        write_json(place, {"prefect_api": f"http://{servers.host}:{servers.prefect_port}/api", "pid": os.getpid()})
        say(f"Prefect  http://{servers.host}:{servers.prefect_port}")
        say(f"MLflow   http://{servers.host}:{servers.mlflow_port}")
        say(f"review   http://{servers.host}:{servers.review_port}")
        say(_told_of_webhook(f"http://{servers.host}:{servers.webhook_port}"))
        say("up: ready. Ctrl-C stops them all.")
        _watch(running)
    except KeyboardInterrupt:
        say("up: stopping")
    finally:
        place.unlink(missing_ok=True)
        _stop([process for _, process in reversed(running)])


def _told_of_webhook(address: str) -> str:
    if webhook.wanted():
        return f"webhook  {address}  tags on MLflow's page are decided on as they are set"
    return f"webhook  off ({webhook.SECRET} is not set): tags on MLflow's page are looked for every five minutes"


def _start(service: Service, logs: Path) -> subprocess.Popen[bytes]:
    """Each in a process group of its own: Ctrl-C reaches us alone, and we stop them in order."""
    logs.mkdir(parents=True, exist_ok=True)
    log = (logs / f"{service.name.lower()}.log").open("ab")
    with log:
        return subprocess.Popen(
            service.command,
            env={**os.environ, **service.environment},
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait(service: Service, process: subprocess.Popen[bytes], logs: Path) -> None:
    """Until the service is healthy. Raises GroundworkError when it ends or takes too long."""
    deadline = time.monotonic() + HEALTHY_WITHIN_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise GroundworkError(f"{service.name} stopped with exit code {process.returncode}; see {logs}.")
        if service.health is None or _healthy(service.health):
            return
        time.sleep(0.5)
    raise GroundworkError(f"{service.name} was not healthy within {HEALTHY_WITHIN_S} s; see {logs}.")


def _healthy(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).is_success
    except httpx.HTTPError:
        return False


def _watch(running: list[tuple[Service, subprocess.Popen[bytes]]]) -> None:
    while True:
        for service, process in running:
            if process.poll() is not None:
                raise GroundworkError(f"{service.name} stopped with exit code {process.returncode}; stopping the rest.")
        time.sleep(1)


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """The runner before its server (it hangs without one); a group that does not go is killed."""
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
