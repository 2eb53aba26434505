"""The evaluation as one page: figures with their intervals, trade-offs, examples with failures first.

Invariant: the page says what report.json and the answer table say and computes nothing but an order.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipelines.artifacts import read_rows
from pipelines.contracts import Citation, Quarantined, strongest
from pipelines.evaluation.asking import Asked
from pipelines.evaluation.labels import HEADLINE, RAGAS
from pipelines.evaluation.pages import write_page as write_template

MOST = 400
"""Examples on the page, failures first: a page of thousands cannot be read."""
Status = Literal["regression", "wrong", "fixed", "right"]
ORDER: tuple[Status, ...] = ("regression", "wrong", "fixed", "right")
SAID: dict[Status, str] = {
    "regression": "was right, now wrong",
    "wrong": "wrong",
    "fixed": "was wrong, now right",
    "right": "right",
}
TONE: dict[Status, str] = {"regression": "bad", "wrong": "bad", "fixed": "good", "right": "good"}


@dataclass(frozen=True)
class Example:
    """One question with every system's answer."""

    asked: Asked
    """The candidate's."""
    answers: dict[str, Asked]
    """By system."""
    status: Status
    citation: Citation | None


def write_page(report: Mapping[str, Any], asked: Sequence[Asked], quarantine: Path, place: Path) -> None:
    """Write the page of a report. `quarantine`: the table of documents that could not be read."""
    reference = "champion" if "champion" in report["systems"] else "base"
    every = examples(asked, reference)
    write_template(
        "report.html.j2",
        place,
        report=report,
        reference=reference,
        roles=roles(report),
        verdict=verdict(report, reference),
        m=lookup(report["measurements"], "system", "metric", "slice"),
        c=lookup(report["comparisons"], "against", "metric", "slice"),
        headline=HEADLINE,
        ragas=_measured(report, RAGAS),
        retrieval=_retrieval(report),
        slices=_slices(report),
        quarantined=read_rows(quarantine, Quarantined) if quarantine.exists() else [],
        examples=every[:MOST],
        left_out=max(0, len(every) - MOST),
        said=SAID,
        tone=TONE,
        counts={status: sum(example.status == status for example in every) for status in ORDER},
    )


def roles(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Systems in the order of reading, with what they are called."""
    names = {"base": "Base model", "candidate": "Candidate", "champion": "Champion"}
    return [(role, names[role]) for role in names if role in report["systems"]]


def lookup(rows: Sequence[Mapping[str, Any]], *fields: str) -> Callable[..., Mapping[str, Any] | None]:
    """A function from the fields' values to the row; the last field is `all` unless given."""
    table = {tuple(row[name] for name in fields): row for row in rows}

    def find(*values: str) -> Mapping[str, Any] | None:
        return table.get((*values, "all") if len(values) < len(fields) else values)

    return find


@dataclass(frozen=True)
class Said:
    """The one sentence that a reader takes away."""

    tone: Literal["good", "bad", "unsure"]
    mark: str
    headline: str
    detail: str


def verdict(report: Mapping[str, Any], reference: str) -> Said:
    """Better, worse or not told apart, on the primary metric."""
    against = "the champion" if reference == "champion" else "the base model"
    difference = lookup(report["comparisons"], "against", "metric", "slice")(reference, "answer_correct")
    if difference is None or difference["low"] is None:
        return Said("unsure", "?", "There is too little to compare", "Fewer than two documents were asked about.")
    value, low, high = (100 * difference[name] for name in ("difference", "low", "high"))
    detail = (
        f"Right behaviour differs by {value:+.1f} points (interval {low:+.1f} to {high:+.1f}) over "
        f"{difference['n']} questions about {difference['n_groups']} documents."
    )
    if low > 0:
        return Said("good", "✓", f"The candidate is better than {against}", detail)
    if high < 0:
        return Said("bad", "✕", f"The candidate is worse than {against}", detail)
    return Said("unsure", "≈", f"The candidate cannot be told from {against}", detail)


def examples(asked: Sequence[Asked], reference: str) -> list[Example]:
    """One example an item: regressions, then other failures, then what was mended, then the rest."""
    by_item: dict[tuple[str, str], dict[str, Asked]] = {}
    for row in asked:
        by_item.setdefault((row.kind, row.id), {})[row.system] = row
    found = [_example(answers, reference) for answers in by_item.values() if "candidate" in answers]
    return sorted(found, key=lambda e: (ORDER.index(e.status), e.asked.kind == "prompt", e.asked.id))


def _example(answers: dict[str, Asked], reference: str) -> Example:
    candidate = answers["candidate"]
    before = answers[reference].correct if reference in answers else candidate.correct
    status: Status = ("right" if before else "fixed") if candidate.correct else ("regression" if before else "wrong")
    return Example(candidate, answers, status, strongest(candidate.citations))


def _measured(report: Mapping[str, Any], labels: Mapping[str, Any]) -> list[str]:
    present = {row["metric"] for row in report["measurements"]}
    return [metric for metric in labels if metric in present]


def _retrieval(report: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Retrieval metrics: (name to read, metric by document, metric by span)."""
    present = {row["metric"] for row in report["measurements"]}
    kinds = sorted(
        {metric.split("_", 1)[1] for metric in present if metric.startswith("document_")}, key=_retrieval_order
    )
    names = {"recall": "Recall", "mrr": "MRR", "ndcg": "nDCG"}
    return [
        (names[kind.split("@")[0]] + "@" + kind.split("@")[1], f"document_{kind}", f"span_{kind}") for kind in kinds
    ]


def _retrieval_order(kind: str) -> tuple[int, int]:
    name, _, cut = kind.partition("@")
    return ("recall", "mrr", "ndcg").index(name), int(cut)


def _slices(report: Mapping[str, Any]) -> list[str]:
    found = {row["slice"] for row in report["measurements"] if row["metric"] == "answer_correct"}
    return sorted(found - {"all"})
