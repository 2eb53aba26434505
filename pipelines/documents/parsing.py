"""Files -> rows of the log of parsed sources: here, or as a shard in whatever process maps it.

Invariant: a row depends on its file and the settings alone, not on where it was made or beside which others.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.artifacts import arrow_schema
from pipelines.contracts import Document
from pipelines.documents.sandbox import Result, Sandbox, Task
from pipelines.documents.tables import write_part
from pipelines.settings import Documents
from pipelines.shards import Shard, making, shards_of

if TYPE_CHECKING:
    import pyarrow as pa

FILES_EACH, BYTES_EACH = 256, 64 * 2**20
"""Files of a shard, at most, and about their bytes: some seconds of work, so that a parser's start does not count."""


@dataclass(frozen=True)
class FileToParse:
    """A source whose bytes lie in the object store."""

    path: Path
    uri: str
    sha256: str
    size_bytes: int


def schema() -> "pa.Schema":
    """A row of the log: a source that was parsed, or the reason why it could not be."""
    import pyarrow as pa

    document = arrow_schema(Document)
    own = [document.field(name) for name in ("uri", "sha256", "media_type", "title", "text", "blocks")]
    rest = [("meta", pa.map_(pa.string(), pa.string())), ("size_bytes", pa.int64()), ("reason", pa.string())]
    return pa.schema([*own, *(pa.field(*each) for each in rest)])


def rows(files: Iterable[FileToParse], sandbox: Sandbox) -> Iterator[dict[str, Any]]:
    """A row a file, in their order; files are taken a few ahead of what was given."""
    asked: dict[str, FileToParse] = {}

    def tasks() -> Iterator[Task]:
        for file in files:
            asked[file.uri] = file
            yield Task(file.path, file.uri)

    for result in sandbox.parse_all(tasks()):
        yield _row(asked.pop(result.task.name), result)


def _row(file: FileToParse, result: Result) -> dict[str, Any]:
    found = result.parsed
    return {
        "uri": file.uri,
        "sha256": file.sha256,
        "media_type": result.media_type,
        "title": found.title if found else None,
        "text": found.text if found else None,
        "blocks": [block.model_dump() for block in found.blocks] if found else None,
        "meta": list(found.meta.items()) if found else None,
        "size_bytes": file.size_bytes,
        "reason": None if found else result.reason,
    }


# --- shards ------------------------------------------------------------------------------------


def shards(
    output: Path, files: Sequence[FileToParse], limits: Documents, metadata: Mapping[bytes, bytes]
) -> Iterator[Shard]:
    """Files in shards; `metadata` of the log says under which conditions a shard's rows are good."""
    conditions = {name.decode(): value.decode() for name, value in metadata.items()}
    settings = limits.model_dump(mode="json")
    parts = (
        (f"parse {part[0].uri} and {len(part) - 1} more", _given(part, settings, conditions)) for part in _parts(files)
    )
    return shards_of(output, ".arrows", parts)


def parse_shard(given: bytes, place: Path, threads: int) -> None:
    """Parse the files of a shard into `place`, with so many parsers at once."""
    asked = json.loads(given)
    files = [FileToParse(Path(path), uri, digest, size) for path, uri, digest, size in asked["files"]]
    with (
        Sandbox(Documents.model_validate(asked["settings"]), workers=threads) as sandbox,
        making(place) as temporary,
    ):
        write_part(temporary, rows(files, sandbox), schema().with_metadata(asked["conditions"]))


def _given(files: Sequence[FileToParse], settings: Mapping[str, Any], conditions: Mapping[str, str]) -> dict[str, Any]:
    listed = [(str(file.path), file.uri, file.sha256, file.size_bytes) for file in files]
    return {"files": listed, "settings": settings, "conditions": conditions}


def _parts(files: Sequence[FileToParse]) -> Iterator[Sequence[FileToParse]]:
    first, held = 0, 0
    for number, file in enumerate(files):
        if number > first and (number - first >= FILES_EACH or held + file.size_bytes > BYTES_EACH):
            yield files[first:number]
            first, held = number, 0
        held += file.size_bytes
    if files:
        yield files[first:]
