"""Intervals, tests and sample sizes for items that come in groups (questions of one document).

Invariants: every random number comes from a generator passed in, so equal inputs give equal bounds;
all intervals are two-sided, `confidence` = 1 - alpha, alpha / 2 beyond each end.
Limits: a bootstrap over fewer than about ten groups is rough, even with the correction applied here, so differences
take the wider of it and of a t interval over groups (clusters.py); differences that are zero for every item have an
interval of no width (`clusters.cautious_low` has one).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.contracts import content_id
from pipelines.evaluation.clusters import POWER, Clustered, clustered, group_sums, t_interval, t_p_value

Floats = NDArray[np.float64]

_BLOCK = 2_000_000
"""Drawn groups held at once while resampling: 16 MB."""


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval over n values in n_groups groups; no bounds with fewer than two groups."""

    value: float
    low: float | None
    high: float | None
    n: int
    n_groups: int


@dataclass(frozen=True)
class Difference:
    """A mean paired difference: interval and what is behind it."""

    value: float
    low: float | None
    high: float | None
    p_value: float | None
    """Two-sided, for no difference: `sign_flip`."""
    n: int
    n_groups: int
    resampled: Floats
    """Means of bootstrap samples."""
    spread: Clustered
    """Mean and variance over groups."""


def generator(seed: int, *names: str) -> np.random.Generator:
    """A generator of its own for each named quantity, so that the order of measuring changes nothing."""
    return np.random.default_rng(int(content_id(seed, *names)[:16], 16))


# --- bootstrap over groups -------------------------------------------------------------------


