"""What the fetcher of a kind is given, and what it gives.

A fetcher is a function `fetch(job: Job) -> Fetched`. It raises SourceError when the source as a whole cannot be had;
a single file that cannot is an entry with `refused`. What it has fetched goes into `job.journal` at once, so that an
interrupted refresh is taken up where it was.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import ValidationError

from pipelines.artifacts import ObjectStore
from pipelines.documents.sources.locations import Location, is_archive
from pipelines.documents.sources.snapshots import Entry
from pipelines.settings import Documents, Sources

Report = Callable[[int, int, str], None]
RESUMED_WITHIN = timedelta(hours=24)
"""What was fetched by a refresh that was interrupted longer ago is asked for again."""


class Journal:
    """What a refresh has fetched so far, a line each; a last line that was cut off is passed over."""

    def __init__(self, place: Path, now: datetime) -> None:
        self._place = place
        self.found: dict[str, Entry] = {}
        started = None
        if place.exists():
            first, *lines = place.read_text(encoding="utf-8", errors="replace").split("\n")
            started = _started(first)
            for entry in filter(None, map(_entry, lines)):
                self.found[entry.at] = entry
        self.resumed = started is not None and now - started < RESUMED_WITHIN
        place.parent.mkdir(parents=True, exist_ok=True)
        self._stream = place.open("a" if self.resumed else "w", encoding="utf-8")
        self._write(json.dumps({"started": (started if self.resumed and started else now).isoformat()}))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._stream.close()

    def add(self, entry: Entry) -> None:
        """Note a fetched file."""
        self._write(entry.model_dump_json())

    def clear(self) -> None:
        """The refresh is done."""
        self._place.unlink(missing_ok=True)

    def _write(self, line: str) -> None:
        self._stream.write(f"{line}\n")
        self._stream.flush()


@dataclass(frozen=True)
class Job:
    """A source to fetch.

    `last`: entries of the last snapshot by address, to ask whether they changed. `taken`: those that an interrupted
    refresh has fetched already, to be taken as they are. `folder`: the fetcher's own, kept between refreshes.
    """

    location: Location
    settings: Sources
    documents: Documents
    store: ObjectStore
    last: Mapping[str, Entry]
    taken: Mapping[str, Entry]
    folder: Path
    journal: Journal
    report: Report

    def held(self, entry: Entry | None) -> bool:
        """Whether the bytes of an entry are here."""
        return entry is not None and entry.sha256 is not None and self.store.path(entry.sha256).exists()

    def too_large(self, name: str, size_bytes: int) -> str | None:
        """Why a file of this size is not fetched, or None."""
        most = self.documents.archives.total_bytes if is_archive(name) else self.documents.max_bytes
        rule = "documents.archives.total_bytes" if is_archive(name) else "documents.max_bytes"
        return f"too large: {size_bytes} bytes, {rule} allows {most}" if size_bytes > most else None


@dataclass(frozen=True)
class Fetched:
    """What a source holds now. `notes`: what was left out, for people."""

    entries: Sequence[Entry]
    revision: str | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)


def _started(line: str) -> datetime | None:
    try:
        return datetime.fromisoformat(json.loads(line)["started"])
    except (ValueError, KeyError, TypeError):
        return None


def _entry(line: str) -> Entry | None:
    try:
        return Entry.model_validate_json(line)
    except ValidationError:
        return None
