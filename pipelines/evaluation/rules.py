"""The rules of a gate, each on its own: a paired difference against a threshold, a mean against a limit.

Invariants: a rule sees the same interval that a report shows (a guard's lower end is wider: rare losses); PASS and
FAIL are claims that the interval supports, INCONCLUSIVE is everything else. Missing values are filled both ways, the
worst for the candidate and the best, and a verdict stands only if both give it: dropping them would let a system that
fails on the hard items look better (Manski 1990, "Nonparametric bounds on treatment effects").
Not covered: what the verdicts mean together (gate.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pipelines.contracts import Rule, Verdict
from pipelines.evaluation import statistics
from pipelines.evaluation.clusters import (
    Claim,
    Clustered,
    cautious_low,
    clustered,
    detectable,
    items_to_detect,
)
from pipelines.evaluation.items import Measured, groups_of, is_share
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
    """Values to judge, their groups, and the largest that a difference can be (None: unknown)."""

    values: Sequence[float]
    groups: Sequence[str]
    largest: float | None = None


# --- candidate against champion --------------------------------------------------------------


def apply_primary(
    rule: Primary, candidate: Measured, champion: Measured, policy: GatePolicy, chance: Chance
) -> Finding:
    """Superiority: the paired difference's lower bound exceeds `by`, and a randomisation test agrees.

    The same the other way for FAIL: equal systems fail no more often than they pass.
    """
    return _difference("primary", rule, rule.by, candidate, champion, policy, chance)


def apply_guard(rule: Guard, candidate: Measured, champion: Measured, policy: GatePolicy, chance: Chance) -> Finding:
    """Non-inferiority: the paired difference's cautious lower bound exceeds minus the margin."""
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
    groups = groups_of(candidate, champion)
    every = sorted(groups)
    paired = [i for i in every if candidate.values.get(i) is not None and champion.values.get(i) is not None]
    told = _told_missing(candidate, champion, every, len(paired))
    if not paired:
        return _without_data(
            kind, rule.metric, threshold, policy, _because("no item was measured for both systems", told)
        )
    share = is_share(rule.metric, [*candidate.present, *champion.present])
    if not told:
        filled = [_pairs(candidate, champion, every)]
    elif share:
        filled = _fillings(candidate, champion, every, rule.better)
    else:
        reason = _because("how bad a missing value could be is not known", told)
        return _without_data(kind, rule.metric, threshold, policy, reason)
    largest = 1.0 if share else None
    samples = [_Sample(_oriented(each, rule.better), [groups[i] for i in every], largest) for each in filled]
    findings = [_judge_difference(kind, rule, threshold, sample, policy, chance) for sample in samples]
    return _agreed(findings, told, policy)


def _told_missing(candidate: Measured, champion: Measured, every: Sequence[str], paired: int) -> str:
    """Who lacks which items; nothing where none is missing."""
    if paired == len(every):
        return ""
    parts = []
    for name, measured in (("candidate", candidate), ("champion", champion)):
        absent = [i for i in every if i not in measured.values]
        failed = [i for i in every if i in measured.values and measured.values[i] is None]
        if absent:
            parts.append(f"the {name} has no row for {len(absent)} (first: {absent[0]})")
        if failed:
            parts.append(f"the {name} has {len(failed)} without a value (first: {failed[0]})")
    return f"{len(every) - paired} of {len(every)} items are missing: {', '.join(parts)}"


def _because(reason: str, told: str) -> str:
    return f"{reason}: {told}" if told else reason


def _pairs(candidate: Measured, champion: Measured, items: Sequence[str]) -> list[float]:
    return [(candidate.values[i] or 0.0) - (champion.values[i] or 0.0) for i in items]


def _fillings(candidate: Measured, champion: Measured, items: Sequence[str], better: Better) -> list[list[float]]:
    """Differences with missing values at the candidate's worst and at its best, for values within 0..1."""
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
        sample.values,
        sample.groups,
        confidence=1 - policy.alpha,
        resamples=chance.resamples,
        rng=rng,
        largest=sample.largest,
        tested=False,
    )
    guard = kind == "guard"
    low = cautious_low(found.spread, 1 - policy.alpha) if guard else found.low
    if low is not None and found.low is not None:
        low = max(min(low, found.low), -(sample.largest or np.inf))
    above = low is not None and low > threshold
    below = found.high is not None and found.high < threshold
    p_below = statistics.wider_p_value(found.resampled, found.spread, threshold, "below")
    if not guard and (above or below):
        shifted = np.asarray(sample.values) - threshold
        flipped = statistics.sign_flip(shifted, sample.groups, rng=rng)
        above, below = above and flipped <= policy.alpha, below and flipped <= policy.alpha
    verdict: Verdict = "PASS" if above else "FAIL" if below else "INCONCLUSIVE"
    needed = _items_to_settle(found.spread, threshold, policy.alpha, guard=guard) if verdict == "INCONCLUSIVE" else None
    applied = Rule(
        rule=kind,
        metric=rule.metric,
        verdict=verdict,
        observed=found.value,
        bound=found.high if below else low,
        required=threshold,
        mde=detectable(found.spread, policy.alpha, by="cautious" if guard else "flips"),
        n=found.n,
        items_needed=needed,
        why=_why_difference(kind, rule, found, low, threshold, verdict)
        + _told_needed(verdict, found.n, found.n_groups, needed),
    )
    return Finding(applied, p_below)


