"""What is done to a query, in figures: follow-ups with and without rewriting, other wordings, diversity.

    .venv/bin/python -m benchmarks.queries [--xquad FILE]

Document recall among the first 3 documents and nDCG@10 by document, on the sample's conversations and questions and,
with --xquad, on xquad.en.json. Differences are paired, with a 95% interval from 1,000 resamples of the questions.
There is no peer: each setting stands against the defaults. The index lies in a temporary folder.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.machine import ROOT, machine, say
from pipelines import doors
from pipelines import settings as configuration
from pipelines.contracts import Message
from pipelines.retrieval.search import Result, Searcher
from pipelines.workspaces import Choices

SAMPLE = ROOT / "data" / "sample"
HITS = 30
SETTINGS: tuple[dict[str, Any], ...] = (
    {"queries": 2},
    {"queries": 4},
    {"queries": 4, "fuse_by": "max"},
    {"diversity": 0.1},
    {"diversity": 0.3},
    {"diversity": 0.6},
    {"per_document": 1},
)
Floats = npt.NDArray[np.float64]


def rows(path: Path) -> list[dict[str, Any]]:
    """JSON Lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def found_at(result: Result, documents: Sequence[str]) -> int | None:
    """Place of the first right document among the documents found, from 0."""
    order = list(dict.fromkeys(hit.chunk.uri for hit in result.hits))
    return next((place for place, uri in enumerate(order) if uri in documents), None)


def recall_at_3(places: Sequence[int | None]) -> float:
    """Share of queries with a right document among the first three."""
    return round(sum(place is not None and place < 3 for place in places) / len(places), 4)


def gains(places: Sequence[int | None]) -> Floats:
    """nDCG@10 of each query with one right document."""
    return np.array([1 / np.log2(place + 2) if place is not None and place < 10 else 0.0 for place in places])


def follow_ups(workspace: Path) -> dict[str, Any]:
    """Recall@3 of follow-ups as they are, completed, and as their author would ask without a conversation."""
    talks = rows(SAMPLE / "conversations.jsonl")
    histories = [[Message(**message) for message in row["history"]] for row in talks]
    earlier = [" ".join(m.content for m in history if m.role == "user") for history in histories]
    searcher = opened(workspace)
    none: list[list[Message]] = [[] for _ in talks]
    ways = {
        "as_it_is": ([row["query"] for row in talks], none),
        "completed": ([row["query"] for row in talks], histories),
        "with_all_earlier_questions": ([f"{e} {row['query']}" for e, row in zip(earlier, talks, strict=True)], none),
        "in_whole_words": ([row["meant"] for row in talks], none),
    }
    figures: dict[str, Any] = {}
    for way, (queries, said) in ways.items():
        results = searcher.results(queries, HITS, histories=said)
        places = [found_at(result, row["documents"]) for result, row in zip(results, talks, strict=True)]
        for part in ("dev", "held"):
            chosen = [place for place, row in zip(places, talks, strict=True) if row["split"] == part]
            figures.setdefault(part, {"n": len(chosen)})[way] = recall_at_3(chosen)
    return figures


def questions_that_stand_alone(workspace: Path) -> dict[str, Any]:
    """The sample's questions, each after another one: does a conversation about something else do harm?"""
    asked = [row for row in rows(SAMPLE / "questions.jsonl") if row["answers"]]
    others = asked[len(asked) // 2 :] + asked[: len(asked) // 2]
    turns = [(row["question"], row["answers"][0]) for row in others]
    histories = [[Message(role="user", content=q), Message(role="assistant", content=a)] for q, a in turns]
    searcher, queries = opened(workspace), [row["question"] for row in asked]
    figures: dict[str, Any] = {"n": len(asked)}
    for way, said in (("alone", ()), ("after_another_question", histories)):
        results = searcher.results(queries, HITS, histories=said)
        figures[f"recall_{way}"] = recall_at_3(
            [found_at(result, [row["document"]]) for result, row in zip(results, asked, strict=True)]
        )
        figures["changed"] = sum(r.searched[0] != query for r, query in zip(results, queries, strict=True))
    return figures


def compared(workspace: Path, asked: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """nDCG@10 and milliseconds under the defaults, then under each of SETTINGS with the paired difference."""
    figures: list[dict[str, Any]] = []
    base: Floats | None = None
    for chosen in ({}, *SETTINGS):
        searcher = opened(workspace, **chosen)
        searcher.search([asked[0][0]], HITS)
        started = time.monotonic()
        results = searcher.results([query for query, _ in asked], HITS)
        seconds = time.monotonic() - started
        places = [found_at(result, [document]) for result, (_, document) in zip(results, asked, strict=True)]
        own = gains(places)
        line = {
            "settings": chosen,
            "ndcg_at_10": round(float(own.mean()), 4),
            "recall_at_3": recall_at_3(places),
            "documents_in_first_5": round(float(np.mean([documents_among(r, 5) for r in results])), 2),
            "ms": round(1000 * seconds / len(asked), 1),
        }
        if base is None:
            base = own
        else:
            line |= difference(own - base)
        say(str(line))
        figures.append(line)
    return figures


def documents_among(result: Result, first: int) -> int:
    """Different documents among the first hits."""
    return len({hit.chunk.uri for hit in result.hits[:first]})


def difference(paired: Floats) -> dict[str, Any]:
    """Mean and 95% interval."""
    rng = np.random.default_rng(7)
    means = [rng.choice(paired, len(paired)).mean() for _ in range(1000)]
    low, high = np.percentile(means, [2.5, 97.5])
    return {"difference": round(float(paired.mean()), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def opened(workspace: Path, **retrieval: Any) -> Searcher:
    """The index under the defaults with a few settings of `retrieval`."""
    settings = configuration.load(overrides={"retrieval": retrieval})
    return Searcher(settings, workspace / "state", workspace / "embed")


def paragraphs(file: Path, folder: Path) -> list[tuple[str, str]]:
    """xquad's paragraphs as files; its questions with the file that answers each."""
    folder.mkdir()
    asked = []
    for number, held in enumerate(p for a in json.loads(file.read_text())["data"] for p in a["paragraphs"]):
        (folder / f"p{number:03d}.txt").write_text(held["context"], encoding="utf-8")
        asked += [(question["question"], f"p{number:03d}.txt") for question in held["qas"]]
    return asked


def main() -> None:
    """Print the figures as one JSON object."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--xquad", type=Path)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        say("index of the sample")
        doors.build_index(Choices(folder / "sample", sources=(SAMPLE / "documents",)))
        asked = [(r["question"], r["document"]) for r in rows(SAMPLE / "questions.jsonl") if r["answers"]]
        figures: dict[str, Any] = {
            "follow_ups_recall_at_3": follow_ups(folder / "sample"),
            "questions_that_stand_alone": questions_that_stand_alone(folder / "sample"),
            "sample": compared(folder / "sample", asked),
        }
        if chosen.xquad:
            say("index of xquad")
            asked = paragraphs(chosen.xquad, folder / "paragraphs")
            doors.build_index(Choices(folder / "xquad", sources=(folder / "paragraphs",)))
            figures["xquad"] = compared(folder / "xquad", asked)
    print(json.dumps({**figures, "machine": machine()}, ensure_ascii=False))


if __name__ == "__main__":
    main()
