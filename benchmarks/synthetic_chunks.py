"""A few thousand real chunks -> as many made ones as wanted, with vectors that lie as real ones do.

A made chunk keeps some sentences of a real one and takes the others from chunks near to it, so that it stays on a
subject; every number and code is drawn anew. Its vector is not computed by the model (a million would take hours):
it is the mix of its sentences' real vectors, weighted by their length, plus a residual. The residual is what real
chunks have beyond the mix of their sentences (title, headings, the order of things): half of it is the real chunk's
own, half is drawn with the covariance of all residuals. `likeness` compares as many made chunks with the real ones;
`make bench-scale` prints it as `cosines`: of pairs at random, to the nearest and to the tenth.
Limits: the vocabulary is that of the real texts (numbers and codes aside), so common words stand in more chunks than
they would in a million chunks of different authors: full-text search is timed on the harder side.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.artifacts import arrow_schema
from pipelines.contracts import Chunk
from pipelines.retrieval.index import CHUNK_COLUMNS, vector_column, vectors_of
from pipelines.retrieval.terms import search_text

CHUNKS_A_DOCUMENT = 16
NEAR = 20
"""Real chunks that a made one may take sentences from."""
KEPT = 0.5
"""Share of a real chunk's sentences that stay."""
OWN = 0.5
"""Share of the residual's variance that is the real chunk's own."""
SEED = 7
TENANTS, LABELS = 10, ("board", "finance", "hr", "legal", "research")
LABELLED = 0.1
DAYS = np.arange("2015-01-01", "2026-11-01", dtype="datetime64[D]")

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
_SENTENCE = re.compile(r"(?<=[.!?:;])\s+|\n+")
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True)
class Material:
    """Real chunks in parts. `n` chunks, `s` sentences."""

    titles: Sequence[str]
    headings: Sequence[Sequence[str]]
    languages: Sequence[str | None]
    sentences: Sequence[str]
    first: Ints
    """int64 [n + 1]: sentences `first[i]` to `first[i + 1]` are those of chunk i."""
    sentence_vectors: Floats
    """float32 [s, dim], unit length."""
    vectors: Floats
    """float32 [n, dim], unit length."""
    near: Ints
    """int64 [n, NEAR]: the nearest other chunks."""
    residuals: Floats
    """float32 [n, dim]: vector minus mix."""
    spread: Floats
    """float32 [dim, dim]: normal deviates times this have the residuals' covariance."""
    tokens_a_character: float

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.vectors.shape[1])


def material(chunks: pa.Table, vectors: Floats, encode: Callable[[list[str]], Floats]) -> Material:
    """Take real chunks apart; `encode` gives the sentences' vectors. Chunks without a sentence are left out."""
    parts = [_sentences(text) for text in chunks.column("text").to_pylist()]
    kept = [i for i, part in enumerate(parts) if part]
    chunks, vectors, parts = chunks.take(pa.array(kept)), vectors[kept], [parts[i] for i in kept]
    sentences = [sentence for part in parts for sentence in part]
    first = np.cumsum([0, *(len(part) for part in parts)])
    sentence_vectors = encode(sentences)
    lengths = np.array([len(sentence) for sentence in sentences], dtype=np.float32)
    sums = np.add.reduceat(sentence_vectors * lengths[:, None], first[:-1])
    residuals = vectors - _unit(sums)
    spread = np.linalg.cholesky(np.cov(residuals, rowvar=False) + 1e-9 * np.eye(vectors.shape[1])).T
    return Material(
        titles=chunks.column("title").to_pylist(),
        headings=chunks.column("heading_path").to_pylist(),
        languages=chunks.column("language").to_pylist(),
        sentences=sentences,
        first=first,
        sentence_vectors=sentence_vectors,
        vectors=vectors,
        near=nearest(vectors, vectors, min(NEAR, len(vectors) - 1) + 1)[0][:, 1:],
        residuals=residuals,
        spread=spread.astype(np.float32),
        tokens_a_character=sum(chunks.column("tokens").to_pylist()) / max(1, int(lengths.sum())),
    )


