"""The rules of a gate, each on its own: a paired difference against a threshold, a mean against a limit.

Invariants: a rule sees the same interval that a report shows; PASS and FAIL are claims that the interval
supports, INCONCLUSIVE is everything else. Missing values are filled both ways, the worst for the candidate
and the best, and a verdict stands only if both give it: dropping them would let a system that fails on the
hard items look better (Manski 1990, "Nonparametric bounds on treatment effects").
Not covered: what the verdicts mean together (gate.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pipelines.contracts import Rule, Verdict
from pipelines.evaluation import statistics
from pipelines.evaluation.items import Measured, groups_of
from pipelines.evaluation.policy import Better, GatePolicy, Guard, Limit, Primary


@dataclass(frozen=True)
class Chance:
    """How intervals are computed: the same for every rule."""

    seed: int
    resamples: int


@dataclass(frozen=True)
class Finding:
    """A rule as applied, with the p-value of its FAIL claim for the correction over all guards."""

    rule: Rule
    p_fail: float


@dataclass(frozen=True)
class _Sample:
    """Values to judge and their groups; `missing` of them are filled in."""

    values: Sequence[float]
    groups: Sequence[str]


# --- candidate against champion --------------------------------------------------------------


def apply_primary(
    rule: Primary, candidate: Measured, champion: Measured, policy: GatePolicy, chance: Chance
) -> Finding:
    """Superiority: the paired difference's lower bound exceeds `by`, and a randomisation test agrees."""
    return _difference("primary", rule, rule.by, candidate, champion, policy, chance)


def apply_guard(rule: Guard, candidate: Measured, champion: Measured, policy: GatePolicy, chance: Chance) -> Finding:
    """Non-inferiority: the paired difference's lower bound exceeds minus the margin."""
    return _difference("guard", rule, -rule.margin, candidate, champion, policy, chance)


def _difference(
    kind: Literal["primary", "guard"],
    rule: Primary | Guard,
    threshold: float,
    candidate: Measured,
    champion: Measured,
    policy: GatePolicy,
    chance: Chance,
) -> Finding:
    paired = [i for i in candidate.values if candidate.values[i] is not None and champion.values.get(i) is not None]
    if not paired:
        return _without_data(kind, rule.metric, threshold, policy, "no item was measured for both systems")
    groups = groups_of(candidate, champion)
    every = sorted(groups)
    missing = len(every) - len(paired)
    filled = _fillings(candidate, champion, every, rule.better) if missing else [_pairs(candidate, champion, every)]
    if not filled:
        return _without_data(kind, rule.metric, threshold, policy, f"{missing} of {len(every)} items are missing")
    samples = [_Sample(_oriented(each, rule.better), [groups[i] for i in every]) for each in filled]
    findings = [_judge_difference(kind, rule, threshold, sample, policy, chance) for sample in samples]
    return _agreed(findings, missing, len(every), policy)


def _pairs(candidate: Measured, champion: Measured, items: Sequence[str]) -> list[float]:
    return [(candidate.values[i] or 0.0) - (champion.values[i] or 0.0) for i in items]


def _fillings(candidate: Measured, champion: Measured, items: Sequence[str], better: Better) -> list[list[float]]:
    """Differences with missing values at the candidate's worst and at its best; none where no scale is known."""
    if not _is_share([*candidate.present, *champion.present]):
        return []
    good, bad = (1.0, 0.0) if better == "higher" else (0.0, 1.0)
    return [
        [_or(candidate.values.get(i), mine) - _or(champion.values.get(i), theirs) for i in items]
        for mine, theirs in ((bad, good), (good, bad))
    ]


