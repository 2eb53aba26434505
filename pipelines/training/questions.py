"""A question file against the ingested documents: what holds is kept and located, the rest is named.

Invariant: a kept question's span, where it has one, is where its answer stands in `Document.text`.
Limits: a question with answers but neither span nor evidence gets the first place where an accepted
answer occurs; if there is none, it can be evaluated but not trained on.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.contracts import Document, Question
from pipelines.errors import QuestionFileError

SHOWN = 5
"""Names given in a message."""


@dataclass(frozen=True)
class Checked:
    """Questions that hold, and ids of those left out by reason."""

    questions: tuple[Question, ...]
    left_out: Mapping[str, tuple[str, ...]]


def check(questions: Sequence[Question], documents: Mapping[str, Document], *, source: str) -> Checked:
    """Keep questions about documents that are there, with spans filled in from their evidence.

    Raises QuestionFileError for repeated ids, for a span that does not hold what it says, and when
    nothing is left. `source` names the file in messages.
    """
    unique_ids(questions, source)
    kept: list[Question] = []
    left_out: dict[str, list[str]] = {}
    seen: set[tuple[str, str | None]] = set()
    for question in questions:
        same = (" ".join(question.question.lower().split()), question.document)
        if question.document is None or question.document not in documents:
            left_out.setdefault("unknown document", []).append(question.id)
        elif same in seen:
            left_out.setdefault("asked twice", []).append(question.id)
        else:
            seen.add(same)
            kept.append(_located(question, documents[question.document], source))
    if not kept:
        raise QuestionFileError(_nothing_left(questions, documents, source))
    return Checked(tuple(kept), {reason: tuple(ids) for reason, ids in sorted(left_out.items())})


def find_evidence(text: str, evidence: str) -> tuple[int, int] | None:
    """Where a quote stands in a text, ignoring white space and table pipes; None when it does not."""
    words = re.findall(r"[^\s|]+", evidence)
    if not words:
        return None
    found = re.search(r"[\s|]*".join(re.escape(word) for word in words), text)
    return (found.start(), found.end()) if found else None


def same_words(left: str, right: str) -> bool:
    """Whether two texts are equal but for white space and table pipes."""
    return re.sub(r"[\s|]+", "", left) == re.sub(r"[\s|]+", "", right)


def _located(question: Question, document: Document, source: str) -> Question:
    if not question.answers:
        return question
    if question.start is not None and question.end is not None:
        _span_holds(question, document, source)
        return question
    found = find_evidence(document.text, question.evidence) if question.evidence else _first_answer(question, document)
    if question.evidence and found is None:
        raise QuestionFileError(
            f"{source}: question {question.id}: its evidence does not occur in {question.document}: "
            f"{question.evidence[:80]!r}. Quote the document word for word (white space and table pipes are ignored)."
        )
    return question.model_copy(update={"start": found[0], "end": found[1]}) if found else question


def _span_holds(question: Question, document: Document, source: str) -> None:
    start, end = question.start or 0, question.end or 0
    if not 0 <= start < end <= len(document.text):
        raise QuestionFileError(
            f"{source}: question {question.id}: span {start}..{end} lies outside {question.document}, "
            f"which has {len(document.text)} characters."
        )
    held = document.text[start:end]
    if question.evidence and not same_words(held, question.evidence):
        raise QuestionFileError(
            f"{source}: question {question.id}: {question.document}[{start}:{end}] is {held[:60]!r}, "
            f"the evidence says {question.evidence[:60]!r}. Leave start and end out to have them found."
        )


def _first_answer(question: Question, document: Document) -> tuple[int, int] | None:
    places = (find_evidence(document.text, answer) for answer in question.answers)
    return next((place for place in places if place is not None), None)


def unique_ids(questions: Sequence[Question], source: str) -> None:
    """Raise QuestionFileError when an id occurs more than once."""
    repeated = [name for name, count in Counter(question.id for question in questions).items() if count > 1]
    if repeated:
        raise QuestionFileError(
            f"{source}: {len(repeated)} ids occur more than once: {', '.join(repeated[:SHOWN])}. "
            "Give each line an id of its own."
        )


def _nothing_left(questions: Sequence[Question], documents: Mapping[str, Document], source: str) -> str:
    if not questions:
        return f"{source} holds no question. Set files.questions to null to have questions made from the documents."
    asked = ", ".join(sorted({str(question.document) for question in questions})[:SHOWN])
    there = ", ".join(sorted(documents)[:SHOWN])
    return (
        f"{source}: none of {len(questions)} questions names an ingested document. It names {asked}; "
        f"documents are {there}. Write uris relative to the source folder."
    )
