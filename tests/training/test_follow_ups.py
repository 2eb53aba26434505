"""Follow-ups of a question file: completed as serving completes them, and learned as one question with one answer."""

from pathlib import Path

import pytest

from pipelines.contracts import Message, Question
from pipelines.generation.prompts import PromptTemplate
from pipelines.retrieval.conversation import complete
from pipelines.retrieval.lexicon import empty_lexicon
from pipelines.retrieval.terms import search_text, terms
from pipelines.settings import Settings
from pipelines.training.dataset import Source, build
from pipelines.training.follow_ups import Completer, stand_alone
from pipelines.training.grouping import tokenise
from pipelines.training.questions import check
from tests.training.conftest import World
from tests.training.test_feedback import by_words, prompt, settings, source

__all__ = ["prompt", "settings", "source"]  # fixtures

TURNS = (
    Message(role="user", content="Which part is the cap of the pH probe?"),
    Message(role="assistant", content="SP-330."),
)
ASKED = Question(
    id="f", question="And the cable?", answers=("SP-331",), document="spares/probe.md", evidence="SP-331", turns=TURNS
)


def test_it_is_completed_as_serving_completes_it(world: World) -> None:
    (made,), lost = stand_alone([ASKED], Completer(world.chunks, "terms"))
    texts = [terms(search_text(c.title, c.heading_path, c.text)) for c in world.chunks]
    assert made.question == complete(ASKED.question, TURNS, empty_lexicon().changed(added=texts))
    assert made.question == "Which part is the cap of the pH probe? SP-330 And the cable?"
    assert (made.turns, lost) == ((), ())


def test_where_serving_does_not_complete_there_is_nothing_to_learn(world: World) -> None:
    alone = ASKED.model_copy(update={"id": "alone", "turns": ()})
    assert stand_alone([ASKED, alone], Completer(world.chunks, "none")) == ([alone], ("f",))


def test_the_loss_is_on_the_last_answer_alone(
    world: World, source: Source, prompt: PromptTemplate, settings: Settings, tiny_base: Path
) -> None:
    from dataclasses import replace

    from transformers import AutoTokenizer

    asked, _ = stand_alone([*world.questions, ASKED], Completer(world.chunks, "terms"))
    checked = check(asked, source.documents, source="q")
    made = build(replace(source, checked=checked), prompt, settings, by_words)
    example = next(e for e in made.examples["train"] if "And the cable?" in e.messages[1].content and e.answerable)
    assert [message.role for message in example.messages] == ["system", "user", "assistant"]
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    (row,) = tokenise([example], tokenizer)
    assert tokenizer.decode(row.answer) == "SP-331<|im_end|>"
    assert tokenizer.decode(row.prompt).endswith("SP-330 And the cable?<|im_end|>\n<|im_start|>assistant\n")


@pytest.mark.parametrize("rewrite", ["none", "terms", "model"])
def test_questions_that_follow_nothing_are_not_touched(world: World, rewrite: str) -> None:
    assert stand_alone(world.questions, Completer(world.chunks, rewrite)) == (world.questions, ())  # type: ignore[arg-type]
