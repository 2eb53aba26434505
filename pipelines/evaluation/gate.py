"""Two item tables and a policy -> a decision: PASS, FAIL or INCONCLUSIVE, with the numbers.

What the verdicts claim, at the alpha of this look (two-sided intervals, alpha / 2 beyond each end; the first look has
the policy's alpha, looks.py says what later ones have):

    primary  PASS  the candidate is better by more than `by`: the paired difference's lower bound exceeds it,
                   and the randomisation test over groups gives p <= alpha (few discordant items make
                   an interval too sure)
             FAIL  it is surely not: the upper bound is below `by` (for by = 0: significantly worse), likewise
    guard    PASS  not worse by `margin`: lower bound above -margin (one that allows for rare losses: clusters.py)
             FAIL  upper bound below -margin
    limit    PASS  the bound next to the limit keeps it (upper <= at_most);  FAIL  the far one breaks it
    INCONCLUSIVE   everything else: `items_needed` says what would settle it, `mde` what could be seen

A candidate that is as good as the champion is INCONCLUSIVE, not FAIL: nothing shows that it is worse, and
a person may still want it (a shorter prompt, newer documents).
Together: any FAIL is FAIL, else any INCONCLUSIVE is INCONCLUSIVE. PASS needs every rule, which needs no
correction (intersection-union test, Berger 1982). A FAIL needs only one, so the guards' FAIL claims are
corrected for their number (Holm 1979); primary and limits are claims of their own and are not.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path

from pipelines.artifacts import StageJob, read_json, sha256_file, write_json
from pipelines.contracts import Decision, Item, Rule, Verdict
from pipelines.evaluation.items import NOTHING, Measured, by_metric, checked, need_even_repeats, read_items, same_suite
from pipelines.evaluation.looks import LEDGER, alpha_at, look_of, record, standing, withheld
from pipelines.evaluation.policy import GatePolicy, load_policy, load_targets
from pipelines.evaluation.rules import Chance, apply_guard, apply_limit, apply_primary, corrected

__all__ = ["decide", "decide_tables", "load_policy", "read_items", "run"]

SEED, RESAMPLES = 7, 2000
"""Of the door `groundwork gate`, which has no settings."""


def decide(
    candidate: Sequence[Item],
    champion: Sequence[Item],
    policy: GatePolicy,
    *,
    names: tuple[str, str] = ("candidate", "champion"),
    seed: int = SEED,
    resamples: int = RESAMPLES,
    evidence: Mapping[str, str] | None = None,
    look: int = 1,
) -> Decision:
    """Apply every rule of the policy to the items of both systems.

    `look`: which comparison on this golden set it is; later ones have less of alpha to spend.
    Raises QuestionFileError for a repeated row, an infinite value, uneven repeats or groups that disagree, PolicyError
    for look 0.
    """
    alpha = alpha_at(policy.alpha, look)
    tables = checked(candidate, names[0]), checked(champion, names[1])
    for table, name in zip(tables, names, strict=True):
        need_even_repeats(table, policy.metrics, name)
    mine, theirs = by_metric(tables[0]), by_metric(tables[1])
    rules = _apply(mine, theirs, policy.model_copy(update={"alpha": alpha}), Chance(seed, resamples))
    same = _same(mine, theirs, policy)
    verdict = overall([rule.verdict for rule in rules])
    return Decision(
        verdict=verdict,
        candidate=names[0],
        against=names[1],
        rules=tuple(rules),
        policy_digest=policy.digest,
        evidence=dict(evidence or {}),
        why=_why(rules, verdict, look, alpha, same=same) + _told_unknown(policy, {*mine, *theirs}),
        nothing_to_decide=same,
        look=look,
        alpha=alpha,
    )


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """FAIL before INCONCLUSIVE before PASS."""
    if "FAIL" in verdicts:
        return "FAIL"
    return "INCONCLUSIVE" if "INCONCLUSIVE" in verdicts else "PASS"


def _apply(
    mine: Mapping[str, Measured], theirs: Mapping[str, Measured], policy: GatePolicy, chance: Chance
) -> list[Rule]:
    metric = policy.primary.metric
    primary = apply_primary(policy.primary, mine.get(metric, NOTHING), theirs.get(metric, NOTHING), policy, chance)
    guards = [
        apply_guard(guard, mine.get(guard.metric, NOTHING), theirs.get(guard.metric, NOTHING), policy, chance)
        for guard in policy.guards
    ]
    limits = [apply_limit(limit, mine.get(limit.metric, NOTHING), policy, chance) for limit in policy.limits]
    return [primary.rule, *corrected(guards, policy.alpha), *(limit.rule for limit in limits)]


def _same(mine: Mapping[str, Measured], theirs: Mapping[str, Measured], policy: GatePolicy) -> bool:
    """Whether the two systems measured alike on every item that the comparison looks at."""
    compared = [policy.primary.metric, *(guard.metric for guard in policy.guards)]
    pairs = [(mine.get(metric, NOTHING).values, theirs.get(metric, NOTHING).values) for metric in compared]
    return all(dict(a) == dict(b) for a, b in pairs) and any(a for a, _ in pairs)


def _why(rules: Sequence[Rule], verdict: Verdict, look: int, alpha: float, *, same: bool) -> str:
    if same:
        return "Nothing to decide: both systems measure the same on every item that is compared."
    counted = "" if look == 1 else f"Look {look} at this golden set: alpha {alpha:.2g}. "
    if verdict == "PASS":
        return f"{counted}Every rule holds. {rules[0].why}"
    return counted + " ".join(rule.why for rule in rules if rule.verdict == verdict)


def _told_unknown(policy: GatePolicy, measured: Collection[str]) -> str:
    """The policy's metrics that no table has, and what a misspelt one may mean."""
    told = []
    for metric in policy.metrics:
        if metric not in measured:
            near = get_close_matches(metric, measured, 1)
            told.append(f"{metric} ({f'did you mean {near[0]}?' if near else 'there are: ' + _some(measured)})")
    return f" No table has a row of: {', '.join(told)}." if told else ""


