"""What the parts of a release hold, read from the object store alone: rows of its tables, lines of its files.

Invariant: nothing is read from a stage folder, and nothing from bytes that are not those the manifest names: a file is
hashed before it is read, and one that is gone, changed or unreadable is noted in `missing` and counts as absent.
"""

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from pipelines.artifacts import ObjectStore, sha256_file
from pipelines.contracts import Release
from pipelines.release.verify import TREES, listing


class StoredParts:
    """The parts of one release. What could not be read stands in `missing`, each in a line."""

    def __init__(self, release: Release, objects: ObjectStore) -> None:
        self.release, self.objects = release, objects
        self.missing: list[str] = []
        self._places: dict[tuple[str, str], Path | None] = {}
        self._lines: dict[tuple[str, str], list[dict[str, Any]]] = {}

    def files(self, part: str) -> dict[str, str]:
        """The files of a part that is a folder, each with its digest."""
        digest = self.release.objects.get(part)
        return listing(self.objects, digest) if digest and part in TREES else {}

    def file(self, part: str, name: str = "") -> Path | None:
        """Where a stored file lies, whole; `name` is its name in a part that is a folder."""
        if (part, name) not in self._places:
            self._places[part, name] = self._file(part, name)
        return self._places[part, name]

    def value(self, part: str, name: str = "") -> Any:
        """A JSON file's value, or None."""
        place = self.file(part, name)
        return None if place is None else self._parsed(place.read_text(encoding="utf-8"), part, name)

    def text(self, part: str) -> str | None:
        """The text of a part that is a file."""
        place = self.file(part)
        return None if place is None else place.read_text(encoding="utf-8")

    def lines(self, part: str, name: str) -> list[dict[str, Any]]:
        """The objects of a JSON Lines file."""
        if (part, name) not in self._lines:
            place = self.file(part, name)
            text = "" if place is None else place.read_text(encoding="utf-8")
            parsed = [self._parsed(line, part, name) for line in text.split("\n") if line]
            self._lines[part, name] = [each for each in parsed if isinstance(each, dict)]
        return self._lines[part, name]

    def rows(
        self, part: str, name: str, columns: Sequence[str], where: tuple[str, Collection[str]] | None = None
    ) -> list[dict[str, Any]]:
        """Rows of a Parquet file: the columns that it has, of the rows whose column is one of the values."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        place = self.file(part, name)
        if place is None or (where is not None and not where[1]):
            return []
        try:
            held = [each for each in columns if each in pq.read_schema(place).names]
            filters = None if where is None else [(where[0], "in", sorted(where[1]))]
            found: list[dict[str, Any]] = pq.read_table(place, columns=held, filters=filters).to_pylist()
        except (OSError, pa.ArrowException) as exc:
            self._note(part, name, f"not readable: {exc}")
            return []
        return found

    def _file(self, part: str, name: str) -> Path | None:
        digest = self.files(part).get(name) if name else self.release.objects.get(part)
        if digest is None:
            whole = part in self.release.objects and (not name or self.objects.has(self.release.objects[part]))
            self._note(part, name, "the release has none" if whole else "its stored listing is missing")
            return None
        place = self.objects.path(digest)
        if not place.exists():
            self._note(part, name, f"its bytes ({digest[:12]}) are not in the object store")
            return None
        if (found := sha256_file(place)) != digest:
            self._note(part, name, f"its stored bytes are {found[:12]}, not {digest[:12]}; they are not believed")
            return None
        return place

    def _parsed(self, text: str, part: str, name: str) -> Any:
        try:
            return json.loads(text)
        except ValueError as exc:
            self._note(part, name, f"not readable: {exc}")
            return None

    def _note(self, part: str, name: str, why: str) -> None:
        line = f"{part}{'/' + name if name else ''}: {why}"
        if line not in self.missing:
            self.missing.append(line)
