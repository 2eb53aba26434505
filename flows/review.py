"""A reviewer's decision by form (the deployment `decide`), and by tags on MLflow's page (`decisions`)."""

from typing import Any

from prefect import flow
from prefect.artifacts import create_table_artifact

from flows.parameters import Verdict, Where
from pipelines import release_doors
from pipelines.release.review_tags import Said


@flow(name="decide", flow_run_name="decide", validate_parameters=True)
def decide(decision: Verdict, at: Where | None = None) -> dict[str, Any]:
    """Approve or reject a pending release; the name given is recorded as claimed."""
    done = release_doors.decided((at or Where()).choices(), Said(**decision.model_dump()))
    create_table_artifact(key="decision", table=[done], description=f"{decision.by}: {done['said']}")
    return done


@flow(name="decisions", flow_run_name="decisions", validate_parameters=True)
def decisions(at: Where | None = None) -> list[dict[str, Any]]:
    """Take what reviewers asked for by tags of model versions; leave the outcome there."""
    outcomes = release_doors.poll((at or Where()).choices())
    if outcomes:
        create_table_artifact(key="decisions", table=outcomes, description="What came of tags on MLflow's page")
    return outcomes
