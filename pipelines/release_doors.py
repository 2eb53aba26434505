"""The doors of releases: decide, list, show, attach, verify, compare, and take what reviewers said in MLflow.

Rooms composed, nothing computed. A decision is SQL's; champion.json and MLflow follow it before the door closes.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.console import say
from pipelines.contracts import Release
from pipelines.errors import GroundworkError, StageError
from pipelines.release import decide, listing
from pipelines.release.policy import ReleasePolicy, load_policy
from pipelines.release.review_tags import Outcome, Said, taken
from pipelines.settings import with_sections
from pipelines.store import Store
from pipelines.verbs import database, need_free_port, project, repair
from pipelines.workspaces import Choices, Opened, open_workspace

if TYPE_CHECKING:
    from pipelines.release.traced import Trace

AGAIN_AFTER_S = (2, 10)
"""Waits before a look that failed is tried again; then the polling flow has it."""
Act = Callable[[Store, ReleasePolicy, Opened], decide.Decided]


def decided(choices: Choices, said: Said) -> dict[str, Any]:
    """Approve or reject a pending release, then bring champion.json and MLflow in line."""
    return _decided(choices, lambda store, policy, opened: _taken(said, store, policy, opened))


def _taken(said: Said, store: Store, policy: ReleasePolicy, opened: Opened) -> decide.Decided:
    act = decide.approve if said.verdict == "approve" else decide.reject
    plain = {name: value for name, value in asdict(said).items() if name != "verdict"}
    return act(store, policy, opened.workspace.objects, **plain)


def poll(choices: Choices) -> list[dict[str, Any]]:
    """Take what reviewers asked for by tags in MLflow, one outcome a request; leave the outcome there.

    The tags are taken away last: a crash before that leaves a request that is read again and changes nothing. One
    process of a workspace looks at a time, so that none of two tells the page that there was nothing to decide.
    """
    from filelock import FileLock

    from pipelines.registry import Registry

    with _opened(choices) as (opened, store, policy), FileLock(opened.workspace.state / "decisions.lock"):
        repair(opened, store)
        if not listing.in_states(store):
            return []
        registry = Registry(opened.workspace, opened.settings)

        def outcome(said: Said) -> decide.Decided:
            return _taken(said, store, policy, opened)

        outcomes: list[Outcome] = [taken(request, outcome) for request in registry.review_requests()]
        if any(each.changed for each in outcomes):
            project(opened, store)
        for each in outcomes:
            registry.answer_review(each.version, each.said, settled=each.settled)
        return [asdict(each) for each in outcomes]


@dataclass(frozen=True)
class Receiver:
    """Where MLflow's webhook is received. None: as the settings say, and registered with nobody."""

    host: str | None = None
    port: int | None = None
    mlflow: str | None = None
    """Address of the MLflow server that is to be told of it."""
    url: str | None = None
    """How that server reaches the receiver, where a proxy stands between."""


def serve(choices: Choices, at: Receiver) -> None:
    """Receive MLflow's webhook until told to stop: each tag that a reviewer sets is looked at when it is set.

    Raises SettingsError without a secret in the environment, and where MLflow refuses the webhook.
    """
    from pipelines.registry import Registry
    from pipelines.release import webhook, webhook_server

    secret = webhook.secret_of_environment()
    with _opened(choices) as (opened, store, _):
        servers = opened.settings.servers
        host, port = at.host or servers.host, at.port or servers.webhook_port
        need_free_port(host, port, "webhook")
        url = at.url or f"http://{host}:{port}{webhook_server.PATH}"
        if at.mlflow is not None:
            there = with_sections(opened.settings, {"runtime": {"mlflow_uri": at.mlflow}})
            Registry(opened.workspace, there).send_reviews_to(url, secret.decode())
        _look(choices)  # what was asked for while nothing was received
        with suppress(KeyboardInterrupt):  # uvicorn ends in order, and raises it again
            webhook_server.serve(
                store,
                lambda: _look(choices),
                secret=secret,
                host=host,
                port=port,
                ready=lambda: say(f"decisions: MLflow's webhook is received at {url}"),
            )


def _look(choices: Choices) -> None:
    """Poll, and say what came of it. What fails is tried again and then said: the receiver goes on."""
    for wait in (*AGAIN_AFTER_S, None):
        try:
            for each in poll(choices):
                say(f"decisions: release {each['release'][:12]}: {each['said']}")
            return
        except GroundworkError as exc:
            say(f"decisions: {exc}")
        if wait is not None:
            time.sleep(wait)


def rollback(choices: Choices, *, by: str, why: str) -> dict[str, Any]:
    """Put the previous release back into production."""
    return _decided(choices, lambda store, policy, _: decide.rollback(store, policy, by=by, why=why))


def releases(choices: Choices) -> list[dict[str, Any]]:
    """Every release, newest first."""
    with _opened(choices) as (_, store, policy):
        return [each.model_dump(mode="json") for each in listing.releases(store, policy)]


def show(choices: Choices, release: str) -> dict[str, Any]:
    """One release: manifest, decisions, evidence, and where its own report lies (None: it cannot be rebuilt)."""
    from pipelines.release.manifest import materialise

    with _opened(choices) as (opened, store, policy):
        shown = listing.show(store, policy, opened.workspace.objects, release)
        try:
            folder = materialise(Release.model_validate(shown["manifest"]), opened.workspace)
        except StageError:  # a stored part is gone: `release verify` says which, and the rest is still worth reading
            return {**shown, "report": None}
        return {**shown, "report": str(folder / "report" / "report.html")}


def attach(choices: Choices, release: str, *, kind: str, file: Path, by: str) -> dict[str, Any]:
    """Lay a file on the table for a release."""
    with _opened(choices) as (opened, store, _):
        objects = opened.workspace.objects
        done = decide.attach(store, objects, release=release, kind=kind, file=file, by=by)
        return done.model_dump(mode="json")


def verified(choices: Choices, release: str | None) -> list[dict[str, Any]]:
    """What was read of a release, or of each, and what is wrong: nothing, where `wrong` is empty."""
    from pipelines.release import whole

    with _opened(choices) as (opened, store, _):
        return whole.verified(store, opened.workspace, opened.settings, release)


def difference(choices: Choices, old: str, new: str) -> dict[str, Any]:
    """What differs between two releases."""
    from pipelines.release.difference import difference as compare

    with _opened(choices) as (opened, store, _):
        one, other = listing.manifest(store, old), listing.manifest(store, new)
        return compare(one, other, opened.workspace.objects).model_dump(mode="json")


def traced(choices: Choices, wanted: str, release: str | None) -> "Trace":
    """What an id names, and what hangs on it."""
    from pipelines.release.trace import trace

    with _opened(choices) as (opened, store, _):
        return trace(store, opened.workspace.objects, wanted, release=release)


def _decided(choices: Choices, act: Act) -> dict[str, Any]:
    with _opened(choices) as (opened, store, policy):
        done = act(store, policy, opened).model_dump(mode="json")
        project(opened, store)
        return done


@contextmanager
def _opened(choices: Choices) -> Iterator[tuple[Opened, Store, ReleasePolicy]]:
    opened = open_workspace(choices)
    policy = load_policy(opened.settings.policies.release)
    store = database(opened)
    try:
        yield opened, store, policy
    finally:
        store.close()
