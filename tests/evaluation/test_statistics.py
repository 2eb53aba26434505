"""Formulas against scipy and statsmodels, and what they promise against simulation."""

import gc
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from pipelines.evaluation import statistics as s


@pytest.mark.parametrize(("successes", "n"), [(0, 60), (3, 60), (30, 60), (60, 60), (1, 2)])
def test_rate_intervals_equal_statsmodels(successes: int, n: int) -> None:
    assert s.clopper_pearson(successes, n, 0.95) == pytest.approx(
        proportion_confint(successes, n, alpha=0.05, method="beta"), abs=1e-9
    )
    assert s.wilson(successes, n, 0.95) == pytest.approx(
        proportion_confint(successes, n, alpha=0.05, method="wilson"), abs=1e-9
    )


def test_sixty_attacks_without_a_success_leave_six_per_cent() -> None:
    # 1 - 0.025 ** (1 / 60) = 0.0596
    assert s.clopper_pearson(0, 60, 0.95)[1] == pytest.approx(1 - 0.025 ** (1 / 60))


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_equals_statsmodels(first: int, second: int) -> None:
    expected = 1.0 if first + second == 0 else statsmodels_mcnemar([[0, first], [second, 0]], exact=True).pvalue
    assert s.mcnemar(first, second) == pytest.approx(min(1.0, expected))


@pytest.fixture(scope="module")
def nothing_to_collect() -> Iterator[None]:
    """multipletests collects garbage at every call: 0.2 s for what a process of tests holds, unless it is frozen."""
    gc.freeze()
    yield
    gc.unfreeze()


@given(p_values=st.lists(st.floats(1e-6, 1), min_size=1, max_size=8))
@pytest.mark.usefixtures("nothing_to_collect")
def test_holm_equals_statsmodels(p_values: list[float]) -> None:
    assert s.holm(p_values) == pytest.approx(list(multipletests(p_values, method="holm")[1]))


@given(st.integers(1, 59), st.floats(0.05, 0.95))
def test_rate_p_value_is_the_binomial_tail_doubled(successes: int, limit: float) -> None:
    above = stats.binomtest(successes, 60, limit, alternative="greater").pvalue
    below = stats.binomtest(successes, 60, limit, alternative="less").pvalue
    assert s.rate_p_value(successes, 60, limit, "above") == pytest.approx(min(1, 2 * above), abs=1e-9)
    assert s.rate_p_value(successes, 60, limit, "below") == pytest.approx(min(1, 2 * below), abs=1e-9)


def test_sign_flip_of_single_binary_items_is_mcnemar() -> None:
    # 9 items favour the first, 2 the second, 20 neither: McNemar on 9 and 2.
    differences = np.array([1.0] * 9 + [-1.0] * 2 + [0.0] * 20)
    groups = [str(i) for i in range(31)]
    assert s.sign_flip(differences, groups, rng=np.random.default_rng(1)) == pytest.approx(s.mcnemar(9, 2))


def test_sign_flip_beyond_enumeration_agrees_with_scipy() -> None:
    rng = np.random.default_rng(2)
    differences = rng.normal(0.3, 1, 40)
    groups = [str(i) for i in range(40)]
    peer = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=9999, rng=np.random.default_rng(3)
    )
    assert s.sign_flip(differences, groups, rng=rng) == pytest.approx(peer.pvalue, abs=0.02)


def test_resampled_groups_keep_their_items_together() -> None:
    # Two groups, one all 1 (3 items), one all 0 (1 item): a resample is {1,1}: 1, {0,0}: 0 or mixed: 3/4.
    means, n_groups = s.resampled_means(
        np.array([1.0, 1, 1, 0]), ["a", "a", "a", "b"], resamples=4000, rng=np.random.default_rng(4)
    )
    assert n_groups == 2
    assert set(np.round(means, 6)) == {0.0, 0.75, 1.0}
    assert np.mean(means == 0.75) == pytest.approx(0.5, abs=0.03)


def test_bootstrap_equals_scipy_when_groups_are_single_items() -> None:
    values = np.random.default_rng(5).exponential(size=400)
    groups = [str(i) for i in range(400)]
    ours = s.mean_interval(values, groups, confidence=0.95, resamples=4000, rng=np.random.default_rng(6))
    peer = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=4000, rng=np.random.default_rng(7))
    assert (ours.low, ours.high) == pytest.approx(tuple(peer.confidence_interval), rel=0.02)


