"""People's decisions on releases: approve, reject, roll back.

Rules: nobody approves what they trained, nor in two roles; a reason is given; what the gate failed cannot be
approved; the report that was seen is recorded by its digest, and its stored bytes are hashed again; what the policy
wants on the table lies there; attacks that got through and are too grave have been waived (findings.py). One decision
is one transaction, and the approval that completes what the policy requires moves the release in the same one: until
then it stays `pending`. champion.json and MLflow's aliases follow and are repaired at the next start if a crash came
between.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from pipelines.artifacts import ObjectStore
from pipelines.contracts import Approval, Release
from pipelines.errors import DecisionError
from pipelines.release import evidence, findings
from pipelines.release.listing import Listed, approvals, found, listed
from pipelines.release.policy import ReleasePolicy, same_person, told_needed
from pipelines.release.verify import DECIDING, listing, verify_parts
from pipelines.store import ApprovalRow, ReleaseRow, Store

Identity = Literal["claimed", "verified"]
SHORTEST_DIGEST = 12
"""Fewest characters of a digest that name a report: as many as are shown."""
PAGES = ("report.html", "report.json")
"""Files of a report whose own sha256 names it too: what a reviewer can compute."""


class Decided(Listed):
    """A release after a decision. `changed` False: it had been taken before, and nothing was written."""

    changed: bool
    said: str


def approve(
    store: Store,
    policy: ReleasePolicy,
    objects: ObjectStore,
    *,
    by: str,
    why: str,
    release: str | None = None,
    role: str | None = None,
    report_digest: str | None = None,
    identity: Identity = "claimed",
    now: datetime | None = None,
) -> Decided:
    """Approve a pending release; the last approval that the policy requires moves it to production.

    The one that was there becomes `previous`. `role` None: the one that the policy leaves open. `report_digest`: of
    the report that was read. Raises DecisionError when a rule forbids it; nothing has changed then.
    """
    by, why = reasoned(by, why)
    now = now or datetime.now(UTC)
    policy.need_identity(by, identity)
    with store.deciding() as session:
        row = chosen(session, release)
        before = approvals(session, row.id)
        _need_seen(row, report_digest, objects)
        if row.state != "pending":
            if release is not None and _given(before, row, by, role):
                return _unchanged(session, row, policy, now, f"{by} had approved release {row.id[:12]} already")
            raise DecisionError(f"Release {row.id[:12]} is {row.state}, not pending: there is nothing to decide on it.")
        _need_other_than_trainer(policy, row, by)
        role = policy.role_of(by, role)
        again = _given(before, row, by, role)
        if again and policy.counts(again[-1], row.report_digest, now) and again[-1].identity == identity:
            return _unchanged(session, row, policy, now, f"{by} had approved this report as {role} already")
        _need_one_role(policy, row, before, by, role, now)
        _need_evidence(session, row, policy, objects, now)
        _need_whole(row, objects)
        _need_findings(session, row, policy, objects, by, role, now)
        _write(session, store, row, policy, by=by, why=why, role=role, identity=identity, verdict="approved", now=now)
        needed = policy.needed(approvals(session, row.id), row.report_digest, row.trained_by, now)
        if needed:
            said = f"approved by {by} as {role}; still needed: {told_needed(needed)}"
        else:
            _promote(session, row, now)
            said = f"approved by {by} as {role}: release {row.id[:12]} is in production"
        session.flush()
        return _decided(session, row, policy, now, changed=True, said=said)


def reject(
    store: Store,
    policy: ReleasePolicy,
    objects: ObjectStore,
    *,
    by: str,
    why: str,
    release: str | None = None,
    role: str | None = None,
    report_digest: str | None = None,
    identity: Identity = "claimed",
    now: datetime | None = None,
) -> Decided:
    """Reject a pending release; it is kept, and cannot be approved later. One who must approve is enough."""
    by, why = reasoned(by, why)
    now = now or datetime.now(UTC)
    policy.need_identity(by, identity)
    with store.deciding() as session:
        row = chosen(session, release)
        _need_seen(row, report_digest, objects)
        if row.state != "pending":
            mine = [each for each in approvals(session, row.id) if same_person(each.who, by)]
            if row.state == "rejected" and any(each.verdict == "rejected" for each in mine):
                return _unchanged(session, row, policy, now, f"{by} had rejected release {row.id[:12]} already")
            raise DecisionError(f"Release {row.id[:12]} is {row.state}, not pending: there is nothing to decide on it.")
        role = _rejecting_role(policy, by, role)
        _move(row, "rejected", now)
        _write(session, store, row, policy, by=by, why=why, role=role, identity=identity, verdict="rejected", now=now)
        said = f"rejected by {by} as {role}"
        return _decided(session, row, policy, now, changed=True, said=said)


def rollback(
    store: Store, policy: ReleasePolicy, *, by: str, why: str, role: str = "operator", now: datetime | None = None
) -> Decided:
    """Put the previous release back into production; the current one becomes `rolled_back`.

    One person is enough, and a claimed name counts under every policy: what goes back was approved before.
    """
    by, why = reasoned(by, why)
    now = now or datetime.now(UTC)
    if role in policy.roles:
        policy.need_holder(by, role)
    with store.deciding() as session:
        current = session.scalar(select(ReleaseRow).where(ReleaseRow.state == "production"))
        previous = session.scalar(select(ReleaseRow).where(ReleaseRow.state == "previous"))
        if current is None or previous is None:
            raise DecisionError(
                "There is no previous release to go back to: a rollback needs two approved releases "
                "(`groundwork releases` lists them)."
            )
        _move(current, "rolled_back", now)
        _move(previous, "production", now)
        older = select(ReleaseRow).where(ReleaseRow.state == "approved").order_by(ReleaseRow.changed.desc()).limit(1)
        if (before := session.scalar(older)) is not None:
            _move(before, "previous", now)
        _write(
            session,
            store,
            current,
            policy,
            by=by,
            why=why,
            role=role,
            identity="claimed",
            verdict="rolled_back",
            now=now,
        )
        said = f"rolled back by {by}: release {previous.id[:12]} is in production again"
        return _decided(session, previous, policy, now, changed=True, said=said)


def attach(
    store: Store,
    objects: ObjectStore,
    *,
    release: str,
    kind: str,
    file: Path,
    by: str,
    now: datetime | None = None,
) -> evidence.Attached:
    """Lay a file on the table for a release. Raises DecisionError for one that cannot be."""
    if not by.strip():
        raise DecisionError("Say who attaches it: --by NAME.")
    with store.deciding() as session:
        row = found(session, release)
        now = now or datetime.now(UTC)
        return evidence.attach(session, store, objects, row, kind=kind, file=file, by=by.strip(), now=now)


# --- what a decision needs ---------------------------------------------------------------------


def reasoned(by: str, why: str) -> tuple[str, str]:
    """Name and reason of a decision, trimmed. Raises DecisionError where one is missing."""
    if not by.strip():
        raise DecisionError("Say who decides: --by NAME.")
    if not why.strip():
        raise DecisionError("Say why: --why TEXT. The reason is kept with the decision.")
    return by.strip(), why.strip()


def _need_other_than_trainer(policy: ReleasePolicy, row: ReleaseRow, by: str) -> None:
    if policy.separation_of_duties and same_person(by, row.trained_by):
        raise DecisionError(
            f"{by} trained release {row.id[:12]} and cannot approve it: somebody else must (separation of duties)."
        )


def _need_one_role(
    policy: ReleasePolicy, row: ReleaseRow, before: tuple[Approval, ...], by: str, role: str, now: datetime
) -> None:
    if not policy.separation_of_duties:
        return
    others = [each for each in before if same_person(each.who, by) and each.role != role]
    if taken := next((each for each in others if policy.counts(each, row.report_digest, now)), None):
        raise DecisionError(
            f"{by} approved release {row.id[:12]} as {taken.role}, and cannot approve it as {role} too: "
            "somebody else must (separation of duties)."
        )


def _need_seen(row: ReleaseRow, report_digest: str | None, objects: ObjectStore) -> None:
    if report_digest is None:
        return
    given = report_digest.strip().lower().removeprefix("sha256:")
    if len(given) < SHORTEST_DIGEST:
        raise DecisionError(f"--report-digest {report_digest!r}: give {SHORTEST_DIGEST} characters of it or more.")
    release = Release.model_validate(row.manifest)
    stored = release.objects["report"]  # what `release show` gives as the evaluation's digest
    files = listing(objects, stored)
    names = (row.report_digest, stored, *(files.get(name, "") for name in PAGES))
    if not any(digest.startswith(given) for digest in names):
        raise DecisionError(
            f"The report that you read ({given[:12]}) is not that of release {row.id[:12]} "
            f"({row.report_digest[:12]}): it has changed since, or another run has written its own. "
            f"`groundwork release show {row.id[:12]}` says where this release's report lies; read that one."
        )


def _need_evidence(
    session: Session, row: ReleaseRow, policy: ReleasePolicy, objects: ObjectStore, now: datetime
) -> None:
    table = evidence.lines(session, row, policy, objects, now)
    bad = [line for line in table if line.wrong and (line.required or line.kind == "evaluation")]
    if bad:
        told = "\n  ".join(line.told for line in bad)
        raise DecisionError(f"Release {row.id[:12]} cannot be approved yet:\n  {told}")


def _need_whole(row: ReleaseRow, objects: ObjectStore) -> None:
    release = Release.model_validate(row.manifest)
    checked = verify_parts(release, objects, DECIDING)
    wrong = [each.told for each in checked.wrong]
    if row.report_digest != release.parts["report"]:
        wrong.append("report: the database names another report than the manifest")
    if wrong:
        told = "\n  ".join(wrong)
        raise DecisionError(f"What release {row.id[:12]} was judged by has changed since:\n  {told}")


def _need_findings(
    session: Session, row: ReleaseRow, policy: ReleasePolicy, objects: ObjectStore, by: str, role: str, now: datetime
) -> None:
    """Every finding that blocks is waived, and not by the same person in another role."""
    findings.write_down(session, Release.model_validate(row.manifest), objects)
    held = findings.of_release(session, row, policy, now)
    findings.need_waived(held, row.id)
    waivers = [each.waiver for each in held if each.waiver and same_person(each.waiver.who, by)]
    if policy.separation_of_duties and (other := next((each for each in waivers if each.role != role), None)):
        raise DecisionError(
            f"{by} waived a finding of release {row.id[:12]} as {other.role}, and cannot approve it as {role} too: "
            "somebody else must (separation of duties)."
        )


def _rejecting_role(policy: ReleasePolicy, by: str, role: str | None) -> str:
    """The named role, else the first required one that somebody holds."""
    if role is not None:
        return policy.role_of(by, role)
    mine = [each for each in policy.required if policy.holds(by, each)]
    return mine[0] if mine else policy.role_of(by, None)


def _given(before: tuple[Approval, ...], row: ReleaseRow, by: str, role: str | None) -> list[Approval]:
    """Somebody's approvals of the same report, in a role where one is named."""
    return [
        each
        for each in before
        if each.verdict == "approved"
        and each.report_digest == row.report_digest
        and same_person(each.who, by)
        and role in (None, each.role)
    ]


