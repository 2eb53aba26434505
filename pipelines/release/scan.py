"""A release in use, attacked anew: the red team by the clock.

The lifecycle attacks each candidate once, and equal inputs give equal attempts. A release stays in production for weeks
in which attackers learn; a scan puts the attacks of the day to it, as it is served out of the object store, and draws
other mutations every day (the seed is the date). Answers that are kept cost nothing.

What gets through is a finding of the release (findings.py): it holds up one that is pending, and is overdue in one that
is in production, until somebody waives it.
Invariants: a scan touches neither stage folders nor the release's parts; its folder `state/scans/NAME` appears whole or
not at all; the same day, attacks and settings are the same scan, which is made once. Its findings and the audit row
that names it are one transaction, made up for at the next call after a kill; its folder is stored with them.
Limits: the gate does not read scans: its items are those of the release's own report.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from pipelines.artifacts import StageJob, Workspace, read_json, replacing, sha256_file, write_json
from pipelines.contracts import Contract, Release, content_id
from pipelines.evaluation import redteam
from pipelines.release import findings
from pipelines.release.manifest import materialise, serving_settings
from pipelines.settings import Settings, resolve
from pipelines.store import AuditRow, Store

Report = Callable[[int, int, str], None]
SCAN = "scan.json"
"""What a scan was, beside its report."""


class Scan(Contract):
    """One scan of a release."""

    release: str
    day: date
    digest: str
    """Of the release, day, attacks and settings."""
    attacks: int
    """Plain attacks that were put."""
    succeeded: int
    attempts: int
    """Mutated attacks that were put."""
    broken: tuple[str, ...]
    """Ids of the attacks that a mutation of theirs got through."""


class Scanned(Contract):
    """A scan and where it lies. `new` False: it had been made before."""

    scan: Scan
    folder: Path
    new: bool
    opened: tuple[str, ...]
    """Ids of the findings that the release did not have before this call."""


def scan(
    release: Release, workspace: Workspace, settings: Settings, store: Store, *, by: str, day: date, report: Report
) -> Scanned:
    """Attack a release with the mutations of a day; a scan that was made before is given again.

    `settings`: those of this machine, of which the attacks and their budget count; the rest is the release's own.
    """
    served = materialise(release, workspace)
    files = {"attacks": resolve(settings.files.attacks)}
    if settings.redteam.regressions is not None:
        files["regressions"] = resolve(settings.redteam.regressions)
    of_day = _of_day(serving_settings(served, settings), day)
    digest = content_id(
        release.id,
        day.isoformat(),
        {name: sha256_file(path) for name, path in files.items()},
        of_day.redteam.model_dump(mode="json", exclude={"regressions"}),
    )
    folder = workspace.state / "scans" / f"{day:%Y-%m-%d}-{release.id[:12]}-{digest[:8]}"
    new = not (folder / SCAN).exists()
    if new:
        with replacing(folder) as fresh:
            fresh.mkdir(parents=True)
            job = StageJob(
                settings=of_day,
                inputs={**_release_parts(served), **files},
                output=fresh,
                previous=None,
                state=workspace.state,
                report=report,
            )
            redteam.attack(job, redteam.opener(job))
            write_json(fresh / SCAN, _told(read_json(fresh / "redteam.json"), release, day, digest))
    done = Scan.model_validate(read_json(folder / SCAN))
    opened = _written_down(done, release, workspace.objects.put(folder), workspace, store, by=by)
    return Scanned(scan=done, folder=folder, new=new, opened=opened)


def _written_down(
    done: Scan, release: Release, stored: str, workspace: Workspace, store: Store, *, by: str
) -> tuple[str, ...]:
    """The findings that the release did not have; nothing is written of a scan that the audit log knows."""
    with store.deciding() as session:
        rows = session.scalars(select(AuditRow).where(AuditRow.action == "scan", AuditRow.subject == release.id))
        if any(row.detail["digest"] == done.digest for row in rows):
            return ()
        findings.write_down(session, release, workspace.objects)
        opened = findings.write_down(session, release, workspace.objects, scan=stored)
        detail = {**done.model_dump(mode="json"), "stored": stored, "opened": opened}
        store.audit(session, who=by, action="scan", subject=release.id, detail=detail)
        return opened


def today(now: datetime | None = None) -> date:
    """The day that a scan is named after, in UTC."""
    return (now or datetime.now(UTC)).date()


def _of_day(settings: Settings, day: date) -> Settings:
    mutations = settings.redteam.mutations.model_copy(update={"seed": int(f"{day:%Y%m%d}")})
    return settings.model_copy(update={"redteam": settings.redteam.model_copy(update={"mutations": mutations})})


def _release_parts(served: Path) -> dict[str, Path]:
    """A release's folder under the names by which the stage knows its inputs."""
    return {
        "train": served,
        "embed": served / "index",
        "evaluate": served / "report",
        "prompt": served / "prompt.yaml",
        "guardrails": served / "guardrails.yaml",
    }


def _told(report: dict[str, Any], release: Release, day: date, digest: str) -> Scan:
    plain, mutated = report["attack_success"], report["mutations"]
    return Scan(
        release=release.id,
        day=day,
        digest=digest,
        attacks=plain["n"],
        succeeded=plain.get("successes", 0),
        attempts=mutated["attempts"],
        broken=mutated["broken"],
    )
