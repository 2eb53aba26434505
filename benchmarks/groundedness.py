"""make bench-groundedness: how well the groundedness checker tells right answers from wrong ones, and its weights.

Sets: `begin_*`, answers of dialogue models on three sources with people's labels (BEGIN, Dziri et al. 2021; "Fully
attributable" against the rest); `xquad_en`, `chunking_eval`, `sample`, statements made from passages (claims_made.py),
and `*_three`, three of them as one answer, of which one may be wrong; `written`, twelve passages with statements that
were written to be hard: right ones in other words, wrong ones in the passage's own. Every set is judged with weights
fitted on the other families alone (`written` and `*_three` are never fitted): AUROC beside plain word overlap (share of
the answer's words that the passages hold) and beside `support`, the interval of the paired difference to overlap
(bootstrap over passages or documents, 95%), accuracy (right and wrong at even weight; of `support` at its own
threshold), and AUROC for each kind of wrong statement. Without a data folder there is the sample, under the weights as
set. Ends with one JSON object; `weights` are those of all sets together, for pipelines/guardrails/groundedness.py.
"""

import argparse
import csv
import json
import random
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.stats import rankdata

from benchmarks.claims_made import RIGHT, Passage, Stated, stated
from benchmarks.machine import ROOT, machine, say
from pipelines.guardrails import groundedness
from pipelines.guardrails.claims import claims
from pipelines.guardrails.groundedness import FOR, SIGNS, STRICTNESS, held_against
from pipelines.guardrails.grounding import support
from pipelines.guardrails.passages import Passages

PRICE = 3e-3
"""Of a squared standardised weight."""
OF_MADE = 0.2
"""What a made set counts beside a source of people's labels: there are more of them, and they are less like answers."""
SUPPORTED = 0.6
"""`min_support` of configs/policies/guardrails.yaml: from where `support` calls an answer right."""
RESAMPLES = 2000
DOCUMENTS_AT_LEAST = 20
"""Documents from which they are resampled; of fewer, their passages are."""
PASSAGE_CHARACTERS = 900
PASSAGES_AT_MOST = 60
"""Of a document."""
Floats = npt.NDArray[np.float64]
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Set:
    """Answers with their passages; `family`: sets that are left out together."""

    name: str
    family: str
    items: Sequence[Stated]
    fitted: bool = True
    weight: float = 1.0

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Which answers the passages say."""
        return np.array([item.kind == RIGHT for item in self.items])


# --- sets ----------------------------------------------------------------------------------------


def sets(data: Path | None) -> list[Set]:
    """Every set that there is; without a data folder the sample's and the written one."""
    found: list[Set] = []
    if data is not None:
        labelled = data / "begin_groundedness"
        found += [Set(f"begin_{one}", f"begin_{one}", _begin(labelled, one)) for one in ("wow", "cmu", "tc")]
        found += _made("xquad_en", _xquad(data / "xquad_en" / "xquad.en.json"), seed=7)
        found += _made("chunking_eval", _long(sorted((data / "chunking_eval" / "corpora").glob("*.md"))), seed=8)
    found += _made("sample", _long(sorted((ROOT / "data" / "sample" / "documents").rglob("*.md"))), seed=9)
    return [*found, Set("written", "written", _written(), fitted=False)]


