"""Whether the documents answer: told from what search brings, before a model is asked."""

import math

import numpy as np
import pytest
from pydantic import ValidationError

from benchmarks.answerable import ANSWERABLE, Domain, auroc, calibration_error, figures, fitted, largest_cut
from pipelines.artifacts import StageJob
from pipelines.errors import SettingsError
from pipelines.retrieval.answerable import SIGNS, of_signs, probability, signs
from pipelines.retrieval.search import Searcher
from pipelines.settings import Retrieval, Settings, load


@pytest.fixture(scope="module")
def searcher(small: StageJob, settings: Settings) -> Searcher:
    return Searcher(settings, small.state, small.output)


def of(searcher: Searcher, query: str) -> dict[str, float]:
    vector = searcher.embedder.encode_queries([query])[0]
    return {**signs(searcher.candidates(query, vector, 5))}


@pytest.mark.parametrize(
    "query",
    ["how many days of paid leave in Kendal?", "what does error E-17 mean?", "which spare part is the probe's cap"],
)
def test_a_question_that_the_documents_answer_is_likely(searcher: Searcher, query: str) -> None:
    likely = searcher.results([query], 3)[0].answerable
    assert likely is not None and likely > 0.8


@pytest.mark.parametrize(
    "query",
    ["Who won the 1998 world cup?", "What is the capital of Mongolia?", "how do I cook risotto", "xqzv", "the of"],
)
def test_one_on_another_subject_is_not(searcher: Searcher, settings: Settings, query: str) -> None:
    likely = searcher.results([query], 3)[0].answerable
    assert likely is not None and likely < settings.retrieval.answerable_at_least


def test_signs_are_shares_of_the_question(searcher: Searcher) -> None:
    known = of(searcher, "unused days expire")
    # every term stands in leave.md, side by side
    assert (known["coverage"], known["unknown"], known["pairs"]) == (pytest.approx(1), 0, pytest.approx(1))
    assert of(searcher, "unused zzyzx")["unknown"] > 0.5  # a word that no passage holds weighs most
    assert of(searcher, "of the")["coverage"] == 0.0  # stop words alone


def test_nothing_found_is_nothing_answered(searcher: Searcher, settings: Settings) -> None:
    vector = searcher.embedder.encode_queries(["leave"])[0]
    found = searcher.candidates("leave", vector, 5, where="tenant = 'nobody'")
    assert probability(found, settings.retrieval.answerable_weights) == 0.0


def test_the_model_is_logistic() -> None:
    values = dict.fromkeys(SIGNS, 0.0) | {"cosine": 0.5}
    # 1 / (1 + e^-(-1 + 4 * .5)) = 1 / (1 + e^-1)
    assert of_signs(values, {"bias": -1.0, "cosine": 4.0}) == pytest.approx(1 / (1 + math.exp(-1)))  # type: ignore[arg-type]


def test_of_another_embedding_model_nothing_is_said(small: StageJob, settings: Settings) -> None:
    other = settings.retrieval.model_copy(update={"answerable_model": "another/model"})
    searcher = Searcher(settings.model_copy(update={"retrieval": other}), small.state, small.output)
    assert searcher.results(["Who won the 1998 world cup?"], 3)[0].answerable is None


def test_weights_without_a_bias_or_of_an_unknown_sign_are_refused() -> None:
    whole = load().retrieval.model_dump()
    with pytest.raises(ValidationError, match="lacks `bias`"):
        Retrieval.model_validate({**whole, "answerable_weights": {"cosine": 1.0}})
    with pytest.raises(SettingsError, match=r"answerable_weights\.cosin\."):
        load(overrides={"retrieval": {"answerable_weights": {"cosin": 1.0}}})


# --- what the benchmark computes -----------------------------------------------------------------


def domain(answerable: list[float], others: list[float]) -> Domain:
    values = np.array([*answerable, *others])
    kinds = np.array([*[ANSWERABLE] * len(answerable), *["off_topic"] * len(others)])
    return Domain(np.column_stack([values, *[np.zeros(len(values))] * (len(SIGNS) - 1)]), kinds)


def test_auroc_counts_pairs_in_the_right_order() -> None:
    # of 4 pairs 3 are right, one is a tie: 3.5 / 4
    assert auroc(np.array([0.9, 0.5]), np.array([0.1, 0.5])) == 0.875


def test_calibration_error_is_the_gap_of_each_bin_by_its_weight() -> None:
    p, right = np.array([0.25, 0.25, 0.95, 0.95]), np.array([True, False, True, True])
    # one bin says .25 where half are right, the other .95 where all are: half of .25 and half of .05
    assert calibration_error(p, right, np.full(4, 0.25)) == pytest.approx(0.15)


def test_the_cut_is_that_of_the_worst_domain() -> None:
    good, bad = domain([0.9] * 100, [0.1]), domain([0.2] * 100, [0.1])
    cut = largest_cut([(each, each.signs[:, 0]) for each in (good, bad)])
    assert cut == 0.2
    assert figures(bad, bad.signs[:, 0], cut)["answerable_refused"] == 0.0


def test_a_fit_finds_even_odds_where_kinds_meet() -> None:
    # symmetric about .5, so there the odds are even whatever the number of each
    rng = np.random.default_rng(1)
    made = domain((0.6 + 0.1 * rng.standard_normal(400)).tolist(), (0.4 + 0.1 * rng.standard_normal(100)).tolist())
    weights = fitted([made])
    assert weights["cosine"] > 5
    assert of_signs(dict.fromkeys(SIGNS, 0.0) | {"cosine": 0.5}, weights) == pytest.approx(0.5, abs=0.1)  # type: ignore[arg-type]
