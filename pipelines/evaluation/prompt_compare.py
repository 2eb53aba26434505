"""Item tables of the same questions under several prompts -> paired differences, and what they do and do not say.

Invariants: a difference is `second - first`, paired by item and resampled by whole documents; a claim needs both its
interval and the randomisation test over documents, corrected for the number of pairs (Holm) where there are more than
two prompts; one metric, named beforehand, decides. No data is no figure.
Limits: figures other than the deciding one are not corrected for their number; McNemar's test stands beside them and
takes items for independent, which questions of one document are not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

from pipelines.contracts import Answer, Contract, Item
from pipelines.evaluation import statistics
from pipelines.evaluation.clusters import detectable, items_to_detect
from pipelines.evaluation.items import Measured, by_metric, groups_of, is_share
from pipelines.evaluation.labels import label
from pipelines.evaluation.measure import ALL, Precision, measurements

SHOWN = (
    *("answer_correct", "token_f1", "groundedness", "wrong_refusal_rate", "wrong_answer_rate", "golden_prompt_pass"),
    *("suite_pass", "prompt_tokens", "completion_tokens", "latency_s"),
)
"""Metrics that are compared, in order; a suite's `assert_...` come after `suite_pass`."""
PRIMARY = ("answer_correct", "suite_pass")
"""The metric that decides: the first of them that was measured."""
COSTS = ("prompt_tokens", "completion_tokens", "latency_s")
"""Less is better, and the unit is no share."""
FEW_DOCUMENTS = 10
Verdict = Literal["better", "worse", "not told apart", "no difference"]


class Said(Contract):
    """One answer under one prompt, as a reader sees it."""

    text: str
    right: bool | None
    """None: it could not be decided."""
    wrong: tuple[str, ...] = ()
    """What is wrong with it, in words."""
    raw: str = ""
    """The model's words where a guardrail changed them."""


@dataclass(frozen=True)
class Tried:
    """What came of one prompt."""

    name: str
    items: Sequence[Item]
    said: Mapping[str, Said]
    """By item."""


class Put(Contract):
    """A question as it stands above its answers."""

    id: str
    question: str
    slice: str
    expected: tuple[str, ...]
    document: str | None


class Compared(Contract):
    """One metric under two prompts."""

    first: str
    second: str
    metric: str
    verdict: Verdict
    """Of the second, by the metric's better direction."""
    n: int
    n_groups: int
    missing: int
    """Items that one of them could not be measured on: left out."""
    difference: float | None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    """Randomisation test over documents."""
    adjusted_p: float | None = None
    """The same after Holm's correction for the number of pairs."""
    only_first: int | None = None
    """Items that are 1 for the first and 0 for the second; None where values are not 0 or 1."""
    only_second: int | None = None
    mcnemar: float | None = None
    """Exact, from these two counts."""
    mde: float | None = None
    """Smallest difference that these items show with 80% power."""
    items_needed: int | None = None
    """Items like these that would show the difference measured, with 80% power; None: over a million, or none."""


def token_items(answers: Sequence[Answer], rows: Sequence[tuple[str, str, str]]) -> list[Item]:
    """What answers read and wrote. `rows`: item, group and slice of each answer."""
    return [
        Item(item=item, group=group, slice=part, metric=metric, value=float(value))
        for answer, (item, group, part) in zip(answers, rows, strict=True)
        for metric, value in (
            ("prompt_tokens", answer.prompt_tokens),
            ("completion_tokens", answer.completion_tokens),
        )
    ]


def compared(tried: Sequence[Tried], precision: Precision) -> list[Compared]:
    """Every pair of prompts on every metric that both have, Holm's correction over the pairs of a metric."""
    tables = {one.name: by_metric(one.items) for one in tried}
    found: list[Compared] = []
    for metric in metrics_of(tried):
        pairs = [
            _pair((a.name, b.name), metric, (tables[a.name][metric], tables[b.name][metric]), precision)
            for a, b in combinations(tried, 2)
            if metric in tables[a.name] and metric in tables[b.name]
        ]
        tested = [row for row in pairs if row.p_value is not None]
        adjusted = statistics.holm([float(row.p_value or 0.0) for row in tested])
        by_pair = {(row.first, row.second): p for row, p in zip(tested, adjusted, strict=True)}
        alpha = 1 - precision.confidence
        found += [_judged(row, by_pair.get((row.first, row.second)), alpha) for row in pairs]
    return found


def metrics_of(tried: Sequence[Tried]) -> list[str]:
    """The metrics that are compared, in the order of reading."""
    present = {item.metric for one in tried for item in one.items}
    asserts = sorted(metric for metric in present if metric.startswith("assert_"))
    at = SHOWN.index("suite_pass") + 1
    return [metric for metric in (*SHOWN[:at], *asserts, *SHOWN[at:]) if metric in present]


def primary_of(tried: Sequence[Tried]) -> str:
    """The metric that decides."""
    present = metrics_of(tried)
    return next(metric for metric in PRIMARY if metric in present)


def figures(tried: Sequence[Tried], precision: Precision) -> list[dict[str, Any]]:
    """Every metric of every prompt with its own interval."""
    wanted = metrics_of(tried)
    rows = [m for one in tried for m in measurements(one.name, one.items, precision, in_slices=())]
    return [m.model_dump(mode="json") for m in rows if m.metric in wanted and m.slice == ALL]


