"""Stage ingest: sources -> documents.parquet, quarantine.parquet; each source's bytes into the object store.

Beside them lie features.parquet, versions.parquet and compared.parquet, from which the next run goes on, and
boilerplate.parquet, which says what was put aside.
Invariants: rows are sorted by uri; a document whose uri, bytes and parsers are unchanged is taken over from
the last output without being parsed, and the files are the same bytes either way; what an interrupted run
has parsed is not parsed again; one bad file costs itself alone. Texts are not held in memory: what was parsed
lies in a log on disk until it is written.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.artifacts import (
    ObjectStore,
    StageJob,
    arrow_schema,
    read_rows,
    sha256_file,
    version_of,
    write_json,
    write_rows,
)
from pipelines.contracts import SCHEMA_VERSION, Document, Quarantined, content_id
from pipelines.documents import languages, parsing
from pipelines.documents.features import features_digest
from pipelines.documents.features import schema as features_schema
from pipelines.documents.judging import BOILERPLATE, COMPARED, VERSIONS, Judged, judge
from pipelines.documents.ledger import DOCUMENTS, FEATURES, NOTES, Last, Ledger
from pipelines.documents.parsers import ocr
from pipelines.documents.parsing import FileToParse
from pipelines.documents.sandbox import Sandbox
from pipelines.documents.sources import Source, find_sources, origins, refusal
from pipelines.documents.tables import Log, group_writer, write_table
from pipelines.errors import SourceError
from pipelines.shards import FOLDER, each_done, several

if TYPE_CHECKING:
    import pyarrow as pa

QUARANTINE = "quarantine.parquet"
_JUDGING = ("near_duplicate_threshold", "boilerplate_documents", "boilerplate_share", "access")
"""Settings that change no text and keep nothing in quarantine."""
_LIMITS = ("archives", "max_bytes", "timeout_s", "memory_bytes", "labels_in_documents")
"""Settings that change no text and may keep a file in quarantine. All others count as changing what is read."""
_LIBRARIES = (
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

Key = tuple[str, str | None]
"""uri and sha256."""


@dataclass(frozen=True)
class Known:
    """What the last output and an interrupted run hold of a source: in which row, or why not."""

    last: Last | None
    rows: Mapping[Key, int]
    logged: Mapping[Key, int]
    quarantined: Mapping[Key, Quarantined]


@dataclass
class Outcomes:
    """What became of the sources so far: rows of the last output, rows of the log, quarantine."""

    taken: list[int] = field(default_factory=list)
    fresh: list[int] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    parsed: int = 0

    @property
    def settled(self) -> int:
        """How many sources are through."""
        return len(self.taken) + len(self.fresh) + len(self.quarantined)


def run(job: StageJob) -> None:
    """Read, parse, judge, write.

    Raises SourceError for a source that cannot be read, or when nothing in any could be parsed.
    """
    named, limits = job.settings.files.sources, job.settings.documents
    conditions = _conditions(job)
    log = Log(job.output, "parsed", parsing.schema(), conditions, parts=job.output / FOLDER)
    with log, Sandbox(limits, workers=job.settings.runtime.threads) as sandbox:
        sandbox.warm_up()
        sources = find_sources(named, job.state, limits, job.report)
        known = _known(job, log, conditions)
        outcomes = _outcomes(job, sources, known, log, sandbox)
    if not outcomes.taken and not outcomes.fresh:
        raise SourceError(_nothing_parsed(named, outcomes.quarantined))
    ledger = Ledger.of(known.last, outcomes.taken, log.rows(), outcomes.fresh)
    judged = judge(ledger, limits, job.output)
    refused = [_refused(job, ledger, uri, reason) for uri, reason in judged.refused.items()]
    _write(job.output, judged, [*outcomes.quarantined, *refused])
    write_json(job.output / NOTES, {**conditions, "features": features_digest()})
    for place in job.output.glob("*.arrows"):
        place.unlink()
    _tell(job, judged, outcomes, len(refused))
    if fetched := origins(named, job.state):
        job.notes.update(sources=fetched)


def parsers_digest() -> str:
    """Digest of the code, libraries and programs that make a text of bytes: equal digest, equal text."""
    here = Path(__file__).parent
    code = [sha256_file(path) for path in sorted((here / "parsers").glob("*.py"))]
    return content_id(code, {name: version_of(name) for name in _LIBRARIES}, ocr.version())


# --- what is there already ---------------------------------------------------------------------


def _conditions(job: StageJob) -> dict[str, Any]:
    """What an earlier result was made under: it is taken over when the first three, of quarantine all, are equal."""
    chosen = job.settings.documents.model_dump(mode="json", exclude=set(_JUDGING))
    return {
        "schema_version": SCHEMA_VERSION,
        "parsers": parsers_digest(),
        "reading": {name: value for name, value in chosen.items() if name not in _LIMITS},
        "limits": {name: value for name, value in chosen.items() if name in _LIMITS},
    }


def _known(job: StageJob, log: Log, conditions: Mapping[str, Any]) -> Known:
    last = Last.open(job.previous, conditions)
    rows: dict[Key, int] = {}
    quarantined: dict[Key, Quarantined] = {}
    if last is not None:
        pairs = zip(last.small["uri"].to_pylist(), last.small["sha256"].to_pylist(), strict=True)
        rows = {pair: row for row, pair in enumerate(pairs)}
        if last.notes["limits"] == conditions["limits"]:
            bad = read_rows(last.folder / QUARANTINE, Quarantined)
            quarantined = {(q.uri, q.sha256): q for q in bad if q.sha256}
    logged: dict[Key, int] = {}
    left = log.found.columns(tuple(Quarantined.model_fields)).to_pylist() if len(log.found) else []
    for number, row in enumerate(left):
        key = (row["uri"], row["sha256"])
        if row["reason"] is None:
            logged[key] = number
        else:
            quarantined[key] = Quarantined(**row)
    return Known(last, rows, logged, quarantined)


# --- each source -------------------------------------------------------------------------------


def _outcomes(job: StageJob, sources: Sequence[Source], known: Known, log: Log, sandbox: Sandbox) -> Outcomes:
    """What becomes of each source; the first files are parsed while later sources are still looked at."""
    outcomes = Outcomes()
    for number, row in _parsed(job, _files(job, sources, known, log, outcomes), log, sandbox):
        if row["reason"] is None:
            outcomes.fresh.append(number)
            outcomes.parsed += 1
        else:
            outcomes.quarantined.append(Quarantined(**{name: row[name] for name in Quarantined.model_fields}))
        job.report(outcomes.settled, len(sources), row["uri"])
    job.report(len(sources), len(sources), "")
    return outcomes


def _parsed(
    job: StageJob, files: Iterator[FileToParse], log: Log, sandbox: Sandbox
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Number and values of each file's row of the log: parsed here, or in shards where there is a mapper."""
    if job.mapper is not None:
        asked = list(files)
        log.close()  # its rows come before those of the shards
        shards = several(parsing.shards(job.output, asked, job.settings.documents, log.metadata))
        if shards is not None:
            for shard in each_done(parsing.parse_shard, shards, job.mapper, lambda _: None):
                yield from log.adopt(shard.place, tuple(Quarantined.model_fields))
            return
        files = iter(asked)
    for row in parsing.rows(files, sandbox):
        yield log.append(row, len(row["text"] or "")), row


