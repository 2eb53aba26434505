"""Which span answers: what stands beside the question's words, and what most of the likely spans agree on."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.generation.engine import Span
from pipelines.retrieval.spans import REACH, WEIGHT, choose, nearness

TEXT = (
    "The mill in Kendal was built in 1846 by the Bell family. Nobody lives there. It was a wool mill for a long time, "
    "and later it made paper. The canteen in Porto was opened in 1971 and seats ninety people at noon on most days."
)


def test_the_span_beside_the_questions_words_wins_over_a_likelier_one_far_away() -> None:
    spans = [("1971", -1.0), ("1846", -2.0)]
    assert choose(spans, -9.0, "When was the mill in Kendal built?", [TEXT]).text == "1846"
    assert choose(spans, -9.0, "When did the canteen in Porto open?", [TEXT]).text == "1971"


def test_a_question_without_words_of_its_own_leaves_the_likeliest() -> None:
    assert choose([("1971", -1.0), ("1846", -2.0)], -9.0, "When was it?", [TEXT]).text == "1971"


def test_what_most_likely_spans_share_is_chosen_not_the_peak() -> None:
    spans = [("paper", -1.0), ("wool mill", -1.2), ("a wool mill", -1.3)]
    assert choose(spans, -9.0, "?", [TEXT]).text == "wool mill"


def test_the_doubt_is_of_the_refusal_against_all_spans_together() -> None:
    assert choose([("paper", -1.0)], -1.0, "?", [TEXT]).doubt == pytest.approx(0.0)
    assert choose([("paper", -1.0), ("ninety", -1.0)], -1.0, "?", [TEXT]).doubt == pytest.approx(-math.log(2))
    beside = choose([("wool mill", -1.0)], -1.0, "paper?", [TEXT])
    assert -WEIGHT < beside.doubt < 0.0


def test_without_a_span_the_refusal_is_certain() -> None:
    assert choose([], -1.0, "What?", []) == choose([], -1.0, "What?", [TEXT])
    assert choose([], -1.0, "What?", []).doubt == math.inf


def test_nearness_counts_each_word_of_the_question_by_its_distance() -> None:
    text = "alpha beta gamma delta RK-110 omega"
    assert nearness(["beta"], "alpha", [text])["beta"] == pytest.approx(math.exp(-1 / REACH))
    assert nearness(["beta"], "delta or alpha", [text])["beta"] == pytest.approx(
        (math.exp(-1 / REACH) + math.exp(-2 / REACH)) / 2
    )
    assert nearness(["beta"], "beta", [text])["beta"] == 0.0  # a span is no evidence for itself
    assert nearness(["omega"], "rk110", [text])["omega"] == pytest.approx(math.exp(-1 / REACH))
    assert nearness(["beta"], "alpha", ["beta", text, "x beta"])["beta"] == pytest.approx(math.exp(-1 / REACH))


WORDS = st.text("ab -.\n", max_size=12)


@given(
    spans=st.lists(st.tuples(WORDS, st.floats(-50, 0)), min_size=1, max_size=6),
    question=WORDS,
    texts=st.lists(WORDS, max_size=3),
    refusal=st.floats(-50, 0),
)
def test_a_choice_is_one_of_the_spans_whatever_their_order(
    spans: list[Span], question: str, texts: list[str], refusal: float
) -> None:
    found = choose(spans, refusal, question, texts)
    assert found.text in {text for text, _ in spans}
    assert math.isfinite(found.doubt)
    again = choose(spans[::-1], refusal, question, texts)
    assert (again.text, again.doubt) == (found.text, pytest.approx(found.doubt))
    assert all(0.0 <= near <= 1.0 for near in nearness([text for text, _ in spans], question, texts).values())
    more = choose([*spans, ("c", -1.0)], refusal, question, texts)
    assert more.doubt <= found.doubt
