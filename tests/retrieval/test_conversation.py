"""Follow-ups: what leans on a conversation is completed from it, what stands alone is left as it is."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from pipelines.artifacts import StageJob
from pipelines.contracts import Message
from pipelines.errors import QuestionFileError
from pipelines.retrieval.conversation import CARRIED, complete, leans
from pipelines.retrieval.lexicon import Lexicon, empty_lexicon
from pipelines.retrieval.search import Searcher
from pipelines.retrieval.terms import terms
from pipelines.settings import ROOT, Settings

SAMPLE = ROOT / "data" / "sample"


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SAMPLE / name).read_text(encoding="utf-8").splitlines()]


def talk(*said: str) -> list[Message]:
    """User and assistant in turn."""
    return [Message(role="user" if i % 2 == 0 else "assistant", content=text) for i, text in enumerate(said)]


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    """Of the sample's Markdown and text files, a paragraph a passage: `sign` is common there, `probation` is not."""
    places = [*(SAMPLE / "documents").rglob("*.md"), *(SAMPLE / "documents").rglob("*.txt")]
    passages = [p for place in places for p in place.read_text(encoding="utf-8").split("\n\n") if p.strip()]
    return empty_lexicon().changed(added=[terms(passage) for passage in passages])


@pytest.mark.parametrize(
    ("question", "why"),
    [
        ("And in Porto?", "begins like a follow-up"),
        ("what about the m3?", "in small letters too"),
        ("How long does it last?", "a pronoun before anything that it could mean"),
        ("Where do I have to enter it?", "one word before the pronoun is what is done to it"),
        ("Who found out about that?", "a pointing word at the end"),
        ("Until when?", "nothing tells a topic"),
        ("How many?", "nothing at all"),
    ],
)
def test_a_question_that_needs_what_came_before_is_told(question: str, why: str, lexicon: Lexicon) -> None:
    assert leans(question, lexicon), why


@pytest.mark.parametrize(
    ("question", "why"),
    [
        ("E-17", "a code alone is a topic"),
        ("How long is probation?", "one word, and a rare one"),
        ("I booked the pool van but I'm stuck. How long before I lose it?", "the pronoun's noun stands before it"),
        ("How long does it take until a new vendor is created in our system?", "`it` stands for what follows"),
        ("Is there a food I must not bring into the Halifax kitchen?", "`there` points nowhere"),
        ("And how do I reset the forgotten password of my own account?", "says all, for all its beginning"),
        ("it is to " * 2000, "a text is no follow-up, and is told so at once"),
    ],
)
def test_a_question_that_stands_alone_is_not_touched(question: str, why: str, lexicon: Lexicon) -> None:
    started = time.monotonic()
    history = talk("How much holiday do I get?", "26 days.")
    assert complete(question, history, lexicon) == question, why
    assert time.monotonic() - started < 10  # a busy machine; what backtracks takes minutes


def test_without_a_history_nothing_is_completed(lexicon: Lexicon) -> None:
    assert complete("And in Porto?", [], lexicon) == "And in Porto?"
    assert complete("And in Porto?", [Message(role="system", content="Be kind.")], lexicon) == "And in Porto?"


