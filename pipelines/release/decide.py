"""People's decisions on releases: approve, reject, roll back; what there is to decide on.

Rules: nobody approves what they trained; a reason is given; what the gate failed cannot be approved;
the report that was seen is recorded by its digest. One decision is one transaction; champion.json and
MLflow's aliases follow it and are repaired at the next start if a crash came between.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from pipelines.contracts import Approval, Contract
from pipelines.errors import DecisionError, PolicyError
from pipelines.settings import resolve
from pipelines.store import ApprovalRow, ReleaseRow, Store


class ReleasePolicy(Contract):
    """configs/policies/release.yaml."""

    separation_of_duties: bool
    identity: Literal["claimed", "verified"]


class Listed(Contract):
    """A release as `groundwork releases` lists it."""

    id: str
    number: int
    state: str
    verdict: str
    warning: str | None
    trained_by: str
    created: datetime
    decided: tuple[Approval, ...]


def load_policy(path: Path) -> ReleasePolicy:
    """Read the release policy. Raises PolicyError naming file and field."""
    place = resolve(path)
    try:
        return ReleasePolicy.model_validate(yaml.safe_load(place.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as exc:
        raise PolicyError(f"{place}: not a release policy: {exc}") from exc


def approve(
    store: Store,
    policy: ReleasePolicy,
    *,
    by: str,
    why: str,
    release: str | None = None,
    role: str = "reviewer",
    identity: Literal["claimed", "verified"] = "claimed",
) -> Listed:
    """Approve a pending release: it goes to production, the one there becomes `previous`.

    Raises DecisionError when a rule forbids it; nothing has changed then.
    """
    by, why = _said(by, why)
    if policy.identity == "verified" and identity != "verified":
        raise DecisionError(f"The release policy asks for a verified identity; {by!r} is only claimed here.")
    with store.deciding() as session:
        row = _pending(session, release)
        if policy.separation_of_duties and _same_person(by, row.trained_by):
            raise DecisionError(
                f"{by} trained release {row.id[:12]} and cannot approve it: somebody else must (separation of duties)."
            )
        for older in session.scalars(select(ReleaseRow).where(ReleaseRow.state == "previous")):
            _move(older, "approved")
        for current in session.scalars(select(ReleaseRow).where(ReleaseRow.state == "production")):
            _move(current, "previous")
        _move(row, "production")
        _write(session, store, row, by=by, why=why, role=role, identity=identity, verdict="approved")
        session.flush()
        return _listed(session, row)


def reject(
    store: Store,
    *,
    by: str,
    why: str,
    release: str | None = None,
    role: str = "reviewer",
    identity: Literal["claimed", "verified"] = "claimed",
) -> Listed:
    """Reject a pending release; it is kept, and cannot be approved later."""
    by, why = _said(by, why)
    with store.deciding() as session:
        row = _pending(session, release)
        _move(row, "rejected")
        _write(session, store, row, by=by, why=why, role=role, identity=identity, verdict="rejected")
        session.flush()
        return _listed(session, row)


def rollback(store: Store, *, by: str, why: str, role: str = "operator") -> Listed:
    """Put the previous release back into production; the current one becomes `rolled_back`."""
    by, why = _said(by, why)
    with store.deciding() as session:
        current = session.scalar(select(ReleaseRow).where(ReleaseRow.state == "production"))
        previous = session.scalar(select(ReleaseRow).where(ReleaseRow.state == "previous"))
        if current is None or previous is None:
            raise DecisionError(
                "There is no previous release to go back to: a rollback needs two approved releases "
                "(`groundwork releases` lists them)."
            )
        _move(current, "rolled_back")
        _move(previous, "production")
        older = select(ReleaseRow).where(ReleaseRow.state == "approved").order_by(ReleaseRow.changed.desc()).limit(1)
        if (before := session.scalar(older)) is not None:
            _move(before, "previous")
        _write(session, store, current, by=by, why=why, role=role, identity="claimed", verdict="rolled_back")
        session.flush()
        return _listed(session, previous)


def releases(store: Store) -> list[Listed]:
    """Every release, newest first."""
    with store.reading() as session:
        rows = session.scalars(select(ReleaseRow).order_by(ReleaseRow.number.desc())).all()
        return [_listed(session, row) for row in rows]


def in_state(store: Store, *states: str) -> ReleaseRow | None:
    """The newest release in one of the states, or None."""
    with store.reading() as session:
        found = select(ReleaseRow).where(ReleaseRow.state.in_(states)).order_by(ReleaseRow.number.desc()).limit(1)
        row = session.scalar(found)
        if row is not None:
            session.expunge(row)
        return row


def in_states(store: Store, *states: str) -> list[ReleaseRow]:
    """Every release in one of the states, newest first."""
    with store.reading() as session:
        found = select(ReleaseRow).where(ReleaseRow.state.in_(states)).order_by(ReleaseRow.number.desc())
        rows = list(session.scalars(found))
        for row in rows:
            session.expunge(row)
        return rows


def show(store: Store, release: str) -> dict[str, Any]:
    """A release with its manifest and every decision on it."""
    with store.reading() as session:
        row = _found(session, release)
        return {**_listed(session, row).model_dump(mode="json"), "manifest": row.manifest, "against": row.against}


def _said(by: str, why: str) -> tuple[str, str]:
    if not by.strip():
        raise DecisionError("Say who decides: --by NAME.")
    if not why.strip():
        raise DecisionError("Say why: --why TEXT. The reason is kept with the decision.")
    return by.strip(), why.strip()


def _same_person(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()


def _found(session: Session, wanted: str) -> ReleaseRow:
    rows: Sequence[ReleaseRow] = session.scalars(
        select(ReleaseRow).where(ReleaseRow.id.startswith(wanted, autoescape=True))
    ).all()
    if not rows:
        raise DecisionError(f"There is no release {wanted!r}; `groundwork releases` lists them.")
    if len(rows) > 1:
        raise DecisionError(f"{wanted!r} names {len(rows)} releases; give more of its id.")
    return rows[0]


def _pending(session: Session, wanted: str | None) -> ReleaseRow:
    if wanted is not None:
        row = _found(session, wanted)
        if row.state != "pending":
            raise DecisionError(f"Release {row.id[:12]} is {row.state}, not pending: there is nothing to decide on it.")
        return row
    rows = session.scalars(select(ReleaseRow).where(ReleaseRow.state == "pending").order_by(ReleaseRow.number)).all()
    if not rows:
        raise DecisionError("No release is pending. `groundwork run` makes one; `groundwork releases` lists them all.")
    if len(rows) > 1:
        named = ", ".join(row.id[:12] for row in rows)
        raise DecisionError(f"{len(rows)} releases are pending ({named}); say which one.")
    return rows[0]


def _move(row: ReleaseRow, state: str) -> None:
    row.state = state
    row.changed = datetime.now(UTC)


def _write(
    session: Session, store: Store, row: ReleaseRow, *, by: str, why: str, role: str, identity: str, verdict: str
) -> None:
    session.add(
        ApprovalRow(
            release=row.id,
            report_digest=row.report_digest,
            who=by,
            role=role,
            identity=identity,
            when=datetime.now(UTC),
            why=why,
            verdict=verdict,
        )
    )
    store.audit(session, who=by, action=verdict, subject=row.id, detail={"why": why, "report": row.report_digest})


def _listed(session: Session, row: ReleaseRow) -> Listed:
    decided = session.scalars(select(ApprovalRow).where(ApprovalRow.release == row.id).order_by(ApprovalRow.id))
    columns = Approval.model_fields
    return Listed(
        id=row.id,
        number=row.number,
        state=row.state,
        verdict=row.verdict,
        warning=row.warning,
        trained_by=row.trained_by,
        created=row.created,
        decided=tuple(Approval.model_validate({name: getattr(a, name) for name in columns}) for a in decided),
    )
