"""Ingest, chunk, embed and index, beside a plain LangChain pipeline on the same plain-text files.

Groundwork runs as `index build` does, each time in a fresh workspace, with vectors in 8 bits and in float; LangChain
loads, splits, embeds and fills a FAISS store in its own environment (peer_langchain.py). Same MiniLM, chunks of 256
tokens at most, no overlap. The sides take turns, and each side's median counts. Start-up is left out: imports and
models are loaded before on both sides; what Groundwork loads anew in each run (the encoder, a parser process) is
measured beside and taken off, and the ratio without that is given too. A page is 3,000 characters of documents that
were indexed: one that repeats another counts for LangChain alone, which embeds it.
"""

import importlib
import json
import random
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import corpora, ranking
from benchmarks.machine import say
from benchmarks.peer import Peer

PAGE_CHARACTERS = 3000
PAGES, QUICK_PAGES = 180, 12
TOKENS = 256
ROUNDS = 3
LONGEST_FILE = 30_000
PRECISIONS = ("int8", "float")
GOALS = {"int8_speed_ratio": 3.0, "int8_ndcg_loss": 0.005, "float_speed_ratio": 1.7, "float_cosine_mean": 0.999}
HEAVY = ("torch", "transformers", "lancedb", "pandas", "pyarrow.parquet", "openvino", "nncf")


def measure(data: Path | None, folder: Path, *, quick: bool) -> dict[str, Any]:
    """Pages a second of each side, agreement with float32 vectors, ratios."""
    from pipelines.modelfiles import model_folder
    from pipelines.settings import load

    for name in HEAVY:
        importlib.import_module(name)
    files = write_files(corpora.plain_texts(data, folder), folder / "texts", QUICK_PAGES if quick else PAGES)
    model = load().embedding.model
    for precision in PRECISIONS:
        build(files, folder / f"warm-{precision}", precision, warm=True)
    with Peer("peer_langchain.py", [str(model_folder(model))]) as chain:
        runs = rounds(chain, files, folder, 1 if quick else ROUNDS)
        say("agreement with float32 vectors")
        agreement = {precision: cosines(chain, folder, precision) for precision in PRECISIONS}
        quality = vectors_alone(chain, data, folder, quick) if data is not None else None
    return {
        "figures": {**{name: figures(each) for name, each in runs.items()}, "agreement": agreement, "ndcg": quality},
        "ratios": ratios(runs, agreement, quality),
        "goals": GOALS,
        "peer": f"LangChain: {chain.version}",
    }


def write_files(texts: Sequence[str], folder: Path, pages: int) -> Path:
    """Plain-text files of at most so many pages, drawn from all texts; long ones are divided at paragraphs."""
    parts = [part for text in texts for part in divided(text)]
    random.Random(5).shuffle(parts)
    folder.mkdir(parents=True)
    left = pages * PAGE_CHARACTERS
    for number, part in enumerate(parts):
        if left <= 0:
            break
        (folder / f"t{number:04d}.txt").write_text(part, encoding="utf-8")
        left -= len(part)
    return folder


def divided(text: str) -> list[str]:
    """Pieces of about 30,000 characters, cut at line ends."""
    pieces = [""]
    for line in text.splitlines(keepends=True):
        if pieces[-1] and len(pieces[-1]) + len(line) > LONGEST_FILE:
            pieces.append("")
        pieces[-1] += line
    return [piece for piece in pieces if piece.strip()]


# --- runs ----------------------------------------------------------------------------------------


def rounds(chain: Peer, files: Path, folder: Path, count: int) -> dict[str, list[dict[str, Any]]]:
    """What every side told of each of its runs."""
    runs: dict[str, list[dict[str, Any]]] = {"int8": [], "langchain": [], "float": []}
    for number in range(count):
        for name in runs:
            say(f"round {number + 1} of {count}: {name}")
            if name == "langchain":
                told = chain.ask(do="index", folder=str(files), tokens=TOKENS)
                runs[name].append({**told, "start_s": 0.0})
            else:
                runs[name].append(build(files, folder / f"{name}-{number}", name))
    return runs


def build(files: Path, workspace: Path, precision: str, *, warm: bool = False) -> dict[str, Any]:
    """A run in a fresh workspace; `warm`: of one file, so that what is made once a machine is there."""
    from pipelines import doors
    from pipelines.workspaces import Choices

    config = workspace.with_suffix(".yaml")
    chosen = {"embedding": {"precision": precision}, "chunking": {"size_tokens": TOKENS, "overlap_tokens": 0}}
    config.write_text(json.dumps(chosen), encoding="utf-8")
    sources = min(files.iterdir(), key=lambda path: path.stat().st_size) if warm else files
    choices = Choices(workspace=workspace, config=config, sources=(sources,))
    start_s = 0.0 if warm else start(choices)
    told = doors.build_index(choices)
    return {
        "seconds": sum(told["seconds"].values()),
        "start_s": start_s,
        "parts_s": told["seconds"],
        "documents": told["documents"],
        "chunks": told["chunks"],
        "characters": indexed_characters(workspace),
    }


