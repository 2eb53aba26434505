"""Stage ingest: source folders -> documents.parquet, quarantine.parquet; each source's bytes into the object store.

Invariants: rows are sorted by uri; a document whose uri, bytes and parsers are unchanged is taken over from
the last output without being parsed, and the files are the same bytes either way; what an interrupted run
has parsed is not parsed again; one bad file costs itself alone.
"""

import importlib.metadata
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from pipelines.artifacts import (
    ObjectStore,
    StageJob,
    read_json,
    read_rows,
    sha256_file,
    write_json,
    write_rows,
)
from pipelines.contracts import Document, Quarantined, content_id
from pipelines.documents import near_duplicates, versions
from pipelines.documents.sandbox import Result, Sandbox, Task
from pipelines.documents.sources import Source, find_sources, refusal
from pipelines.documents.tables import read_table, table_of, write_table
from pipelines.errors import SourceError
from pipelines.settings import resolve

if TYPE_CHECKING:
    import pyarrow as pa

DOCUMENTS = "documents.parquet"
QUARANTINE = "quarantine.parquet"
SIGNATURES = "signatures.parquet"
NOTES = "ingest.json"
_UNFINISHED = "parsed.jsonl"
_LIBRARIES = (
    "pdfplumber",
    "pypdfium2",
    "python-calamine",
    "olefile",
    "pillow",
    "lxml",
    "charset-normalizer",
    "markdown-it-py",
    "tree-sitter",
    "tree-sitter-bash",
    "tree-sitter-c",
    "tree-sitter-c-sharp",
    "tree-sitter-cpp",
    "tree-sitter-go",
    "tree-sitter-java",
    "tree-sitter-javascript",
    "tree-sitter-php",
    "tree-sitter-python",
    "tree-sitter-ruby",
    "tree-sitter-rust",
    "tree-sitter-scala",
    "tree-sitter-typescript",
)


@dataclass(frozen=True)
class Known:
    """What the last output and an interrupted run hold: (uri, sha256) -> where."""

    table: "pa.Table | None"
    rows: Mapping[tuple[str, str], int]
    quarantined: Mapping[tuple[str, str | None], Quarantined]
    signatures: Mapping[str, bytes]
    unfinished: Mapping[tuple[str, str], Document | Quarantined]


def run(job: StageJob) -> None:
    """Read, parse, look for repeats and older versions, write.

    Raises SourceError for a folder that cannot be read, or when nothing in it could be parsed.
    """
    folders = [resolve(path) for path in job.settings.files.sources]
    sources = find_sources(folders)
    parsers = parsers_digest()
    limits = job.settings.documents
    known = _known(job, {"parsers": parsers, "limits": limits.model_dump()})
    taken, fresh, quarantined = [], [], []
    for outcome in _outcomes(job, sources, known):
        if isinstance(outcome, int):
            taken.append(outcome)
        elif isinstance(outcome, Document):
            fresh.append(outcome)
        else:
            quarantined.append(outcome)
    if not taken and not fresh:
        raise SourceError(_nothing_parsed(folders, quarantined))
    table = _assembled(known.table, taken, fresh)
    table, signatures = _judged(table, known.signatures, limits.near_duplicate_threshold)
    _write(job.output, table, signatures, quarantined)
    write_json(job.output / NOTES, {"parsers": parsers, "limits": limits.model_dump()})
    (job.output / _UNFINISHED).unlink(missing_ok=True)
    job.notes.update(documents=table.num_rows, parsed=len(fresh), quarantined=len(quarantined))


def parsers_digest() -> str:
    """Digest of the code and libraries that make a text of bytes: equal digest, equal text."""
    here = Path(__file__).parent
    code = [sha256_file(path) for path in sorted((here / "parsers").glob("*.py"))]
    return content_id(code, {name: importlib.metadata.version(name) for name in _LIBRARIES})


# --- what is there already ---------------------------------------------------------------------


