"""The doors of human review: fill the queue, serve the console, tell results, export them, sign off.

Rooms composed, nothing computed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.artifacts import sha256_file, write_json
from pipelines.console import say
from pipelines.errors import DecisionError
from pipelines.evaluation import review_queue, review_results, review_votes
from pipelines.release import decide, listing
from pipelines.release.manifest import materialise
from pipelines.release.policy import load_policy
from pipelines.release.review_desk import FindingsDesk
from pipelines.store import Store
from pipelines.verbs import database, need_free_port
from pipelines.workspaces import Choices, Opened, open_workspace


def fill(choices: Choices, *, items: int, seed: int, reviewers: int) -> dict[str, Any]:
    """Draw items from the last evaluation and queue them."""
    with _opened(choices) as (opened, store):
        pairs = review_queue.read_pairs(opened.workspace.stage("evaluate"))
        chosen = review_queue.sampled(pairs, items=items, seed=seed)
        added = review_votes.fill(store, chosen, seed=seed, reviewers=reviewers)
        return {"drawn": len(chosen), "added": added, "of": len(pairs)}


def serve(choices: Choices) -> None:
    """Serve the console until told to stop."""
    from pipelines.evaluation.review_server import serve as serve_console

    with _opened(choices) as (opened, store):
        servers = opened.settings.servers
        need_free_port(servers.host, servers.review_port, "review")
        say(f"review: http://{servers.host}:{servers.review_port}  Ctrl-C stops it.")
        serve_console(store, findings_desk(opened, store), host=servers.host, port=servers.review_port)


def findings_desk(opened: Opened, store: Store) -> FindingsDesk:
    """Where the console reads findings and puts waivers, by the policy in force at each request."""
    return FindingsDesk(store, opened.workspace.objects, lambda: load_policy(opened.settings.policies.release))


def results(choices: Choices) -> review_results.Results:
    """Figures of the newest round."""
    with _opened(choices) as (opened, store):
        return _results(opened, store)


def export(choices: Choices, file: Path) -> list[str]:
    """Write the newest round's item tables and labels; where they are."""
    with _opened(choices) as (opened, store):
        _results(opened, store)
        items = review_votes.reviewed(store, review_votes.newest_round(store))
        return [str(each) for each in review_results.export(items, file)]


def sign_off(choices: Choices, release: str, *, by: str, why: str) -> dict[str, Any]:
    """Attach the newest round's results to a release as its human review.

    Raises DecisionError while items are open, without a reason, and for a release of another evaluation.
    """
    if not why.strip():
        raise DecisionError("Say why: --why REASON.")
    with _opened(choices) as (opened, store):
        found = _results(opened, store)
        if found.open:
            raise DecisionError(f"{found.open} of {found.items} items are open; `groundwork review serve` shows them.")
        manifest = listing.manifest(store, release)
        answers = materialise(manifest, opened.workspace) / "report" / "answers.jsonl"
        if not answers.exists() or sha256_file(answers) != found.round:
            raise DecisionError(
                f"The reviews are of another evaluation than release {manifest.id[:12]}'s. "
                "`groundwork review fill` queues the items of the last evaluation."
            )
        place = opened.workspace.state / "review" / f"human-review-{manifest.id[:12]}.json"
        place.parent.mkdir(parents=True, exist_ok=True)
        write_json(place, {"signed_by": by, "identity": "claimed", "why": why, **found.model_dump(mode="json")})
        done = decide.attach(
            store, opened.workspace.objects, release=manifest.id, kind="human_review", file=place, by=by
        )
        return done.model_dump(mode="json")


def _results(opened: Opened, store: Store) -> review_results.Results:
    chosen = review_votes.newest_round(store)
    items = review_votes.reviewed(store, chosen)
    return review_results.results(items, chosen, confidence=opened.settings.evaluation.confidence)


@contextmanager
def _opened(choices: Choices) -> Iterator[tuple[Opened, Store]]:
    opened = open_workspace(choices)
    store = database(opened)
    try:
        yield opened, store
    finally:
        store.close()
