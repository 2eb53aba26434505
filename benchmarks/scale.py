"""An index of a million chunks on one machine: time, size, memory, speed of search, recall; then an update.

    make bench-scale                                   a million chunks, made from the sample
    .venv/bin/python -m benchmarks.scale --chunks 100000 --data FOLDER --keep FOLDER

Chunks and vectors are made from real ones (synthetic_chunks.py says how and how far they can be trusted), written as
stage embed writes them, and indexed by the product's own writer. Each step is a process of its own whose memory is
watched with that of its children (resident, sampled); private memory above `--memory-gib` is refused by the kernel
(RLIMIT_DATA), so a step that needs more fails. Searches ask real questions that the product's embedder encodes; recall
is against every vector compared, on the same float16 vectors. There is no peer: exact search is the measure.
`--data` adds xquad_en and chunking_eval to what chunks and questions are made from.
"""

import argparse
import csv
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import synthetic_chunks as synthetic
from benchmarks.machine import ROOT, machine, run, say

CHUNKS = 1_000_000
MEMORY_GIB = 8
DOCUMENTS_A_GROUP = 512
"""With 16 chunks each: a row group of stage embed."""
CHANGED = (0.01, 0.0001)
"""Shares of the documents that the two updates replace."""
QUESTIONS = 300
K = 10
GOALS = {"recall_at_10": 0.95, "hybrid_p95_ms": 100, "memory_gib": MEMORY_GIB, "build_minutes": 30}

Ints = npt.NDArray[np.int64]


# --- steps, each in a process of its own -------------------------------------------------------


def real(folder: Path, given: str | None) -> dict[str, Any]:
    """Index real documents by the product's own door, and take their chunks apart."""
    from pipelines import doors, settings
    from pipelines.retrieval.embedder import Embedder
    from pipelines.retrieval.index import vectors_of
    from pipelines.workspaces import Choices

    data = Path(given) if given else None
    sources = (ROOT / "data" / "sample" / "documents", *_foreign(folder / "sources", data))
    built = doors.build_index(Choices(workspace=folder / "real", sources=sources))
    rows = pq.read_table(folder / "real" / "embed" / "vectors.parquet")
    embedder = Embedder(settings.load().embedding)
    held = synthetic.material(rows, vectors_of(rows), lambda texts: embedder.encode_passages(texts))
    synthetic.save(held, folder)
    questions = _questions(data)
    np.savez(folder / "questions.npz", texts=np.array(questions), vectors=embedder.encode_queries(questions))
    return {
        "documents": built["documents"],
        "chunks": len(held.titles),
        "sentences": len(held.sentences),
        "questions": len(questions),
        "cosines": synthetic.likeness(held),
    }


def make(folder: Path, chunks: int) -> dict[str, Any]:
    """Write vectors.parquet and index.json of so many chunks."""
    return _written(folder, chunks, "made", lambda held: _groups(held, chunks))


def change(folder: Path, share: float, before: str, name: str, version: int) -> dict[str, Any]:
    """The same with a share of the documents replaced by another version of them."""
    file = pq.ParquetFile(Path(before) / "vectors.parquet")
    rows = file.metadata.num_rows
    documents = rows // synthetic.CHUNKS_A_DOCUMENT
    count = max(1, round(documents * share))
    changed = np.sort(np.random.default_rng(synthetic.SEED).permutation(documents)[:count])
    done = _written(folder, rows, name, lambda held: _changed(held, file, changed, version))
    return {**done, "documents": count, "rows": count * synthetic.CHUNKS_A_DOCUMENT}


def build(folder: Path, name: str) -> dict[str, Any]:
    """Bring the index in line with vectors.parquet, by the product's writer."""
    from pipelines.retrieval import index, index_writing

    stage = folder / name
    clock = Clock()
    began = time.perf_counter()
    index_writing.write(_place(folder), index.load_pointer(stage), stage / index.VECTORS, clock)
    return {"seconds": round(time.perf_counter() - began, 1), "steps": clock.seconds(), "mib": sizes(folder)}