def made(held: Material, documents: Sequence[int], version: int = 0) -> pa.Table:
    """Chunks of numbered documents with their vectors, in the columns of vectors.parquet.

    The same numbers and version give the same chunks; another version gives other texts, vectors and ids.
    """
    rng = np.random.default_rng([SEED, version, documents[0] if len(documents) else 0])
    count = len(documents) * CHUNKS_A_DOCUMENT
    # a document stays near one real chunk and those around it
    subject = np.repeat(rng.integers(len(held.titles), size=len(documents)), CHUNKS_A_DOCUMENT)
    stays = rng.random(count) < 1 / 3
    seeds = np.where(stays, subject, held.near[subject, rng.integers(held.near.shape[1], size=count)])
    chosen = [_chosen(held, int(seed), rng) for seed in seeds]
    numbers = np.add.outer(np.array(documents) * CHUNKS_A_DOCUMENT, np.arange(CHUNKS_A_DOCUMENT)).reshape(-1)
    varied = _varied([" ".join(held.sentences[i] for i in each) for each in chosen], rng)
    texts = [f"{text} No. {version}{number:08d}" for text, number in zip(varied, numbers, strict=True)]
    columns = _columns(held, np.repeat(documents, CHUNKS_A_DOCUMENT), version, subject, seeds, texts, rng)
    table = pa.table(columns, schema=pa.schema([*arrow_schema(Chunk)])).select(CHUNK_COLUMNS)
    fields = (table.column(name).to_pylist() for name in ("title", "heading_path", "text"))
    digests = [hashlib.sha256(search_text(*each).encode()).hexdigest() for each in zip(*fields, strict=True)]
    row_digests = [hashlib.sha256(repr(each).encode()).hexdigest() for each in zip(columns["id"], digests, strict=True)]
    table = table.append_column("text_digest", pa.array(digests)).append_column("row_digest", pa.array(row_digests))
    return table.append_column("vector", vector_column(_mixed(held, seeds, chosen, rng)))


def nearest(vectors: Floats, among: Floats, k: int) -> tuple[Ints, Floats]:
    """The k rows of `among` with the highest cosine, best first, and the cosines: int64 [n, k], float32 [n, k]."""
    rows, scores = [], []
    for start in range(0, len(vectors), 1024):
        cosines = vectors[start : start + 1024] @ among.T
        top = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(cosines, top, 1), axis=1, kind="stable")
        rows.append(np.take_along_axis(top, order, 1))
        scores.append(np.take_along_axis(cosines, rows[-1], 1))
    return np.concatenate(rows), np.concatenate(scores)


