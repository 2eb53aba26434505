"""The training bench: nothing of a test is trained on, refusals are not answered, figures mean what they say."""

import json
import random

import pytest

from benchmarks import training, training_read
from benchmarks.training_data import Split, examples, questions, split, with_refusals
from pipelines.generation.prompts import PromptTemplate, load_prompt
from pipelines.retrieval.spans import Choice
from pipelines.settings import ROOT
from pipelines.training.contexts import plain

PROMPT: PromptTemplate = load_prompt(ROOT / "benchmarks" / "training_prompt.yaml")


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Split:
    """Twenty articles of three paragraphs of two questions, in SQuAD's layout."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "xquad_en").mkdir()

    def paragraph(article: int, n: int) -> dict[str, object]:
        name = f"{article}{n}"
        text = f"The lamp {name} burns for {name}7 hours. Its maker is Firm{name}."
        asked = {f"How long does lamp {name} burn?": f"{name}7 hours", f"Who makes lamp {name}?": f"Firm{name}"}
        return {"context": text, "qas": [{"question": q, "answers": [{"text": a}]} for q, a in asked.items()]}

    data = [{"title": f"A{i}", "paragraphs": [paragraph(i, n) for n in range(3)]} for i in range(20)]
    (folder / "xquad_en" / "xquad.en.json").write_text(json.dumps({"data": data}))
    return split(folder)


def test_no_article_is_on_two_sides(parts: Split) -> None:
    articles = {name: {one.article for one in each} for name, each in parts.items()}
    assert sum(len(each) for each in articles.values()) == len(set().union(*articles.values())) == 20
    assert {name: len(each) for name, each in articles.items()} == {"train": 14, "validation": 2, "test": 4}


def test_a_fifth_is_refused_and_the_paragraph_does_not_answer_it(parts: Split) -> None:
    answers = {asked.question: asked.answer for each in parts.values() for one in each for asked in one.asked}
    laid = with_refusals(parts["train"], random.Random(1))
    refused = [(one, asked) for one, together in laid for asked in together if asked.answer is None]
    assert len(refused) / sum(len(together) for _, together in laid) == pytest.approx(0.2, abs=0.05)
    for one, asked in refused:
        assert plain(str(answers[asked.question])) not in plain(one.text)


def test_examples_of_a_paragraph_share_all_but_the_question(parts: Split) -> None:
    made = examples(with_refusals(parts["train"], random.Random(1)), PROMPT, name="epoch0")
    assert len({example.id for example in made}) == len(made)
    refusals = [example for example in made if not example.answerable]
    assert refusals and {example.messages[-1].content for example in refusals} == {PROMPT.refusal}
    one, other = (example.messages[1].content.split("Question:") for example in made[:2])
    assert one[0] == other[0] and one[1] != other[1]


def test_the_sample_stands_in_where_there_is_no_data() -> None:
    found = split(None)
    assert min(len(each) for each in found.values()) >= 10


def test_the_margin_is_the_one_with_the_most_f1_within_the_bounds(parts: Split) -> None:
    asked = questions(parts["test"])
    # Right spans everywhere; the refusal is 1 nat likelier on answerable questions and 3 on the others.
    read = [Choice(one.asked.answer or "hours", 1.0 if one.asked.answer else 3.0) for one in asked]
    margin = training_read.chosen_margin(asked, read, PROMPT)
    assert 1.0 <= margin < 3.0
    said = [PROMPT.refusal if one.doubt > margin else one.text for one in read]
    assert training_read.score(asked, said, PROMPT) == {"f1": 1.0, "right_refusals": 1.0, "wrong_refusals": 0.0}


def test_a_loss_that_was_not_reached_has_no_ratio() -> None:
    ours = {"validation": [(5.0, 2.0), (10.0, 1.0)]}
    told = training._to_same_loss(ours, {"validation": 1.5, "seconds": 40.0})
    assert (told["seconds"], told["ratio"]) == (10.0, 4.0)
    assert training._to_same_loss(ours, {"validation": 0.5, "seconds": 40.0})["ratio"] is None
