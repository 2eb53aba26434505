"""What lies on the table when a release is decided on: a line a kind, each with its digest and date.

`evaluation` and `red_team` are the release's own parts, written down when it is registered. The rest is attached by
somebody: the file goes to the object store, the row says who and when, the audit log has both. What is attached later
takes the place of the earlier; nothing is removed.
Not covered: what a signature on a compliance letter is worth.
"""

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from pipelines.artifacts import RUN_FILE, ObjectStore, Workspace, read_json, sha256_file
from pipelines.contracts import Contract, Release
from pipelines.errors import DecisionError
from pipelines.release.policy import EvidenceKind, ReleasePolicy, aware, expired, same_person
from pipelines.store import EvidenceRow, ReleaseRow, Store

OWN = {"evaluation": ("report", "evaluate"), "red_team": ("redteam", "redteam")}
"""Kind to the part of the release that it is, and to its stage."""
ATTACHED = ("unit_tests", "human_review", "compliance")
VOUCHED = ("human_review", "compliance")
"""Kinds that are worth what the person is who attaches them: not the one who trained the release."""
LARGEST_BYTES = 50_000_000
MENDED = {
    "evaluation": "`groundwork run` makes a release with its evaluation",
    "red_team": "`groundwork run` makes a release with its red-team report",
}


class Line(Contract):
    """One kind of evidence of a release. `digest` None: there is none; `wrong` None: it counts."""

    kind: EvidenceKind
    required: bool
    digest: str | None = None
    name: str = ""
    who: str = ""
    when: datetime | None = None
    summary: dict[str, int] = Field({})
    wrong: str | None = None

    @property
    def told(self) -> str:
        """In a line of a refusal."""
        return f"{self.kind}: {self.wrong}"


class Attached(Contract):
    """What came of attaching a file. `changed` False: the same file lay there already."""

    release: str
    line: Line
    changed: bool
    said: str


def own_rows(release: Release, workspace: Workspace, *, who: str, now: datetime) -> list[EvidenceRow]:
    """The rows of the release's own evidence, dated when its stage ended (now, where nothing says when)."""
    return [
        EvidenceRow(
            release=release.id,
            kind=kind,
            digest=release.objects[part],
            name=part,
            who=who,
            when=_ended(workspace.stage(stage), now),
            summary={},
        )
        for kind, (part, stage) in OWN.items()
    ]


def attach(
    session: Session,
    store: Store,
    objects: ObjectStore,
    row: ReleaseRow,
    *,
    kind: str,
    file: Path,
    by: str,
    now: datetime,
) -> Attached:
    """Lay a file on the table for a release, in the caller's transaction.

    Raises DecisionError for a kind that cannot be attached and a file that cannot be read or says nothing.
    """
    if kind not in ATTACHED:
        why = "comes from the release's own stages" if kind in OWN else "is not known"
        raise DecisionError(f"The evidence {kind!r} {why}; attach one of {', '.join(ATTACHED)}.")
    summary = _summary(kind, file)
    digest = sha256_file(file)
    before = _newest(session, row.id).get(kind)
    if before is not None and before.digest == digest and same_person(before.who, by):
        said = (
            f"{file.name} is the {kind} of release {row.id[:12]} since {before.when:%Y-%m-%d} already; nothing changed"
        )
        return Attached(release=row.id, line=_line(before, required=False), changed=False, said=said)
    objects.put_file(file, digest)
    fresh = EvidenceRow(release=row.id, kind=kind, digest=digest, name=file.name, who=by, when=now, summary=summary)
    session.add(fresh)
    detail = {"kind": kind, "digest": digest, "name": file.name, "summary": summary}
    store.audit(session, who=by, action="attach", subject=row.id, detail=detail)
    said = f"{file.name} ({digest[:12]}) is now the {kind} of release {row.id[:12]}"
    return Attached(release=row.id, line=_line(fresh, required=False), changed=True, said=said)


def lines(
    session: Session, row: ReleaseRow, policy: ReleasePolicy, objects: ObjectStore, now: datetime
) -> tuple[Line, ...]:
    """Every kind that is there or required, and what keeps it from counting; stored files are hashed again."""
    newest = _newest(session, row.id)
    found = []
    for kind in (*OWN, *ATTACHED):
        required = kind in policy.evidence
        if kind in newest:
            wrong = _wrong(newest[kind], row.trained_by, policy, objects, now)
            found.append(_line(newest[kind], required=required).model_copy(update={"wrong": wrong}))
        elif required:
            wrong = f"there is none; {_mended(kind, row.id)}"
            found.append(Line.model_validate({"kind": kind, "required": True, "wrong": wrong}))
    return tuple(found)


