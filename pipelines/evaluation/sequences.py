"""Confidence sequences: intervals for a mean that hold at every look at once, however many there are.

An interval of statistics.py holds once. Whoever looks again after each new item and stops when he likes what he
sees is wrong more often than alpha says; a confidence sequence covers the mean at all times together with
probability 1 - alpha, so it may be looked at and stopped at any time (Howard, Ramdas, McAuliffe & Sekhon 2021,
"Time-uniform, nonparametric, nonasymptotic confidence sequences"). The price is width: half as wide again.

Invariants: exact for any number of values, no normal theory; an interval depends on values that had come by then
alone, and never grows (running intersection).
Units are what comes independently: items, or the means of whole groups. They are given in the order of arrival,
fixed before they are seen; their conditional mean is one and the same.
Not covered: several candidates on the same items, which are several hypotheses (looks.py counts those).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

GRID = 1000
"""Steps of the range at which a bet is placed: bounds are rounded outwards to them."""
_CAP = 0.5
"""Largest share of its money that a bet risks, and largest tuning parameter of the empirical Bernstein sequence."""


@dataclass(frozen=True)
class ConfidenceSequence:
    """Bounds after the first, second, ... value: float64 [n] each."""

    low: Floats
    high: Floats

    def first_above(self, threshold: float) -> int | None:
        """After how many values the lower bound passes the threshold for the first time; None: it never does."""
        beyond = np.flatnonzero(self.low > threshold)
        return int(beyond[0]) + 1 if len(beyond) else None


def betting(
    values: Sequence[float] | Floats, alpha: float, *, lowest: float = 0.0, highest: float = 1.0
) -> ConfidenceSequence:
    """The hedged betting sequence for values within lowest..highest (use -1, 1 for paired differences of shares).

    For each possible mean m two gamblers bet that values lie above and below it; when m is the mean the game is
    fair, and by Ville's inequality their purse reaches 1 / alpha with probability at most alpha. The means at which
    it has not are the interval (Waudby-Smith & Ramdas 2024, "Estimating means of bounded random variables by
    betting", theorem 3, with the predictable plug-in bets of its section 4).
    Raises ValueError for a value out of range.
    """
    scaled = _scaled(values, lowest, highest)
    means = np.linspace(0.0, 1.0, GRID + 1)
    plausible = log_purse(scaled, means, alpha) < np.log(1 / alpha)
    plausible = np.logical_and.accumulate(plausible, axis=0)
    some = plausible.any(axis=1)
    first, last = plausible.argmax(axis=1), GRID - plausible[:, ::-1].argmax(axis=1)
    low = np.where(some, means[np.maximum(first - 1, 0)], np.nan)
    high = np.where(some, means[np.minimum(last + 1, GRID)], np.nan)
    return ConfidenceSequence(*_ranged(low, high, lowest, highest))


def log_purse(scaled: Floats, means: Floats, alpha: float) -> Floats:
    """Logarithm of the larger half-purse after each value for each mean: values [n] in 0..1, means [m] -> [n, m].

    The bet: sqrt(2 log(2 / alpha) / (variance so far * t * log(1 + t))), cut so that no value ruins the gambler.
    """
    bets = _plug_in(scaled, alpha)
    tiny = np.finfo(np.float64).tiny
    upwards = np.minimum(bets[:, None], _CAP / np.maximum(means, tiny)[None, :])
    downwards = np.minimum(bets[:, None], _CAP / np.maximum(1 - means, tiny)[None, :])
    surprise = scaled[:, None] - means[None, :]
    above = np.cumsum(np.log1p(upwards * surprise), axis=0)
    below = np.cumsum(np.log1p(-downwards * surprise), axis=0)
    purse: Floats = np.maximum(above, below) + np.log(0.5)
    return purse


def empirical_bernstein(
    values: Sequence[float] | Floats, alpha: float, *, lowest: float = 0.0, highest: float = 1.0
) -> ConfidenceSequence:
    """The predictable plug-in empirical Bernstein sequence: closed form, a little wider than `betting`.

    Centre: the values weighted by lambda_t; half-width (log(2 / alpha) + sum v_t psi(lambda_t)) / sum lambda_t with
    v_t = 4 (x_t - mean before)^2 and psi(l) = (-log(1 - l) - l) / 4 (Waudby-Smith & Ramdas 2024, theorem 2; Howard
    et al. 2021, theorem 4). Raises ValueError for a value out of range.
    """
    scaled = _scaled(values, lowest, highest)
    weights = np.minimum(_plug_in(scaled, alpha), _CAP)
    surprise = 4 * (scaled - _means_before(scaled)) ** 2
    psi = (-np.log1p(-weights) - weights) / 4
    total = np.cumsum(weights)
    centre = np.cumsum(weights * scaled) / total
    half = (np.log(2 / alpha) + np.cumsum(surprise * psi)) / total
    low = np.maximum.accumulate(np.clip(centre - half, 0, 1))
    high = np.minimum.accumulate(np.clip(centre + half, 0, 1))
    return ConfidenceSequence(*_ranged(low, high, lowest, highest))


def _scaled(values: Sequence[float] | Floats, lowest: float, highest: float) -> Floats:
    """Values moved to 0..1."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not len(array):
        raise ValueError("a confidence sequence needs a list of at least one value")
    if not np.all((array >= lowest) & (array <= highest)):
        raise ValueError(f"a value lies outside {lowest:g}..{highest:g}; say its range with lowest= and highest=")
    scaled: Floats = (array - lowest) / (highest - lowest)
    return scaled


def _ranged(low: Floats, high: Floats, lowest: float, highest: float) -> tuple[Floats, Floats]:
    return lowest + low * (highest - lowest), lowest + high * (highest - lowest)


def _means_after(scaled: Floats) -> Floats:
    """Mean after each value, one value of 1/2 counted with them."""
    means: Floats = (0.5 + np.cumsum(scaled)) / (np.arange(len(scaled)) + 2)
    return means


def _means_before(scaled: Floats) -> Floats:
    return np.concatenate([[0.5], _means_after(scaled)[:-1]])


def _plug_in(scaled: Floats, alpha: float) -> Floats:
    """The tuning parameter before each value, from the variance of those before it."""
    times = np.arange(1, len(scaled) + 1)
    variances = (0.25 + np.cumsum((scaled - _means_after(scaled)) ** 2)) / (times + 1)
    before = np.concatenate([[0.25], variances[:-1]])
    bets: Floats = np.sqrt(2 * np.log(2 / alpha) / (before * times * np.log1p(times)))
    return bets
