"""An answer against what was accepted: the metrics of a question, each 0..1.

Metric (higher is better unless it says "rate"):

    answer_correct       the primary one. Answerable: token F1 >= 0.5 or an accepted answer is contained.
                         Unanswerable: it was refused.
    exact_match, token_f1, contains, semantic_similarity      answerable questions; 0 when refused
    wrong_refusal_rate   answerable questions: 1 when refused
    wrong_answer_rate    unanswerable questions: 1 when answered
    citation_correct     answers to answerable questions: the document cited first of all (by the citation that
                         supports its sentence best) is the gold one (or its twin)
    citation_span        the same: the span cited first of all overlaps the gold span
    sentences_cited      answers given: share of what was said (characters of its sentences) that a citation carries
    groundedness         all questions: share of the answer, in claims, that its passages support; a refusal claims
                         nothing and counts 1, so that every system is measured on the same items
    groundedness_answered   the same without refusals: what a reader meets
    guardrail_changed    all questions: 1 when a guardrail changed what the model said

Exact match and F1 compare words as guardrails/answerwords.py has them.
What does not apply to a question has no row; what could not be measured has a row without a value.
"""

from collections.abc import Mapping, Sequence

from pipelines.contracts import Answer, Item, Question, strongest
from pipelines.evaluation.suites import Suite
from pipelines.guardrails.answerwords import normalised, words_f1
from pipelines.guardrails.groundedness import check

CORRECT_F1 = 0.5
"""Token F1 from which an answer counts as correct."""


def exact_match(said: str, accepted: Sequence[str]) -> float:
    """1 when the answer is an accepted one after normalisation."""
    return float(any(normalised(said) == normalised(answer) for answer in accepted))


def token_f1(said: str, accepted: Sequence[str]) -> float:
    """Best F1 of shared words over the accepted answers."""
    return max((words_f1(normalised(said), normalised(answer)) for answer in accepted), default=0.0)


def contains(said: str, accepted: Sequence[str]) -> float:
    """1 when the words of an accepted answer stand together in what was said ("5" is not in "25")."""
    words = f" {' '.join(normalised(said))} "
    return float(any(f" {' '.join(wanted)} " in words for answer in accepted if (wanted := normalised(answer))))


def correct(question: Question, answer: Answer) -> float:
    """The primary metric: see the module's table."""
    if not question.answers:
        return float(not answer.answered)
    right = token_f1(answer.text, question.answers) >= CORRECT_F1 or contains(answer.text, question.answers)
    return float(answer.answered and right)


def of_question(
    question: Question, answer: Answer, *, passages: Sequence[str], similarity: float | None, suite: Suite
) -> dict[str, float | None]:
    """Every metric that applies to the question, by name. `similarity`: cosine to the nearest accepted answer."""
    grounded = check(answer.text, passages).supported if answer.answered else 1.0
    values: dict[str, float | None] = {
        "answer_correct": correct(question, answer),
        "groundedness": grounded,
        "guardrail_changed": float(answer.guardrail is not None),
    }
    if answer.answered:
        values["groundedness_answered"] = grounded
        values["sentences_cited"] = sentences_cited(answer)
    if not question.answers:
        return values | {"wrong_answer_rate": float(answer.answered)}
    return values | _of_answerable(question, answer, similarity) | _citations(question, answer, suite)


def _of_answerable(question: Question, answer: Answer, similarity: float | None) -> dict[str, float | None]:
    given = float(answer.answered)
    return {
        "exact_match": given * exact_match(answer.text, question.answers),
        "token_f1": given * token_f1(answer.text, question.answers),
        "contains": given * contains(answer.text, question.answers),
        "semantic_similarity": similarity if answer.answered else 0.0,
        "wrong_refusal_rate": 1.0 - given,
    }


def _citations(question: Question, answer: Answer, suite: Suite) -> dict[str, float | None]:
    if not answer.answered or question.document is None:
        return {}
    best = strongest(answer.citations)
    found: dict[str, float | None] = {
        "citation_correct": float(best is not None and best.uri in suite.accepted(question.document))
    }
    if question.start is not None and question.end is not None:
        start, end = question.start, question.end
        hit = best is not None and best.uri == question.document and best.start < end and start < best.end
        found["citation_span"] = float(hit)
    return found


def sentences_cited(answer: Answer) -> float:
    """Share of an answer, by characters of its sentences, that a citation carries; dropped sentences count too."""
    ends = {(c.answer_start, len(answer.text) if c.answer_end is None else c.answer_end) for c in answer.citations}
    cited = sum(end - start for start, end in ends)
    left = sum(each.end - each.start for each in answer.unsupported)
    return cited / (cited + left) if cited else 0.0


def slice_of(question: Question) -> str:
    """The question's slice; unanswerable ones of an unsliced file have their own."""
    return "unanswerable" if question.slice == "all" and not question.answers else question.slice


def items_of(name: str, group: str, part: str, values: Mapping[str, float | None]) -> list[Item]:
    """Rows of an item table."""
    return [Item(item=name, group=group, slice=part, metric=metric, value=value) for metric, value in values.items()]
