"""Queries by a model, through a real engine to a real server on this machine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines import settings as configuration
from pipelines.artifacts import StageJob
from pipelines.contracts import Message
from pipelines.errors import EngineError, SettingsError
from pipelines.retrieval.rewriting import LONGEST, load_rewrite_prompt, queries_in, told
from pipelines.retrieval.search import Searcher
from pipelines.settings import Settings
from tests.chat_server import ChatServer, Reply

HISTORY = [
    Message(role="user", content="How many days of leave in Kendal?"),
    Message(role="assistant", content="27 days."),
]


class Upstream(ChatServer):
    """Says what it was told to, in turn; then it is down."""

    def __init__(self) -> None:
        self.says: list[str] = []
        down = Reply(400, '{"error": {"message": "down"}}')
        super().__init__(lambda *_: self.says.pop(0) if self.says else down)


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Upstream()
    server.start()
    yield server
    server.stop()


def searcher(upstream: Upstream, small: StageJob, **retrieval: Any) -> Searcher:
    generation = {"engine": "openai", "base_url": upstream.url, "upstream_model": "m"}
    chosen = {"generation": generation, "retrieval": {"rewrite": "model", **retrieval}}
    return Searcher(configuration.load(overrides=chosen), small.state, small.output)


def test_a_follow_up_is_worded_by_the_model_and_what_it_said_is_searched(upstream: Upstream, small: StageJob) -> None:
    upstream.says = ['"How many days of holiday are there in Porto?"\n\nI hope this helps.']
    (found,) = searcher(upstream, small).results(["And in Porto?"], 1, histories=[HISTORY])
    assert found.searched == ("How many days of holiday are there in Porto?",)
    assert found.hits[0].chunk.uri == "leave-porto.md"
    shown = upstream.asked[0]["messages"][-1]["content"]
    assert "user: How many days of leave in Kendal?\nassistant: 27 days." in shown
    assert shown.endswith("Last question: And in Porto?")


def test_without_a_history_the_model_is_not_asked(upstream: Upstream, small: StageJob) -> None:
    made = searcher(upstream, small)
    assert made.results(["holiday in Porto"], 1)[0].searched == ("holiday in Porto",)
    assert made.results(["holiday in Porto"], 1, histories=[[]])[0].searched == ("holiday in Porto",)
    assert upstream.asked == []


@pytest.mark.parametrize("said", ["", "  \n ", "word " * LONGEST])
def test_what_cannot_be_a_query_leaves_the_question_as_it_is(said: str, upstream: Upstream, small: StageJob) -> None:
    upstream.says = [said]
    (found,) = searcher(upstream, small).results(["And in Porto?"], 1, histories=[HISTORY])
    assert found.searched == ("And in Porto?",)


def test_other_wordings_come_from_the_model_too(upstream: Upstream, small: StageJob) -> None:
    upstream.says = ["1. flat battery of the logger\n2) E-18 meaning\n- What does E-18 mean?\n3. a fourth"]
    (found,) = searcher(upstream, small, queries=3).results(["What does E-18 mean?"], 2)
    assert found.searched == ("What does E-18 mean?", "flat battery of the logger", "E-18 meaning")
    assert found.hits[0].chunk.uri == "errors.md"
    assert "Write 2 other wordings" in upstream.asked[0]["messages"][-1]["content"]


def test_a_model_that_fails_is_a_clear_error(upstream: Upstream, small: StageJob) -> None:
    with pytest.raises(EngineError, match="down"):
        searcher(upstream, small).results(["And in Porto?"], 1, histories=[HISTORY])


def test_an_answer_is_read_as_lines_without_marks() -> None:
    assert queries_in("  1. one\n* two\n\n“three”\none\n") == ["one", "two", "three"]
    assert queries_in("3.6 or 3.4?") == ["3.6 or 3.4?"]  # a number is no list mark


def test_a_conversation_is_shown_without_system_messages_and_each_message_cut() -> None:
    long = Message(role="user", content="a  b\n" * 1000)
    assert told([Message(role="system", content="secret"), long]) == "user: " + ("a b " * 1000)[:600]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no such rewriting prompt"),
        ("name: x", "not a rewriting prompt"),
        (
            "{name: x, version: 1, system: s, follow_up: 'only {question}', variants: '{number} {question}'}",
            "conversation",
        ),
    ],
)
def test_a_prompt_file_that_cannot_be_used_says_why(text: str | None, said: str, tmp_path: Path) -> None:
    place = tmp_path / "rewrite.yaml"
    if text is not None:
        place.write_text(text)
    with pytest.raises(SettingsError, match=said):
        load_rewrite_prompt(place)


def test_the_digest_of_what_is_found_follows_the_prompt_where_it_is_used(
    small: StageJob, settings: Settings, tmp_path: Path
) -> None:
    text = Path(configuration.resolve(settings.retrieval.rewrite_prompt)).read_text(encoding="utf-8")
    (tmp_path / "rewrite.yaml").write_text(text.replace("Rewrite", "Reword"))

    def digest(**retrieval: Any) -> str:
        return Searcher(configuration.load(overrides={"retrieval": retrieval}), small.state, small.output).digest

    other = str(tmp_path / "rewrite.yaml")
    assert digest() == digest(rewrite_prompt=other)
    assert digest(rewrite="model") != digest(rewrite="model", rewrite_prompt=other)
