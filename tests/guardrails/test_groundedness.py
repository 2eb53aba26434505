"""Groundedness: an answer counts by what one place of its passages says, claim by claim, with the evidence for each."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.claims_made import CHANGES, RIGHT, Passage, stated
from pipelines import doors
from pipelines.errors import QuestionFileError
from pipelines.guardrails import groundedness
from pipelines.guardrails.claims import claims
from pipelines.guardrails.groundedness import FOR, SIGNS, WEIGHTS, check, held_against
from pipelines.guardrails.passages import Passages
from pipelines.guardrails.wording import words_of

PASSAGE = (
    "Employees in Porto have 27 days of leave a year. Up to five days may be carried over until 31 March. "
    "Dr. Ana Lopes, who founded the firm in 1998, approves exceptions. The C200 does not need a permit. "
    "In 2021 the office in Lyon lost 3.5 million euros, while Porto gained 1,200 customers."
)


def score(answer: str, *contexts: str) -> float:
    return check(answer, contexts or (PASSAGE,)).score


@pytest.mark.parametrize(
    "answer",
    [
        "Employees in Porto have 27 days of leave a year.",  # as it stands
        "27 days",
        "Five days can be carried over until 31 March.",  # a word of the asker's
        "Ana Lopes founded the firm in 1998.",
        "It lost 3,500,000 euros.",  # the passage says 3.5 million
        "No, the C200 does not need a permit.",  # "No" answers, and denies nothing more
    ],
)
def test_what_a_passage_says_is_supported(answer: str) -> None:
    assert score(answer) >= 0.5


@pytest.mark.parametrize(
    "answer",
    [
        "28 days",  # a number of no passage
        "Ana Lopes founded the firm in 2021.",  # a number of another sentence
        "The C200 needs a permit.",  # the passage denies it
        "Employees in Porto do not have 27 days of leave a year.",  # the passage does not
        "The office in Lyon gained 3.5 million euros.",  # the contrary
        "Dr. Miguel Costa approves exceptions.",  # a name of no passage
        "I think you would love it there!",  # claims nothing of the passage's
        "Do you like days of leave?",  # asks
    ],
)
def test_right_words_in_a_wrong_claim_are_not(answer: str) -> None:
    words = [word for word in words_of(answer) if word.content]
    assert words, "an answer without content would prove nothing"
    assert score(answer) < 0.5


def test_words_that_are_strewn_over_a_text_count_less_than_in_one_sentence() -> None:
    together = "The pump in the cellar stops at noon."
    strewn = "The pump is red. A cat sleeps all day in the cellar. Rain often stops play. We have lunch at noon."
    assert score(together, together) > 0.9
    assert score(together, strewn) < score(together, together) - 0.3


def test_one_wrong_claim_pulls_an_answer_below_even_odds_and_is_named() -> None:
    answer = "Employees have 27 days of leave.\n- Dr. Ana Lopes approves exceptions.\n- It began in 2003."
    found = check(answer, [PASSAGE])
    assert [claim.supported for claim in found.claims] == [True, True, False]
    assert found.score < 0.5
    assert 0.5 < found.supported < 1.0


def test_evidence_is_the_sentence_that_says_it_in_the_context_that_holds_it() -> None:
    (claim,) = check("Ana Lopes founded the firm.", ["Nothing of the kind.", PASSAGE]).claims
    assert claim.evidence is not None
    assert claim.evidence.context == 1
    assert claim.evidence.text == "Dr. Ana Lopes, who founded the firm in 1998, approves exceptions."
    assert PASSAGE[claim.evidence.start : claim.evidence.end] == claim.evidence.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Yes, it is. It closes at six.", ["Yes, it is. It closes at six."]),  # 11 signs: too short to stand alone
        ("Mr. Smith won the race. He left early.", ["Mr. Smith won the race.", "He left early."]),
        ("It rained for most of it, and the match was off.", ["It rained for most of it,", "and the match was off."]),
        ("- sells large pumps\n- rents small boats", ["- sells large pumps", "- rents small boats"]),
        ("Version 3.5 (see no. 4; it is new) works well.", ["Version 3.5 (see no. 4; it is new) works well."]),
        ("...", []),
    ],
)
def test_an_answer_is_cut_into_claims(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in claims(text)] == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("twenty-five thousand", "25,000"),
        ("3.5 million", "3500000"),
        ("2026-03-09", "2026 March 9"),
        ("12 km", "twelve kilometres"),
        ("5 %", "5 percent"),
        ("in the US", "in the United States"),
        ("U.S. army", "USA army"),
        ("don't", "do n't"),
    ],
)
def test_two_spellings_are_one(one: str, other: str) -> None:
    def keys(text: str) -> list[str]:
        return [word.key for word in words_of(text) if word.kind != "stop"]

    assert keys(one) == keys(other)


TEXTS = st.text(max_size=200) | st.lists(
    st.sampled_from(["Porto", "not", "27", "days", ".", ",", ";", "(", "\n", "-", "and", "the", "ж", "文書", "½"]),
    max_size=40,
).map(" ".join)


@given(TEXTS, st.lists(TEXTS, max_size=3))
def test_every_answer_has_a_score_and_its_claims_are_spans_of_it(answer: str, contexts: list[str]) -> None:
    found = check(answer, contexts)
    assert 0.0 <= found.score <= 1.0
    at = 0
    for claim in found.claims:
        assert at <= claim.start < claim.end
        assert answer[claim.start : claim.end] == claim.text
        assert not any(c.isalnum() for c in answer[at : claim.start])  # nothing that is said is left out
        at = claim.end
        assert claim.evidence is None or (
            contexts[claim.evidence.context][claim.evidence.start : claim.evidence.end] == claim.evidence.text
        )
    assert not any(c.isalnum() for c in answer[at:])
    scores = [claim.score for claim in found.claims]
    assert not scores or min(scores) - 1e-9 <= found.score <= max(scores) + 1e-9  # a mean lies between


@given(TEXTS, st.lists(TEXTS, min_size=1, max_size=2))
def test_signs_lie_between_0_and_1(answer: str, contexts: list[str]) -> None:
    passages = Passages(contexts)
    for span in claims(answer):
        signs = held_against(answer, span, passages).signs
        assert set(signs) == set(SIGNS)
        assert all(-1e-9 <= value <= 1 + 1e-9 for value in signs.values())


@given(TEXTS.filter(lambda text: bool(claims(text) and words_of(text))))
def test_a_text_that_is_not_there_scores_below_itself(text: str) -> None:
    assert score(text, text) > score(text, "Zebras graze.")


def test_nothing_is_said_by_nothing() -> None:
    assert score("", PASSAGE) == score("...", PASSAGE) == 0.0
    assert check("27 days", []).score == check("27 days", ["", " "]).score == 0.0
    assert [claim.supported for claim in check("27 days", []).claims] == [False]


def test_each_sign_weighs_on_the_side_that_it_speaks_for() -> None:
    assert {name for name in SIGNS if WEIGHTS[name] > 0} == FOR
    assert all(WEIGHTS[name] < 0 for name in SIGNS if name not in FOR)


def test_time_grows_with_the_text_and_not_with_its_square() -> None:
    def seconds(times: int) -> float:
        text = "".join(f"Pump {i} of hall {i % 7} stops at noon (see; it rests). " for i in range(times))
        started = time.process_time()
        check(text, [text])
        return time.process_time() - started

    seconds(20)  # what is made once
    assert seconds(400) < 12 * seconds(100) + 0.2  # 4 times the text; a square would be 16


def test_changed_statements_score_below_right_ones() -> None:
    """The benchmark on one passage: every kind that it makes is below the right ones' mean."""
    made = stated([Passage(PASSAGE, "one")] * 8, rng=random.Random(3))
    scores: dict[str, list[float]] = {}
    for each in made:
        scores.setdefault(each.kind, []).append(check(each.text, [each.passage]).score)
    mean = {kind: sum(values) / len(values) for kind, values in scores.items()}
    assert mean[RIGHT] > 0.7
    assert {"name_changed", "number_changed", "negation_added"} <= mean.keys() & CHANGES.keys()
    assert all(value < mean[RIGHT] - 0.1 for kind, value in mean.items() if kind != RIGHT)


