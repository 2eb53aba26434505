"""The flows: ingest, train, evaluate, release, and lifecycle, which is all of them; and scan, the red team alone.

A flow reads as a sentence. None waits for a person: `release` ends at `pending`, and the decision starts
another flow (flows/review.py).
"""

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from prefect import flow

from flows.parameters import Where, where
from flows.runners import mapper_of
from flows.tasks import bring_up, refresh_sources, register, scan_release
from pipelines.verbs import Summary
from pipelines.workspaces import Choices, open_workspace, remember


@flow(name="ingest", flow_run_name="ingest", validate_parameters=True)
def ingest(at: Where | None = None) -> tuple[str, ...]:
    """Sources -> documents -> chunks -> index."""
    choices = _remembered(at)
    if (at or Where()).refresh:
        refresh_sources(choices)
    return _bring_up(("ingest", "chunk", "embed"), choices)


@flow(name="train", flow_run_name="train", validate_parameters=True)
def train(at: Where | None = None) -> tuple[str, ...]:
    """Questions -> dataset -> adapter."""
    return _bring_up(("dataset", "train"), _remembered(at))


@flow(name="evaluate", flow_run_name="evaluate", validate_parameters=True)
def evaluate(at: Where | None = None) -> tuple[str, ...]:
    """Adapter -> evaluation report and red-team report."""
    return _bring_up(("evaluate", "redteam"), _remembered(at))


@flow(name="release", flow_run_name="release", validate_parameters=True)
def release(at: Where | None = None) -> Summary:
    """Reports -> decision -> a release that waits for a reviewer."""
    choices = _remembered(at)
    ran = _bring_up(("gate",), choices)
    summary: Summary = register(choices)
    return replace(summary, ran=ran)


@flow(name="scan", flow_run_name="scan", validate_parameters=True)
def scan(at: Where | None = None) -> dict[str, Any]:
    """Release in production -> a red-team report of the day."""
    done: dict[str, Any] = scan_release((at or Where()).choices())
    return done


@flow(name="lifecycle", flow_run_name="lifecycle", validate_parameters=True)
def lifecycle(at: Where | None = None) -> Summary:
    """Documents -> a release that waits for a reviewer."""
    ran = (*ingest(at), *train(at), *evaluate(at))
    summary: Summary = release(at)
    return replace(summary, ran=(*ran, *summary.ran))


def lifecycle_of(choices: Choices) -> Summary:
    """The lifecycle, started by the CLI."""
    summary: Summary = lifecycle(where(choices))
    return summary


def ingest_of(choices: Choices) -> tuple[str, ...]:
    """Ingest, started by the CLI; the stages that ran."""
    ran: tuple[str, ...] = ingest(where(choices))
    return ran


def _bring_up(stages: tuple[str, ...], choices: Choices) -> tuple[str, ...]:
    """Bring stages up to date in order; the names of those that ran."""
    with mapper_of(open_workspace(choices).settings.runtime) or nullcontext() as mapper:
        return tuple(outcome.stage for outcome in [bring_up(name, choices, mapper) for name in stages] if outcome.ran)


def _remembered(at: Where | None) -> Choices:
    choices = (at or Where()).choices()
    remember(open_workspace(choices))
    return choices
