"""Item tables -> measurements and comparisons, each with its interval.

Invariant: a missing value is counted in `missing` and never averaged; a comparison is over the items that
both systems have, and says how many.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.contracts import Comparison, Contract, Item, Measurement
from pipelines.evaluation import statistics
from pipelines.evaluation.items import Measured, by_metric, groups_of, is_share

ALL = "all"
SLICED = (
    "answer_correct",
    "token_f1",
    "groundedness",
    "wrong_refusal_rate",
    "wrong_answer_rate",
    "citation_correct",
    "golden_prompt_pass",
    "attack_success",
)
"""Metrics that are also given slice by slice."""


@dataclass(frozen=True)
class Precision:
    """How intervals are computed."""

    confidence: float
    resamples: int
    seed: int


class Rate(Contract):
    """A share of n with its interval."""

    value: float
    low: float
    high: float
    n: float
    """How many it rests on; of grouped items, how many independent ones they are worth."""


def rate_of(
    values: Sequence[float], confidence: float, *, groups: Sequence[str] | None = None, exact: bool = False
) -> Rate | None:
    """The mean of 0..1 values with Wilson's interval over as many items as they are worth; None without any.

    Without `groups` each item stands alone. `exact`: Clopper and Pearson's interval, which never covers too seldom.
    """
    if not values:
        return None
    array = np.asarray(values, dtype=np.float64)
    worth = float(len(array)) if groups is None else statistics.effective_items(array, groups)
    mean = float(array.mean())
    low, high = (statistics.clopper_pearson if exact else statistics.wilson)(mean * worth, worth, confidence)
    return Rate(value=mean, low=low, high=high, n=worth)


def measurements(
    system: str, items: Sequence[Item], precision: Precision, *, in_slices: Collection[str] = SLICED
) -> list[Measurement]:
    """Every metric over all items, and those of `in_slices` slice by slice."""
    return [
        _measurement(system, metric, part, measured, precision)
        for part, rows in sliced(items).items()
        for metric, measured in sorted(by_metric(rows).items())
        if part == ALL or metric in in_slices
    ]


def comparisons(
    system: str,
    items: Sequence[Item],
    against: str,
    others: Sequence[Item],
    precision: Precision,
    *,
    in_slices: Collection[str] = SLICED,
) -> list[Comparison]:
    """Every metric that both systems have, paired by item."""
    theirs = sliced(others)
    found = []
    for part, rows in sliced(items).items():
        reference = by_metric(theirs.get(part, []))
        for metric, measured in sorted(by_metric(rows).items()):
            if metric in reference and (part == ALL or metric in in_slices):
                found.append(_comparison((system, against), metric, part, (measured, reference[metric]), precision))
    return found


def sliced(items: Iterable[Item]) -> dict[str, list[Item]]:
    """`all`, then each slice by name; a table with one slice has no others."""
    every = list(items)
    parts: dict[str, list[Item]] = {}
    for item in every:
        parts.setdefault(item.slice, []).append(item)
    parts.pop(ALL, None)
    return {ALL: every} | (dict(sorted(parts.items())) if len(parts) > 1 else {})


def _measurement(system: str, metric: str, part: str, measured: Measured, precision: Precision) -> Measurement:
    present = {item: value for item, value in measured.values.items() if value is not None}
    missing = len(measured.values) - len(present)
    if not present:
        return Measurement(
            system=system, metric=metric, slice=part, value=None, low=None, high=None, n=0, n_groups=0, missing=missing
        )
    names = sorted(present)
    estimate = statistics.mean_interval(
        [present[name] for name in names],
        [measured.groups[name] for name in names],
        confidence=precision.confidence,
        resamples=precision.resamples,
        rng=statistics.generator(precision.seed, "measure", system, metric, part),
    )
    return Measurement(
        system=system,
        metric=metric,
        slice=part,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        n=estimate.n,
        n_groups=estimate.n_groups,
        missing=missing,
    )


def _comparison(
    systems: tuple[str, str], metric: str, part: str, pair: tuple[Measured, Measured], precision: Precision
) -> Comparison:
    differences = _paired(*pair)
    named = {"metric": metric, "slice": part, "system": systems[0], "against": systems[1]}
    if not differences:
        return Comparison(**named, difference=None, low=None, high=None, p_value=None, n=0, n_groups=0)
    groups = groups_of(*pair)
    names = sorted(differences)
    found = statistics.paired_difference(
        [differences[name] for name in names],
        [groups[name] for name in names],
        confidence=precision.confidence,
        resamples=precision.resamples,
        rng=statistics.generator(precision.seed, "compare", *systems, metric, part),
        largest=1.0 if is_share(metric, [*pair[0].present, *pair[1].present]) else None,
    )
    return Comparison(
        **named,
        difference=found.value,
        low=found.low,
        high=found.high,
        p_value=found.p_value,
        n=found.n,
        n_groups=found.n_groups,
    )


def _paired(first: Measured, second: Measured) -> Mapping[str, float]:
    pairs = ((item, value, second.values.get(item)) for item, value in first.values.items())
    return {item: mine - theirs for item, mine, theirs in pairs if mine is not None and theirs is not None}
