"""Vectors and chunks in LanceDB, for writing: the table is brought in line with what a stage made, then tagged.

Invariants: one writer at a time; what is unchanged is not written; the tag comes last, so that a reader sees the old
version or the whole new one, and a build that was killed is gone on with by the next. Tables are streamed, group by
group: memory holds ids and digests of the whole, and vectors of a group.
Not covered: what is embedded (embed.py), reading (index.py).
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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
    HIT,
    POINTER,
    VECTORS,
    VENDOR_ERRORS,
    VERSIONS,
    IndexPointer,
    OpenIndex,
    Place,
    connect,
    explained,
    hits,
    lancedb,
    lexicon_of,
    names_of,
    open_index,
    place_of,
    schema,
    tag_of,
    tagged,
    writing,
)
from pipelines.retrieval.lexicon import Lexicon, empty_lexicon
from pipelines.retrieval.terms import search_text, terms
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
CONFLICTS = ("commit conflict", "concurrent", "conflict", "retryable", "already exists")
DAMAGE = ("not found", "no such file", "corrupt", "invalid", "decode", "manifest", "eof", "whole buffer")
"""What an error says of a table whose files are gone or cut off; anything else (rights, a network) may pass."""

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


def write(place: Place, pointer: IndexPointer, vectors: Path, report: Report = silent, *, anew: bool = False) -> None:
    """Make the table hold exactly the rows of a vectors.parquet (by `id` and `row_digest`), then tag that version.

    Does nothing when the tag is there and opens. `anew`: every row is written again, whatever is there.
    Raises StageError when the index cannot be written.
    """
    try:
        with writing(place):
            trying_again(lambda: _write(place, pointer, vectors, report, anew=anew))
    except VENDOR_ERRORS as exc:
        raise explained(place, exc) from exc


def trying_again(act: Callable[[], None]) -> None:
    """Do something that another writer may be faster at: a few times, with growing pauses."""
    for attempt in Retrying(
        retry=retry_if_exception(_conflicts),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_random_exponential(0.2, max=5),
        reraise=True,
    ):
        with attempt:
            act()


def restore(state: Path, folder: Path, settings: Settings, *, anew: bool = False) -> None:
    """Rebuild a version from a stage folder's vectors.parquet, without the model."""
    try:
        pointer = IndexPointer.model_validate(read_json(folder / POINTER))
        pq.read_metadata(folder / VECTORS)
    except (OSError, ValueError) as exc:  # pyarrow's errors are ValueErrors or OSErrors
        raise IndexMismatchError(
            f"{folder} does not hold a whole index ({exc}); remove it and run `groundwork stage embed`, or `dvc pull`."
        ) from exc
    write(place_of(state, settings.index), pointer, folder / VECTORS, anew=anew)


def opened(state: Path, folder: Path, settings: Settings, pointer: IndexPointer) -> OpenIndex:
    """The version of a stage folder, open; one that is not in the store, or not whole there, is rebuilt first."""
    place = place_of(state, settings.index)
    try:
        return open_index(place, pointer)
    except IndexMismatchError:
        if not (folder / VECTORS).exists():
            raise
    restore(state, folder, settings)
    return open_index(place, pointer)


def alarm(pointer: IndexPointer, size: int, most: int) -> str:
    """What to say of a table that has grown too large."""
    return (
        f"The index table {pointer.table} takes {size:,} bytes (index.alarm_bytes: {most:,}). `groundwork index list` "
        "shows its versions; `groundwork index prune --keep 3` drops what no release needs."
    )


def _write(place: Place, pointer: IndexPointer, vectors: Path, report: Report, *, anew: bool) -> None:
    if tagged(place, pointer):
        if not anew and _opens(place, pointer):
            return
        _untag(connect(place), pointer)
    connection = connect(place)
    table, lexicon = _opened(connection, place, pointer)
    if anew:
        table.delete("true")
        lexicon = empty_lexicon()
    changes = _changes(table, vectors)
    old = _with_terms_of(table, [*changes.gone, *changes.changed])
    _delete(table, [*changes.gone, *changes.changed])
    counted = _add(table, vectors, changes.added, lexicon.changed(removed=old), report)
    report(len(changes.added), len(changes.added), "index")
    index_rows(table, report, grew=changes.any)
    version = table.version
    if place.folder is None:  # no lock in a bucket: another writer's rows may have come between, so all is read back
        table = connection.open_table(pointer.table)
        table.checkout(version)
        counted = _count(table)
    if table.count_rows() != pointer.rows or (place.folder is None and not _exact(table, pointer)):
        raise RuntimeError("concurrent writers: the table holds other rows than were written")
    _remember(connection, pointer, counted)
    connection.open_table(pointer.table).tags.create(pointer.tag, version)


def _opens(place: Place, pointer: IndexPointer) -> bool:
    """Whether a tagged version is there with its rows and its counts."""
    try:
        return open_index(place, pointer).rows == pointer.rows
    except (IndexMismatchError, *VENDOR_ERRORS):
        return False


def _untag(connection: Any, pointer: IndexPointer) -> None:
    """Take a tag off, if the table can still be opened; its rows stay."""
    try:
        connection.open_table(pointer.table).tags.delete(pointer.tag)
    except VENDOR_ERRORS as exc:
        if not _damage(exc):
            raise


