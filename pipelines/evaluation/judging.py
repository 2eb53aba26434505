"""Several judges on the same items: what the majority says, where they part, what each cost, what labels correct.

Invariants: every item is in the report, judged or not, and failed ones are counted in each figure's `failed`; a
majority is one of all judges asked, so that two failures of three leave no verdict.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, TypeVar

from pipelines.artifacts import read_lines
from pipelines.contracts import Item, content_id
from pipelines.errors import JudgeError, QuestionFileError
from pipelines.evaluation.calibration import calibrate, corrected
from pipelines.evaluation.judge import Asking, KeptVerdicts, Opinion, cost_usd
from pipelines.evaluation.measure import Rate, rate_of
from pipelines.evaluation.rubrics import Better, JudgeItem, Rubric, orders
from pipelines.settings import Evaluation, Judge

PANEL = "panel"
"""What the judges together are called."""
TO_CHANCE = 0.05
"""A judge whose labels leave a larger chance_p_value has not been shown to be better than chance."""
Report = Callable[[int, int, str], None]
Row = TypeVar("Row", bound=JudgeItem)
Outcome = bool | Better | None
"""Of one answer whether it passes, of two which is better; None: no verdict."""


class Labelled(JudgeItem):
    """A line of `--labels`: an answer, and what a person thinks of it."""

    label: Literal["pass", "fail", "first", "second", "tie"]


def read_items(path: Path, rubric: Rubric) -> list[JudgeItem]:
    """Items to be judged. Raises QuestionFileError for a bad line, a repeated id, a missing second answer."""
    return _checked(path, read_lines(path, JudgeItem), rubric)


def read_labels(path: Path, rubric: Rubric) -> list[Labelled]:
    """Labelled answers. Raises QuestionFileError as `read_items` does, and for a label of the other kind."""
    rows = _checked(path, read_lines(path, Labelled), rubric)
    known = ("pass", "fail") if rubric.kind == "single" else ("first", "second", "tie")
    for row in rows:
        if row.label not in known:
            raise QuestionFileError(
                f"{path}: {row.id}: the label is {row.label!r}; the rubric {rubric.name!r} is of kind {rubric.kind}, "
                f"whose labels are {', '.join(known)}."
            )
    return rows


def judge_items(
    chosen: Evaluation,
    rubric: Rubric,
    items: Sequence[JudgeItem],
    labels: Sequence[Labelled],
    state: Path,
    report: Report,
) -> dict[str, Any]:
    """Every judge on every item and label: the report of `groundwork judge`.

    Raises JudgeError where no judge is configured, SettingsError where one's key is not set.
    """
    if not chosen.judges:
        raise JudgeError("No judge is configured: name one in evaluation.judges (docs/judges.md).")
    asked: list[Asking] = []
    thought: list[list[Opinion]] = []
    everything = [*items, *labels]
    with closing(KeptVerdicts(state)) as kept:
        for judge in chosen.judges:
            asking = Asking(judge, chosen.judging, rubric, kept)
            asked.append(asking)
            try:
                thought.append(asking.opinions(everything, lambda done, total: report(done, total, judge.name)))  # noqa: B023
            finally:
                asking.close()
    outcomes = {judge.name: [outcome(o) for o in each] for judge, each in zip(chosen.judges, thought, strict=True)}
    columns = {**outcomes, PANEL: [majority(row) for row in zip(*outcomes.values(), strict=True)]}
    voices = {name: _voice(column, items, labels, chosen.confidence, rubric.kind) for name, column in columns.items()}
    judged = [list(row) for row in zip(*thought, strict=True)][: len(items)]
    return {
        "rubric": {"name": rubric.name, "version": rubric.version, "kind": rubric.kind, "digest": rubric.digest},
        "confidence": chosen.confidence,
        "items": len(items),
        "labels": len(labels),
        "panel": voices[PANEL] | {"disagreement": _disagreement(judged), "undecided": _undecided(judged)},
        "judges": [
            _of_judge(each.judge, each, opinions[: len(items)], columns[PANEL]) | voices[each.judge.name]
            for each, opinions in zip(asked, thought, strict=True)
        ],
        "orders": [item.id for item in items if orders(item)],
        "judged": [
            {"id": item.id, "slice": item.slice, "group": item.group or item.id, "verdict": _plain(verdict)}
            | {"opinions": [opinion.model_dump(mode="json", exclude_none=True) for opinion in row]}
            for item, verdict, row in zip(items, columns[PANEL], judged, strict=False)
        ],
        "warnings": _warnings(voices, len(labels)),
    }


def table(report: dict[str, Any]) -> list[Item]:
    """The panel's verdicts as an item table: judge_pass (1, 0) or judge_better (second answer 1, tie 0.5, first 0)."""
    values = {"pass": 1.0, "fail": 0.0, "second": 1.0, "tie": 0.5, "first": 0.0}
    metric = "judge_pass" if report["rubric"]["kind"] == "single" else "judge_better"
    return [
        Item(item=row["id"], group=row["group"], slice=row["slice"], metric=metric, value=values.get(row["verdict"]))
        for row in report["judged"]
    ]


def suite_of(rubric: Rubric, items: Sequence[JudgeItem]) -> str:
    """Identity of what a table of verdicts measures: rubric and questions, whoever answered them."""
    return content_id("judged", rubric.digest, sorted([i.id, i.question, i.reference or ""] for i in items))