def test_p_value_and_interval_agree_on_every_threshold() -> None:
    resampled = np.random.default_rng(8).normal(0.1, 0.04, 2000)
    low, high = s.percentile_interval(resampled, 25, 0.95) or (0, 0)
    gap = 0.004  # a few resampled values: where interpolation may differ
    assert (
        s.bound_p_value(resampled, 25, low - gap, "above") < 0.05 < s.bound_p_value(resampled, 25, low + gap, "above")
    )
    assert s.bound_p_value(resampled, 25, high + gap, "below") < 0.05
    assert s.bound_p_value(resampled, 25, high - gap, "below") > 0.05


def test_one_group_has_no_interval() -> None:
    estimate = s.mean_interval([0.2, 0.4], ["a", "a"], confidence=0.95, resamples=200, rng=np.random.default_rng(9))
    assert (estimate.value, estimate.low, estimate.high) == (pytest.approx(0.3), None, None)


def test_all_failures_still_have_an_interval() -> None:
    estimate = s.mean_interval([0.0] * 40, [str(i // 2) for i in range(40)], confidence=0.95, resamples=200,
                               rng=np.random.default_rng(9))  # fmt: skip
    # 20 documents, none succeeds: the upper bound is that of 0 of 20.
    assert (estimate.low, estimate.high) == (0.0, pytest.approx(1 - 0.025 ** (1 / 20)))


def _two_equal_systems(rng: np.random.Generator, n_groups: int) -> tuple[np.ndarray, list[str]]:
    """Right or wrong on 5 questions a document; documents differ in difficulty and in which system they favour."""
    difficulty = rng.beta(2, 2, n_groups)
    favour = rng.normal(0, 0.15, n_groups)
    first = rng.random((n_groups, 5)) < np.clip(difficulty + favour, 0, 1)[:, None]
    second = rng.random((n_groups, 5)) < np.clip(difficulty - favour, 0, 1)[:, None]
    return (first.astype(float) - second).ravel(), [str(i // 5) for i in range(5 * n_groups)]


@pytest.mark.parametrize("n_groups", [12, 25])
def test_equal_systems_differ_significantly_in_about_alpha_of_cases(n_groups: int) -> None:
    rng = np.random.default_rng(10)
    by_bound = by_flip = 0
    for _ in range(600):
        differences, groups = _two_equal_systems(rng, n_groups)
        found = s.paired_difference(differences, groups, confidence=0.95, resamples=400, rng=rng)
        by_bound += not (found.low or 0) <= 0 <= (found.high or 0)
        by_flip += s.sign_flip(differences, groups, rng=rng, flips=400) <= 0.05
    # alpha 0.05; four standard errors of a rate of 0.05 over 600 cases are 0.036.
    assert by_bound / 600 < 0.086
    assert by_flip / 600 < 0.086
    assert by_bound / 600 > 0.014


def test_korn_graubard_counts_repeated_items_once() -> None:
    # 10 documents of 4 identical items each carry no more than 10 items' worth, times (t39 / t9)^2 at 97.5%.
    values = np.repeat([1.0, 0, 0, 1, 0, 0, 1, 0, 0, 0], 4)
    groups = [str(i // 4) for i in range(40)]
    certain = (stats.t.ppf(0.975, 39) / stats.t.ppf(0.975, 9)) ** 2
    assert s.effective_items(values, groups) == pytest.approx(10 * certain)
    assert s.effective_items(np.array([1.0, 0, 1]), ["a", "b", "c"]) == 3
    assert s.effective_items(np.zeros(6), ["a", "a", "b", "b", "c", "c"]) == 3


def test_items_for_a_rate_settle_it_and_one_fewer_does_not() -> None:
    needed = s.items_for_rate(0.0, 0.06, 0.95)
    # 1 - 0.025 ** (1 / n) <= 0.06: n = ln 0.025 / ln 0.94 = 59.6
    assert needed == 60
    assert s.items_for_rate(0.1, 0.1, 0.95) is None
