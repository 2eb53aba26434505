"""Versions of the index, for people: list, compare, serve an older one again, compact, drop what nobody needs.

A version that was restored is pinned: `state/restored.json` names it, and what searches a workspace by hand follows
it. Invariants: a pin changes no stage folder and no release, so that stages stay what their keys say; one
maintenance writer at a time; no version that somebody uses is dropped.
Not covered: whether a version is whole (index_checks.py).
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.artifacts import read_json, write_json
from pipelines.contracts import Contract
from pipelines.errors import IndexMismatchError
from pipelines.retrieval.index import (
    POINTER,
    VECTORS,
    VENDOR_ERRORS,
    VERSIONS,
    IndexPointer,
    Place,
    connect,
    explained,
    names_of,
    place_of,
    tagged,
    writing,
)
from pipelines.retrieval.index_writing import KEEP, index_rows, restore, trying_again
from pipelines.settings import Settings

CURRENT = "current"
"""What the stage folder `embed` names, whatever is pinned."""
READ_AT_ONCE = 8_192
MARGIN = timedelta(minutes=1)
"""LanceDB cleans by age: versions that are so much older than the oldest kept one are certain not to be it."""


@dataclass(frozen=True)
class Version:
    """A tagged version of a table."""

    pointer: IndexPointer
    made: str
    """When, in UTC (ISO 8601)."""
    number: int
    """LanceDB's own number of it."""
    size_bytes: int
    """Of its rows and indices; versions share what they have in common."""


class Pin(Contract):
    """state/restored.json: the version that searches by hand are answered from, until it is lifted."""

    pointer: IndexPointer
    by: str
    when: datetime


@dataclass(frozen=True)
class Difference:
    """Chunks of a document, or of all, from one version to another."""

    added: int = 0
    removed: int = 0
    changed: int = 0
    """The same text with other headings, labels, date or standing."""
    kept: int = 0


# --- what is there ---------------------------------------------------------------------------


def versions(place: Place) -> list[Version]:
    """Every tagged version that says what it was made of, newest first."""
    try:
        connection = connect(place)
        names = names_of(connection)
        if VERSIONS not in names:
            return []
        rows = connection.open_table(VERSIONS).search().select(["name", "pointer", "made"]).limit(1_000_000).to_arrow()
        written = {row["name"]: row for row in rows.to_pylist()}
        found = []
        for name in {row.partition("/")[0] for row in written} & set(names):
            table = connection.open_table(name)
            for tag, held in table.tags.list().items():
                if f"{name}/{tag}" in written:
                    table.checkout(tag)
                    row = written[f"{name}/{tag}"]
                    pointer = IndexPointer.model_validate_json(row["pointer"])
                    size = int(table.stats()["total_bytes"])
                    found.append(Version(pointer, row["made"], int(held["version"]), size))
        return sorted(found, key=lambda each: (each.made, each.number), reverse=True)
    except VENDOR_ERRORS as exc:
        raise IndexMismatchError(f"The index in {place.root} cannot be read: {exc}") from exc


def named(found: Sequence[Version], name: str, current: IndexPointer | None) -> Version:
    """The version of a tag, of the unique beginning of one, or of `current`.

    Raises IndexMismatchError that names what there is.
    """
    if name == CURRENT and current is None:
        raise IndexMismatchError("The workspace has no index yet; run `groundwork run` or `groundwork index build`.")
    wanted = current.tag if name == CURRENT and current is not None else name
    fits = [each for each in found if each.pointer.tag.startswith(wanted)] if wanted else []
    if len(fits) == 1:
        return fits[0]
    there = ", ".join(each.pointer.tag[:12] for each in found) or "none"
    why = "is not unique" if fits else "is not in the index"
    raise IndexMismatchError(f"The version {name!r} {why}; there are: {there} (`groundwork index list`).")


