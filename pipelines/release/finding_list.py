"""Findings over releases: those of one, or every finding that there was and how it stands in the newest release.

`resolved` says that the same attack was put to the newest release and failed; `not_tried` that it was not put (a
mutation that the search did not draw again, an attack that was taken out of the file), so that nothing is known.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from pipelines.artifacts import ObjectStore, read_lines
from pipelines.contracts import Contract, Finding, Release, gravity
from pipelines.evaluation.attempts import Attempt
from pipelines.evaluation.redteam import Attacked
from pipelines.release import findings
from pipelines.release.findings import Standing
from pipelines.release.listing import found
from pipelines.release.policy import ReleasePolicy
from pipelines.store import FindingRow, ReleaseRow, Store


class Seen(Standing):
    """A finding, and the releases that have it, the oldest first."""

    state: Literal["open", "waived", "resolved", "not_tried"]  # type: ignore[assignment]
    releases: tuple[str, ...]


class Findings(Contract):
    """What `groundwork findings` says. `release`: the named one, or the newest; None: there is none."""

    release: str | None
    state: str | None
    findings: tuple[Seen, ...]


def listed(
    store: Store, policy: ReleasePolicy, objects: ObjectStore, release: str | None, *, now: datetime
) -> Findings:
    """The findings of a release; without one, of every release, as they stand in the newest. The gravest first."""
    every = select(ReleaseRow).order_by(ReleaseRow.number)
    findings.make_up_for(store, every, objects)
    with store.reading() as session:
        rows = list(session.scalars(every))
        if not rows:
            return Findings(release=None, state=None, findings=())
        chosen = rows[-1] if release is None else found(session, release)
        having = _having(session, rows)
        stands = findings.of_release(session, chosen, policy, now)
        seen = [Seen(**each.model_dump(), releases=having[each.id]) for each in stands]
        if release is None:
            seen += _earlier(session, chosen, having, policy, objects)
        return Findings(
            release=chosen.id,
            state=chosen.state,
            findings=tuple(sorted(seen, key=lambda each: gravity(each.severity))),
        )


def _having(session: Session, rows: list[ReleaseRow]) -> dict[str, tuple[str, ...]]:
    order = {row.id: row.number for row in rows}
    held: dict[str, tuple[str, ...]] = {}
    for row in sorted(session.scalars(select(FindingRow)), key=lambda each: order[each.release]):
        held[row.finding] = (*held.get(row.finding, ()), row.release)
    return held


def _earlier(
    session: Session,
    newest: ReleaseRow,
    having: dict[str, tuple[str, ...]],
    policy: ReleasePolicy,
    objects: ObjectStore,
) -> Iterator[Seen]:
    """Findings of earlier releases that the newest does not have."""
    tried = put(Release.model_validate(newest.manifest), objects)
    for name, releases in having.items():
        if newest.id not in releases:
            row = session.scalars(
                select(FindingRow).where(FindingRow.finding == name).order_by(FindingRow.id.desc())
            ).first()
            assert row is not None  # `having` was made of rows
            held: dict[str, Any] = Finding.model_validate(row.content).model_dump()
            state = "resolved" if name in tried else "not_tried"
            yield Seen(**held, state=state, blocking=row.severity in policy.findings.block, releases=releases)


def put(release: Release, objects: ObjectStore) -> frozenset[str]:
    """The ids that the successes of every attack put to a release have, or would have had."""
    files = findings.redteam_files(release, objects)
    rows: list[Attacked | Attempt] = []
    if "attacks.jsonl" in files:
        rows += read_lines(files["attacks.jsonl"], Attacked)
    if "attempts.jsonl" in files:
        rows += read_lines(files["attempts.jsonl"], Attempt)
    return frozenset(each.finding for each in rows if each.finding)
