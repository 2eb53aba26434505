"""A comparison of searches as one page: figures, differences, and each question that went wrong with what came first.

Invariants: the page says what the report says; questions and passages are data in it, which its script puts on the
screen as text, a page at a time, so that two thousand failures stay usable. A passage is held once, however often it
was found.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from pipelines.contracts import Chunk, Hit
from pipelines.evaluation.measure import ALL
from pipelines.evaluation.pages import write_page as write_template
from pipelines.evaluation.report_html import lookup
from pipelines.evaluation.retrieval_eval import Asked
from pipelines.evaluation.retrieval_failures import ORDER, Diagnosis, Failure
from pipelines.evaluation.retrieval_report import is_cost, order_of, said
from pipelines.retrieval.marking import marked

MOST = 2_000
"""Questions on the page, in the order of failures."""
HITS = 5
"""Hits shown of each variant."""
SHOWN_CHARS = 420
"""Of a passage: about a hundred tokens."""
BEFORE_GOLD = 120
"""Characters of a passage shown before its gold span begins."""
NARROWEST = 0.02
"""Differences are drawn on an axis that reaches at least so far to each side."""


def write_page(report: Mapping[str, Any], asked: Asked, failed: Sequence[Failure], place: Path) -> None:
    """Write the page of a report."""
    names = [variant["name"] for variant in report["variants"]]
    metrics = sorted({row["metric"] for row in report["measurements"]}, key=order_of)
    quality = [metric for metric in metrics if not is_cost(metric)]
    write_template(
        "retrieval.html.j2",
        place,
        report=report,
        names=names,
        quality=quality,
        costs=[metric for metric in metrics if is_cost(metric)],
        said=said,
        m=lookup(report["measurements"], "system", "metric", "slice"),
        c=lookup(report["comparisons"], "metric", "slice"),
        reach=_reach(report["comparisons"], quality),
        slices=sorted({row["slice"] for row in report["measurements"]} - {ALL}),
        outcomes=outcomes_said(names, report["k"]),
        tone=TONE,
        left_out=max(0, len(failed) - MOST),
        data=embedded(page_data(asked, failed[:MOST])),
    )


TONE = {"worse": "bad", "missed": "bad", "better": "good", "late": "unsure", "first": "good"}


def outcomes_said(names: Sequence[str], k: int) -> dict[str, str]:
    """Outcomes in words, in the order of reading."""
    if len(names) == 1:
        return {"missed": f"not in the first {k}", "late": "found, but not first"}
    said_of = {
        "worse": f"lower with {names[-1]}",
        "missed": f"not in the first {k} of either",
        "better": f"higher with {names[-1]}",
        "late": "same place, not first",
    }
    return {outcome: said_of[outcome] for outcome in ORDER if outcome in said_of}


def embedded(value: Any) -> Markup:
    """JSON that may stand in a script element: no `<` in it can end the element or open a comment."""
    plain = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        plain = plain.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(plain)  # noqa: S704  every sign that HTML knows is escaped above


@dataclass
class Held:
    """What questions share on the page: each uri and each passage once."""

    uris: dict[str, int] = field(default_factory=dict)
    places: dict[tuple[str, int], int] = field(default_factory=dict)
    passages: list[list[Any]] = field(default_factory=list)

    def uri(self, name: str) -> int:
        """Its number."""
        return self.uris.setdefault(name, len(self.uris))

    def passage(self, chunk: Chunk, begin: int) -> int:
        """Number of a passage shown from `begin` (characters into the chunk) on."""
        key = (chunk.id, begin)
        if key not in self.places:
            self.places[key] = len(self.passages)
            headings = " › ".join(chunk.heading_path) or chunk.title
            text = chunk.text[begin : begin + SHOWN_CHARS]
            self.passages.append([self.uri(chunk.uri), chunk.start, chunk.end, headings, chunk.start + begin, text])
        return self.places[key]


def page_data(asked: Asked, failed: Sequence[Failure]) -> dict[str, Any]:
    """Failures as the page's script reads them: lists in the order of its `ROW`, `SIDE` and `HIT`."""
    held = Held()
    parts: list[str] = []
    for failure in failed:
        for hit in _hits(asked, failure):
            parts += [name for name in hit.parts if name not in parts]
    rows = [_row(asked, failure, held, parts) for failure in failed]
    return {
        "names": list(asked.brought),
        "parts": parts,
        "uris": list(held.uris),
        "passages": held.passages,
        "rows": rows,
    }


