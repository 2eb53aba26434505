"""Chunking strategies: how much of what answers a question the chunks that are found hold, and how much else.

    .venv/bin/python -m benchmarks.chunking [--data FOLDER] [--strategies ...] [--sizes ...] [--overlaps ...]

The measure is that of Smith and Troynikov, "Evaluating chunking strategies for retrieval" (2024). For each question the
5 nearest chunks of the whole collection are taken (`minimal`: as many as hold any of the gold excerpts), and characters
are counted: recall (of the excerpts, the share found), precision (of the chunks, the share that is excerpt; what two
chunks share counts twice), IoU (what was found to excerpts and chunks together); precision omega is the precision of
exactly the chunks that touch an excerpt, whatever was found. One figure more compares sizes fairly: recall of what is
found within 2,000 characters, however many chunks those are.
Sizes are tokens of MiniLM's own tokenizer, for the peer (LangChain's RecursiveCharacterTextSplitter) too. `vectors` is
MiniLM over the text of a chunk alone, as in the source; `search` is Groundwork's whole search (titles, headings,
words), measured without overlap alone.
"""

import argparse
import csv
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.excerpts import AT_MOST, BUDGET_CHARACTERS, FOUND, MEASURES, Asked, Place, Span, scores
from benchmarks.machine import ROOT, machine, say
from pipelines.artifacts import StageJob, Workspace, read_lines, write_rows
from pipelines.contracts import Block, Chunk, Question, content_id
from pipelines.documents.chunking import pieces
from pipelines.documents.chunking.tokens import ModelTokens
from pipelines.documents.parsers import parse
from pipelines.errors import DocumentError
from pipelines.retrieval import embed
from pipelines.retrieval.embedder import Embedder
from pipelines.retrieval.search import Searcher
from pipelines.retrieval.vectorcache import VectorCache
from pipelines.settings import Settings, load, overlay

STRATEGIES = ("structural", "recursive", "fixed", "semantic", "langchain")
SIZES = (96, 128, 200, 256, 400)
OVERLAPS = (0.0, 0.125)


@dataclass(frozen=True)
class Text:
    """A parsed document."""

    uri: str
    title: str
    text: str
    blocks: tuple[Block, ...]


@dataclass
class Collection:
    """Documents that are searched together, and what is asked of them."""

    name: str
    texts: list[Text] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    def add(self, data: bytes, uri: str, name: str) -> None:
        """Parse a document (its format is told by `name`)."""
        found = parse(data, name)[1]
        self.texts.append(Text(uri, found.title, found.text, tuple(found.blocks)))


# --- collections -------------------------------------------------------------------------------


def collections(data: Path | None) -> list[Collection]:
    """The sample, and what a folder of public data holds of chunking_eval/ and xquad_en/."""
    found = []
    if data and (data / "chunking_eval" / "questions.csv").exists():
        found.append(_chunking_eval(data / "chunking_eval"))
    if data and (place := next((data / "xquad_en").glob("*.json"), None)):
        found.append(_xquad(place))
    return [*found, _sample(ROOT / "data" / "sample")]


