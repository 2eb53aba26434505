"""make bench-answerable: the weights of `retrieval.answerable_weights`, fitted on domains, each left out in turn.

A domain is an index with questions that it answers and others that it does not: of articles that were left out
(xquad_en: one half of the articles, then the other), of a document that was left out (chunking_eval), of the other
domains (`off_topic`), and, in the sample, of its own subjects without the detail (`unanswerable`). Each kind of
unanswerable question weighs the same, all together as much as the answerable ones, each domain as much as another; so
the probability is at even odds. A domain that was left out of the fit tells what it is worth on data not seen: AUROC
against each kind, Brier score and calibration error (ten bins), and at `answerable_at_least` the share of
each kind that is refused. `cut` is the largest hundredth at which no domain's answerable questions lose more than 2%.
Ends with one JSON object.
"""

import argparse
import json
import random
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.stats import rankdata

from benchmarks.corpora import Asked, Corpus, chunking_eval, sample
from benchmarks.library_docs import library_code, library_pages
from benchmarks.machine import machine, say
from pipelines.artifacts import read_lines
from pipelines.contracts import Question
from pipelines.retrieval.answerable import SIGNS, of_signs, signs
from pipelines.settings import ROOT, load

OFF_TOPIC_EACH, QUESTIONS_AT_MOST = 60, 600
WRONG_REFUSALS = 0.02
PRICE = 1e-4
"""Of a squared standardised weight."""
BINS = 10
ANSWERABLE = "answerable"
ALIKE = ("library_code", "library_pages")
"""They may answer each other's questions."""
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Put:
    """A folder that is indexed, and the questions asked of it by kind."""

    folder: Path
    questions: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Domain:
    """`signs`: float64 [n, signs]; `kinds`: [n], ANSWERABLE or why not."""

    signs: Floats
    kinds: npt.NDArray[np.str_]

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Which questions are answerable."""
        return self.kinds == ANSWERABLE

    @property
    def weights(self) -> Floats:
        """float64 [n], summing to 1: half for the answerable, the rest even between the kinds of others."""
        others = sorted({str(kind) for kind in self.kinds} - {ANSWERABLE})
        found = np.zeros(len(self.kinds))
        for kind in (ANSWERABLE, *others):
            mine = self.kinds == kind
            found[mine] = (0.5 if kind == ANSWERABLE else 0.5 / len(others)) / mine.sum()
        return found


# --- questions -----------------------------------------------------------------------------------


def domains(data: Path | None, folder: Path) -> dict[str, list[Put]]:
    """Every domain as the indexes that it is asked of."""
    plain = [sample(), library_code(folder / "code"), library_pages(folder / "pages")]
    puts = {corpus.name: [Put(corpus.folder, {ANSWERABLE: _queries(corpus.questions)})] for corpus in plain}
    if data is not None:
        puts["xquad_en"] = _halves(data / "xquad_en" / "xquad.en.json", folder / "xquad")
        puts["chunking_eval"] = _one_left_out(chunking_eval(data / "chunking_eval"), folder / "chunking")
    own = {name: [q for put in each for q in put.questions[ANSWERABLE]] for name, each in puts.items()}
    lines = read_lines(ROOT / "data" / "sample" / "questions.jsonl", Question)
    unanswerable = {"sample": [line.question for line in lines if not line.answers]}
    return {
        name: [_with(put, off_topic=_others(name, own), unanswerable=unanswerable.get(name, [])) for put in each]
        for name, each in puts.items()
    }


def _queries(asked: Iterable[Asked]) -> list[str]:
    found = list(dict.fromkeys(each.query for each in asked))
    return sorted(random.Random(7).sample(found, min(len(found), QUESTIONS_AT_MOST)))


def _halves(source: Path, folder: Path) -> list[Put]:
    """One half of the articles indexed and all questions asked, then the other."""
    articles = json.loads(source.read_text(encoding="utf-8"))["data"]
    order = sorted(range(len(articles)), key=lambda i: random.Random(str(articles[i]["title"])).random())
    puts = []
    for number in (0, 1):
        held = set(order[number::2])
        place = folder / str(number)
        place.mkdir(parents=True)
        asked: dict[str, list[str]] = {ANSWERABLE: [], "left_out": []}
        for i, article in enumerate(articles):
            for j, paragraph in enumerate(article["paragraphs"]):
                asked[ANSWERABLE if i in held else "left_out"] += [each["question"] for each in paragraph["qas"]]
                if i in held:
                    (place / f"{i:03d}-{j}.txt").write_bytes(paragraph["context"].encode())
        puts.append(Put(place, asked))
    return puts


def _one_left_out(corpus: Corpus, folder: Path) -> list[Put]:
    """All documents but one indexed, for each."""
    places = sorted(corpus.folder.glob("*.md"))
    puts = []
    for out in places:
        (folder / out.stem).mkdir(parents=True)
        for place in places:
            if place != out:
                (folder / out.stem / place.name).write_bytes(place.read_bytes())
        kinds: dict[str, list[str]] = {ANSWERABLE: [], "left_out": []}
        for each in corpus.questions:
            kinds["left_out" if each.gold[0].uri == out.name else ANSWERABLE].append(each.query)
        puts.append(Put(folder / out.stem, kinds))
    return puts


def _others(name: str, own: Mapping[str, Sequence[str]]) -> list[str]:
    foreign = [each for each in own if each != name and not {name, each} <= set(ALIKE)]
    rng = random.Random(name)
    return [question for each in foreign for question in rng.sample(list(own[each]), OFF_TOPIC_EACH)]


def _with(put: Put, **kinds: Sequence[str]) -> Put:
    return Put(put.folder, {**put.questions, **{kind: asked for kind, asked in kinds.items() if asked}})


def gathered(name: str, puts: Sequence[Put], folder: Path) -> Domain:
    """The signs of every question, from indexes made by the product's own stages."""
    from pipelines import doors
    from pipelines.retrieval.search import Searcher
    from pipelines.workspaces import Choices, open_workspace

    rows: list[list[float]] = []
    kinds: list[str] = []
    for number, put in enumerate(puts):
        workspace = folder / f"{name}-{number}"
        made = doors.build_index(Choices(workspace, sources=(str(put.folder),)))
        opened = open_workspace(Choices(workspace))
        searcher = Searcher(opened.settings, opened.workspace.state, opened.workspace.stage("embed"))
        asked = [(kind, query) for kind, queries in put.questions.items() for query in queries]
        say(f"{name}: {len(asked)} questions of {made['chunks']} chunks")
        vectors = searcher.embedder.encode_queries([query for _, query in asked])
        for (kind, query), vector in zip(asked, vectors, strict=True):
            values = signs(searcher.candidates(query, vector, 1))
            rows.append([values[sign] for sign in SIGNS])
            kinds.append(kind)
    return Domain(np.array(rows), np.array(kinds))