def verify_attached(session: Session, release: str, objects: ObjectStore) -> Iterable[tuple[str, str]]:
    """Kind and what is wrong, of every file ever attached that is not what it was."""
    for each in session.scalars(select(EvidenceRow).where(EvidenceRow.release == release).order_by(EvidenceRow.id)):
        if each.kind in ATTACHED and (wrong := _damaged(each.digest, objects)):
            yield each.kind, wrong


def _newest(session: Session, release: str) -> dict[str, EvidenceRow]:
    rows = session.scalars(select(EvidenceRow).where(EvidenceRow.release == release).order_by(EvidenceRow.id))
    return {row.kind: row for row in rows}


def _line(row: EvidenceRow, *, required: bool) -> Line:
    columns = ("kind", "digest", "name", "who", "summary")
    held = {name: getattr(row, name) for name in columns}
    return Line.model_validate({**held, "when": aware(row.when), "required": required})


def _wrong(row: EvidenceRow, trained_by: str, policy: ReleasePolicy, objects: ObjectStore, now: datetime) -> str | None:
    limits = policy.expires_after_days
    days = limits.report if row.kind == "evaluation" else limits.evidence
    if row.kind not in OWN and (damaged := _damaged(row.digest, objects)):
        return f"{damaged}; {_mended(row.kind, row.release)}"
    if policy.separation_of_duties and row.kind in VOUCHED and same_person(row.who, trained_by):
        return (
            f"{row.who} attached it, who trained the release; somebody else must (separation of duties): "
            f"{_mended(row.kind, row.release)}"
        )
    if expired(row.when, days, now):
        age = (now - aware(row.when)) // timedelta(days=1)
        return f"it is {age} days old, and counts for {days}; {_renewed(row.kind, row.release)}"
    return _failed(row.summary, row.release) if row.kind == "unit_tests" else None


def _failed(summary: dict[str, int], release: str) -> str | None:
    bad = summary["failures"] + summary["errors"]
    if bad:
        return f"{bad} of {summary['tests']} tests failed; mend them, and {_mended('unit_tests', release)}"
    if summary["tests"] == summary["skipped"]:
        return f"not one test ran ({summary['skipped']} were skipped); {_mended('unit_tests', release)}"
    return None


def _damaged(digest: str, objects: ObjectStore) -> str | None:
    place = objects.path(digest)
    if not place.exists():
        return f"{place} is missing"
    return None if sha256_file(place) == digest else f"{place} is not what was attached"


def _mended(kind: str, release: str) -> str:
    if kind in OWN:
        return MENDED[kind]
    return f"`groundwork release attach {release[:12]} --kind {kind} --file FILE`"


def _renewed(kind: str, release: str) -> str:
    if kind in OWN:
        return f"delete the stage folder `{OWN[kind][1]}` and run `groundwork run`: a release with a fresh one"
    return _mended(kind, release)


def _summary(kind: str, file: Path) -> dict[str, int]:
    try:
        size = file.stat().st_size
        if not 0 < size <= LARGEST_BYTES:
            raise DecisionError(f"{file}: {size:,} bytes; evidence has 1 to {LARGEST_BYTES:,}.")
        return _junit(file) if kind == "unit_tests" else {}
    except OSError as exc:
        raise DecisionError(f"{file}: not readable: {exc.strerror}.") from exc


def _junit(file: Path) -> dict[str, int]:
    """Counts of a JUnit XML file, over all its suites."""
    try:
        root = ET.parse(file).getroot()  # noqa: S314  expat refuses what expands without end, and reads nothing outside
        suites = [root] if root.tag == "testsuite" else root.findall("testsuite")
        if not suites:
            raise DecisionError(f"{file}: no <testsuite>; unit_tests is a JUnit file (`pytest --junitxml=junit.xml`).")
        names = ("tests", "failures", "errors", "skipped")
        return {name: sum(int(suite.get(name, "0")) for suite in suites) for name in names}
    except (ET.ParseError, ValueError) as exc:
        raise DecisionError(f"{file}: not a JUnit file: {exc} (`pytest --junitxml=junit.xml` writes one).") from exc


def _ended(folder: Path, now: datetime) -> datetime:
    place = folder / RUN_FILE
    if not place.exists():
        return now
    try:
        run: dict[str, Any] = read_json(place)
        return datetime.fromisoformat(run["started"]).astimezone(UTC) + timedelta(seconds=float(run["seconds"]))
    except (json.JSONDecodeError, KeyError):  # of a version that noted neither
        return now
