"""Vectors and chunks in LanceDB, for reading: the only file that imports lancedb.

One table an embedding model; one version a content, named by a tag. Invariant: a tag names exactly the chunks whose
digests it is made of, and a reader keeps its version while the writer makes the next. The tables lie in a folder of
the workspace or, with `index.uri`, in a bucket; access to it comes from the environment (AWS_*).
Equal content may lie in two builds whose vectors differ in their last bits (batches round differently).
Not covered: writing (index_writing.py), versions as people see them (index_versions.py, index_checks.py), scoring
(search.py).
"""

import importlib
import io
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic_core import from_json, to_json

from pipelines.artifacts import arrow_schema, read_json
from pipelines.contracts import Chunk, Contract, content_id
from pipelines.errors import IndexMismatchError, StageError
from pipelines.retrieval import terms as analysis
from pipelines.retrieval.lexicon import Lexicon, read_lexicon
from pipelines.settings import Index, Settings

VECTORS = "vectors.parquet"
POINTER = "index.json"
LAYOUT = f"5.{analysis.LAYOUT}"
"""Of the table: part of its name, so that a change of columns or terms builds a table beside the old one."""
CHUNK_COLUMNS = tuple(Chunk.model_fields)
HIT = "hit"
"""The column that holds a chunk whole, as JSON: every column that is read of a hundred candidates takes its time."""
READ = (HIT, "terms", "vector")
"""Columns that a search brings of a candidate."""
VERSIONS = f"versions-{LAYOUT}"
"""The table that holds of each version its pointer, when it was made, and its term counts."""
PROBED, REFINED = 40, 2
"""Partitions that a vector search looks into, and how many times as many rows are ranked by their whole vectors."""

Vectors = npt.NDArray[np.float32]
VENDOR_ERRORS = (ValueError, RuntimeError, OSError, NotImplementedError)
"""What LanceDB raises: ValueError for what is not there, RuntimeError for nearly everything else."""


class IndexPointer(Contract):
    """index.json: which version of which table, and what it was made of."""

    table: str
    tag: str
    rows: int
    dim: int
    model: str
    model_digest: str
    precision: str = ""
    """In which the vectors were made; "" where nobody wrote it down."""
    space: str
    """Whose vectors may be compared with these: `Embedder.space`."""
    chunks_digest: str

    @property
    def layout(self) -> str:
        """Of its table, whose name says so."""
        parts = self.table.split("-")
        return parts[1] if len(parts) == 3 and parts[0] == "chunks" else LAYOUT


@dataclass(frozen=True)
class Place:
    """Where a workspace's index lies."""

    root: str
    """A folder, or an address such as s3://bucket/prefix."""

    @property
    def folder(self) -> Path | None:
        """The folder; None for an address."""
        return None if "://" in self.root else Path(self.root)

    def table(self, name: str) -> str:
        """Where a table lies."""
        return f"{self.root}/{name}.lance"


def place_of(state: Path, index: Index) -> Place:
    """`index.uri`, else `state/index`."""
    return Place(index.uri.rstrip("/") if index.uri else str(state / "index"))


@dataclass(frozen=True)
class Found:
    """Rows that one kind of search brought, best first; `scores`: float32 [n], higher is better."""

    rows: pa.Table
    scores: Vectors

    @property
    def chunks(self) -> list[dict[str, Any]]:
        """The rows' chunks, by field."""
        return chunks_of(self.rows)