# --- the model -----------------------------------------------------------------------------------


def fitted(trained_on: Sequence[Domain]) -> dict[str, float]:
    """The weights of least cross-entropy, each domain as heavy as another."""
    x = np.vstack([domain.signs for domain in trained_on])
    y = np.concatenate([domain.right for domain in trained_on])
    w = np.concatenate([domain.weights / len(trained_on) for domain in trained_on])
    middle, spread = x.mean(axis=0), x.std(axis=0) + 1e-9
    z = np.column_stack([(x - middle) / spread, np.ones(len(x))])
    sign = np.where(y, 1.0, -1.0)

    def loss(theta: Floats) -> tuple[float, Floats]:
        margin = sign * (z @ theta)
        slope = -sign * w / (1 + np.exp(margin))
        price = PRICE * np.append(theta[:-1], 0.0)
        return float(w @ np.logaddexp(0, -margin) + price @ theta), z.T @ slope + 2 * price

    theta = minimize(loss, np.zeros(z.shape[1]), jac=True, method="L-BFGS-B").x
    each = theta[:-1] / spread
    return {"bias": float(theta[-1] - each @ middle), **dict(zip(SIGNS, each.tolist(), strict=True))}


def probabilities(domain: Domain, weights: Mapping[str, float]) -> Floats:
    """As the product computes them: float64 [n]."""
    rows = [dict(zip(SIGNS, row, strict=True)) for row in domain.signs.tolist()]
    return np.array([of_signs(row, weights) for row in rows])  # type: ignore[arg-type]


def auroc(first: Floats, others: Floats) -> float:
    """Chance that one of the first is above one of the others (ties count half)."""
    ranks = rankdata(np.concatenate([first, others]))[: len(first)]
    return float((ranks.sum() - len(first) * (len(first) + 1) / 2) / (len(first) * len(others)))


def calibration_error(p: Floats, right: npt.NDArray[np.bool_], weights: Floats) -> float:
    """Mean distance of the probability to the share that is right, over ten bins of equal width."""
    place = np.minimum((p * BINS).astype(int), BINS - 1)
    gaps = [abs(float(weights[place == b] @ (p - right)[place == b])) for b in range(BINS)]
    return sum(gaps) / float(weights.sum())


def largest_cut(left_out: Sequence[tuple[Domain, Floats]]) -> float:
    """The largest hundredth below which at most 2% of every domain's answerable questions lie."""
    most = [float(np.quantile(p[domain.right], WRONG_REFUSALS, method="lower")) for domain, p in left_out]
    return float(np.floor(100 * min(most)) / 100)


def figures(domain: Domain, p: Floats, cut: float) -> dict[str, Any]:
    """What the probabilities of a domain are worth."""
    right, weights = domain.right, domain.weights
    others = sorted({str(kind) for kind in domain.kinds} - {ANSWERABLE})
    return {
        "questions": {kind: int((domain.kinds == kind).sum()) for kind in (ANSWERABLE, *others)},
        "auroc": {kind: round(auroc(p[right], p[domain.kinds == kind]), 4) for kind in others},
        "brier": round(float(weights @ (p - right) ** 2), 4),
        "calibration_error": round(calibration_error(p, right, weights), 4),
        "answerable_refused": round(float((p[right] < cut).mean()), 4),
        "refused": {kind: round(float((p[domain.kinds == kind] < cut).mean()), 4) for kind in others},
    }


def main() -> None:
    """Print the figures of every domain that was left out, and the weights fitted on all."""
    parser = argparse.ArgumentParser(prog="make bench-answerable", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with xquad_en/ and chunking_eval/")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        found = {name: gathered(name, puts, folder) for name, puts in domains(chosen.data, folder).items()}
    left_out = {
        name: probabilities(domain, fitted([each for other, each in found.items() if other != name]))
        for name, domain in found.items()
    }
    used = load().retrieval.answerable_at_least
    print(
        json.dumps(
            {
                "bench": "answerable",
                "left_out": {name: figures(found[name], p, used) for name, p in left_out.items()},
                "cut": largest_cut([(found[name], p) for name, p in left_out.items()]),
                "answerable_at_least": used,
                "weights": {name: round(value, 2) for name, value in fitted(list(found.values())).items()},
                "machine": machine(),
            }
        )
    )


if __name__ == "__main__":
    main()
