"""The documents of a run as columns: what is small in memory, text and blocks where they lie.

A row comes from the last output or from this run's log of parsed files; `origin` says which. Invariant: rows are
sorted by uri, so that equal documents give an equal ledger, whichever run parsed them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipelines.artifacts import arrow_schema, read_json
from pipelines.contracts import Document, content_id
from pipelines.documents import features
from pipelines.documents.tables import (
    Rows,
    group_ends,
    interleaved,
    read_columns,
    read_table,
    stored_rows,
    table_of,
)
from pipelines.errors import StageError

if TYPE_CHECKING:
    import pyarrow as pa

DOCUMENTS = "documents.parquet"
FEATURES = "features.parquet"
NOTES = "ingest.json"
_LARGE = ("text", "blocks")
_OWN = ("id", "uri", "media_type", "sha256", "title", "content_digest")
"""Columns of a document that no other document has a say in."""
_PARSED_BLOCKS = "parsed_blocks"
_BATCH = 256

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Last:
    """The last output. `current`: its features were made by this code, so its judgements may be taken over too."""

    small: "pa.Table"
    content: Rows
    features: Rows
    current: bool
    notes: Mapping[str, Any]
    folder: Path

    @classmethod
    def open(cls, place: Path | None, conditions: Mapping[str, Any]) -> "Last | None":
        """The output in a folder; None when there is none, or other parsers or an older layout made it."""
        if place is None or not all((place / name).exists() for name in (NOTES, DOCUMENTS, FEATURES)):
            return None
        notes = read_json(place / NOTES)
        if any(notes.get(name) != conditions[name] for name in ("schema_version", "parsers", "reading")):
            return None
        schema = features.schema()
        current = notes.get("features") == features.features_digest()
        try:
            small = read_table(place / DOCUMENTS, Document, _OWN)
            if current:
                small = _beside(small, read_columns(place / FEATURES, _without_blocks(schema)))
            content = stored_rows(place / DOCUMENTS, (*_OWN, *_LARGE), arrow_schema(Document))
            kept = stored_rows(place / FEATURES, ("meta", _PARSED_BLOCKS), schema)
        except StageError:  # of an older layout
            return None
        return cls(small, content, kept, current, notes, place)

    def parsed(self, row: int) -> dict[str, Any]:
        """A document as its parser left it."""
        own = self.features.row(row)
        found = self.content.row(row)
        return {**found, "blocks": own[_PARSED_BLOCKS] or found["blocks"], "meta": own["meta"]}


@dataclass(frozen=True)
class Ledger:
    """`table`: the small columns (_OWN and the features but parsed_blocks). `origin`: int64 [n], a row of the last
    output, or -1 - a row of the log. `marked`: position -> row of `remarked`, whose passages were judged anew."""

    table: "pa.Table"
    origin: Ints
    last: Last | None
    log: Rows
    remarked: Rows | None = None
    marked: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, last: Last | None, taken: Sequence[int], log: Rows, fresh: Sequence[int]) -> "Ledger":
        """Rows `taken` over from the last output and `fresh` ones of the log, sorted by uri."""
        import pyarrow as pa
        import pyarrow.compute as pc

        parts = [_fresh(log, fresh)]
        if last is not None and taken:
            parts.insert(0, last.small.take(pa.array(taken, pa.int64())))
        origin = np.concatenate([np.asarray(taken, dtype=np.int64), -1 - np.asarray(fresh, dtype=np.int64)])
        whole = pa.concat_tables(parts)
        order = pc.sort_indices(whole["uri"])
        return cls(whole.take(order).combine_chunks(), origin[order.to_numpy()], last, log)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def values(self, column: str) -> list[Any]:
        """A column as plain values."""
        found: list[Any] = self.table[column].to_pylist()
        return found

    def without(self, positions: Sequence[int]) -> "Ledger":
        """The ledger with some rows left out."""
        import pyarrow as pa

        if not positions:
            return self
        kept = np.setdiff1d(np.arange(len(self)), np.asarray(positions))
        return replace(self, table=self.table.take(pa.array(kept)).combine_chunks(), origin=self.origin[kept])

    def parsed(self, position: int) -> dict[str, Any]:
        """A document as its parser left it: id, uri, media_type, title, text, blocks."""
        origin = int(self.origin[position])
        if origin < 0:
            return self.log.row(-1 - origin)
        assert self.last is not None
        return self.last.parsed(origin)

    def text(self, position: int) -> str:
        """A document's text."""
        return str(self._lies(position, "text"))

    def blocks(self, position: int) -> list[dict[str, Any]]:
        """A document's blocks, boilerplate marked."""
        if position in self.marked:
            assert self.remarked is not None
            blocks = self.remarked.value(self.marked[position], "blocks")
        else:
            blocks = self._lies(position, "blocks")
        return list(blocks)

    def _lies(self, position: int, column: str) -> Any:
        origin = int(self.origin[position])
        if origin < 0:
            return self.log.value(-1 - origin, column)
        assert self.last is not None
        return self.last.content.value(origin, column)

    def set(self, columns: Mapping[str, Sequence[Any]]) -> "Ledger":
        """The ledger with columns replaced."""
        import pyarrow as pa

        table = self.table
        for name, values in columns.items():
            at = table.schema.get_field_index(name)
            table = table.set_column(at, table.schema.field(at), pa.array(values, table.schema.field(at).type))
        return replace(self, table=table)

    def groups(self) -> list[tuple[int, int]]:
        """(first, end) of each group of rows in which the tables are written."""
        return list(group_ends(self.table["characters"].to_numpy()))

    def large(self, first: int, end: int) -> "pa.Table":
        """Text, blocks and parsed_blocks of a group of rows."""
        import pyarrow as pa

        origin = self.origin[first:end]
        last, document = self.last, arrow_schema(Document)
        content = interleaved(last.content if last else None, self.log, origin, _part(document, _LARGE))
        unmarked = Rows([len(self.log)], lambda _: _nulls(len(self.log), features.schema().field(_PARSED_BLOCKS)))
        schema = _part(features.schema(), (_PARSED_BLOCKS,))
        before = interleaved(last.features if last else None, unmarked, origin, schema)[_PARSED_BLOCKS]
        blocks = content["blocks"]
        at = [position - first for position in range(first, end) if position in self.marked]
        if at:
            assert self.remarked is not None
            anew = self.remarked.take(np.array([self.marked[first + row] for row in at], dtype=np.int64))
            order = np.arange(end - first)
            order[at] = len(order) + np.arange(len(at))
            blocks = _replaced(blocks, anew["blocks"], order)
            before = _replaced(before, anew[_PARSED_BLOCKS], order)
        return pa.table([content["text"], blocks, before], names=[*_LARGE, _PARSED_BLOCKS])


