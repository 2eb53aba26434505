"""OpenAI-compatible judges on a port of this machine: each answers by a rule that the test knows."""

import hashlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Speaks = Callable[[str, str], str]
"""The user message and the model's name -> what the judge replies."""


@dataclass
class Judges:
    """A server; `speaks` says what its models reply, `told` are statuses that it answers with first."""

    speaks: Speaks
    told: list[int] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    authorizations: set[str] = field(default_factory=set)
    url: str = ""

    def start(self) -> "Judges":
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # headers and body are two writes: 40 ms of waiting for each reply

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append(request)
                outer.authorizations.add(self.headers["Authorization"])
                status = outer.told.pop(0) if outer.told else 200
                text = outer.speaks(request["messages"][-1]["content"], request["model"])
                choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
                usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
                body = {"id": "c", "object": "chat.completion", "created": 0, "model": request["model"]}
                data = json.dumps({**body, "choices": [choice], "usage": usage}).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.send_header("Retry-After-Ms", "1")
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def code_of(prompt: str) -> str:
    return re.findall(r"its code is (\w+)\.", prompt)[-1]


def answers_of(prompt: str) -> list[str]:
    """What stands between the fences of answers, in order."""
    code = code_of(prompt)
    return re.findall(rf"<answer {code}>\n(.*?)\n</answer {code}>", prompt, re.DOTALL)


def scored(prompt: str, score: int) -> str:
    return json.dumps({"code": code_of(prompt), "reason": "as it is", "score": score})


def preferred(prompt: str, better: str) -> str:
    return json.dumps({"code": code_of(prompt), "reason": "as it is", "better": better})


def draw(*of: str) -> float:
    """A number in 0..1 that depends on the texts alone."""
    return int(hashlib.sha256(" ".join(of).encode()).hexdigest()[:8], 16) / 2**32


def by_words(sensitivity: float, specificity: float) -> Speaks:
    """A judge that finds the passages' words in the answer, and errs at known rates."""

    def speak(prompt: str, model: str) -> str:
        (answer,) = answers_of(prompt)
        (passages,) = re.findall(r"<passages \w+>\n(.*?)\n</passages", prompt, re.DOTALL)
        right = set(answer.lower().split()) <= set(passages.lower().split())
        errs = draw(model, answer) > (sensitivity if right else specificity)
        return scored(prompt, 5 if right != errs else 2)

    return speak
