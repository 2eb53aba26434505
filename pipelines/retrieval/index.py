"""Vectors and chunks in LanceDB: the only file that imports lancedb.

One table an embedding model; one version a content, named by a tag. Invariant: a tag names exactly the chunks
whose digests it is made of, and a reader keeps its version while the writer makes the next.
Equal content may lie in two builds whose vectors differ in their last bits (batches round differently).
Not covered: scoring (search.py), what is embedded (embed.py), clearing away of versions nobody names.
"""

import importlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.artifacts import arrow_schema, read_json
from pipelines.contracts import Chunk, Contract
from pipelines.errors import IndexMismatchError, StageError
from pipelines.retrieval.terms import terms

VECTORS = "vectors.parquet"
POINTER = "index.json"
LAYOUT = 2
"""Of the table: part of its name, so that a change of columns or terms builds a table beside the old one."""
APPROXIMATE_FROM = 50_000
"""Rows from which a vector index pays: 100,000 x 384 take 173 ms flat and 4 ms by IVF_HNSW_SQ."""
KEEP = timedelta(days=3650)
"""`optimize` must clean nothing away: it fails on a version that a tag protects."""
CHUNK_COLUMNS = tuple(Chunk.model_fields)
STORED = (*CHUNK_COLUMNS, "row_digest", "terms", "vector")
DELETED_AT_ONCE = 500

Vectors = npt.NDArray[np.float32]


class IndexPointer(Contract):
    """index.json: which version of which table, and what it was made of."""

    table: str
    tag: str
    rows: int
    dim: int
    model: str
    model_digest: str
    chunks_digest: str


@dataclass(frozen=True)
class Found:
    """Rows that one kind of search brought, best first.

    `scores`: float32 [n], higher is better. `vectors`: float32 [n, dim].
    """

    rows: pa.Table
    scores: Vectors
    vectors: Vectors


class OpenIndex:
    """A tagged version, open for search; later writes do not show."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def nearest(self, vector: Vectors, k: int) -> Found:
        """The k rows of highest cosine to a unit vector float32 [dim]."""
        query = self._table.search(vector, vector_column_name="vector").distance_type("cosine")
        return self._found(query.select([*CHUNK_COLUMNS, "vector", "_distance"]), "_distance", k)

    def matching(self, query_terms: str, k: int) -> Found:
        """The k rows of highest BM25 for terms joined by spaces."""
        query = self._table.search(_lancedb("query").MatchQuery(query_terms, "terms"), query_type="fts")
        return self._found(query.select([*CHUNK_COLUMNS, "vector", "_score"]), "_score", k)

    def everything(self) -> pa.Table:
        """Every row of this version."""
        return self._table.to_arrow()

    def _found(self, query: Any, score: str, k: int) -> Found:
        try:
            rows: pa.Table = query.limit(k).to_arrow()
        except (RuntimeError, ValueError, OSError) as exc:
            raise IndexMismatchError(
                f"The index cannot be searched ({exc}). Remove the workspace's state/index and run "
                "`groundwork stage embed`: it is rebuilt from vectors.parquet."
            ) from exc
        scores = rows.column(score).to_numpy()
        return Found(rows, 1.0 - scores if score == "_distance" else scores, vectors_of(rows))


def present(state: Path, folder: Path) -> bool:
    """Whether the tagged version that a stage folder names lies in the index. Imports nothing heavy."""
    try:
        pointer = IndexPointer.model_validate(read_json(folder / POINTER))
    except (OSError, ValueError):
        return False
    return (_place(state, pointer) / "_refs" / "tags" / f"{pointer.tag}.json").exists()


def restore(state: Path, folder: Path) -> None:
    """Rebuild the index from a stage folder's vectors.parquet, without the model."""
    try:
        pointer = IndexPointer.model_validate(read_json(folder / POINTER))
        rows = pq.read_table(folder / VECTORS)
    except (OSError, ValueError) as exc:  # pyarrow's errors are ValueErrors or OSErrors
        raise IndexMismatchError(
            f"{folder} does not hold a whole index ({exc}); remove it and run `groundwork stage embed`, or `dvc pull`."
        ) from exc
    write(state, pointer, rows)


def write(state: Path, pointer: IndexPointer, wanted: pa.Table) -> None:
    """Make the table hold exactly the wanted rows (by `id` and `row_digest`), then tag that version.

    `wanted`: the columns of vectors.parquet. Does nothing when the tag is there. One writer at a time.
    """
    from filelock import FileLock

    folder = state / "index"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{pointer.table}.lock"), _explained(folder):
        connection = _lancedb().connect(str(folder))
        table = _opened(connection, state, pointer)
        if table is None:
            table = connection.create_table(pointer.table, schema=_schema(pointer.dim))
        elif pointer.tag in table.tags.list():
            return
        _bring_in_line(table, wanted)
        table.tags.create(pointer.tag, table.version)


def open_index(state: Path, pointer: IndexPointer) -> OpenIndex:
    """The version that a pointer names. Raises IndexMismatchError when it is not there."""
    try:
        table = _lancedb().connect(str(state / "index")).open_table(pointer.table)
        table.checkout(pointer.tag)
        return OpenIndex(table)
    except (ValueError, RuntimeError, OSError) as exc:
        raise IndexMismatchError(
            f"The index {pointer.table} at {pointer.tag[:12]} is not in {state / 'index'}; run "
            "`groundwork stage embed` (it is rebuilt from vectors.parquet)."
        ) from exc


