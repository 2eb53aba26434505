"""Search in 100,000 chunks: time and recall, beside LanceDB's own hybrid search on the same texts and vectors.

The chunks: those of the corpora as they are, and mixtures, each of three sentences drawn at random from all. A
mixture's vector is the mean of the vectors of the chunks that its sentences come from plus normal noise, scaled to unit
length: near its sources, as a real text on their subjects would be, and unlike any other. The questions are those of
the corpora, each asked once, after some that are not counted. Groundwork's time is the door's (`search`): text in, hits
out, its question's embedding included; LanceDB is given the vectors ready. LanceDB's indexes are those it makes by
default (full text, IVF_PQ), its reranker its default one, reciprocal ranks.
"""

import json
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import corpora
from benchmarks.machine import say
from benchmarks.peer import Peer

CHUNKS, QUICK_CHUNKS = 100_000, 10_000
SENTENCES = 3
NOISE = 0.35
"""Length of the noise beside a mean of unit vectors, which is about .6 long."""
QUERIES, WARM = 400, 20
K = 10
GOALS = {"p95_ms": 30.0, "recall@10": 0.95}
WRITTEN_AT_ONCE = 8192

Vectors = np.ndarray[Any, np.dtype[np.float32]]


def measure(data: Path | None, folder: Path, *, quick: bool) -> dict[str, Any]:
    """Latencies and recalls of both sides."""
    count = QUICK_CHUNKS if quick else CHUNKS
    queries = questions(data, folder, QUERIES // (5 if quick else 1))
    stage, build_s = made(data, folder, count)
    say("searching: groundwork")
    own, vectors = ours(stage, folder, queries)
    say("searching: lancedb")
    theirs, version = lancedb(stage, folder, queries, vectors)
    exact = nearest(stage, vectors)
    for side, found in ((own, own.pop("vector")), (theirs, theirs.pop("vector"))):
        side["vector_recall@10"] = recall(found, exact)
    own["build_s"] = build_s
    return {
        "figures": {"chunks": count, "queries": len(queries) - WARM, "groundwork": own, "lancedb": theirs},
        "ratios": {
            "p95": round(own["p95_ms"] / theirs["p95_ms"], 2),
            "p50": round(own["p50_ms"] / theirs["p50_ms"], 2),
            "recall_difference": round(own["vector_recall@10"] - theirs["vector_recall@10"], 4),
        },
        "goals": GOALS,
        "peer": f"LanceDB {version}: hybrid search, default indexes, default reranker",
    }


def questions(data: Path | None, folder: Path, count: int) -> list[str]:
    """Questions of all corpora in a settled random order, with those that warm up in front."""
    known = [asked.query for corpus in corpora.corpora(data, folder / "asked") for asked in corpus.questions]
    random.Random(3).shuffle(known)
    return known[: count + WARM]


# --- the table -----------------------------------------------------------------------------------


def made(data: Path | None, folder: Path, count: int) -> tuple[Path, float]:
    """A stage folder with `count` chunks in the index, as stage embed would leave it; seconds to write the index."""
    from pipelines import doors
    from pipelines.artifacts import write_json
    from pipelines.retrieval import index, index_writing
    from pipelines.settings import load
    from pipelines.workspaces import Choices

    real = folder / "real"
    sources = tuple(corpus.folder for corpus in corpora.corpora(data, folder / "sources"))
    doors.build_index(Choices(workspace=real, sources=sources))
    stage = folder / "stage"
    stage.mkdir()
    say(f"making {count} chunks")
    write_mixtures(real / "embed" / index.VECTORS, stage / index.VECTORS, count)
    pointer = index.load_pointer(real / "embed").model_copy(
        update={"rows": count, "tag": f"{count:032x}", "table": "bench", "chunks_digest": "bench"}
    )
    write_json(stage / index.POINTER, pointer)
    say("writing the index")
    started = time.perf_counter()
    index_writing.write(index.place_of(folder / "state", load().index), pointer, stage / index.VECTORS)
    return stage, round(time.perf_counter() - started, 1)


def write_mixtures(real: Path, out: Path, count: int) -> None:
    """The real chunks, and mixtures of their sentences up to `count`, in the same columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from pipelines.retrieval.index import vector_column, vectors_of

    held = pq.read_table(real).slice(0, count)
    vectors = vectors_of(held)
    source = [(part, row) for row, text in enumerate(held["text"].to_pylist()) for part in corpora.sentences([text])]
    rng, order = random.Random(13), np.random.default_rng(13)
    plain = held.slice(0, 1).to_pylist()[0] | {"title": "", "heading_path": [], "labels": [], "superseded": False}
    with pq.ParquetWriter(out, held.schema) as file:
        file.write_table(held)
        for first in range(held.num_rows, count, WRITTEN_AT_ONCE):
            size = min(WRITTEN_AT_ONCE, count - first)
            drawn = [rng.sample(source, SENTENCES) for _ in range(size)]
            mixed = mixture(vectors[np.array([[row for _, row in each] for each in drawn])], order)
            rows = [row_of(plain, first + number, [part for part, _ in each]) for number, each in enumerate(drawn)]
            table = pa.Table.from_pylist(rows, schema=held.schema.remove(held.schema.get_field_index("vector")))
            file.write_table(table.append_column(held.schema.field("vector"), vector_column(mixed)))


def mixture(sources: Vectors, rng: np.random.Generator) -> Vectors:
    """float32 [n, sources, dim] -> [n, dim]: means with noise, of unit length."""
    means = sources.mean(axis=1)
    noise = rng.normal(size=means.shape) * NOISE / np.sqrt(means.shape[1])
    whole = means + noise
    unit: Vectors = (whole / np.linalg.norm(whole, axis=1, keepdims=True)).astype(np.float32)
    return unit


def row_of(plain: dict[str, Any], number: int, parts: Sequence[str]) -> dict[str, Any]:
    """A chunk of a document of its own."""
    text = " ".join(parts)
    name = f"{number:064x}"
    own = {"id": name, "document_id": name, "uri": f"mixture/{number}.txt", "start": 0, "end": len(text), "text": text}
    own |= {"text_digest": name, "row_digest": name}
    return {key: value for key, value in plain.items() if key != "vector"} | own


# --- the sides -----------------------------------------------------------------------------------


def ours(stage: Path, folder: Path, queries: Sequence[str]) -> tuple[dict[str, Any], Vectors]:
    """Groundwork's times and nearest rows, and the questions' vectors."""
    from pipelines.retrieval import index
    from pipelines.retrieval.search import Searcher
    from pipelines.settings import load

    settings = load()
    searcher = Searcher(settings, folder / "state", stage)
    opened = index.open_index(index.place_of(folder / "state", settings.index), index.load_pointer(stage))
    seconds, embedding = [], []
    for query in queries:
        started = time.perf_counter()
        searcher.search([query], K)
        seconds.append(time.perf_counter() - started)
    vectors: Vectors = np.zeros((len(queries), searcher.pointer.dim), dtype=np.float32)
    for number, query in enumerate(queries):
        started = time.perf_counter()
        vectors[number] = searcher.embedder.encode_queries([query])[0]
        embedding.append(time.perf_counter() - started)
    found = [[each["id"] for each in opened.nearest(vector, K).chunks] for vector in vectors]
    return {**latencies(seconds), "embedding_p50_ms": latencies(embedding)["p50_ms"], "vector": found}, vectors


def lancedb(stage: Path, folder: Path, queries: Sequence[str], vectors: Vectors) -> tuple[dict[str, Any], str]:
    """LanceDB's times and nearest rows, and its version."""
    import pyarrow.parquet as pq

    from pipelines.retrieval.index import VECTORS, vectors_of

    held = pq.read_table(stage / VECTORS, columns=["id", "text", "vector"])
    asked = {name: folder / name for name in ("rows.parquet", "queries.json", "queries.npy", "found.json")}
    pq.write_table(as_floats(held, vectors_of(held)), asked["rows.parquet"])
    asked["queries.json"].write_text(json.dumps(list(queries)), encoding="utf-8")
    np.save(asked["queries.npy"], vectors)
    with Peer("peer_lancedb.py", [str(folder / "lancedb")]) as peer:
        built = peer.ask(do="build", rows=str(asked["rows.parquet"]))
        places = {"queries": asked["queries.json"], "vectors": asked["queries.npy"], "out": asked["found.json"]}
        peer.ask(do="search", k=K, **{name: str(place) for name, place in places.items()})
        told = json.loads(asked["found.json"].read_text(encoding="utf-8"))
        return {
            **latencies(told["seconds"]),
            "build_s": round(built["seconds"], 1),
            "vector": told["vector"],
        }, peer.version


def as_floats(rows: Any, vectors: Vectors) -> Any:
    """The table with its vectors in float32, as LanceDB's users keep them."""
    import pyarrow as pa

    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
    return rows.set_column(rows.schema.get_field_index("vector"), "vector", column)


def nearest(stage: Path, queries: Vectors) -> list[list[str]]:
    """Ids of the ten rows of highest cosine, by comparing every one."""
    import pyarrow.parquet as pq

    from pipelines.retrieval.index import VECTORS, vectors_of

    held = pq.read_table(stage / VECTORS, columns=["id", "vector"])
    vectors, ids = vectors_of(held), np.array(held["id"].to_pylist())
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return [ids[np.argsort(-(vectors @ query))[:K]].tolist() for query in queries]


def recall(found: Sequence[Sequence[str]], exact: Sequence[Sequence[str]]) -> float:
    """Mean share of the exact nearest that was found."""
    shares = [len({*a} & {*b}) / len(b) for a, b in zip(found, exact, strict=True)]
    return round(sum(shares) / len(shares), 4)


def latencies(seconds: Sequence[float]) -> dict[str, float]:
    """Milliseconds, without the first few."""
    counted = np.array(seconds[WARM:]) * 1000
    return {f"p{share}_ms": round(float(np.percentile(counted, share)), 2) for share in (50, 95)}
