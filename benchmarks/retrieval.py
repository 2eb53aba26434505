"""Search beside its peers: quality on corpora with gold spans, time and recall at 100,000 chunks.

    make bench-retrieval DATA=FOLDER
    .venv/bin/python -m benchmarks.retrieval [--data FOLDER] [--only quality|scale] [--quick] [--markdown]

`quality`: nDCG@10 beside BM25, MiniLM, LangChain's ensemble and a floor (retrieval_quality.py). `scale`: p50, p95 and
recall beside LanceDB's own hybrid search (retrieval_scale.py).
"""

from pathlib import Path
from typing import Any

from benchmarks import retrieval_quality, retrieval_scale
from benchmarks.command import bench


def quality(data: Path | None, folder: Path, quick: bool) -> dict[str, Any]:
    return retrieval_quality.measure(data, folder, quick=quick)


def scale(data: Path | None, folder: Path, quick: bool) -> dict[str, Any]:
    return retrieval_scale.measure(data, folder, quick=quick)


if __name__ == "__main__":
    bench("retrieval", __doc__, {"quality": quality, "scale": scale})
