"""What the gate's verdicts are worth: error rates and power of `decide` in worlds whose truth is known.

    make bench-gate
    .venv/bin/python -m benchmarks.gate [--quick] [--only PART]

`equal`: how often an equal candidate is promoted, by world (equal_systems.py), with its Clopper-Pearson interval,
beside the paired t-test over items (scipy's ttest_rel) that knows of no documents. `looks`: ten equal candidates in a
row against one champion. `power`: how often a candidate that is better by the stated MDE passes. `guards`, `limits`:
false alarms of an equal candidate, and what passes although it lies at the margin. `settling`: whether the number of
items that an inconclusive rule asks for settles it. `anytime`: peeking at every tenth item, by interval and by
sequence. `time`: milliseconds of one decision. Ends with one JSON object.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.equal_systems import METRIC, WORLDS, World, items_of, losses, successes, tables
from benchmarks.machine import machine, say
from pipelines.console import progress
from pipelines.contracts import Decision, Item, Rule
from pipelines.evaluation.gate import RESAMPLES, decide
from pipelines.evaluation.policy import GatePolicy
from pipelines.evaluation.sequences import betting
from pipelines.evaluation.statistics import clopper_pearson, generator

ALPHA = 0.05
POWER = 0.8
SEED = 5
LOOKS = 10
PRIMARY = {"metric": METRIC, "better": "higher", "by": 0.0}
ALONE = GatePolicy.model_validate({"alpha": ALPHA, "primary": PRIMARY})
"""One rule: nothing but the primary metric stands between an equal candidate and its promotion."""
GUARDED = {"five_documents": (8,) * 5, "twenty_documents": (8,) * 20, "single_items": (1,) * 160}
MARGIN = 0.05
LIMIT = 0.2
Figures = dict[str, Any]


def share(hits: int, of: int) -> Figures:
    """A rate with its exact 95% interval."""
    low, high = clopper_pearson(hits, of, 0.95)
    return {"rate": round(hits / of, 4), "low": round(low, 4), "high": round(high, 4), "of": of}


def counted(name: str, of: int, happens: Callable[[np.random.Generator], bool]) -> Figures:
    """How often something happens in so many draws, said while it goes on."""
    rng = generator(SEED, name)
    hits = 0
    with progress(name) as report:
        for done in range(of):
            hits += happens(rng)
            if done % 50 == 49:
                report(done + 1, of, f"{hits} so far")
    found = share(hits, of)
    say(f"{name}: {found['rate']:.3f} ({found['low']:.3f} to {found['high']:.3f})")
    return found


def rule_of(decision: Decision, kind: str) -> Rule:
    return next(rule for rule in decision.rules if rule.rule == kind)


# --- promotions ------------------------------------------------------------------------------


def equal(n: int) -> Figures:
    """An equal candidate: promoted, failed, and promoted by a test that knows of no documents."""
    from scipy.stats import ttest_rel

    figures: Figures = {}
    for name, world in WORLDS.items():
        seen: dict[str, int] = {"FAIL": 0, "peer": 0}

        def passes(rng: np.random.Generator, world: World = world, seen: dict[str, int] = seen) -> bool:
            candidate, champion = tables(world, 0.0, rng)
            verdict = decide(candidate, champion, ALONE).verdict
            seen["FAIL"] += verdict == "FAIL"
            pairs = [(a.value, b.value) for a, b in zip(candidate, champion, strict=True)]
            first, second = zip(*[pair for pair in pairs if None not in pair], strict=True)
            with np.errstate(all="ignore"):
                found = ttest_rel(first, second)
            seen["peer"] += bool(found.pvalue <= ALPHA and found.statistic > 0)
            return verdict == "PASS"

        promoted = counted(f"equal, {name}", n, passes)
        failed, peer = share(seen["FAIL"], n), share(seen["peer"], n)
        figures[name] = {"world": world.about, "promoted": promoted, "failed": failed, "peer_promoted": peer}
    return figures


def looks(n: int) -> Figures:
    """Ten equal candidates in a row: promoted at any look, with looks counted and without."""
    figures: Figures = {}
    world = WORLDS["clustered"]

    def line(rng: np.random.Generator, counting: bool) -> bool:
        state = rng.integers(1 << 30)
        _, champion = tables(world, 0.0, np.random.default_rng(state))
        for number in range(1, LOOKS + 1):
            candidate, _ = tables(world, 0.0, rng)
            if decide(candidate, champion, ALONE, look=number if counting else 1).verdict == "PASS":
                return True
        return False

    figures["counted"] = counted(f"looks, {LOOKS} counted", n, lambda rng: line(rng, True))
    figures["not_counted"] = counted(f"looks, {LOOKS} as if each were the first", n // 4, lambda rng: line(rng, False))
    return {"looks": LOOKS, **figures}


def power(n: int) -> Figures:
    """A candidate that is truly better by the MDE which the gate states for tables like these."""
    figures: Figures = {}
    for name in ("binary", "graded", "clustered", "graded_clustered", "together", "ten_documents"):
        world = WORLDS[name]
        rng = generator(SEED, "mde", name)
        gain = stated_mde(world, rng)

        def found(rng: np.random.Generator, world: World = world, gain: float = gain) -> bool:
            return decide(*tables(world, gain, rng), ALONE).verdict == "PASS"

        figures[name] = {"mde": round(gain, 4), "found": counted(f"power, {name}, MDE {gain:.3f}", n, found)}
    return figures


def stated_mde(world: World, rng: np.random.Generator) -> float:
    """The median MDE over tables that already hold that gain: spread depends on it."""
    gain = 0.0
    for _ in range(3):
        rules = [rule_of(decide(*tables(world, gain, rng), ALONE), "primary") for _ in range(30)]
        gain = float(np.median([rule.mde for rule in rules if rule.mde is not None]))
    return gain


# --- guards and limits -----------------------------------------------------------------------


def guards(n: int) -> Figures:
    """Twelve guards on an equal candidate; one guard on a candidate that loses exactly its margin."""
    names = [f"guard_{i}" for i in range(12)]
    many = guarding(*names)
    figures: Figures = {"margin": MARGIN, "at_the_margin": {}}

    def alarmed(rng: np.random.Generator) -> bool:
        mine, theirs = tables(WORLDS["clustered"], 0.2, rng)
        for name in names:
            candidate, champion = tables(WORLDS["graded_clustered"], 0.0, rng, name)
            mine, theirs = mine + candidate, theirs + champion
        return any(rule.verdict == "FAIL" for rule in decide(mine, theirs, many).rules)

    figures["equal_failed_by_any_of_12"] = counted("guards, equal, any of 12 fails", n // 4, alarmed)
    for kind in ("rare", "mixed", "graded"):
        for name, sizes in GUARDED.items():
            figures["at_the_margin"][f"{kind}_{name}"] = counted(
                f"guards, {kind} losses, {name}: pass at the margin",
                n,
                lambda rng, k=kind, s=sizes: kept(k, s, MARGIN, rng),
            )
    figures["documents_lost_together"] = counted(
        "guards, whole documents of 20 lost: pass at the margin",
        n,
        lambda rng: kept("documents", (8,) * 20, MARGIN, rng),
    )
    figures["no_loss_passes"] = counted(
        "guards, graded, no loss: passes", n, lambda rng: kept("graded", (8,) * 20, 0.0, rng)
    )
    return figures


def guarding(*names: str) -> GatePolicy:
    rules = [{"metric": name, "better": "higher", "margin": MARGIN} for name in names]
    return GatePolicy.model_validate({"alpha": ALPHA, "primary": PRIMARY, "guards": rules})


def kept(kind: str, sizes: Sequence[int], loss: float, rng: np.random.Generator) -> bool:
    """Whether a guard passes on a candidate with this loss."""
    groups = World("", tuple(sizes), WORLDS["binary"].draw).groups
    champion, candidate = losses(kind, sizes, loss, rng)
    decision = decide(items_of(candidate, groups, "guard"), items_of(champion, groups, "guard"), guarding("guard"))
    return rule_of(decision, "guard").verdict == "PASS"


def limits(n: int) -> Figures:
    """Rates at their limit: how often it is said to be kept, and to be broken."""
    policy = GatePolicy.model_validate(
        {"alpha": ALPHA, "primary": PRIMARY, "limits": [{"metric": "attack_success", "at_most": LIMIT}]}
    )
    figures: Figures = {"limit": LIMIT}
    designs: Mapping[str, tuple[tuple[int, ...], float]] = {
        "60_single_attacks": ((1,) * 60, 0.0),
        "20_groups_of_3": ((3,) * 20, 0.3),
        "20_groups_of_8": ((8,) * 20, 0.3),
        "10_groups_of_6": ((6,) * 10, 0.3),
    }
    for name, (sizes, correlation) in designs.items():
        groups = World("", sizes, WORLDS["binary"].draw).groups
        seen = {"FAIL": 0}

        def holds(
            rng: np.random.Generator,
            sizes: tuple[int, ...] = sizes,
            correlation: float = correlation,
            groups: Sequence[str] = tuple(groups),
            seen: dict[str, int] = seen,
        ) -> bool:
            rows = items_of(successes(sizes, LIMIT, correlation, rng), groups, "attack_success")
            verdict = rule_of(decide(rows, [], policy), "limit").verdict
            seen["FAIL"] += verdict == "FAIL"
            return verdict == "PASS"

        figures[name] = {"kept": counted(f"limits, {name}, at the limit", n, holds), "broken": share(seen["FAIL"], n)}
    return figures


# --- sizes -----------------------------------------------------------------------------------


def settling(n: int) -> Figures:
    """Tables that leave it open and show what is true: with as many items as they ask for, how often is it settled?"""
    figures: Figures = {}
    gain = 0.06
    for name in ("binary", "clustered"):
        world, rng = WORLDS[name], generator(SEED, "settling", name)
        asked: list[int] = []
        for _ in range(4000):
            rule = rule_of(decide(*tables(world, gain, rng), ALONE), "primary")
            if rule.verdict == "INCONCLUSIVE" and rule.observed and abs(rule.observed - gain) < 0.007:
                asked.append(rule.items_needed or 0)
            if len(asked) == 30:
                break
        needed = int(np.median(asked))
        grown = World(world.about, (world.sizes[0],) * round(needed / world.sizes[0]), world.draw)

        def settled(rng: np.random.Generator, grown: World = grown) -> bool:
            return decide(*tables(grown, gain, rng), ALONE).verdict == "PASS"

        what = f"settling, {name}, {needed} items for {gain:.2f}"
        figures[name] = {
            "gain": gain,
            "items": sum(world.sizes),
            "needed": needed,
            "settled": counted(what, n // 2, settled),
        }
    return figures


def anytime(n: int) -> Figures:
    """400 paired differences of equal systems, looked at after every tenth: an interval excludes zero at some look."""
    from scipy.stats import t

    times = np.arange(10, 401, 10)
    wide = t.ppf(1 - ALPHA / 2, times - 1)

    def stream(rng: np.random.Generator) -> np.ndarray:
        return np.asarray(rng.choice([-1.0, 0.0, 1.0], p=[0.15, 0.7, 0.15], size=400))

    def peeking(rng: np.random.Generator) -> bool:
        values = stream(rng)
        means = np.cumsum(values)[times - 1] / times
        errors = np.sqrt((np.cumsum(values**2)[times - 1] / times - means**2) / (times - 1))
        return bool(np.any(np.abs(means) > wide * errors))

    def sequence(rng: np.random.Generator) -> bool:
        found = betting(stream(rng), ALPHA, lowest=-1.0, highest=1.0)
        return bool(np.any(found.low > 0) or np.any(found.high < 0))

    return {
        "interval": counted("anytime, an interval at every tenth item", n, peeking),
        "sequence": counted("anytime, a betting sequence at every item", n, sequence),
    }


def seconds(n: int) -> Figures:
    """Median milliseconds of `decide` with a primary, a guard and a limit."""
    policy = GatePolicy.model_validate(
        {**guarding("groundedness").model_dump(), "limits": [{"metric": METRIC, "at_least": 0.2}]}
    )
    figures: Figures = {"resamples": RESAMPLES}
    for name, world in (("160_items", WORLDS["clustered"]), ("1600_items", WORLDS["clustered"].repeated(10))):
        rng = generator(SEED, "time", name)
        mine, theirs = tables(world, 0.05, rng)
        guard = tables(WORLDS["graded_clustered"].repeated(len(world.sizes) // 20), 0.0, rng, "groundedness")
        figures[f"{name}_ms"] = round(
            1000 * median_s([*mine, *guard[0]], [*theirs, *guard[1]], policy, max(5, n // 50)), 2
        )
    return figures


def median_s(mine: Sequence[Item], theirs: Sequence[Item], policy: GatePolicy, times: int) -> float:
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        decide(mine, theirs, policy)
        taken.append(time.perf_counter() - started)
    return float(np.median(taken))


PARTS: Mapping[str, Callable[[int], Figures]] = {
    "equal": equal,
    "looks": looks,
    "power": power,
    "guards": guards,
    "limits": limits,
    "settling": settling,
    "anytime": anytime,
    "time": seconds,
}


def goals(figures: Mapping[str, Figures]) -> Figures:
    """Met where the exact interval of a rate does not lie beyond what was promised."""
    met: Figures = {"false_promotion_at_most": ALPHA, "power_at_least": POWER}
    if "equal" in figures:
        met["false_promotion_met"] = all(row["promoted"]["low"] <= ALPHA for row in figures["equal"].values())
    if "looks" in figures:
        met["repeated_looks_met"] = figures["looks"]["counted"]["low"] <= ALPHA
    if "power" in figures:
        met["power_met"] = all(row["found"]["high"] >= POWER for row in figures["power"].values())
    return met


def main() -> None:
    """Run the parts that are asked for and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100 draws instead of 1,000: to see that it runs")
    parser.add_argument("--only", action="append", choices=list(PARTS), metavar="PART", help=", ".join(PARTS))
    chosen = parser.parse_args()
    import scipy

    where, draws = machine(), 100 if chosen.quick else 1000
    figures: dict[str, Figures] = {}
    spent: dict[str, float] = {}
    for part in chosen.only or PARTS:
        say(f"--- {part}")
        started = time.perf_counter()
        figures[part] = PARTS[part](draws)
        spent[part] = round(time.perf_counter() - started, 1)
    told = {
        "bench": "gate",
        "quick": chosen.quick,
        "draws": draws,
        "figures": figures,
        "goals": goals(figures),
        "peer": f"scipy {scipy.__version__}: ttest_rel over items",
        "seconds": spent,
        "machine": where,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