def _exact(table: Any, pointer: IndexPointer) -> bool:
    """Whether a version holds the rows that its name is made of, and can find each of them."""
    indices = {column: each.num_unindexed_rows for each in table.list_indices() for column in each.columns}
    if "terms" not in indices or any(indices.values()):
        return False
    digests = table.search().select(["row_digest"]).limit(max(1, table.count_rows())).to_arrow()["row_digest"]
    return tag_of(pointer.model_digest, digests.to_pylist(), pointer.layout) == pointer.tag


def _opened(connection: Any, place: Place, pointer: IndexPointer) -> tuple[Any, Lexicon]:
    """The table with the term counts of what it holds.

    A damaged one is set aside in a folder (every version is rebuilt from its vectors); in a bucket it is left to
    people, and so is one that may only be out of reach.
    """
    if pointer.table not in names_of(connection):
        return connection.create_table(pointer.table, schema=schema(pointer.dim)), empty_lexicon()
    try:
        table = connection.open_table(pointer.table)
        return table, _lexicon(connection, table, pointer)
    except VENDOR_ERRORS as exc:
        if place.folder is None or not _damage(exc):
            raise
    held = Path(place.table(pointer.table))
    aside = place.folder / "damaged" / pointer.table
    shutil.rmtree(aside, ignore_errors=True)  # of the last time
    aside.parent.mkdir(exist_ok=True)
    held.replace(aside)
    return connection.create_table(pointer.table, schema=schema(pointer.dim)), empty_lexicon()


def _damage(exc: BaseException) -> bool:
    return any(sign in str(exc).lower() for sign in DAMAGE)


def _lexicon(connection: Any, table: Any, pointer: IndexPointer) -> Lexicon:
    """Counts of the newest tagged version, if nothing was written after it; else all are counted again."""
    if not table.count_rows():
        return empty_lexicon()
    tags = {int(tag["version"]): name for name, tag in table.tags.list().items()}
    version = table.version  # once: in a bucket another writer may raise it meanwhile
    if version in tags:
        try:
            return lexicon_of(connection, pointer.table, tags[version])
        except IndexMismatchError:
            pass
    return _count(table)


def _count(table: Any) -> Lexicon:
    """The terms of every row."""
    counted = empty_lexicon()
    for part in table.search().select(["terms"]).limit(max(1, table.count_rows())).to_batches(ADDED_AT_ONCE):
        counted = counted.changed(added=(each.split() for each in part.column("terms").to_pylist()))
    return counted


# --- rows ------------------------------------------------------------------------------------


def _changes(table: Any, vectors: Path) -> Changes:
    """Which rows differ between a table and a file, by their digests."""
    wanted = pq.read_table(vectors, columns=["id", "row_digest"])
    held = table.search().select(["id", "row_digest"]).limit(max(1, table.count_rows())).to_arrow()
    if not held.num_rows:
        return Changes((), (), np.arange(wanted.num_rows))
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
            chunks = part.select(CHUNK_COLUMNS).to_pylist()
            found = [terms(search_text(each["title"], each["heading_path"], each["text"])) for each in chunks]
            counted.append(counted.pop().changed(added=found))
            whole = part.append_column("terms", pa.array([" ".join(each) for each in found], pa.string()))
            whole = whole.append_column(HIT, hits(chunks))
            whole = whole.select(table.schema.names).cast(table.schema)
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


# --- indices and counts ----------------------------------------------------------------------


def index_rows(table: Any, report: Report = silent, *, grew: bool) -> None:
    """Build what is missing, and take new rows into what is there; a killed build may have left either."""
    kinds = lancedb("index")
    held = list(table.list_indices())
    there = {column for index in held for column in index.columns}
    if there and (grew or any(index.num_unindexed_rows for index in held)):
        report(0, 1, "merge into the indices")
        table.optimize(cleanup_older_than=KEEP)
    count = table.count_rows()
    if "terms" not in there and count:
        report(0, 1, "full-text index")
        table.create_index("terms", config=kinds.FTS(base_tokenizer="whitespace", **_AS_IT_IS))
    if "vector" not in there and count >= APPROXIMATE_FROM:
        report(0, 1, "vector index")
        kind = kinds.IvfHnswSq if count >= GRAPH_FROM else kinds.IvfSq
        table.create_index("vector", config=kind(distance_type="cosine"))
    if count >= SCALARS_FROM:
        for column, name in SCALARS.items():
            if column not in there:
                report(0, 1, "filter indices")
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
    """Write a version's pointer and counts down; of two rows of a version the last written counts."""
    name = f"{pointer.table}/{pointer.tag}"
    row = pa.table(
        {
            "name": [name],
            "pointer": [pointer.model_dump_json()],
            "made": [datetime.now(UTC).isoformat(timespec="seconds")],
            "counts": pa.array([lexicon.to_bytes()], pa.binary()),
        }
    )
    if VERSIONS not in names_of(connection):
        connection.create_table(VERSIONS, row)
        return
    versions = connection.open_table(VERSIONS)
    versions.delete(f"name = '{name}'")
    versions.add(row)


def _conflicts(error: BaseException) -> bool:
    """Whether another writer was faster: then the same is tried again on what it left."""
    return isinstance(error, VENDOR_ERRORS) and any(sign in str(error).lower() for sign in CONFLICTS)
