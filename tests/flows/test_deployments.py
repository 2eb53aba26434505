"""Deployments: what prefect.yaml names exists, every parameter has a form, a bad value is refused by its name."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.settings import ROOT
from pipelines.workspaces import open_workspace

DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]


def flow_of(deployment: dict[str, Any]) -> Any:
    path, _, name = deployment["entrypoint"].partition(":")
    return getattr(import_module(path.removesuffix(".py").replace("/", ".")), name)


def test_there_is_a_deployment_for_every_flow() -> None:
    assert [flow_of(deployment).name for deployment in DEPLOYMENTS] == [
        "ingest",
        "train",
        "evaluate",
        "release",
        "scan",
        "scan",
        "lifecycle",
        "decide",
        "decisions",
    ]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda d: str(d["entrypoint"]))
def test_its_parameters_fit_its_flow(deployment: dict[str, Any]) -> None:
    parameters = deployment.get("parameters", {})
    if parameters:
        assert flow_of(deployment).validate_parameters(parameters)


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda d: str(d["entrypoint"]))
def test_the_form_says_what_each_field_means(deployment: dict[str, Any]) -> None:
    schema = _schema(flow_of(deployment))
    fields = [field for each in schema["definitions"].values() for field in each["properties"].items()]
    assert fields
    assert [name for name, field in fields if not field.get("description")] == []


def test_scans_are_off_until_wanted_and_the_full_one_has_the_larger_budget(tmp_path: Path) -> None:
    from flows.deployments import scans
    from flows.parameters import Where

    weekly, full = scans(tmp_path)
    assert (weekly.paused, full.paused) == (True, True)
    budgets = [
        open_workspace(Where(**each.parameters["at"]).choices()).settings.redteam.mutations.attempts_at_most
        for each in (weekly, full)
    ]
    assert budgets[1] >= 10 * budgets[0]
    listed = [each for each in DEPLOYMENTS if flow_of(each).name == "scan"]
    assert [each["schedules"][0]["active"] for each in listed] == [False, False]
    assert [each["schedules"][0]["cron"] for each in listed] == [
        each.schedules[0].schedule.cron for each in scans(tmp_path)
    ]


def _schema(flow: Any) -> dict[str, Any]:
    from prefect.utilities.callables import parameter_schema

    made: dict[str, Any] = parameter_schema(flow.fn).model_dump()
    return made


def test_a_bad_value_is_refused_with_its_field() -> None:
    from prefect.exceptions import ParameterTypeError

    from flows.lifecycle import lifecycle

    with pytest.raises(ParameterTypeError, match="profile"):
        lifecycle.validate_parameters({"at": {"profile": "moon"}})