def _known(job: StageJob, conditions: dict[str, Any]) -> Known:
    import pyarrow.parquet as pq

    unfinished = _read_unfinished(job.output / _UNFINISHED, conditions)
    place = job.previous
    needed = (NOTES, DOCUMENTS, QUARANTINE, SIGNATURES)
    if place is None or not all((place / name).exists() for name in needed):
        return Known(None, {}, {}, {}, unfinished)
    written = read_json(place / NOTES)
    if written.get("parsers") != conditions["parsers"]:
        return Known(None, {}, {}, {}, unfinished)
    table = read_table(place / DOCUMENTS, Document)
    pairs = zip(table["uri"].to_pylist(), table["sha256"].to_pylist(), strict=True)
    kept = pq.read_table(place / SIGNATURES)
    signatures = dict(zip(kept["id"].to_pylist(), kept["signature"].to_pylist(), strict=True))
    same = written.get("limits") == conditions["limits"]
    bad = read_rows(place / QUARANTINE, Quarantined) if same else []
    rows = {pair: row for row, pair in enumerate(pairs)}
    return Known(table, rows, {(q.uri, q.sha256): q for q in bad if q.sha256}, signatures, unfinished)


def _read_unfinished(place: Path, conditions: dict[str, Any]) -> dict[tuple[str, str], Document | Quarantined]:
    """What an interrupted run of the same key left; a last line that was cut off is passed over."""
    found: dict[tuple[str, str], Document | Quarantined] = {}
    if not place.exists():
        _append_line(place, conditions)
        return found
    lines = place.read_text(encoding="utf-8", errors="replace").split("\n")
    try:
        if json.loads(lines[0]) != json.loads(json.dumps(conditions)):
            raise ValueError("parsed under other conditions")
        for line in lines[1:]:
            row = _unfinished_row(line)
            if row is not None and row.sha256 is not None:
                found[row.uri, row.sha256] = row
    except ValueError:
        place.unlink()
        _append_line(place, conditions)
        return {}
    return found


def _unfinished_row(line: str) -> Document | Quarantined | None:
    for kind in (Document, Quarantined):
        try:
            return kind.model_validate_json(line)
        except ValidationError:
            continue
    return None


def _append_line(place: Path, value: Any) -> None:
    with place.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(value) + "\n")


# --- each source -------------------------------------------------------------------------------


def _outcomes(job: StageJob, sources: Sequence[Source], known: Known) -> Iterator[int | Document | Quarantined]:
    """For each source a row of the last output, a new document, or why it is neither."""
    limits = job.settings.documents
    store = ObjectStore(job.state / "objects")
    to_parse: list[tuple[Source, str]] = []
    for source in sources:
        reason = refusal(source, limits.max_bytes)
        digest = None
        if reason is None:
            digest, reason = _stored(source, store, known)
        if digest is None:
            yield Quarantined(uri=source.uri, sha256=None, size_bytes=source.size_bytes, reason=reason or "unreadable")
        elif (row := known.rows.get((source.uri, digest))) is not None:
            yield row
        elif (
            kept := known.unfinished.get((source.uri, digest)) or known.quarantined.get((source.uri, digest))
        ) is not None:
            yield kept
        else:
            to_parse.append((source, digest))
    done = len(sources) - len(to_parse)
    job.report(done, len(sources), "")
    if to_parse:
        yield from _parsed(job, to_parse, store, done)


def _stored(source: Source, store: ObjectStore, known: Known) -> tuple[str | None, str | None]:
    """(digest, None) of a source whose bytes are in the object store, or (None, why it cannot be read)."""
    try:
        digest = sha256_file(source.path)
    except OSError as exc:
        return None, f"cannot be read: {exc.strerror}"
    if (source.uri, digest) not in known.rows or not store.path(digest).exists():
        store.put_file(source.path, digest)
    return digest, None