def difference(place: Place, old: Version, new: Version) -> dict[str, Difference]:
    """By document (uri): chunks added, removed, changed and kept; documents without a difference are left out.

    A chunk is known by its id; one whose document was edited elsewhere has another id and the same text, and is kept.
    """
    before, after = _rows(place, old.pointer), _rows(place, new.pointer)
    both = {name for name in before.keys() & after.keys() if before[name] == after[name]}
    texts = [_texts(place, each.pointer, rows.keys() - both) for each, rows in ((old, before), (new, after))]
    kept = Counter(after[name][0] for name in both)
    gone, come = (_by_uri(side) for side in texts)
    found = {uri: _compared(gone[uri], come[uri], kept[uri]) for uri in sorted({*gone, *come})}
    return {uri: each for uri, each in found.items() if each.added or each.removed or each.changed}


def _by_uri(rows: Mapping[str, tuple[str, str, str]]) -> defaultdict[str, list[tuple[str, str]]]:
    found: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for uri, text, seen in rows.values():
        found[uri].append((text, seen))
    return found


def _compared(gone: Sequence[tuple[str, str]], come: Sequence[tuple[str, str]], kept: int) -> Difference:
    """`gone`, `come`: text and what else is seen of a document's chunks that are not the same row."""
    same = sum((Counter(gone) & Counter(come)).values())
    alike = sum((Counter(text for text, _ in gone) & Counter(text for text, _ in come)).values())
    return Difference(len(come) - alike, len(gone) - alike, alike - same, kept + same)


def _rows(place: Place, pointer: IndexPointer) -> dict[str, tuple[str, str]]:
    """Of each chunk its uri and digest, by id."""
    found: dict[str, tuple[str, str]] = {}
    for part in parts(place, pointer, "id", "uri", "row_digest"):
        columns = (part.column(name).to_pylist() for name in ("id", "uri", "row_digest"))
        found |= {name: (uri, digest) for name, uri, digest in zip(*columns, strict=True)}
    return found


def _texts(place: Place, pointer: IndexPointer, wanted: set[str]) -> dict[str, tuple[str, str, str]]:
    """Of some chunks uri, text and what else a reader would see of them, by id."""
    found: dict[str, tuple[str, str, str]] = {}
    seen = ("title", "heading_path", "language", "date", "tenant", "labels", "superseded", "page")
    if wanted:
        for part in parts(place, pointer, "id", "uri", "text", *seen):
            for row in part.to_pylist():
                if row["id"] in wanted:
                    found[row["id"]] = (row["uri"], row["text"], repr([row[name] for name in seen]))
    return found


def parts(place: Place, pointer: IndexPointer, *columns: str) -> Any:
    """Columns of every row of a version, those that its layout has, `READ_AT_ONCE` rows at a time.

    Raises IndexMismatchError.
    """
    try:
        table = connect(place).open_table(pointer.table)
        table.checkout(pointer.tag)
        there = [name for name in columns if name in table.schema.names]
        query = table.search().select(there).limit(max(1, table.count_rows()))
        yield from (pa.Table.from_batches([each]) for each in query.to_batches(READ_AT_ONCE))
    except VENDOR_ERRORS as exc:
        raise IndexMismatchError(
            f"The version {pointer.tag[:12]} cannot be read ({exc}). `groundwork index restore {pointer.tag[:12]}` "
            "rebuilds it, where its vectors are still kept."
        ) from exc


# --- serving an older one --------------------------------------------------------------------


def pinned(state: Path) -> Pin | None:
    """The pin, or None. Raises IndexMismatchError for one that cannot be read."""
    place = state / "restored.json"
    if not place.exists():
        return None
    try:
        return Pin.model_validate(read_json(place))
    except (OSError, ValueError) as exc:
        raise IndexMismatchError(f"{place} cannot be read ({exc}); run `groundwork index restore current`.") from exc


