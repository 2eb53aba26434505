"""Is a release whole, with all that hangs on it: parts, copy, base model, index, row in SQL, evidence, audit log?"""

from typing import Any

from sqlalchemy.orm import Session

from pipelines.artifacts import Workspace
from pipelines.contracts import Release
from pipelines.errors import IndexMismatchError
from pipelines.release import audit, evidence, findings, listing, verify
from pipelines.settings import Settings
from pipelines.store import ReleaseRow, Store


def verified(store: Store, workspace: Workspace, settings: Settings, wanted: str | None) -> list[dict[str, Any]]:
    """What was read of a release, or of each, and what is wrong: nothing, where `wrong` is empty."""
    rows = listing.in_states(store)
    with store.reading() as session:
        if wanted is not None:
            rows = [listing.found(session, wanted)]
        return [_verified(row, workspace, settings, session) for row in rows]


def _verified(row: ReleaseRow, workspace: Workspace, settings: Settings, session: Session) -> dict[str, Any]:
    release = Release.model_validate(row.manifest)
    checked = verify.verify_parts(release, workspace.objects)
    checked.wrong += verify.verify_identity(release)
    if (row.id, row.report_digest) != (release.id, release.parts["report"]):
        checked.add("database", "", "its row names another release or report than the manifest")
    verify.verify_copy(release, workspace, checked)
    checked.wrong += verify.verify_base_model(release, workspace.objects)
    for why in _wrong_index(release, workspace, settings):
        checked.add("index", "", why)
    for kind, why in evidence.verify_attached(session, row.id, workspace.objects):
        checked.add("evidence", kind, why)
    for why in findings.verify_rows(session, release, workspace.objects):
        checked.add("findings", "", why)
    for why in audit.verify_log(session):
        checked.add("audit", "", why)
    return {
        "release": row.id,
        "state": row.state,
        "files": checked.files,
        "size_bytes": checked.size_bytes,
        "audit": audit.newest(session),
        "wrong": [each.model_dump(mode="json") for each in checked.wrong],
    }


def _wrong_index(release: Release, workspace: Workspace, settings: Settings) -> list[str]:
    """The version that the release's index names, row by row; nothing where its stored pointer cannot be read."""
    from pipelines.retrieval import index
    from pipelines.retrieval.index_checks import verify as verify_index

    objects = workspace.objects
    held = verify.listing(objects, release.objects["index"]).get(index.POINTER)
    if held is None or not objects.has(held):
        return []  # verify_parts has said so
    pointer = index.IndexPointer.model_validate_json(objects.path(held).read_text(encoding="utf-8"))
    try:
        wrong = verify_index(index.place_of(workspace.state, settings.index), pointer)
    except IndexMismatchError as exc:
        wrong = [str(exc)]
    return [f"{each} (`groundwork index restore {pointer.tag[:12]}` rebuilds it)" for each in wrong]
