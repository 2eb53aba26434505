"""Which release a candidate is compared with.

`state/champion.json` is a projection of the SQL decision: the release in production, its system, and
the reference that it was itself compared with. Invariant: approving the candidate does not change what
it is compared with, so that no stage runs again because of an approval.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select

from pipelines.artifacts import Workspace, read_json, write_json
from pipelines.contracts import Release
from pipelines.release.manifest import candidate_system, materialise
from pipelines.settings import Settings
from pipelines.store import ReleaseRow, Store

CHAMPION = "champion.json"


@dataclass(frozen=True)
class Reference:
    """A release to compare with, and the folder of its parts."""

    release: str
    folder: Path


def champion(workspace: Workspace) -> dict[str, Any] | None:
    """The projection, or None when nothing is in production."""
    place = workspace.state / CHAMPION
    return read_json(place) if place.exists() else None


def reference(workspace: Workspace, settings: Settings, store: Store) -> Reference | None:
    """What the candidate in the stage folders is compared with; None: the base model."""
    current = champion(workspace)
    if current is None:
        return None
    same = current["system"] == candidate_system(workspace, settings)
    wanted = current["reference"] if same else current["release"]
    if wanted is None:
        return None
    with store.reading() as session:
        row = session.get(ReleaseRow, wanted)
        if row is None:
            return None
        manifest = Release.model_validate(row.manifest)
    return Reference(wanted, materialise(manifest, workspace))


def project(workspace: Workspace, store: Store) -> dict[str, Any] | None:
    """Write champion.json from SQL; nothing is touched when it says so already."""
    with store.reading() as session:
        row = session.scalar(select(ReleaseRow).where(ReleaseRow.state == "production"))
        wanted = None
        if row is not None:
            wanted = {"release": row.id, "system": row.manifest["system"], "reference": row.against}
    place = workspace.state / CHAMPION
    if wanted is None:
        place.unlink(missing_ok=True)
    elif champion(workspace) != wanted:
        write_json(place, wanted)
    return wanted
