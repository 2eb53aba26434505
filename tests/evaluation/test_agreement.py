"""Agreement against published figures and against scikit-learn."""

import math
import random

import pytest
from sklearn.metrics import cohen_kappa_score

from pipelines.evaluation.agreement import cohen_kappa, krippendorff_alpha

_ = None
# Krippendorff (2011), section C: 4 observers, 12 units; his figures are .743 nominal and .815 ordinal.
OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
    [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
]
UNITS = list(zip(*OBSERVERS, strict=True))


def test_alpha_gives_the_published_figures() -> None:
    nominal, ordinal = (krippendorff_alpha(UNITS, level=level) for level in ("nominal", "ordinal"))
    assert nominal is not None and math.isclose(nominal, 0.743, abs_tol=0.0005)
    assert ordinal is not None and math.isclose(ordinal, 0.815, abs_tol=0.0005)


def test_alpha_of_two_observers_gives_the_published_figure() -> None:
    # Krippendorff (2011), section A: 10 units, two observers, binary: alpha = .095.
    meg, owen = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]
    alpha = krippendorff_alpha(list(zip(meg, owen, strict=True)), level="nominal")
    assert alpha is not None and math.isclose(alpha, 0.095, abs_tol=0.0005)


def test_kappa_is_scikit_learns() -> None:
    rng = random.Random(7)
    for labels in (2, 3, 5):
        first = [rng.randrange(labels) for _ in range(60)]
        second = [each if rng.random() < 0.6 else rng.randrange(labels) for each in first]
        assert cohen_kappa(first, second) == pytest.approx(cohen_kappa_score(first, second))


def test_kappa_of_the_classic_table() -> None:
    # 50 proposals: both yes 20, only A 5, only B 10, both no 15: p_o .7, p_e .5, kappa .4.
    first, second = [1] * 25 + [0] * 25, [1] * 20 + [0] * 5 + [1] * 10 + [0] * 15
    assert cohen_kappa(first, second) == pytest.approx(0.4)


def test_what_is_undefined_is_none() -> None:
    assert cohen_kappa([], []) is None
    assert cohen_kappa([1, 1], [1, 1]) is None
    for level in ("nominal", "ordinal"):
        assert krippendorff_alpha([], level=level) is None
        assert krippendorff_alpha([[1, None], [None, 2], [3]], level=level) is None  # nothing judged twice
        assert krippendorff_alpha([[1, 1], [1, 1]], level=level) is None


def test_kappa_is_of_pairs() -> None:
    with pytest.raises(ValueError, match="1 labels against 2"):
        cohen_kappa([1], [1, 2])
