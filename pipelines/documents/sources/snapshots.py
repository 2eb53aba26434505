"""What was fetched of a source, as it lies on this machine: `state/sources/ID/`.

`files.jsonl` lists the files by content alone (uri, sha256, size, or why there is none); a stage's key and DVC look at
it. `origin.json` says where each came from, its ETag, and when the content last changed. The bytes are in the object
store. Beside the folder: `ID.checked.json`, when the source was last asked and what came of it.
Invariants: the listing is what is read, and is replaced whole by rename, last; a reader never finds it missing; equal
content leaves both files byte for byte as they are. A crash between the two is mended by the next refresh.
Not covered: fetching (documents/fetching/).
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from pipelines.artifacts import ObjectStore, read_json, write_json, write_text
from pipelines.contracts import Contract
from pipelines.documents.sources.folders import Source
from pipelines.documents.sources.locations import Location
from pipelines.errors import SourceError

LISTING = "files.jsonl"
ORIGIN = "origin.json"


class Entry(Contract):
    """A file of a source: a page, an object, a blob."""

    at: str
    """Its address there."""
    uri: str
    size_bytes: int = 0
    sha256: str | None = None
    """None: `refused` says why."""
    refused: str | None = None
    tag: str | None = None
    """ETag or blob id: what tells whether it changed."""
    modified: str | None = None
    """Last-Modified, as it was given."""
    followed: bool = True
    """Whether the links of a page may be followed; only its headers say so, and an unchanged page has none."""
    kept_because: str | None = None
    """Why it could not be asked for again: these are the bytes of last time."""


class Snapshot(Contract):
    """A source as it was fetched. `changed`: when its content last did (UTC)."""

    source: str
    kind: str
    changed: str
    revision: str | None = None
    """Of a repository: the commit."""
    notes: dict[str, Any] = Field(default_factory=dict)
    """What was left out, and why."""
    entries: tuple[Entry, ...] = ()

    @property
    def files(self) -> int:
        """How many have content."""
        return sum(entry.sha256 is not None for entry in self.entries)

    @property
    def size_bytes(self) -> int:
        """Of the files that have content."""
        return sum(entry.size_bytes for entry in self.entries if entry.sha256 is not None)

    @property
    def refused(self) -> int:
        """How many have none."""
        return len(self.entries) - self.files


class Checked(Contract):
    """When a source was last asked (UTC), and what came of it."""

    at: str
    outcome: str


def folder_of(location: Location, state: Path) -> Path:
    """Where the snapshot of a source is."""
    return state / "sources" / location.id


def listing_of(location: Location, state: Path) -> Path:
    """The file that a snapshot's content is known by, whether or not it is there."""
    return folder_of(location, state) / LISTING


def fetched(location: Location, state: Path) -> Path:
    """The same, of a source that was fetched. Raises SourceError when it was not."""
    place = listing_of(location, state)
    if not place.exists():
        raise SourceError(
            f"{location.address}: not fetched yet. `groundwork sources refresh` does so; `groundwork run` and "
            "`groundwork index build` begin with it."
        )
    return place


def sources_of(location: Location, state: Path) -> Iterator[Source]:
    """The files of a snapshot. Raises SourceError when there is none, or it is damaged."""
    place = fetched(location, state)
    store = ObjectStore(state / "objects")
    try:
        rows = [json.loads(line) for line in place.read_text(encoding="utf-8").split("\n") if line]
        for row in rows:
            path = store.path(row["sha256"]) if row["sha256"] else place
            gone = None if path.exists() else "its bytes are gone from the object store: `groundwork sources refresh`"
            yield Source(row["uri"], path, row["size_bytes"], row["refused"] or gone)
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise SourceError(f"{place}: this snapshot is damaged ({exc}); run `groundwork sources refresh`.") from exc


def read(location: Location, state: Path) -> Snapshot | None:
    """The last good snapshot, or None."""
    try:
        return Snapshot.model_validate_json((folder_of(location, state) / ORIGIN).read_bytes())
    except (OSError, ValidationError):
        return None


def write(location: Location, state: Path, fresh: Snapshot) -> bool:
    """Put a snapshot in the place of the last. False: the content is the same, and the listing was not touched."""
    folder, place = folder_of(location, state), listing_of(location, state)
    last = read(location, state)
    text = listing_text(fresh.entries)
    same = place.exists() and place.read_text(encoding="utf-8") == text
    if last is not None and same:
        fresh = fresh.model_copy(update={"changed": last.changed})
    if fresh != last:
        write_json(folder / ORIGIN, fresh)
    if not same:
        write_text(place, text)
    return not same


def listing_text(entries: Sequence[Entry]) -> str:
    """The content of `files.jsonl`: sorted by uri, nothing that says when or where from."""
    rows = [entry.model_dump(include={"uri", "size_bytes", "sha256", "refused"}) for entry in entries]
    return "".join(json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n" for row in rows)


def read_checked(location: Location, state: Path) -> Checked | None:
    """When the source was last asked, or None."""
    try:
        return Checked.model_validate(read_json(_checked_place(location, state)))
    except (OSError, ValueError):
        return None


def write_checked(location: Location, state: Path, checked: Checked) -> None:
    """Note when the source was asked."""
    write_json(_checked_place(location, state), checked)


def _checked_place(location: Location, state: Path) -> Path:
    folder = folder_of(location, state)
    return folder.with_name(f"{folder.name}.checked.json")
