"""The corrected rate against arithmetic and against simulation."""

import numpy as np
import pytest

from pipelines.errors import JudgeError
from pipelines.evaluation.calibration import Calibration, calibrate, corrected
from pipelines.evaluation.measure import Rate


def known(sensitivity: float, specificity: float, n: int) -> Calibration:
    def rate(value: float) -> Rate:
        return Rate(value=value, low=0, high=1, n=n)

    return Calibration(
        sensitivity=rate(sensitivity), specificity=rate(specificity), agreement=rate(1), failed=0, chance_p_value=0
    )


def test_the_value_is_rogan_and_gladens() -> None:
    # (.44 + .8 - 1) / (.9 + .8 - 1) = .24 / .7
    assert corrected(0.44, 100, known(0.9, 0.8, 1000), 0.95).value == pytest.approx(0.24 / 0.7)


def test_a_perfect_judge_leaves_the_interval_of_the_rate_alone() -> None:
    # with Se = Sp = 1 known from a million labels, half of 100: the Agresti-Coull interval (.4038, .5962)
    found = corrected(0.5, 100, known(1, 1, 1_000_000), 0.95)
    assert (found.low, found.high) == (pytest.approx(0.4038, abs=5e-4), pytest.approx(0.5962, abs=5e-4))


def test_what_no_true_rate_explains_is_cut_to_0_and_1() -> None:
    assert corrected(0.05, 50, known(0.9, 0.8, 100), 0.95).value == 0  # fewer passes than false ones alone would be
    assert corrected(0.99, 50, known(0.9, 0.8, 100), 0.95).value == 1


@pytest.mark.parametrize(("sensitivity", "specificity"), [(0.5, 0.5), (0.3, 0.4), (1.0, 0.0)])
def test_a_judge_no_better_than_chance_is_refused(sensitivity: float, specificity: float) -> None:
    with pytest.raises(JudgeError, match="no better than chance"):
        corrected(0.5, 100, known(sensitivity, specificity, 50), 0.95)


def test_verdicts_that_failed_are_in_no_rate() -> None:
    found = calibrate([True, None, True, False, None, True], [True, True, True, False, False, False], 0.95)
    assert (found.sensitivity.value, found.sensitivity.n) == (1, 2)
    assert (found.specificity.value, found.specificity.n) == (0.5, 2)
    assert found.failed == 2


def test_chance_is_fishers_exact_test() -> None:
    from scipy.stats import fisher_exact

    verdicts = [True] * 8 + [False] * 2 + [True] * 3 + [False] * 7
    labels = [True] * 10 + [False] * 10
    expected = fisher_exact([[8, 2], [3, 7]], alternative="greater").pvalue
    assert calibrate(verdicts, labels, 0.95).chance_p_value == pytest.approx(expected)


@pytest.mark.parametrize(
    ("rate", "sensitivity", "specificity", "n", "n_labels"),
    [(0.3, 0.85, 0.8, 100, 40), (0.95, 0.9, 0.9, 150, 60), (0.05, 0.8, 0.95, 60, 30)],
)
def test_the_interval_covers_the_truth_as_often_as_it_says(
    rate: float, sensitivity: float, specificity: float, n: int, n_labels: int
) -> None:
    rng = np.random.default_rng(11)
    covered, runs = 0, 600
    labels = [i % 2 == 0 for i in range(n_labels)]
    for _ in range(runs):
        draws = rng.random(n_labels)
        verdicts = [
            bool(u < (sensitivity if label else 1 - specificity)) for u, label in zip(draws, labels, strict=True)
        ]
        passing = rate * sensitivity + (1 - rate) * (1 - specificity)
        found = corrected(rng.binomial(n, passing) / n, n, calibrate(verdicts, labels, 0.95), 0.95)
        covered += found.low <= rate <= found.high
    assert covered / runs > 0.95 - 3 * (0.95 * 0.05 / runs) ** 0.5
