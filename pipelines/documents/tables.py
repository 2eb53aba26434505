"""Tables that are larger than what a process should hold: read by groups of rows, written group by group.

Invariant: equal rows give equal bytes, whether they were just made or read from an earlier file, however they were
handed over: a row group ends where the rows say so (`group_ends`), not where a batch happened to end. (Parquet names
the elements of a list otherwise than Arrow does; the contract's own schema is put back on reading.)
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from pipelines.artifacts import arrow_schema, replacing
from pipelines.errors import StageError

if TYPE_CHECKING:
    import pyarrow as pa

GROUP_ROWS = 1024
GROUP_CHARACTERS = 16 * 2**20
_GROUPS_HELD = 8
"""Groups of rows in memory at a time, for a reader that goes back and forth."""
_LOGGED_ROWS, _LOGGED_CHARACTERS, _LOGGED_S = 256, 4 * 2**20, 5.0
"""What a log gathers, and for how long, before it writes: what a kill costs at most."""
_NOT_REPEATED = ("text", "id", "document_id", "sha256", "content_digest", "signature")
"""Columns whose values hardly recur: no dictionary is tried on them."""

Ints = npt.NDArray[np.int64]


class Rows:
    """Rows of a table that lies in groups, by their number; the last groups are at hand."""

    def __init__(self, sizes: Sequence[int], load: Callable[[int], "pa.Table"]) -> None:
        self._ends = np.cumsum(np.asarray(sizes, dtype=np.int64))
        self._begins = self._ends - np.asarray(sizes, dtype=np.int64)
        self._load = lru_cache(_GROUPS_HELD)(load)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def take(self, rows: Ints) -> "pa.Table":
        """Rows in the order asked for."""
        import pyarrow as pa

        groups = np.unique(np.searchsorted(self._ends, rows, side="right")) if len(rows) else np.zeros(1, np.int64)
        parts = [self._load(int(group)) for group in groups]
        begins = np.zeros(len(self._ends), dtype=np.int64)
        begins[groups] = np.cumsum([0, *(part.num_rows for part in parts[:-1])]) - self._begins[groups]
        at = rows + begins[np.searchsorted(self._ends, rows, side="right")]
        whole = pa.concat_tables(parts).combine_chunks()
        return whole if np.array_equal(at, np.arange(whole.num_rows)) else whole.take(pa.array(at))

    def columns(self, names: Sequence[str]) -> "pa.Table":
        """Some columns of all rows; there must be some."""
        import pyarrow as pa

        return pa.concat_tables([self._load(group).select(list(names)) for group in range(len(self._ends))])

    def row(self, number: int) -> dict[str, Any]:
        """One row as plain values."""
        group = int(np.searchsorted(self._ends, number, side="right"))
        found: dict[str, Any] = self._load(group).slice(number - int(self._begins[group]), 1).to_pylist()[0]
        return found

    def value(self, number: int, column: str) -> Any:
        """One value."""
        group = int(np.searchsorted(self._ends, number, side="right"))
        return self._load(group)[column][number - int(self._begins[group])].as_py()


def stored_rows(path: Path, columns: Sequence[str], schema: "pa.Schema") -> Rows:
    """The rows of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    wanted = pa.schema([schema.field(name) for name in columns])
    sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    return Rows(sizes, lambda group: file.read_row_group(group, columns=list(columns)).select(columns).cast(wanted))


def interleaved(last: Rows | None, log: Rows, origin: Ints, schema: "pa.Schema") -> "pa.Table":
    """Rows from two places in the order asked for: a row of `last`, or -1 - a row of `log`."""
    import pyarrow as pa

    old, new = np.flatnonzero(origin >= 0), np.flatnonzero(origin < 0)
    parts = [schema.empty_table()]
    if len(old):
        assert last is not None
        parts.append(last.take(origin[old]).select(schema.names))
    if len(new):
        parts.append(log.take(-1 - origin[new]).select(schema.names))
    order = np.empty(len(origin), dtype=np.int64)
    order[np.concatenate([old, new])] = np.arange(len(origin))
    whole = pa.concat_tables(parts).combine_chunks()
    return whole.take(pa.array(order)) if len(old) and len(new) else whole


