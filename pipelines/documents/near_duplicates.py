"""Which documents repeat another: the same bytes or words for certain, nearly the same words by MinHash.

MinHash over word 5-grams finds candidates, exact Jaccard decides; but a text with a figure that the other has not (two
contracts on one form), or under another name (two pages with one menu) unless next to nothing differs, is no repeat.
Invariants: an original repeats no other; whoever may see a repeat may see its original (`rank` and `covers` say so;
with equal access the first by uri is the original); a text shorter than MIN_WORDS is never a near repeat (short texts
agree by chance). A signature depends on the text alone, so it is kept, as is every similarity that was computed.
Sources: Broder, "On the resemblance and containment of documents" (1997); Li, König, "b-bit minwise hashing" (2010).
"""

import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

PERMUTATIONS = 128
SHINGLE_WORDS = 5
MIN_WORDS = 20
_BATCH = 4096
_RECALL = 0.99
"""Share of pairs at the threshold that banding must bring as candidates."""
_CERTAIN = 0.95
"""Similarity from which the names do not matter."""
_MARGIN = 0.15
"""Pairs whose signatures agree by so much less than the threshold are not compared: more than four deviations."""
_NEIGHBOURS = 8
"""In a group of equal bands each is compared with the first and with so many before it."""
_WORDS_HELD = 200_000
_MIX = np.uint64(0x9E3779B97F4A7C15)
_WORD = re.compile(r"\w+")
_FIGURE = re.compile(r"\d+")
_RNG = np.random.Generator(np.random.PCG64(1))  # its stream is the same in every version of numpy
_MULTIPLIERS = (_RNG.integers(0, 2**63, PERMUTATIONS, dtype=np.uint64) << np.uint64(1)) | np.uint64(1)
_ADDENDS = _RNG.integers(0, 2**63, PERMUTATIONS, dtype=np.uint64)

Pair = tuple[int, int]
Ints = npt.NDArray[np.int64]


class _Hashes(dict[str, int]):
    """crc32 of words; most words of a document were in one before it."""

    def __missing__(self, word: str) -> int:
        if len(self) >= _WORDS_HELD:
            self.clear()
        self[word] = found = zlib.crc32(word.encode())
        return found


_HASHES = _Hashes()


@dataclass(frozen=True)
class Repeats:
    """`originals`: index of a document -> index of the one that it repeats. `compared`: similarity of each pair
    (later, earlier by rank) that decided; 0 where a figure differs."""

    originals: Mapping[int, int]
    compared: Mapping[Pair, float] = field(default_factory=dict)


def signature(text: str) -> bytes:
    """MinHash signature of a text: uint16 [PERMUTATIONS] as bytes; empty for a text that is too short."""
    hashes = shingles(text)
    if hashes is None:
        return b""
    least = np.full(PERMUTATIONS, np.iinfo(np.uint32).max, dtype=np.uint32)
    for start in range(0, len(hashes), _BATCH):
        mixed = hashes[start : start + _BATCH, None].astype(np.uint64) * _MULTIPLIERS + _ADDENDS
        least = np.minimum(least, (mixed >> np.uint64(32)).astype(np.uint32).min(axis=0))
    return least.astype(np.uint16).tobytes()  # 16 bits tell two minima apart but for one pair in 65,536


def shingles(text: str) -> npt.NDArray[np.uint32] | None:
    """Sorted unique hashes of the text's word 5-grams: uint32 [n]; None for a text that is too short."""
    words = _WORD.findall(text.lower())
    if len(words) < MIN_WORDS:
        return None
    hashed = np.fromiter(map(_HASHES.__getitem__, words), dtype=np.uint64, count=len(words))
    grams = np.zeros(len(words) - SHINGLE_WORDS + 1, dtype=np.uint64)
    for offset in range(SHINGLE_WORDS):
        grams = grams * _MIX + hashed[offset : offset + len(grams)]
    grams = (grams ^ (grams >> np.uint64(29))) * _MIX  # the last word's hash has touched the low half alone
    return np.unique((grams >> np.uint64(32)).astype(np.uint32))


def jaccard(a: npt.NDArray[np.uint32], b: npt.NDArray[np.uint32]) -> float:
    """Size of the intersection over that of the union of two sorted unique arrays."""
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / (len(a) + len(b) - shared)


def exact_repeats(
    keys: Sequence[Sequence[object]], rank: Sequence[int], covers: Callable[[int, int], bool], never: frozenset[Pair]
) -> dict[int, int]:
    """Index of each document that has a key (its bytes, its words) of a document before it -> index of that one.

    `keys`: columns of one key a document. `rank`: who is an original first. `covers(a, b)`: whoever may see b may
    see a. `never`: pairs (smaller, larger) that are no repeats, such as two versions of one policy.
    """
    originals: dict[int, int] = {}
    for column in keys:
        groups: dict[object, list[int]] = {}
        for index in _shared(column):
            groups.setdefault(column[index], []).append(index)
        for members in groups.values():
            free = sorted((i for i in members if i not in originals), key=rank.__getitem__)
            kept: list[int] = []
            for later in free:
                first = next((k for k in kept if _ordered(k, later) not in never and covers(k, later)), None)
                if first is None:
                    kept.append(later)
                else:
                    originals[later] = first
    return {later: _end(later, originals) for later in originals}