def _chunking_eval(folder: Path) -> Collection:
    made = Collection("chunking_eval")
    for path in sorted((folder / "corpora").glob("*.md")):
        made.add(path.read_bytes(), path.stem, path.name)
    with (folder / "questions.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            spans = tuple((each["start_index"], each["end_index"]) for each in json.loads(row["references"]))
            made.asked.append(Asked(row["question"], row["corpus_id"], spans, row["corpus_id"]))
    return made


def _xquad(path: Path) -> Collection:
    """Each article as one document, its paragraphs between blank lines; the excerpt is the answer."""
    made = Collection("xquad_en")
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        at, paragraphs = 0, []
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                answer = question["answers"][0]
                span = (at + answer["answer_start"], at + answer["answer_start"] + len(answer["text"]))
                made.asked.append(Asked(question["question"], article["title"], (span,), "xquad_en"))
            paragraphs.append(paragraph["context"])
            at += len(paragraph["context"]) + 2
        made.add("\n\n".join(paragraphs).encode(), article["title"], "article.txt")
    return made


def _sample(folder: Path) -> Collection:
    made = Collection("sample")
    for path in sorted((folder / "documents").rglob("*")):
        if path.is_file():
            with suppress(DocumentError):  # the sample holds a damaged file on purpose
                made.add(path.read_bytes(), path.relative_to(folder / "documents").as_posix(), path.name)
    known = {text.uri: text.text for text in made.texts}
    for one in read_lines(folder / "questions.jsonl", Question):
        if one.document in known and one.start is not None and one.end is not None:
            made.asked.append(Asked(one.question, one.document, ((one.start, one.end),), "sample"))
    return made


# --- chunks ------------------------------------------------------------------------------------


def chunked(texts: Sequence[Text], tokens: ModelTokens, strategy: str, size: int, overlap: int) -> list[Chunk]:
    """The chunks of all documents by a strategy, or by the peer."""
    made = []
    for text in texts:
        if strategy == "langchain":
            found = _langchain(text.text, tokens, size, overlap)
            counts = tokens.count([text.text[a:b] for a, b in found])
            spans = [(a, b, n, (), None) for (a, b), n in zip(found, counts, strict=True)]
        else:
            given: Any = strategy
            cut = pieces(text.text, text.blocks, tokens, size=size, overlap=overlap, strategy=given)
            spans = [(p.start, p.end, p.tokens, p.heading_path, p.page) for p in cut]
        for start, end, counted, path, page in spans:
            name = content_id(text.uri, start, end, strategy, size, overlap)
            own = {"id": name, "document_id": text.uri, "uri": text.uri, "title": text.title, "page": page}
            body = {"start": start, "end": end, "text": text.text[start:end], "tokens": counted}
            made.append(Chunk.model_validate({**own, **body, "heading_path": path}))
    return made


def _langchain(text: str, tokens: ModelTokens, size: int, overlap: int) -> list[Span]:
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    splitter = RecursiveCharacterTextSplitter(
        chunk_size=size,
        chunk_overlap=overlap,
        length_function=lambda part: tokens.count([part])[0],
        add_start_index=True,
    )
    found = splitter.create_documents([text])
    return [(d.metadata["start_index"], d.metadata["start_index"] + len(d.page_content)) for d in found]


# --- retrieval ---------------------------------------------------------------------------------

Ranking = Callable[[Sequence[Chunk], Sequence[str]], list[list[Place]]]
"""For each question the AT_MOST best chunks, best first."""


def by_vectors(settings: Settings, state: Path) -> Ranking:
    """Cosine of MiniLM's vectors of question and chunk text; vectors are kept by text."""
    embedder = Embedder(settings.embedding, threads=settings.runtime.threads)

    def vectors_of(texts: Sequence[str]) -> npt.NDArray[np.float32]:
        digests = [sha256(text.encode()).digest() for text in texts]
        with VectorCache(state, embedder.digest) as cache:
            held = cache.get(digests)
            missing = {d: t for d, t in zip(digests, texts, strict=True) if d not in held}
            if missing:
                fresh = embedder.encode_passages(list(missing.values())).astype(np.float16)
                cache.put(list(missing), fresh)
                held |= dict(zip(missing, fresh, strict=True))
        return np.stack([held[digest] for digest in digests]).astype(np.float32)

    def rank(chunks: Sequence[Chunk], questions: Sequence[str]) -> list[list[Place]]:
        scores = vectors_of(questions) @ vectors_of([chunk.text for chunk in chunks]).T
        best = np.argsort(-scores, axis=1, kind="stable")[:, :AT_MOST]
        return [[_place(chunks[i]) for i in row] for row in best]

    return rank


def by_search(settings: Settings, state: Path) -> Ranking:
    """Groundwork's own index and search."""

    def rank(chunks: Sequence[Chunk], questions: Sequence[str]) -> list[list[Place]]:
        with tempfile.TemporaryDirectory() as folder:
            source, output = Path(folder) / "chunk", Path(folder) / "embed"
            output.mkdir()
            write_rows(source / "chunks.parquet", list(chunks), Chunk)
            embed.run(StageJob(settings, {"chunk": source}, output, None, state, lambda *_: None))
            found = Searcher(settings, state, output).search(list(questions), AT_MOST)
        return [[_place(hit.chunk) for hit in hits] for hits in found]

    return rank


def _place(chunk: Chunk) -> Place:
    return chunk.uri, chunk.start, chunk.end


# --- figures -----------------------------------------------------------------------------------


def measured(
    collection: Collection, rankings: Mapping[str, Ranking], tokens: ModelTokens, strategy: str, size: int, share: float
) -> Iterator[dict[str, Any]]:
    """A row a way of retrieval: mean and standard deviation of every measure, over all and by corpus."""
    overlap = round(size * share)
    began = time.perf_counter()
    chunks = chunked(collection.texts, tokens, strategy, size, overlap)
    seconds = time.perf_counter() - began
    by_document: dict[str, list[Place]] = {}
    for chunk in chunks:
        by_document.setdefault(chunk.uri, []).append(_place(chunk))
    for way, rank in rankings.items():
        ranked = rank(chunks, [one.question for one in collection.asked])
        each = [scores(a, r, by_document.get(a.uri, [])) for a, r in zip(collection.asked, ranked, strict=True)]
        corpora = {
            one.corpus: [s for a, s in zip(collection.asked, each, strict=True) if a.corpus == one.corpus]
            for one in collection.asked
        }
        yield {
            "collection": collection.name,
            "strategy": strategy,
            "size": size,
            "overlap": overlap,
            "retrieval": way,
            "chunks": len(chunks),
            "tokens_mean": round(statistics.fmean(chunk.tokens for chunk in chunks), 1),
            "chunking_s": round(seconds, 2),
            "questions": len(each),
            "all": _summary(each),
            "corpora": {name: _summary(own) for name, own in corpora.items()} if len(corpora) > 1 else {},
        }


def _summary(each: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    return {
        name: {
            "mean": round(statistics.fmean(one[name] for one in each), 4),
            "std": round(statistics.pstdev(one[name] for one in each), 4),
        }
        for name in MEASURES
    }


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The figures over all questions of each collection as Markdown, percent."""
    lines = []
    for name in dict.fromkeys((row["collection"], row["retrieval"]) for row in rows):
        own = [row for row in rows if (row["collection"], row["retrieval"]) == name]
        lines += [f"\n{name[0]}, {name[1]} ({own[0]['questions']} questions)\n"]
        lines += ["| strategy | size | overlap | chunks | tokens | " + " | ".join(MEASURES) + " |"]
        lines += ["|---|" + "---:|" * (4 + len(MEASURES))]
        for row in own:
            cells = (f"{100 * row['all'][m]['mean']:.1f} ± {100 * row['all'][m]['std']:.1f}" for m in MEASURES)
            head = (
                f"| {row['strategy']} | {row['size']} | {row['overlap']} | {row['chunks']} | {row['tokens_mean']:.0f} |"
            )
            lines += [f"{head} {' | '.join(cells)} |"]
    return "\n".join(lines)


def measure(
    found: Sequence[Collection],
    *,
    state: Path,
    strategies: Sequence[str] = STRATEGIES,
    sizes: Sequence[int] = SIZES,
    overlaps: Sequence[float] = OVERLAPS,
    ways: Sequence[str] = ("vectors", "search"),
) -> list[dict[str, Any]]:
    """Every combination on every collection; search without overlap alone, since it takes as long again."""
    settings = load(overrides=overlay({}, {"runtime": {"threads": 2}}))
    tokens = ModelTokens(settings.embedding.model)
    every: dict[str, Ranking] = {"vectors": by_vectors(settings, state), "search": by_search(settings, state)}
    rows = []
    for collection in found:
        for size in sizes:
            for share in overlaps:
                rankings = {way: every[way] for way in ways if way == "vectors" or not share}
                for strategy in strategies:
                    say(f"{collection.name}: {strategy}, {size} tokens, overlap {share:.3f}")
                    rows += measured(collection, rankings, tokens, strategy, size, share)
    return rows


def main() -> None:
    """Measure, print tables, and end with one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, help="a folder with chunking_eval/ and xquad_en/; without it the sample alone"
    )
    parser.add_argument("--collections", nargs="+", help="some of chunking_eval, xquad_en, sample")
    parser.add_argument("--strategies", nargs="+", default=STRATEGIES, choices=STRATEGIES)
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, help="tokens")
    parser.add_argument("--overlaps", nargs="+", type=float, default=OVERLAPS, help="shares of the size")
    parser.add_argument("--retrieval", nargs="+", default=("vectors", "search"), choices=("vectors", "search"))
    parser.add_argument("--state", type=Path, help="keeps vectors between runs")
    chosen = parser.parse_args()
    where = machine()
    found = [each for each in collections(chosen.data) if not chosen.collections or each.name in chosen.collections]
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(
            found,
            state=Workspace(chosen.state or Path(folder)).state,
            strategies=chosen.strategies,
            sizes=chosen.sizes,
            overlaps=chosen.overlaps,
            ways=chosen.retrieval,
        )
    print(table(rows))
    print(json.dumps({"rows": rows, "budget_characters": BUDGET_CHARACTERS, "found": FOUND, "machine": where}))


if __name__ == "__main__":
    sys.exit(main())
