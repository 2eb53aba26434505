"""Confidence sequences: what they promise at all times together, and their formulas against a plain loop."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipelines.evaluation import sequences as q

STREAMS = {
    "fair coin": lambda rng: (rng.random(300) < 0.5) * 1.0,
    "rare": lambda rng: (rng.random(300) < 0.03) * 1.0,
    "graded": lambda rng: rng.beta(8, 2, 300),
    "drawn to the ends": lambda rng: rng.beta(0.2, 0.3, 300),
}
MEANS = {"fair coin": 0.5, "rare": 0.03, "graded": 0.8, "drawn to the ends": 0.4}


@pytest.mark.parametrize("kind", STREAMS)
def test_the_mean_stays_inside_at_all_times_together(kind: str) -> None:
    rng, mean = np.random.default_rng(1), np.array([MEANS[kind]])
    lost_bets = left = 0
    for _ in range(300):
        values = STREAMS[kind](rng)
        lost_bets += bool(np.any(q.log_purse(values, mean, 0.1) >= math.log(10)))
        found = q.empirical_bernstein(values, 0.1)
        left += bool(np.any(found.low > mean) or np.any(found.high < mean))
    # alpha .1; three standard errors of a rate of .1 over 300 streams are .052.
    assert lost_bets / 300 <= 0.152
    assert left / 300 <= 0.152


def test_peeking_at_an_interval_errs_and_at_a_sequence_does_not() -> None:
    rng, times = np.random.default_rng(2), np.arange(10, 201, 10)
    streams = rng.choice([-1.0, 0.0, 1.0], p=[0.2, 0.6, 0.2], size=(150, 200))
    p_values = np.array([stats.ttest_1samp(streams[:, :n], 0, axis=1).pvalue for n in times])
    by_interval = int(np.sum(np.nanmin(p_values, axis=0) <= 0.05))
    by_sequence = 0
    for differences in streams:
        found = q.betting(differences, 0.05, lowest=-1, highest=1)
        by_sequence += bool(np.any(found.low > 0) or np.any(found.high < 0))
    assert by_interval / 150 > 0.12  # some 20% in truth
    assert by_sequence / 150 <= 0.05


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.sampled_from([0.05, 0.5, 0.9]))
def test_purses_equal_those_of_a_plain_loop(values: list[float], mean: float) -> None:
    above = below = 0.5
    total, squares, centre = 0.5, 0.25, 0.5
    for t, x in enumerate(values, 1):
        # Before the t-th value: variance (1/4 + squares of t - 1 values) / t, since the first counts as one.
        bet = math.sqrt(2 * math.log(2 / 0.05) / (squares / t * t * math.log(1 + t)))
        above *= 1 + min(bet, 0.5 / mean) * (x - mean)
        below *= 1 - min(bet, 0.5 / (1 - mean)) * (x - mean)
        total += x
        centre = total / (t + 1)
        squares += (x - centre) ** 2
    found = q.log_purse(np.array(values), np.array([mean]), 0.05)[-1, 0]
    assert found == pytest.approx(math.log(max(above, below)), abs=1e-9)


def test_empirical_bernstein_equals_a_plain_loop() -> None:
    values = np.random.default_rng(3).beta(2, 3, 60)
    weighted = weights = spent = 0.0
    total, squares, centre = 0.5, 0.25, 0.5
    bounds = []
    for t, x in enumerate(values, 1):
        weight = min(0.5, math.sqrt(2 * math.log(40) / (squares / t * t * math.log(1 + t))))
        weighted, weights = weighted + weight * x, weights + weight
        spent += 4 * (x - centre) ** 2 * (-math.log(1 - weight) - weight) / 4
        bounds.append(weighted / weights - (math.log(40) + spent) / weights)
        total += x
        centre = total / (t + 1)
        squares += (x - centre) ** 2
    assert q.empirical_bernstein(values, 0.05).low[-1] == pytest.approx(max(0.0, *bounds))


def test_bounds_never_widen_and_a_first_value_shows_nothing() -> None:
    values = np.random.default_rng(4).random(100)
    for found in (q.betting(values, 0.05), q.empirical_bernstein(values, 0.05)):
        assert (found.low[0], found.high[0]) == (0.0, 1.0)
        assert np.all(np.diff(found.low) >= 0)
        assert np.all(np.diff(found.high) <= 0)


def test_a_clear_gain_is_seen_early_and_the_price_is_width() -> None:
    rng = np.random.default_rng(5)
    differences = rng.choice([0.0, 1.0], p=[0.6, 0.4], size=300)
    found = q.betting(differences, 0.05, lowest=-1, highest=1)
    seen = found.first_above(0.0)
    assert seen is not None
    assert seen < 60
    assert q.betting(-differences, 0.05, lowest=-1, highest=1).first_above(0.0) is None
    width = found.high[-1] - found.low[-1]
    once = 2 * 1.96 * differences.std() / math.sqrt(300)
    assert once < width < 2.5 * once


@pytest.mark.parametrize(
    ("values", "said"), [([0.2, 1.2], "outside 0..1"), ([0.2, math.nan], "outside"), ([], "at least one")]
)
def test_values_without_a_known_range_are_refused(values: list[float], said: str) -> None:
    for sequence in (q.betting, q.empirical_bernstein):
        with pytest.raises(ValueError, match=said):
            sequence(values, 0.05)
