"""The deployments that `groundwork up` serves: each flow with its form, and the schedules.

On a platform, prefect.yaml deploys the same flows to a work pool instead.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from prefect import serve
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Cron

from flows.lifecycle import evaluate, ingest, lifecycle, release, scan, train
from flows.parameters import Where
from flows.review import decide, decisions
from pipelines.settings import ROOT

WEEKLY = "0 3 * * 1"
WEEKLY_SCAN = "0 5 * * 1"
QUARTERLY_SCAN = "0 6 1 1,4,7,10 *"
FULL_SCAN = ROOT / "configs" / "redteam-full.yaml"
OFTEN = "*/5 * * * *"


def serve_deployments(workspace: Path) -> None:
    """Serve every flow for a workspace until stopped; one run at a time for each."""
    at = Where(workspace=workspace).model_dump(mode="json")
    deployments = [
        flow.to_deployment(name="local", parameters={"at": at}, concurrency_limit=1, tags=["groundwork"])
        for flow in (ingest, train, evaluate, release, lifecycle, decide)
    ]
    weekly = lifecycle.to_deployment(
        name="weekly",
        parameters={"at": at},
        concurrency_limit=1,
        schedules=[Cron(WEEKLY, timezone="UTC")],
        paused=True,
        tags=["groundwork"],
        description="Every Monday at 03:00 UTC, once it is switched on.",
    )
    polling = decisions.to_deployment(
        name="local",
        parameters={"at": at},
        concurrency_limit=1,
        schedules=[Cron(OFTEN, timezone="UTC")],
        tags=["groundwork"],
        description="Every five minutes: what reviewers asked for by tags on MLflow's page.",
    )
    serve(*deployments, *scans(workspace), weekly, polling, pause_on_shutdown=False)


def scans(workspace: Path) -> Sequence[RunnerDeployment]:
    """The red team by the clock, switched off until somebody wants it: every week, and in full every quarter."""
    at, full = (Where(workspace=workspace, config=config).model_dump(mode="json") for config in (None, FULL_SCAN))
    return [
        scan.to_deployment(
            name=name,
            parameters={"at": where},
            concurrency_limit=1,
            schedules=[Cron(cron, timezone="UTC")],
            paused=True,
            tags=["groundwork"],
            description=told,
        )
        for name, where, cron, told in (
            (
                "weekly",
                at,
                WEEKLY_SCAN,
                "Attacks on the release in production, every Monday at 05:00 UTC, once it is switched on.",
            ),
            (
                "quarterly",
                full,
                QUARTERLY_SCAN,
                "Every attack, many mutations, each quarter, once it is switched on.",
            ),
        )
    ]


if __name__ == "__main__":
    serve_deployments(Path(sys.argv[1]))
