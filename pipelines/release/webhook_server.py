"""MLflow's webhook, received: `POST /mlflow`, on this machine unless the settings say otherwise.

A delivery is checked and noted (webhook.py) and answered; then `look` is called, which reads what reviewers asked for
where they asked for it. So the answer waits for no decision, and a body decides nothing: it says whether to look.
Invariants: no more is read of a request than the limits of size and time; nothing is called for a delivery that is
refused; of deliveries that come together, one look begins after the last; a request is the only one of its connection.
Not covered: encryption on the way. Where MLflow is another machine, a proxy with a certificate stands in front.
"""

import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from pipelines.bodies import PATIENCE_S, body_of
from pipelines.errors import DecisionError
from pipelines.release.webhook import accept, tells_of_review
from pipelines.store import Store

PATH = "/mlflow"
LARGEST_BYTES = 65_536
"""Of a body: a tag of 5,000 characters in MLflow's ASCII JSON, twelve bytes each, and what stands around it."""
MOST_AT_ONCE = 64
"""Connections; further ones are told 503, and MLflow tries again."""
HEADERS = {"Connection": "close", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class OneAtATime:
    """Calls `look` once at a time, for however many ask: who asks while it runs is served by one more call."""

    def __init__(self, look: Callable[[], object]) -> None:
        self._look, self._asked, self._turn = look, threading.Event(), threading.Lock()

    def __call__(self) -> None:
        """Look now, or leave it to the caller who is looking."""
        self._asked.set()
        while self._asked.is_set() and self._turn.acquire(blocking=False):
            try:
                self._asked.clear()
                self._look()
            finally:
                self._turn.release()


def application(
    store: Store, look: Callable[[], object], *, secret: bytes, patience_s: float = PATIENCE_S
) -> Starlette:
    """The receiver over a store. `look` is called in a thread of its own, after the delivery was answered."""
    looking = OneAtATime(look)

    async def deliver(request: Request) -> Response:
        body = await body_of(request, at_most=LARGEST_BYTES, patience_s=patience_s)
        now = datetime.now(UTC)
        try:
            delivery = await run_in_threadpool(accept, store, request.headers, body, secret=secret, now=now)
        except DecisionError as exc:
            raise HTTPException(403, str(exc)) from exc
        try:
            wanted = tells_of_review(body)
        except DecisionError as exc:
            raise HTTPException(422, str(exc)) from exc
        told = {"delivery": delivery, "looking": wanted}
        task = BackgroundTask(looking) if wanted else None
        return JSONResponse(told, 202 if wanted else 200, headers=HEADERS, background=task)

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"}, headers=HEADERS)

    routes = [Route(PATH, deliver, methods=["POST"]), Route("/health", health)]
    return Starlette(routes=routes, exception_handlers={HTTPException: _refused})  # type: ignore[dict-item]


class _Told(uvicorn.Server):
    """A server that says when it listens, and has taken Ctrl-C over: whoever waits for the word may do either."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], object]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets=sockets)
        if self.started:
            self._ready()


def serve(
    store: Store, look: Callable[[], object], *, secret: bytes, host: str, port: int, ready: Callable[[], object]
) -> None:
    """Serve until told to stop: uvicorn ends in order, and raises the KeyboardInterrupt again. `ready`: it listens."""
    _Told(configured(application(store, look, secret=secret), host=host, port=port), ready).run()


def configured(app: Starlette, *, host: str, port: int, patience_s: float = PATIENCE_S) -> uvicorn.Config:
    """How the receiver is served: no log line a request, no word of what it runs on, no waiting for slow heads."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=_impatient(patience_s),
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_AT_ONCE,
    )


def _impatient(patience_s: float) -> type[H11Protocol]:
    """uvicorn's own protocol, which waits for a request's head for ever, with an end to that."""

    class Impatient(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.loop.call_later(patience_s, self._give_up)

        def _give_up(self) -> None:
            if cast("object | None", self.cycle) is None:  # no head yet; uvicorn's annotation leaves None out
                self.transport.close()

    return Impatient


async def _refused(_: Request, exc: HTTPException) -> Response:
    return JSONResponse({"error": exc.detail}, exc.status_code, headers={**HEADERS, **(exc.headers or {})})
