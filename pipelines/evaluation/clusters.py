"""A mean of items that come in groups, few of them perhaps: standard error, degrees of freedom, bounds.

A bootstrap of five groups cannot go beyond the worst of them, so all five lie on one side of zero in a sixteenth of
all cases: a t interval over groups does. And no resample holds a loss that the sample does not: where losses are
rare and large, `cautious_low` allows for two items more, one at either end.
Not covered: a kind of loss that is larger than any difference seen; whole groups that fail together where not one
item of the sample differs (20 groups without a difference leave room for 17% of such groups).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Claim = Literal["interval", "cautious", "flips"]
"""What a difference is shown by."""

POWER = 0.8
"""Of every smallest detectable difference and item count."""
_MOST = 1_000_000
"""Items beyond which "so many more would settle it" helps nobody."""


def group_sums(values: Floats, groups: Sequence[str]) -> tuple[Floats, Floats]:
    """Sum and number of the values of each group: float64 [n_groups] twice."""
    _, inverse = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    sums: Floats = np.bincount(inverse, weights=values).astype(np.float64)
    return sums, np.bincount(inverse).astype(np.float64)


@dataclass(frozen=True)
class Clustered:
    """The mean of n values in groups, and what its uncertainty is made of."""

    mean: float
    variance: float
    """Of the mean, groups taken as a whole."""
    n: float
    n_groups: float
    alike: float
    """Kish's effective number of groups: that of equal groups which would weigh as these do."""
    item_variance: float
    """Of a single value."""
    skewness: float
    """Of the groups' deviations."""
    largest: float
    """The largest absolute value seen; 1 where all are zero."""
    step: float
    """By how much at least the mean moves when one value does: 1 / n for whole numbers, else 0."""

    @property
    def df(self) -> float:
        """Degrees of freedom of the variance."""
        return max(1.0, self.alike - 1)

    @property
    def standard_error(self) -> float:
        """Of the mean."""
        return float(np.sqrt(self.variance))

    @property
    def worth(self) -> float:
        """How many independent items these are worth (n over the design effect), from n_groups to n."""
        if self.variance <= 0:
            return self.n
        return float(np.clip(self.item_variance / self.variance, min(self.n_groups, self.n), self.n))

    def grown(self, factor: float) -> "Clustered":
        """The same with `factor` times as many groups of the same kind."""
        return replace(
            self,
            variance=self.variance / factor,
            n=self.n * factor,
            n_groups=self.n_groups * factor,
            alike=self.alike * factor,
            step=self.step / factor,
        )


def clustered(values: Floats, groups: Sequence[str]) -> Clustered:
    """Values [n] and the group of each -> their mean and its uncertainty.

    The variance is the linearised one of a ratio with the factor G / (G - 1) (Cameron & Miller 2015, "A
    Practitioner's Guide to Cluster-Robust Inference"); zero with one group, so look at `n_groups` first.
    """
    sums, counts = group_sums(values, groups)
    n, n_groups, mean = len(values), len(sums), float(values.mean())
    residuals = sums - mean * counts
    square = float(np.mean(residuals**2))
    spread = n_groups / (n_groups - 1) * square * n_groups / n**2 if n_groups > 1 else 0.0
    rounding = 1e-24 * max(1.0, mean**2)
    return Clustered(
        mean=mean,
        variance=spread if spread > rounding else 0.0,
        n=float(n),
        n_groups=float(n_groups),
        alike=float(n**2 / np.sum(counts**2)),
        item_variance=float(values.var()),
        skewness=float(np.mean(residuals**3)) / square**1.5 if spread > rounding else 0.0,
        largest=float(np.abs(values).max()) or 1.0,
        step=1 / n if np.all(values == np.round(values)) else 0.0,
    )


# --- bounds ----------------------------------------------------------------------------------


def t_interval(of: Clustered, confidence: float) -> tuple[float, float] | None:
    """mean +- t * standard error, t with one degree of freedom fewer than there are effective groups.

    None with fewer than two groups. The effective number is Kish's (1965), as Carter, Schnepel & Steigerwald (2017)
    use it for clusters of unequal size. With single items as groups it is Student's interval.
    """
    if of.n_groups < 2:
        return None
    half = _quantile(of.df, confidence) * of.standard_error
    return of.mean - half, of.mean + half


