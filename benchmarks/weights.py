"""make bench-weights: the weights of `retrieval.weights`, fitted on several domains, each left out in turn.

Prose questions (xquad_en, each document of chunking_eval), source code, its documentation, the sample. What is
maximised is the mean over domains of nDCG@10 (of documents; in one long document, of passages; the sample counts by
both, and is left out by both), by coordinate ascent from the floor (vectors and BM25, half each), with a small price
on every weight. A domain that was left out tells what the weights are worth on data that they have not seen: `floor`,
`left_out`; `as_set` is the configuration's. Ends with one JSON object.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from benchmarks.corpora import Asked, Corpus, chunking_eval, sample, xquad
from benchmarks.library_docs import library_code, library_pages
from benchmarks.machine import machine, say
from benchmarks.ranking import K, Span, relevant
from pipelines.settings import load

QUESTIONS_AT_MOST = 600
STEPS = (0.2, 0.1, 0.05)
ROUNDS = 3
PRICE = 0.003
"""Of a weight of 1, in nDCG: a feature that gains less is left out."""
FLOOR = {"vector": 0.5, "words": 0.5}
NOTHING = -1e9
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Domain:
    """The candidates of a domain's questions, padded: features [q, n, f]; the others [q, n] or [q].

    `owner`: which document a candidate is of, -1 for padding; None: passages are ranked, not documents.
    """

    features: Floats
    there: npt.NDArray[np.bool_]
    right: npt.NDArray[np.bool_]
    owner: npt.NDArray[np.int64] | None
    held: npt.NDArray[np.int64]
    """How many right passages there are to be found, at most K."""


def ndcg(domain: Domain, weights: Floats) -> float:
    """Mean nDCG@10 of a domain under weights float64 [f]."""
    score = np.where(domain.there, domain.features @ weights, NOTHING)
    if domain.owner is None:
        order = np.argsort(-score, axis=1, kind="stable")[:, :K]
        gain = 1 / np.log2(np.arange(2, 2 + order.shape[1]))
        ideal = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, 2 + K)))])
        found = np.take_along_axis(domain.right, order, axis=1) @ gain
        return float((found / ideal[domain.held]).mean())
    questions, rows = np.nonzero(domain.there)
    best = np.full((len(score), int(domain.owner.max()) + 1), NOTHING)
    np.maximum.at(best, (questions, domain.owner[questions, rows]), score[questions, rows])
    own = np.where(domain.right, score, NOTHING).max(axis=1)
    rank = 1 + (best > own[:, None] + 1e-12).sum(axis=1)
    return float(np.where((own > NOTHING) & (rank <= K), 1 / np.log2(1 + rank), 0.0).mean())


def fitted(domains: Sequence[Domain], floor: Floats) -> Floats:
    """Weights of the largest mean nDCG over domains, less their price; none is below 0. Ascents end on hills of
    several heights: of those from the floor and from the floor with a little of every feature, the highest counts.
    """
    found = [_ascended(domains, start) for start in (floor, floor + 0.1, floor + 0.2)]
    return max(found, key=lambda each: each[1])[0]


def _ascended(domains: Sequence[Domain], start: Floats) -> tuple[Floats, float]:
    """A hill's top, and its height."""

    def worth(weights: Floats) -> float:
        return float(np.mean([ndcg(domain, weights) for domain in domains])) - PRICE * float(np.abs(weights).sum())

    best, most = start, worth(start)
    for step in STEPS:
        for _ in range(ROUNDS):
            before = most
            for number in range(len(start)):
                for change in (step, -step):
                    tried = best.copy()
                    tried[number] = max(0.0, tried[number] + change)
                    if (value := worth(tried)) > most + 1e-5:
                        best, most = tried, value
            if most == before:
                break
    return best, most