def search(folder: Path, name: str) -> dict[str, Any]:
    """Latencies of searching, and recall against every vector compared."""
    exact_ids, memory_before = _exact(folder, name), _resident_mib()
    asked = np.load(folder / "questions.npz")
    questions, vectors = [str(text) for text in asked["texts"]], asked["vectors"]
    searching = Searching(folder, name)
    kinds: dict[str, Callable[[int], object]] = {
        "hybrid": lambda i: searching.whole(questions[i]),
        "nearest": lambda i: searching.nearest(vectors[i], 50),
        "matching": lambda i: searching.matching(questions[i], 50),
        "filtered": lambda i: searching.filtered(questions[i]),
    }
    half = len(questions) // 2
    cold = _milliseconds(kinds["hybrid"], range(half))
    figures: dict[str, Any] = {"questions": half, "cold_hybrid": _summary(cold)}
    for kind, ask in kinds.items():
        for i in range(half):
            ask(i)  # warm: the same parts of the index were read before
        figures[kind] = _summary(_milliseconds(ask, range(half, 2 * half)))
    found = {k: [searching.nearest(vector, k) for vector in vectors] for k in (K, 50)}
    figures |= {
        "recall_at_10": _recall(found[50], exact_ids),
        "recall_at_10_asking_for_10": _recall(found[K], exact_ids),
        "resident_mib": _resident_mib() - memory_before,
    }
    return figures


STEPS: dict[str, Callable[..., dict[str, Any]]] = {
    "real": real,
    "make": make,
    "change": change,
    "build": build,
    "search": search,
}


class Clock:
    """A report of progress that keeps how long each step took."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._began: list[tuple[str, float]] = []
        self._now = now

    def __call__(self, done: int, total: int, what: str) -> None:
        if not self._began or self._began[-1][0] != what:
            self._began.append((what, self._now()))

    def seconds(self) -> dict[str, float]:
        """By step: from its first report to that of the next."""
        ends = [*(when for _, when in self._began[1:]), self._now()]
        found: dict[str, float] = {}
        for (what, began), end in zip(self._began, ends, strict=True):
            found[what] = round(found.get(what, 0.0) + end - began, 1)
        return found


class Searching:
    """The product's search over a made index, whole and in parts."""

    def __init__(self, folder: Path, name: str) -> None:
        from pipelines import settings
        from pipelines.retrieval import index
        from pipelines.retrieval.filters import Filters
        from pipelines.retrieval.search import Searcher

        chosen = settings.load(overrides={"index": {"uri": str(folder / "index")}})
        self._searcher = Searcher(chosen, folder / "state", folder / name)
        self._index = index.open_index(_place(folder), index.load_pointer(folder / name))
        self._filters = Filters(tenant="tenant-2", labels=frozenset({"hr"}), since="2020-01-01")

    def whole(self, question: str) -> object:
        """The question embedded, both searches, the ranking."""
        return self._searcher.search([question], K)

    def filtered(self, question: str) -> object:
        """The same, as a caller of a tenant who holds a label, about newer documents."""
        return self._searcher.search([question], K, self._filters)

    def nearest(self, vector: synthetic.Floats, k: int) -> list[str]:
        """Ids by vector alone."""
        ids: list[str] = [each["id"] for each in self._index.nearest(vector, k).chunks]
        return ids

    def matching(self, question: str, k: int) -> object:
        """Rows by words alone."""
        from pipelines.retrieval.terms import terms

        return self._index.matching(list(dict.fromkeys(terms(question))), k)


# --- what they are made of ---------------------------------------------------------------------


def _foreign(folder: Path, data: Path | None) -> list[Path]:
    """Documents of xquad_en (one a paragraph's article) and chunking_eval, as a folder of files."""
    if data is None:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    for place in sorted((data / "chunking_eval" / "corpora").glob("*.md")):
        shutil.copyfile(place, folder / place.name)
    for number, article in enumerate(json.loads((data / "xquad_en" / "xquad.en.json").read_text())["data"]):
        text = "\n\n".join(paragraph["context"] for paragraph in article["paragraphs"])
        (folder / f"xquad-{number:03d}.md").write_text(f"# {article['title']}\n\n{text}\n")
    return [folder]