def read_table(path: Path, model: type[BaseModel], columns: Sequence[str] | None = None) -> "pa.Table":
    """A Parquet file (or some of its columns) with the schema of a contract. Raises StageError for another one."""
    schema = arrow_schema(model)
    return read_columns(path, schema if columns is None else _part(schema, columns))


def read_columns(path: Path, schema: "pa.Schema") -> "pa.Table":
    """The columns that a schema names. Raises StageError when the file holds others."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path, columns=schema.names).select(schema.names).cast(schema)
    except (OSError, ValueError, KeyError, pa.ArrowException) as exc:
        raise StageError(f"{path} does not hold the columns {', '.join(schema.names)}: {exc}") from exc


def _part(schema: "pa.Schema", columns: Sequence[str]) -> "pa.Schema":
    import pyarrow as pa

    return pa.schema([schema.field(name) for name in columns])


def table_of(rows: Sequence[Mapping[str, Any]], schema: "pa.Schema") -> "pa.Table":
    """Plain values as a table."""
    import pyarrow as pa

    return pa.Table.from_pylist(list(rows), schema=schema)


def group_ends(characters: Ints) -> Iterator[tuple[int, int]]:
    """(first, end) of each row group of a table whose rows hold so many characters; one for an empty table."""
    first, held = 0, 0
    for row, size in enumerate(characters.tolist()):
        if row > first and (row - first >= GROUP_ROWS or held + size > GROUP_CHARACTERS):
            yield first, row
            first, held = row, 0
        held += size
    yield first, len(characters)


@contextmanager
def group_writer(path: Path, schema: "pa.Schema") -> Iterator[Callable[["pa.Table"], None]]:
    """A function that writes a table as the next row group of a Parquet file; it appears whole or not at all."""
    import pyarrow.parquet as pq

    repeated = [leaf for name in schema.names if name not in _NOT_REPEATED for leaf in _leaves(schema.field(name))]
    with (
        replacing(path) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd", use_dictionary=repeated) as writer,
    ):

        def write(group: "pa.Table") -> None:
            if group.num_rows:
                writer.write_table(group.combine_chunks(), row_group_size=group.num_rows)

        yield write


def write_table(path: Path, table: "pa.Table") -> None:
    """A small table as one Parquet file, whole or not at all."""
    with group_writer(path, table.schema) as write:
        for first in range(0, table.num_rows, GROUP_ROWS * 64):
            write(table.slice(first, GROUP_ROWS * 64))


def _leaves(field: "pa.Field", above: str = "") -> Iterator[str]:
    """Names of the columns that Parquet makes of a field."""
    import pyarrow.types as kinds

    name = f"{above}{field.name}"
    if kinds.is_list(field.type):
        yield from _leaves(field.type.value_field.with_name("element"), f"{name}.list.")
    elif kinds.is_struct(field.type):
        for number in range(field.type.num_fields):
            yield from _leaves(field.type.field(number), f"{name}.")
    else:
        yield name


# --- a log of rows on disk ---------------------------------------------------------------------


class Log:
    """Rows that are written down as they come, in batches that an interrupted process leaves whole.

    Each process writes a file of its own beside those that it found; what was made under other `conditions` is
    cleared away. The rows are read from the disk's cache, not held. Use it as a context manager.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        schema: "pa.Schema",
        conditions: Mapping[str, Any],
        *,
        parts: Path | None = None,
    ) -> None:
        """`parts`: a folder of files by `write_part` that an interrupted process left; they are taken over."""
        self._folder, self._name = folder, name
        self._schema = schema.with_metadata({"conditions": json.dumps(conditions, sort_keys=True)})
        self._waiting: list[Mapping[str, Any]] = []
        self._characters = self._appended = 0
        self._written = time.monotonic()
        self._writer: Any = None
        self._file: Any = None
        for place in sorted(parts.glob("*.arrows")) if parts else ():
            place.rename(self._next())
        self.found = self.rows()
        """What an interrupted process left."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def append(self, row: Mapping[str, Any], characters: int) -> int:
        """Write a row down, with others, and give its number; `characters` says about how large it is."""
        self._waiting.append(row)
        self._characters += characters
        late = time.monotonic() - self._written > _LOGGED_S
        if late or len(self._waiting) >= _LOGGED_ROWS or self._characters >= _LOGGED_CHARACTERS:
            self._flush()
        self._appended += 1
        return len(self.found) + self._appended - 1

    def adopt(self, part: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Take a file by `write_part` over; number and some values of each of its rows. Call it after `close`."""
        place = part.rename(self._next())
        for batch in _part_batches(place, self._schema):
            for row in batch.select(list(columns)).to_pylist():
                self._appended += 1
                yield len(self.found) + self._appended - 1, row

    @property
    def metadata(self) -> Mapping[bytes, bytes]:
        """What a file must say of itself to be taken over."""
        return dict(self._schema.metadata)

    def close(self) -> None:
        """Write what waits, and end this process's file."""
        self._flush()
        if self._writer is not None:
            self._writer.close()
            self._file.close()
            self._writer = self._file = None

    def rows(self) -> Rows:
        """Every row that lies on the disk, in the order of writing; call it after `close`."""
        return _rows_of([batch for place in self._places() for batch in self._batches(place)])

    def remove(self) -> None:
        """Clear it away."""
        for place in self._places():
            place.unlink()

    def _next(self) -> Path:
        number = 1 + max((int(p.stem.rpartition("-")[2]) for p in self._places()), default=0)
        return self._folder / f"{self._name}-{number:06d}.arrows"

    def _places(self) -> list[Path]:
        return sorted(self._folder.glob(f"{self._name}-*.arrows"))

    def _batches(self, place: Path) -> list[Any]:
        found = _batches(place, self._schema)
        if found is None:
            place.unlink()
        return found or []

    def _flush(self) -> None:
        import pyarrow as pa

        if not self._waiting:
            return
        if self._writer is None:
            self._file = pa.OSFile(str(self._next()), "wb")
            self._writer = pa.ipc.new_stream(self._file, self._schema)
        self._writer.write_table(table_of(self._waiting, self._schema).combine_chunks())
        self._file.flush()
        self._waiting, self._characters, self._written = [], 0, time.monotonic()


