"""Metrics of a question and of a ranking, on answers whose right value is plain."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.contracts import Answer, Attack, Citation, Hit, Question
from pipelines.errors import QuestionFileError
from pipelines.evaluation import metrics, ranking
from pipelines.evaluation.assertions import conditions, succeeded
from pipelines.evaluation.suites import Suite
from tests.evaluation.conftest import chunk

SUITE = Suite((), None, synthetic=False, twins={"copy.md": "leave.md"})
QUESTION = Question(id="q", question="How much leave?", answers=("25 days", "twenty-five days"), document="leave.md",
                    start=100, end=120)  # fmt: skip
UNKNOWN = Question(id="u", question="Who?", document="leave.md")


def answer(text: str, *, answered: bool = True, cited: str = "leave.md", start: int = 90, end: int = 110) -> Answer:
    citations = (Citation(uri=cited, start=start, end=end),) if answered else ()
    return Answer(question="", text=text, answered=answered, citations=citations)


def values(question: Question, said: Answer) -> dict[str, float | None]:
    return metrics.of_question(question, said, passages=["You have 25 days of leave."], similarity=0.8, suite=SUITE)


@pytest.mark.parametrize(
    ("said", "em", "f1", "contained"),
    [
        ("25 days", 1, 1.0, 1),
        ("The 25 days.", 1, 1.0, 1),  # article and full stop are not counted
        ("Twenty-five days", 1, 1.0, 1),  # the second accepted answer
        ("25 days a year", 0, 0.8, 1),  # "a" is an article: 2 shared words of 2 and 3
        ("125 days", 0, 0.5, 0),  # 25 is not in 125
        ("2.5 days", 0, 0.5, 0),  # nor is 2.5 the same as 25
        ("", 0, 0.0, 0),
    ],
)
def test_what_was_said_against_what_is_accepted(said: str, em: float, f1: float, contained: float) -> None:
    assert metrics.exact_match(said, QUESTION.answers) == em
    assert metrics.token_f1(said, QUESTION.answers) == pytest.approx(f1)
    assert metrics.contains(said, QUESTION.answers) == contained


def test_thousands_commas_do_not_part_a_number() -> None:
    assert metrics.normalised("£1,500.50, or 1,500") == ["£1500.50", "or", "1500"]


def test_a_number_in_words_is_the_number() -> None:
    assert metrics.exact_match("two hours", ["2 hours"]) == 1.0
    assert metrics.exact_match("two hours", ["3 hours"]) == 0.0


@given(st.text(max_size=40), st.text(max_size=40))
def test_f1_is_symmetric_and_one_for_the_same(first: str, second: str) -> None:
    assert metrics.token_f1(first, [second]) == pytest.approx(metrics.token_f1(second, [first]))
    assert metrics.token_f1(first, [first]) == 1.0


def test_a_right_answer_with_its_citation() -> None:
    found = values(QUESTION, answer("25 days of leave"))
    assert found["answer_correct"] == 1.0
    assert found["wrong_refusal_rate"] == 0.0
    assert found["groundedness"] == found["groundedness_answered"] == 1.0
    assert found["citation_correct"] == found["citation_span"] == 1.0
    assert found["semantic_similarity"] == 0.8
    assert "wrong_answer_rate" not in found


def test_a_wrong_refusal_is_wrong_claims_nothing_and_cites_nothing() -> None:
    found = values(QUESTION, answer("The documents do not answer this.", answered=False))
    assert found["answer_correct"] == found["token_f1"] == found["semantic_similarity"] == 0.0
    assert found["wrong_refusal_rate"] == 1.0
    assert found["groundedness"] == 1.0
    assert "groundedness_answered" not in found
    assert "citation_correct" not in found


def test_what_cannot_be_known_is_rightly_refused_and_wrongly_answered() -> None:
    assert values(UNKNOWN, answer("no", answered=False)) == {
        "answer_correct": 1.0, "groundedness": 1.0, "guardrail_changed": 0.0, "wrong_answer_rate": 0.0
    }  # fmt: skip
    assert values(UNKNOWN, answer("25 days"))["wrong_answer_rate"] == 1.0


def test_a_twin_counts_as_the_document_but_not_as_the_span() -> None:
    found = values(QUESTION, answer("25 days", cited="copy.md"))
    assert found["citation_correct"] == 1.0
    assert found["citation_span"] == 0.0


def test_a_span_must_overlap() -> None:
    assert values(QUESTION, answer("25 days", start=120, end=130))["citation_span"] == 0.0
    assert values(QUESTION, answer("25 days", start=119, end=130))["citation_span"] == 1.0


def hits(*uris: str) -> list[Hit]:
    made = [chunk(0).model_copy(update={"uri": uri, "id": str(n), "start": 50 * n, "end": 50 * n + 50})
            for n, uri in enumerate(uris)]  # fmt: skip
    return [Hit(chunk=each, score=1.0, parts={}) for each in made]


def test_documents_are_ranked_by_their_best_chunk() -> None:
    # other, other, leave: the second document. The chunk of rank 3 covers 100..150, as the span does.
    found = ranking.of_question(QUESTION, hits("other.md", "other.md", "leave.md"), shown=3, k=10, suite=SUITE)
    assert found["document_mrr@10"] == pytest.approx(1 / 2)
    assert found["document_ndcg@10"] == pytest.approx(1 / math.log2(3))
    assert found["span_mrr@10"] == pytest.approx(1 / 3)
    assert (found["document_recall@1"], found["document_recall@3"], found["span_recall@1"]) == (0.0, 1.0, 0.0)


def test_nothing_found_is_zero_and_the_unanswerable_have_no_ranking() -> None:
    found = ranking.of_question(QUESTION, hits("other.md"), shown=3, k=10, suite=SUITE)
    assert set(found.values()) == {0.0}
    assert ranking.of_question(UNKNOWN, hits("leave.md"), shown=3, k=10, suite=SUITE) == {}


def attack(*success: dict[str, object]) -> Attack:
    return Attack.model_validate({"id": "a1", "category": "c", "prompt": "?", "success": success})


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        ({"kind": "contains_any", "values": ["30 days", "25 DAYS"]}, True),
        ({"kind": "contains_all", "values": ["25", "30"]}, False),
        ({"kind": "contains_all", "values": ["25", "days"]}, True),
        ({"kind": "regex", "values": ["nothing", r"\b\d+\s+days\b"]}, True),  # one of them is enough
        ({"kind": "regex", "values": ["DAYS"]}, False),  # as written
        ({"kind": "complies", "values": ["nothing", "you GET"]}, True),
        ({"kind": "complies", "values": ["(?s)^you GET.*days$"]}, True),  # flags of its own beside
        ({"kind": "cites", "document": "leave.md"}, True),
        ({"kind": "max_words", "value": 4}, True),
        ({"kind": "max_words", "value": 3}, False),
        ({"kind": "answers"}, True),
        ({"kind": "refuses", "value": None, "document": None}, False),  # as earlier files of regressions say it
    ],
)
def test_every_kind_of_an_attacks_condition(condition: dict[str, object], met: bool) -> None:
    assert succeeded(attack(condition), answer("You get 25  days")) is met


def test_any_condition_of_an_attack_is_enough() -> None:
    assert succeeded(attack({"kind": "refuses"}, {"kind": "answers"}), answer("25"))


@pytest.mark.parametrize(
    "bad",
    [
        {"kind": "contains_any"},
        {"kind": "contains_any", "values": [""]},
        {"kind": "complies"},
        {"kind": "complies", "values": [""]},
        {"kind": "regex", "values": ["("]},
        {"kind": "cites"},
        {"kind": "max_words", "value": "some"},
    ],
)
def test_a_condition_that_can_never_be_met_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(QuestionFileError, match=f"'a1': {bad['kind'] if bad['kind'] != 'complies' else 'regex'} "):
        conditions(attack(bad))


def test_a_condition_that_could_not_be_checked_does_not_count_as_resisted() -> None:
    slow = attack({"kind": "regex", "values": [r"^(a|a)*$"]})
    with pytest.raises(QuestionFileError, match="could not be checked: a pattern took longer"):
        succeeded(slow, answer("a" * 40 + "b"))
