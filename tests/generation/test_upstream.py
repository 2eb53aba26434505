"""The OpenAI-compatible engine against a server of its own on this machine."""

import json
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from pipelines import settings as configuration
from pipelines.contracts import Message
from pipelines.errors import EngineError
from pipelines.generation.engines.upstream import RETRIES, UpstreamEngine
from tests.generation.conftest import conversation

KEY = "sk-river-4f1c9e7a2b"


@dataclass
class Reply:
    """One answer of the server; `ECHO` in its body becomes the request's Authorization header."""

    status: int = 200
    body: str | None = None
    """None: a completion that repeats the last message in capitals."""
    content_type: str = "application/json"


@dataclass
class Upstream:
    """A server that answers first what it was told to, then by repeating what it is asked."""

    url: str = ""
    told: list[Reply] = field(default_factory=list)
    pause_s: float = 0.0
    asked: list[dict[str, Any]] = field(default_factory=list)
    authorizations: set[str] = field(default_factory=set)
    paths: set[str] = field(default_factory=set)
    running: int = 0
    most_running: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_reply(self, request: dict[str, Any]) -> Reply:
        with self.lock:
            self.asked.append(request)
            self.running += 1
            self.most_running = max(self.most_running, self.running)
            reply = self.told.pop(0) if self.told else Reply()
        time.sleep(self.pause_s)
        with self.lock:
            self.running -= 1
        return reply


def completion(request: dict[str, Any], text: str | None, *, usage: bool = True) -> str:
    return json.dumps(
        {
            "id": "c1",
            "object": "chat.completion",
            "created": 0,
            "model": request["model"],
            "choices": [
                {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}},
            ],
            **({"usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}} if usage else {}),
        }
    )


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    state = Upstream()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.paths.add(self.path)
            state.authorizations.add(self.headers["Authorization"])
            reply = state.next_reply(request)
            body = reply.body
            if body is None:
                body = completion(request, f" {request['messages'][-1]['content'].upper()}\n")
            data = body.replace("ECHO", self.headers["Authorization"]).encode()
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Retry-After-Ms", "1")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    monkeypatch.setenv("GROUNDWORK_ENGINE_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


def engine(upstream: Upstream, batch_size: int = 3) -> UpstreamEngine:
    chosen = {"engine": "openai", "base_url": upstream.url, "upstream_model": "big", "batch_size": batch_size}
    return UpstreamEngine(configuration.load(overrides={"generation": chosen}).generation)


def failure(upstream: Upstream, replies: Sequence[Reply]) -> str:
    """What is said when one conversation is answered so."""
    upstream.told = list(replies)
    with pytest.raises(EngineError) as caught:
        engine(upstream).generate([conversation("Which cap?")], max_new_tokens=5)
    return str(caught.value)


def test_a_conversation_is_sent_whole_and_greedily(upstream: Upstream) -> None:
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


def test_answers_keep_the_order_of_the_questions_and_at_most_a_batch_runs_at_once(upstream: Upstream) -> None:
    upstream.pause_s = 0.05
    told: list[tuple[int, int]] = []
    asked = [[Message(role="user", content=f"question {n}")] for n in range(9)]
    found = engine(upstream, batch_size=3).generate(
        asked, max_new_tokens=5, report=lambda done, total: told.append((done, total))
    )
    assert [completion.text for completion in found] == [f"QUESTION {n}" for n in range(9)]
    assert told == [(n, 9) for n in range(1, 10)]
    assert 1 < upstream.most_running <= 3


def test_nothing_asked_sends_nothing(upstream: Upstream) -> None:
    assert engine(upstream).generate([], max_new_tokens=5) == []
    assert upstream.asked == []


@pytest.mark.parametrize("status", [429, 500, 503], ids=["rate limit", "server error", "overloaded"])
def test_what_may_pass_is_tried_again(upstream: Upstream, status: int) -> None:
    upstream.told = [Reply(status, '{"error": {"message": "slow down"}}')]
    (found,) = engine(upstream).generate([conversation("Which cap?")], max_new_tokens=5)
    assert found.text == "WHICH CAP?"
    assert len(upstream.asked) == 2


def test_a_server_that_stays_down_is_given_up_after_the_retries(upstream: Upstream) -> None:
    said = failure(upstream, [Reply(503, '{"error": {"message": "no capacity"}}')] * 10)
    assert len(upstream.asked) == 1 + RETRIES
    assert "no capacity" in said


def test_a_refused_request_is_asked_once_and_names_engine_and_conversation(upstream: Upstream) -> None:
    said = failure(upstream, [Reply(400, '{"error": {"message": "max_tokens is too large"}}')])
    assert len(upstream.asked) == 1
    assert said.startswith(f"Conversation 0: openai, big at {upstream.url}: ")
    assert "max_tokens is too large" in said


def test_the_conversation_that_failed_is_the_one_named(upstream: Upstream) -> None:
    upstream.told = [Reply(), Reply(), Reply(400, "{}")]
    asked = [conversation(f"question {n}") for n in range(3)]
    with pytest.raises(EngineError, match=r"^Conversation 2: "):
        engine(upstream, batch_size=1).generate(asked, max_new_tokens=5)


@pytest.mark.parametrize("status", [401, 503], ids=["refused", "given up after the retries"])
def test_the_key_is_not_in_what_is_said_even_if_the_server_repeats_it(upstream: Upstream, status: int) -> None:
    said = failure(upstream, [Reply(status, '{"error": {"message": "you sent ECHO"}}')] * (1 + RETRIES))
    assert KEY not in said


def test_the_key_is_in_no_log_line(upstream: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    upstream.told = [Reply(429, '{"error": {"message": "slow down"}}')]
    engine(upstream).generate([conversation("Which cap?")], max_new_tokens=5)
    assert "chat/completions" in caplog.text  # something was logged
    assert KEY not in caplog.text


def test_without_a_key_none_is_made_up_from_elsewhere(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_an_answer_that_is_no_completion_is_an_engine_error(upstream: Upstream, reply: Reply) -> None:
    said = failure(upstream, [reply] * (1 + RETRIES))
    assert said.startswith(f"Conversation 0: openai, big at {upstream.url}: ")


def test_an_empty_answer_is_an_empty_text(upstream: Upstream) -> None:
    upstream.told = [Reply(200, completion({"model": "big"}, None))]
    (found,) = engine(upstream).generate([conversation("Which cap?")], max_new_tokens=5)
    assert found.text == ""
