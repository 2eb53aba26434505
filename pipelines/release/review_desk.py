"""The findings of releases that wait or serve, for the review console: read, waived, withdrawn under a claimed name.

The policy is read for each request, as each verb reads it: a console that stays open goes by the policy in force.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from pipelines.artifacts import ObjectStore
from pipelines.evaluation.review_findings import Waiving, Withdrawing
from pipelines.release import findings, waivers
from pipelines.release.policy import ReleasePolicy
from pipelines.store import ReleaseRow, Store

SHOWN = ("pending", findings.SERVED)
"""States of the releases whose findings are shown."""


class FindingsDesk:
    """An `evaluation.review_findings.Desk`."""

    def __init__(self, store: Store, objects: ObjectStore, policy: Callable[[], ReleasePolicy]) -> None:
        self._store, self._objects, self._policy = store, objects, policy

    def shown(self) -> dict[str, Any]:
        """Releases, the newest first, each with its findings, the gravest first."""
        policy, now = self._policy(), datetime.now(UTC)
        chosen = select(ReleaseRow).where(ReleaseRow.state.in_(SHOWN)).order_by(ReleaseRow.number.desc())
        findings.make_up_for(self._store, chosen, self._objects)
        with self._store.reading() as session:
            held = {row: findings.of_release(session, row, policy, now) for row in session.scalars(chosen)}
            return {
                "releases": [
                    {
                        "id": row.id,
                        "state": row.state,
                        "trained_by": row.trained_by,
                        "findings": [each.model_dump(mode="json") for each in of],
                    }
                    for row, of in held.items()
                ],
                "roles": list(policy.findings.waived_by or policy.required),
                "today": now.date().isoformat(),
                "last_day": findings.last_day(now, policy).isoformat(),
            }

    def waive(self, asked: Waiving) -> dict[str, Any]:
        """Waive a finding for a release. Raises DecisionError for what a rule forbids."""
        done = waivers.waive(
            self._store,
            self._policy(),
            self._objects,
            finding=asked.finding,
            release=asked.release,
            by=asked.reviewer,
            why=asked.why,
            role=asked.role,
            expires=asked.expires,
        )
        return done.model_dump(mode="json")

    def withdraw(self, asked: Withdrawing) -> dict[str, Any]:
        """Take waivers back. Raises DecisionError for what a rule forbids."""
        done = waivers.withdraw(
            self._store,
            self._policy(),
            finding=asked.finding,
            release=asked.release,
            by=asked.reviewer,
            why=asked.why,
            role=asked.role,
        )
        return done.model_dump(mode="json")
