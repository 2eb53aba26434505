"""nDCG@10 of Groundwork's search, of each of its parts alone, of LangChain's ensemble, and of a floor.

Groundwork answers through its doors: `index build` on a corpus's folder, then `search`, with the settings as they are
committed. The others rank the same chunks (title, headings and text, as Groundwork embeds them):

- `bm25`: rank-bm25's BM25Okapi on lower-cased words.
- `minilm`: every chunk's exact cosine, sentence-transformers in float32.
- `langchain_ensemble`: EnsembleRetriever over BM25Retriever and FAISS, equal weights, reciprocal ranks; 50 each.
- `floor`: BM25 on stems with identifiers in parts, and MiniLM's cosine, both mapped to 0..1 over the collection, half
  each; for documents the best passage of each document counts, for each of the two.

xquad_en is judged by documents (a paragraph is one), chunking_eval by chunks that overlap a gold excerpt, the sample by
both. Intervals are bootstrapped over documents; the three long ones of chunking_eval in stretches of 10,000 characters.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import corpora, ranking
from benchmarks.corpora import Asked, Corpus
from benchmarks.ingest_speed import embedded, encoded
from benchmarks.machine import say
from benchmarks.peer import Peer
from benchmarks.ranking import DEPTH, Span

Floats = np.ndarray[Any, np.dtype[np.float64]]
OURS = "groundwork"
QUICK_EVERY = 12
"""With --quick every twelfth question."""


@dataclass(frozen=True)
class Indexed:
    """A corpus in a workspace: its chunks, what was embedded of each, and near-duplicates of documents."""

    workspace: Path
    chunks: tuple[Span, ...]
    texts: tuple[str, ...]
    twins: dict[str, str]


Ranked = dict[str, list[list[Span]]]
"""Of each system: for each question its best chunks. `NAME/document`: another ranking where documents are judged."""


def measure(data: Path | None, folder: Path, *, quick: bool) -> dict[str, Any]:
    """Figures, differences and goals by corpus and unit."""
    from pipelines.modelfiles import model_folder
    from pipelines.settings import load

    found: dict[str, Any] = {}
    with Peer("peer_langchain.py", [str(model_folder(load().embedding.model))]) as chain:
        for corpus in corpora.corpora(data, folder):
            asked = corpus.questions[:: QUICK_EVERY if quick else 1]
            say(f"{corpus.name}: {len(asked)} questions")
            place = folder / corpus.name
            place.mkdir()
            indexed = build(corpus, place / "workspace")
            ranked = {OURS: ours(asked, indexed, place), **others(chain, asked, indexed, place)}
            for unit in corpus.units:
                found[f"{corpus.name} ({unit}s)"] = judged(unit, asked, indexed, ranked)
    worst = min(row["above_best"]["difference"] - row["wanted"] for row in found.values())
    return {
        "figures": found,
        "ratios": {
            "above_best": {name: row["above_best"]["difference"] for name, row in found.items()},
            "above_floor": {name: row["above"]["floor"]["difference"] for name, row in found.items()},
        },
        "goals": {"above_best": {name: row["wanted"] for name, row in found.items()}, "met": worst >= 0},
        "peer": f"LangChain: {chain.version}",
    }


def build(corpus: Corpus, workspace: Path) -> Indexed:
    """`index build`, and what lies in the index then."""
    import pyarrow.parquet as pq

    from pipelines import doors
    from pipelines.evaluation.suites import near_duplicates
    from pipelines.workspaces import Choices

    doors.build_index(Choices(workspace=workspace, sources=(corpus.folder,)))
    rows = pq.read_table(workspace / "embed" / "vectors.parquet", columns=["uri", "start", "end"]).to_pylist()
    texts, _ = embedded(workspace)
    twins = near_duplicates(workspace / "ingest" / "documents.parquet")
    return Indexed(workspace, tuple(Span(**row) for row in rows), tuple(texts), twins)


# --- rankings ------------------------------------------------------------------------------------


def ours(asked: Sequence[Asked], indexed: Indexed, place: Path) -> list[list[Span]]:
    """Through the door `search`."""
    from pipelines import doors
    from pipelines.workspaces import Choices

    queries = place / "queries.jsonl"
    lines = [json.dumps({"id": question.id, "query": question.query}) for question in asked]
    queries.write_text("\n".join(lines) + "\n", encoding="utf-8")
    answers = doors.search(Choices(workspace=indexed.workspace), None, queries, DEPTH)
    return [[Span(hit["uri"], hit["start"], hit["end"]) for hit in answer["hits"]] for answer in answers]


def others(chain: Peer, asked: Sequence[Asked], indexed: Indexed, place: Path) -> Ranked:
    """The peers and the floor, on the same chunks."""
    queries = [question.query for question in asked]
    vectors = encoded(chain, indexed.texts, place)
    files = {name: str(place / f"{name}.json") for name in ("passages", "asked", "ranked")}
    np.save(place / "passages.npy", vectors)
    Path(files["passages"]).write_text(json.dumps(indexed.texts), encoding="utf-8")
    Path(files["asked"]).write_text(json.dumps(queries), encoding="utf-8")
    chain.ask(
        do="rank",
        texts=files["passages"],
        vectors=str(place / "passages.npy"),
        queries=files["asked"],
        k=DEPTH,
        out=files["ranked"],
    )
    rows: dict[str, list[list[int]]] = json.loads(Path(files["ranked"]).read_text(encoding="utf-8"))
    near = (encoded(chain, queries, place) @ vectors.T).astype(np.float64)
    rows["minilm"] = [best(scores) for scores in near]
    words = bm25(indexed.texts, queries)
    owner = [span.uri for span in indexed.chunks]
    rows["floor"] = [best(half(scaled(w), scaled(n))) for w, n in zip(words, near, strict=True)]
    rows["floor/document"] = [best(of_documents(w, n, owner)) for w, n in zip(words, near, strict=True)]
    return {name: [[indexed.chunks[row] for row in each] for each in found] for name, found in rows.items()}


def best(scores: Floats) -> list[int]:
    """Rows of the highest scores, best first."""
    found: list[int] = np.argsort(-scores, kind="stable")[:DEPTH].tolist()
    return found


def scaled(scores: Floats) -> Floats:
    """Mapped to 0..1 by the smallest and the largest; equal scores are all 0."""
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low) if high > low else np.zeros_like(scores)


def half(words: Floats, near: Floats) -> Floats:
    return 0.5 * words + 0.5 * near


def of_documents(words: Floats, near: Floats, owner: Sequence[str]) -> Floats:
    """A score for one row of each document: of its best passage by words and its best by nearness; other rows -1."""
    names, document = np.unique(np.asarray(owner), return_inverse=True)
    scores = []
    for each in (words, near):
        top = np.full(len(names), -np.inf)
        np.maximum.at(top, document, each)
        scores.append(scaled(top))
    whole = half(*scores)
    found: Floats = np.full(len(owner), -1.0)
    _, first = np.unique(document, return_index=True)
    found[first] = whole
    return found


def bm25(texts: Sequence[str], queries: Sequence[str], *, k1: float = 1.2, b: float = 0.75) -> Floats:
    """float64 [queries, texts]: Okapi BM25 (Robertson and Zaragoza 2009) over stems, names in parts."""
    from pipelines.retrieval.terms import terms

    counted = [Counter(terms(text)) for text in texts]
    lengths = np.array([each.total() for each in counted], dtype=np.float64)
    norm = k1 * (1 - b + b * lengths / lengths.mean())
    held: dict[str, list[tuple[int, int]]] = {}
    for row, each in enumerate(counted):
        for term, count in each.items():
            held.setdefault(term, []).append((row, count))
    scores = np.zeros((len(queries), len(texts)))
    for number, query in enumerate(queries):
        for term in set(terms(query)) & held.keys():
            rows, counts = (np.array(values) for values in zip(*held[term], strict=True))
            idf = np.log(1 + (len(texts) - len(rows) + 0.5) / (len(rows) + 0.5))
            scores[number, rows] += idf * counts * (k1 + 1) / (counts + norm[rows])
    return scores


# --- judgement -----------------------------------------------------------------------------------


def judged(unit: str, asked: Sequence[Asked], indexed: Indexed, ranked: Ranked) -> dict[str, Any]:
    """Every system's nDCG@10, and Groundwork's paired differences to each."""
    held = [sum(ranking.relevant(question, span) for span in indexed.chunks) for question in asked]
    counted = [i for i, question in enumerate(asked) if unit == "document" or held[i]]
    groups = [asked[i].group for i in counted]
    values: dict[str, list[float]] = {}
    for name in (system for system in ranked if "/" not in system):
        rows = ranked.get(f"{name}/{unit}", ranked[name])
        if unit == "document":
            values[name] = [ranking.of_documents(asked[i], rows[i], indexed.twins) for i in counted]
        else:
            values[name] = [ranking.of_spans(asked[i], rows[i], held[i]) for i in counted]
    means = {name: float(np.mean(each)) for name, each in values.items() if name != OURS}
    top = max(means, key=lambda name: means[name])
    above = {name: ranking.difference(values[OURS], values[name], groups, name) for name in means}
    return {
        "questions": len(counted),
        "groups": len(set(groups)),
        "chunks": len(indexed.chunks),
        "systems": {name: ranking.estimate(each, groups, name) for name, each in values.items()},
        "above": above,
        "best_peer": top,
        "above_best": above[top],
        "wanted": ranking.wanted(means[top]),
    }
