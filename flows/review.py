"""A reviewer's decision by form: the flow behind the deployment `decide`."""

from typing import Any

from prefect import flow
from prefect.artifacts import create_table_artifact

from flows.parameters import Verdict, Where
from pipelines import verbs


@flow(name="decide", flow_run_name="decide", validate_parameters=True)
def decide(decision: Verdict, at: Where | None = None) -> dict[str, Any]:
    """Approve or reject a pending release; the name given is recorded as claimed."""
    act = verbs.approve if decision.verdict == "approve" else verbs.reject
    done = act((at or Where()).choices(), release=decision.release, by=decision.by, why=decision.why)
    create_table_artifact(key="decision", table=[done], description=f"{decision.by}: {decision.verdict}")
    return done
