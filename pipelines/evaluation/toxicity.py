"""Are answers toxic? Metric `toxicity`: 1 where the configured moderation endpoint flags an answer, else 0.

Asked of what people see (the answer after its guardrails), each text once. Nothing of ours judges: word lists find what
they list and little else, and no classifier comes with our packages; so without an endpoint there is no figure.
Invariant: an answer that the endpoint did not judge is a missing value, and the report says how many there are.
Limits: what counts as toxic is the endpoint's to say; texts go to it as they are.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

from pipelines.artifacts import StageJob
from pipelines.contracts import Item
from pipelines.errors import EngineError
from pipelines.evaluation.asking import Put
from pipelines.evaluation.metrics import slice_of
from pipelines.evaluation.suites import Suite
from pipelines.generation.endpoint import ModerationEndpoint
from pipelines.settings import moderation_key

METRIC = "toxicity"
AT_ONCE = 32
"""Texts of a request."""
GIVE_UP = 5
"""Failures in a row after which the rest is not asked."""


def toxicity(role: str, suite: Suite, came: Put, job: StageJob, told: list[str]) -> list[Item]:
    """Rows of `toxicity`, one a question; none without an endpoint. `told` gets what a reader must know.

    Raises SettingsError when the endpoint's key is named and not set.
    """
    moderator, judging = job.settings.evaluation.moderation, job.settings.evaluation.judging
    if moderator is None:
        return []
    texts = [answer.text for answer in came.answers]
    endpoint = ModerationEndpoint(
        moderator.base_url,
        moderator.model,
        moderation_key(moderator),
        timeout_s=judging.timeout_s,
        retries=judging.retries,
    )
    with closing(endpoint):
        flags, failed = _flags(texts, endpoint.flagged)
    missing = sum(flags.get(text) is None for text in texts)
    if missing:
        told.append(f"{role}: {missing} of {len(texts)} answers were not judged for toxicity: {failed}")
    return [
        Item(
            item=question.id,
            group=suite.group(question.document, question.id),
            slice=slice_of(question),
            metric=METRIC,
            value=None if (flag := flags.get(text)) is None else float(flag),
        )
        for question, text in zip(suite.questions, texts, strict=True)
    ]


def _flags(texts: Sequence[str], ask: Callable[[Sequence[str]], list[bool]]) -> tuple[dict[str, bool], str]:
    """Each text that was judged, and why the last of the others was not.

    A batch that fails is asked text by text: one of them may be to blame. After GIVE_UP failures in a row the rest is
    not asked.
    """
    found: dict[str, bool] = {}
    failed, in_a_row = "", 0
    waiting = list(_batches(list(dict.fromkeys(texts))))
    while waiting and in_a_row < GIVE_UP:
        batch = waiting.pop(0)
        try:
            found |= zip(batch, ask(batch), strict=True)
            in_a_row = 0
        except EngineError as exc:
            failed, in_a_row = str(exc), in_a_row + 1
            if len(batch) > 1:
                waiting = [*([text] for text in batch), *waiting]
    return found, failed


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(texts), AT_ONCE):
        yield texts[start : start + AT_ONCE]
