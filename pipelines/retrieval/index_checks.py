"""Is a version of the index whole? Everything is read again and computed again from the rows themselves.

Checked: the number of rows, ids that occur once, each row's digest and the version's name, vectors (finite, of unit
length), the terms that words are found by, both indices (there, and covering every row), the term counts.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.errors import IndexMismatchError
from pipelines.retrieval.embed import row_digests
from pipelines.retrieval.index import (
    CHUNK_COLUMNS,
    HIT,
    VENDOR_ERRORS,
    IndexPointer,
    Place,
    chunks_of,
    connect,
    lexicon_of,
    tag_of,
    vectors_of,
)
from pipelines.retrieval.index_versions import parts
from pipelines.retrieval.index_writing import APPROXIMATE_FROM
from pipelines.retrieval.lexicon import Lexicon, empty_lexicon
from pipelines.retrieval.terms import search_text, terms

LENGTH_WITHIN = 2e-3
"""How far from 1 a vector's length may be: float16 keeps three digits."""


@dataclass
class _Read:
    """What was found in the rows."""

    ids: list[str]
    digests: list[str]
    wrong_rows: int
    wrong_hits: int
    wrong_terms: int
    wrong_vectors: int
    lexicon: Lexicon


def verify(place: Place, pointer: IndexPointer) -> list[str]:
    """What is wrong with a version, each in a line; an empty list: nothing."""
    try:
        found = _read(place, pointer)
    except IndexMismatchError as exc:
        return [str(exc)]
    wrong = []
    if len(found.ids) != pointer.rows:
        wrong.append(f"it holds {len(found.ids):,} rows; {pointer.rows:,} were written")
    if len(set(found.ids)) != len(found.ids):
        wrong.append(f"{len(found.ids) - len(set(found.ids)):,} rows repeat the id of another")
    if found.wrong_rows:
        wrong.append(f"{found.wrong_rows:,} rows are not what their digests say")
    if found.wrong_hits:
        wrong.append(f"{found.wrong_hits:,} rows show another chunk than they hold")
    if tag_of(pointer.model_digest, found.digests, pointer.layout) != pointer.tag:
        wrong.append("the rows are not those that the version is named after")
    if found.wrong_terms:
        wrong.append(f"{found.wrong_terms:,} rows are found by other words than theirs")
    if found.wrong_vectors:
        wrong.append(f"{found.wrong_vectors:,} vectors are not finite or not of unit length")
    return wrong + _indices(place, pointer) + _counts(place, pointer, found.lexicon)


def _read(place: Place, pointer: IndexPointer) -> _Read:
    found = _Read([], [], 0, 0, 0, 0, empty_lexicon())
    for rows in parts(place, pointer, *CHUNK_COLUMNS, "row_digest", HIT, "terms", "vector"):
        chunks = rows.select(CHUNK_COLUMNS).to_pylist()
        if HIT in rows.column_names:  # earlier layouts have none
            found.wrong_hits += sum(one != other for one, other in zip(chunks, chunks_of(rows), strict=True))
        texts = [search_text(each["title"], each["heading_path"], each["text"]) for each in chunks]
        text_digests = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
        held = rows.column("row_digest").to_pylist()
        made = row_digests(rows.append_column("text_digest", pa.array(text_digests, pa.string())))
        found.ids += rows.column("id").to_pylist()
        found.digests += held
        found.wrong_rows += sum(one != other for one, other in zip(held, made, strict=True))
        wanted = [terms(text) for text in texts]
        written = rows.column("terms").to_pylist()
        found.wrong_terms += sum(" ".join(one) != other for one, other in zip(wanted, written, strict=True))
        lengths = np.linalg.norm(vectors_of(rows), axis=1)
        found.wrong_vectors += int((~(np.abs(lengths - 1) <= LENGTH_WITHIN)).sum())  # NaN is not within
        found.lexicon = found.lexicon.changed(added=(each.split() for each in written))
    return found


def _indices(place: Place, pointer: IndexPointer) -> list[str]:
    try:
        table = connect(place).open_table(pointer.table)
        table.checkout(pointer.tag)
        held: dict[str, Any] = {column: each for each in table.list_indices() for column in each.columns}
    except VENDOR_ERRORS as exc:
        return [f"its indices cannot be read ({exc})"]
    wrong = []
    if pointer.rows and "terms" not in held:
        wrong.append("it has no index of words")
    if pointer.rows >= APPROXIMATE_FROM and "vector" not in held:
        wrong.append("it has no index of vectors")
    for column, each in held.items():
        if each.num_unindexed_rows:
            wrong.append(f"{each.num_unindexed_rows:,} rows are missing in the index of `{column}`")
    return wrong


def _counts(place: Place, pointer: IndexPointer, made: Lexicon) -> list[str]:
    try:
        held = lexicon_of(connect(place), pointer.table, pointer.tag)
    except (IndexMismatchError, *VENDOR_ERRORS) as exc:
        return [f"its term counts cannot be read ({exc})"]
    same = np.array_equal(held.hashes, made.hashes) and np.array_equal(held.counts, made.counts)
    if same and (held.passages, held.terms) == (made.passages, made.terms):
        return []
    return ["its term counts are not those of its rows"]
