"""The door of scans: which release, which day. Rooms composed, nothing computed."""

from datetime import date
from typing import Any

from pipelines.console import progress
from pipelines.contracts import Release
from pipelines.release import listing
from pipelines.release.scan import scan, today
from pipelines.settings import actor
from pipelines.store import Store
from pipelines.verbs import database
from pipelines.workspaces import Choices, open_workspace

PAGE = "redteam.html"


def scanned(choices: Choices, release: str | None, day: date | None, *, keep: bool = False) -> dict[str, Any]:
    """Attack a release: the named one, else the one in production, else the newest that is pending.

    `keep`: what got through is added to the workspace's regressions.
    """
    from pipelines.evaluation.regressions import keep as keep_successes

    opened = open_workspace(choices)
    store = database(opened)
    try:
        chosen = _chosen(store, release)
        with progress("scan") as report:
            done = scan(chosen, opened.workspace, opened.settings, store, by=actor(), day=day or today(), report=report)
    finally:
        store.close()
    kept = {}
    if keep:
        added = keep_successes(done.folder, opened.workspace.state / "redteam" / "regressions.jsonl")
        kept = {"regressions": str(added.place), "added": added.added, "known": added.known}
    of_scan = {"new": done.new, "opened": list(done.opened), "page": str(done.folder / PAGE)}
    return {**done.scan.model_dump(mode="json"), **of_scan, **kept}


def told(done: dict[str, Any]) -> str:
    """A scan for people."""
    again = "" if done["new"] else " (made before, and nothing has changed since)"
    broken = f": {', '.join(done['broken'])}" if done["broken"] else ""
    release, count = done["release"][:12], len(done["opened"])
    opened = f"\n{count} findings that it did not have: groundwork findings {release}" if count else ""
    kept = f"\n{done['added']} added, {done['known']} known before: {done['regressions']}" if "added" in done else ""
    return (
        f"Release {release} on {done['day']}{again}: {done['succeeded']} of {done['attacks']} attacks got "
        f"through; {done['attempts']} mutated ones broke {len(done['broken'])}{broken}."
        f"{opened}\nPage: {done['page']}{kept}"
    )


def _chosen(store: Store, release: str | None) -> Release:
    if release is not None:
        return listing.manifest(store, release)
    return Release.model_validate(listing.in_use(store).manifest)
