"""A reviewer's decision by form: the flow behind the deployment `decide`."""

from typing import Any

from prefect import flow
from prefect.artifacts import create_table_artifact

from flows.parameters import Verdict, Where
from pipelines import release_doors


@flow(name="decide", flow_run_name="decide", validate_parameters=True)
def decide(decision: Verdict, at: Where | None = None) -> dict[str, Any]:
    """Approve or reject a pending release; the name given is recorded as claimed."""
    done = release_doors.decided((at or Where()).choices(), release_doors.Said(**decision.model_dump()))
    create_table_artifact(key="decision", table=[done], description=f"{decision.by}: {done['said']}")
    return done
