"""Stage chunk: documents.parquet -> chunks.parquet.

Invariants: chunks lie in the order of their documents and of their place in them; those of a document with the same
content are taken over when the chunker's parameters are the same, with its labels, dates and standing as they are now;
a repeat has no chunks. Chunks are not held in memory: they are written group by group.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipelines.artifacts import StageJob, arrow_schema, read_json, write_json
from pipelines.contracts import SCHEMA_VERSION, Chunk, Document, content_id
from pipelines.documents import chunk_shards
from pipelines.documents.chunking import CHUNKER_VERSION
from pipelines.documents.chunking.tokens import ModelTokens
from pipelines.documents.tables import (
    Log,
    Rows,
    group_writer,
    interleaved,
    part_column,
    part_rows,
    read_columns,
    read_table,
    stored_rows,
    write_table,
)
from pipelines.errors import StageError
from pipelines.modelfiles import model_digest
from pipelines.shards import Shard, each_done, several

if TYPE_CHECKING:
    import pyarrow as pa

CHUNKS = "chunks.parquet"
CHUNKED = "chunked.parquet"
NOTES = "chunk.json"
_DOCUMENTS = "documents.parquet"
_STANDING = ("language", "date", "tenant", "labels", "superseded_by")
"""What a chunk takes from its document each time, and its own column for the last."""
_SMALL = ("id", "content_digest", "near_duplicate_of", *_STANDING)
_GROUP_ROWS = 8192

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Last:
    """The last output: of which documents (id -> content) it holds how many chunks from which row on."""

    chunks: Rows
    documents: "pa.Table"

    @classmethod
    def open(cls, place: Path | None, notes: Mapping[str, Any]) -> "Last | None":
        """The output in a folder; None when there is none, or it was made in another way."""
        if place is None or not all((place / name).exists() for name in (NOTES, CHUNKS, CHUNKED)):
            return None
        if read_json(place / NOTES) != notes:
            return None
        try:
            schema = arrow_schema(Chunk)
            return cls(stored_rows(place / CHUNKS, schema.names, schema), read_columns(place / CHUNKED, _schema()))
        except StageError:  # of an older layout
            return None


def run(job: StageJob) -> None:
    """Chunk what is new, take over the rest, write."""
    place = job.inputs["ingest"] / _DOCUMENTS
    documents = read_table(place, Document, _SMALL)
    parameters = chunk_parameters(job)
    notes = {"schema_version": SCHEMA_VERSION, "parameters": parameters}
    last = Last.open(job.previous, notes)
    indexed = np.flatnonzero(documents["near_duplicate_of"].is_null().to_numpy())
    begins, counts = _taken(documents, indexed, last)
    new = np.flatnonzero(counts < 0)
    fresh: Rows | None = None
    with Log(job.output, "chunks", arrow_schema(Chunk), {}) as log:
        log.remove()  # of an interrupted run: the last document may be there in part
        if len(new):
            shards = _shards(job, place, indexed[new], parameters)
            if shards is None:
                begins[new], counts[new] = _chunk(job, place, indexed[new], log, parameters)
            else:
                ids = documents["id"].take(indexed[new]).to_pylist()
                fresh, begins[new], counts[new] = _in_shards(job, shards, ids)
    fresh = fresh or log.rows()
    rows = np.repeat(begins, counts) + _within(counts)
    origin = np.where(np.repeat(np.isin(np.arange(len(indexed)), new), counts), -1 - rows, rows)
    _write(
        job.output / CHUNKS, last, fresh, origin, documents.take(indexed), np.repeat(np.arange(len(indexed)), counts)
    )
    write_table(job.output / CHUNKED, _chunked(documents, indexed, counts))
    write_json(job.output / NOTES, notes)
    log.remove()
    job.notes.update(chunks=len(rows), documents=len(indexed), documents_chunked=len(new))


def chunk_parameters(job: StageJob) -> str:
    """Digest of what decides on chunks besides the document: part of every chunk's id."""
    chosen = job.settings.chunking.model_dump()
    return content_id(CHUNKER_VERSION, chosen, model_digest(job.settings.embedding.model))


def _schema() -> "pa.Schema":
    """Columns of chunked.parquet, a row an indexed document."""
    import pyarrow as pa

    return pa.schema([("id", pa.string()), ("content_digest", pa.string()), ("chunks", pa.int64())])


