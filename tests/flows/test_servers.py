"""What `up` starts, with a webhook's secret and without; that it runs is tests/journeys/test_servers.py."""

from pathlib import Path

import pytest

from flows.servers import Service, services
from pipelines.errors import SettingsError
from pipelines.workspaces import Choices, open_workspace

SECRET = "GROUNDWORK_WEBHOOK_SECRET"
KEY = "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY"


def started(workspace: Path) -> dict[str, Service]:
    return {each.name: each for each in services(open_workspace(Choices(workspace)))}


@pytest.fixture(autouse=True)
def no_key_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (SECRET, KEY):
        monkeypatch.delenv(name, raising=False)


def test_without_a_secret_nothing_receives_and_mlflows_guard_stays_on(tmp_path: Path) -> None:
    found = started(tmp_path)
    assert list(found) == ["Prefect", "MLflow", "review", "runner"]
    assert [name for name in found["MLflow"].environment if "WEBHOOK" in name] == []
    assert not (tmp_path / "state").exists()


def test_with_a_secret_mlflow_is_told_how_to_reach_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRET, "a secret of the webhook")
    found = started(tmp_path)
    assert list(found) == ["Prefect", "MLflow", "review", "runner", "webhook"]  # the last to start is the first to stop
    told = found["MLflow"].environment
    assert told["MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS"] == "true"
    assert told[KEY] == started(tmp_path)["MLflow"].environment[KEY]  # or MLflow could not read its webhooks again
    assert "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS" not in found["webhook"].environment
    monkeypatch.setenv(KEY, "mine")
    assert started(tmp_path)["MLflow"].environment[KEY] == "mine"


def test_a_secret_that_anybody_could_guess_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET, "short")
    with pytest.raises(SettingsError, match="5 characters"):
        started(tmp_path)