class OpenIndex:
    """A tagged version, open for search; later writes do not show."""

    def __init__(self, table: Any, lexicon: Lexicon) -> None:
        self._table, self.lexicon = table, lexicon
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="index")

    @cached_property
    def _has_vector_index(self) -> bool:
        return any("vector" in each.columns for each in self._table.list_indices())

    @property
    def rows(self) -> int:
        """How many chunks this version holds."""
        return int(self._table.count_rows())

    def both(self, vector: Vectors, query_terms: Sequence[str], k: int, where: str | None) -> tuple[Found, Found]:
        """`nearest` and `matching` at once, each in a thread of its own (LanceDB works outside Python's lock)."""
        near = self._threads.submit(self.nearest, vector, k, where)
        matched = self._threads.submit(self.matching, query_terms, k, where)
        return near.result(), matched.result()

    def nearest(self, vector: Vectors, k: int, where: str | None = None) -> Found:
        """The k rows of highest cosine to a unit vector float32 [dim]; `where`: rows that may be found (SQL)."""
        query = self._table.search(vector, vector_column_name="vector").distance_type("cosine")
        if self._has_vector_index:
            query = query.fast_search().nprobes(PROBED).refine_factor(REFINED)
        return self._found(query.select([*self._read, "_distance"]), "_distance", k, where)

    def matching(self, query_terms: Sequence[str], k: int, where: str | None = None) -> Found:
        """The k rows of highest BM25 for the terms of `terms.terms`."""
        if not query_terms:
            return Found(self._schema.empty_table(), np.zeros(0, dtype=np.float32))
        query = self._table.search(_query(" ".join(query_terms)), query_type="fts").fast_search()
        return self._found(query.select([*self._read, "_score"]), "_score", k, where)

    def columns(self, *names: str) -> pa.Table:
        """Columns of every row of this version."""
        return self._table.search().select(list(names)).limit(max(1, self._table.count_rows())).to_arrow()

    def chunks_within(self, places: Sequence[tuple[str, int, int]]) -> list[Chunk]:
        """Chunks that touch a span of a document: (document id, start, end) each; in no order."""
        if not places:
            return []
        touching = "(document_id = '{}' AND start < {} AND `end` > {})"
        within = " OR ".join(touching.format(name.replace("'", "''"), end, start) for name, start, end in places)
        try:
            query = self._table.search().where(within).select(list(CHUNK_COLUMNS))
            rows = query.limit(max(1, self._table.count_rows())).to_arrow()
        except VENDOR_ERRORS as exc:
            raise self._unreadable(exc) from exc
        return [Chunk.model_validate(row) for row in rows.select(CHUNK_COLUMNS).to_pylist()]

    @cached_property
    def _read(self) -> tuple[str, ...]:
        """What is read of a candidate: in a table of an earlier layout, its chunk column by column."""
        return READ if HIT in self._table.schema.names else (*CHUNK_COLUMNS, *READ[1:])

    @cached_property
    def _schema(self) -> pa.Schema:
        held = self._table.schema
        return pa.schema([held.field(name) if name in held.names else pa.field(name, pa.string()) for name in READ])

    def _found(self, query: Any, score: str, k: int, where: str | None) -> Found:
        try:
            rows: pa.Table = (query.where(where, prefilter=True) if where else query).limit(k).to_arrow()
        except VENDOR_ERRORS as exc:
            raise self._unreadable(exc) from exc
        if HIT not in rows.column_names:
            rows = rows.append_column(HIT, hits(rows.select(CHUNK_COLUMNS).to_pylist()))
        scores = rows.column(score).to_numpy()
        return Found(rows, 1.0 - scores if score == "_distance" else scores)

    @staticmethod
    def _unreadable(exc: Exception) -> IndexMismatchError:
        return IndexMismatchError(
            f"The index cannot be searched ({exc}). `groundwork index verify` says what is wrong with it; "
            "`groundwork index restore current` rebuilds it from vectors.parquet."
        )


def open_index(place: Place, pointer: IndexPointer) -> OpenIndex:
    """The version that a pointer names. Raises IndexMismatchError when it is not there."""
    try:
        connection = connect(place)
        table = connection.open_table(pointer.table)
        table.checkout(pointer.tag)
        return OpenIndex(table, lexicon_of(connection, pointer.table, pointer.tag))
    except VENDOR_ERRORS as exc:
        raise IndexMismatchError(
            f"The index {pointer.table} at {pointer.tag[:12]} is not in {place.root}; run `groundwork stage embed` "
            "(it is rebuilt from vectors.parquet)."
        ) from exc


def present(state: Path, folder: Path, settings: Settings) -> bool:
    """Whether the version that a stage folder names lies in the index."""
    try:
        pointer = load_pointer(folder)
    except IndexMismatchError:
        return False
    return tagged(place_of(state, settings.index), pointer)


def tagged(place: Place, pointer: IndexPointer) -> bool:
    """Whether the version that a pointer names is there. In a folder nothing heavy is imported to find out."""
    if place.folder is not None:
        return (place.folder / f"{pointer.table}.lance" / "_refs" / "tags" / f"{pointer.tag}.json").exists()
    try:
        return pointer.tag in connect(place).open_table(pointer.table).tags.list()
    except VENDOR_ERRORS:
        return False


def load_pointer(folder: Path, space: str | None = None) -> IndexPointer:
    """The pointer of a stage folder (or of a release's `index/`).

    Raises IndexMismatchError when there is none, or its vectors cannot be compared with those of `space`.
    """
    try:
        pointer = IndexPointer.model_validate(read_json(folder / POINTER))
    except (OSError, ValueError) as exc:
        raise IndexMismatchError(f"{folder} holds no index; run `groundwork run` or `groundwork index build`.") from exc
    if space is not None and pointer.space != space:
        raise IndexMismatchError(
            f"The index in {folder} was built with {pointer.model}; the settings name another embedding model, "
            "prefix or length. Set `embedding` back, or run `groundwork stage embed` to build a new index."
        )
    return pointer


