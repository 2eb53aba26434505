"""The doors of `groundwork index`: versions listed, compared, restored, verified, compacted, dropped.

Rooms composed: what the index holds (retrieval) beside what uses it (the stage `embed`, releases).
"""

from collections import defaultdict
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines.contracts import Release
from pipelines.errors import IndexMismatchError
from pipelines.retrieval import index, index_versions
from pipelines.settings import actor
from pipelines.verbs import database
from pipelines.workspaces import Choices, Opened, open_workspace

NEEDED = ("production", "previous", "approved", "pending")
"""States of releases whose index must stay."""


def listed(choices: Choices) -> list[dict[str, Any]]:
    """A line a version, newest first: what it was made of, how large it is, and what uses it."""
    opened = open_workspace(choices)
    users = _users(opened)
    lines = []
    for each in index_versions.versions(_place(opened)):
        plain = each.pointer.model_dump(mode="json", include={"tag", "table", "rows", "model", "precision"})
        lines.append({**plain, "made": each.made, "size_bytes": each.size_bytes, "used_by": users[each.pointer.tag]})
    return lines


def compared(choices: Choices, old: str, new: str) -> dict[str, Any]:
    """Chunks added, removed, changed and kept from one version to another, in all and by document."""
    opened = open_workspace(choices)
    place = _place(opened)
    found = index_versions.versions(place)
    before, after = (index_versions.named(found, name, _current(opened)) for name in (old, new))
    documents = index_versions.difference(place, before, after)
    totals = {name: sum(asdict(each)[name] for each in documents.values()) for name in ("added", "removed", "changed")}
    return {
        "old": before.pointer.tag,
        "new": after.pointer.tag,
        "same_model": before.pointer.space == after.pointer.space,
        "chunks": totals,
        "documents": [{"uri": uri, **asdict(each)} for uri, each in documents.items()],
    }


def restored(choices: Choices, name: str) -> dict[str, Any]:
    """Make searches answer from a version again (`current`: lift that), after it was checked and, if need be, rebuilt.

    Raises IndexMismatchError for a version of another embedding model, or one that is damaged without its vectors.
    """
    from pipelines.retrieval.embedder import Embedder
    from pipelines.retrieval.index_checks import verify

    opened = open_workspace(choices)
    state, place, current = opened.workspace.state, _place(opened), _current(opened)
    pointer = _pointer_of(opened, name, current)
    if pointer.space != Embedder(opened.settings.embedding).space:
        raise IndexMismatchError(
            f"The version {pointer.tag[:12]} was built with {pointer.model}; the settings name another embedding "
            "model, prefix or length. Set `embedding` back first."
        )
    wrong = verify(place, pointer)
    if wrong and not index_versions.rebuild(state, pointer, _folders(opened), opened.settings):
        raise IndexMismatchError(
            f"The version {pointer.tag[:12]} is not whole ({'; '.join(wrong)}), and its vectors are kept in no stage "
            "folder and no release: it cannot be rebuilt. `groundwork index list` shows the others."
        )
    if current is not None and pointer.tag == current.tag:
        index_versions.lift(state)
    else:
        index_versions.pin(state, pointer, by=actor(), when=datetime.now(UTC))
    pinned = index_versions.pinned(state) is not None
    return {"tag": pointer.tag, "rows": pointer.rows, "rebuilt": bool(wrong), "mended": wrong, "pinned": pinned}


def verified(choices: Choices, name: str | None) -> list[dict[str, Any]]:
    """What is wrong with a version, or with each: nothing, where `wrong` is empty."""
    from pipelines.retrieval.index_checks import verify

    opened = open_workspace(choices)
    place = _place(opened)
    found = index_versions.versions(place)
    chosen = [index_versions.named(found, name, _current(opened))] if name else found
    known = {each.pointer.tag for each in chosen}
    pointers = [each.pointer for each in chosen]
    current = _current(opened)
    if name is None and current is not None and current.tag not in known:
        pointers.insert(0, current)
    if not pointers:
        raise IndexMismatchError("The workspace has no index yet; run `groundwork run` or `groundwork index build`.")
    return [{"tag": each.tag, "rows": each.rows, "wrong": verify(place, each)} for each in pointers]


def compacted(choices: Choices) -> dict[str, Any]:
    """The tables that were compacted, and what they take now."""
    place = _place(open_workspace(choices))
    return {"tables": [{"table": t, "size_bytes": index.size_bytes(place, t)} for t in index_versions.compact(place)]}


def pruned(choices: Choices, keep: int) -> dict[str, Any]:
    """The versions that were dropped: beyond the newest `keep`, and used by nothing."""
    opened = open_workspace(choices)
    gone = index_versions.prune(_place(opened), keep, set(_users(opened)))
    return {"dropped": [each.pointer.tag for each in gone]}


def searched_folder(opened: Opened) -> Path:
    """The folder whose index searches by hand follow; a restored version is said."""
    from pipelines.console import say

    pin = index_versions.pinned(opened.workspace.state)
    if pin is not None:
        say(
            f"The restored version {pin.pointer.tag[:12]} answers (by {pin.by}, {pin.when:%Y-%m-%d %H:%M}); "
            "`groundwork index restore current` goes back to the newest."
        )
    return index_versions.served(opened.workspace.state, opened.workspace.stage("embed"), opened.settings)


def _place(opened: Opened) -> index.Place:
    return index.place_of(opened.workspace.state, opened.settings.index)


def _current(opened: Opened) -> index.IndexPointer | None:
    try:
        return index.load_pointer(opened.workspace.stage("embed"))
    except IndexMismatchError:
        return None


def _pointer_of(opened: Opened, name: str, current: index.IndexPointer | None) -> index.IndexPointer:
    """The version's pointer: of the index, else of a stage folder or release that can rebuild it."""
    try:
        return index_versions.named(index_versions.versions(_place(opened)), name, current).pointer
    except IndexMismatchError:
        wanted = current.tag if name == index_versions.CURRENT and current is not None else name
        kept = {p.tag: p for p in map(index.load_pointer, _folders(opened)) if p.tag.startswith(wanted)}
        if len(kept) != 1:
            raise
        return next(iter(kept.values()))


def _folders(opened: Opened) -> list[Path]:
    """Folders with a version's vectors: the stage's, and those of releases."""
    folders = [opened.workspace.stage("embed"), *_releases(opened).values()]
    return [folder for folder in folders if (folder / index.POINTER).exists()]


def _users(opened: Opened) -> defaultdict[str, list[str]]:
    """What uses each version, by tag."""
    users: defaultdict[str, list[str]] = defaultdict(list)
    current, pin = _current(opened), index_versions.pinned(opened.workspace.state)
    if current is not None:
        users[current.tag].append("stage embed")
    if pin is not None:
        users[pin.pointer.tag].append("restored")
    for release, folder in _releases(opened).items():
        users[index.load_pointer(folder).tag].append(release)
    return users


def _releases(opened: Opened) -> dict[str, Path]:
    """The folder with the index of each release that may serve, by its state and id, from the object store."""
    from pipelines.release.listing import in_states
    from pipelines.release.manifest import materialise

    store = database(opened)
    try:
        rows = in_states(store, *NEEDED)
    finally:
        store.close()
    return {
        f"{row.state} {row.id[:12]}": materialise(Release.model_validate(row.manifest), opened.workspace) / "index"
        for row in rows
    }