# --- parts: rows that another process wrote ----------------------------------------------------


def write_part(path: Path, rows: Iterable[Mapping[str, Any]], schema: "pa.Schema") -> None:
    """Rows as a file that a log with this schema, metadata included, takes over."""
    import pyarrow as pa

    waiting: list[Mapping[str, Any]] = []
    characters = 0
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
        for row in rows:
            waiting.append(row)
            characters += len(row["text"] or "")
            if len(waiting) >= _LOGGED_ROWS or characters >= _LOGGED_CHARACTERS:
                writer.write_table(table_of(waiting, schema).combine_chunks())
                waiting, characters = [], 0
        if waiting:
            writer.write_table(table_of(waiting, schema).combine_chunks())


def part_rows(places: Sequence[Path], schema: "pa.Schema") -> Rows:
    """The rows of files by `write_part`, one after another; read from the disk's cache, not held."""
    return _rows_of([batch for place in places for batch in _part_batches(place, schema)])


def part_column(place: Path, schema: "pa.Schema", name: str) -> list[Any]:
    """One column of a file by `write_part`."""
    return [value for batch in _part_batches(place, schema) for value in batch[name].to_pylist()]


def _part_batches(place: Path, schema: "pa.Schema") -> list[Any]:
    found = _batches(place, schema)
    if found is None:
        raise StageError(f"{place} was written by other code than this: bring all workers to the same version.")
    return found


def _batches(place: Path, schema: "pa.Schema") -> list[Any] | None:
    """The whole batches of a file of rows; None for one of another schema, metadata included."""
    import pyarrow as pa

    found: list[Any] = []
    try:
        reader = pa.ipc.open_stream(pa.memory_map(str(place)))
        if not reader.schema.equals(schema, check_metadata=True):
            return None
        with contextlib.suppress(StopIteration):
            while True:
                found.append(reader.read_next_batch())
    except (OSError, pa.ArrowInvalid):  # a last batch that was cut off is passed over
        pass
    return found


def _rows_of(batches: Sequence[Any]) -> Rows:
    import pyarrow as pa

    return Rows([b.num_rows for b in batches], lambda number: pa.Table.from_batches([batches[number]]))
