"""How many passages hold a term: what BM25's weights are made of, for passages that full-text search did not bring.

Terms are counted by a 32-bit hash, as sorted arrays: a million passages need a few megabytes, and a term that
shares its hash with another counts for both, which one in thousands does.
Source of the formulas: Robertson and Zaragoza, "The Probabilistic Relevance Framework" (2009); idf as in Lucene.
"""

import io
import itertools
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np
import numpy.typing as npt

from pipelines.errors import IndexMismatchError

K1, B = 1.2, 0.75
"""Saturation of repeats and weight of length: Lucene's, and LanceDB's."""

_MERGED_AT_ONCE = 20_000
"""Passages whose terms are added up at once."""

Hashes = npt.NDArray[np.uint32]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Lexicon:
    """`hashes`: uint32 [n], sorted; `counts`: passages that hold each; `terms`: in all passages together."""

    hashes: Hashes
    counts: npt.NDArray[np.uint32]
    passages: int
    terms: int

    @property
    def mean_length(self) -> float:
        """Terms of a passage on average."""
        return self.terms / max(self.passages, 1)

    def idf(self, terms: Sequence[str]) -> npt.NDArray[np.float64]:
        """float64 [terms]: ln(1 + (N - n + .5) / (n + .5)); a term that no passage holds weighs most."""
        wanted = np.array([hash_of(term) for term in terms], dtype=np.uint32)
        held = np.zeros(len(wanted))
        if len(self.hashes) and len(wanted):
            at = np.minimum(np.searchsorted(self.hashes, wanted), len(self.hashes) - 1)
            held = np.where(self.hashes[at] == wanted, self.counts[at], 0).astype(np.float64)
        return np.log1p((self.passages - held + 0.5) / (held + 0.5))

    def saturated(self, counts: npt.NDArray[np.float64], length: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """BM25's share of a term's weight, in 0..K1 + 1, for its count in passages of a length (terms)."""
        norm = K1 * (1 - B + B * length / max(self.mean_length, 1.0))
        shares: npt.NDArray[np.float64] = counts * (K1 + 1) / (counts + norm)
        return shares

    def to_bytes(self) -> bytes:
        """As a file's bytes; `read_lexicon` reads them."""
        stream = io.BytesIO()
        totals = np.array([self.passages, self.terms], dtype=np.int64)
        np.savez(stream, hashes=self.hashes, counts=self.counts, totals=totals)
        return stream.getvalue()

    def changed(self, *, added: Iterable[Sequence[str]] = (), removed: Iterable[Sequence[str]] = ()) -> "Lexicon":
        """The same with the terms of passages added and of others taken away."""
        hashes, counts = [self.hashes], [self.counts.astype(np.int64)]
        passages, terms = self.passages, self.terms
        for sign, each in ((1, added), (-1, removed)):
            rest = iter(each)
            while part := list(itertools.islice(rest, _MERGED_AT_ONCE)):
                held = Counter(itertools.chain.from_iterable(map(set, part)))
                hashes.append(np.fromiter(map(hash_of, held), dtype=np.uint32, count=len(held)))
                counts.append(sign * np.fromiter(held.values(), dtype=np.int64, count=len(held)))
                hashes, counts = _merged(hashes, counts)
                passages += sign * len(part)
                terms += sign * sum(map(len, part))
        (whole,), (totals,) = _merged(hashes, counts)
        return Lexicon(whole[totals > 0], totals[totals > 0].astype(np.uint32), passages, terms)


def empty_lexicon() -> Lexicon:
    """Of no passages."""
    return Lexicon(np.empty(0, dtype=np.uint32), np.empty(0, dtype=np.uint32), 0, 0)


def read_lexicon(stream: IO[bytes]) -> Lexicon:
    """Raises IndexMismatchError for bytes that are none."""
    try:
        with np.load(stream, allow_pickle=False) as held:
            passages, terms = held["totals"].tolist()
            return Lexicon(held["hashes"], held["counts"], passages, terms)
    except (OSError, ValueError, KeyError) as exc:
        raise IndexMismatchError(f"The index's term counts are damaged ({exc}); run `groundwork stage embed`.") from exc


def _merged(hashes: list[Hashes], counts: list[Counts]) -> tuple[list[Hashes], list[Counts]]:
    """Counts of equal hashes added up, sorted by hash: one array each."""
    unique, place = np.unique(np.concatenate(hashes), return_inverse=True)
    totals = np.zeros(len(unique), dtype=np.int64)
    np.add.at(totals, place, np.concatenate(counts))
    return [unique], [totals]


def hash_of(term: str) -> int:
    """32-bit hash of a term, the same on every machine."""
    return zlib.crc32(term.encode())
