"""Findings of a release: attacks that got through in its red team or a scan, and whether somebody answers for them.

A finding is named by what the attack says (contracts.Finding), so it is the same one in every release. Where its
severity is one that the policy blocks, the release is not approved until somebody has waived it (waivers.py).
Invariants: a release has the findings of its stored red team, which a decision writes down where rows are missing,
and those that scans of it added (scan.py), each of which names the stored scan that bears it out.
Waivers are counted under the policy in force now, as approvals are: one that has ended, whose giver has lost the
role or trained the release, or that was given for a milder severity, does not count, and stays as it was.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from pipelines.artifacts import ObjectStore, read_lines
from pipelines.contracts import Attack, Contract, Finding, Release, Severity, gravity
from pipelines.errors import DecisionError
from pipelines.evaluation.regressions import FINDINGS, SUCCESSES
from pipelines.evaluation.regressions import findings as findings_of
from pipelines.release.policy import ReleasePolicy, aware, same_person
from pipelines.release.verify import listing
from pipelines.store import FindingRow, ReleaseRow, Store, WaiverRow

SERVED = "production"
GONE = ("rejected", "rolled_back")
"""States of a release that nobody waives anything for."""
SHORT = 12
"""Characters of an id that are shown."""


class Waiver(Contract):
    """Who took the risk of a finding until when, or took that back. `release` None: of whatever release has it."""

    finding: str
    release: str | None
    verdict: Literal["waived", "withdrawn"]
    who: str
    role: str
    identity: Literal["claimed", "verified"]
    why: str
    severity: Severity
    """That the finding had then: a graver one is not covered."""
    expires: date | None
    """The last day on which it counts, in UTC; None: withdrawn."""
    when: datetime


class Standing(Finding):
    """A finding of a release as it stands."""

    state: Literal["open", "waived"]
    blocking: bool
    """Whether the policy blocks its severity."""
    waiver: Waiver | None = None
    """The one that counts; of several the one that ends last."""
    until: date | None = None
    """The last day on which `waiver` counts."""
    ended: date | None = None
    """The last day of a waiver that is over, where none counts."""

    @property
    def holds_up(self) -> bool:
        """Whether it keeps its release from approval, or is overdue in production."""
        return self.blocking and self.state == "open"


class Overdue(Contract):
    """A finding that holds a release up, in brief."""

    id: str
    attack: str
    category: str
    severity: Severity
    ended: date | None
    """The last day of a waiver that is over; None: there was none."""


def stored(release: Release, objects: ObjectStore) -> tuple[Finding, ...]:
    """The findings that a release's stored red team holds, the gravest first; of older ones without the answers."""
    return _held_by(redteam_files(release, objects))


def of_scan(scan: str, objects: ObjectStore) -> tuple[Finding, ...]:
    """The findings that a stored scan holds; `scan`: its folder in the object store."""
    return _held_by(_files(scan, objects))


def redteam_files(release: Release, objects: ObjectStore) -> dict[str, Path]:
    """The files of a release's stored red team that are there; what is lost, `release verify` says."""
    return _files(release.objects["redteam"], objects) if "redteam" in release.objects else {}


def _files(folder: str, objects: ObjectStore) -> dict[str, Path]:
    return {name: objects.path(digest) for name, digest in listing(objects, folder).items() if objects.has(digest)}


def _held_by(files: dict[str, Path]) -> tuple[Finding, ...]:
    if FINDINGS in files:
        return tuple(read_lines(files[FINDINGS], Finding))
    if SUCCESSES in files:
        return tuple(findings_of([(each, "") for each in read_lines(files[SUCCESSES], Attack)]))
    return ()


def write_down(session: Session, release: Release, objects: ObjectStore, *, scan: str | None = None) -> tuple[str, ...]:
    """Add the rows of a release's findings that are missing, in the caller's transaction; their ids.

    `scan`: those that a stored scan of it holds, instead of its own.
    """
    fresh = _missing(session, release, objects, scan=scan)
    session.add_all(
        FindingRow(
            release=release.id,
            finding=each.id,
            severity=each.severity,
            content=each.model_dump(mode="json"),
            scan=scan,
        )
        for each in fresh
    )
    session.flush()
    return tuple(each.id for each in fresh)


def make_up_for(store: Store, releases: Select[tuple[ReleaseRow]], objects: ObjectStore) -> None:
    """Add the rows that chosen releases lack (made by an older version, or the process was killed in between).

    The database is locked for writing only where there are some, so that who only reads does not wait for a decision.
    """
    with store.reading() as session:
        of = [Release.model_validate(row.manifest) for row in session.scalars(releases)]
        lacking = [each for each in of if _missing(session, each, objects)]
    if lacking:
        with store.deciding() as session:
            for each in lacking:
                write_down(session, each, objects)


def _missing(session: Session, release: Release, objects: ObjectStore, *, scan: str | None = None) -> list[Finding]:
    held = set(session.scalars(select(FindingRow.finding).where(FindingRow.release == release.id)))
    found = stored(release, objects) if scan is None else of_scan(scan, objects)
    return [each for each in found if each.id not in held]


