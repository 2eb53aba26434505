"""Runs in the peers' environment: LanceDB's own hybrid search, told what to do by lines of JSON.

    .venv-peers/bin/python benchmarks/peer_lancedb.py FOLDER

`build`: a table of id, text and vector from a Parquet file, with a full-text and a vector index as LanceDB makes them
by default. `search`: hybrid search with its default reranker (reciprocal ranks), the queries' vectors given; and the
vector search alone. It knows nothing of Groundwork.
"""

import importlib.metadata
import json
import os
import sys
import time
from pathlib import Path

_ANSWERS = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)


class LanceDB:
    def __init__(self, folder: str) -> None:
        import lancedb

        self.connection = lancedb.connect(folder)

    def build(self, rows: str) -> dict[str, object]:
        import pyarrow.parquet as pq
        from lancedb.index import FTS, IvfPq

        started = time.perf_counter()
        file = pq.ParquetFile(rows)
        self.table = self.connection.create_table("chunks", schema=file.schema_arrow)
        for batch in file.iter_batches(8192):
            self.table.add(batch)
        self.table.create_index("text", config=FTS())
        self.table.create_index("vector", config=IvfPq(distance_type="cosine"))
        return {"seconds": time.perf_counter() - started, "rows": self.table.count_rows()}

    def search(self, queries: str, vectors: str, k: int, out: str) -> dict[str, object]:
        import numpy as np

        asked, near = json.loads(Path(queries).read_text()), np.load(vectors)
        hybrid, alone, seconds = [], [], []
        for text, vector in zip(asked, near, strict=True):
            started = time.perf_counter()
            found = self.table.search(query_type="hybrid").vector(vector).text(text).limit(k).select(["id"]).to_arrow()
            seconds.append(time.perf_counter() - started)
            hybrid.append(found.column("id").to_pylist())
        for vector in near:
            query = self.table.search(vector, vector_column_name="vector").distance_type("cosine")
            alone.append(query.limit(k).select(["id"]).to_arrow().column("id").to_pylist())
        Path(out).write_text(json.dumps({"hybrid": hybrid, "vector": alone, "seconds": seconds}))
        return {}


def main(folder: str) -> None:
    started = time.perf_counter()
    store = LanceDB(folder)
    version = importlib.metadata.version("lancedb")
    say({"peer": "LanceDB", "version": version, "start_s": time.perf_counter() - started})
    for line in sys.stdin:
        asked = json.loads(line)
        say(getattr(store, asked.pop("do"))(**asked))


def say(answer: dict[str, object]) -> None:
    _ANSWERS.write(json.dumps(answer) + "\n")
    _ANSWERS.flush()


if __name__ == "__main__":
    main(sys.argv[1])