def start(choices: Any) -> float:
    """Seconds to load the encoder and to start a parser, as each run does."""
    from pipelines.documents.sandbox import Sandbox, Task
    from pipelines.retrieval.embedder import Embedder
    from pipelines.workspaces import open_workspace

    settings = open_workspace(choices).settings
    tiny = Path(settings.files.sources[0]).parent / "start.txt"
    tiny.write_text("One line.\n", encoding="utf-8")
    began = time.perf_counter()
    Embedder(settings.embedding, threads=settings.runtime.threads).encode_passages(["One line."])
    with Sandbox(settings.documents, workers=settings.runtime.threads) as sandbox:
        list(sandbox.parse_all([Task(tiny, tiny.name)]))
    return time.perf_counter() - began


def indexed_characters(workspace: Path) -> int:
    """Characters of the documents that are no repeats."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    rows = pq.read_table(workspace / "ingest" / "documents.parquet", columns=["text", "near_duplicate_of"])
    return int(pc.sum(pc.utf8_length(rows["text"].filter(rows["near_duplicate_of"].is_null()))).as_py())


def figures(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A side's pages a second from the median of its runs."""
    seconds = statistics.median(run["seconds"] - run["start_s"] for run in runs)
    pages = runs[0]["characters"] / PAGE_CHARACTERS
    middle = sorted(runs, key=lambda run: run["seconds"])[len(runs) // 2]
    return {
        "pages": round(pages, 1),
        "documents": runs[0]["documents"],
        "chunks": runs[0]["chunks"],
        "seconds": [round(run["seconds"], 2) for run in runs],
        "start_s": round(statistics.median(run["start_s"] for run in runs), 2),
        "parts_s": middle["parts_s"],
        "pages_per_s": round(pages / seconds, 2),
        "pages_per_s_with_start": round(pages / statistics.median(run["seconds"] for run in runs), 2),
    }


def ratios(
    runs: dict[str, list[dict[str, Any]]], agreement: dict[str, Any], quality: dict[str, Any] | None
) -> dict[str, Any]:
    """Groundwork's pages a second to LangChain's, and what the vectors cost in quality."""
    rates = {name: figures(each) for name, each in runs.items()}
    theirs = rates["langchain"]["pages_per_s"]
    found: dict[str, Any] = {}
    for name in PRECISIONS:
        found[f"{name}_speed_ratio"] = round(rates[name]["pages_per_s"] / theirs, 2)
        found[f"{name}_speed_ratio_with_start"] = round(rates[name]["pages_per_s_with_start"] / theirs, 2)
        found[f"{name}_cosine_mean"] = agreement[name]["mean"]
        found[f"{name}_ndcg_loss"] = round(quality["float32"] - quality[name], 4) if quality else None
    return found


# --- agreement -----------------------------------------------------------------------------------


def cosines(chain: Peer, folder: Path, precision: str) -> dict[str, Any]:
    """Cosines of the index's vectors to sentence-transformers' float32 of the same texts."""
    texts, ours = embedded(folder / f"{precision}-0")
    theirs = encoded(chain, texts, folder)
    close = (ours * theirs).sum(axis=1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    return {"chunks": len(texts), "mean": round(float(close.mean()), 5), "min": round(float(close.min()), 5)}


def embedded(workspace: Path) -> tuple[list[str], "np.ndarray[Any, Any]"]:
    """What was embedded of each chunk, and its vector float32 [n, dim], as they lie in the index's file."""
    import pyarrow.parquet as pq

    from pipelines.retrieval.index import vectors_of
    from pipelines.retrieval.terms import search_text

    rows = pq.read_table(workspace / "embed" / "vectors.parquet")
    fields = (rows.column(name).to_pylist() for name in ("title", "heading_path", "text"))
    return [search_text(*each) for each in zip(*fields, strict=True)], vectors_of(rows)


def encoded(chain: Peer, texts: Sequence[str], folder: Path) -> "np.ndarray[Any, Any]":
    """float32 [n, dim] of texts by sentence-transformers."""
    asked, out = folder / "texts.json", folder / "vectors.npy"
    asked.write_text(json.dumps(list(texts)), encoding="utf-8")
    chain.ask(do="encode", texts=str(asked), out=str(out))
    vectors: np.ndarray[Any, Any] = np.load(out)
    return vectors


def vectors_alone(chain: Peer, data: Path | None, folder: Path, quick: bool) -> dict[str, Any]:
    """nDCG@10 on xquad_en of vectors alone: in 8 bits, in float, and by sentence-transformers in float32."""
    from pipelines.retrieval.embedder import Embedder
    from pipelines.settings import load

    assert data is not None
    corpus = corpora.xquad(data / "xquad_en", folder / "xquad")
    asked = corpus.questions[:: 10 if quick else 1]
    uris = sorted(path.name for path in corpus.folder.iterdir())
    passages = [(corpus.folder / uri).read_bytes().decode() for uri in uris]
    chunks = [ranking.Span(uri, 0, len(text)) for uri, text in zip(uris, passages, strict=True)]
    queries = [question.query for question in asked]
    made = {"float32": (encoded(chain, passages, folder), encoded(chain, queries, folder))}
    for precision in PRECISIONS:
        embedder = Embedder(load().embedding.model_copy(update={"precision": precision}))
        made[precision] = (embedder.encode_passages(passages), embedder.encode_queries(queries))
    found: dict[str, Any] = {"questions": len(asked)}
    for name, (near, wanted) in made.items():
        best = np.argsort(-(wanted @ near.T), axis=1, kind="stable")[:, : ranking.DEPTH]
        values = [
            ranking.of_documents(question, [chunks[row] for row in rows], {})
            for question, rows in zip(asked, best.tolist(), strict=True)
        ]
        found[name] = round(float(np.mean(values)), 4)
    return found