def read(state: Path, pointer: IndexPointer) -> pa.Table:
    """Every row of the tagged version: the chunk's fields, its terms and vector."""
    return open_index(state, pointer).everything()


def load_pointer(folder: Path, model_digest: str) -> IndexPointer:
    """The pointer of a stage folder, checked against the embedding model that will ask it.

    Raises IndexMismatchError when there is none or another model made the vectors.
    """
    try:
        pointer = IndexPointer.model_validate(read_json(folder / POINTER))
    except (OSError, ValueError) as exc:
        raise IndexMismatchError(f"{folder} holds no index; run `groundwork run` or `groundwork index build`.") from exc
    if pointer.model_digest != model_digest:
        raise IndexMismatchError(
            f"The index in {folder} was built with {pointer.model}; the settings name another embedding model, "
            "precision or passage prefix. Set `embedding` back, or run `groundwork stage embed` to build a new index."
        )
    return pointer


def table_name(model_digest: str) -> str:
    """The table of an embedding model."""
    return f"chunks-{LAYOUT}-{model_digest[:12]}"


def vector_column(vectors: Vectors) -> pa.Array:
    """float32 [n, dim] as an Arrow column."""
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])


def vectors_of(rows: pa.Table) -> Vectors:
    """The `vector` column as float32 [n, dim]."""
    column = rows.column("vector").combine_chunks()
    flat: Vectors = column.flatten().to_numpy()
    return flat.reshape(len(rows), column.type.list_size)


def search_text(title: str, heading_path: Sequence[str], text: str) -> str:
    """What is embedded and matched of a chunk: title, headings, text."""
    return "\n".join([title, *(part for part in heading_path if part != title), text])


# --- writing ---------------------------------------------------------------------------------


def _bring_in_line(table: Any, wanted: pa.Table) -> None:
    held = _digests(table.search().select(["id", "row_digest"]).limit(max(1, table.count_rows())).to_arrow())
    fresh = _digests(wanted)
    gone = [name for name in held if name not in fresh]
    changed = [i for i, (name, digest) in enumerate(fresh.items()) if held.get(name) != digest]
    for start in range(0, len(gone), DELETED_AT_ONCE):
        quoted = ", ".join(f"'{name}'" for name in gone[start : start + DELETED_AT_ONCE])  # ids are hex digests
        table.delete(f"id IN ({quoted})")
    if changed:
        rows = _with_terms(wanted.take(pa.array(changed)))
        if held:
            table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all().execute(rows)
        else:
            table.add(rows)
    _bring_indices_in_line(table, grew=bool(gone or changed))


def _bring_indices_in_line(table: Any, *, grew: bool) -> None:
    """Build what is missing (a killed build may have left none), and take new rows into what is there."""
    kinds = {column for index in table.list_indices() for column in index.columns}
    if grew and kinds:
        table.optimize(cleanup_older_than=KEEP)
    if "terms" not in kinds:
        config = _lancedb("index").FTS(
            base_tokenizer="whitespace", lower_case=False, stem=True, remove_stop_words=False, with_position=False
        )
        table.create_index("terms", config=config)
    if "vector" not in kinds and table.count_rows() >= APPROXIMATE_FROM:
        table.create_index("vector", config=_lancedb("index").IvfHnswSq(distance_type="cosine"))


def _opened(connection: Any, state: Path, pointer: IndexPointer) -> Any:
    """The table, or None where there is none; one that cannot be opened any more is removed."""
    place = _place(state, pointer)
    if not place.exists():
        return None
    try:
        table = connection.open_table(pointer.table)
        table.count_rows()
        return table
    except (ValueError, RuntimeError, OSError):
        shutil.rmtree(place)  # every version can be rebuilt from its vectors.parquet
        return None


def _with_terms(rows: pa.Table) -> pa.Table:
    texts = [search_text(*fields) for fields in zip(*_columns(rows, "title", "heading_path", "text"), strict=True)]
    return rows.append_column("terms", pa.array([terms(text) for text in texts], pa.string())).select(STORED)


def _digests(rows: pa.Table) -> dict[str, str]:
    return dict(zip(*_columns(rows, "id", "row_digest"), strict=True))


def _columns(rows: pa.Table, *names: str) -> Iterator[list[Any]]:
    return (rows.column(name).to_pylist() for name in names)


def _schema(dim: int) -> pa.Schema:
    extra = [("row_digest", pa.string()), ("terms", pa.string()), ("vector", pa.list_(pa.float32(), dim))]
    return pa.schema([*arrow_schema(Chunk), *(pa.field(*each) for each in extra)])


def _place(state: Path, pointer: IndexPointer) -> Path:
    return state / "index" / f"{pointer.table}.lance"


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except RuntimeError as exc:  # what LanceDB raises for a full disk, a lost file, a conflict
        raise StageError(
            f"The index in {folder} could not be written: {exc}. The last index is untouched; mend the cause "
            "(disk space, permissions) and run the same command again."
        ) from exc


def _lancedb(part: str = "") -> Any:
    """LanceDB takes seconds to import: only when it is used."""
    import lancedb

    return importlib.import_module(f"lancedb.{part}") if part else lancedb