def _judge_difference(
    kind: Literal["primary", "guard"],
    rule: Primary | Guard,
    threshold: float,
    sample: _Sample,
    policy: GatePolicy,
    chance: Chance,
) -> Finding:
    rng = statistics.generator(chance.seed, "gate", kind, rule.metric)
    found = statistics.paired_difference(
        sample.values, sample.groups, confidence=1 - policy.alpha, resamples=chance.resamples, rng=rng
    )
    above = found.low is not None and found.low > threshold
    below = found.high is not None and found.high < threshold
    if kind == "primary" and above:
        shifted = np.asarray(sample.values) - threshold
        above = statistics.sign_flip(shifted, sample.groups, rng=rng) <= policy.alpha
    verdict: Verdict = "PASS" if above else "FAIL" if below else "INCONCLUSIVE"
    effect = abs(found.value - threshold)
    needed = statistics.items_for_difference(found.n, found.standard_error, effect, policy.alpha)
    applied = Rule(
        rule=kind,
        metric=rule.metric,
        verdict=verdict,
        observed=found.value,
        bound=found.high if below else found.low,
        required=threshold,
        mde=statistics.minimum_detectable(found.standard_error, policy.alpha),
        n=found.n,
        items_needed=max(needed, found.n + 1) if needed and verdict == "INCONCLUSIVE" else None,
        why=_why_difference(kind, rule, found, threshold, verdict),
    )
    return Finding(applied, statistics.bound_p_value(found.resampled, found.n_groups, threshold, "below"))


def _why_difference(
    kind: str, rule: Primary | Guard, found: statistics.Difference, threshold: float, verdict: Verdict
) -> str:
    direction = "" if rule.better == "higher" else ", sign turned so that more is better"
    bounds = "no interval: one group" if found.low is None else f"interval {found.low:+.3f} to {found.high:+.3f}"
    asked = f"better by more than {threshold:g}" if kind == "primary" else f"not worse by {-threshold:g} or more"
    shown = {"PASS": "shown", "FAIL": "ruled out", "INCONCLUSIVE": "neither shown nor ruled out"}[verdict]
    return (
        f"{rule.metric}: difference {found.value:+.3f}{direction}, {bounds}, over {found.n} items in "
        f"{found.n_groups} groups; {asked} is {shown}."
    )


def corrected(findings: Sequence[Finding], alpha: float) -> list[Rule]:
    """Guards after Holm's correction of their FAIL claims: one that no longer holds becomes INCONCLUSIVE."""
    adjusted = statistics.holm([finding.p_fail for finding in findings])
    rules = []
    for finding, p_value in zip(findings, adjusted, strict=True):
        rule = finding.rule
        if rule.verdict == "FAIL" and rule.observed is not None and p_value > alpha:
            why = f"{rule.why} Not after Holm's correction for {len(findings)} guards (p = {p_value:.3f})."
            rule = rule.model_copy(update={"verdict": "INCONCLUSIVE", "why": why})
        rules.append(rule)
    return rules


# --- the candidate alone ---------------------------------------------------------------------


def apply_limit(rule: Limit, candidate: Measured, policy: GatePolicy, chance: Chance) -> Finding:
    """The mean surely stays on the right side: exact bounds for shares, bootstrap bounds for other scales."""
    required = float(rule.at_most if rule.at_most is not None else rule.at_least or 0.0)
    if not candidate.present:
        return _without_data("limit", rule.metric, required, policy, "it was not measured")
    items = sorted(candidate.values)
    groups = [candidate.groups[i] for i in items]
    missing = len(items) - len(candidate.present)
    if missing and not _is_share(candidate.present):
        return _without_data("limit", rule.metric, required, policy, f"{missing} of {len(items)} items are missing")
    fills = (1.0, 0.0) if missing else (0.0,)
    findings = [
        _judge_limit(rule, required, _Sample([_or(candidate.values[i], fill) for i in items], groups), policy, chance)
        for fill in fills
    ]
    return _agreed(findings, missing, len(items), policy)


