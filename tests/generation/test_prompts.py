"""Passages and a question become two messages; what a template lacks is said before anything is asked."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.contracts import Message
from pipelines.errors import SettingsError
from pipelines.generation.prompts import PromptTemplate, load_prompt
from pipelines.settings import ROOT

TEMPLATE = PromptTemplate(
    name="plain",
    version=1,
    system="Answer briefly.",
    passage="[{number}] {title}{heading}\n{text}",
    user="{passages}\n\nQuestion: {question}",
    refusal="I do not know.",
)
PROMPTS = ROOT / "configs" / "prompts"
SERVED = sorted(place for place in PROMPTS.glob("*.yaml") if place.stem != "rewrite")  # that one asks for queries
WORDS = st.text("ab {}\n", max_size=20)


@dataclass(frozen=True)
class Passage:
    """What the protocol PassageText asks for."""

    title: str
    text: str
    heading_path: tuple[str, ...] = ()


LEAVE = Passage("Leave", "27 days in Kendal.", ("Leave", "Kendal", "Full time"))
SPARES = Passage("Spares", "The cap is SP-330.")


def asked(question: str, *passages: Passage, template: PromptTemplate = TEMPLATE) -> str:
    """The user's message."""
    return template.messages(passages, question)[1].content


def test_passages_are_numbered_from_one_with_title_and_headings() -> None:
    # the title is also the first heading, and is not said twice
    assert TEMPLATE.messages([LEAVE, SPARES], "How many days?") == (
        Message(role="system", content="Answer briefly."),
        Message(
            role="user",
            content="[1] Leave > Kendal > Full time\n27 days in Kendal.\n\n"
            "[2] Spares\nThe cap is SP-330.\n\n"
            "Question: How many days?",
        ),
    )


def test_without_passages_the_question_is_asked_all_the_same() -> None:
    assert asked("How many days?") == "\n\nQuestion: How many days?"


@given(st.lists(st.tuples(WORDS, WORDS), max_size=3), WORDS, WORDS)
def test_questions_over_the_same_passages_share_all_before_the_question(
    passages: list[tuple[str, str]], one: str, other: str
) -> None:
    shown = [Passage(title, text) for title, text in passages]
    first, second = asked(one, *shown), asked(other, *shown)
    assert first.removesuffix(one) == second.removesuffix(other)


@pytest.mark.parametrize(
    "braces",
    ["{question}", "{passages}", "{text}", "{number}", "{title}", "{heading}", "{0}", "{", "}}"],
)
def test_braces_in_a_passage_and_in_a_question_are_taken_literally(braces: str) -> None:
    passage = Passage(f"On {braces}", f"Write {braces} here.", (f"On {braces}", f"Use of {braces}"))
    assert asked(f"What is {braces}?", passage) == (
        f"[1] On {braces} > Use of {braces}\nWrite {braces} here.\n\nQuestion: What is {braces}?"
    )


def test_a_template_may_ask_before_it_shows() -> None:
    first = TEMPLATE.model_copy(update={"user": "{question}\n---\n{passages}\n---\n{question}"})
    assert (
        asked("Which cap?", SPARES, template=first)
        == "Which cap?\n---\n[1] Spares\nThe cap is SP-330.\n---\nWhich cap?"
    )


def test_the_digest_follows_the_words_and_not_the_label() -> None:
    assert TEMPLATE.model_copy(update={"name": "other", "version": 2}).digest == TEMPLATE.digest
    changed = [
        TEMPLATE.model_copy(update={part: "something else"}) for part in ("system", "passage", "user", "refusal")
    ]
    assert len({template.digest for template in (TEMPLATE, *changed)}) == 5


@pytest.mark.parametrize("path", SERVED, ids=lambda path: path.stem)
def test_the_prompts_in_configs_load_and_say_what_a_refusal_is(path: Path) -> None:
    template = load_prompt(path)
    assert template.name == path.stem
    # the model can only say the refusal that it was told to say
    assert template.refusal in template.system
    assert asked("Which cap?", SPARES, template=template).endswith("Question: Which cap?")


def _file(folder: Path, text: str) -> Path:
    path = folder / "prompt.yaml"
    path.write_text(text, encoding="utf-8")
    return path


COMPLETE = {
    "name": "n",
    "version": "1",
    "system": "s",
    "passage": "'{text}'",
    "user": "'{passages} {question}'",
    "refusal": "r",
}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"user": "'{question}'"}, r"`user` lacks \{passages\}"),
        ({"user": "'{passages}'"}, r"`user` lacks \{question\}"),
        ({"refusal": None}, "refusal"),
        ({"version": "first"}, "version"),
        ({"temperature": "0.7"}, "temperature"),
        ({"system": "[unclosed"}, "not a prompt template"),
    ],
    ids=[
        "passages have no place",
        "the question has no place",
        "a field is missing",
        "a field of another type",
        "a field that nobody reads",
        "no YAML",
    ],
)
def test_a_template_that_cannot_serve_is_refused_by_file_and_field(
    tmp_path: Path, changes: dict[str, str | None], says: str
) -> None:
    fields = {name: value for name, value in (COMPLETE | changes).items() if value is not None}
    path = _file(tmp_path, "".join(f"{name}: {value}\n" for name, value in fields.items()))
    with pytest.raises(SettingsError, match=says) as caught:
        load_prompt(path)
    assert str(path) in str(caught.value)


def test_the_fields_above_make_a_template(tmp_path: Path) -> None:
    path = _file(tmp_path, "".join(f"{name}: {value}\n" for name, value in COMPLETE.items()))
    assert load_prompt(path).user == "{passages} {question}"


def test_a_file_that_is_missing_empty_or_no_text_is_a_settings_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such prompt template"):
        load_prompt(tmp_path / "gone.yaml")
    with pytest.raises(SettingsError, match="not a prompt template"):
        load_prompt(_file(tmp_path, ""))
    (tmp_path / "latin.yaml").write_bytes("system: caf\xe9\n".encode("latin-1"))
    with pytest.raises(SettingsError, match="not a prompt template"):
        load_prompt(tmp_path / "latin.yaml")
