"""What bench-groundedness computes, where an error would flatter the checker."""

import numpy as np
import pytest

from benchmarks.claims_made import RIGHT, Stated, statement
from benchmarks.groundedness import SIGNS, Set, Signs, auroc, fitted, interval, odds_against, overlap, sets
from pipelines.guardrails.groundedness import FOR, WEIGHTS, check


def item(text: str, kind: str = RIGHT, passage: str = "The pump stops at noon.", group: str = "g") -> Stated:
    return Stated(text, passage, kind, "as_is", group)


def test_auroc_counts_pairs_and_ties_half() -> None:
    # right 3, 1; wrong 2, 1: pairs 3>2, 3>1, 1<2, 1=1 -> (1 + 1 + 0 + .5) / 4
    assert auroc(np.array([3.0, 1.0, 2.0, 1.0]), np.array([True, True, False, False])) == pytest.approx(2.5 / 4)


def test_overlap_is_the_share_of_all_words() -> None:
    assert overlap(item("The pump never stops")) == pytest.approx(3 / 4)


def test_the_interval_of_a_checker_beside_itself_is_zero_and_of_a_better_one_above() -> None:
    each = Set("s", "s", [item("x", RIGHT if i % 2 else "wrong", passage=f"p{i}") for i in range(40)])
    noise = np.random.default_rng(1).random(40)
    assert interval(noise, noise, each) == [0.0, 0.0]
    assert interval(each.right.astype(float), noise, each)[0] > 0


def test_the_fit_finds_the_sign_that_tells_and_keeps_the_others_to_their_side() -> None:
    rng = np.random.default_rng(2)
    right = np.arange(200) % 2 == 0
    values = np.zeros((200, len(SIGNS)))
    values[:, SIGNS.index("negation")] = np.where(right, 0.0, rng.random(200) > 0.3)
    values[:, SIGNS.index("speaker")] = np.where(right, rng.random(200) > 0.3, 0.0)  # speaks for, against its nature
    weights = fitted([(Signs(values, np.arange(200), np.ones(200), 200), right, 1.0)])
    assert weights[SIGNS.index("negation")] < -1
    assert weights[SIGNS.index("speaker")] == 0


def test_the_model_that_is_fitted_is_the_one_that_checks() -> None:
    from benchmarks.groundedness import signs_of

    answer = "The pump stops at noon. It never rests at night! Ana Silva paid 12 pounds for it."
    (against,), _ = odds_against(signs_of([item(answer)]), np.array([WEIGHTS[name] for name in (*SIGNS, "bias")]))
    assert 1 / (1 + np.exp(against)) == pytest.approx(check(answer, ["The pump stops at noon."]).score)


def test_a_question_becomes_a_statement() -> None:
    assert statement("When did the pump stop?", "1998") == "The pump stop in 1998."
    assert statement("Who founded the firm?", "Ana") == "Ana founded the firm."
    assert statement("Why?", "Ana") is None


def test_written_statements_are_there_with_both_kinds() -> None:
    written = next(each for each in sets(None) if each.name == "written")
    assert not written.fitted
    assert 0 < written.right.sum() < len(written.items)
    assert set(SIGNS) > FOR