def t_p_value(of: Clustered, threshold: float) -> float:
    """Two-sided p-value of "the mean is the threshold", by inverting `t_interval`."""
    from scipy.special import stdtr

    if of.n_groups < 2:
        return 1.0
    if of.variance == 0:
        return 1.0 if of.mean == threshold else 0.0
    return float(2 * stdtr(of.df, -abs(of.mean - threshold) / of.standard_error))


def cautious_low(of: Clustered, confidence: float) -> float | None:
    """A lower bound that allows for rare large losses, of which the sample may hold too few or none.

    Two changes to `t_interval`: two items are added to the variance, one at either end of what was seen (Bonett &
    Price 2012 for a difference of paired rates, here for any scale and counted in effective items); and where the
    groups are skewed to the loss, the quantile grows by the first term of the Edgeworth expansion of t (Johnson
    1978; Hall 1992). None with fewer than two groups.
    """
    if of.n_groups < 2:
        return None
    return of.mean - _cautious_half(of, confidence)


def cautious_error(of: Clustered) -> float:
    """The standard error behind `cautious_low`."""
    worth = of.worth
    own = max(of.variance * worth, of.item_variance)
    return float(np.sqrt((worth * own + 2 * of.largest**2) / (worth + 2) / worth))


def _cautious_half(of: Clustered, confidence: float) -> float:
    quantile = _quantile(of.df, confidence)
    skewed = max(0.0, -of.skewness) / (6 * np.sqrt(of.n_groups)) * (2 * quantile**2 + 1)
    return float((quantile + skewed) * cautious_error(of))


def _quantile(df: float, confidence: float) -> float:
    from scipy.special import stdtrit

    return float(-stdtrit(df, (1 - confidence) / 2))


# --- sizes -----------------------------------------------------------------------------------


def detectable(of: Clustered, alpha: float, *, by: Claim = "interval", power: float = POWER) -> float | None:
    """Smallest distance from a threshold that is shown with this power; None where none would be.

    By `t_interval`: (t(1 - alpha/2) + t(power)) standard errors (Bloom 1995, with t for the normal quantiles). By
    `cautious_low`: likewise with its errors. By `flips`, interval and randomisation test both: the test weighs the
    effect d by the spread around zero, which holds d itself, so it takes d with
    d - t(power) errors - step = z sqrt(variance + d^2 / groups).
    """
    if of.n_groups < 2:
        return None
    chance = _quantile(of.df, 2 * power - 1)
    if by == "cautious":
        return _cautious_half(of, 1 - alpha) + chance * cautious_error(of)
    shown = (_quantile(of.df, 1 - alpha) + chance) * of.standard_error
    if by == "interval":
        return shown
    flipped = _flipped(of, alpha, chance * of.standard_error + of.step)
    return None if flipped is None else max(shown, flipped)


def _flipped(of: Clustered, alpha: float, beyond: float) -> float | None:
    """The larger root of (d - beyond)^2 = z^2 (variance + d^2 / groups); None with too few groups for any d."""
    from scipy.special import ndtri

    square = float(ndtri(1 - alpha / 2)) ** 2
    left = 1 - square / of.alike
    if left <= 0:
        return None
    below = beyond**2 - left * (beyond**2 - square * of.variance)
    return float((beyond + np.sqrt(max(0.0, below))) / left)


def items_to_detect(of: Clustered, effect: float, alpha: float, *, by: Claim = "interval") -> int | None:
    """Items in groups like these that show `effect` with 80% power; None: more than a million, or no number.

    What was seen (mean, spread, group size) is taken for what is true.
    """
    if effect <= 0 or of.n_groups < 2:
        return None

    def shown(factor: float) -> bool:
        found = detectable(of.grown(factor), alpha, by=by)
        return found is not None and found <= effect

    below, factor = 0.0, 1.0
    while not shown(factor):
        below, factor = factor, factor * 2
        if of.n * factor > _MOST:
            return None
    while (factor - below) * of.n > 0.5:
        middle = (below + factor) / 2
        below, factor = (below, middle) if shown(middle) else (middle, factor)
    return int(np.ceil(of.n * factor))
