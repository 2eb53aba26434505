"""Releases as people and programs see them: state, decisions, who is still needed, what lies on the table."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from pipelines.artifacts import ObjectStore
from pipelines.contracts import Approval, Contract, Release
from pipelines.errors import DecisionError
from pipelines.release import evidence, findings
from pipelines.release.kinds import kind_of
from pipelines.release.policy import Needed, ReleasePolicy, aware
from pipelines.store import ApprovalRow, ReleaseRow, Store


class Listed(Contract):
    """A release as `groundwork releases` lists it."""

    id: str
    number: int
    state: str
    verdict: str
    warning: str | None
    kind: str
    """What differs from the release that was in production when it was made: `prompt-only`, `full`, ... (kinds.py)."""
    trained_by: str
    created: datetime
    report_digest: str
    """What a reviewer may give back as `--report-digest`."""
    decided: tuple[Approval, ...]
    needed: tuple[Needed, ...] = ()
    """Who must still approve a pending release; empty for one that is not pending."""
    open_findings: tuple[findings.Overdue, ...] = ()
    """Attacks that got through, are too grave for the policy and are not waived: they hold up a pending release, and
    are overdue in production; empty for a release that is gone."""
    overdue: bool = False
    """Whether one that is in production has any."""


def releases(store: Store, policy: ReleasePolicy, *, now: datetime | None = None) -> list[Listed]:
    """Every release, newest first."""
    now = now or datetime.now(UTC)
    with store.reading() as session:
        rows = session.scalars(select(ReleaseRow).order_by(ReleaseRow.number.desc())).all()
        return [listed(session, row, policy, now) for row in rows]


def in_state(store: Store, *states: str) -> ReleaseRow | None:
    """The newest release in one of the states, or None."""
    return next(iter(in_states(store, *states)), None)


def in_use(store: Store) -> ReleaseRow:
    """The release in production, else the newest that is pending. Raises DecisionError where there is neither."""
    row = in_state(store, "production") or in_state(store, "pending")
    if row is None:
        raise DecisionError("No release is in production or pending; `groundwork run` makes one.")
    return row


def in_states(store: Store, *states: str) -> list[ReleaseRow]:
    """Every release in one of the states, newest first; every release where none is named."""
    with store.reading() as session:
        found = select(ReleaseRow).order_by(ReleaseRow.number.desc())
        rows = list(session.scalars(found.where(ReleaseRow.state.in_(states)) if states else found))
        for row in rows:
            session.expunge(row)
        return rows


def show(
    store: Store, policy: ReleasePolicy, objects: ObjectStore, release: str, *, now: datetime | None = None
) -> dict[str, Any]:
    """A release with its manifest, every decision on it and what lies on the table."""
    now = now or datetime.now(UTC)
    with store.reading() as session:
        row = found(session, release)
        table = evidence.lines(session, row, policy, objects, now)
        plain = listed(session, row, policy, now).model_dump(mode="json")
        shown = [line.model_dump(mode="json") for line in table]
        held = [each.model_dump(mode="json") for each in findings.of_release(session, row, policy, now)]
        return {**plain, "evidence": shown, "findings": held, "manifest": row.manifest, "against": row.against}


def manifest(store: Store, wanted: str) -> Release:
    """The manifest of the release that an id or its beginning names."""
    with store.reading() as session:
        return Release.model_validate(found(session, wanted).manifest)


def found(session: Session, wanted: str) -> ReleaseRow:
    """The release that an id or its beginning names. Raises DecisionError for none, or several."""
    rows: Sequence[ReleaseRow] = session.scalars(
        select(ReleaseRow).where(ReleaseRow.id.startswith(wanted, autoescape=True))
    ).all()
    if not rows:
        raise DecisionError(f"There is no release {wanted!r}; `groundwork releases` lists them.")
    if len(rows) > 1:
        raise DecisionError(f"{wanted!r} names {len(rows)} releases; give more of its id.")
    return rows[0]


def approvals(session: Session, release: str) -> tuple[Approval, ...]:
    """Every decision on a release, oldest first."""
    rows = session.scalars(select(ApprovalRow).where(ApprovalRow.release == release).order_by(ApprovalRow.id))
    columns = [name for name in Approval.model_fields if name != "when"]
    return tuple(
        Approval.model_validate({**{name: getattr(row, name) for name in columns}, "when": aware(row.when)})
        for row in rows
    )


def listed(session: Session, row: ReleaseRow, policy: ReleasePolicy, now: datetime) -> Listed:
    """A row as it is listed."""
    decided = approvals(session, row.id)
    pending = row.state == "pending"
    gone = row.state in findings.GONE
    open_ones = () if gone else findings.overdue(findings.of_release(session, row, policy, now))
    columns = ("id", "number", "state", "verdict", "warning", "trained_by", "created", "report_digest")
    return Listed(
        **{name: getattr(row, name) for name in columns},
        kind=kind_of_row(session, row),
        decided=decided,
        needed=policy.needed(decided, row.report_digest, row.trained_by, now) if pending else (),
        open_findings=open_ones,
        overdue=bool(open_ones) and row.state == findings.SERVED,
    )


def kind_of_row(session: Session, row: ReleaseRow) -> str:
    """What kind of release a row is. (Releases from before `succeeds` was noted: by what they were compared with.)"""
    before = row.manifest.get("succeeds") or row.against
    succeeded = session.get(ReleaseRow, before) if before else None
    return kind_of(row.manifest["parts"], succeeded.manifest["parts"] if succeeded else None)