def _chunked(documents: "pa.Table", indexed: Ints, counts: Ints) -> "pa.Table":
    import pyarrow as pa

    own = documents.select(["id", "content_digest"]).take(pa.array(indexed))
    return own.append_column("chunks", pa.array(counts, pa.int64())).cast(_schema())


def _taken(documents: "pa.Table", indexed: Ints, last: Last | None) -> tuple[Ints, Ints]:
    """First row and number of each indexed document's chunks in the last output; -1 chunks: it has to be chunked."""
    import pyarrow.compute as pc

    counts = np.full(len(indexed), -1, dtype=np.int64)
    if last is None or not last.documents.num_rows:
        return np.zeros(len(indexed), dtype=np.int64), counts
    held = last.documents["chunks"].to_numpy()
    names = last.documents["id"].combine_chunks()
    at = pc.fill_null(pc.index_in(documents["id"], value_set=names), -1).to_numpy().astype(np.int64)[indexed]
    digests = last.documents["content_digest"].to_numpy(zero_copy_only=False)[at]
    now = documents["content_digest"].to_numpy()[indexed]
    same = (at >= 0) & (now == digests) & (now != "")
    counts[same] = held[at[same]]
    return np.where(same, (np.cumsum(held) - held)[at], 0), counts


def _within(counts: Ints) -> Ints:
    """0, 1, 2 ... for each document's chunks."""
    return np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)


def _chunk(job: StageJob, place: Path, documents: Ints, log: Log, parameters: str) -> tuple[Ints, Ints]:
    """Chunk documents into the log; first row and number of chunks of each."""
    content, tokens = chunk_shards.contents(place), ModelTokens(job.settings.embedding.model)
    begins, counts = np.zeros(len(documents), dtype=np.int64), np.zeros(len(documents), dtype=np.int64)
    made = 0
    for done, number in enumerate(documents.tolist()):
        row = content.row(number)
        begins[done] = made
        for chunk in chunk_shards.chunks_of(row, tokens, job.settings.chunking, parameters):
            log.append(chunk, len(chunk["text"]))
            made += 1
        counts[done] = made - begins[done]
        job.report(done + 1, len(documents), row["uri"])
    return begins, counts


def _shards(job: StageJob, place: Path, documents: Ints, parameters: str) -> Iterator[Shard] | None:
    """The documents in shards, where processes of their own do them and there are several."""
    if job.mapper is None or not job.mapper.processes:
        return None
    chunking, model = job.settings.chunking, job.settings.embedding.model
    rows: list[int] = documents.tolist()
    return several(chunk_shards.shards(job.output, place, rows, chunking=chunking, model=model, parameters=parameters))


def _in_shards(job: StageJob, shards: Iterator[Shard], ids: Sequence[str]) -> tuple[Rows, Ints, Ints]:
    """Have shards made: their rows, and the first one and number of chunks of each document, given by its id."""
    assert job.mapper is not None
    at = {name: position for position, name in enumerate(ids)}
    begins, counts = np.zeros(len(ids), dtype=np.int64), np.zeros(len(ids), dtype=np.int64)
    places: list[Path] = []
    made = 0
    report = partial(job.report, 0, 0)
    for shard in each_done(chunk_shards.chunk_shard, shards, job.mapper, report):
        places.append(shard.place)
        for name, held in Counter(part_column(shard.place, chunk_shards.schema(), "document_id")).items():
            begins[at[name]], counts[at[name]] = made, held
            made += held
    return part_rows(places, chunk_shards.schema()), begins, counts


def _write(path: Path, last: Last | None, fresh: Rows, origin: Ints, documents: "pa.Table", owners: Ints) -> None:
    """Chunks by origin (a row of the last output, or -1 - a row of `fresh`), each with its document's standing."""
    import pyarrow as pa

    schema = arrow_schema(Chunk)
    with group_writer(path, schema) as write:
        for first in range(0, max(1, len(origin)), _GROUP_ROWS):
            part = interleaved(last.chunks if last else None, fresh, origin[first : first + _GROUP_ROWS], schema)
            standing = documents.select(_STANDING).take(pa.array(owners[first : first + _GROUP_ROWS]))
            for name in _STANDING[:-1]:
                part = part.set_column(schema.get_field_index(name), schema.field(name), standing[name])
            superseded = standing["superseded_by"].is_valid()
            write(part.set_column(schema.get_field_index("superseded"), schema.field("superseded"), superseded))
