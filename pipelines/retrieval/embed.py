"""Stage embed: chunks -> vectors.parquet, index.json, and the tagged version in the index.

Invariants: a text that this model has embedded before is not embedded again (vectorcache.py), and the model is loaded
only when there is something new. Chunks pass through group by group: memory holds the vectors of a group, and ids and
digests of the whole.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.artifacts import StageJob, arrow_schema, write_json
from pipelines.contracts import Chunk, content_id
from pipelines.documents.tables import group_writer
from pipelines.errors import DatasetError, StageError
from pipelines.retrieval import index, index_writing
from pipelines.retrieval.embed_shards import embed_ahead, together
from pipelines.retrieval.embedder import Embedder
from pipelines.retrieval.index import CHUNK_COLUMNS, POINTER, VECTORS, IndexPointer
from pipelines.retrieval.terms import search_text
from pipelines.retrieval.vectorcache import Halves, VectorCache

GROUP = 8_192
"""Chunks that pass through at once."""
KEPT_EACH = 1_024
"""Vectors that are kept at once: what a kill costs at most."""
SHAPES_A_HIT = (
    *("id", "text_digest", "document_id", "uri", "tokens", "page"),
    *("language", "date", "tenant", "labels", "superseded"),
)
"""What a row's digest covers: a change of any writes the row anew (a document may become superseded)."""


def run(job: StageJob) -> None:
    """Embed the chunks of `job.inputs["chunk"]` and bring the index in line."""
    place = job.inputs["chunk"] / "chunks.parquet"
    embedder = Embedder(job.settings.embedding, threads=job.settings.runtime.threads)
    with VectorCache(job.state, embedder.digest) as cache:
        groups = (list(zip(*_texts(chunks), strict=True)) for chunks, _ in _groups(place))
        ahead = embed_ahead(job, groups, cache, most=KEPT_EACH)
        ids, digests = _write_vectors(job, place, embedder, cache)
        job.notes["embedded"] += ahead
    pointer = _pointer(job, embedder, ids, digests)
    write_json(job.output / POINTER, pointer)
    place_of_index = index.place_of(job.state, job.settings.index)
    index_writing.write(place_of_index, pointer, job.output / VECTORS, job.report)
    size = index.size_bytes(place_of_index, pointer.table)
    job.notes["index_bytes"] = size
    if size > job.settings.index.alarm_bytes:
        job.notes["warnings"] = [index_writing.alarm(pointer, size, job.settings.index.alarm_bytes)]


def _write_vectors(job: StageJob, place: Path, embedder: Embedder, cache: VectorCache) -> tuple[list[str], list[str]]:
    """Every chunk with its vector into vectors.parquet; ids and row digests in order."""
    ids: list[str] = []
    digests: list[str] = []
    seen: set[str] = set()
    embedded = 0
    with group_writer(job.output / VECTORS, _schema(embedder.dim)) as write:
        for chunks, total in _groups(place):
            fresh = _first_of_each(chunks, seen)
            rows, new = _with_vectors(fresh, embedder, cache, _from(job, len(ids), total))
            write(rows)
            embedded += new
            ids += rows.column("id").to_pylist()
            digests += rows.column("row_digest").to_pylist()
            job.report(len(ids), total, "embedding")
    if not ids:
        raise DatasetError("There is no chunk to embed: every document is empty or in quarantine.")
    job.notes["embedded"] = embedded
    return ids, digests


def _groups(place: Path) -> Iterator[tuple[pa.Table, int]]:
    """Chunks in their order, a group at a time, with how many there are in all."""
    try:
        file = pq.ParquetFile(place)
        for batch in file.iter_batches(GROUP, columns=list(CHUNK_COLUMNS)):
            yield pa.Table.from_batches([batch]).select(CHUNK_COLUMNS), file.metadata.num_rows
    except (OSError, ValueError) as exc:  # pyarrow's errors are ValueErrors or OSErrors
        raise StageError(f"{place} does not hold chunks: {exc}. Run `groundwork stage chunk`.") from exc


def _texts(chunks: pa.Table) -> tuple[list[bytes], list[str]]:
    """Digest and text of what is embedded of each chunk."""
    fields = (chunks.column(name).to_pylist() for name in ("title", "heading_path", "text"))
    texts = [search_text(*each) for each in zip(*fields, strict=True)]
    return [hashlib.sha256(text.encode()).digest() for text in texts], texts


def _first_of_each(chunks: pa.Table, seen: set[str]) -> pa.Table:
    """Rows whose id did not come before."""
    kept = []
    for row, name in enumerate(chunks.column("id").to_pylist()):
        if name not in seen:
            seen.add(name)
            kept.append(row)
    return chunks if len(kept) == chunks.num_rows else chunks.take(pa.array(kept, pa.int64()))


def _with_vectors(
    chunks: pa.Table, embedder: Embedder, cache: VectorCache, report: Callable[[int, int], None]
) -> tuple[pa.Table, int]:
    """The chunks with all that the index needs to be rebuilt without the model, and how many were embedded anew."""
    digests, texts = _texts(chunks)
    vectors = cache.get(digests)
    missing = {digest: text for digest, text in zip(digests, texts, strict=True) if digest not in vectors}
    vectors |= _embedded(missing, embedder, cache, report)
    rows = chunks.append_column("text_digest", pa.array([each.hex() for each in digests], pa.string()))
    rows = rows.append_column("row_digest", pa.array(row_digests(rows), pa.string()))
    stacked = np.stack([vectors[digest] for digest in digests]) if digests else np.zeros((0, embedder.dim))
    return rows.append_column("vector", index.vector_column(stacked)), len(missing)


def row_digests(rows: pa.Table) -> list[str]:
    """Of rows with their `text_digest`: what each is known by in a version."""
    fields = (rows.column(name).to_pylist() for name in SHAPES_A_HIT)
    return [hashlib.sha256(repr(each).encode()).hexdigest() for each in zip(*fields, strict=True)]


def _embedded(
    missing: dict[bytes, str], embedder: Embedder, cache: VectorCache, report: Callable[[int, int], None]
) -> dict[bytes, Halves]:
    """Vectors of texts that are not kept yet; kept as they come, texts of like length together."""
    found: dict[bytes, Halves] = {}
    for part in together(missing, KEPT_EACH):
        made = embedder.encode_passages([missing[digest] for digest in part]).astype(np.float16)
        cache.put(part, made)
        found |= dict(zip(part, made, strict=True))
        report(len(found), len(missing))
    return found


def _from(job: StageJob, start: int, total: int) -> Callable[[int, int], None]:
    """Progress of a group as progress of the whole."""
    return lambda done, _: job.report(start + done, total, "embedding")


def _schema(dim: int) -> pa.Schema:
    extra = [("text_digest", pa.string()), ("row_digest", pa.string()), ("vector", pa.list_(pa.float16(), dim))]
    return pa.schema([*arrow_schema(Chunk), *(pa.field(*each) for each in extra)])


def _pointer(job: StageJob, embedder: Embedder, ids: Sequence[str], digests: Sequence[str]) -> IndexPointer:
    model = job.settings.embedding.model
    named = embedder.name if embedder.name != model or model.startswith("package:") else Path(model).name
    return IndexPointer(
        table=index.table_name(embedder.digest),
        tag=index.tag_of(embedder.digest, digests),
        rows=len(ids),
        dim=embedder.dim,
        model=named,
        model_digest=embedder.digest,
        precision=embedder.precision,
        space=embedder.space,
        chunks_digest=content_id(ids),
    )
