"""Questions made by rule must be answerable, with spans, and unanswerable ones must not be."""

import pytest

from pipelines.contracts import Block, Chunk, Document
from pipelines.training.phrasing import Made, questions_of_sentence, questions_of_table, questions_of_values
from pipelines.training.synthetic import make_questions
from tests.training.conftest import World, chunks_of, document

TABLE = "# Prices\n\n| Part | Price | Weight |\n|---|---|---|\n| RK-110 | 14 GBP | 2 kg |\n| RK-205 | 21 GBP | 3 kg |\n"


def _whole(made: Document) -> Chunk:
    return chunks_of(made)[0].model_copy(update={"start": 0, "end": len(made.text), "text": made.text})


def _sentence(text: str) -> list[Made]:
    made = document("x.md", text)
    return list(questions_of_sentence(made, _whole(made)))


@pytest.mark.parametrize(
    ("sentence", "question", "answer"),
    [
        ("The lamp must be changed every 6 months.", "How often must the lamp be changed?", "every 6 months"),
        ("The Kendal office was opened in 1998.", "When was the Kendal office opened?", "in 1998"),
        ("Staff can carry over up to 5 days.", "How long can Staff carry over?", "up to 5 days"),
        ("The deposit for a logger is £120.", "How much is the deposit for a logger?", "£120"),
        ("Mario Addison added six sacks to it.", "Who or what added six sacks to it?", "Mario Addison"),
        (
            "Before use, the tip of the probe rests in clean water for 30 minutes, no less.",
            "What completes this: the tip of the probe rests in clean water ____?",
            "for 30 minutes",
        ),
        (
            "The first settlement in the area was established in October 1803 under a colonel.",
            "What completes this: The first settlement in the area was established ____ under a colonel?",
            "in October 1803",  # not "in October 18"
        ),
        ("The annual fee is £30m for both.", "What completes this: The annual fee is ____ for both?", "£30m"),
    ],
    ids=["frequency", "date", "length of time", "money", "subject", "a gap", "month and year", "millions"],
)
def test_a_sentence_becomes_a_question(sentence: str, question: str, answer: str) -> None:
    made = _sentence(sentence)
    assert [(one.question, one.answer) for one in made] == [(question, answer)]


@pytest.mark.parametrize(
    "sentence",
    [
        "It must be changed every 6 months.",
        "Nothing can be asked of this one here.",
        "Calibrate the probe before its use, then rinse it for 30 seconds.",
    ],
    ids=["points back", "holds no value", "the clause around the value is too short"],
)
def test_sentences_that_point_back_or_say_nothing_checkable_are_left_alone(sentence: str) -> None:
    assert _sentence(sentence) == []


def test_a_table_cell_is_asked_for_by_row_and_column() -> None:
    made = document("p.md", TABLE, blocks=(Block(kind="table", start=10, end=len(TABLE)),)).model_copy(
        update={"title": "Prices"}
    )
    found = list(questions_of_table(made, _whole(made)))
    assert ("What is the weight of RK-205 in Prices?", "3 kg") in [(one.question, one.answer) for one in found]
    assert len(found) == 4
    assert all(TABLE[one.start : one.end] == one.answer for one in found)


def test_a_labelled_value_is_asked_for_by_its_label() -> None:
    made = document("d.md", "Delivery. Terms\nDelivery time: 3 working days\n")
    found = list(questions_of_values(made, _whole(made)))
    assert [(one.question, one.answer) for one in found] == [
        ("What is the delivery time given for Delivery?", "3 working days")
    ]


def test_made_questions_hold_their_answers_and_invented_ones_have_none(world: World) -> None:
    from pipelines.retrieval.embedder import Embedder
    from pipelines.settings import load

    settings = load()
    embedder = Embedder(settings.embedding, threads=1)
    documents = {made.uri: made for made in world.documents}
    vectors = embedder.encode_passages([f"{chunk.title}\n{chunk.text}" for chunk in world.chunks])
    made = make_questions(
        documents, world.chunks, vectors, embedder.encode_queries, wanted=3, settings=settings.dataset
    )
    answerable = [question for question in made if question.answers]
    assert len(answerable) >= 5
    for question in answerable:
        text = documents[str(question.document)].text
        assert text[question.start : question.end] == question.answers[0]
        assert question.answers[0].lower() not in question.question.lower()
    assert any(not question.answers for question in made)
    assert len({question.id for question in made}) == len(made)
    assert made == make_questions(
        documents, world.chunks, vectors, embedder.encode_queries, wanted=3, settings=settings.dataset
    )
