"""The doors of red-team findings: list them, waive one, withdraw that.

Rooms composed, nothing computed.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from pipelines.errors import DecisionError
from pipelines.release import finding_list, waivers
from pipelines.release.policy import ReleasePolicy, load_policy
from pipelines.release_telling import told_findings
from pipelines.store import Store
from pipelines.verbs import database
from pipelines.workspaces import Choices, Opened, open_workspace


def listed(choices: Choices, release: str | None) -> dict[str, Any]:
    """The findings of a release, or each that any release had and how it stands in the newest."""

    def act(store: Store, policy: ReleasePolicy, opened: Opened) -> dict[str, Any]:
        found = finding_list.listed(store, policy, opened.workspace.objects, release, now=datetime.now(UTC))
        return found.model_dump(mode="json")

    return _opened(choices, act)


def waive(
    choices: Choices,
    finding: str,
    *,
    release: str | None,
    any_release: bool,
    by: str,
    role: str | None,
    why: str,
    expires: str,
) -> dict[str, Any]:
    """Waive a finding until a day (YYYY-MM-DD). Raises DecisionError for what the rules forbid, a bad day too."""

    def act(store: Store, policy: ReleasePolicy, opened: Opened) -> dict[str, Any]:
        done = waivers.waive(
            store,
            policy,
            opened.workspace.objects,
            finding=finding,
            release=release,
            any_release=any_release,
            by=by,
            role=role,
            why=why,
            expires=_day(expires),
        )
        return done.model_dump(mode="json")

    return _opened(choices, act)


def withdraw(
    choices: Choices, finding: str, *, release: str | None, by: str, role: str | None, why: str
) -> dict[str, Any]:
    """Take the waivers of a finding back."""

    def act(store: Store, policy: ReleasePolicy, _: Opened) -> dict[str, Any]:
        done = waivers.withdraw(store, policy, finding=finding, release=release, by=by, role=role, why=why)
        return done.model_dump(mode="json")

    return _opened(choices, act)


def told(found: dict[str, Any]) -> str:
    """The findings in words, for people at a terminal."""
    if found["release"] is None:
        return "Nothing has been registered yet: `groundwork run` makes a release."
    lines = [f"Release {found['release'][:12]} ({found['state']})"]
    if not found["findings"]:
        return f"{lines[0]}: no attack got through."
    lines += told_findings(found["findings"])
    open_ones = [each for each in found["findings"] if each["state"] == "open"]
    if open_ones:
        lines += [
            "Waive one: groundwork findings waive ID --release "
            f"{found['release'][:12]} --by YOU --why REASON --expires YYYY-MM-DD"
        ]
    return "\n".join(lines)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError as exc:
        raise DecisionError(f"--expires {text!r} is not a day; write YYYY-MM-DD.") from exc


def _opened(choices: Choices, act: Callable[[Store, ReleasePolicy, Opened], dict[str, Any]]) -> dict[str, Any]:
    opened = open_workspace(choices)
    policy = load_policy(opened.settings.policies.release)
    store = database(opened)
    try:
        return act(store, policy, opened)
    finally:
        store.close()
