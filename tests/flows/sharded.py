"""A small knowledge base whose work is cut into many small shards, and the flow over it."""

import sys
from pathlib import Path

import yaml

from pipelines.artifacts import read_json
from pipelines.documents import chunk_shards, parsing
from pipelines.retrieval import embed

STAGES = ("ingest", "chunk", "embed")
FILES = 40


def cut_small() -> None:
    """Shards of a few files, documents and texts: 5, 4 and 4 of them where the real ones would be one each."""
    parsing.FILES_EACH, chunk_shards.ROWS_EACH, embed.KEPT_EACH = 8, 10, 32


def write_documents(folder: Path) -> None:
    """FILES short documents of three sections, one of them damaged and one a repeat."""
    folder.mkdir(parents=True)
    for n in range(FILES - 2):
        sections = [f"## Part {part}\n\n{_prose(n, part)}\n" for part in range(3)]
        (folder / f"guide-{n:02}.md").write_text(f"# Guide {n}\n\n" + "\n".join(sections))
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4\n% damaged from here on \x00\xff")
    (folder / "repeat.md").write_text((folder / "guide-07.md").read_text())


def _prose(n: int, part: int) -> str:
    return " ".join(
        f"Valve {n * 7 + part} opens at {n + word} bar when sensor {word * part} reports." for word in range(9)
    )


def build(workspace: Path, sources: Path, runner: str, address: str | None = None) -> dict[str, str]:
    """Run the flow `ingest`; every output file's digest by its name."""
    from flows.lifecycle import ingest
    from flows.parameters import Where

    runtime = {"runner": runner, "workers": 2, "threads": 2, "runner_address": address}
    config = workspace.parent / f"{workspace.name}-{runner}.yaml"
    config.write_text(yaml.safe_dump({"runtime": runtime, "files": {"sources": [str(sources)]}}))
    ingest(Where(workspace=workspace, config=config))
    found = {}
    for stage in STAGES:
        written = read_json(workspace / stage / "stage.json")
        found |= {f"{stage}/{name}": digest for name, digest in written["outputs"].items()}
        found[f"{stage} key"] = written["key"]
    return found


if __name__ == "__main__":  # WORKSPACE SOURCES RUNNER, to be killed
    cut_small()
    build(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