def _questions(data: Path | None) -> list[str]:
    """Real questions, of every source alike, mixed."""
    lines = (ROOT / "data" / "sample" / "questions.jsonl").read_text().splitlines()
    found = [[json.loads(line)["question"] for line in lines]]
    if data is not None:
        articles = json.loads((data / "xquad_en" / "xquad.en.json").read_text())["data"]
        found.append([qa["question"] for a in articles for p in a["paragraphs"] for qa in p["qas"]])
        with (data / "chunking_eval" / "questions.csv").open(newline="") as file:
            found.append([row["question"] for row in csv.DictReader(file)])
    rng = np.random.default_rng(synthetic.SEED)
    each = [list(rng.permutation(sorted(set(part)))) for part in found]
    mixed = [str(part[i]) for i in range(max(map(len, each))) for part in each if i < len(part)]
    return mixed[:QUESTIONS]


def _written(
    folder: Path, chunks: int, name: str, tables: Callable[[synthetic.Material], Iterator[pa.Table]]
) -> dict[str, Any]:
    """Tables as vectors.parquet, a row group each, with the index.json of their content."""
    from pipelines.artifacts import write_json
    from pipelines.contracts import content_id
    from pipelines.documents.tables import group_writer
    from pipelines.retrieval import index

    began = time.perf_counter()
    held = synthetic.load(folder)
    real_pointer = index.load_pointer(folder / "real" / "embed")
    stage = folder / name
    stage.mkdir(parents=True, exist_ok=True)
    digests: list[str] = []
    first = next(synthetic_schema(held))
    with group_writer(stage / index.VECTORS, first) as write:
        for table in tables(held):
            write(table)
            digests += table.column("row_digest").to_pylist()
            if len(digests) % (DOCUMENTS_A_GROUP * synthetic.CHUNKS_A_DOCUMENT * 20) == 0:
                say(f"  {len(digests):,} of {chunks:,} chunks")
    tag = content_id(name, sorted(digests))[:32]
    write_json(stage / index.POINTER, real_pointer.model_copy(update={"tag": tag, "rows": len(digests)}))
    return {"chunks": len(digests), "seconds": round(time.perf_counter() - began, 1)}


def synthetic_schema(held: synthetic.Material) -> Iterator[pa.Schema]:
    """Of what is written: as stage embed writes it."""
    yield synthetic.made(held, range(1)).schema