def _some(names: Collection[str]) -> str:
    return ", ".join(sorted(names)[:8]) or "none"


# --- doors -----------------------------------------------------------------------------------


def decide_tables(
    candidate: Path, champion: Path, policy: Path, targets: Path | None = None, *, look: int = 1
) -> Decision:
    """`groundwork gate`: two item tables (Parquet or JSON Lines) and a policy file -> the decision.

    `targets`: the file that holds the numbers of limits that say `target`. `look`: as the caller counts them.
    """
    files = {"candidate": candidate, "champion": champion, "policy": policy}
    loaded = load_policy(policy, load_targets(targets) if targets else None)
    items, reference = read_items(candidate), read_items(champion)
    same_suite(candidate, champion)
    evidence = {name: sha256_file(path) for name, path in files.items()}
    return decide(items, reference, loaded, names=(candidate.name, champion.name), evidence=evidence, look=look)


def run(job: StageJob) -> None:
    """Stage `gate`: the items of `evaluate` and `redteam` -> decision.json, decision.html."""
    from pipelines.evaluation.decision_html import page

    policy = load_policy(job.inputs["gate"], load_targets(job.inputs["targets"]))
    evaluated, attacked = job.inputs["evaluate"], job.inputs["redteam"]
    report = read_json(evaluated / "report.json")
    against = "champion" if (evaluated / "items-champion.parquet").exists() else "base"
    candidate = [*read_items(evaluated / "items-candidate.parquet"), *read_items(attacked / "items.parquet")]
    files = [evaluated / f"items-{against}.parquet", evaluated / "items-candidate.parquet"]
    files += [evaluated / "report.json", attacked / "items.parquet"]
    reference, name = read_items(files[0]), report["systems"][against]["name"]
    ledger, now = job.state / LEDGER, datetime.now(UTC).isoformat(timespec="seconds")
    look = look_of(
        candidate, reference, policy, system=report["systems"]["candidate"]["digest"], against=name, when=now
    )
    at = standing(ledger, look)
    found = decide(
        candidate,
        reference,
        policy,
        names=("candidate", name),
        seed=job.settings.evaluation.seed,
        resamples=job.settings.evaluation.bootstrap_resamples,
        evidence={f"{path.parent.name}/{path.name}": sha256_file(path) for path in files},
        look=at.number,
    )
    if not found.nothing_to_decide:
        record(ledger, look)
    decision = withheld(found, at)
    write_json(job.output / "decision.json", decision)
    page(decision, policy, job.output / "decision.html")
    job.report(1, 1, decision.verdict)
