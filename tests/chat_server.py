"""An OpenAI-compatible server on a port of this machine: the test says what its models say, and what comes first."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    """One answer of the server; `ECHO` in its body becomes the request's Authorization header."""

    status: int = 200
    body: str | None = None
    """None: a completion of what the model says."""
    content_type: str = "application/json"


Speaks = Callable[[str, str], "str | Reply"]
"""The last message and the model's name -> what the model says, or the whole answer."""


def completion(request: dict[str, Any], text: str | None, tokens: tuple[int, int] = (11, 7)) -> str:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
    whole = {"id": "c1", "object": "chat.completion", "created": 0, "model": request["model"]}
    return json.dumps({**whole, "choices": [choice], "usage": usage})


@dataclass
class ChatServer:
    """Answers first as it was told to, then with what its models say; notes all that it is asked."""

    speaks: Speaks = lambda said, _: f" {said.upper()}\n"
    told: list[Reply] = field(default_factory=list)
    tokens: tuple[int, int] = (11, 7)
    """Of a prompt and of a completion, as the server counts them."""
    pause_s: float = 0.0
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    authorizations: set[str] = field(default_factory=set)
    paths: set[str] = field(default_factory=set)
    running: int = 0
    most_running: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> "ChatServer":
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def reply(self, request: dict[str, Any]) -> Reply:
        with self.lock:
            self.asked.append(request)
            self.running += 1
            self.most_running = max(self.most_running, self.running)
            told = self.told.pop(0) if self.told else Reply()
        time.sleep(self.pause_s)
        with self.lock:
            self.running -= 1
        if told.body is not None:
            return told
        said = self.speaks(request["messages"][-1]["content"], request["model"])
        return said if isinstance(said, Reply) else Reply(told.status, completion(request, said, self.tokens))


def _handler(server: ChatServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # headers and body are two writes: 40 ms of waiting for each reply

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.paths.add(self.path)
            server.authorizations.add(self.headers["Authorization"])
            reply = server.reply(request)
            data = (reply.body or "").replace("ECHO", self.headers["Authorization"]).encode()
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Retry-After-Ms", "1")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
