"""What came of the questions -> one report: figures, differences, outcomes, and what they do and do not say.

Invariants: differences are `second - first`, paired by question, resampled by whole documents; the verdict rests on one
figure that is named beforehand (nDCG by span, or by document where no question has a span), the others are corrected
for their number (Holm). No data is no figure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from pipelines.contracts import Comparison
from pipelines.evaluation import statistics
from pipelines.evaluation.clusters import detectable, items_to_detect
from pipelines.evaluation.measure import ALL, Precision, comparisons, measurements
from pipelines.evaluation.retrieval_eval import SHOWN, Asked, Variant
from pipelines.evaluation.retrieval_failures import ORDER, Failure, outcomes

SCHEMA_VERSION = 1
SECTIONS = ("documents", "chunking", "embedding", "retrieval")
"""Settings that shape what is found."""
COSTS = ("tokens_read", "milliseconds")
"""Measured beside quality: less is better, and no claim of theirs is corrected for."""
FEW_DOCUMENTS = 10
LARGER = 1.1
"""Chunks that are so many times as long are said to be larger."""


@dataclass(frozen=True)
class Verdict:
    """What a reader takes away, and what they must not."""

    tone: Literal["good", "bad", "unsure", ""]
    mark: str
    headline: str
    detail: str
    metric: str
    cannot: tuple[str, ...]


def assemble(
    variants: Sequence[Variant], asked: Asked, failed: Sequence[Failure], precision: Precision
) -> dict[str, Any]:
    """The report as one plain object (`--json`)."""
    tables = {variant.name: asked.items(variant.name) for variant in variants}
    primary = primary_metric(asked)
    sliced = {primary, primary.replace("_ndcg", "_recall"), f"{primary.split('_')[0]}_recall@1"}
    measured = [m for name, items in tables.items() for m in measurements(name, items, precision, in_slices=sliced)]
    compared: list[Comparison] = []
    if len(variants) > 1:
        first, second = variants[0].name, variants[1].name
        compared = comparisons(second, tables[second], first, tables[first], precision, in_slices=sliced)
    facts = [_facts(variant, asked) for variant in variants]
    return {
        "schema_version": SCHEMA_VERSION,
        "k": asked.k,
        "shown": min(SHOWN, asked.k),
        "confidence": precision.confidence,
        "questions": _counted(asked),
        "variants": facts,
        "settings_that_differ": differing([variant.settings.model_dump(mode="json") for variant in variants]),
        "verdict": asdict(verdict(asked, facts, precision)),
        "measurements": [m.model_dump(mode="json") for m in measured],
        "comparisons": _corrected(compared),
        "outcomes": {name: outcomes(asked).count(name) for name in ORDER},
        "items": _lines(asked, failed),
    }


def primary_metric(asked: Asked) -> str:
    """The figure that decides."""
    with_span = any(one.gold.span for brought in asked.brought.values() for one in brought)
    return f"{'span' if with_span else 'document'}_ndcg@{asked.k}"


def verdict(asked: Asked, facts: Sequence[Mapping[str, Any]], precision: Precision) -> Verdict:
    """Better, worse, not told apart, or one variant's figure; with what none of it can tell."""
    metric = primary_metric(asked)
    names = list(asked.brought)
    if len(names) == 1:
        return _alone(names[0], asked, metric, facts)
    values = [[one.values.get(metric) for one in asked.brought[name]] for name in names]
    paired = [(i, b - a) for i, (a, b) in enumerate(zip(*values, strict=True)) if a is not None and b is not None]
    found = statistics.paired_difference(
        [difference for _, difference in paired],
        [asked.brought[names[0]][i].gold.group for i, _ in paired],
        confidence=precision.confidence,
        resamples=precision.resamples,
        rng=statistics.generator(precision.seed, "compare", names[1], names[0], metric, ALL),
        largest=1.0,
        tested=False,
    )
    a, b = names
    over = f"over {found.n} questions about {found.n_groups} documents"
    cannot = _limits(asked, facts, found.n_groups)
    if found.low is None or found.high is None:
        detail = f"{said(metric)} differs by {100 * found.value:+.1f} points {over}."
        return Verdict("unsure", "?", "One document is too little to compare on", detail, metric, cannot)
    value, low, high = (100 * each for each in (found.value, found.low, found.high))
    detail = f"{said(metric)}: {b} minus {a} is {value:+.1f} points (interval {low:+.1f} to {high:+.1f}) {over}."
    if not any(difference for _, difference in paired):
        headline = f"{a} and {b} rank the right passage alike on every question"
        return Verdict("unsure", "=", headline, f"Nothing differs {over}.", metric, cannot)
    if found.low > 0:
        return Verdict("good", "✓", f"{b} finds the right passage better than {a}", detail, metric, cannot)
    if found.high < 0:
        return Verdict("bad", "✕", f"{b} finds the right passage worse than {a}", detail, metric, cannot)
    unseen = _unseen(found, 1 - precision.confidence)
    return Verdict("unsure", "≈", f"{a} and {b} cannot be told apart", detail, metric, (unseen, *cannot))


def _unseen(found: statistics.Difference, alpha: float) -> str:
    """Which differences these questions are too few to show."""
    visible = 100 * (detectable(found.spread, alpha) or 1.0)
    needed = items_to_detect(found.spread, abs(found.value), alpha)
    told = f"Whether they truly differ by less than {visible:.1f} points: these questions are too few to show that"
    return told + (f"; about {float(f'{needed:.2g}'):,.0f} like them would show the one measured." if needed else ".")