def resampled_means(
    values: Floats, groups: Sequence[str], *, resamples: int, rng: np.random.Generator
) -> tuple[Floats, int]:
    """Means of bootstrap samples of whole groups: float64 [resamples], and the number of groups.

    Groups are drawn with replacement and keep all their items, so the mean is a ratio estimate
    (Field & Welsh 2007, "Bootstrapping clustered data"; Cameron, Gelbach & Miller 2008).
    """
    sums, counts = group_sums(values, groups)
    n_groups = len(sums)
    rows = max(1, _BLOCK // n_groups)
    means = np.empty(resamples)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        drawn = rng.integers(0, n_groups, size=(size, n_groups))
        means[start : start + size] = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return means, n_groups


def percentile_interval(resampled: Floats, n_groups: int, confidence: float) -> tuple[float, float] | None:
    """The expanded percentile interval; None with fewer than two groups.

    Plain percentiles are too narrow for few groups: their level is widened as a t interval is against
    a normal one (Hesterberg 2015, "What Teachers Should Know About the Bootstrap", 4.5).
    """
    if n_groups < 2:
        return None
    from scipy.special import ndtr, stdtrit

    quantile = stdtrit(n_groups - 1, (1 - confidence) / 2)
    tail = float(ndtr(quantile * np.sqrt(n_groups / (n_groups - 1))))
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return float(low), float(high)


def bound_p_value(resampled: Floats, n_groups: int, threshold: float, side: Literal["above", "below"]) -> float:
    """Two-sided p-value of "the mean is `side` the threshold", by inverting `percentile_interval`.

    It is at most alpha exactly when the interval at 1 - alpha lies on that side of the threshold (up to
    the interpolation between resampled values). Smallest value: that of one resample in len(resampled) + 1.
    """
    if n_groups < 2:
        return 1.0
    from scipy.special import ndtri, stdtr

    wrong = np.sum(resampled <= threshold) if side == "above" else np.sum(resampled >= threshold)
    tail = (wrong + 1) / (len(resampled) + 1)
    one_sided = stdtr(n_groups - 1, ndtri(tail) / np.sqrt(n_groups / (n_groups - 1))) if tail < 1 else 1.0
    return float(min(1.0, 2 * one_sided))


def mean_interval(
    values: Sequence[float], groups: Sequence[str], *, confidence: float, resamples: int, rng: np.random.Generator
) -> Estimate:
    """Mean of values with its bootstrap interval over groups.

    Where all values are the same 0 or 1 the bootstrap has no width; Clopper-Pearson over the groups
    stands in for it (no failure among 20 documents does not prove a rate of zero).
    """
    array = np.asarray(values, dtype=np.float64)
    resampled, n_groups = resampled_means(array, groups, resamples=resamples, rng=rng)
    mean = float(array.mean())
    if mean in (0.0, 1.0) and np.all(array == mean):
        bounds: tuple[float, float] | None = clopper_pearson(mean * n_groups, n_groups, confidence)
    else:
        bounds = percentile_interval(resampled, n_groups, confidence)
    low, high = bounds if bounds else (None, None)
    return Estimate(mean, low, high, len(array), n_groups)


def wider_interval(resampled: Floats, spread: Clustered, confidence: float) -> tuple[float, float] | None:
    """The wider of the bootstrap's and the t interval at either end; None with fewer than two groups.

    Of five groups the bootstrap is too narrow, of many skewed ones t is: over simulated equal systems either alone
    was wrong up to twice as often as it says.
    """
    by_bootstrap = percentile_interval(resampled, int(spread.n_groups), confidence)
    by_t = t_interval(spread, confidence)
    if by_bootstrap is None or by_t is None:
        return None
    return min(by_bootstrap[0], by_t[0]), max(by_bootstrap[1], by_t[1])


def wider_p_value(resampled: Floats, spread: Clustered, threshold: float, side: Literal["above", "below"]) -> float:
    """Two-sided p-value of "the mean is `side` the threshold", by inverting `wider_interval`."""
    right = spread.mean > threshold if side == "above" else spread.mean < threshold
    if not right:
        return 1.0
    by_bootstrap = bound_p_value(resampled, int(spread.n_groups), threshold, side)
    return max(by_bootstrap, t_p_value(spread, threshold))


def paired_difference(
    differences: Sequence[float],
    groups: Sequence[str],
    *,
    confidence: float,
    resamples: int,
    rng: np.random.Generator,
    largest: float | None = None,
    tested: bool = True,
) -> Difference:
    """Mean of paired differences (one per item) with interval and p-value over groups.

    `largest`: the largest difference there can be (1 for shares): the interval is cut there. `tested`: whether the
    p-value is wanted, which takes longer than all the rest.
    """
    array = np.asarray(differences, dtype=np.float64)
    resampled, n_groups = resampled_means(array, groups, resamples=resamples, rng=rng)
    spread = clustered(array, groups)
    bounds = wider_interval(resampled, spread, confidence)
    if bounds and largest is not None:
        bounds = max(bounds[0], -largest), min(bounds[1], largest)
    low, high = bounds if bounds else (None, None)
    return Difference(
        value=float(array.mean()),
        low=low,
        high=high,
        p_value=sign_flip(array, groups, rng=rng) if tested and n_groups > 1 else None,
        n=len(array),
        n_groups=n_groups,
        resampled=resampled,
        spread=spread,
    )


# --- tests -----------------------------------------------------------------------------------


def sign_flip(differences: Floats, groups: Sequence[str], *, rng: np.random.Generator, flips: int = 10_000) -> float:
    """Two-sided randomisation p-value for paired differences: the sign of a whole group is flipped.

    Exact when each group is as likely to favour either system (Fisher's randomisation test; Edgington &
    Onghena 2007); all sign patterns up to 13 groups, `flips` random ones and the observed one beyond
    (Phipson & Smyth 2010). With groups of one binary item it is McNemar's exact test.
    """
    sums, _ = group_sums(np.asarray(differences, dtype=np.float64), groups)
    sums = sums[sums != 0]
    if len(sums) == 0:
        return 1.0
    observed = abs(sums.sum()) - 1e-12
    if len(sums) <= 13:
        bits = (np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums))) & 1
        return float(np.mean(np.abs((2 * bits - 1) @ sums) >= observed))
    beyond = 0
    rows = max(1, _BLOCK // len(sums))
    eights = -(-len(sums) // 8)
    for start in range(0, flips, rows):
        drawn = np.unpackbits(rng.integers(0, 256, size=(min(rows, flips - start), eights), dtype=np.uint8), axis=1)
        kept = drawn[:, : len(sums)] @ sums  # of the groups that keep their sign
        beyond += int(np.sum(np.abs(2 * kept - sums.sum()) >= observed))
    return (beyond + 1) / (flips + 1)


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided McNemar test from the two discordant counts (McNemar 1947, binomial form)."""
    from scipy.special import bdtr

    total = only_first + only_second
    if total == 0:
        return 1.0
    return float(min(1.0, 2 * bdtr(min(only_first, only_second), total, 0.5)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given (Holm 1979)."""
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


# --- rates -----------------------------------------------------------------------------------


def wilson(successes: float, n: float, confidence: float) -> tuple[float, float]:
    """Wilson's score interval for a rate (Wilson 1927)."""
    from scipy.special import ndtri

    z = float(ndtri(1 - (1 - confidence) / 2))
    rate, scale = successes / n, 1 + z * z / n
    centre = (rate + z * z / (2 * n)) / scale
    half = z * float(np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))) / scale
    return (0.0 if successes == 0 else centre - half), (1.0 if successes == n else centre + half)