def _groups(held: synthetic.Material, chunks: int) -> Iterator[pa.Table]:
    documents = -(-chunks // synthetic.CHUNKS_A_DOCUMENT)
    for first in range(0, documents, DOCUMENTS_A_GROUP):
        table = synthetic.made(held, range(first, min(first + DOCUMENTS_A_GROUP, documents)))
        yield table.slice(0, chunks - first * synthetic.CHUNKS_A_DOCUMENT)


def _changed(held: synthetic.Material, file: pq.ParquetFile, changed: Ints, version: int) -> Iterator[pa.Table]:
    """Row groups of a file with some documents replaced, each in its place."""
    size = synthetic.CHUNKS_A_DOCUMENT
    first = 0
    for group in range(file.num_row_groups):
        table = file.read_row_group(group)
        own = np.arange(first, first + table.num_rows) // size
        mine = changed[(changed >= own[0]) & (changed <= own[-1])]
        first += table.num_rows
        if len(mine):
            kept = ~np.isin(own, mine)
            fresh = synthetic.made(held, mine.tolist(), version=version).cast(table.schema)
            order = np.argsort(np.concatenate([own[kept], np.repeat(mine, size)]), kind="stable")
            table = pa.concat_tables([table.filter(pa.array(kept)), fresh]).take(pa.array(order))
        yield table


def _exact(folder: Path, name: str) -> list[set[str]]:
    """For each question the ids of its K nearest chunks, every vector compared, a row group at a time."""
    from pipelines.retrieval.index import vectors_of

    asked = np.load(folder / "questions.npz")["vectors"]
    file = pq.ParquetFile(folder / name / "vectors.parquet")
    best = [(np.empty(0, dtype=np.float32), np.empty(0, dtype=object)) for _ in asked]
    for group in range(file.num_row_groups):
        rows = file.read_row_group(group, columns=["id", "vector"])
        vectors = vectors_of(rows)
        top, scores = synthetic.nearest(asked, vectors, min(K, len(vectors)))
        ids = np.array(rows.column("id").to_pylist(), dtype=object)
        for i, (held_scores, held_ids) in enumerate(best):
            every, names = np.concatenate([held_scores, scores[i]]), np.concatenate([held_ids, ids[top[i]]])
            kept = np.argsort(-every, kind="stable")[:K]
            best[i] = every[kept], names[kept]
    return [set(ids) for _, ids in best]


def _place(folder: Path) -> Any:
    from pipelines.retrieval.index import Place

    return Place(str(folder / "index"))


def _recall(found: Sequence[Sequence[str]], exact: Sequence[set[str]]) -> float:
    """Mean share of the K exact ones among the first K that were found."""
    shares = [len(set(ids[:K]) & wanted) / len(wanted) for ids, wanted in zip(found, exact, strict=True)]
    return round(float(np.mean(shares)), 4)


def _milliseconds(ask: Callable[[int], object], numbers: Sequence[int]) -> list[float]:
    taken = []
    for i in numbers:
        began = time.perf_counter()
        ask(i)
        taken.append(1000 * (time.perf_counter() - began))
    return taken


def _summary(milliseconds: Sequence[float]) -> dict[str, float]:
    return {f"p{q}_ms": round(float(np.percentile(milliseconds, q)), 1) for q in (50, 95)}


def _resident_mib() -> int:
    return int(psutil.Process().memory_info().rss) >> 20


def sizes(folder: Path) -> dict[str, float]:
    """MiB on disk by part: the table's rows, each of its indexes, what the versions need, term counts."""
    found: dict[str, float] = {}
    for place in (folder / "index").rglob("*"):
        if place.is_file():
            part = _part(place.relative_to(folder / "index"))
            found[part] = found.get(part, 0) + place.stat().st_size / 2**20
    return {name: round(size, 1) for name, size in sorted(found.items())}


def _part(place: Path) -> str:
    """What a file of the index belongs to, by LanceDB's layout: TABLE.lance/data, or _indices/ID/FILE."""
    table, kind = place.parts[0], place.parts[1] if len(place.parts) > 1 else ""
    if not table.startswith("chunks-"):
        return "term counts"
    if kind != "_indices":
        return "rows" if kind == "data" else "versions"
    if place.name in ("index.idx", "auxiliary.idx"):
        return "vector index"
    return "filter indices" if "page_lookup" in place.name or "page_data" in place.name else "full-text index"


# --- the run -----------------------------------------------------------------------------------


def measure(folder: Path, chunks: int, data: Path | None, memory_gib: float) -> dict[str, Any]:
    """Every step in its process; what each took."""

    def step(name: str, *arguments: object) -> dict[str, Any]:
        say(f"{name} {' '.join(str(each) for each in arguments if each is not None)}")
        given = json.dumps([str(each) if isinstance(each, Path) else each for each in arguments])
        command = [sys.executable, "-m", "benchmarks.scale", "--step", name, str(folder), given, str(memory_gib)]
        ran = run(command, cwd=ROOT, environment={**os.environ, "PYTHONPATH": str(ROOT)})
        figures = {**json.loads(ran.stdout.splitlines()[-1]), "wall_s": ran.seconds, "peak_mib": ran.peak_mib}
        say(f"  {json.dumps(figures)}")
        return figures

    figures: dict[str, Any] = {"real": step("real", str(data) if data else None)}
    figures["make"] = step("make", chunks)
    figures["build"] = step("build", "made")
    figures["search"] = step("search", "made")
    before = "made"
    for version, share in enumerate(CHANGED, 1):
        name = f"changed-{share}"
        made = step("change", share, folder / before, name, version)
        figures[f"update_{share}"] = {**step("build", name), "rows": made["rows"]}
        before = name
    return figures


@contextmanager
def workplace(kept: Path | None) -> Iterator[Path]:
    """A folder that goes away afterwards, or one that is kept."""
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as name:
        yield Path(name)


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=CHUNKS)
    parser.add_argument("--data", type=Path, help="a folder with xquad_en and chunking_eval")
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it")
    parser.add_argument("--memory-gib", type=float, default=MEMORY_GIB)
    parser.add_argument("--step", nargs=4, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.step:
        _one_step(*chosen.step)
        return
    where = machine()
    with workplace(chosen.keep) as folder:
        figures = measure(folder, chosen.chunks, chosen.data, chosen.memory_gib)
    print(json.dumps({"figures": figures, "goals": GOALS, "peer": None, "machine": where}))


def _one_step(name: str, folder: str, arguments: str, memory_gib: str) -> None:
    most = int(float(memory_gib) * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    figures = STEPS[name](Path(folder), *json.loads(arguments))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
