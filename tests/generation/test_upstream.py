"""The OpenAI-compatible engine against a server of its own on this machine."""

import logging
from collections.abc import Iterator, Sequence

import pytest

from pipelines import settings as configuration
from pipelines.contracts import Message
from pipelines.errors import EngineError
from pipelines.generation.engines.upstream import RETRIES, UpstreamEngine
from tests.chat_server import ChatServer, Reply, completion
from tests.generation.conftest import conversation

KEY = "sk-river-4f1c9e7a2b"


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    """A server that repeats the last message in capitals."""
    monkeypatch.setenv("GROUNDWORK_ENGINE_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = ChatServer().start()
    yield server
    server.stop()


def engine(upstream: ChatServer, batch_size: int = 3) -> UpstreamEngine:
    chosen = {"engine": "openai", "base_url": upstream.url, "upstream_model": "big", "batch_size": batch_size}
    return UpstreamEngine(configuration.load(overrides={"generation": chosen}).generation)


def failure(upstream: ChatServer, replies: Sequence[Reply]) -> str:
    """What is said when one conversation is answered so."""
    upstream.told = list(replies)
    with pytest.raises(EngineError) as caught:
        engine(upstream).generate([conversation("Which cap?")], max_new_tokens=5)
    return str(caught.value)


def test_a_conversation_is_sent_whole_and_greedily(upstream: ChatServer) -> None:
    made = engine(upstream)
    (found,) = made.generate([conversation("Which cap?")], max_new_tokens=5)
    assert upstream.paths == {"/v1/chat/completions"}
    assert upstream.authorizations == {f"Bearer {KEY}"}
    assert upstream.asked == [
        {
            "model": "big",
            "messages": [
                {"role": "system", "content": "Answer in a few words."},
                {"role": "user", "content": "Which cap?"},
            ],
            "max_tokens": 5,
            "temperature": 0,
        }
    ]
    assert (found.text, found.prompt_tokens, found.completion_tokens) == ("WHICH CAP?", 11, 7)
    assert found.seconds > 0
    assert made.name == f"openai, big at {upstream.url}"


def test_answers_keep_the_order_of_the_questions_and_at_most_a_batch_runs_at_once(upstream: ChatServer) -> None:
    upstream.pause_s = 0.05
    told: list[tuple[int, int]] = []
    asked = [[Message(role="user", content=f"question {n}")] for n in range(9)]
    found = engine(upstream, batch_size=3).generate(
        asked, max_new_tokens=5, report=lambda done, total: told.append((done, total))
    )
    assert [completion.text for completion in found] == [f"QUESTION {n}" for n in range(9)]
    assert told == [(n, 9) for n in range(1, 10)]
    assert 1 < upstream.most_running <= 3


def test_nothing_asked_sends_nothing(upstream: ChatServer) -> None:
    assert engine(upstream).generate([], max_new_tokens=5) == []
    assert upstream.asked == []


@pytest.mark.parametrize("status", [429, 500, 503], ids=["rate limit", "server error", "overloaded"])
def test_what_may_pass_is_tried_again(upstream: ChatServer, status: int) -> None:
    upstream.told = [Reply(status, '{"error": {"message": "slow down"}}')]
    (found,) = engine(upstream).generate([conversation("Which cap?")], max_new_tokens=5)
    assert found.text == "WHICH CAP?"
    assert len(upstream.asked) == 2


def test_a_server_that_stays_down_is_given_up_after_the_retries(upstream: ChatServer) -> None:
    said = failure(upstream, [Reply(503, '{"error": {"message": "no capacity"}}')] * 10)
    assert len(upstream.asked) == 1 + RETRIES
    assert "no capacity" in said


def test_a_refused_request_is_asked_once_and_names_engine_and_conversation(upstream: ChatServer) -> None:
    said = failure(upstream, [Reply(400, '{"error": {"message": "max_tokens is too large"}}')])
    assert len(upstream.asked) == 1
    assert said.startswith(f"Conversation 0: openai, big at {upstream.url}: ")
    assert "max_tokens is too large" in said


def test_the_conversation_that_failed_is_the_one_named(upstream: ChatServer) -> None:
    upstream.told = [Reply(), Reply(), Reply(400, "{}")]
    asked = [conversation(f"question {n}") for n in range(3)]
    with pytest.raises(EngineError, match=r"^Conversation 2: "):
        engine(upstream, batch_size=1).generate(asked, max_new_tokens=5)


@pytest.mark.parametrize("status", [401, 503], ids=["refused", "given up after the retries"])
def test_the_key_is_not_in_what_is_said_even_if_the_server_repeats_it(upstream: ChatServer, status: int) -> None:
    said = failure(upstream, [Reply(status, '{"error": {"message": "you sent ECHO"}}')] * (1 + RETRIES))
    assert KEY not in said


def test_the_key_is_in_no_log_line(upstream: ChatServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    upstream.told = [Reply(429, '{"error": {"message": "slow down"}}')]
    engine(upstream).generate([conversation("Which cap?")], max_new_tokens=5)
    assert "chat/completions" in caplog.text  # something was logged
    assert KEY not in caplog.text


def test_without_a_key_none_is_made_up_from_elsewhere(upstream: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GROUNDWORK_ENGINE_API_KEY")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-somebody-elses")
    engine(upstream).generate([conversation("Which cap?")], max_new_tokens=5)
    assert upstream.authorizations == {"Bearer none"}


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, "<html><title>Sign in</title></html>", "text/html"),
        Reply(200, '{"choices": [', "application/json"),
        Reply(200, '{"object": "error", "message": "no such model"}'),
        Reply(200, '{"id": "c1", "object": "chat.completion", "choices": []}'),
    ],
    ids=["a web page", "half an answer", "an error that calls itself OK", "no choice"],
)
def test_an_answer_that_is_no_completion_is_an_engine_error(upstream: ChatServer, reply: Reply) -> None:
    said = failure(upstream, [reply] * (1 + RETRIES))
    assert said.startswith(f"Conversation 0: openai, big at {upstream.url}: ")


def test_an_empty_answer_is_an_empty_text(upstream: ChatServer) -> None:
    upstream.told = [Reply(200, completion({"model": "big"}, None))]
    (found,) = engine(upstream).generate([conversation("Which cap?")], max_new_tokens=5)
    assert found.text == ""
