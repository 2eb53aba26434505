"""Means of few groups: against scipy and statsmodels, and what they promise against simulation."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from pipelines.evaluation import clusters as c
from pipelines.evaluation import statistics as s


def names(sizes: list[int]) -> list[str]:
    return [str(group) for group, size in enumerate(sizes) for _ in range(size)]


def test_the_variance_is_that_of_a_cluster_robust_regression() -> None:
    sizes = [1, 3, 8, 2, 6, 5]
    values = np.random.default_rng(1).normal(0.3, 1, sum(sizes))
    codes = np.repeat(np.arange(len(sizes)), sizes)
    peer = sm.OLS(values, np.ones(len(values))).fit(cov_type="cluster", cov_kwds={"groups": codes})
    found = c.clustered(values, names(sizes))
    assert found.standard_error == pytest.approx(float(peer.bse[0]))
    # Kish: 25^2 / (1 + 9 + 64 + 4 + 36 + 25) = 625 / 139
    assert found.alike == pytest.approx(625 / 139)


@pytest.mark.parametrize("size", [1, 4])
def test_of_equal_groups_the_interval_is_students_over_their_means(size: int) -> None:
    values = np.random.default_rng(2).normal(0.1, 1, 9 * size)
    found = c.clustered(values, names([size] * 9))
    peer = stats.ttest_1samp(values.reshape(9, size).mean(axis=1), 0.05)
    assert c.t_interval(found, 0.9) == pytest.approx(tuple(peer.confidence_interval(0.9)))
    assert c.t_p_value(found, 0.05) == pytest.approx(peer.pvalue)


def test_one_group_has_no_bound_of_any_kind() -> None:
    found = c.clustered(np.array([0.1, 0.4]), ["a", "a"])
    assert c.t_interval(found, 0.95) is None
    assert c.cautious_low(found, 0.95) is None
    assert c.detectable(found, 0.05) is None
    assert c.items_to_detect(found, 0.1, 0.05) is None


def test_five_groups_need_the_t_interval_beside_the_bootstrap() -> None:
    # Equal on average. All five groups lie on one side of 0 in 2 / 2^5 = 6% of cases, and the bootstrap with them.
    rng, groups = np.random.default_rng(3), names([8] * 5)
    by_bootstrap = by_wider = 0
    for _ in range(600):
        values = np.repeat(rng.normal(0, 0.2, 5), 8) + rng.normal(0, 0.1, 40)
        found = s.paired_difference(values, groups, confidence=0.95, resamples=400, rng=rng, tested=False)
        low, high = s.percentile_interval(found.resampled, 5, 0.95) or (0, 0)
        by_bootstrap += not low <= 0 <= high
        by_wider += not (found.low or 0) <= 0 <= (found.high or 0)
    assert by_bootstrap / 600 > 0.07
    assert by_wider / 600 <= 0.077  # alpha .05 and three standard errors


@pytest.mark.parametrize("sizes", [[8] * 20, [1] * 160])
def test_the_cautious_bound_holds_where_losses_are_rare(sizes: list[int]) -> None:
    # One item in twenty is lost entirely, and the margin is just that: the bound may exceed -.05 in 2.5% of cases.
    rng, groups = np.random.default_rng(4), names(sizes)
    by_t = by_cautious = 0
    for _ in range(500):
        found = c.clustered(-(rng.random(160) < 0.05).astype(float), groups)
        low, _ = c.t_interval(found, 0.95) or (0, 0)
        by_t += low > -0.05
        by_cautious += (c.cautious_low(found, 0.95) or 0) > -0.05
    assert by_t / 500 > 0.05
    assert by_cautious / 500 <= 0.025


def test_the_cautious_bound_costs_little_where_nothing_is_rare() -> None:
    found = c.clustered(np.random.default_rng(5).normal(0, 0.2, 160), [str(i) for i in range(160)])
    low, _ = c.t_interval(found, 0.95) or (0, 0)
    assert (c.cautious_low(found, 0.95) or 0) > 1.12 * low


def test_no_difference_among_n_items_leaves_room_for_a_few() -> None:
    # Variance of two items at -1 and 1 beside n zeros: 2 / (n + 2) / n.
    found = c.clustered(np.zeros(100), [str(i) for i in range(100)])
    assert c.cautious_low(found, 0.95) == pytest.approx(-stats.t.ppf(0.975, 99) * np.sqrt(2 / 102 / 100))
    assert c.t_interval(found, 0.95) == (0.0, 0.0)


@pytest.mark.parametrize("n_groups", [8, 40])
def test_the_detectable_effect_is_found_in_four_of_five_trials(n_groups: int) -> None:
    rng, groups = np.random.default_rng(6), names([4] * n_groups)
    gain = 0.1 * (stats.t.ppf(0.975, n_groups - 1) + stats.t.ppf(0.8, n_groups - 1))
    found = stated = 0.0
    for _ in range(800):
        values = np.repeat(gain + rng.normal(0, 0.1 * np.sqrt(n_groups), n_groups), 4)  # standard error .1
        measured = c.clustered(values, groups)
        found += (c.t_interval(measured, 0.95) or (0, 0))[0] > 0
        stated += c.detectable(measured, 0.05) or 0
    assert found / 800 == pytest.approx(0.8, abs=0.045)  # three standard errors .042
    assert stated / 800 == pytest.approx(gain, rel=0.05)


def test_the_items_asked_for_detect_the_effect_and_fewer_do_not() -> None:
    found = c.clustered(np.random.default_rng(7).normal(0.05, 0.4, 60), names([4] * 15))
    kinds: tuple[c.Claim, ...] = ("interval", "cautious", "flips")
    for by in kinds:
        needed = c.items_to_detect(found, 0.05, 0.05, by=by)
        assert needed is not None
        enough, fewer = found.grown(needed / 60), found.grown((needed - 2) / 60)
        assert (c.detectable(enough, 0.05, by=by) or 1) <= 0.05
        assert (c.detectable(fewer, 0.05, by=by) or 0) > 0.05
    # Three groups never reach p = .05 by their signs, whatever the effect: it takes more than z^2 = 3.84 of them.
    few = c.clustered(np.array([0.9, 1.0, 0.8]), ["a", "b", "c"])
    assert c.detectable(few, 0.05, by="flips") is None
    assert c.items_to_detect(found, 0.0, 0.05) is None
    assert c.items_to_detect(found, 1e-6, 0.05) is None


def test_a_limit_over_few_successes_in_few_documents_is_not_kept_by_chance() -> None:
    # The rate is the limit, 5%, alike within 20 documents (.3): 2.5% of upper bounds may lie below it.
    rng, groups = np.random.default_rng(8), names([8] * 20)
    kept = 0
    for _ in range(500):
        chance = rng.beta(0.05 * 7 / 3, 0.95 * 7 / 3, 20)
        values = (rng.random(160) < np.repeat(chance, 8)).astype(float)
        worth = s.effective_items(values, groups)
        kept += s.clopper_pearson(float(values.mean()) * worth, worth, 0.95)[1] < 0.05
    assert kept / 500 <= 0.025
