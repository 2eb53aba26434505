"""Nothing that evaluation asks is trained on: equal and nearly equal questions, passages that two documents share."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.contracts import Question
from pipelines.errors import DatasetError, QuestionFileError
from pipelines.generation.prompts import PromptTemplate
from pipelines.settings import Settings
from pipelines.training.dataset import Built, Source, build
from pipelines.training.overlap import NEARLY, PASSAGE, SAME, asked_in, overlaps, refuse_repeats, repeated_passages
from pipelines.training.questions import check
from tests.training.conftest import World, chunks_of, document
from tests.training.test_feedback import by_words, plain_build, prompt, settings, source

__all__ = ["plain_build", "prompt", "settings", "source"]  # fixtures


def asked(name: str, question: str, *answers: str, document: str = "a.md") -> Question:
    return Question(id=name, question=question, answers=answers, document=document)


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("How heavy is the  HERON-H5 logger", SAME),
        ("How heavy is the Heron H5 logger now?", NEARLY),
        ("How heavy is the Heron H7 logger?", None),  # another thing, named by its code
        ("Which colour has the lid of a Merle?", None),
    ],
)
def test_a_question_is_told_from_one_about_another_thing(question: str, reason: str | None) -> None:
    found = overlaps([question], ["Who?", "How heavy is the Heron H5 logger?"], by_words)
    assert [(each.held, each.reason) for each in found.values()] == ([(1, reason)] if reason else [])


def test_a_near_question_needs_a_high_cosine_or_half_of_its_words() -> None:
    def fixed(cosine: float) -> dict[int, str]:
        rows = {
            "a b c": [1.0, 0.0],
            "a b x": [cosine, (1 - cosine**2) ** 0.5],
            "p q r": [cosine, (1 - cosine**2) ** 0.5],
        }
        encode = lambda texts: np.array([rows[text] for text in texts], dtype=np.float32)  # noqa: E731
        found = overlaps(["a b x", "p q r"], ["a b c"], encode)
        return {number: each.reason for number, each in found.items()}

    # "a" is a stop word: "b x" and "b c" share one of three terms; "p q r" and "b c" none
    assert fixed(0.89) == {}
    assert fixed(0.91) == {0: NEARLY, 1: NEARLY}


def test_the_same_question_with_the_same_answer_in_two_splits_is_refused_by_name() -> None:
    golden = [asked("g", "How long?", "27 days", "27", document="g.md"), asked("u", "Who?", document="g.md")]
    refuse_repeats([asked("t", "How long?", "24 days"), asked("v", "Who?")], golden, "q.jsonl")
    with pytest.raises(DatasetError, match=r"q\.jsonl: 1 questions .* t \(a\.md\) and g \(g\.md\)"):
        refuse_repeats([asked("t", "how  LONG", "27 days")], golden, "q.jsonl")


def test_a_question_file_that_asks_the_same_in_two_splits_is_an_error(
    source: Source, prompt: PromptTemplate, settings: Settings, plain_build: Built
) -> None:
    golden = next(question for question in plain_build.golden if question.answers)
    trained = next(uri for uri, split in plain_build.splits.items() if split == "train")
    again = golden.model_copy(update={"id": "again", "document": trained, "start": None, "end": None})
    twice = replace(source.checked, questions=(*source.checked.questions, again))
    with pytest.raises(DatasetError, match="again"):
        build(replace(source, checked=twice), prompt, settings, by_words)


def test_what_a_golden_prompt_asks_is_kept_from_training_and_counted(
    source: Source, prompt: PromptTemplate, settings: Settings, plain_build: Built
) -> None:
    question = "Which cable fits the probe?"
    assert any(question in example.messages[1].content for example in plain_build.examples["train"])
    made = build(replace(source, prompts=(question,)), prompt, settings, by_words)
    every = [example for found in made.examples.values() for example in found]
    assert not any(question in example.messages[1].content for example in every)
    assert set(made.kept_out[SAME]) - set(plain_build.kept_out.get(SAME, ())) == {"spares/probe.md-1"}
    assert made.golden == plain_build.golden


def test_a_passage_of_a_golden_document_is_not_shown_from_another_one(
    world: World, prompt: PromptTemplate, settings: Settings, plain_build: Built
) -> None:
    golden = next(uri for uri, split in plain_build.splits.items() if split == "golden")
    trained = next(uri for uri, split in plain_build.splits.items() if split == "train")
    shared = "Call the front desk first."
    texts = {each.uri: each.text + (f" {shared}" if each.uri in (golden, trained) else "") for each in world.documents}
    documents = [document(uri, text) for uri, text in texts.items()]
    chunks = [chunk for each in documents for chunk in chunks_of(each)]
    new = Question(id="new", question="Whom does one ring before all?", answers=("the front desk",), document=trained)
    checked = check([*world.questions, new], {each.uri: each for each in documents}, source="q")
    made = build(
        Source({d.uri: d for d in documents}, chunks, by_words([c.text for c in chunks]), checked, "curated"),
        prompt,
        settings,
        by_words,
    )
    held = {chunk.id for chunk in chunks if chunk.text == shared}
    assert len(held) == 2
    assert not any(held & set(each.chunk_ids) for found in made.examples.values() for each in found)
    assert made.kept_out[PASSAGE] == ("new",)
    assert repeated_passages(chunks, [False] * len(chunks)) == frozenset()


def test_nothing_overlaps_with_nothing() -> None:
    assert overlaps([], ["a"], by_words) == {}
    assert overlaps(["a"], [], by_words) == {}


SUITE = """
name: s
items:
  - {id: a, question: "Why?"}
  - {id: b, messages: [{role: user, content: "How?"}]}
"""


@pytest.mark.parametrize(
    ("name", "text", "asked"),
    [
        ("s.yaml", SUITE, ("Why?", "How?")),
        ("s.jsonl", '{"name": "s", "version": 1}\n{"id": "a", "question": "Why?"}\n', ("Why?",)),
        ("s.yaml", "name: s\nitems: [7, {id: a}]\n", ()),
    ],
    ids=["yaml, a question and a conversation", "lines with a head", "rows that ask nothing: evaluation says so"],
)  # fmt: skip
def test_what_a_suite_asks_is_read_of_either_format(
    tmp_path: Path, name: str, text: str, asked: tuple[str, ...]
) -> None:
    (tmp_path / name).write_text(text)
    assert asked_in(tmp_path / name) == asked


@pytest.mark.parametrize("text", ["items: [", "name: s\nitems: {}\n"], ids=["not YAML", "items that are no list"])
def test_a_file_that_is_no_suite_names_the_check(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(QuestionFileError, match=r"(?s)s\.yaml.*groundwork suite check"):
        asked_in(tmp_path / "s.yaml")