# --- the door ------------------------------------------------------------------------------------


def test_the_door_gives_a_line_an_answer(tmp_path: Path) -> None:
    items = tmp_path / "items.jsonl"
    lines = [
        {"id": "right", "answer": "Employees have 27 days of leave.", "contexts": [PASSAGE]},
        {"id": "wrong", "answer": "Employees have 28 days of leave.", "contexts": [PASSAGE]},
        {"id": "none", "answer": "", "contexts": []},
    ]
    items.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    command = [sys.executable, "-m", "pipelines", "ground", "--items", str(items)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    right, wrong, none = map(json.loads, done.stdout.splitlines())
    assert (right["id"], wrong["id"]) == ("right", "wrong")
    assert right["score"] > 0.5 > wrong["score"]
    assert right["claims"][0]["supported"] is True
    assert right["claims"][0]["evidence"]["text"] == "Employees in Porto have 27 days of leave a year."
    assert none == {"id": "none", "score": 0.0, "claims": []}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "1", "answer": "x"}', "line 1: contexts"),
        ('{"id": "1", "answer": "x", "contexts": "one text"}', "line 1: contexts"),
        ('{"id": "1", "answer": null, "contexts": []}', "line 1: answer"),
        ("not json", "line 1"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    items = tmp_path / "items.jsonl"
    items.write_text(line, encoding="utf-8")
    with pytest.raises(QuestionFileError, match=message):
        list(doors.ground(items))


def test_a_claim_is_supported_from_even_odds_on() -> None:
    for answer in ("27 days", "28 days", "Yes."):
        for claim in check(answer, [PASSAGE]).claims:
            assert claim.supported == (claim.score >= groundedness.EVEN)