def outcome(opinion: Opinion) -> Outcome:
    """What an opinion counts as."""
    return opinion.passed if opinion.better is None else opinion.better


def majority(votes: Sequence[Outcome]) -> Outcome:
    """What more than half of all judges say. Of two answers, a tie where more than half gave a verdict but no such one.

    None: no such majority, or half or more gave no verdict.
    """
    given = [vote for vote in votes if vote is not None]
    if 2 * len(given) <= len(votes):
        return None
    for vote in given:
        if 2 * sum(other == vote for other in given) > len(votes):
            return vote
    return "tie" if isinstance(given[0], str) else None


def _voice(
    column: Sequence[Outcome],
    items: Sequence[JudgeItem],
    labels: Sequence[Labelled],
    confidence: float,
    kind: Literal["single", "pair"],
) -> dict[str, Any]:
    """Figures of one judge or of the panel: on the items, and against the labels."""
    mine, theirs = column[: len(items)], column[len(items) :]
    judged = [(v, item) for v, item in zip(mine, items, strict=True) if v is not None]
    counted = {"judged": len(judged), "failed": len(items) - len(judged)}
    groups = [item.group or item.id for _, item in judged]
    if kind == "pair":
        tally = {name: sum(v == name for v, _ in judged) for name in ("first", "second", "tie")}
        agreed = [v == label.label for v, label in zip(theirs, labels, strict=True) if v is not None]
        agreement = rate_of([float(each) for each in agreed], confidence)
        return counted | tally | {"agreement": _dumped(agreement)}
    seen = rate_of([float(bool(v)) for v, _ in judged], confidence, groups=groups)
    found: dict[str, Any] = counted | {"passed": _dumped(seen), "calibration": None, "corrected": None, "why": None}
    if not labels:
        return found | {"why": "no labels were given: the judge's errors are in the figure"}
    try:
        known = calibrate([_verdict(v) for v in theirs], [label.label == "pass" for label in labels], confidence)
        found["calibration"] = known.model_dump(mode="json")
        if seen is not None:
            found["corrected"] = _dumped(corrected(seen.value, seen.n, known, confidence))
    except JudgeError as exc:
        found["why"] = str(exc)
    return found


def _verdict(vote: Outcome) -> bool | None:
    return vote if isinstance(vote, bool) else None


def _of_judge(judge: Judge, asking: Asking, opinions: Sequence[Opinion], panel: Sequence[Outcome]) -> dict[str, Any]:
    failures = [opinion.failure for opinion in opinions if opinion.failure]
    pairs = [opinion.swayed for opinion in opinions if opinion.swayed is not None]
    both = [(outcome(o), p) for o, p in zip(opinions, panel, strict=False) if outcome(o) is not None and p is not None]
    return {
        "name": judge.name,
        "model": judge.model,
        "base_url": judge.base_url,
        "first_failure": failures[0] if failures else None,
        "changed_with_order": sum(pairs) / len(pairs) if pairs else None,
        "agrees_with_panel": sum(mine == whole for mine, whole in both) / len(both) if both else None,
        **asdict(asking.spent),
        "usd": cost_usd(judge, asking.spent),
    }


def _disagreement(judged: Sequence[Sequence[Opinion]]) -> float | None:
    """Share of the items with two or more verdicts on which those are not all the same; None where there is no such."""
    given = [[vote for o in row if (vote := outcome(o)) is not None] for row in judged]
    several = [votes for votes in given if len(votes) > 1]
    return sum(len(set(votes)) > 1 for votes in several) / len(several) if several else None


def _undecided(judged: Sequence[Sequence[Opinion]]) -> int:
    """Items that every judge gave a verdict on and that have no majority."""
    votes = [[outcome(o) for o in row] for row in judged]
    return sum(None not in row and majority(row) is None for row in votes)


def _warnings(voices: dict[str, dict[str, Any]], labels: int) -> list[str]:
    told = []
    for name, voice in voices.items():
        if name == PANEL and len(voices) == 2:  # one judge: the panel says the same
            continue
        if labels and voice.get("why"):
            told.append(f"{name}: not corrected: {voice['why']}")
        elif voice.get("calibration") and voice["calibration"]["chance_p_value"] > TO_CHANCE:
            told.append(
                f"{name}: {labels} labels do not show that it is better than chance "
                f"(p = {voice['calibration']['chance_p_value']:.2f}); the corrected rate says little. Label more."
            )
        if voice["failed"]:
            told.append(f"{name}: no verdict on {voice['failed']} of {voice['failed'] + voice['judged']} items.")
    return told


def _plain(vote: Outcome) -> str | None:
    return ("pass" if vote else "fail") if isinstance(vote, bool) else vote


def _dumped(rate: Rate | None) -> dict[str, Any] | None:
    return rate.model_dump(mode="json") if rate else None


def _checked(path: Path, rows: list[Row], rubric: Rubric) -> list[Row]:
    if not rows:
        raise QuestionFileError(f"{path}: there is no line in it. A line has id, question and answer.")
    seen: set[str] = set()
    for row in rows:
        if row.id in seen:
            raise QuestionFileError(f"{path}: the id {row.id!r} occurs twice.")
        seen.add(row.id)
        if (row.other is None) == (rubric.kind == "pair"):
            wrong = "has no `other`: the rubric compares two answers" if row.other is None else (
                "has an `other`: the rubric judges one answer"
            )  # fmt: skip
            raise QuestionFileError(f"{path}: {row.id} {wrong} ({rubric.name}).")
    return rows
