"""Stage embed: chunks -> vectors.parquet, index.json, and the tagged version in the index.

Invariants: a text that this model has embedded before is not embedded again (by digest of model and text), and
the model is loaded only when there is something new. Unchanged rows stay in Arrow: a changed document of
thousands costs what it holds.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.artifacts import StageJob, read_json, replacing, write_json
from pipelines.contracts import content_id
from pipelines.errors import DatasetError, StageError
from pipelines.retrieval import index
from pipelines.retrieval.embedder import Embedder
from pipelines.retrieval.index import CHUNK_COLUMNS, POINTER, VECTORS, IndexPointer, search_text

SHARD = 2_000
"""Texts embedded between two writes: what a kill costs at most."""
SHAPES_A_HIT = (
    *("id", "text_digest", "document_id", "uri", "tokens", "page"),
    *("language", "date", "tenant", "labels", "superseded"),
)
"""What a row's digest covers: a change of any writes the row anew (a document may become superseded)."""

Vectors = npt.NDArray[np.float32]


def run(job: StageJob) -> None:
    """Embed the chunks of `job.inputs["chunk"]` and bring the index in line."""
    chunks = _chunks(job.inputs["chunk"] / "chunks.parquet")
    embedder = Embedder(job.settings.embedding, threads=job.settings.runtime.threads)
    texts = _texts(chunks)
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    vectors = _vectors(job, embedder, texts, digests)
    table = _table(chunks, digests, vectors)
    with replacing(job.output / VECTORS) as temporary:
        pq.write_table(table, temporary, compression="zstd", use_dictionary=["document_id", "uri", "title", "tenant"])
    pointer = _pointer(job, embedder, table)
    write_json(job.output / POINTER, pointer)
    job.report(len(texts), len(texts), "writing the index")
    index.write(job.state, pointer, table)
    for shard in job.output.glob("shard-*.npz"):
        shard.unlink()


def _chunks(place: Path) -> pa.Table:
    """The chunks in their order, each id once."""
    try:
        rows = pq.read_table(place).select(CHUNK_COLUMNS)
    except (OSError, pa.ArrowException) as exc:
        raise StageError(f"{place} does not hold chunks: {exc}. Run `groundwork stage chunk`.") from exc
    if not rows.num_rows:
        raise DatasetError("There is no chunk to embed: every document is empty or in quarantine.")
    first = {name: row for row, name in reversed(list(enumerate(rows.column("id").to_pylist())))}
    return rows if len(first) == rows.num_rows else rows.take(pa.array(sorted(first.values())))


def _texts(chunks: pa.Table) -> list[str]:
    fields = (chunks.column(name).to_pylist() for name in ("title", "heading_path", "text"))
    return [search_text(*each) for each in zip(*fields, strict=True)]


def _vectors(job: StageJob, embedder: Embedder, texts: list[str], digests: list[str]) -> Vectors:
    """float32 [n, dim]: taken over from the last output and from shards of a killed run, else embedded."""
    known = _known(job.previous, embedder.digest) | _shards(job.output, embedder.digest)
    text_of = dict(zip(digests, texts, strict=True))
    missing = [digest for digest in text_of if digest not in known]
    job.notes["embedded"] = len(missing)
    for start in range(0, len(missing), SHARD):
        part = missing[start : start + SHARD]
        made = embedder.encode_passages([text_of[d] for d in part], report=_from(job, start, len(missing)))
        known |= dict(zip(part, made, strict=True))
        if len(missing) > SHARD:
            _write_shard(job.output, embedder.digest, part, made)
    return np.stack([known[d] for d in digests]).astype(np.float32)


def _from(job: StageJob, start: int, total: int) -> Callable[[int, int], None]:
    """Progress of a shard as progress of the whole."""
    return lambda done, _: job.report(start + done, total, "embedding")


def _known(previous: Path | None, model: str) -> dict[str, Vectors]:
    """Vectors of the last output by text digest, if the same model made them."""
    if previous is None:
        return {}
    try:
        if read_json(previous / POINTER)["model_digest"] != model:
            return {}
        rows = pq.read_table(previous / VECTORS, columns=["text_digest", "vector"])
    except (OSError, ValueError, KeyError):  # of an older layout or damaged: all is embedded again
        return {}
    return dict(zip(rows.column("text_digest").to_pylist(), index.vectors_of(rows), strict=True))


def _write_shard(folder: Path, model: str, digests: list[str], vectors: Vectors) -> None:
    """Named by its texts: a run that goes on after a kill writes others."""
    place = folder / f"shard-{content_id(digests)[:16]}.npz"
    with replacing(place) as temporary, temporary.open("wb") as stream:
        np.savez(stream, model=np.array(model), digests=np.array(digests), vectors=vectors)


def _shards(folder: Path, model: str) -> dict[str, Vectors]:
    found: dict[str, Vectors] = {}
    for place in sorted(folder.glob("shard-*.npz")):
        with np.load(place, allow_pickle=False) as shard:
            if str(shard["model"]) == model:
                found |= dict(zip(shard["digests"].tolist(), shard["vectors"], strict=True))
    return found


def _table(chunks: pa.Table, digests: list[str], vectors: Vectors) -> pa.Table:
    """The chunks with all that the index needs to be rebuilt without the model."""
    rows = chunks.append_column("text_digest", pa.array(digests, pa.string()))
    fields = (rows.column(name).to_pylist() for name in SHAPES_A_HIT)
    row_digests = [hashlib.sha256(repr(each).encode()).hexdigest() for each in zip(*fields, strict=True)]
    rows = rows.append_column("row_digest", pa.array(row_digests, pa.string()))
    return rows.append_column("vector", index.vector_column(vectors))


def _pointer(job: StageJob, embedder: Embedder, rows: pa.Table) -> IndexPointer:
    model = job.settings.embedding.model
    return IndexPointer(
        table=index.table_name(embedder.digest),
        tag=content_id(index.LAYOUT, embedder.digest, sorted(rows.column("row_digest").to_pylist()))[:32],
        rows=rows.num_rows,
        dim=embedder.dim,
        model=model if model.startswith("package:") else Path(model).name,
        model_digest=embedder.digest,
        chunks_digest=content_id(rows.column("id").to_pylist()),
    )
