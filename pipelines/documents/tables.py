"""Tables that are taken over as Arrow, without a record for each row.

Invariant: equal rows give equal bytes, whether they were just made or read from an earlier file. (Parquet
names the elements of a list otherwise than Arrow does; the contract's own schema is put back on reading.)
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from pipelines.artifacts import arrow_schema, replacing
from pipelines.errors import StageError

if TYPE_CHECKING:
    import pyarrow as pa


def read_table(path: Path, model: type[BaseModel]) -> "pa.Table":
    """A Parquet file with the schema of a contract. Raises StageError when it has another one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path).cast(arrow_schema(model))
    except (OSError, ValueError, pa.ArrowException) as exc:
        raise StageError(f"{path} does not hold a table of {model.__name__}: {exc}") from exc


def table_of(rows: Sequence[BaseModel], model: type[BaseModel]) -> "pa.Table":
    """Records as a table."""
    import pyarrow as pa

    return pa.Table.from_pylist([row.model_dump(mode="json") for row in rows], schema=arrow_schema(model))


def write_table(path: Path, table: "pa.Table") -> None:
    """A table as one Parquet file, whole or not at all."""
    import pyarrow.parquet as pq

    with replacing(path) as temporary:
        pq.write_table(table.combine_chunks(), temporary, compression="zstd")