def _begin(folder: Path, source: str) -> list[Stated]:
    with (folder / f"begin_dev_{source}.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    kinds = {"Fully attributable": RIGHT, "Not fully attributable": "not_attributable", "Generic": "generic"}
    return [
        Stated(row["response"], row["knowledge"], kinds[row["begin_label"]], row["model_name"], row["knowledge"])
        for row in rows
    ]


def _made(name: str, passages: Sequence[Passage], *, seed: int) -> list[Set]:
    items = stated(passages, rng=random.Random(seed))
    made = [Set(name, name, [item for item in items if item.form != "question"], weight=OF_MADE)]
    if asked := [item for item in items if item.form == "question"]:
        made.append(Set(f"{name}_questions", name, asked, weight=OF_MADE))
    return [*made, Set(f"{name}_three", name, list(_threes(items, random.Random(seed))), fitted=False)]


def _xquad(place: Path) -> list[Passage]:
    articles = json.loads(place.read_text(encoding="utf-8"))["data"]
    return [
        Passage(
            paragraph["context"],
            str(number),
            tuple((each["question"], each["answers"][0]["text"]) for each in paragraph["qas"]),
        )
        for number, article in enumerate(articles)
        for paragraph in article["paragraphs"]
    ]


def _long(places: Sequence[Path]) -> list[Passage]:
    """Passages of some sentences from long documents, spread over each."""
    found = []
    for place in places:
        cut = list(_cut(place.read_text(encoding="utf-8")))
        step = max(1, len(cut) // PASSAGES_AT_MOST)
        found += [Passage(text, place.name) for text in cut[::step][:PASSAGES_AT_MOST]]
    return found


def _cut(text: str) -> Iterator[str]:
    held = ""
    for line in (" ".join(line.split()) for line in text.split("\n")):
        if "|" in line or len(line.split()) < 6:
            continue
        held = f"{held}\n{line}".strip()
        while len(held) >= PASSAGE_CHARACTERS:
            end = held.rfind(". ", 0, 2 * PASSAGE_CHARACTERS) + 1 or len(held)
            yield held[:end]
            held = held[end:].strip()
    if held:
        yield held


def _threes(items: Sequence[Stated], rng: random.Random) -> Iterator[Stated]:
    """Answers of three statements on one passage: all right, or one wrong."""
    by_passage: dict[str, list[Stated]] = {}
    for item in items:
        by_passage.setdefault(item.passage, []).append(item)
    for passage, own in by_passage.items():
        right = [item for item in own if item.kind == RIGHT]
        wrong = [item for item in own if item.kind != RIGHT]
        if len(right) < 3 or not wrong:
            continue
        yield Stated(" ".join(each.text for each in rng.sample(right, 3)), passage, RIGHT, "three", own[0].group)
        chosen = rng.choice(wrong)
        three = [*rng.sample(right, 2), chosen]
        rng.shuffle(three)
        yield Stated(" ".join(each.text for each in three), passage, chosen.kind, "three", own[0].group)


def _written() -> list[Stated]:
    lines = (ROOT / "benchmarks" / "groundedness_written.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        Stated(text, row["passage"], kind, "written", row["passage"])
        for row in map(json.loads, lines)
        for kind in (RIGHT, "wrong")
        for text in row[kind]
    ]


# --- the model -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Signs:
    """The claims of a set: `values` float64 [claims, signs], `owner` int64 [claims], `share` float64 [claims] (adding
    to 1 in each answer), `answers`: how many there are."""

    values: Floats
    owner: npt.NDArray[np.int64]
    share: Floats
    answers: int


def signs_of(items: Sequence[Stated]) -> Signs:
    """Every claim of every answer, as the checker sees it."""
    values, owner, share = [], [], []
    for number, item in enumerate(items):
        passages = Passages([item.passage])
        for span in claims(item.text):
            held = held_against(item.text, span, passages)
            values.append([held.signs[sign] for sign in SIGNS])
            owner.append(number)
            share.append(held.share)
    owners, shares = np.array(owner), np.array(share)
    whole = np.bincount(owners, shares, minlength=len(items))
    return Signs(np.array(values), owners, shares / whole[owners], len(items))


def odds_against(signs: Signs, weights: Floats) -> tuple[Floats, Floats]:
    """Log-odds against each answer (an answer without claims: 700), and each claim's part in them."""
    claim = np.exp(STRICTNESS * np.clip(-(signs.values @ weights[:-1] + weights[-1]), -30, 30))
    mean = np.bincount(signs.owner, signs.share * claim, minlength=signs.answers)
    answer = np.where(mean > 0, np.log(np.where(mean > 0, mean, 1.0)) / STRICTNESS, 700.0)
    return answer, signs.share * claim / mean[signs.owner]


def fitted(parts: Sequence[tuple[Signs, npt.NDArray[np.bool_], float]]) -> Floats:
    """float64 [signs + 1], the bias last: maximum likelihood with right and wrong at even weight in each set, each sign
    kept to the side that it speaks for."""
    everything = np.concatenate([signs.values for signs, _, _ in parts])
    scale = everything.std(axis=0) + 1e-6

    def loss(weights: Floats) -> tuple[float, Floats]:
        raw = np.append(weights[:-1] / scale, weights[-1])
        total, gradient = PRICE * float((weights[:-1] ** 2).sum()), np.append(2 * PRICE * weights[:-1], 0.0)
        for signs, right, counts in parts:
            against, part = odds_against(signs, raw)
            each = counts * np.where(right, 0.5 / right.sum(), 0.5 / (~right).sum())
            total += float((each * np.logaddexp(0, np.where(right, against, -against))).sum())
            slope = each * np.where(right, _logistic(against), -_logistic(-against))
            claim = slope[signs.owner] * part
            gradient[:-1] -= (claim @ signs.values) / scale
            gradient[-1] -= claim.sum()
        return total, gradient

    bounds = [(0, None) if sign in FOR else (None, 0) for sign in SIGNS] + [(None, None)]
    found = minimize(loss, np.zeros(len(SIGNS) + 1), jac=True, method="L-BFGS-B", bounds=bounds).x
    return np.append(found[:-1] / scale, found[-1])


def _logistic(z: Floats) -> Floats:
    found: Floats = 1 / (1 + np.exp(-np.clip(z, -700, 700)))
    return found


# --- figures -------------------------------------------------------------------------------------


def auroc(scores: Floats, right: npt.NDArray[np.bool_]) -> float:
    """Chance that a right answer scores above a wrong one, ties half (Mann and Whitney 1947)."""
    ones, zeros = int(right.sum()), int((~right).sum())
    return float((rankdata(scores)[right].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def interval(one: Floats, other: Floats, each: Set) -> list[float]:
    """95% interval of the difference of two AUROCs on the same answers: bootstrap over their groups."""
    rng = np.random.default_rng(7)
    groups: dict[str, list[int]] = {}
    documents = len({item.group for item in each.items}) >= DOCUMENTS_AT_LEAST
    for place, item in enumerate(each.items):
        groups.setdefault(item.group if documents else item.passage, []).append(place)
    places = [np.array(own) for own in groups.values()]
    found = []
    for _ in range(RESAMPLES):
        drawn = np.concatenate([places[i] for i in rng.integers(0, len(places), len(places))])
        right = each.right[drawn]
        if right.any() and not right.all():
            found.append(auroc(one[drawn], right) - auroc(other[drawn], right))
    return [round(float(value), 4) for value in np.quantile(found, [0.025, 0.975])]


def overlap(item: Stated) -> float:
    """Share of the answer's words that the passage holds."""
    words = _WORD.findall(item.text.lower())
    held = set(_WORD.findall(item.passage.lower()))
    return sum(word in held for word in words) / max(1, len(words))


def figures_of(each: Set, scores: Floats) -> dict[str, Any]:
    """What is printed of a set."""
    plain = np.array([overlap(item) for item in each.items])
    share = np.array([support(item.text, [item.passage]) for item in each.items])
    right = each.right
    kinds = sorted({item.kind for item in each.items} - {RIGHT})
    of = np.array([item.kind for item in each.items])
    return {
        "answers": len(each.items),
        "right": int(right.sum()),
        "auroc": round(auroc(scores, right), 4),
        "overlap": round(auroc(plain, right), 4),
        "support": round(auroc(share, right), 4),
        "gain": round(auroc(scores, right) - auroc(plain, right), 4),
        "gain_interval": interval(scores, plain, each),
        "accuracy": _accuracy(scores >= groundedness.EVEN, right),
        "support_accuracy": _accuracy(share >= SUPPORTED, right),
        "kinds": {
            kind: {
                "wrong": int((of == kind).sum()),
                "auroc": round(auroc(scores[right | (of == kind)], right[right | (of == kind)]), 3),
                "overlap": round(auroc(plain[right | (of == kind)], right[right | (of == kind)]), 3),
            }
            for kind in kinds
        },
    }


def _accuracy(named: npt.NDArray[np.bool_], right: npt.NDArray[np.bool_]) -> float:
    """Of calling an answer right, with right and wrong ones at even weight."""
    return round(float(named[right].mean() + (~named[~right]).mean()) / 2, 4)


def speed(each: Sequence[Set]) -> dict[str, float]:
    """Milliseconds an answer, with its own passage and with one of about 30 pages."""
    items = [item for one in each for item in one.items][::40]
    pages = " ".join(dict.fromkeys(item.passage for one in each for item in one.items))[:100_000]
    found = {}
    for name, asked, contexts in (("own_passage", items, None), ("100,000 characters", items[:20], [pages])):
        started = time.perf_counter()
        for item in asked:
            groundedness.check(item.text, contexts or [item.passage])
        found[name] = round(1000 * (time.perf_counter() - started) / len(asked), 2)
    return found


def judged(each: Sequence[Set]) -> tuple[dict[str, dict[str, Any]], Floats]:
    """Every set under weights of the other families, and the weights of all."""
    signs = {one.name: signs_of(one.items) for one in each}
    say(f"{sum(one.answers for one in signs.values())} answers read")

    def weights(without: str) -> Floats:
        return fitted([(signs[o.name], o.right, o.weight) for o in each if o.fitted and o.family != without])

    by_family = {family: weights(family) for family in dict.fromkeys(one.family for one in each)}
    found = {}
    for one in each:
        against, _ = odds_against(signs[one.name], by_family[one.family])
        found[one.name] = figures_of(one, _logistic(-against))
        say(f"{one.name}: { ({k: v for k, v in found[one.name].items() if k != 'kinds'}) }")
    return found, weights("")


def as_set() -> dict[str, float]:
    """The weights that the checker has."""
    return {name: float(value) for name, value in groundedness.WEIGHTS.items()}


def main() -> None:
    """Print the figures of every set and the weights."""
    parser = argparse.ArgumentParser(prog="make bench-groundedness", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with begin_groundedness/, xquad_en/, chunking_eval/")
    parser.add_argument("--markdown", action="store_true", help="tables for docs/ instead of JSON")
    chosen = parser.parse_args()
    each = sets(chosen.data)
    if sum(one.fitted for one in each) < 2:
        say("The sample alone: nothing is left to fit on when it is left out; judged with the weights as set.")
    figures, weights = judged(each) if sum(one.fitted for one in each) > 1 else (_under_set(each), None)
    told: dict[str, Any] = {
        "bench": "groundedness",
        "figures": figures,
        "milliseconds": speed(each),
        "weights_as_set": as_set(),
        "peer": "word overlap: share of the answer's words that the passages hold",
        "machine": machine(),
    }
    if weights is not None:
        told["weights"] = {name: round(float(w), 2) for name, w in zip((*SIGNS, "bias"), weights, strict=True)}
    print(tables(told) if chosen.markdown else json.dumps(told))


def _under_set(each: Sequence[Set]) -> dict[str, dict[str, Any]]:
    weights = np.array([groundedness.WEIGHTS.get(name, 0.0) for name in (*SIGNS, "bias")])
    return {one.name: figures_of(one, _logistic(-odds_against(signs_of(one.items), weights)[0])) for one in each}


def tables(told: Mapping[str, Any]) -> str:
    """The figures as Markdown."""
    lines = [
        "| set | answers (right) | checker | word overlap | gain, 95% | accuracy (`support`) |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in told["figures"].items():
        low, high = row["gain_interval"]
        lines.append(
            f"| {name} | {row['answers']:,} ({row['right']}) | {row['auroc']:.3f} | {row['overlap']:.3f} "
            f"| {row['gain']:+.3f} ({low:+.3f} to {high:+.3f}) "
            f"| {row['accuracy']:.2f} ({row['support_accuracy']:.2f}) |"
        )
    made = {name: row["kinds"] for name, row in told["figures"].items() if not name.startswith(("begin", "written"))}
    names = [name for name in made if not name.endswith("_three")]
    lines += ["", f"| what is wrong | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for kind in sorted({kind for name in names for kind in made[name]}):
        cells = [made[name].get(kind) for name in names]
        shown = [f"{cell['auroc']:.2f} ({cell['overlap']:.2f})" if cell else "" for cell in cells]
        lines.append(f"| {kind.replace('_', ' ')} | {' | '.join(shown)} |")
    lines += ["", "| sign | weight |", "|---|---|"]
    lines += [f"| {name} | {value:+.2f} |" for name, value in told.get("weights", told["weights_as_set"]).items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
