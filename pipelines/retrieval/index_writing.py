"""Vectors and chunks in LanceDB, for writing: the table is brought in line with what a stage made, then tagged.

Invariants: one writer at a time; what is unchanged is not written; the tag comes last, so that a reader sees the old
version or the whole new one, and a build that was killed is gone on with by the next. Tables are streamed, group by
group: memory holds ids and digests of the whole, and vectors of a group.
Not covered: what is embedded (embed.py), reading (index.py).
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from pipelines.artifacts import read_json
from pipelines.errors import IndexMismatchError
from pipelines.retrieval.index import (
    CHUNK_COLUMNS,
    LEXICONS,
    POINTER,
    VECTORS,
    VENDOR_ERRORS,
    IndexPointer,
    Place,
    connect,
    explained,
    lancedb,
    lexicon_of,
    place_of,
    schema,
    tagged,
    writing,
)
from pipelines.retrieval.lexicon import Lexicon, empty_lexicon
from pipelines.retrieval.terms import terms
from pipelines.settings import Settings

APPROXIMATE_FROM = 5_000
"""Rows from which a vector index pays: below, every vector is compared in 5 ms."""
GRAPH_FROM = 2_000_000
"""Rows from which a graph is built inside the partitions: it takes minutes, and partitions alone take too long then."""
SCALARS = {"id": "BTree", "document_id": "BTree", "uri": "BTree", "tenant": "Bitmap", "labels": "LabelList"} | {
    "date": "BTree",
    "language": "Bitmap",
}
"""Columns that rows are filtered or found by, and the kind of index that suits each."""
SCALARS_FROM = 10_000
KEEP = timedelta(days=3650)
"""`optimize` must clean nothing away: it fails on a version that a tag protects."""
DELETED_AT_ONCE = 2_000
ADDED_AT_ONCE = 8_192
ATTEMPTS = 6
CONFLICTS = ("commit conflict", "concurrent", "conflict", "retryable")

Report = Callable[[int, int, str], None]
Ints = npt.NDArray[np.int64]


def silent(done: int, total: int, what: str) -> None:
    """A report that shows nothing."""


@dataclass(frozen=True)
class Changes:
    """What brings a table in line: ids to delete, and rows of vectors.parquet to write."""

    gone: Sequence[str]
    changed: Sequence[str]
    """Ids of rows that are there in another form: deleted, then added."""
    added: Ints

    @property
    def any(self) -> bool:
        """Whether there is anything to do."""
        return bool(len(self.gone) or len(self.changed) or len(self.added))


def write(place: Place, pointer: IndexPointer, vectors: Path, report: Report = silent) -> None:
    """Make the table hold exactly the rows of a vectors.parquet (by `id` and `row_digest`), then tag that version.

    Does nothing when the tag is there. Raises StageError when the index cannot be written.
    """
    with writing(place):
        try:
            for attempt in Retrying(
                retry=retry_if_exception(_conflicts),
                stop=stop_after_attempt(ATTEMPTS),
                wait=wait_random_exponential(0.2, max=5),
                reraise=True,
            ):
                with attempt:
                    _write(place, pointer, vectors, report)
        except VENDOR_ERRORS as exc:
            raise explained(place, exc) from exc


def restore(state: Path, folder: Path, settings: Settings) -> None:
    """Rebuild a version from a stage folder's vectors.parquet, without the model."""
    try:
        pointer = IndexPointer.model_validate(read_json(folder / POINTER))
        pq.read_metadata(folder / VECTORS)
    except (OSError, ValueError) as exc:  # pyarrow's errors are ValueErrors or OSErrors
        raise IndexMismatchError(
            f"{folder} does not hold a whole index ({exc}); remove it and run `groundwork stage embed`, or `dvc pull`."
        ) from exc
    write(place_of(state, settings.index), pointer, folder / VECTORS)