def clopper_pearson(successes: float, n: float, confidence: float) -> tuple[float, float]:
    """The exact interval for a rate by beta quantiles (Clopper & Pearson 1934); counts may be fractions."""
    from scipy.special import betaincinv

    tail = (1 - confidence) / 2
    low = 0.0 if successes <= 0 else float(betaincinv(successes, n - successes + 1, tail))
    high = 1.0 if successes >= n else float(betaincinv(successes + 1, n - successes, 1 - tail))
    return low, high


def rate_p_value(successes: float, n: float, limit: float, side: Literal["above", "below"]) -> float:
    """Two-sided p-value of "the rate is `side` the limit": at most alpha when Clopper-Pearson's bound agrees."""
    from scipy.special import betainc

    if side == "above":
        tail = 1.0 if successes <= 0 else float(betainc(successes, n - successes + 1, limit))
    else:
        tail = 1.0 if successes >= n else 1 - float(betainc(successes + 1, n - successes, limit))
    return min(1.0, 2 * tail)


def effective_items(values: Floats, groups: Sequence[str]) -> float:
    """How many independent items grouped 0..1 values are worth, never more than there are.

    The number of items over the design effect of their groups, times (t with n - 1 over t with n_groups - 1 degrees
    of freedom)^2 at 97.5%, as Korn & Graubard (1998) put it into Clopper-Pearson: of few groups the effect is itself
    uncertain. Other than there, the group furthest from the mean counts twice: a sample with few successes rarely
    holds the group in which they come together (20 groups of 8, a rate of 5%, correlation .3: a limit of 5% was kept
    by chance in 8% of cases, so in fewer than 1%). The number of groups where the values do not vary and no effect
    can be estimated.
    """
    from scipy.special import stdtrit

    sums, counts = group_sums(values, groups)
    n, n_groups = len(values), len(sums)
    if n_groups == n:
        return float(n)
    mean = values.mean()
    simple = mean * (1 - mean) / n
    if n_groups < 2 or simple == 0:
        return float(n_groups)
    residuals = sums - mean * counts
    together = float(np.sum(residuals**2) + np.max(residuals**2)) / n**2
    worth = min(n, max(n_groups / n, simple / together) * n) if together > 0 else n
    certain = float((stdtrit(n - 1, 0.975) / stdtrit(n_groups - 1, 0.975)) ** 2)
    return float(max(1.0, worth * certain))


# --- sizes -----------------------------------------------------------------------------------


def items_for_rate(rate: float, limit: float, confidence: float, most: int = 1_000_000) -> int | None:
    """Fewest items at this true rate whose exact interval leaves the limit outside with 80% power; None: over `most`.

    The interval is below the limit when so few successes have a chance of at most (1 - confidence) / 2 at the limit.
    """
    from scipy.special import bdtr, bdtrik

    if rate == limit:
        return None
    rate, limit = (rate, limit) if rate < limit else (1 - rate, 1 - limit)
    tail = (1 - confidence) / 2

    def settled(n: int) -> bool:
        few = np.floor(bdtrik(tail, n, limit))
        few = few if bdtr(few, n, limit) <= tail else few - 1
        return bool(few >= 0 and bdtr(few, n, rate) >= POWER)

    top = 1
    while not settled(top):
        top *= 2
        if top > most:
            return None
    bottom = top // 2
    while top - bottom > 1:
        middle = (top + bottom) // 2
        top, bottom = (middle, bottom) if settled(middle) else (top, middle)
    return top
