"""One task: bring a stage up to date. Paths pass between tasks, nothing else; tasks keep no state or cache.

A retry can help where the machine or the network failed (StageError, EngineError); it cannot where the
caller must mend something (UserError), so those fail at once.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from prefect import get_run_logger, task
from prefect.artifacts import create_link_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from pipelines import scan_doors, verbs
from pipelines.artifacts import read_json
from pipelines.console import progress, say, settle_vendors
from pipelines.errors import UserError
from pipelines.runner import Outcome
from pipelines.shards import Mapper
from pipelines.verbs import Summary
from pipelines.workspaces import Choices, open_workspace

REPORTS = {"train": "curves.html", "evaluate": "report.html", "redteam": "redteam.html", "gate": "decision.html"}


def worth_another_try(task: Any, run: Any, state: Any) -> bool:
    """Whether a failed task is tried again: not when the caller must mend something."""
    error = state.result(raise_on_failure=False)
    return not isinstance(error, UserError)


@task(
    task_run_name="{name}",
    retries=2,
    retry_delay_seconds=[5, 20],
    retry_condition_fn=worth_another_try,
    persist_result=False,
    cache_policy=NO_CACHE,
)
def bring_up(name: str, choices: Choices, mapper: Mapper | None = None) -> Outcome:
    """Bring a stage up to date; leave a table of what it did. `mapper` does the shards of large work."""
    settle_vendors()  # a platform's worker does not come through the command
    opened = open_workspace(choices)
    with progress(name) as report:
        outcome = verbs.bring_up(name, opened, report, mapper)
    say(outcome.told)
    get_run_logger().info(outcome.told)  # the page of a run shows logs, the terminal's messages stay there
    _leave_artifacts(outcome)
    return outcome


def refresh_sources(choices: Choices) -> None:
    """Fetch what has changed of remote sources, as a task of its own where there are any."""
    opened = open_workspace(choices)
    if verbs.remote_sources(opened):
        refresh_remote(choices)


@task(task_run_name="sources", persist_result=False)
def refresh_remote(choices: Choices) -> None:
    """Fetch what has changed; leave a table of what came of it. A request is tried again where it is made."""
    done = verbs.refresh_sources(open_workspace(choices))
    for each in done:
        get_run_logger().info(each.told)
    table = [{**asdict(each), "notes": str(each.notes)} for each in done]
    create_table_artifact(key="sources", table=table, description="What was fetched of each remote source")


@task(task_run_name="register", retries=2, retry_delay_seconds=[5, 20], retry_condition_fn=worth_another_try)
def register(choices: Choices) -> Summary:
    """Write the release down; leave the decision and what to do next."""
    opened = open_workspace(choices)
    summary = verbs.register(opened)
    decision = read_json(opened.workspace.stage("gate") / "decision.json")
    create_table_artifact(
        key="gate-decision", table=decision["rules"], description=f"**{decision['verdict']}**: {decision['why']}"
    )
    create_table_artifact(key="release", table=[summary.plain()], description="The release, and where its report lies")
    return summary


@task(task_run_name="scan", retries=2, retry_delay_seconds=[5, 20], retry_condition_fn=worth_another_try)
def scan_release(choices: Choices) -> dict[str, Any]:
    """Attack the release in use; leave what got through, and where the page lies."""
    settle_vendors()
    done = scan_doors.scanned(choices, None, None)
    said = scan_doors.told(done)
    get_run_logger().info(said)
    create_table_artifact(key="scan", table=[done], description=said)
    create_link_artifact(key="report-scan", link=Path(done["page"]).absolute().as_uri(), description="What got through")
    return done


def _leave_artifacts(outcome: Outcome) -> None:
    stage = read_json(outcome.folder / "stage.json")
    place = outcome.folder / "run.json"
    run = read_json(place) if place.exists() else {}
    rows = [{"what": "ran", "value": str(outcome.ran)}, {"what": "key", "value": stage["key"]}]
    rows += [{"what": name, "value": str(value)} for name, value in run.items()]
    create_table_artifact(key=f"stage-{outcome.stage}", table=rows, description=f"Stage {outcome.stage}")
    if "mlflow_page" in run:
        key = f"mlflow-{outcome.stage}"
        create_link_artifact(key=key, link=run["mlflow_page"], description=f"MLflow's run of {outcome.stage}")
    if outcome.stage in REPORTS:
        link = (outcome.folder / REPORTS[outcome.stage]).absolute().as_uri()
        create_link_artifact(key=f"report-{outcome.stage}", link=link, description=f"Report of {outcome.stage}")