def _parsed(
    job: StageJob, files: Sequence[tuple[Source, str]], store: ObjectStore, done: int
) -> Iterator[Document | Quarantined]:
    """Parse files from the object store, writing down each result at once, for a run that is interrupted."""
    workers = min(job.settings.runtime.threads or 0, len(files)) or None
    with (
        Sandbox(job.settings.documents, workers=workers or 0) as sandbox,
        (job.output / _UNFINISHED).open("a", encoding="utf-8") as log,
    ):
        tasks = (Task(store.path(digest), source.uri) for source, digest in files)
        for number, ((source, digest), result) in enumerate(zip(files, sandbox.parse_all(tasks), strict=True), 1):
            row = _row(source, digest, result)
            log.write(row.model_dump_json() + "\n")
            log.flush()
            job.report(done + number, done + len(files), source.uri)
            yield row


def _row(source: Source, digest: str, result: Result) -> Document | Quarantined:
    if result.parsed is None:
        return Quarantined(uri=source.uri, sha256=digest, size_bytes=source.size_bytes, reason=result.reason)
    return Document(
        id=content_id(source.uri, digest),
        uri=source.uri,
        media_type=result.media_type,
        sha256=digest,
        title=result.parsed.title,
        text=result.parsed.text,
        blocks=result.parsed.blocks,
    )


def _nothing_parsed(folders: Sequence[Path], quarantined: Sequence[Quarantined]) -> str:
    where = ", ".join(str(folder) for folder in folders)
    if not quarantined:
        return f"{where}: there is no file in it to ingest (hidden files do not count)."
    first = quarantined[0]
    return (
        f"{where}: none of {len(quarantined)} files could be parsed; the first, {first.uri}: {first.reason}. "
        "See `groundwork parse` for each file's reason."
    )


# --- the table ---------------------------------------------------------------------------------


def _assembled(last: "pa.Table | None", taken: Sequence[int], fresh: Sequence[Document]) -> "pa.Table":
    """Rows of the last output and new ones, sorted by uri, as one table."""
    import pyarrow as pa

    parts = [last.take(pa.array(taken, pa.int64()))] if last is not None and taken else []
    if fresh:
        parts.append(table_of(fresh, Document))
    whole = pa.concat_tables(parts)
    uris = whole["uri"].to_pylist()
    order = sorted(range(len(uris)), key=uris.__getitem__)
    if order != list(range(len(uris))):
        whole = whole.take(pa.array(order, pa.int64()))
    return whole


def _judged(table: "pa.Table", known: Mapping[str, bytes], threshold: float) -> tuple["pa.Table", list[bytes]]:
    """The table with `near_duplicate_of` and `superseded_by` filled in, and its signatures."""
    import pyarrow as pa

    uris, ids = table["uri"].to_pylist(), table["id"].to_pylist()
    texts = table["text"]

    def text_of(index: int) -> str:
        return str(texts[index].as_py())

    def prose_of(index: int) -> str:
        return _prose(table, index)

    newer = versions.superseded(uris, table["title"].to_pylist(), text_of, text_of)
    signatures = near_duplicates.signature_table(ids, known, prose_of)
    never = frozenset((min(pair), max(pair)) for pair in newer.items())
    original = near_duplicates.near_duplicates(signatures, prose_of, threshold=threshold, never=never)
    for name, found in (("near_duplicate_of", original), ("superseded_by", newer)):
        values = [uris[found[i]] if i in found else None for i in range(len(uris))]
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(values, pa.string()))
    return table, signatures


def _prose(table: "pa.Table", index: int) -> str:
    """What two documents are compared by: of an e-mail the body, since a forwarded one has other headers."""
    text = str(table["text"][index].as_py())
    if table["media_type"][index].as_py() != "message/rfc822":
        return text
    first = table["blocks"][index].as_py()[:1]
    return text[first[0]["end"] :] if first and text.startswith(("From:", "To:", "Date:", "Subject:")) else text


def _write(output: Path, table: "pa.Table", signatures: Sequence[bytes], quarantined: Iterable[Quarantined]) -> None:
    import pyarrow as pa

    write_table(output / DOCUMENTS, table)
    write_table(output / SIGNATURES, pa.table({"id": table["id"], "signature": pa.array(signatures, pa.binary())}))
    write_rows(output / QUARANTINE, sorted(quarantined, key=lambda q: q.uri), Quarantined)
