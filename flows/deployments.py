"""The deployments that `groundwork up` serves: each flow with its form, and the schedules.

On a platform, prefect.yaml deploys the same flows to a work pool instead.
"""

import sys
from pathlib import Path

from prefect import serve
from prefect.schedules import Cron

from flows.lifecycle import evaluate, ingest, lifecycle, release, train
from flows.parameters import Where
from flows.review import decide, decisions

WEEKLY = "0 3 * * 1"
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
    serve(*deployments, weekly, polling, pause_on_shutdown=False)


if __name__ == "__main__":
    serve_deployments(Path(sys.argv[1]))