def served(state: Path, stage: Path, settings: Settings) -> Path:
    """The folder whose index.json searches by hand follow: that of the pin, else the stage's.

    Raises IndexMismatchError when the pinned version is gone.
    """
    pin = pinned(state)
    if pin is None:
        return stage
    if not tagged(place_of(state, settings.index), pin.pointer):
        raise IndexMismatchError(
            f"The restored version {pin.pointer.tag[:12]} is no longer in the index. `groundwork index restore "
            f"{pin.pointer.tag[:12]}` rebuilds it, or `groundwork index restore current` goes back to the newest."
        )
    folder = _folder(state, pin.pointer)
    if not (folder / POINTER).exists():
        write_json(folder / POINTER, pin.pointer)
    return folder


def pin(state: Path, pointer: IndexPointer, *, by: str, when: datetime) -> Pin:
    """Serve a version until the pin is lifted."""
    made = Pin(pointer=pointer, by=by, when=when)
    write_json(_folder(state, pointer) / POINTER, pointer)
    write_json(state / "restored.json", made)
    return made


def lift(state: Path) -> None:
    """Serve what the stage folder names again."""
    (state / "restored.json").unlink(missing_ok=True)


def rebuild(state: Path, pointer: IndexPointer, folders: Sequence[Path], settings: Settings) -> bool:
    """Write every row of a version anew, from the first folder that holds its vectors; False: none does."""
    for folder in folders:
        if (folder / VECTORS).exists() and read_json(folder / POINTER)["tag"] == pointer.tag:
            restore(state, folder, settings, anew=True)
            return True
    return False


def _folder(state: Path, pointer: IndexPointer) -> Path:
    return state / "restored" / pointer.tag


# --- upkeep ----------------------------------------------------------------------------------


def compact(place: Place) -> list[str]:
    """Merge small files and take new rows into the indices, a table at a time; tags of the newest rows move along.

    Gives the tables. Raises StageError when the index cannot be written; the versions are untouched then.
    """
    try:
        with writing(place):
            connection = connect(place)
            tables = sorted({each.pointer.table for each in versions(place)})
            for name in tables:
                trying_again(lambda name=name: _compact(connection.open_table(name)))  # type: ignore[misc]
            if VERSIONS in names_of(connection):
                connection.open_table(VERSIONS).optimize(cleanup_older_than=timedelta(days=1))
            return tables
    except VENDOR_ERRORS as exc:
        raise explained(place, exc) from exc


def _compact(table: Any) -> None:
    before = table.version
    rows = table.count_rows()
    index_rows(table, grew=True)
    if table.count_rows() == rows:  # the same rows under another number: readers of the old one keep it
        for tag, held in table.tags.list().items():
            if int(held["version"]) == before:
                table.tags.update(tag, table.version)


def prune(place: Place, keep: int, used: set[str]) -> list[Version]:
    """Drop versions beyond the newest `keep`, but none that is `used` (tags); gives those that went.

    Files go that only versions older than every kept one of their table (by `MARGIN`) need; tables without a version go
    whole. Raises StageError when the index cannot be written.
    """
    try:
        with writing(place):
            found = versions(place)
            gone = [each for number, each in enumerate(found) if number >= keep and each.pointer.tag not in used]
            kept = [each for each in found if each not in gone]
            connection = connect(place)
            for name in {each.pointer.table for each in gone}:
                trying_again(lambda name=name: _drop(connection, name, gone, kept))  # type: ignore[misc]
            return gone
    except VENDOR_ERRORS as exc:
        raise explained(place, exc) from exc


def _drop(connection: Any, name: str, gone: Sequence[Version], kept: Sequence[Version]) -> None:
    stay = [each.number for each in kept if each.pointer.table == name]
    mine = [each for each in gone if each.pointer.table == name]
    if not stay:
        connection.drop_table(name)
    else:
        table = connection.open_table(name)
        for tag in {each.pointer.tag for each in mine} & table.tags.list().keys():
            table.tags.delete(tag)
        index_rows(table, grew=True)  # what takes time, before an age is told
        first = next(each["timestamp"] for each in table.list_versions() if each["version"] == min(stay))
        table.optimize(cleanup_older_than=min(datetime.now(first.tzinfo) - first + MARGIN, KEEP))
    written = connection.open_table(VERSIONS)
    for each in mine:
        written.delete(f"name = '{name}/{each.pointer.tag}'")
