"""Somebody answers for a finding until a day, or takes that back: each one transaction, with its audit row.

Rules: a reason and a last day are given, which lies no further ahead than the policy allows; nobody waives what they
trained; the role is one that may waive. Rows are only added: a waiver ends by its day or by a withdrawal. The same
waiver again changes nothing.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from pipelines.artifacts import ObjectStore
from pipelines.contracts import Contract, Finding, Release, gravity
from pipelines.errors import DecisionError
from pipelines.release import findings
from pipelines.release.decide import Identity, chosen, reasoned
from pipelines.release.findings import SHORT, Waiver
from pipelines.release.listing import approvals
from pipelines.release.policy import ReleasePolicy, same_person
from pipelines.store import FindingRow, ReleaseRow, Store, WaiverRow

ANY = "any release"


class Waived(Contract):
    """What came of it. `changed` False: it stood so before, and nothing was written."""

    finding: str
    attack: str
    severity: str
    release: str | None
    """None: whatever release has the finding."""
    until: date | None
    changed: bool
    said: str


def waive(
    store: Store,
    policy: ReleasePolicy,
    objects: ObjectStore,
    *,
    finding: str,
    by: str,
    why: str,
    expires: date,
    release: str | None = None,
    any_release: bool = False,
    role: str | None = None,
    identity: Identity = "claimed",
    now: datetime | None = None,
) -> Waived:
    """Waive a finding (an id or its beginning) for a release, the only pending one where none is named, or for any.

    `expires`: the last day on which it counts, in UTC. Raises DecisionError when a rule forbids it.
    """
    by, why = reasoned(by, why)
    now = (now or datetime.now(UTC)).astimezone(UTC)
    policy.need_identity(by, identity)
    _need_day(expires, policy, now)
    if any_release and release is not None:
        raise DecisionError("Say --release or --any-release, not both.")
    role = policy.waiving_role(by, role)
    with store.deciding() as session:
        scope, rows = None, _all_releases(session)
        if not any_release:
            row = chosen(session, release)
            _need_there(row)
            scope, rows = row.id, [row]
        for each in rows:
            findings.write_down(session, Release.model_validate(each.manifest), objects)
        held = _found(session, finding, rows)
        having = [each for each in rows if each.id in held]
        _need_other(policy, having, session, by, role, now)
        named = min(held.values(), key=lambda each: gravity(each.severity))
        waiver = Waiver(
            finding=named.id,
            release=scope,
            verdict="waived",
            who=by,
            role=role,
            identity=identity,
            why=why,
            severity=named.severity,
            expires=expires,
            when=now,
        )
        where = ANY if scope is None else f"release {scope[:SHORT]}"
        what = f"finding {named.id[:SHORT]} ({named.severity}, {named.attack}) for {where} until {expires}"
        if any(_same(waiver, each) for each in findings.not_withdrawn(_said_of(session, named.id))):
            return _outcome(named, scope, expires, False, f"{by} had waived {what} already; nothing changed")
        _write(session, store, waiver, policy)
        return _outcome(named, scope, expires, True, f"{by} as {role} waives {what}")


def withdraw(
    store: Store,
    policy: ReleasePolicy,
    *,
    finding: str,
    by: str,
    why: str,
    release: str | None = None,
    role: str | None = None,
    identity: Identity = "claimed",
    now: datetime | None = None,
) -> Waived:
    """Take the waivers of a finding back: those for a release, or, where none is named, every one.

    What is in production stays there, and is shown as overdue. Raises DecisionError when a rule forbids it.
    """
    by, why = reasoned(by, why)
    now = (now or datetime.now(UTC)).astimezone(UTC)
    policy.need_identity(by, identity)
    role = policy.waiving_role(by, role)
    with store.deciding() as session:
        row = chosen(session, release) if release is not None else None
        named = next(iter(_found(session, finding, [row] if row else _all_releases(session)).values()))
        left = findings.not_withdrawn(_said_of(session, named.id))
        scopes = list(dict.fromkeys(each.release for each in left))
        if row is not None:
            if row.id not in scopes and None in scopes:
                raise DecisionError(
                    f"Finding {named.id[:SHORT]} is waived for {ANY}: to withdraw that, leave out --release."
                )
            scopes = [each for each in scopes if each == row.id]
        scope = row.id if row else None
        if not scopes:
            told = f"there is no waiver of finding {named.id[:SHORT]} to withdraw; nothing changed"
            return _outcome(named, scope, None, False, told)
        for each in scopes:
            last = [one for one in left if one.release == each][-1]
            changes = {"verdict": "withdrawn", "who": by, "role": role, "identity": identity, "why": why}
            _write(session, store, last.model_copy(update={**changes, "expires": None, "when": now}), policy)
        where = " and ".join(ANY if each is None else f"release {each[:SHORT]}" for each in scopes)
        told = f"{by} as {role} withdraws the waiver of finding {named.id[:SHORT]} ({named.attack}) for {where}"
        return _outcome(named, scope, None, True, told)


# --- what a waiver needs -----------------------------------------------------------------------


def _need_day(expires: date, policy: ReleasePolicy, now: datetime) -> None:
    if expires < now.date():
        raise DecisionError(f"--expires {expires} has passed; it is {now.date()} (UTC).")
    if expires > (last := findings.last_day(now, policy)):
        raise DecisionError(
            f"--expires {expires} is too far ahead: the release policy lets a waiver last "
            f"{policy.findings.waiver_days_at_most} days, to {last}."
        )


def _need_there(row: ReleaseRow) -> None:
    if row.state in findings.GONE:
        raise DecisionError(f"Release {row.id[:SHORT]} is {row.state}: there is nothing to waive for it.")


def _need_other(
    policy: ReleasePolicy, rows: Sequence[ReleaseRow], session: Session, by: str, role: str, now: datetime
) -> None:
    """Nobody waives what they trained, nor waives and approves one release in two roles."""
    if not policy.separation_of_duties:
        return
    if mine := next((each for each in rows if same_person(each.trained_by, by)), None):
        raise DecisionError(
            f"{by} trained release {mine.id[:SHORT]} and cannot waive its findings: somebody else must "
            "(separation of duties)."
        )
    for row in (each for each in rows if each.state == "pending"):
        given = [each for each in approvals(session, row.id) if same_person(each.who, by) and each.role != role]
        if taken := next((each for each in given if policy.counts(each, row.report_digest, now)), None):
            raise DecisionError(
                f"{by} approved release {row.id[:SHORT]} as {taken.role}, and cannot waive its findings as {role} too: "
                "somebody else must (separation of duties)."
            )


def _all_releases(session: Session) -> list[ReleaseRow]:
    return list(session.scalars(select(ReleaseRow).order_by(ReleaseRow.number.desc())))


def _found(session: Session, wanted: str, rows: Sequence[ReleaseRow]) -> dict[str, Finding]:
    """Release to the finding, as it has it, that an id or its beginning names.

    Raises DecisionError for none, or several.
    """
    begins = FindingRow.finding.startswith(wanted.strip().lower(), autoescape=True)
    within = FindingRow.release.in_([each.id for each in rows])
    held = session.scalars(select(FindingRow).where(begins, within).order_by(FindingRow.id.desc())).all()
    names = {each.finding for each in held}
    where = f"Release {rows[0].id[:SHORT]} has" if len(rows) == 1 else "There is"
    if not wanted.strip() or not names:
        raise DecisionError(f"{where} no finding {wanted!r}; `groundwork findings` lists them.")
    if len(names) > 1:
        raise DecisionError(f"{wanted!r} names {len(names)} findings; give more of the id.")
    return {each.release: Finding.model_validate(each.content) for each in held}


# --- what it writes ----------------------------------------------------------------------------


def _said_of(session: Session, finding: str) -> list[Waiver]:
    return findings.waivers(session, [finding])[finding]


def _same(one: Waiver, other: Waiver) -> bool:
    """Whether it adds nothing to one that stands."""
    alike = ("release", "role", "identity", "severity", "expires")
    return same_person(one.who, other.who) and all(getattr(one, name) == getattr(other, name) for name in alike)


def _write(session: Session, store: Store, waiver: Waiver, policy: ReleasePolicy) -> None:
    session.add(WaiverRow(**waiver.model_dump()))
    detail = waiver.model_dump(mode="json", include={"release", "why", "role", "severity", "expires"})
    store.audit(
        session,
        who=waiver.who,
        action=waiver.verdict,
        subject=waiver.finding,
        detail={**detail, "policy": policy.digest},
    )
    session.flush()


def _outcome(named: Finding, release: str | None, until: date | None, changed: bool, told: str) -> Waived:
    return Waived(
        finding=named.id,
        attack=named.attack,
        severity=named.severity,
        release=release,
        until=until,
        changed=changed,
        said=told,
    )
