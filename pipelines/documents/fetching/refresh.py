"""Remote sources -> snapshots brought up to date.

Invariants: the last good snapshot stays until a whole new one is written; an unchanged source leaves it byte for byte
as it is; two processes do not fetch one source at once. Without a remote source nothing is imported and nothing asked.
"""

import importlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock

from pipelines.artifacts import ObjectStore
from pipelines.documents.fetching.job import Fetched, Job, Journal, Report
from pipelines.documents.sources import snapshots
from pipelines.documents.sources.locations import KINDS, Location, redacted
from pipelines.documents.sources.snapshots import Checked, Entry, Snapshot
from pipelines.errors import SourceError
from pipelines.settings import Settings

ABANDONED_S = 24 * 3600
"""A file that a killed process was writing is cleared away after this time."""


@dataclass(frozen=True)
class Refreshed:
    """What came of asking a source. `asked`: False when it was asked recently enough."""

    source: str
    asked: bool
    changed: bool
    files: int
    refused: int
    size_bytes: int
    seconds: float
    notes: dict[str, Any]

    @property
    def told(self) -> str:
        """In a line."""
        what = ("changed" if self.changed else "unchanged") if self.asked else "asked recently"
        notes = "".join(f"; {name}: {value}" for name, value in self.notes.items())
        refused = f", {self.refused} refused" if self.refused else ""
        return f"{self.source}: {what}, {self.files} files{refused}, {self.seconds:.1f} s{notes}"


def refresh(
    locations: Iterable[Location],
    settings: Settings,
    state: Path,
    report: Report,
    *,
    now: datetime,
    force: bool = False,
) -> list[Refreshed]:
    """Bring the snapshots of remote sources up to date, one after another.

    `force`: asks even a source that was asked within `sources.refresh_after_s`. Raises SourceError naming each source
    that could not be had, after the others were brought up to date.
    """
    done, failed = [], []
    for location in {each.id: each for each in locations if each.remote}.values():
        try:
            done.append(_refresh_one(location, settings, state, report, now, force))
        except SourceError as exc:
            failed.append(str(exc))
    if failed:
        raise SourceError("\n".join(failed))
    return done


def _refresh_one(
    location: Location, settings: Settings, state: Path, report: Report, now: datetime, force: bool
) -> Refreshed:
    started = time.monotonic()
    locks = state / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with FileLock(locks / f"source-{location.id}.lock"):
        last = snapshots.read(location, state)
        recent = _recent(snapshots.read_checked(location, state), settings.sources.refresh_after_s, now)
        if last is not None and recent and not force:
            return _refreshed(last, 0.0, asked=False, changed=False)
        report(0, 0, f"asking {location.address}")
        try:
            fresh = _fetched(location, settings, state, last, report, now)
        except SourceError as exc:
            why = redacted(str(exc))
            snapshots.write_checked(location, state, Checked(at=now.isoformat(timespec="seconds"), outcome=why))
            raise SourceError(f"{location.address}: {why} {_what_stays(last)}") from exc
        changed = snapshots.write(location, state, fresh)
        outcome = "changed" if changed else "unchanged"
        snapshots.write_checked(location, state, Checked(at=now.isoformat(timespec="seconds"), outcome=outcome))
        _journal_place(location, state).unlink(missing_ok=True)
    return _refreshed(fresh, time.monotonic() - started, asked=True, changed=changed)


def _fetched(
    location: Location, settings: Settings, state: Path, last: Snapshot | None, report: Report, now: datetime
) -> Snapshot:
    store = ObjectStore(state / "objects")
    _clear_abandoned(store, now)
    path = KINDS[location.kind].fetch
    assert path is not None
    module, _, name = path.partition(":")
    fetch: Callable[[Job], Fetched] = getattr(importlib.import_module(module), name)
    known = {entry.at: entry for entry in last.entries} if last else {}
    with Journal(_journal_place(location, state), now) as journal:
        job = Job(
            location=location,
            settings=settings.sources,
            documents=settings.documents,
            store=store,
            last={**known, **journal.found},
            taken=journal.found if journal.resumed else {},
            folder=snapshots.folder_of(location, state).with_name(f".{location.id}.work"),
            journal=journal,
            report=report,
        )
        found = fetch(job)
    if not any(entry.sha256 for entry in found.entries):
        first = next((f" The first, {e.at}: {e.refused}." for e in found.entries), "")
        raise SourceError(f"nothing there could be fetched.{first}")
    return Snapshot(
        source=location.address,
        kind=location.kind,
        changed=now.isoformat(timespec="seconds"),
        revision=found.revision,
        notes=dict(found.notes),
        entries=tuple(with_unique_uris(found.entries)),
    )


def with_unique_uris(entries: Sequence[Entry]) -> list[Entry]:
    """The entries sorted by uri; of several with one uri the first by address keeps it, the others get ~2, ~3."""
    taken: set[str] = set()
    named = []
    for entry in sorted(entries, key=lambda entry: (entry.uri, entry.at)):
        uri, number = entry.uri, 1
        while uri in taken:
            number += 1
            path = PurePosixPath(entry.uri)
            uri = str(path.with_name(f"{path.stem}~{number}{path.suffix}"))
        taken.add(uri)
        named.append(entry if uri == entry.uri else entry.model_copy(update={"uri": uri}))
    return sorted(named, key=lambda entry: entry.uri)


def _refreshed(snapshot: Snapshot, seconds: float, *, asked: bool, changed: bool) -> Refreshed:
    notes = dict(snapshot.notes)
    if snapshot.revision:
        notes["revision"] = snapshot.revision[:12]
    kept = sum(entry.kept_because is not None for entry in snapshot.entries)
    if kept:
        notes["kept from last time"] = kept
    counts = (snapshot.files, snapshot.refused, snapshot.size_bytes)
    return Refreshed(snapshot.source, asked, changed, *counts, seconds, notes)


def _recent(checked: Checked | None, within_s: float, now: datetime) -> bool:
    if checked is None or checked.outcome not in ("changed", "unchanged"):
        return False
    return (now - datetime.fromisoformat(checked.at)).total_seconds() < within_s


def _what_stays(last: Snapshot | None) -> str:
    if last is None:
        return "Nothing was fetched of it before."
    return f"What was fetched on {last.changed} stays in use: --no-refresh goes on with it."


def _journal_place(location: Location, state: Path) -> Path:
    return snapshots.folder_of(location, state).with_name(f".{location.id}.journal.jsonl")


def _clear_abandoned(store: ObjectStore, now: datetime) -> None:
    for place in store.root.glob(".incoming.*"):
        if now.timestamp() - place.stat().st_mtime > ABANDONED_S:
            place.unlink(missing_ok=True)