def table_name(model_digest: str) -> str:
    """The table of an embedding model."""
    return f"chunks-{LAYOUT}-{model_digest[:12]}"


def tag_of(model_digest: str, row_digests: Iterable[str], layout: str = LAYOUT) -> str:
    """The name of a version: equal model, layout and rows, equal name."""
    return content_id(layout, model_digest, sorted(row_digests))[:32]


def size_bytes(place: Place, table: str) -> int:
    """Bytes of a table: in a folder with all its versions and indices, in a bucket those of the newest version."""
    if place.folder is not None:
        found = Path(place.table(table)).rglob("*")
        return sum(each.stat(follow_symlinks=False).st_size for each in found if each.is_file())
    return int(connect(place).open_table(table).stats()["total_bytes"])


def schema(dim: int) -> pa.Schema:
    """Of a table: a chunk by columns and whole, what it is found by, and the digest of all that shapes a hit."""
    texts = [(name, pa.string()) for name in ("row_digest", HIT, "terms")]
    extra = [*texts, ("vector", pa.list_(pa.float16(), dim))]
    return pa.schema([*arrow_schema(Chunk), *(pa.field(*each) for each in extra)])


def hits(chunks: Iterable[dict[str, Any]]) -> pa.Array:
    """Chunks as the `hit` column holds them."""
    return pa.array([to_json(each).decode() for each in chunks], pa.string())


def chunks_of(rows: pa.Table) -> list[dict[str, Any]]:
    """The `hit` column, read: each row's chunk by field."""
    return [from_json(held) for held in rows.column(HIT).to_pylist()]


def vector_column(vectors: npt.NDArray[Any]) -> pa.Array:
    """[n, dim] as an Arrow column of float16: half the disk, and a cosine that differs in the seventh digit."""
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.astype(np.float16).reshape(-1)), vectors.shape[1])


def vectors_of(rows: pa.Table) -> Vectors:
    """The `vector` column as float32 [n, dim]."""
    column = rows.column("vector").combine_chunks()
    flat = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    vectors: Vectors = flat.reshape(len(rows), column.type.list_size)
    return vectors


def connect(place: Place) -> Any:
    """LanceDB on the index's place; an address is reached with what the environment says (AWS_*)."""
    if place.folder is not None:
        place.folder.mkdir(parents=True, exist_ok=True)
        return lancedb().connect(place.root, read_consistency_interval=timedelta(0))
    options = {}
    if endpoint := os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"):
        options = {"aws_endpoint": endpoint, "allow_http": str(endpoint.startswith("http://")).lower()}
    return lancedb().connect(place.root, read_consistency_interval=timedelta(0), storage_options=options)


def lancedb(part: str = "") -> Any:
    """LanceDB takes seconds to import: only when it is used."""
    import lancedb as vendor

    return importlib.import_module(f"lancedb.{part}") if part else vendor


def lexicon_of(connection: Any, table: str, tag: str) -> Lexicon:
    """A version's term counts. Raises IndexMismatchError when they are not there."""
    held = connection.open_table(VERSIONS).search().where(f"name = '{table}/{tag}'").select(["counts"])
    rows = held.limit(1).to_arrow()
    if not rows.num_rows:
        raise IndexMismatchError(
            f"The index {table} at {tag[:12]} lacks its term counts; run `groundwork index restore {tag[:12]}`."
        )
    return read_lexicon(io.BytesIO(rows.column("counts")[0].as_py()))


def names_of(connection: Any) -> list[str]:
    """The tables that are there."""
    names: list[str] = []
    token = None
    while True:
        page = connection.list_tables(page_token=token) if token else connection.list_tables()
        names += list(page.tables)
        token = page.page_token
        if not token:
            return names


def writing(place: Place) -> AbstractContextManager[Any]:
    """One writer at a time in a folder; in a bucket LanceDB's commits refuse the second of two, which tries again."""
    if place.folder is None:
        return nullcontext()
    from filelock import FileLock

    place.folder.mkdir(parents=True, exist_ok=True)
    return FileLock(place.folder / "writer.lock")


def explained(place: Place, exc: Exception) -> StageError:
    """A vendor's error while writing: a full disk, a lost file, a conflict."""
    return StageError(
        f"The index in {place.root} could not be written: {exc}. The last index is untouched; mend the cause (disk "
        "space, permissions, credentials) and run the same command again."
    )


def _query(text: str) -> Any:
    return lancedb("query").MatchQuery(text, "terms")
