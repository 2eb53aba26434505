"""The measure of benchmarks/chunking.py: what chunks that were found hold of gold excerpts, by characters.

That of Smith and Troynikov, "Evaluating chunking strategies for retrieval" (2024), and recall within a budget.
"""

from collections.abc import Sequence
from dataclasses import dataclass

Span = tuple[int, int]
Place = tuple[str, int, int]
"""uri, start, end."""
FOUND = 5
"""Chunks a question: the source's default."""
AT_MOST = 20
"""Of a minimal number, as in the source."""
BUDGET_CHARACTERS = 2000
MEASURES = ("recall", "precision", "omega", "iou", "recall_in_budget", "recall_minimal", "iou_minimal")


@dataclass(frozen=True)
class Asked:
    """A question and where its gold excerpts stand."""

    question: str
    uri: str
    spans: tuple[Span, ...]
    corpus: str


def scores(asked: Asked, ranked: Sequence[Place], chunks: Sequence[Place]) -> dict[str, float]:
    """All measures of one question; `chunks`: all chunks of its document."""
    touching = [place for place in chunks if _shared(asked, [place])]
    recall, precision, iou = overlap_of(asked, ranked[:FOUND])
    recall_minimal, _, iou_minimal = overlap_of(asked, ranked[: min(len(touching), AT_MOST)])
    return {
        "recall": recall,
        "precision": precision,
        "omega": omega_of(asked, touching),
        "iou": iou,
        "recall_in_budget": overlap_of(asked, within(ranked, BUDGET_CHARACTERS))[0],
        "recall_minimal": recall_minimal,
        "iou_minimal": iou_minimal,
    }


def overlap_of(asked: Asked, found: Sequence[Place]) -> tuple[float, float, float]:
    """Recall, precision and IoU of chunks found, by characters; nothing found scores 0 in all three."""
    held = length(_shared(asked, found))
    gold = sum(end - start for start, end in asked.spans)
    shown = sum(end - start for _, start, end in found)
    missed = length(union(asked.spans)) - held
    return held / gold, held / shown if shown else 0.0, held / (shown + missed)


def omega_of(asked: Asked, touching: Sequence[Place]) -> float:
    """Precision when exactly the chunks that touch an excerpt are found; what they share counts once."""
    held = length(_shared(asked, touching))
    missed = length(union(asked.spans)) - held
    return held / (length(union([(start, end) for _, start, end in touching])) + missed)


def within(ranked: Sequence[Place], budget: int) -> list[Place]:
    """The first chunks that together have `budget` characters; the last one is cut."""
    kept: list[Place] = []
    for uri, start, end in ranked:
        kept.append((uri, start, min(end, start + budget)))
        budget -= end - start
        if budget <= 0:
            break
    return kept


def _shared(asked: Asked, found: Sequence[Place]) -> list[Span]:
    """What chunks hold of the excerpts, each character once."""
    own = [(start, end) for uri, start, end in found if uri == asked.uri]
    return union([(max(a, c), min(b, d)) for a, b in own for c, d in asked.spans if max(a, c) < min(b, d)])


def union(spans: Sequence[Span]) -> list[Span]:
    """Spans joined where they meet, in order."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def length(spans: Sequence[Span]) -> int:
    """Characters of spans that do not meet."""
    return sum(end - start for start, end in spans)
