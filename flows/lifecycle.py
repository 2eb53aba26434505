"""The flows: ingest, train, evaluate, release, and lifecycle, which is all of them.

A flow reads as a sentence. None waits for a person: `release` ends at `pending`, and the decision starts
another flow (flows/review.py).
"""

from prefect import flow

from flows.parameters import Where, where
from flows.tasks import bring_up, register
from pipelines.verbs import Summary
from pipelines.workspaces import Choices, open_workspace, remember


@flow(name="ingest", flow_run_name="ingest", validate_parameters=True)
def ingest(at: Where | None = None) -> None:
    """Documents -> chunks -> index."""
    choices = _remembered(at)
    for name in ("ingest", "chunk", "embed"):
        bring_up(name, choices)


@flow(name="train", flow_run_name="train", validate_parameters=True)
def train(at: Where | None = None) -> None:
    """Questions -> dataset -> adapter."""
    choices = _remembered(at)
    for name in ("dataset", "train"):
        bring_up(name, choices)


@flow(name="evaluate", flow_run_name="evaluate", validate_parameters=True)
def evaluate(at: Where | None = None) -> None:
    """Adapter -> evaluation report and red-team report."""
    choices = _remembered(at)
    for name in ("evaluate", "redteam"):
        bring_up(name, choices)


@flow(name="release", flow_run_name="release", validate_parameters=True)
def release(at: Where | None = None) -> Summary:
    """Reports -> decision -> a release that waits for a reviewer."""
    choices = _remembered(at)
    bring_up("gate", choices)
    summary: Summary = register(choices)
    return summary


@flow(name="lifecycle", flow_run_name="lifecycle", validate_parameters=True)
def lifecycle(at: Where | None = None) -> Summary:
    """Documents -> a release that waits for a reviewer."""
    ingest(at)
    train(at)
    evaluate(at)
    summary: Summary = release(at)
    return summary


def lifecycle_of(choices: Choices) -> Summary:
    """The lifecycle, started by the CLI."""
    summary: Summary = lifecycle(where(choices))
    return summary


def _remembered(at: Where | None) -> Choices:
    choices = (at or Where()).choices()
    remember(open_workspace(choices))
    return choices
