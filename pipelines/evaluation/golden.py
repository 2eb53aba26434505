"""The golden prompts of an evaluation: a suite file put to a system, as rows of its item and answer tables.

Invariants: an item is one row of `golden_prompt_pass`, the share of its repeats that pass; one that is undecided
(no judge, no verdict) is a missing value, and the report says how many there are.
Also here: how a suite is put to any system of a workspace (`seams`), which `groundwork suite run` does too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.artifacts import StageJob
from pipelines.contracts import Answer, Item
from pipelines.errors import QuestionFileError
from pipelines.evaluation import suite_run
from pipelines.evaluation.asking import Answerer, Asked, Encode, Finder, Report, of_answer
from pipelines.evaluation.judging import judge_items
from pipelines.evaluation.rubrics import load_rubric
from pipelines.evaluation.suite_files import SuiteFile, SuiteItem
from pipelines.evaluation.suites import Suite
from pipelines.settings import resolve

WORST = ("failed", "undecided", "passed")
METRICS = {suite_run.PASS: "golden_prompt_pass", "pair_differs": "pair_differs"}
"""Of a suite's metrics those that an evaluation has, and what they are called there."""


@dataclass(frozen=True)
class Golden:
    """What came of the golden prompts."""

    items: list[Item]
    asked: list[Asked]
    answers: list[Answer]
    """As many as were asked for: a deterministic system's repeats are not asked again."""
    summary: dict[str, Any] | None
    """Counts, consistency and pairs; None: there are no golden prompts."""


def put_prompts(suite: Suite, system: suite_run.Asked, told: list[str]) -> Golden:
    """Ask every golden prompt. `told` gets how many could not be decided."""
    if suite.prompts is None:
        return Golden([], [], [], None)
    ran = suite_run.put_suite(suite.prompts, system)
    items = [
        row.model_copy(update={"metric": METRICS[row.metric], "group": suite.group(row.group, row.item)})
        for row in ran.table()
        if row.metric in METRICS
    ]
    counted = ran.summary(deterministic=system.deterministic)
    undecided = [name for name, outcome in ran.outcomes.items() if outcome == "undecided"]
    if undecided:
        told.append(
            f"{system.role}: {len(undecided)} of {len(suite.prompts.items)} golden prompts could not be decided "
            f"(first: {undecided[0]}): a judge is not configured or gave no verdict, or a pattern took too long."
        )
    answers = [row.given.answer for row in ran.rows if row.result.repeat == 0 or not system.deterministic]
    asked = [_asked(system.role, rows) for rows in ran.by_item.values()]
    return Golden(items, asked, answers, counted)


def _asked(role: str, rows: Sequence[suite_run.Row]) -> Asked:
    """A row of the answer table: of an item's repeats the worst."""
    worst = min(rows, key=lambda row: WORST.index(row.result.outcome))
    item = worst.item
    return Asked(
        system=role,
        kind="prompt",
        id=item.id,
        question=item.asked,
        slice=item.slice,
        gold=tuple(stated(each.kind, each.argument) for each in item.asserts),
        document=item.document,
        correct=worst.result.outcome == "passed",
        wrong=tuple(
            f"{'not met' if each.outcome == 'failed' else 'not measured'}: {each.kind}: {each.why}"
            for each in worst.result.checks
            if each.outcome != "passed"
        ),
        f1=None,
        passages=worst.given.uris,
        **of_answer(worst.given.answer),
    )


def stated(kind: str, argument: Any) -> str:
    """An assertion in words: `contains_any "12 months", "twelve months"`."""
    if argument is True:
        return kind
    if isinstance(argument, tuple):
        return f"{kind} " + ", ".join(f'"{each}"' for each in argument)
    return f"{kind} {argument}"


# --- how a suite is put to a system ----------------------------------------------------------


def seams(
    role: str, finder: Finder, system: Answerer, encode: Encode, job: StageJob, *, deterministic: bool, report: Report
) -> suite_run.Asked:
    """A system and the configured judges as a suite asks them. `report(done, total)`: answers of one repeat."""
    kept = system.kept

    def ask(items: Sequence[SuiteItem], repeat: int) -> list[suite_run.Given]:
        """Follow-ups are completed as `ask` does; a repeat is asked anew, whatever was kept."""
        questions = finder.rewritten([item.asked for item in items], [item.history for item in items])
        retrieved = system.retrieve(questions)
        system.kept = None if repeat else kept
        try:
            answers: list[Answer] = system.answer(questions, retrieved=retrieved, report=report)
        finally:
            system.kept = kept
        return [
            suite_run.Given(
                answer,
                tuple(passage.text for passage in found.passages),
                tuple(passage.uri for passage in found.passages),
            )
            for answer, found in zip(answers, retrieved, strict=True)
        ]

    def judge(rubric: str, items: Sequence[Any]) -> list[bool | None]:
        found = judge_items(job.settings.evaluation, load_rubric(Path(rubric)), items, (), job.state, job.report)
        return [{"pass": True, "fail": False}.get(row["verdict"]) for row in found["judged"]]

    judged = judge if job.settings.evaluation.judges else None
    return suite_run.Asked(role, ask, deterministic, encode, judged)


def need_rubric(prompts: SuiteFile, rubric: Path) -> None:
    """Raise QuestionFileError for golden prompts judged by another rubric than the stage's key knows of."""
    others = sorted(each for each in prompts.rubrics if resolve(Path(each)).resolve() != rubric.resolve())
    if others:
        raise QuestionFileError(
            f"The golden prompts name the rubric {others[0]}, and an evaluation has one: {rubric} (evaluation.rubric). "
            "Name that one, or put the suite with `groundwork suite run`."
        )
