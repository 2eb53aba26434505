"""Stage chunk: documents.parquet -> chunks.parquet.

Invariants: chunks lie in the order of their documents and of their place in them; those of an unchanged
document are taken over when the chunker's parameters are the same; a near-duplicate has no chunks.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipelines.artifacts import StageJob, arrow_schema, read_json, write_json
from pipelines.contracts import Block, Chunk, Document, content_id
from pipelines.documents.chunker import CHUNKER_VERSION, Count, pieces
from pipelines.documents.tables import read_table, table_of, write_table
from pipelines.modelfiles import model_digest, model_folder

if TYPE_CHECKING:
    import pyarrow as pa

CHUNKS = "chunks.parquet"
NOTES = "chunk.json"
_DOCUMENTS = "documents.parquet"
_INGEST_NOTES = "ingest.json"


def run(job: StageJob) -> None:
    """Chunk what is new, take over the rest, write."""
    place = job.inputs["ingest"]
    documents = read_table(place / _DOCUMENTS, Document)
    parameters = chunk_parameters(job)
    notes = {
        "parameters": parameters,
        "parsers": read_json(place / _INGEST_NOTES)["parsers"] if (place / _INGEST_NOTES).exists() else None,
    }
    last, chunked = _last_output(job, notes)
    indexed = [i for i, original in enumerate(documents["near_duplicate_of"].to_pylist()) if original is None]
    ids = documents["id"].to_pylist()
    new = [i for i in indexed if ids[i] not in chunked]
    fresh = _fresh(job, documents, new, parameters) if new else None
    table = _assembled(documents, [ids[i] for i in indexed], last, fresh)
    write_table(job.output / CHUNKS, table)
    write_json(job.output / NOTES, {**notes, "documents": [ids[i] for i in indexed]})
    job.notes.update(chunks=table.num_rows, documents=len(indexed), documents_chunked=len(new))


def chunk_parameters(job: StageJob) -> str:
    """Digest of what decides on chunks besides the document: part of every chunk's id."""
    chosen = job.settings.chunking.model_dump()
    return content_id(CHUNKER_VERSION, chosen, model_digest(job.settings.embedding.model))


def token_counter(model: str) -> Count:
    """Counts tokens as an embedding model does, special tokens left out."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model_folder(model) / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(texts: Sequence[str]) -> list[int]:
        return [len(e) for e in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    return count


def _last_output(job: StageJob, notes: Mapping[str, Any]) -> tuple["pa.Table | None", set[str]]:
    """The last chunks and the documents that they were made of, when made in the same way."""
    place = job.previous
    if place is None or not (place / NOTES).exists() or not (place / CHUNKS).exists():
        return None, set()
    written = read_json(place / NOTES)
    if any(written.get(name) != value for name, value in notes.items()) or notes["parsers"] is None:
        return None, set()
    return read_table(place / CHUNKS, Chunk), set(written["documents"])


def _fresh(job: StageJob, documents: "pa.Table", new: Sequence[int], parameters: str) -> "pa.Table":
    count = token_counter(job.settings.embedding.model)
    chunks: list[Chunk] = []
    for done, index in enumerate(new, 1):
        row = documents.slice(index, 1).to_pylist()[0]
        chunks += _chunks_of(row, count, job, parameters)
        job.report(done, len(new), row["uri"])
    return table_of(chunks, Chunk)


def _chunks_of(row: Mapping[str, Any], count: Count, job: StageJob, parameters: str) -> Iterator[Chunk]:
    chunking = job.settings.chunking
    blocks = [Block.model_validate(block) for block in row["blocks"]]
    found = pieces(row["text"], blocks, count, size=chunking.size_tokens, overlap=chunking.overlap_tokens)
    for piece in found:
        yield Chunk(
            id=content_id(row["id"], piece.start, piece.end, parameters),
            document_id=row["id"],
            uri=row["uri"],
            title=row["title"],
            start=piece.start,
            end=piece.end,
            text=row["text"][piece.start : piece.end],
            heading_path=piece.heading_path,
            page=piece.page,
            tokens=piece.tokens,
            tenant=row["tenant"],
            labels=tuple(row["labels"]),
        )


def _assembled(
    documents: "pa.Table", order: Sequence[str], last: "pa.Table | None", fresh: "pa.Table | None"
) -> "pa.Table":
    """Kept and new chunks in the order of their documents, `superseded` as the documents now say."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    place = {name: position for position, name in enumerate(order)}
    whole = pa.concat_tables([t for t in (last, fresh) if t is not None] or [arrow_schema(Chunk).empty_table()])
    at = np.array([place.get(name, -1) for name in whole["document_id"].to_pylist()], dtype=np.int64)
    starts = whole["start"].to_numpy()
    ends = whole["end"].to_numpy()
    rows = np.lexsort((ends, starts, at))
    table = whole.take(pa.array(rows[at[rows] >= 0]))
    old = documents.filter(pc.is_valid(documents["superseded_by"]))["id"].combine_chunks()
    superseded = pc.is_in(table["document_id"], value_set=old)
    return table.set_column(table.schema.get_field_index("superseded"), "superseded", superseded)
