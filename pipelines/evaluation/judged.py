"""The answers of an evaluation before the configured judges: metric `judge_pass` (0 or 1), by majority.

Invariant: an answer without a verdict is a missing value of the item table, and the report says how many there are.
"""

from collections.abc import Sequence

from pipelines.artifacts import StageJob
from pipelines.contracts import Item, Question
from pipelines.evaluation import judging
from pipelines.evaluation.asking import Put
from pipelines.evaluation.metrics import slice_of
from pipelines.evaluation.rubrics import JudgeItem, load_rubric
from pipelines.evaluation.suites import Suite

NO_ANSWER = "The documents do not answer this."
"""The reference of a question without an accepted answer."""


def judged(role: str, suite: Suite, came: Put, job: StageJob, told: list[str]) -> list[Item]:
    """Rows of `judge_pass`, one a question; none where no judge is configured. `told` gets what a reader must know."""
    chosen = job.settings.evaluation
    if not chosen.judges:
        return []
    rubric = load_rubric(job.inputs["rubric"])
    items = [_item(question, suite, came, i) for i, question in enumerate(suite.questions)]
    found = judging.judge_items(chosen, rubric, items, (), job.state, job.report)
    told += [f"{role}: judges: {warning}" for warning in found["warnings"]]
    if found["orders"]:
        told.append(f"{role}: {len(found['orders'])} answers give orders to who judges them.")
    return judging.table(found)


def _item(question: Question, suite: Suite, came: Put, i: int) -> JudgeItem:
    return JudgeItem(
        id=question.id,
        question=question.question,
        answer=came.answers[i].text,
        contexts=tuple(came.texts[i]),
        reference=_reference(question.answers),
        group=suite.group(question.document, question.id),
        slice=slice_of(question),
    )


def _reference(accepted: Sequence[str]) -> str:
    return " / ".join(accepted) or NO_ANSWER
