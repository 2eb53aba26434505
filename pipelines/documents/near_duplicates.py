"""Which documents nearly repeat another: MinHash over word 5-grams finds candidates, exact Jaccard decides.

Invariants: the first document by uri is the original, and an original repeats no other; a text shorter than
MIN_WORDS is never one (short texts agree by chance). Signatures depend on the text alone, so they are kept.
Source: Broder, "On the resemblance and containment of documents" (1997).
"""

import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

PERMUTATIONS = 128
SHINGLE_WORDS = 5
MIN_WORDS = 20
_BATCH = 4096
_RECALL = 0.99
"""Share of pairs at the threshold that banding must bring as candidates."""
_MIX = np.uint64(0x9E3779B97F4A7C15)
_WORD = re.compile(r"\w+")


def signature(text: str) -> bytes:
    """MinHash signature of a text: uint32 [PERMUTATIONS] as bytes; empty for a text that is too short."""
    hashes = shingles(text)
    if hashes is None:
        return b""
    from datasketch import MinHash

    minhash = MinHash(num_perm=PERMUTATIONS, seed=1, hashfunc=int)
    for start in range(0, len(hashes), _BATCH):
        minhash.update_batch(hashes[start : start + _BATCH].tolist())
    return np.asarray(minhash.hashvalues, dtype=np.uint32).tobytes()


def shingles(text: str) -> np.ndarray | None:
    """Sorted unique hashes of the text's word 5-grams: uint32 [n]; None for a text that is too short."""
    words = _WORD.findall(text.lower())
    if len(words) < MIN_WORDS:
        return None
    known: dict[str, int] = {word: zlib.crc32(word.encode()) for word in set(words)}
    hashed = np.array([known[word] for word in words], dtype=np.uint64)
    grams = np.zeros(len(words) - SHINGLE_WORDS + 1, dtype=np.uint64)
    for offset in range(SHINGLE_WORDS):
        grams = grams * _MIX + hashed[offset : offset + len(grams)]
    grams = (grams ^ (grams >> np.uint64(29))) * _MIX  # the last word's hash has touched the low half alone
    return np.unique((grams >> np.uint64(32)).astype(np.uint32))


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """Size of the intersection over that of the union of two sorted unique arrays."""
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / (len(a) + len(b) - shared)


def near_duplicates(
    signatures: Sequence[bytes],
    text_of: Callable[[int], str],
    *,
    threshold: float,
    never: frozenset[tuple[int, int]] = frozenset(),
) -> dict[int, int]:
    """Index of each document that nearly repeats another -> index of its original (documents sorted by uri).

    `never`: pairs (smaller, larger) that are not compared, such as two versions of one policy.
    """
    kept: dict[int, np.ndarray] = {}

    def shingles_of(index: int) -> np.ndarray:
        if index not in kept:
            found = shingles(text_of(index))
            kept[index] = np.empty(0, np.uint32) if found is None else found
        return kept[index]

    originals: dict[int, int] = {}
    for later, earlier in sorted(_candidates(signatures, threshold)):
        if later in originals or earlier in originals or (earlier, later) in never:
            continue
        if jaccard(shingles_of(earlier), shingles_of(later)) >= threshold:
            originals[later] = earlier
    return originals


def _candidates(signatures: Sequence[bytes], threshold: float) -> set[tuple[int, int]]:
    """Pairs (later, earlier) that share a band of their signatures."""
    usable = [i for i, s in enumerate(signatures) if s]
    if len(usable) < 2:
        return set()
    matrix = np.frombuffer(b"".join(signatures[i] for i in usable), np.uint32).reshape(len(usable), PERMUTATIONS)
    rows = _rows_per_band(threshold)
    pairs: set[tuple[int, int]] = set()
    for start in range(0, PERMUTATIONS - rows + 1, rows):
        pairs.update(_equal_bands(np.ascontiguousarray(matrix[:, start : start + rows]), usable))
    return pairs


def _equal_bands(band: np.ndarray, names: Sequence[int]) -> Iterator[tuple[int, int]]:
    keys = band.view(np.dtype((np.void, band.dtype.itemsize * band.shape[1]))).ravel()
    order = np.argsort(keys, kind="stable")
    same = np.flatnonzero(keys[order][1:] == keys[order][:-1])
    groups: dict[bytes, list[int]] = {}
    for at in same:
        groups.setdefault(keys[order[at]].tobytes(), [int(order[at])]).append(int(order[at + 1]))
    for members in groups.values():
        first, *rest = sorted(names[m] for m in members)
        for position, later in enumerate(rest):
            yield later, first
            yield from ((later, earlier) for earlier in rest[max(0, position - 8) : position])


def _rows_per_band(threshold: float) -> int:
    """Longest band that finds a pair at the threshold with probability _RECALL."""
    for rows in range(16, 1, -1):
        if 1 - (1 - threshold**rows) ** (PERMUTATIONS // rows) >= _RECALL:
            return rows
    return 1


def signature_table(ids: Sequence[str], known: Mapping[str, bytes], text_of: Callable[[int], str]) -> list[bytes]:
    """Signatures of documents in order: known ones by id, the others computed."""
    return [known[name] if name in known else signature(text_of(index)) for index, name in enumerate(ids)]
