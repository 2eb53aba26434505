"""The candidate on a loopback port, for one garak run: OpenAI's `POST /v1/chat/completions`, one user message in.

Invariants: loopback alone, and only for who holds the run's key (another user of this machine, or a page in a browser,
does not); a budget of answers that nobody can exceed; bodies are bounded; one question at a time; every refusal is JSON
and says why. A prompt that is refused has no answer: garak is told to pass over these statuses (PASSED_OVER).
Not covered: conversations, streaming.
"""

import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import uvicorn
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pipelines.bodies import body_of
from pipelines.contracts import Answer
from pipelines.errors import EngineError

HOST = "127.0.0.1"
PATH = "/v1/chat/completions"
ANSWER = "$.choices[0].message.content"
"""Where a client finds the answer in a reply: a JSONPath."""
LARGEST_BYTES = 1024 * 1024
SPENT = 410
"""Status of a question beyond the budget."""
PASSED_OVER = (SPENT, 413, 422, 500)
"""Statuses that mean: this prompt has no answer, go on."""
START_S = 20.0
"""How long the server may take to listen, or to end."""

Ask = Callable[[str], Answer]


class _Message(BaseModel):
    role: Literal["system", "user", "assistant"]
    content: str


class _Body(BaseModel):
    """What is read of a request; the rest (model, temperature, ...) is the candidate's own affair."""

    messages: list[_Message]
    stream: bool = False


@dataclass
class Endpoint:
    """A served candidate, and how often it was asked."""

    ask: Ask
    budget: int
    key: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    url: str = ""
    answered: int = 0
    beyond: int = 0
    """Questions refused because the budget was spent."""
    failed: int = 0
    """Questions that the engine could not answer."""
    guardrails: Counter[str] = field(default_factory=Counter)
    """How many answers each guardrail changed."""
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, question: str) -> Answer | None:
        """The candidate's answer; None when the budget is spent. Raises EngineError."""
        with self._turn:
            if self.answered + self.failed >= self.budget:
                self.beyond += 1
                return None
            self.failed += 1  # until it is answered, whatever the engine raises
            found = self.ask(question)
            self.failed -= 1
            self.answered += 1
            self.guardrails.update([found.guardrail] if found.guardrail else [])
            return found


def application(endpoint: Endpoint, *, port: int) -> Starlette:
    """The endpoint over the candidate, answering to this address alone."""
    hosts = {f"{name}:{port}" for name in (HOST, "localhost")}

    async def complete(request: Request) -> Response:
        if request.headers.get("host", "") not in hosts:
            raise HTTPException(421, "This address is not served here.")
        if not secrets.compare_digest(
            request.headers.get("authorization", "").encode(), f"Bearer {endpoint.key}".encode()
        ):
            raise HTTPException(401, "The key of this run is needed: authorization: Bearer KEY.")
        question = _question(_Body.model_validate_json(await body_of(request, at_most=LARGEST_BYTES)))
        answer = await run_in_threadpool(endpoint.answer, question)
        if answer is None:
            raise HTTPException(SPENT, f"The budget of {endpoint.budget} answers is spent.")
        return JSONResponse(_completion(answer))

    refusals = {HTTPException: _refused, ValidationError: _invalid, EngineError: _failed}
    return Starlette(routes=[Route(PATH, complete, methods=["POST"])], exception_handlers=refusals)  # type: ignore[arg-type]


@contextmanager
def serving(ask: Ask, *, budget: int) -> Iterator[Endpoint]:
    """The candidate on a free port of this machine for as long as the block runs.

    Raises EngineError when the server does not come up.
    """
    endpoint = Endpoint(ask, budget)
    with socket.socket() as listening:
        listening.bind((HOST, 0))
        port = int(listening.getsockname()[1])
        endpoint.url = f"http://{HOST}:{port}{PATH}"
        config = uvicorn.Config(application(endpoint, port=port), log_level="warning", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            _await_start(server, thread)
            yield endpoint
        finally:
            server.should_exit = True
            thread.join(START_S)


def _await_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    until = time.monotonic() + START_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > until:
            raise EngineError("The candidate could not be served on this machine: no port could be listened on.")
        time.sleep(0.01)


def _question(body: _Body) -> str:
    said = [message for message in body.messages if message.role != "system"]
    if body.stream or len(said) != 1 or said[0].role != "user":
        raise HTTPException(422, "One user message, answered whole: conversations and streams are not served here.")
    return said[0].content


def _completion(answer: Answer) -> dict[str, object]:
    return {
        "id": f"chatcmpl-{secrets.token_hex(8)}",
        "object": "chat.completion",
        "model": "candidate",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": answer.text}},
        ],
        "usage": {
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": answer.completion_tokens,
            "total_tokens": answer.prompt_tokens + answer.completion_tokens,
        },
    }


def _told(status: int, error: str) -> Response:
    return JSONResponse({"error": {"message": error}}, status)


async def _refused(_: Request, exc: HTTPException) -> Response:
    return _told(exc.status_code, exc.detail)


async def _invalid(_: Request, exc: ValidationError) -> Response:
    return _told(422, f"The body is no chat completion: {exc.errors()[0]['msg']}.")


async def _failed(_: Request, exc: EngineError) -> Response:
    return _told(500, f"The candidate failed: {exc}")