def differing(tried: Sequence[Tried], put: Sequence[Put]) -> list[dict[str, Any]]:
    """The questions whose answers are not the same under every prompt, those judged differently first."""
    found = []
    for one in put:
        answers = {each.name: each.said[one.id] for each in tried if one.id in each.said}
        if len({(said.text, said.right) for said in answers.values()}) > 1:
            parted = len({said.right for said in answers.values()}) > 1
            plain = {name: said.model_dump(mode="json") for name, said in answers.items()}
            found.append({**one.model_dump(mode="json"), "parted": parted, "answers": plain})
    return sorted(found, key=lambda row: not row["parted"])


def headline(row: Compared) -> dict[str, str]:
    """The deciding comparison of a pair in words: tone, headline, detail."""
    a, b = row.first, row.second
    over = f"over {row.n} items of {row.n_groups} documents"
    if row.difference is None or row.low is None:
        return _said("unsure", f"{a} and {b} cannot be compared", f"Too little was measured {over}.")
    if row.verdict == "no difference":
        alike = f"{a} and {b} give the same {label(row.metric).name.lower()} on every item"
        return _said("unsure", alike, f"Nothing differs {over}.")
    p = row.adjusted_p if row.adjusted_p is not None else row.p_value
    seen = (
        f"{label(row.metric).name}: {b} minus {a} is {amount(row.metric, row.difference)} "
        f"({amount(row.metric, row.low)} to {amount(row.metric, row.high)}), p = {p:.3f}, {over}."
    )
    if row.verdict in ("better", "worse"):
        return _said("good" if row.verdict == "better" else "bad", f"{b} is {row.verdict} than {a}", seen)
    return _said("unsure", f"{a} and {b} are not told apart", f"{seen} {unseen(row)}")


def unseen(row: Compared) -> str:
    """What these items are too few for, and how many would do."""
    small = "No difference can be shown by so few documents." if row.mde is None else (
        f"With 80% power they show {amount(row.metric, row.mde).lstrip('+')} or more"
    )  # fmt: skip
    if row.mde is None:
        return small
    many = f"about {row.items_needed:,} items like them" if row.items_needed else "more than a million items"
    return f"{small}; the difference measured would take {many}."


def amount(metric: str, value: float | None) -> str:
    """A signed difference in the metric's unit."""
    if value is None:
        return "-"
    if metric in COSTS:
        return f"{value:+.2f}{' s' if metric.endswith('_s') else ''}"
    return f"{100 * value:+.1f} points"


def cautions(rows: Sequence[Compared], *, golden: bool, prompts: int) -> list[str]:
    """What a reader must know before acting on it."""
    told = []
    if golden:
        told.append(
            "These are questions that the gate decides on. Whoever picks the best of several prompts on them picks "
            "their luck too: choose on questions of your own (--questions), and leave these to judge the choice."
        )
    if prompts > 2:
        told.append(f"p is corrected for {prompts * (prompts - 1) // 2} pairs (Holm); intervals are not.")
    groups = max((row.n_groups for row in rows), default=0)
    if groups < FEW_DOCUMENTS:
        told.append(f"Only {groups} documents are asked about: intervals over so few are rough.")
    return told


def _said(tone: str, head: str, detail: str) -> dict[str, str]:
    return {"tone": tone, "headline": head, "detail": detail}


def _pair(names: tuple[str, str], metric: str, pair: tuple[Measured, Measured], precision: Precision) -> Compared:
    first, second = pair
    both = {
        item: (float(value), float(other))
        for item, value in first.values.items()
        if value is not None and (other := second.values.get(item)) is not None
    }
    of_pair = {"first": names[0], "second": names[1], "metric": metric}
    missing = len({*first.values, *second.values}) - len(both)
    groups = groups_of(first, second)
    n_groups = len({groups[item] for item in both})
    counts = _discordant(list(both.values()))
    if not both:
        return Compared(**of_pair, verdict="not told apart", n=0, n_groups=0, missing=missing, difference=None)
    ordered = sorted(both)
    alpha = 1 - precision.confidence
    found = statistics.paired_difference(
        [both[item][1] - both[item][0] for item in ordered],
        [groups[item] for item in ordered],
        confidence=precision.confidence,
        resamples=precision.resamples,
        rng=statistics.generator(precision.seed, "prompts", *names, metric),
        largest=1.0 if is_share(metric, [value for pair in both.values() for value in pair]) else None,
    )
    varies = any(a != b for a, b in both.values())
    return Compared(
        **of_pair,
        **counts,
        verdict="not told apart" if varies else "no difference",
        n=len(both),
        n_groups=n_groups,
        missing=missing,
        difference=found.value,
        low=found.low,
        high=found.high,
        p_value=found.p_value,
        mde=detectable(found.spread, alpha, by="flips") if varies else None,
        items_needed=items_to_detect(found.spread, abs(found.value), alpha, by="flips") if found.value else None,
    )


def _discordant(pairs: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """McNemar's two counts and its p-value, for values that are 0 or 1."""
    if any(value not in (0.0, 1.0) for pair in pairs for value in pair):
        return {}
    first, second = (sum(pair == wanted for pair in pairs) for wanted in ((1.0, 0.0), (0.0, 1.0)))
    return {"only_first": first, "only_second": second, "mcnemar": statistics.mcnemar(first, second)}


def _judged(row: Compared, adjusted: float | None, alpha: float) -> Compared:
    """The verdict: interval and corrected p-value agree, or the two are not told apart."""
    verdict = row.verdict
    apart = row.low is not None and row.high is not None and (row.low > 0 or row.high < 0)
    if apart and adjusted is not None and adjusted <= alpha:
        lower = row.metric in COSTS or label(row.metric).better == "lower"
        verdict = "better" if ((row.difference or 0.0) > 0) != lower else "worse"
    return row.model_copy(update={"adjusted_p": adjusted, "verdict": verdict})
