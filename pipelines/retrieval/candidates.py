"""What two searches brought for a query, side by side: chunks, vectors, terms.

Invariant: every candidate has its true cosine and its true BM25, whichever search brought it, so that a passage found
by its words alone is not treated as one without meaning, nor one found by its meaning as one without words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.contracts import Chunk
from pipelines.retrieval.index import HIT, READ, OpenIndex, chunks_of, vectors_of
from pipelines.retrieval.lexicon import Lexicon
from pipelines.retrieval.terms import search_text, terms

Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]
NO_TERMS: Mapping[str, float] = {}


@dataclass(frozen=True)
class Candidates:
    """Rows of the index that may answer a query; arrays are in the order of `rows`.

    `vectors`: float32 [n, dim]; `query`: float32 [dim]; `asked`: the query's distinct terms; `at`: int64 [tokens],
    which of `asked` each token of all candidates is (-1: none); `owner`: int64 [tokens], whose it is.
    """

    rows: pa.Table
    vectors: Vectors
    query: Vectors
    asked: tuple[str, ...]
    in_order: tuple[str, ...]
    """The query's terms as they come, repeats included."""
    idf: Floats
    """Of each of `asked`; of terms that were added to the query, times their weight."""
    at: npt.NDArray[np.int64]
    owner: npt.NDArray[np.int64]
    lengths: Floats
    """Terms of each candidate."""
    lexicon: Lexicon

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    @cached_property
    def cosine(self) -> Floats:
        """float64 [n]."""
        found: Floats = (self.vectors @ self.query).astype(np.float64)
        return found

    @cached_property
    def counts(self) -> Floats:
        """float64 [n, asked]: how often each candidate holds each term."""
        counted = np.zeros((len(self), len(self.asked)))
        hit = self.at >= 0
        np.add.at(counted, (self.owner[hit], self.at[hit]), 1.0)
        return counted

    @cached_property
    def bm25(self) -> Floats:
        """float64 [n]."""
        found: Floats = self.lexicon.saturated(self.counts, self.lengths[:, None]) @ self.idf
        return found

    @cached_property
    def _chunks(self) -> list[dict[str, Any]]:
        return chunks_of(self.rows)

    def column(self, name: str) -> list[Any]:
        """A field of every chunk."""
        return [chunk[name] for chunk in self._chunks]

    def chunk(self, row: int) -> Chunk:
        """The chunk itself: made for winners alone."""
        return Chunk.model_validate(self._chunks[row])

    def texts(self, rows: npt.NDArray[np.int64]) -> list[str]:
        """Title, headings and text of some rows, as they were embedded."""
        held = [self._chunks[row] for row in rows]
        return [search_text(each["title"], each["heading_path"], each["text"]) for each in held]

    @cached_property
    def heading_terms(self) -> list[frozenset[str]]:
        """The terms of each candidate's title and headings."""
        pairs = zip(self.column("title"), self.column("heading_path"), strict=True)
        return [_terms_of(title, tuple(path)) for title, path in pairs]


@lru_cache(maxsize=20_000)
def _terms_of(title: str, path: tuple[str, ...]) -> frozenset[str]:
    return frozenset(terms("\n".join((title, *path))))


def gather(
    opened: OpenIndex, query: str, vector: Vectors, k: int, where: str | None, extra: Mapping[str, float] = NO_TERMS
) -> Candidates:
    """The k nearest and the k best matching rows, each once; `extra`: further terms, and what each weighs beside 1."""
    in_order = terms(query)
    near, matched = opened.both(vector, list(dict.fromkeys([*in_order, *extra])), k, where)
    return of_rows(distinct([near.rows, matched.rows]), in_order, vector, opened.lexicon, extra)


def distinct(tables: Sequence[pa.Table]) -> pa.Table:
    """The rows of several searches, each once."""
    rows = pa.concat_tables([table.select(READ) for table in tables])
    first: dict[str, int] = {}
    for row, held in enumerate(rows.column(HIT).to_pylist()):
        first.setdefault(held, row)
    return rows if len(first) == rows.num_rows else rows.take(pa.array(first.values(), pa.int64()))


def of_rows(
    rows: pa.Table, in_order: Sequence[str], vector: Vectors, lexicon: Lexicon, extra: Mapping[str, float] = NO_TERMS
) -> Candidates:
    """Rows beside a query of these terms and this vector."""
    own = tuple(dict.fromkeys(in_order))
    asked = (*own, *(term for term in extra if term not in own))
    place = {term: number for number, term in enumerate(asked)}
    tokens = [each.split() for each in rows.column("terms").to_pylist()]
    return Candidates(
        rows=rows,
        vectors=vectors_of(rows),
        query=vector,
        asked=asked,
        in_order=tuple(in_order),
        idf=lexicon.idf(asked) * np.array([1.0] * len(own) + [extra[term] for term in asked[len(own) :]]),
        at=np.fromiter((place.get(token, -1) for each in tokens for token in each), dtype=np.int64),
        owner=np.repeat(np.arange(len(tokens)), [len(each) for each in tokens]),
        lengths=np.array([len(each) for each in tokens], dtype=np.float64),
        lexicon=lexicon,
    )