def document_row(parsed: Mapping[str, Any]) -> dict[str, Any]:
    """A document's own columns: `parsed` has uri, sha256, media_type, title, text, blocks."""
    return {
        "id": content_id(parsed["uri"], parsed["sha256"]),
        "uri": parsed["uri"],
        "media_type": parsed["media_type"],
        "sha256": parsed["sha256"],
        "title": parsed["title"],
        "content_digest": features.digest_of_content(parsed["title"], parsed["text"], parsed["blocks"]),
    }


def _fresh(log: Rows, rows: Sequence[int]) -> "pa.Table":
    """The small columns of rows of the log."""
    import pyarrow as pa

    own = pa.schema([arrow_schema(Document).field(name) for name in _OWN])
    schema = pa.unify_schemas([own, _without_blocks(features.schema())])
    tables = [schema.empty_table()]
    for start in range(0, len(rows), _BATCH):
        made = []
        for number in rows[start : start + _BATCH]:  # one text at a time
            parsed = log.row(number)
            row = document_row(parsed)
            made.append({**features.features_of({**parsed, "id": row["id"]}), **row})
        tables.append(table_of(made, schema))
    return pa.concat_tables(tables)


def _without_blocks(schema: "pa.Schema") -> "pa.Schema":
    import pyarrow as pa

    return pa.schema([field for field in schema if field.name != _PARSED_BLOCKS])


def _beside(own: "pa.Table", kept: "pa.Table") -> "pa.Table":
    if not own["id"].equals(kept["id"]):
        raise StageError(f"{FEATURES} does not belong to {DOCUMENTS}.")
    for name in kept.schema.names:
        if name != "id":
            own = own.append_column(kept.schema.field(name), kept[name])
    return own


def _nulls(rows: int, field: "pa.Field") -> "pa.Table":
    import pyarrow as pa

    return pa.table([pa.nulls(rows, field.type)], schema=pa.schema([field]))


def _part(schema: "pa.Schema", names: Sequence[str]) -> "pa.Schema":
    import pyarrow as pa

    return pa.schema([schema.field(name) for name in names])


def _replaced(column: Any, others: Any, order: Ints) -> Any:
    """The values at `order` of a column with others behind it."""
    import pyarrow as pa

    return pa.chunked_array([*column.chunks, *others.chunks]).combine_chunks().take(pa.array(order))