def _write(place: Place, pointer: IndexPointer, vectors: Path, report: Report) -> None:
    if tagged(place, pointer):
        return
    connection = connect(place)
    table, lexicon = _opened(connection, place, pointer)
    changes = _changes(table, vectors)
    old = _with_terms_of(table, [*changes.gone, *changes.changed])
    _delete(table, [*changes.gone, *changes.changed])
    counted = _add(table, vectors, changes.added, lexicon.changed(removed=old), report)
    report(len(changes.added), len(changes.added), "index")
    _index(table, grew=changes.any)
    if table.count_rows() != pointer.rows:
        raise RuntimeError("concurrent writers: the table holds other rows than were written")
    _remember(connection, pointer, counted)
    table.tags.create(pointer.tag, table.version)


def _opened(connection: Any, place: Place, pointer: IndexPointer) -> tuple[Any, Lexicon]:
    """The table with the term counts of what it holds; one that cannot be opened any more is made anew."""
    if pointer.table not in _names(connection):
        return connection.create_table(pointer.table, schema=schema(pointer.dim)), empty_lexicon()
    try:
        table = connection.open_table(pointer.table)
        return table, _lexicon(connection, table, pointer)
    except VENDOR_ERRORS:
        if place.folder is not None:
            shutil.rmtree(place.table(pointer.table), ignore_errors=True)  # every version is rebuilt from its vectors
        else:
            connection.drop_table(pointer.table)
        return connection.create_table(pointer.table, schema=schema(pointer.dim)), empty_lexicon()


def _names(connection: Any) -> list[str]:
    names: list[str] = []
    token = None
    while True:
        page = connection.list_tables(page_token=token) if token else connection.list_tables()
        names += list(page.tables)
        token = page.page_token
        if not token:
            return names


def _lexicon(connection: Any, table: Any, pointer: IndexPointer) -> Lexicon:
    """Counts of the newest tagged version, if nothing was written after it; else all are counted again."""
    if not table.count_rows():
        return empty_lexicon()
    tags = {int(tag["version"]): name for name, tag in table.tags.list().items()}
    if table.version in tags:
        try:
            return lexicon_of(connection, pointer.table, tags[table.version])
        except IndexMismatchError:
            pass
    held = table.search().select(["terms"]).limit(table.count_rows()).to_arrow()
    return empty_lexicon().changed(added=(each.split() for each in held.column("terms").to_pylist()))


# --- rows ------------------------------------------------------------------------------------


def _changes(table: Any, vectors: Path) -> Changes:
    """Which rows differ between a table and a file, by their digests."""
    wanted = pq.read_table(vectors, columns=["id", "row_digest"])
    count = table.count_rows()
    if not count:
        return Changes((), (), np.arange(wanted.num_rows))
    held = table.search().select(["id", "row_digest"]).limit(count).to_arrow()
    if len(pc.unique(held["id"])) != held.num_rows:  # two writers of a bucket at once
        return Changes(pc.unique(held["id"]).to_pylist(), (), np.arange(wanted.num_rows))
    at = pc.index_in(wanted["id"], value_set=held["id"].combine_chunks())
    known = at.is_valid().to_numpy()
    rows = pc.fill_null(at, 0).to_numpy()
    digests = held["row_digest"].take(pa.array(rows))
    same = known & pc.equal(digests, wanted["row_digest"]).to_numpy(zero_copy_only=False)
    gone = held["id"].filter(pc.invert(pc.is_in(held["id"], value_set=wanted["id"].combine_chunks())))
    changed = wanted["id"].filter(pa.array(known & ~same))
    return Changes(gone.to_pylist(), changed.to_pylist(), np.flatnonzero(~same))


def _with_terms_of(table: Any, ids: Sequence[str]) -> Iterator[list[str]]:
    """Terms of the rows that will go, for their counts to be taken away. Read before anything is deleted."""
    found: list[list[str]] = []
    for part in _parts(ids):
        rows = table.search().where(_among(part)).select(["terms"]).limit(len(part)).to_arrow()
        found += [each.split() for each in rows.column("terms").to_pylist()]
    return iter(found)


def _delete(table: Any, ids: Sequence[str]) -> None:
    for part in _parts(ids):
        table.delete(_among(part))


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), DELETED_AT_ONCE):
        yield ids[start : start + DELETED_AT_ONCE]