def _alone(name: str, asked: Asked, metric: str, facts: Sequence[Mapping[str, Any]]) -> Verdict:
    brought = asked.brought[name]
    first = sum(one.rank == 1 for one in brought)
    missed = sum(one.rank is None for one in brought)
    headline = f"{name} puts the right passage first for {first} of {len(brought)} questions"
    detail = f"For {missed} it is not among the first {asked.k}. Nothing is compared: name two variants with --compare."
    return Verdict("", "i", headline, detail, metric, _limits(asked, facts, len({one.gold.group for one in brought})))


def _limits(asked: Asked, facts: Sequence[Mapping[str, Any]], documents: int) -> tuple[str, ...]:
    """What the figures cannot tell, whatever they are."""
    told = []
    if documents < FEW_DOCUMENTS:
        told.append(f"Only {documents} documents are asked about: intervals over so few are rough.")
    sizes = [fact["chunk_tokens"] for fact in facts]
    if len(sizes) > 1 and min(sizes) and max(sizes) / min(sizes) > LARGER:
        larger = max(facts, key=lambda fact: fact["chunk_tokens"])["name"]
        told.append(
            f"Chunks of {larger} are {max(sizes) / min(sizes):.1f} times as long, and overlap a gold span more "
            "easily: weigh figures by span against the tokens read for them, and against the share of the span covered."
        )
    if unanswerable := len(asked.put_aside.get("the documents do not answer it", ())):
        told.append(
            f"{unanswerable} questions have no answer in the documents: whether that is noticed is not measured here."
        )
    told.append("Whether answers get better: passages are ranked here, answers are judged by `groundwork run`.")
    told.append(
        "How a variant fares on other questions than it was tuned on, if it was tuned on these: keep some aside."
    )
    return tuple(told)


def said(metric: str) -> str:
    """A metric's name in words: `span_ndcg@10` is nDCG@10 by span."""
    kind, _, rest = metric.partition("_")
    names = {"ndcg": "nDCG", "mrr": "MRR", "recall": "Recall"}
    name, _, cut = rest.partition("@")
    if kind in ("span", "document") and name in names:
        return f"{names[name]}@{cut} by {kind}"
    if name == "covered":
        return f"Share of the gold span in the first {cut}"
    return f"Tokens in the first {cut}" if name == "read" else metric.capitalize()


def order_of(metric: str) -> tuple[int, ...]:
    """Quality by span, then by document, then costs; within each nDCG, MRR, recall."""
    kind, _, rest = metric.partition("_")
    name, _, cut = rest.partition("@")
    kinds, names = ("span", "document", "tokens", "milliseconds"), ("ndcg", "mrr", "recall", "covered", "read", "")
    return kinds.index(kind), names.index(name), int(cut or 0)


def is_cost(metric: str) -> bool:
    """Whether less is better."""
    return metric.startswith(COSTS)


def _corrected(compared: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Comparisons with `adjusted_p` for the claims about quality over all questions; None for the others."""
    rows = [c.model_dump(mode="json") | {"adjusted_p": None} for c in compared]
    claims = [row for row in rows if row["slice"] == ALL and not is_cost(row["metric"]) and row["p_value"] is not None]
    for row, p in zip(claims, statistics.holm([row["p_value"] for row in claims]), strict=True):
        row["adjusted_p"] = p
    return rows


def _counted(asked: Asked) -> dict[str, Any]:
    first = next(iter(asked.brought.values()))
    return {
        "file": asked.source,
        "digest": asked.digest,
        "ranked": len(asked.questions),
        "with_span": sum(one.gold.span is not None for one in first),
        "documents": len({one.gold.group for one in first}),
        "put_aside": {reason: len(ids) for reason, ids in sorted(asked.put_aside.items())},
    }


def _facts(variant: Variant, asked: Asked) -> dict[str, Any]:
    """What a variant is: chunks, their mean length, speed."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    tokens = pq.read_table(variant.chunk / "chunks.parquet", columns=["tokens"]).column("tokens")
    taken = sorted(one.milliseconds for one in asked.brought[variant.name])
    return {
        "name": variant.name,
        "chunks": len(tokens),
        "chunk_tokens": round(pc.mean(tokens).as_py() or 0.0, 1),
        "median_ms": round(float(np.quantile(taken, 0.5)), 2),
        "p95_ms": round(float(np.quantile(taken, 0.95)), 2),
    }


def differing(settings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Settings in which the variants differ: key, and each one's value."""
    flat = [_flat({name: each[name] for name in SECTIONS}) for each in settings]
    keys = sorted({key for each in flat for key in each})
    rows = [{"key": key, "values": [each.get(key) for each in flat]} for key in keys]
    return [row for row in rows if any(value != row["values"][0] for value in row["values"])]


def _flat(section: Mapping[str, Any], at: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in section.items():
        found |= _flat(value, f"{at}{key}.") if isinstance(value, dict) else {f"{at}{key}": value}
    return found


def _lines(asked: Asked, failed: Sequence[Failure]) -> list[dict[str, Any]]:
    """A line a question, in file order."""
    why = {one.number: one for one in failed}
    lines = []
    for number, (question, outcome) in enumerate(zip(asked.questions, outcomes(asked), strict=True)):
        line: dict[str, Any] = {"id": question.id, "slice": question.slice, "outcome": outcome, "variants": {}}
        for name, brought in asked.brought.items():
            one = brought[number]
            line["document"] = one.gold.group
            line["variants"][name] = {"rank": one.rank, "milliseconds": one.milliseconds, **one.values}
            if number in why:
                line["variants"][name]["why"] = why[number].diagnoses[name].says
        lines.append(line)
    return lines