def near_repeats(
    signatures: Sequence[bytes],
    text_of: Callable[[int], str],
    *,
    threshold: float,
    whole_of: Callable[[int], str] | None = None,
    same_name: Callable[[int, int], bool] = lambda a, b: True,
    rank: Sequence[int] | None = None,
    covers: Callable[[int, int], bool] = lambda a, b: True,
    never: frozenset[Pair] = frozenset(),
    known: Mapping[Pair, float] | None = None,
) -> Repeats:
    """Documents that nearly repeat another; an empty signature stands for one that is not compared.

    `text_of`: the text that is compared; `whole_of`: with all its figures, where that is more (an e-mail's headers).
    `known`: similarities of pairs from an earlier run; the others are as in `exact_repeats`.
    """
    ranks = range(len(signatures)) if rank is None else rank
    pairs = _candidates(signatures, ranks, threshold)
    measured = _Measured(text_of, whole_of or text_of, known or {})
    originals: dict[int, int] = {}
    for later, earlier in pairs:
        if later in originals or earlier in originals or _ordered(earlier, later) in never:
            continue
        if not covers(earlier, later):
            continue
        least = threshold if same_name(earlier, later) else max(threshold, _CERTAIN)
        if measured.similarity(later, earlier) >= least:
            originals[later] = earlier
    return Repeats(originals, measured.asked)


class _Measured:
    """Similarities, each computed once; the shingles of the last documents are at hand."""

    def __init__(
        self, text_of: Callable[[int], str], whole_of: Callable[[int], str], known: Mapping[Pair, float]
    ) -> None:
        self._text_of = text_of
        self._whole_of = whole_of
        self._known = known
        self._shingles: dict[int, npt.NDArray[np.uint32]] = {}
        self.asked: dict[Pair, float] = {}

    def similarity(self, later: int, earlier: int) -> float:
        pair = (later, earlier)
        if pair not in self.asked:
            found = self._known.get(pair)
            self.asked[pair] = self._compared(later, earlier) if found is None else found
        return self.asked[pair]

    def _compared(self, later: int, earlier: int) -> float:
        similarity = jaccard(self._of(later), self._of(earlier))
        new = set(_FIGURE.findall(self._text_of(later))) - set(_FIGURE.findall(self._whole_of(earlier)))
        return 0.0 if new else similarity

    def _of(self, index: int) -> npt.NDArray[np.uint32]:
        if index not in self._shingles:
            if len(self._shingles) > _BATCH:
                self._shingles.clear()
            found = shingles(self._text_of(index))
            self._shingles[index] = np.empty(0, np.uint32) if found is None else found
        return self._shingles[index]


def _ordered(a: int, b: int) -> Pair:
    return (a, b) if a < b else (b, a)


def _end(index: int, originals: Mapping[int, int]) -> int:
    while index in originals:
        index = originals[index]
    return index


def _shared(column: Sequence[object]) -> list[int]:
    """Indexes whose key (None: none) another document has too."""
    once: set[object] = set()
    twice: set[object] = set()
    for key in column:
        (twice if key in once else once).add(key)
    twice.discard(None)
    return [index for index, key in enumerate(column) if key in twice] if twice else []


def _candidates(signatures: Sequence[bytes], rank: Sequence[int], threshold: float) -> list[Pair]:
    """Pairs (later, earlier) by rank that share a band and agree well enough, in the order of decision."""
    usable = np.array([i for i, s in enumerate(signatures) if s], dtype=np.int64)
    if len(usable) < 2:
        return []
    usable = usable[np.argsort(np.asarray(rank, dtype=np.int64)[usable], kind="stable")]
    matrix = np.frombuffer(b"".join(signatures[i] for i in usable.tolist()), np.uint16).reshape(-1, PERMUTATIONS)
    rows = _rows_per_band(threshold)
    bands = range(0, PERMUTATIONS - rows + 1, rows)
    found = [pairs for start in bands if len(pairs := _equal_bands(_keys(matrix[:, start : start + rows])))]
    if not found:
        return []
    pairs = np.unique(np.concatenate(found), axis=0)
    agreed = np.concatenate([_agreement(matrix, part) for part in np.array_split(pairs, len(pairs) // _BATCH + 1)])
    pairs = usable[pairs[agreed >= threshold - _MARGIN]]
    return [(int(later), int(earlier)) for later, earlier in pairs]


def _keys(band: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint64]:
    """One number for each row of a band; rows that only seem equal are told apart by their agreement."""
    keys = np.zeros(len(band), dtype=np.uint64)
    for column in band.T:
        keys = (keys ^ column) * _MIX
        keys ^= keys >> np.uint64(29)
    return keys


def _agreement(matrix: npt.NDArray[np.uint16], pairs: Ints) -> npt.NDArray[np.float64]:
    share: npt.NDArray[np.float64] = (matrix[pairs[:, 0]] == matrix[pairs[:, 1]]).mean(axis=1)
    return share


def _equal_bands(keys: npt.NDArray[np.uint64]) -> Ints:
    """Pairs (later, earlier) of positions with an equal key: int64 [n, 2]."""
    order = np.argsort(keys, kind="stable")
    begins = np.flatnonzero(np.r_[True, keys[order][1:] != keys[order][:-1]])
    sizes = np.diff(np.r_[begins, len(keys)])
    pairs = [pair for at, size in zip(begins[sizes > 1].tolist(), sizes[sizes > 1].tolist(), strict=True)
             for pair in _in_group(order[at : at + size].tolist())]  # fmt: skip
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _in_group(members: Sequence[int]) -> Iterator[Pair]:
    first, *rest = members
    for position, later in enumerate(rest):
        yield later, first
        yield from ((later, earlier) for earlier in rest[max(0, position - _NEIGHBOURS) : position])


def _rows_per_band(threshold: float) -> int:
    """Longest band that finds a pair at the threshold with probability _RECALL."""
    for rows in range(16, 1, -1):
        if 1 - (1 - threshold**rows) ** (PERMUTATIONS // rows) >= _RECALL:
            return rows
    return 1