def _files(
    job: StageJob, sources: Sequence[Source], known: Known, log: Log, outcomes: Outcomes
) -> Iterator[FileToParse]:
    """What has to be parsed, as it is found; of the other sources the outcome is noted."""
    asked = False
    store = ObjectStore(job.state / "objects")
    for source in sources:
        reason = refusal(source, job.settings.documents.max_bytes)
        digest = None
        if reason is None:
            digest, reason = _stored(job, source, store)
        if digest is None:
            why = reason or "unreadable"
            bad = Quarantined(uri=source.uri, sha256=None, size_bytes=source.size_bytes, reason=why)
            outcomes.quarantined.append(bad)
        elif not _settled(known, (source.uri, digest), log, outcomes):
            if not asked:
                threading.Thread(target=languages.load, daemon=True).start()  # half a second, beside the parsers' start
            asked = True
            yield FileToParse(store.path(digest), source.uri, digest, source.size_bytes)


def _settled(known: Known, key: Key, log: Log, outcomes: Outcomes) -> bool:
    """Whether an earlier run has parsed it, or found that nobody can."""
    if (row := known.rows.get(key)) is not None:
        assert known.last is not None
        if known.last.current:
            outcomes.taken.append(row)
        else:  # what is looked at of a document has changed, not how it is parsed
            parsed = {**known.last.parsed(row), "size_bytes": 0, "reason": None}
            outcomes.fresh.append(log.append(parsed, len(parsed["text"])))
    elif (number := known.logged.get(key)) is not None:
        outcomes.fresh.append(number)
    elif (bad := known.quarantined.get(key)) is not None:
        outcomes.quarantined.append(bad)
    else:
        return False
    return True