def domains_of(corpus: Corpus, folder: Path) -> tuple[dict[str, Domain], list[str]]:
    """Build an index of a corpus as `index build` does, and gather what it brings for each question, by unit."""
    from pipelines import doors
    from pipelines.retrieval.features import all_features
    from pipelines.retrieval.search import Searcher
    from pipelines.workspaces import Choices, open_workspace

    folder.mkdir(parents=True)
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump({"documents": {"near_duplicate_threshold": 1.0}}), encoding="utf-8")
    chosen = Choices(folder / "workspace", config, None, (str(corpus.folder),))
    say(f"{corpus.name}: {doors.build_index(chosen)}")
    opened = open_workspace(chosen)
    searcher = Searcher(opened.settings, opened.workspace.state, opened.workspace.stage("embed"))
    asked = corpus.questions[:: 1 + len(corpus.questions) // (QUESTIONS_AT_MOST + 1)]
    vectors = searcher.embedder.encode_queries([each.query for each in asked])
    rows: list[dict[str, Any]] = []
    for question, vector in zip(asked, vectors, strict=True):
        found = searcher.candidates(question.query, vector, opened.settings.retrieval.candidates)
        spans = [Span(*each) for each in zip(*(found.column(name) for name in ("uri", "start", "end")), strict=True)]
        features = all_features(found)
        rows.append({"question": question, "spans": spans, "features": features})
    named = {"document": corpus.name, "span": corpus.name if len(corpus.units) == 1 else f"{corpus.name}_passages"}
    found = {named[unit]: _padded(rows, documents=unit == "document") for unit in corpus.units}
    return found, list(rows[0]["features"])


def _padded(rows: Sequence[Mapping[str, Any]], *, documents: bool) -> Domain:
    longest = max(len(row["spans"]) for row in rows)
    features = np.zeros((len(rows), longest, len(rows[0]["features"])))
    there, right = np.zeros((2, len(rows), longest), dtype=bool)
    owner = np.full((len(rows), longest), -1, dtype=np.int64)
    for number, row in enumerate(rows):
        question, spans = row["question"], row["spans"]
        size = len(spans)
        features[number, :size] = np.stack(list(row["features"].values()), axis=1)
        there[number, :size] = True
        right[number, :size] = [_answers(question, span, documents=documents) for span in spans]
        places = {uri: place for place, uri in enumerate(dict.fromkeys(span.uri for span in spans))}
        owner[number, :size] = [places[span.uri] for span in spans]
    held = np.clip(right.sum(axis=1), 1, K)
    return Domain(features, there, right, owner if documents else None, held)


def _answers(question: Asked, span: Span, *, documents: bool) -> bool:
    return span.uri in {gold.uri for gold in question.gold} if documents else relevant(question, span)


def domains(data: Path | None, folder: Path) -> list[Corpus]:
    """The sample, code and its documentation; with data also prose. Long documents are a domain each."""
    found = [sample(), library_code(folder / "code"), library_pages(folder / "pages")]
    if data is not None:
        found.append(xquad(data / "xquad_en", folder / "xquad"))
        found += list(_apart(chunking_eval(data / "chunking_eval"), folder))
    return found


def _apart(corpus: Corpus, folder: Path) -> list[Corpus]:
    """A corpus of long documents as a corpus a document."""
    parts = []
    for place in sorted(corpus.folder.iterdir()):
        own = tuple(each for each in corpus.questions if each.gold[0].uri == place.name)
        if own:
            (folder / place.stem).mkdir(parents=True)
            (folder / place.stem / place.name).write_bytes(place.read_bytes())
            parts.append(replace(corpus, name=place.stem, folder=folder / place.stem, questions=own))
    return parts


def main() -> None:
    """Print the figures of every domain and the weights."""
    parser = argparse.ArgumentParser(prog="make bench-weights", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with xquad_en/ and chunking_eval/")
    chosen = parser.parse_args()
    gathered: dict[str, Domain] = {}
    family: dict[str, str] = {}
    names: list[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        for corpus in domains(chosen.data, Path(temporary)):
            found, names = domains_of(corpus, Path(temporary) / f"{corpus.name}-index")
            gathered |= found
            family |= dict.fromkeys(found, corpus.name)
    floor = np.array([FLOOR.get(name, 0.0) for name in names])
    configured = load().retrieval.weights
    as_set = np.array([configured.get(name, 0.0) for name in names])
    weights = fitted(list(gathered.values()), floor)
    figures = {}
    for name, domain in gathered.items():
        others = fitted([each for other, each in gathered.items() if family[other] != family[name]], floor)
        values = {"floor": floor, "left_out": others, "all": weights, "as_set": as_set}
        figures[name] = {key: round(ndcg(domain, value), 4) for key, value in values.items()}
        say(f"{name}: {figures[name]}")
    print(
        json.dumps(
            {
                "bench": "weights",
                "ndcg@10": figures,
                "weights": {
                    name: round(float(value / weights.sum()), 2)  # ranks are the same, and scores stay near 0..1
                    for name, value in zip(names, weights, strict=True)
                    if value
                },
                "machine": machine(),
            }
        )
    )


if __name__ == "__main__":
    main()
