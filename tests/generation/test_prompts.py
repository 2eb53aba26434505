"""Passages and a question become two messages; what a template lacks is said before anything is asked."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from pipelines.artifacts import Workspace
from pipelines.cli import app
from pipelines.contracts import Message
from pipelines.errors import SettingsError
from pipelines.generation.prompts import MOST_EXAMPLES, PromptTemplate, load_prompt
from pipelines.generation.room import Room, fitting_prompt, measured, need_room, needed_tokens, room_of
from pipelines.settings import ROOT, load
from pipelines.store import ReleaseRow, open_store
from tests.release.candidates import candidate

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


# --- few-shot examples ---

LEAVE_EXAMPLE = {
    "passages": [{"title": "Leave", "text": "People in Kendal have 27 days of leave."}],
    "question": "How many days are there in Kendal?",
    "answer": "27 days",
}
REFUSED = LEAVE_EXAMPLE | {"question": "Who invented leave?", "answer": TEMPLATE.refusal}


def shown(*examples: dict[str, Any], **changes: Any) -> PromptTemplate:
    return PromptTemplate.model_validate({**TEMPLATE.model_dump(), "examples": examples, **changes})


def test_without_examples_digest_and_messages_are_what_they_were_before_there_were_any() -> None:
    # of the file as it was released before; the kept answers of every workspace hang on it
    assert load_prompt(PROMPTS / "answer.yaml").digest.startswith("1c07471c492d8c80")
    assert shown().digest == TEMPLATE.digest
    assert shown().plain == "Answer briefly.\n\n{passages}\n\nQuestion: {question}"


def test_examples_are_earlier_turns_rendered_as_questions_are() -> None:
    messages = shown(LEAVE_EXAMPLE, REFUSED).messages([SPARES], "Which cap?")
    assert [message.role for message in messages] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert messages[1].content == (
        "[1] Leave\nPeople in Kendal have 27 days of leave.\n\nQuestion: How many days are there in Kendal?"
    )
    assert (messages[2].content, messages[4].content) == ("27 days", "I do not know.")
    assert messages[5].content == asked("Which cap?", SPARES)


@given(st.lists(st.tuples(WORDS, WORDS), max_size=3), WORDS, WORDS)
def test_all_conversations_of_a_prompt_begin_alike(passages: list[tuple[str, str]], one: str, other: str) -> None:
    template = shown(LEAVE_EXAMPLE)
    first = template.messages([Passage(title, text) for title, text in passages], one)
    assert first[:-1] == template.messages([], other)[:-1] == template.prefix


def test_the_digest_covers_examples_and_their_order() -> None:
    changed = LEAVE_EXAMPLE | {"answer": "27 days of leave"}
    orders = [(), (LEAVE_EXAMPLE,), (REFUSED,), (LEAVE_EXAMPLE, REFUSED), (REFUSED, LEAVE_EXAMPLE), (changed,)]
    assert len({shown(*each).digest for each in orders}) == len(orders)


@pytest.mark.parametrize(
    ("example", "says"),
    [
        (LEAVE_EXAMPLE | {"answer": "28 days"}, "example 1: its passages do not hold '28'"),
        (LEAVE_EXAMPLE | {"answer": "Ask Ana about 27 days"}, "'ask', 'ana'"),
        (LEAVE_EXAMPLE | {"answer": "The documents do not answer this."}, "or with `refusal`, word for word"),
        (LEAVE_EXAMPLE | {"passages": []}, "passages"),
        (LEAVE_EXAMPLE | {"answer": ""}, "answer"),
        (LEAVE_EXAMPLE | {"question": "why " * 600}, "question"),
        (LEAVE_EXAMPLE | {"source": "handbook"}, "source"),
    ],
    ids=["another figure", "words from nowhere", "another refusal", "no passage", "no answer", "too long", "a typo"],
)
def test_an_example_that_teaches_what_is_not_held_is_refused(
    tmp_path: Path, example: dict[str, Any], says: str
) -> None:
    held = yaml.safe_dump({**TEMPLATE.model_dump(), "examples": [example]})
    with pytest.raises(SettingsError, match=says):
        load_prompt(_file(tmp_path, held))


def test_more_examples_than_a_prompt_may_hold_are_refused() -> None:
    shown(*[LEAVE_EXAMPLE] * MOST_EXAMPLES)
    with pytest.raises(ValueError, match="examples"):
        shown(*[LEAVE_EXAMPLE] * (MOST_EXAMPLES + 1))


class Words:
    """Stands for a tokenizer: a token a word, a mark a turn."""

    def apply_chat_template(self, messages: list[dict[str, str]], **_: Any) -> str:
        return " ".join(f"<{message['role']}> {message['content']}" for message in messages)

    def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
        return {"input_ids": [0] * len(text.split())}


def test_the_room_is_what_frame_examples_answer_and_question_leave() -> None:
    settings = load(overrides={"generation": {"max_new_tokens": 40}})
    room = room_of(shown(LEAVE_EXAMPLE), Words(), 2048, settings)
    # frame: <system> Answer briefly. <user> Question: = 5; example: <user> [1] Leave, 8 words, Question: and 7 words,
    # then <assistant> 27 days: 3 + 8 + 8 + 3 = 22
    assert (room.frame, room.examples, room.answer) == (5, 22, 40)
    assert room.left == 2048 - 5 - 22 - 40 - 64
    assert room.needed == needed_tokens(settings) >= settings.retrieval.context_tokens


def test_examples_that_leave_passages_too_little_are_refused_and_a_prompt_without_any_is_not() -> None:
    settings = load()
    tight = Room(context=512, frame=60, examples=200, answer=40, needed=317)
    with pytest.raises(SettingsError, match=r"its 1 examples take 200 of the 512 tokens .* leave 148 to passages"):
        need_room(shown(LEAVE_EXAMPLE), settings, tight, where="p.yaml")
    need_room(TEMPLATE, settings, tight, where="p.yaml")
    need_room(shown(LEAVE_EXAMPLE), settings, Room(2048, 60, 200, 40, 317), where="p.yaml")


def test_a_prompt_is_weighed_by_the_base_models_own_context(tiny_base: Path, tmp_path: Path) -> None:
    config = json.loads((tiny_base / "config.json").read_text())
    small = {"chunking": {"size_tokens": 16}, "retrieval": {"context_tokens": 16}}
    settings = load(overrides={"generation": {"base_model": str(tiny_base)}, **small})
    fits = _file(tmp_path, yaml.safe_dump(shown(LEAVE_EXAMPLE).model_dump(mode="json")))
    room = measured(fitting_prompt(fits, settings, tmp_path), settings, tmp_path)
    assert room.context == config["max_position_embeddings"]
    assert room.needed == 18  # a tenth more than sixteen
    signs = "Ω" * room.context  # never seen by the tokenizer: a token a byte, two a sign
    long = LEAVE_EXAMPLE | {"passages": [{"title": "Leave", "text": f"27 days {signs}"}]}
    place = _file(tmp_path, yaml.safe_dump(shown(long).model_dump(mode="json")))
    with pytest.raises(SettingsError, match="examples take"):
        fitting_prompt(place, settings, tmp_path)
    served = {"engine": "openai", "base_url": "http://127.0.0.1:9/v1", "upstream_model": "m"}
    assert len(fitting_prompt(place, load(overrides={"generation": served}), tmp_path).examples) == 1


def test_check_counts_what_a_prompt_takes_and_finds_a_version_that_stands_for_two_texts(
    tiny_base: Path, tmp_path: Path
) -> None:
    small = {"chunking": {"size_tokens": 16}, "retrieval": {"context_tokens": 16}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({"generation": {"base_model": str(tiny_base)}, **small}))
    at = ["--workspace", str(tmp_path / "ws"), "--config", str(tmp_path / "c.yaml")]
    place = _file(tmp_path, yaml.safe_dump(shown(LEAVE_EXAMPLE).model_dump(mode="json")))
    found = json.loads(CliRunner().invoke(app, ["prompts", "check", str(place), *at, "--json"]).stdout)
    tokens = found["tokens"]
    assert (found["digest"], found["examples"], found["releases"]) == (shown(LEAVE_EXAMPLE).digest, 1, [])
    assert tokens["left"] == tokens["context"] - tokens["frame"] - tokens["examples"] - tokens["answer"] - 64
    assert "does not hold the refusal" in found["notes"][0]
    # a release that used the same label for the prompt without examples
    store = open_store(tmp_path / "ws" / "state", None)
    release = candidate(store, tmp_path / "ws", "first")
    objects = Workspace(tmp_path / "ws").objects
    plain = objects.put_bytes(yaml.safe_dump(TEMPLATE.model_dump(mode="json")).encode())
    with store.deciding() as session:
        row = session.get(ReleaseRow, release)
        assert row is not None
        row.manifest = {**row.manifest, "objects": {**row.manifest["objects"], "prompt": plain}}
    store.close()
    failed = CliRunner().invoke(app, ["prompts", "check", str(place), *at])
    assert isinstance(failed.exception, SettingsError)
    assert "raise its version" in str(failed.exception)
    (listed,) = json.loads(CliRunner().invoke(app, ["prompts", "list", *at, "--json"]).stdout)["prompts"]
    assert (listed["name"], listed["version"], listed["digest"]) == ("plain", 1, TEMPLATE.digest)
    assert (listed["releases"], listed["states"]) == ([release], ["pending"])
    told = CliRunner().invoke(app, ["prompts", "list", *at]).stdout
    assert f"{release[:12]} (pending)" in told


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
