"""A judged candidate -> a release that waits for a reviewer (or is kept as rejected).

Idempotent by release id. PASS and INCONCLUSIVE become `pending` (the latter with a warning that is shown again at
approval, as is a prompt whose version stood for another text before), FAIL becomes `rejected`. An older pending
release of the same line is left to its reviewer: with several, `approve` asks which.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pipelines.artifacts import STAGE_FILE, Workspace, read_json
from pipelines.contracts import Decision, Release
from pipelines.errors import PolicyError
from pipelines.release import findings, prompt_history
from pipelines.release.evidence import own_rows
from pipelines.release.listing import kind_of_row
from pipelines.release.manifest import manifest_of, store_parts
from pipelines.release.policy import load_policy
from pipelines.settings import Settings
from pipelines.store import ReleaseRow, Store


@dataclass(frozen=True)
class Registered:
    """What came of registering."""

    release: Release
    state: str
    verdict: str
    warning: str | None
    new: bool
    open_findings: int
    """Attacks that got through and hold up its approval."""
    kind: str
    """Of the parts that differ from those of the release that was in production then (kinds.py)."""


def registered(workspace: Workspace, settings: Settings, store: Store) -> Registered | None:
    """The release that the stage folders make, if it is registered already. Reads no data."""
    release = manifest_of(workspace, settings)
    with store.reading() as session:
        row = session.get(ReleaseRow, release.id)
        return None if row is None else _registered(session, row, settings, new=False)


def register(workspace: Workspace, settings: Settings, store: Store, *, against: str | None) -> Registered:
    """Store the parts and write the release down in one transaction."""
    known = registered(workspace, settings, store)
    if known is not None:
        return known
    decision = read_decision(workspace)
    release = store_parts(manifest_of(workspace, settings), workspace, settings)
    state = "rejected" if decision.verdict == "FAIL" else "pending"
    told = [f"The gate could not tell: {decision.why}"] if decision.verdict == "INCONCLUSIVE" else []
    told += prompt_history.warnings(prompt_history.used(store, workspace.objects), release, workspace.objects)
    now = datetime.now(UTC)
    with store.deciding() as session:
        row = session.get(ReleaseRow, release.id)
        if row is not None:  # another process was faster
            return _registered(session, row, settings, new=False)
        current = session.scalar(select(ReleaseRow.id).where(ReleaseRow.state == "production"))
        release = release.model_copy(update={"succeeds": current})
        number = (session.scalar(select(func.max(ReleaseRow.number))) or 0) + 1
        row = ReleaseRow(
            id=release.id,
            number=number,
            state=state,
            verdict=decision.verdict,
            warning=" ".join(told) or None,
            manifest=release.model_dump(mode="json"),
            report_digest=release.parts["report"],
            against=against,
            trained_by=release.trained_by,
            created=now,
            changed=now,
        )
        session.add(row)
        session.flush()  # its evidence names it
        session.add_all(own_rows(release, workspace, who=release.trained_by, now=now))
        found = findings.write_down(session, release, workspace.objects)
        detail = {"verdict": decision.verdict, "state": state, "findings": len(found)}
        store.audit(session, who=release.trained_by, action="register", subject=release.id, detail=detail)
        session.flush()
        return _registered(session, row, settings, new=True)


def read_decision(workspace: Workspace) -> Decision:
    """The gate's decision. Raises PolicyError when the gate has not run."""
    folder = workspace.stage("gate")
    if not (folder / STAGE_FILE).exists():
        raise PolicyError(f"{folder} holds no decision; run `groundwork stage gate` first.")
    return Decision.model_validate(read_json(folder / "decision.json"))


def _registered(session: Session, row: ReleaseRow, settings: Settings, *, new: bool) -> Registered:
    held = findings.of_release(session, row, load_policy(settings.policies.release), datetime.now(UTC))
    return Registered(
        release=Release.model_validate(row.manifest),
        state=row.state,
        verdict=row.verdict,
        warning=row.warning,
        new=new,
        open_findings=sum(each.holds_up for each in held),
        kind=kind_of_row(session, row),
    )