def _judge_limit(rule: Limit, required: float, sample: _Sample, policy: GatePolicy, chance: Chance) -> Finding:
    mean, bounds = float(np.mean(sample.values)), _limit_bounds(rule, sample, policy, chance)
    low, high = bounds if bounds else (None, None)
    at_most = rule.at_most is not None
    holds = high is not None and high <= required if at_most else low is not None and low >= required
    broken = low is not None and low > required if at_most else high is not None and high < required
    verdict: Verdict = "PASS" if holds else "FAIL" if broken else "INCONCLUSIVE"
    deciding = high if at_most != broken else low
    needed = None
    if verdict == "INCONCLUSIVE" and _is_share(sample.values):
        needed = statistics.items_for_rate(mean, required, 1 - policy.alpha)
    shown = "no interval: one group" if low is None else f"interval {low:.3f} to {high:.3f}"
    asked = f"{'at most' if at_most else 'at least'} {required:g}"
    settled = {"PASS": "shown", "FAIL": "ruled out", "INCONCLUSIVE": "neither shown nor ruled out"}[verdict]
    applied = Rule(
        rule="limit",
        metric=rule.metric,
        verdict=verdict,
        observed=mean,
        bound=deciding,
        required=required,
        n=len(sample.values),
        items_needed=max(needed, len(sample.values) + 1) if needed else None,
        why=f"{rule.metric}: {mean:.3f}, {shown}, over {len(sample.values)} items; {asked} is {settled}.",
    )
    return Finding(applied, 0.0)


def _limit_bounds(rule: Limit, sample: _Sample, policy: GatePolicy, chance: Chance) -> tuple[float, float] | None:
    """Clopper-Pearson on the effective number of items (Korn & Graubard 1998), or the bootstrap."""
    values = np.asarray(sample.values, dtype=np.float64)
    if _is_share(sample.values):
        worth = statistics.effective_items(values, sample.groups)
        return statistics.clopper_pearson(float(values.mean()) * worth, worth, 1 - policy.alpha)
    rng = statistics.generator(chance.seed, "gate", "limit", rule.metric)
    resampled, n_groups = statistics.resampled_means(values, sample.groups, resamples=chance.resamples, rng=rng)
    return statistics.percentile_interval(resampled, n_groups, 1 - policy.alpha)


# --- missing data ----------------------------------------------------------------------------


def _agreed(findings: Sequence[Finding], missing: int, n: int, policy: GatePolicy) -> Finding:
    """The verdict that both fillings give, else what the policy says of missing data."""
    worst = findings[0]
    if len(findings) == 1:
        return worst
    note = f" {missing} of {n} items are missing; they are filled with the worst and the best value"
    if len({finding.rule.verdict for finding in findings}) == 1:
        fixed = worst.rule.model_copy(update={"why": f"{worst.rule.why}{note}, and both agree."})
        return replace(worst, rule=fixed, p_fail=max(finding.p_fail for finding in findings))
    changes = {"verdict": _of_missing(policy), "why": f"{worst.rule.why}{note}, and the verdicts differ."}
    return replace(worst, rule=worst.rule.model_copy(update=changes))


def _without_data(kind: str, metric: str, required: float, policy: GatePolicy, reason: str) -> Finding:
    rule = Rule(
        rule=kind,
        metric=metric,
        verdict=_of_missing(policy),
        observed=None,
        bound=None,
        required=required,
        why=f"{metric}: {reason}; the policy says `missing: {policy.missing}`.",
    )
    return Finding(rule, 0.0)


def _of_missing(policy: GatePolicy) -> Verdict:
    return "FAIL" if policy.missing == "fail" else "INCONCLUSIVE"


def _is_share(values: Sequence[float]) -> bool:
    return all(0.0 <= value <= 1.0 for value in values)


def _or(value: float | None, fill: float) -> float:
    return fill if value is None else value


def _oriented(differences: Sequence[float], better: Better) -> list[float]:
    return list(differences) if better == "higher" else [-difference for difference in differences]