@pytest.mark.parametrize(
    ("said", "question", "whole"),
    [
        # a name takes the place of a name, along the whole conversation
        (["How much holiday is there in Kendal?", "26 days."], "and in Porto?", "How much holiday is there in Porto?"),
        (
            ["How much holiday is there in Kendal?", "26 days.", "And in Porto?", "23."],
            "What about Halifax?",
            "How much holiday is there in Halifax?",
        ),
        # a code takes the place of a code: of two, the one after the same preposition
        (
            ["How many C100 can I connect to one H5?", "6."],
            "And to an H7?",
            "How many C100 can I connect to one H7?",
        ),
        # no name to put in place of another: the question stands beside the one before
        (["How long is a staff password?", "14."], "And for admins?", "How long is a staff password? And for admins?"),
        # a pronoun may stand for a name in the answer
        (
            ["Who leads the field team?", "Tomasz Wilk."],
            "When does he start?",
            "Who leads the field team? Tomasz Wilk When does he start?",
        ),
        # a change of topic leaves the old one behind
        (
            ["How much holiday is there in Kendal?", "26.", "What does T-05 on the C100 mean?", "The lamp is old."],
            "What do I do first?",
            "What does T-05 on the C100 mean? What do I do first?",
        ),
    ],
)
def test_a_follow_up_is_completed_from_what_it_leans_on(
    said: list[str], question: str, whole: str, lexicon: Lexicon
) -> None:
    assert complete(question, talk(*said), lexicon) == whole


def test_of_a_long_message_the_heaviest_words_are_kept(lexicon: Lexicon) -> None:
    message = "The calibration of the osmometer failed. " + " ".join(f"word{n}" for n in range(300))
    whole = complete("Why?", talk(message, "It is worn."), lexicon)
    # CARRIED words of it and the question's one
    assert len(whole.split()) == CARRIED + 1
    assert whole.endswith("Why?")


# --- over an index -----------------------------------------------------------------------------


def test_what_was_searched_is_said_and_found(small: StageJob, settings: Settings) -> None:
    searcher = Searcher(settings, small.state, small.output)
    history = talk("How many days of paid leave do employees have in Kendal?", "27.")
    (found,) = searcher.results(["And in Porto?"], 2, histories=[history])
    assert found.searched == ("How many days of paid leave do employees have in Porto?",)
    # all but one of these words are Kendal's: which of the two comes first is a matter of weights
    assert "leave-porto.md" in [hit.chunk.uri for hit in found.hits]
    off = settings.model_copy(update={"retrieval": settings.retrieval.model_copy(update={"rewrite": "none"})})
    (as_it_is,) = Searcher(off, small.state, small.output).results(["And in Porto?"], 1, histories=[history])
    assert as_it_is.searched == ("And in Porto?",)


@pytest.mark.parametrize("history", [[Message(role="user", content="x" * 20_001)], talk(*["hello"] * 201)])
def test_a_history_that_is_no_conversation_is_refused(
    history: list[Message], small: StageJob, settings: Settings
) -> None:
    with pytest.raises(QuestionFileError, match="history of query 1"):
        Searcher(settings, small.state, small.output).results(["And now?"], 1, histories=[history])


# --- the conversations of the sample -----------------------------------------------------------


def test_follow_ups_of_the_sample_come_to_hold_what_their_own_wording_lacks(lexicon: Lexicon) -> None:
    """Each carries a wording of its own that needs no conversation; how much of that wording's weight is there?"""
    before, after = [], []
    for row in rows("conversations.jsonl"):
        history = [Message(**message) for message in row["history"]]
        meant = sorted(set(terms(row["meant"])))
        weights = lexicon.idf(meant)
        for shares, text in ((before, row["query"]), (after, complete(row["query"], history, lexicon))):
            held = set(terms(text))
            shares.append(sum(w for t, w in zip(meant, weights, strict=True) if t in held) / weights.sum())
    # a follow-up that names one new thing holds a third of what is meant at best; a completed one nearly all of it,
    # where nobody put it in other words
    assert sum(before) / len(before) < 0.4
    assert sum(after) / len(after) > 0.8


def test_questions_of_the_sample_stand_alone(lexicon: Lexicon) -> None:
    questions = [row["question"] for row in rows("questions.jsonl")]
    touched = [question for question in questions if leans(question, lexicon)]
    assert len(questions) > 700
    assert touched == []


def test_the_documents_of_the_conversations_are_there() -> None:
    named = {document for row in rows("conversations.jsonl") for document in row["documents"]}
    assert [each for each in sorted(named) if not (SAMPLE / "documents" / Path(each)).exists()] == []
