"""The review console: a page for pairs, one for red-team findings, and a small JSON interface on loopback.

Invariants: nothing is answered to another Host (DNS rebinding), nothing is changed for another Origin or without a
JSON body (forged requests); bodies are bounded; every refusal is JSON and says why; pages run their own scripts alone.
Not covered: who a reviewer is. The name is claimed.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pipelines.bodies import body_of
from pipelines.errors import UserError
from pipelines.evaluation.review_findings import Desk, Waiving, Withdrawing
from pipelines.evaluation.review_votes import Vote, Withdrawal, queue, take, withdraw
from pipelines.store import Store

FILES = {
    "/": ("page.html", "text/html"),
    "/review.css": ("review.css", "text/css"),
    "/console.js": ("console.js", "text/javascript"),
    "/review.js": ("review.js", "text/javascript"),
    "/findings": ("findings.html", "text/html"),
    "/findings.js": ("findings.js", "text/javascript"),
}
LARGEST_BYTES = 16_384
LONGEST_NAME = 80
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
Handler = Callable[[Request], Awaitable[Response]]


def application(store: Store, desk: Desk, *, host: str, port: int) -> Starlette:
    """The console over a store and a desk of findings, answering to this address and to localhost on the same port."""
    hosts = {f"{name}:{port}" for name in (host, "127.0.0.1", "localhost", "[::1]")}

    async def read_queue(request: Request) -> Response:
        reviewer = request.query_params.get("reviewer", "").strip()
        if not 0 < len(reviewer) <= LONGEST_NAME:
            raise HTTPException(422, f"`reviewer` is a name of 1 to {LONGEST_NAME} characters.")
        return JSONResponse(await run_in_threadpool(queue, store, reviewer))

    async def post_vote(request: Request) -> Response:
        vote = Vote.model_validate_json(await body_of(request, at_most=LARGEST_BYTES))
        return JSONResponse({"changed": await run_in_threadpool(take, store, vote)})

    async def post_undo(request: Request) -> Response:
        undone = Withdrawal.model_validate_json(await body_of(request, at_most=LARGEST_BYTES))
        return JSONResponse({"changed": await run_in_threadpool(withdraw, store, undone)})

    async def read_findings(_: Request) -> Response:
        return JSONResponse(await run_in_threadpool(desk.shown))

    async def post_waiver(request: Request) -> Response:
        asked = Waiving.model_validate_json(await body_of(request, at_most=LARGEST_BYTES))
        return JSONResponse(await run_in_threadpool(desk.waive, asked))

    async def post_withdrawal(request: Request) -> Response:
        asked = Withdrawing.model_validate_json(await body_of(request, at_most=LARGEST_BYTES))
        return JSONResponse(await run_in_threadpool(desk.withdraw, asked))

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    def guarded(handler: Handler) -> Handler:
        async def answer(request: Request) -> Response:
            _need_own_address(request, hosts)
            response = await handler(request)
            response.headers.update(HEADERS)
            return response

        return answer

    routes = [Route(path, guarded(_file(*of))) for path, of in FILES.items()]
    routes += [
        Route("/health", guarded(health)),
        Route("/api/queue", guarded(read_queue)),
        Route("/api/votes", guarded(post_vote), methods=["POST"]),
        Route("/api/undo", guarded(post_undo), methods=["POST"]),
        Route("/api/findings", guarded(read_findings)),
        Route("/api/waivers", guarded(post_waiver), methods=["POST"]),
        Route("/api/withdrawals", guarded(post_withdrawal), methods=["POST"]),
    ]
    refusals = {HTTPException: _refused, ValidationError: _invalid, UserError: _conflict}
    return Starlette(routes=routes, exception_handlers=refusals)  # type: ignore[arg-type]


def serve(store: Store, desk: Desk, *, host: str, port: int) -> None:
    """Serve until told to stop."""
    uvicorn.run(application(store, desk, host=host, port=port), host=host, port=port, log_level="warning")


def _need_own_address(request: Request, hosts: set[str]) -> None:
    """Raise HTTPException for another Host, and for a change that another page, or a form, asks for."""
    if request.headers.get("host", "") not in hosts:
        raise HTTPException(421, "This address is not served here; use the one that `groundwork review serve` printed.")
    if request.method in ("GET", "HEAD"):
        return
    origin = request.headers.get("origin")
    if origin is not None and origin not in {f"http://{each}" for each in hosts}:
        raise HTTPException(403, "The request comes from another page.")
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        raise HTTPException(415, "The body is JSON: content-type application/json.")


def _file(name: str, kind: str) -> Handler:
    content = (Path(__file__).parent / "review_page" / name).read_bytes()

    async def answer(_: Request) -> Response:
        return Response(content, media_type=kind)

    return answer


def _told(status: int, error: str) -> Response:
    return JSONResponse({"error": error}, status, headers=HEADERS)


async def _refused(_: Request, exc: HTTPException) -> Response:
    return _told(exc.status_code, exc.detail)


async def _conflict(_: Request, exc: UserError) -> Response:
    return _told(409, str(exc))


async def _invalid(_: Request, exc: ValidationError) -> Response:
    def place(error: Any) -> str:
        return ".".join(str(part) for part in error["loc"]) or "body"

    return _told(422, "; ".join(f"{place(error)}: {error['msg']}" for error in exc.errors()[:5]))
