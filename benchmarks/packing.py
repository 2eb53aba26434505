"""What the model is shown: the first passages as search ranks them, beside packed ones.

    .venv/bin/python -m benchmarks.packing [--data FOLDER]

For each corpus, of the questions with gold spans: the share whose whole gold (`all`) or a part of it (`some`) is among
what is shown, and how many tokens, passages and chunks that is. Ends with one JSON object.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.corpora import Corpus, Gold, corpora
from benchmarks.machine import machine, say
from pipelines.contracts import Chunk
from pipelines.retrieval.answer import LOOKED_AT
from pipelines.retrieval.packing import Passage, pack


def held(gold: Sequence[Gold], chunks: Sequence[Chunk]) -> tuple[bool, bool]:
    """Whether chunks hold every gold span whole, and whether they touch one."""
    spans = [(each.uri, each.start, each.end) for each in gold if each.start is not None and each.end is not None]
    inside = [_covered(uri, start, end, chunks) for uri, start, end in spans]
    return all(whole for whole, _ in inside), any(touched for _, touched in inside)


def _covered(uri: str, start: int, end: int, chunks: Sequence[Chunk]) -> tuple[bool, bool]:
    """Chunks are trimmed, so white space between two of them counts as covered."""
    at, touched = start, False
    for chunk in sorted((c for c in chunks if c.uri == uri and c.end > start and c.start < end), key=lambda c: c.start):
        touched = True
        if chunk.start - at <= 2:
            at = max(at, chunk.end)
    return at >= end, touched


def figures(shown: Sequence[Sequence[Passage]], gold: Sequence[Sequence[Gold]]) -> dict[str, float]:
    """Means over questions."""
    chunks = [[chunk for passage in each for chunk in passage.chunks] for each in shown]
    found = [held(*pair) for pair in zip(gold, chunks, strict=True)]
    n = len(found)
    return {
        "all": round(sum(whole for whole, _ in found) / n, 4),
        "some": round(sum(touched for _, touched in found) / n, 4),
        "tokens": round(sum(chunk.tokens for each in chunks for chunk in each) / n, 1),
        "passages": round(sum(map(len, shown)) / n, 2),
        "chunks": round(sum(map(len, chunks)) / n, 2),
    }


def measured(corpus: Corpus, workspace: Path) -> dict[str, Any]:
    """Both ways on one corpus."""
    from pipelines import doors
    from pipelines.retrieval.search import Searcher
    from pipelines.workspaces import Choices, open_workspace

    doors.build_index(Choices(workspace, sources=(str(corpus.folder),)))
    opened = open_workspace(Choices(workspace))
    searcher = Searcher(opened.settings, opened.workspace.state, opened.workspace.stage("embed"))
    asked = [each for each in corpus.questions if all(gold.start is not None for gold in each.gold)]
    say(f"{corpus.name}: {len(asked)} questions")
    chosen = opened.settings.retrieval
    hits = searcher.search([each.query for each in asked], LOOKED_AT * chosen.passages)
    ranked = [[hit.chunk for hit in each] for each in hits]
    packed = [pack(each, passages=chosen.passages, tokens=chosen.context_tokens) for each in ranked]
    first = [[Passage((chunk,)) for chunk in each[: chosen.passages]] for each in ranked]
    gold = [each.gold for each in asked]
    return {"questions": len(asked), "first": figures(first, gold), "packed": figures(packed, gold)}


def main() -> None:
    """Print the figures of every corpus."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.packing", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with xquad_en/ and chunking_eval/")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        found = {c.name: measured(c, folder / f"{c.name}-index") for c in corpora(chosen.data, folder)}
    print(json.dumps({"bench": "packing", **found, "machine": machine()}))


if __name__ == "__main__":
    main()