def _stored(job: StageJob, source: Source, store: ObjectStore) -> tuple[str | None, str | None]:
    """(digest, None) of a source whose bytes are in the object store, or (None, why it cannot be read)."""
    try:
        digest = job.digest(source.path)
        if not store.has(digest):
            store.put_file(source.path, digest)
    except OSError as exc:
        return None, f"cannot be read: {exc.strerror}"
    return digest, None


def _refused(job: StageJob, ledger: Ledger, uri: str, reason: str) -> Quarantined:
    """A document that was parsed and may not be shown."""
    digest = str(ledger.values("sha256")[ledger.values("uri").index(uri)])
    size = ObjectStore(job.state / "objects").path(digest).stat().st_size
    return Quarantined(uri=uri, sha256=digest, size_bytes=size, reason=reason)


def _nothing_parsed(named: Sequence[str], quarantined: Sequence[Quarantined]) -> str:
    where = ", ".join(named)
    if not quarantined:
        return f"{where}: there is no file in it to ingest (hidden files do not count)."
    first = quarantined[0]
    return (
        f"{where}: none of {len(quarantined)} files could be parsed; the first, {first.uri}: {first.reason}. "
        "See `groundwork parse` for each file's reason."
    )


# --- writing -----------------------------------------------------------------------------------


def _write(output: Path, judged: Judged, quarantined: Sequence[Quarantined]) -> None:
    documents, features = arrow_schema(Document), features_schema()
    ledger = judged.ledger
    with group_writer(output / DOCUMENTS, documents) as write, group_writer(output / FEATURES, features) as keep:
        for first, end in ledger.groups():
            small = ledger.table.slice(first, end - first)
            large = ledger.large(first, end)
            write(_documents(judged, small, large, first).select(documents.names).cast(documents))
            keep(small.append_column("parsed_blocks", large["parsed_blocks"]).select(features.names).cast(features))
    write_rows(output / QUARANTINE, sorted(quarantined, key=lambda q: q.uri), Quarantined)
    write_table(output / VERSIONS, judged.edges)
    write_table(output / COMPARED, judged.compared)
    write_table(output / BOILERPLATE, judged.boilerplate)


def _documents(judged: Judged, small: "pa.Table", large: "pa.Table", first: int) -> "pa.Table":
    """A group of rows with all columns of a Document."""
    import pyarrow as pa

    rows = slice(first, first + small.num_rows)
    schema = arrow_schema(Document)
    access = judged.access[rows]
    added: dict[str, Any] = {
        "schema_version": [SCHEMA_VERSION] * small.num_rows,
        "tenant": [one.tenant for one in access],
        "labels": [one.labels for one in access],
        "near_duplicate_of": judged.near_duplicate_of[rows],
        "superseded_by": judged.superseded_by[rows],
    }
    for name, values in added.items():
        small = small.append_column(name, pa.array(values, schema.field(name).type))
    return small.append_column("text", large["text"]).append_column("blocks", large["blocks"])


def _tell(job: StageJob, judged: Judged, outcomes: Outcomes, refused: int) -> None:
    job.notes.update(
        documents=len(judged.ledger),
        parsed=outcomes.parsed,
        quarantined=len(outcomes.quarantined) + refused,
        repeats=sum(uri is not None for uri in judged.near_duplicate_of),
        superseded=sum(uri is not None for uri in judged.superseded_by),
        boilerplate_passages=judged.boilerplate.num_rows,
    )
    if judged.unused_rules:
        job.notes["access_rules_without_documents"] = list(judged.unused_rules)