def _items_to_settle(spread: Clustered, threshold: float, alpha: float, *, guard: bool) -> int | None:
    """Items that settle the rule with 80% power, either way, if what was seen is what is true."""
    effect = spread.mean - threshold
    by: Claim = "flips" if not guard else "cautious" if effect > 0 else "interval"
    needed = items_to_detect(spread, abs(effect), alpha, by=by)
    if needed is None:
        return None
    if not guard:  # the fewest groups whose signs, all alike, are rarer than alpha: 2 / 2^groups
        needed = max(needed, int(np.ceil(np.ceil(np.log2(2 / alpha)) * spread.n / spread.n_groups)))
    return max(needed, int(spread.n) + 1)


def _told_needed(verdict: Verdict, n: int, n_groups: int, needed: int | None) -> str:
    if verdict != "INCONCLUSIVE":
        return ""
    if n_groups < 2:
        return " One group does not say how groups differ: measure items of other documents."
    if needed is None:
        return " No number of items like these would settle it: what was measured lies at what is asked."
    return f" About {needed - n} more items like these ({needed} in all) would settle it, if what was seen is true."


def _why_difference(
    kind: str,
    rule: Primary | Guard,
    found: statistics.Difference,
    low: float | None,
    threshold: float,
    verdict: Verdict,
) -> str:
    direction = "" if rule.better == "higher" else ", sign turned so that more is better"
    bounds = "no interval: one group" if low is None else f"interval {low:+.3f} to {found.high:+.3f}"
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
    items = sorted(candidate.values)
    missing = len(items) - len(candidate.present)
    told = f"{missing} of {len(items)} items are missing" if missing else ""
    if not candidate.present:
        return _without_data("limit", rule.metric, required, policy, _because("it was not measured", told))
    groups = [candidate.groups[i] for i in items]
    if missing and not is_share(rule.metric, candidate.present):
        reason = _because("how bad a missing value could be is not known", told)
        return _without_data("limit", rule.metric, required, policy, reason)
    fills = (1.0, 0.0) if missing else (0.0,)
    findings = [
        _judge_limit(rule, required, _Sample([_or(candidate.values[i], fill) for i in items], groups), policy, chance)
        for fill in fills
    ]
    return _agreed(findings, told, policy)


def _judge_limit(rule: Limit, required: float, sample: _Sample, policy: GatePolicy, chance: Chance) -> Finding:
    mean, bounds = float(np.mean(sample.values)), _limit_bounds(rule, sample, policy, chance)
    low, high = bounds if bounds else (None, None)
    at_most = rule.at_most is not None
    holds = high is not None and high <= required if at_most else low is not None and low >= required
    broken = low is not None and low > required if at_most else high is not None and high < required
    verdict: Verdict = "PASS" if holds else "FAIL" if broken else "INCONCLUSIVE"
    deciding = high if at_most != broken else low
    needed = _items_for_limit(rule, sample, required, policy) if verdict == "INCONCLUSIVE" else None
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
        items_needed=needed,
        why=f"{rule.metric}: {mean:.3f}, {shown}, over {len(sample.values)} items; {asked} is {settled}."
        + _told_needed(verdict, len(sample.values), len(set(sample.groups)), needed),
    )
    return Finding(applied, 0.0)


def _items_for_limit(rule: Limit, sample: _Sample, required: float, policy: GatePolicy) -> int | None:
    """Items that settle the limit with 80% power, if what was seen is true; by what grouped ones are worth."""
    values, n = np.asarray(sample.values, dtype=np.float64), len(sample.values)
    if is_share(rule.metric, sample.values):
        needed = statistics.items_for_rate(float(values.mean()), required, 1 - policy.alpha)
        each = n / statistics.effective_items(values, sample.groups)
        return None if needed is None else max(int(np.ceil(needed * each)), n + 1)
    spread = clustered(values, sample.groups)
    needed = items_to_detect(spread, abs(spread.mean - required), policy.alpha)
    return None if needed is None else max(needed, n + 1)


def _limit_bounds(rule: Limit, sample: _Sample, policy: GatePolicy, chance: Chance) -> tuple[float, float] | None:
    """Clopper-Pearson on the effective number of items (Korn & Graubard 1998), or the wider of bootstrap and t."""
    values = np.asarray(sample.values, dtype=np.float64)
    if is_share(rule.metric, sample.values):
        worth = statistics.effective_items(values, sample.groups)
        return statistics.clopper_pearson(float(values.mean()) * worth, worth, 1 - policy.alpha)
    rng = statistics.generator(chance.seed, "gate", "limit", rule.metric)
    resampled, _ = statistics.resampled_means(values, sample.groups, resamples=chance.resamples, rng=rng)
    return statistics.wider_interval(resampled, clustered(values, sample.groups), 1 - policy.alpha)


# --- missing data ----------------------------------------------------------------------------


def _agreed(findings: Sequence[Finding], told: str, policy: GatePolicy) -> Finding:
    """The verdict that both fillings give, else what the policy says of missing data."""
    worst = findings[0]
    if len(findings) == 1:
        return worst
    note = f" {told}; they are filled with the worst and the best value"
    if len({finding.rule.verdict for finding in findings}) == 1:
        fixed = worst.rule.model_copy(update={"why": f"{worst.rule.why}{note}, and both agree."})
        return replace(worst, rule=fixed, p_fail=max(finding.p_fail for finding in findings))
    why = f"{worst.rule.why}{note}, and the verdicts differ; the policy says `missing: {policy.missing}`."
    return replace(worst, rule=worst.rule.model_copy(update={"verdict": _of_missing(policy), "why": why}))


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


def _or(value: float | None, fill: float) -> float:
    return fill if value is None else value


def _oriented(differences: Sequence[float], better: Better) -> list[float]:
    return list(differences) if better == "higher" else [-difference for difference in differences]