def _among(ids: Sequence[str]) -> str:
    return "id IN ({})".format(", ".join(f"'{name}'" for name in ids))  # ids are hex digests


def _add(table: Any, vectors: Path, rows: Ints, lexicon: Lexicon, report: Report) -> Lexicon:
    """Append rows of a file, in one commit; gives the term counts with them."""
    if not len(rows):
        return lexicon
    counted = [lexicon]

    def batches() -> Iterator[pa.RecordBatch]:
        done = 0
        for part in _taken(vectors, rows):
            found = [terms(text) for text in _search_texts(part)]
            counted.append(counted.pop().changed(added=found))
            joined = pa.array([" ".join(each) for each in found], pa.string())
            whole = part.append_column("terms", joined).select(table.schema.names).cast(table.schema)
            yield from whole.combine_chunks().to_batches()
            done += part.num_rows
            report(done, len(rows), "index")

    table.add(pa.RecordBatchReader.from_batches(table.schema, batches()))
    return counted[0]


def _taken(vectors: Path, rows: Ints) -> Iterator[pa.Table]:
    """Rows of a Parquet file by their sorted numbers, group by group."""
    file = pq.ParquetFile(vectors)
    first = 0
    for group in range(file.num_row_groups):
        size = file.metadata.row_group(group).num_rows
        mine = rows[(rows >= first) & (rows < first + size)] - first
        if len(mine):
            held = file.read_row_group(group, columns=[*CHUNK_COLUMNS, "row_digest", "vector"])
            part = held if len(mine) == size else held.take(pa.array(mine))
            for start in range(0, part.num_rows, ADDED_AT_ONCE):
                yield part.slice(start, ADDED_AT_ONCE)
        first += size


def _search_texts(rows: pa.Table) -> Iterator[str]:
    columns = (rows.column(name).to_pylist() for name in ("title", "heading_path", "text"))
    return (search_text(*each) for each in zip(*columns, strict=True))


def search_text(title: str, heading_path: Sequence[str], text: str) -> str:
    """What is embedded and matched of a chunk: title, headings, text."""
    return "\n".join([*([title] if title else []), *(part for part in heading_path if part != title), text])


# --- indices and counts ----------------------------------------------------------------------


def _index(table: Any, *, grew: bool) -> None:
    """Build what is missing (a killed build may have left none), and take new rows into what is there."""
    kinds = lancedb("index")
    there = {column for index in table.list_indices() for column in index.columns}
    if grew and there:
        table.optimize(cleanup_older_than=KEEP)
    count = table.count_rows()
    if "terms" not in there and count:
        table.create_index("terms", config=kinds.FTS(base_tokenizer="whitespace", **_AS_IT_IS))
    if "vector" not in there and count >= APPROXIMATE_FROM:
        kind = kinds.IvfHnswSq if count >= GRAPH_FROM else kinds.IvfSq
        table.create_index("vector", config=kind(distance_type="cosine"))
    if count >= SCALARS_FROM:
        for column, name in SCALARS.items():
            if column not in there:
                table.create_index(column, config=getattr(kinds, name)())


_AS_IT_IS = {
    "lower_case": False,
    "stem": False,
    "remove_stop_words": False,
    "ascii_folding": False,
    "with_position": False,
    "max_token_length": 256,
}
"""Terms are made by terms.py; with positions `optimize` crashes."""


def _remember(connection: Any, pointer: IndexPointer, lexicon: Lexicon) -> None:
    row = pa.table({"name": [f"{pointer.table}/{pointer.tag}"], "counts": pa.array([lexicon.to_bytes()], pa.binary())})
    if LEXICONS not in _names(connection):
        connection.create_table(LEXICONS, row)
        return
    counts = connection.open_table(LEXICONS)
    counts.delete(f"name = '{pointer.table}/{pointer.tag}'")
    counts.add(row)


def _conflicts(error: BaseException) -> bool:
    """Whether another writer was faster: then the same is tried again on what it left."""
    return isinstance(error, VENDOR_ERRORS) and any(sign in str(error).lower() for sign in CONFLICTS)
