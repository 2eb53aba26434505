"""A question file is believed only where the documents bear it out."""

import pytest

from pipelines.contracts import Question
from pipelines.errors import QuestionFileError
from pipelines.training.questions import check, find_evidence
from tests.training.conftest import TEXTS, document

DOCUMENTS = {uri: document(uri, text) for uri, text in TEXTS.items()}


def _asked(**changes: object) -> Question:
    base = {"id": "q1", "question": "How many days?", "answers": ("27 days",), "document": "leave/kendal.md"}
    return Question.model_validate(base | changes)


def test_evidence_is_found_through_white_space_and_pipes() -> None:
    text = "x | Heron  H7 |\n48 months |"
    found = find_evidence(text, "Heron H7 | 48 months")
    assert found is not None
    assert text[found[0] : found[1]] == "Heron  H7 |\n48 months"
    assert find_evidence(text, "49 months") is None


def test_the_span_is_filled_in_from_the_evidence() -> None:
    kept = check([_asked(evidence="have 27 days of")], DOCUMENTS, source="f").questions[0]
    assert (kept.start, kept.end) == (
        TEXTS["leave/kendal.md"].index("have 27"),
        TEXTS["leave/kendal.md"].index(" paid"),
    )


def test_without_evidence_the_answer_itself_is_looked_for() -> None:
    kept = check([_asked(answers=("never", "31 March"))], DOCUMENTS, source="f").questions[0]
    assert TEXTS["leave/kendal.md"][kept.start : kept.end] == "31 March"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"evidence": "28 days"}, "does not occur"),
        ({"start": 5, "end": 9, "evidence": "27 days"}, "the evidence says"),
        ({"start": 5, "end": 99999}, "lies outside"),
    ],
    ids=["a quote that is not there", "offsets of something else", "offsets beyond the end"],
)
def test_a_span_that_does_not_hold_is_refused_by_name(changes: dict[str, object], says: str) -> None:
    with pytest.raises(QuestionFileError, match=f"q1.*{says}"):
        check([_asked(**changes)], DOCUMENTS, source="f")


def test_unknown_documents_and_repeats_are_left_out_and_named() -> None:
    asked = [_asked(), _asked(id="q2", document="gone.md"), _asked(id="q3", question="how many  DAYS?")]
    checked = check(asked, DOCUMENTS, source="f")
    assert [question.id for question in checked.questions] == ["q1"]
    assert checked.left_out == {"asked twice": ("q3",), "unknown document": ("q2",)}


def test_nothing_left_is_an_error_that_shows_both_sides() -> None:
    with pytest.raises(QuestionFileError, match=r"names gone\.md; documents are billing/terms\.md"):
        check([_asked(document="gone.md")], DOCUMENTS, source="f")


def test_repeated_ids_are_refused() -> None:
    with pytest.raises(QuestionFileError, match="q1"):
        check([_asked(), _asked(question="Other?")], DOCUMENTS, source="f")