def chosen(session: Session, wanted: str | None) -> ReleaseRow:
    """The named release, in whatever state; without a name, the only pending one."""
    if wanted is not None:
        return found(session, wanted)
    rows = session.scalars(select(ReleaseRow).where(ReleaseRow.state == "pending").order_by(ReleaseRow.number)).all()
    if not rows:
        raise DecisionError("No release is pending. `groundwork run` makes one; `groundwork releases` lists them all.")
    if len(rows) > 1:
        named = ", ".join(row.id[:12] for row in rows)
        raise DecisionError(f"{len(rows)} releases are pending ({named}); say which one.")
    return rows[0]


# --- what a decision writes --------------------------------------------------------------------


def _promote(session: Session, row: ReleaseRow, now: datetime) -> None:
    for older in session.scalars(select(ReleaseRow).where(ReleaseRow.state == "previous")):
        _move(older, "approved", now)
    for current in session.scalars(select(ReleaseRow).where(ReleaseRow.state == "production")):
        _move(current, "previous", now)
    _move(row, "production", now)


def _move(row: ReleaseRow, state: str, now: datetime) -> None:
    row.state = state
    row.changed = now


def _write(
    session: Session,
    store: Store,
    row: ReleaseRow,
    policy: ReleasePolicy,
    *,
    by: str,
    why: str,
    role: str,
    identity: str,
    verdict: str,
    now: datetime,
) -> None:
    session.add(
        ApprovalRow(
            release=row.id,
            report_digest=row.report_digest,
            who=by,
            role=role,
            identity=identity,
            when=now,
            why=why,
            verdict=verdict,
        )
    )
    detail = {"why": why, "report": row.report_digest, "role": role, "policy": policy.digest}
    store.audit(session, who=by, action=verdict, subject=row.id, detail=detail)


def _unchanged(session: Session, row: ReleaseRow, policy: ReleasePolicy, now: datetime, said: str) -> Decided:
    return _decided(session, row, policy, now, changed=False, said=f"{said}; nothing changed")


def _decided(
    session: Session, row: ReleaseRow, policy: ReleasePolicy, now: datetime, *, changed: bool, said: str
) -> Decided:
    session.flush()
    return Decided(**dict(listed(session, row, policy, now)), changed=changed, said=said)