def verify_rows(session: Session, release: Release, objects: ObjectStore) -> Iterable[str]:
    """What is wrong with a release's rows: each that its red team or scan, as stored, does not bear out, in a line."""
    borne_out: dict[str | None, tuple[Finding, ...]] = {None: stored(release, objects)}
    for row in session.scalars(select(FindingRow).where(FindingRow.release == release.id).order_by(FindingRow.id)):
        if row.scan is not None and row.scan not in borne_out:
            borne_out[row.scan] = of_scan(row.scan, objects)
        if Finding.model_validate(row.content) not in borne_out[row.scan]:
            source = "red team" if row.scan is None else "scan"
            yield f"finding {row.finding[:SHORT]} is not what the stored {source} holds"


def of_release(session: Session, row: ReleaseRow, policy: ReleasePolicy, now: datetime) -> tuple[Standing, ...]:
    """A release's findings as they stand, the gravest first."""
    rows = session.scalars(select(FindingRow).where(FindingRow.release == row.id).order_by(FindingRow.id))
    found = [Finding.model_validate(each.content) for each in rows]
    known = waivers(session, [each.id for each in found])
    stands = [
        standing(each, known[each.id], release=row.id, trained_by=row.trained_by, policy=policy, now=now)
        for each in found
    ]
    return tuple(sorted(stands, key=lambda each: gravity(each.severity)))


def waivers(session: Session, findings: Collection[str]) -> dict[str, list[Waiver]]:
    """Finding to what was said of it, oldest first."""
    found: dict[str, list[Waiver]] = {name: [] for name in findings}
    columns = [name for name in Waiver.model_fields if name != "when"]
    chosen = select(WaiverRow).where(WaiverRow.finding.in_(findings)).order_by(WaiverRow.id)
    for row in session.scalars(chosen) if findings else ():
        held = {name: getattr(row, name) for name in columns}
        found[row.finding].append(Waiver.model_validate({**held, "when": aware(row.when)}))
    return found


def standing(
    finding: Finding, said: Sequence[Waiver], *, release: str, trained_by: str, policy: ReleasePolicy, now: datetime
) -> Standing:
    """Whether a finding of a release is waived; `said`: of it, oldest first."""
    today = now.astimezone(UTC).date()
    left = [
        (ends(each, policy), each)
        for each in not_withdrawn(said)
        if each.release in (None, release) and _rightly(each, finding.severity, trained_by, policy)
    ]
    counting = [(end, each) for end, each in left if end >= today]
    blocking = finding.severity in policy.findings.block
    held = finding.model_dump()
    if not counting:
        ended = max((end for end, _ in left), default=None)
        return Standing(**held, state="open", blocking=blocking, ended=ended)
    until, waiver = max(counting, key=lambda each: each[0])
    return Standing(**held, state="waived", blocking=blocking, waiver=waiver, until=until)


def not_withdrawn(said: Iterable[Waiver]) -> list[Waiver]:
    """The waivers, oldest first, that no later withdrawal for the same release (or for any) took back."""
    left: list[Waiver] = []
    for each in said:
        if each.verdict == "withdrawn":
            left = [one for one in left if one.release != each.release]
        else:
            left.append(each)
    return left


def ends(waiver: Waiver, policy: ReleasePolicy) -> date:
    """The last day on which a waiver counts: its own, or the last that the policy allows."""
    assert waiver.expires is not None  # a withdrawal has no end
    return min(waiver.expires, last_day(waiver.when, policy))


def last_day(when: datetime, policy: ReleasePolicy) -> date:
    """The last day on which a waiver of that time may end."""
    return when.astimezone(UTC).date() + timedelta(days=policy.findings.waiver_days_at_most)


def _rightly(waiver: Waiver, severity: Severity, trained_by: str, policy: ReleasePolicy) -> bool:
    """Whether it was given by somebody who may, for what the finding is now."""
    may = policy.findings.waived_by or tuple(policy.required)
    return (
        gravity(waiver.severity) <= gravity(severity)
        and waiver.role in may
        and policy.holds(waiver.who, waiver.role)
        and (waiver.identity == "verified" or policy.identity == "claimed")
        and not (policy.separation_of_duties and same_person(waiver.who, trained_by))
    )


def overdue(held: Iterable[Standing]) -> tuple[Overdue, ...]:
    """Those that hold their release up."""
    return tuple(
        Overdue(**each.model_dump(include=set(Overdue.model_fields)))  # the same names
        for each in held
        if each.holds_up
    )


def need_waived(held: Iterable[Standing], release: str) -> None:
    """Raise DecisionError naming each finding that holds a release up, and what waives it."""
    open_ones = [each for each in held if each.holds_up]
    if not open_ones:
        return
    told = "\n".join(
        f"  {each.severity} {each.category.replace('_', ' ')}, attack {each.attack}"
        f"{f' (its waiver ended on {each.ended})' if each.ended else ''}\n"
        f"    groundwork findings waive {each.id[:SHORT]} --release {release[:SHORT]} --by YOU --why REASON "
        "--expires YYYY-MM-DD"
        for each in open_ones
    )
    raise DecisionError(
        f"Release {release[:SHORT]} cannot be approved: its red team has {len(open_ones)} open "
        f"finding{'s' if len(open_ones) > 1 else ''}. Mend what let {'them' if len(open_ones) > 1 else 'it'} through "
        f"and run again, or have somebody waive {'each' if len(open_ones) > 1 else 'it'}:\n{told}"
    )