def _hits(asked: Asked, failure: Failure) -> list[Hit]:
    shown = [hit for brought in asked.brought.values() for hit in brought[failure.number].hits[:HITS]]
    return shown + [each.hit for each in failure.diagnoses.values() if each.hit]


def _row(asked: Asked, failure: Failure, held: Held, parts: Sequence[str]) -> list[Any]:
    question = asked.questions[failure.number]
    span = next(iter(asked.brought.values()))[failure.number].gold.span
    words = {
        hit.chunk.text[start:end].lower()
        for hit in _hits(asked, failure)
        for start, end in marked(hit.chunk.text[: 2 * SHOWN_CHARS], question.question)
    }
    sides = [_side(asked, failure, name, held, parts) for name in asked.brought]
    gold = None if span is None else [held.uri(span[0]), span[1], span[2]]
    about = held.uri(str(question.document))
    return [
        question.id, question.slice, failure.outcome, question.question, list(question.answers), about, gold,
        sorted(words), sides,
    ]  # fmt: skip


def _side(asked: Asked, failure: Failure, name: str, held: Held, parts: Sequence[str]) -> list[Any]:
    """What one variant made of a question."""
    brought, diagnosis = asked.brought[name][failure.number], failure.diagnoses[name]
    shown = [
        [rank, *_shown_hit(hit, brought.gold.holds, _begin(hit.chunk, brought.gold.span), held, parts)]
        for rank, hit in enumerate(brought.hits[:HITS], 1)
    ]
    return [brought.rank, diagnosis.says, diagnosis.part, shown, _right(diagnosis, brought.gold.span, held, parts)]


def _right(
    diagnosis: Diagnosis, span: tuple[str, int, int] | None, held: Held, parts: Sequence[str]
) -> list[Any] | None:
    """The right passage when it is not among the hits shown; without a score where no search brought it."""
    if diagnosis.passage is not None:
        return [None, held.passage(diagnosis.passage, _begin(diagnosis.passage, span)), None, [], 1]
    if diagnosis.hit is None or diagnosis.rank is None or diagnosis.rank <= HITS:
        return None
    begin = _begin(diagnosis.hit.chunk, span)
    return [diagnosis.rank, *_shown_hit(diagnosis.hit, lambda _: True, begin, held, parts)]


def _shown_hit(hit: Hit, right: Callable[[Chunk], bool], begin: int, held: Held, parts: Sequence[str]) -> list[Any]:
    values = [round(hit.parts[name], 4) if name in hit.parts else None for name in parts]
    while values and values[-1] is None:
        values.pop()
    return [held.passage(hit.chunk, begin), round(hit.score, 4), values, int(right(hit.chunk))]


def _begin(chunk: Chunk, span: tuple[str, int, int] | None) -> int:
    """Where a passage is shown from: its beginning, or a little before a gold span that lies further on."""
    if len(chunk.text) <= SHOWN_CHARS or span is None or span[0] != chunk.uri or not chunk.start <= span[1] < chunk.end:
        return 0
    inside = span[1] - chunk.start
    return 0 if inside < SHOWN_CHARS - BEFORE_GOLD else min(inside - BEFORE_GOLD, len(chunk.text) - SHOWN_CHARS)


def _reach(compared: Sequence[Mapping[str, Any]], quality: Sequence[str]) -> float:
    """How far the axis of differences reaches to each side."""
    drawn = [row for row in compared if row["metric"] in quality and row["slice"] == ALL]
    bounds = [abs(float(row[key])) for row in drawn for key in ("low", "high", "difference") if row[key] is not None]
    return min(1.0, max([NARROWEST, *bounds]))
