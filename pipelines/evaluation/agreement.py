"""How far people agree beyond chance: Cohen's kappa for two, Krippendorff's alpha for any number and with gaps.

Both are 1 for full agreement and 0 for what chance gives. None means undefined: nothing was judged twice, or
everybody used one label throughout, so that chance explains everything. That is never told as 0 or 1.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Literal

Level = Literal["nominal", "ordinal"]


def cohen_kappa(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Kappa of two people's labels, paired by place: (p_o - p_e) / (1 - p_e) (Cohen 1960, eq. 1).

    None without a pair, and where both gave one and the same label throughout (p_e = 1).
    Raises ValueError for lists of different lengths.
    """
    n = len(first)
    if n != len(second):
        raise ValueError(f"{n} labels against {len(second)}: kappa is of pairs.")
    if not n:
        return None
    observed = sum(a == b for a, b in zip(first, second, strict=True))
    of_first, of_second = Counter(first), Counter(second)
    by_chance = sum(count * of_second[label] for label, count in of_first.items())  # times n * n
    if by_chance == n * n:
        return None
    return (observed * n - by_chance) / (n * n - by_chance)


def krippendorff_alpha(units: Sequence[Sequence[float | None]], *, level: Level) -> float | None:
    """Alpha over units, each with its observers' values in any order; None is a missing value.

    1 - (n - 1) * sum(o_ck d_ck) / sum(n_c n_k d_ck) over pairs of values, o from units with two values or more
    (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", sections C and D). `nominal`: d is 0 or 1.
    `ordinal`: d is the square of how many values lie between, the ends by half.
    None where no unit has two values, or all paired values are the same.
    """
    pairable = [present for unit in units if len(present := [v for v in unit if v is not None]) > 1]
    coincidence: dict[tuple[float, float], float] = {}
    for values in pairable:
        for pair, count in Counter(permutations(values, 2)).items():
            coincidence[pair] = coincidence.get(pair, 0.0) + count / (len(values) - 1)
    often = Counter(value for values in pairable for value in values)
    distance = _distances(often, level)
    expected = sum(often[a] * often[b] * far for (a, b), far in distance.items())
    if not expected:
        return None
    seen = sum(coincidence.get(pair, 0.0) * far for pair, far in distance.items())
    return 1 - (often.total() - 1) * seen / expected


def _distances(often: Mapping[float, int], level: Level) -> dict[tuple[float, float], float]:
    """Distance of every ordered pair of different values."""
    values = sorted(often)
    found = {}
    for i, low in enumerate(values):
        for j in range(i + 1, len(values)):
            between = sum(often[value] for value in values[i : j + 1]) - (often[low] + often[values[j]]) / 2
            far = 1.0 if level == "nominal" else between**2
            found[low, values[j]] = found[values[j], low] = far
    return found