def likeness(held: Material) -> dict[str, dict[str, list[float]]]:
    """Quantiles .05 .25 .5 .75 .95 of cosines: as many made chunks as real ones, beside the real ones."""
    documents = range(-(-len(held.vectors) // CHUNKS_A_DOCUMENT))
    ours = vectors_of(made(held, documents))[: len(held.vectors)]
    found = {}
    for name, vectors in (("real", held.vectors), ("made", ours)):
        rng = np.random.default_rng(SEED)
        a, b = rng.integers(len(vectors), size=(2, 50_000))
        k = min(11, len(vectors))
        close = nearest(vectors, vectors, k)[1]
        pairs = np.einsum("nd,nd->n", vectors[a], vectors[b])[a != b]
        found[name] = {
            "pairs": _quantiles(pairs),
            "nearest": _quantiles(close[:, 1]),
            "tenth": _quantiles(close[:, k - 1]),
        }
    return found


def save(held: Material, folder: Path) -> None:
    """Write it down for other processes."""
    arrays = ("first", "sentence_vectors", "vectors", "near", "residuals", "spread")
    np.savez(folder / "material.npz", share=held.tokens_a_character, **{name: getattr(held, name) for name in arrays})
    lists = {name: getattr(held, name) for name in ("titles", "headings", "languages")}
    pq.write_table(pa.table(lists), folder / "material-chunks.parquet")
    pq.write_table(pa.table({"sentences": held.sentences}), folder / "material-sentences.parquet")


def load(folder: Path) -> Material:
    """What `save` wrote."""
    chunks = pq.read_table(folder / "material-chunks.parquet").to_pydict()
    sentences = pq.read_table(folder / "material-sentences.parquet").column("sentences").to_pylist()
    with np.load(folder / "material.npz") as held:
        arrays = {name: held[name] for name in held.files if name != "share"}
        return Material(**chunks, **arrays, sentences=sentences, tokens_a_character=float(held["share"]))


# --- parts -------------------------------------------------------------------------------------


def _sentences(text: str) -> list[str]:
    return [part.strip() for part in _SENTENCE.split(text) if len(part.split()) > 2]


def _chosen(held: Material, seed: int, rng: np.random.Generator) -> Ints:
    """Sentences of a chunk, some of them exchanged for sentences of chunks near to it."""
    own = np.arange(held.first[seed], held.first[seed + 1])
    others = held.near[seed, rng.integers(held.near.shape[1], size=len(own))]
    theirs = held.first[others] + (rng.random(len(own)) * (held.first[others + 1] - held.first[others])).astype(int)
    return np.where(rng.random(len(own)) < KEPT, own, theirs)


def _varied(texts: Sequence[str], rng: np.random.Generator) -> list[str]:
    """The texts with every run of digits drawn anew, of the same length."""
    needed = sum(map(len, texts))
    drawn = (rng.integers(0, 10, size=needed) + 48).astype(np.uint8).tobytes().decode()
    place = 0

    def other(match: re.Match[str]) -> str:
        nonlocal place
        start, place = place, place + len(match[0])
        return drawn[start:place]

    return [_DIGITS.sub(other, text) for text in texts]


def _mixed(held: Material, seeds: Ints, chosen: Sequence[Ints], rng: np.random.Generator) -> Floats:
    flat = np.concatenate(chosen)
    weights = np.array([len(held.sentences[i]) for i in flat], dtype=np.float32)
    starts = np.cumsum([0, *(len(each) for each in chosen[:-1])])
    sums = np.add.reduceat(held.sentence_vectors[flat] * weights[:, None], starts)
    mean = held.residuals.mean(axis=0)
    drawn = rng.standard_normal((len(seeds), held.dim), dtype=np.float32) @ held.spread
    residual = mean + np.sqrt(OWN) * (held.residuals[seeds] - mean) + np.sqrt(1 - OWN) * drawn
    return _unit(_unit(sums) + residual)


def _columns(
    held: Material,
    documents: Ints,
    version: int,
    subject: Ints,
    seeds: Ints,
    texts: Sequence[str],
    rng: np.random.Generator,
) -> dict[str, list[Any]]:
    """Every column of a chunk but its vector, in order of documents and of places in them."""
    count = len(texts)
    lengths = np.array([len(text) for text in texts]).reshape(-1, CHUNKS_A_DOCUMENT)
    ends = np.cumsum(lengths + 2, axis=1).reshape(-1) - 2
    starts = ends - lengths.reshape(-1)
    names = [f"document {SEED} {version} {number}" for number in documents]
    by_document = count // CHUNKS_A_DOCUMENT
    titles = [f"{held.titles[i]} RK-{number:06d}" for i, number in zip(subject, documents, strict=True)]
    tenants = np.minimum(rng.geometric(0.35, size=by_document) - 1, TENANTS - 1)
    labelled = rng.random(by_document) < LABELLED
    labels = rng.integers(len(LABELS), size=by_document)
    days = DAYS[rng.integers(len(DAYS), size=by_document)].astype(str)
    each = np.repeat(np.arange(by_document), CHUNKS_A_DOCUMENT)
    return {
        "schema_version": [1] * count,
        "id": [_hash(f"chunk {name} {start}") for name, start in zip(names, starts, strict=True)],
        "document_id": [_hash(name) for name in names],
        "uri": [f"made/{number // 1000:03d}/{number:06d}.md" for number in documents],
        "title": titles,
        "start": starts.tolist(),
        "end": ends.tolist(),
        "text": list(texts),
        "heading_path": [held.headings[i] for i in seeds],
        "page": [None] * count,
        "tokens": [max(1, round(len(text) * held.tokens_a_character)) for text in texts],
        "language": [held.languages[i] for i in subject],
        "date": days[each].tolist(),
        "tenant": [f"tenant-{tenants[i]}" for i in each],
        "labels": [[LABELS[labels[i]]] if labelled[i] else [] for i in each],
        "superseded": [False] * count,
    }


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def _quantiles(values: Floats) -> list[float]:
    return [round(float(each), 3) for each in np.quantile(values, (0.05, 0.25, 0.5, 0.75, 0.95))]
