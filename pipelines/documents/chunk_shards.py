"""Documents -> chunks: here, or as a shard in whatever process maps it.

Invariant: a document's chunks depend on it and the settings alone, not on where they were made or beside which others.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.artifacts import arrow_schema
from pipelines.contracts import Block, Chunk, Document, content_id
from pipelines.documents.chunking import pieces
from pipelines.documents.chunking.tokens import ModelTokens, Tokens
from pipelines.documents.tables import Rows, stored_rows, write_part
from pipelines.settings import Chunking
from pipelines.shards import Shard, making, shards_of

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_EACH, GROUPS_EACH = 1024, 1.0
"""Documents of a shard at most, and about as many texts as lie in one row group of the table."""
_NEEDED = ("id", "uri", "title", "text", "blocks")


def schema() -> "pa.Schema":
    """Of a shard's file."""
    return arrow_schema(Chunk)


def contents(documents: Path) -> Rows:
    """What of the documents' table is needed to chunk them."""
    return stored_rows(documents, _NEEDED, arrow_schema(Document))


def chunks_of(row: Mapping[str, Any], tokens: Tokens, chunking: Chunking, parameters: str) -> Iterator[dict[str, Any]]:
    """The chunks of a document as rows; `parameters` is the digest that is part of their ids."""
    blocks = [Block.model_validate(block) for block in row["blocks"]]
    found = pieces(
        row["text"],
        blocks,
        tokens,
        size=chunking.size_tokens,
        overlap=chunking.overlap_tokens,
        strategy=chunking.strategy,
    )
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
        ).model_dump(mode="json")


# --- shards ------------------------------------------------------------------------------------


def shards(
    output: Path, documents: Path, rows: Sequence[int], *, chunking: Chunking, model: str, parameters: str
) -> Iterator[Shard]:
    """Rows of the documents' table in shards; `model` counts the tokens."""
    common = {"documents": str(documents), "model": model, "parameters": parameters}
    settings = chunking.model_dump(mode="json")
    parts = (
        (f"chunk documents {part[0]} to {part[-1]}", {**common, "settings": settings, "rows": part})
        for part in _parts(documents, rows)
    )
    return shards_of(output, ".arrows", parts)


def chunk_shard(given: bytes, place: Path, threads: int) -> None:
    """Chunk the documents of a shard into `place`; one thread is all that chunking takes."""
    asked = json.loads(given)
    content, tokens = contents(Path(asked["documents"])), ModelTokens(asked["model"])
    chunking = Chunking.model_validate(asked["settings"])
    documents = (content.row(number) for number in asked["rows"])
    chunks = (chunk for row in documents for chunk in chunks_of(row, tokens, chunking, asked["parameters"]))
    with making(place) as temporary:
        write_part(temporary, chunks, schema())


def _parts(documents: Path, rows: Iterable[int]) -> Iterator[list[int]]:
    """Rows in their order, cut where a part holds enough; a row weighs its share of its row group."""
    import numpy as np
    import pyarrow.parquet as pq

    about = pq.read_metadata(documents)
    sizes = np.array([about.row_group(group).num_rows for group in range(about.num_row_groups)])
    ends = np.cumsum(sizes)
    part: list[int] = []
    weight = 0.0
    for row in rows:
        share = 1 / sizes[np.searchsorted(ends, row, side="right")]
        if part and (len(part) >= ROWS_EACH or weight + share > GROUPS_EACH + 1e-9):
            yield part
            part, weight = [], 0.0
        part.append(row)
        weight += share
    if part:
        yield part
