"""Ingest beside its peers: from files to an index, after a change of 1%, and parsing alone.

    make bench-ingest DATA=FOLDER
    .venv/bin/python -m benchmarks.ingest [--data FOLDER] [--only speed|changed|parsing] [--quick] [--markdown]

`speed`: pages a second beside LangChain (ingest_speed.py). `changed`: the time after 1% of the documents changed beside
the full run's (changed.py). `parsing`: pages a second and word recall beside docling and unstructured (parsing.py).
"""

from pathlib import Path
from typing import Any

from benchmarks import changed, ingest_speed, parsing
from benchmarks.command import bench
from benchmarks.corpora import SAMPLE


def speed(data: Path | None, folder: Path, quick: bool) -> dict[str, Any]:
    return ingest_speed.measure(data, folder, quick=quick)


def change(data: Path | None, folder: Path, quick: bool) -> dict[str, Any]:
    return changed.measure(data, folder, quick=quick)


def parse(data: Path | None, folder: Path, quick: bool) -> dict[str, Any]:
    """Each folder of parser_docs with its expected Markdown, if there is any; without data the sample."""
    told = {
        files.name: parsing.measure(files, expected=expected, passes=1 if quick else parsing.PASSES)
        for files, expected in _folders(data, quick)
    }
    return {
        "figures": {name: {"reference": each["reference"], **each["figures"]} for name, each in told.items()},
        "ratios": {name: each["ratios"] for name, each in told.items()},
        "goals": parsing.GOALS,
        "peer": next(iter(told.values()))["peers"],
    }


def _folders(data: Path | None, quick: bool) -> list[tuple[Path, Path | None]]:
    if data is None or quick:
        return [(SAMPLE / "documents", None)]
    found = []
    for folder in sorted(path for path in (data / "parser_docs").iterdir() if path.is_dir()):
        sources, expected = folder / "sources", folder / "groundtruth"
        found.append((sources if sources.is_dir() else folder, expected if expected.is_dir() else None))
    return [(SAMPLE / "documents", None), *found]


if __name__ == "__main__":
    bench("ingest", __doc__, {"speed": speed, "changed": change, "parsing": parse})
