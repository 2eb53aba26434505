"""The webhook's HTTP door: a delivery that is signed, small, quick and new makes a look; others change nothing."""

import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from sqlalchemy import select

from pipelines.errors import DecisionError
from pipelines.release.webhook import encryption_key, tells_of_review
from pipelines.release.webhook_server import LARGEST_BYTES, OneAtATime, application, configured
from pipelines.store import DeliveryRow, Store
from tests.release.conftest import Desk
from tests.release.test_webhook import KEY, headers

PATIENCE_S = 0.4


def told(key: str = "review", **changes: object) -> bytes:
    """A delivery's body as MLflow writes it."""
    data = {"name": "groundwork", "version": "1", "key": key, "value": "approved"}
    return json.dumps(
        {"entity": "model_version_tag", "action": "set", "timestamp": "2026-03-02", "data": data, **changes}
    ).encode()


def signed(body: bytes, delivery: str = "d1", **how: object) -> dict[str, str]:
    sent = {"sent": datetime.now(UTC), **how}
    return headers(delivery, body=body, **sent)  # type: ignore[arg-type]


@dataclass
class Door:
    """A receiver that runs, its store, and the looks that it has made."""

    store: Store
    port: int = 0
    looks: list[float] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mlflow"

    def post(self, body: bytes, given: Mapping[str, str]) -> httpx.Response:
        return httpx.post(self.url, content=body, headers=dict(given), timeout=5)

    def noted(self) -> list[str]:
        with self.store.reading() as session:
            return list(session.scalars(select(DeliveryRow.id)))

    def looked(self, times: int) -> bool:
        deadline = time.monotonic() + 3
        while len(self.looks) < times and time.monotonic() < deadline:
            time.sleep(0.01)
        return len(self.looks) == times


@pytest.fixture
def door(desk: Desk) -> Iterator[Door]:
    made = Door(desk.store)
    app = application(desk.store, lambda: made.looks.append(time.monotonic()), secret=KEY, patience_s=PATIENCE_S)
    listening = socket.create_server(("127.0.0.1", 0))
    made.port = listening.getsockname()[1]
    server = uvicorn.Server(configured(app, host="127.0.0.1", port=made.port, patience_s=PATIENCE_S))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield made
    server.should_exit = True
    thread.join(10)


def test_a_signed_tag_of_a_reviewer_is_answered_and_then_looked_at(door: Door) -> None:
    answered = door.post(told(), signed(told()))
    assert (answered.status_code, answered.json()) == (202, {"delivery": "d1", "looking": True})
    assert answered.headers["connection"] == "close"
    assert door.looked(1)


def test_tags_that_no_reviewer_sets_are_taken_and_not_looked_at(door: Door) -> None:
    # our own answer on the page, a projection of SQL, and what MLflow's page sends to try a webhook out
    for n, body in enumerate((told("review_outcome"), told("stage"), told(entity="prompt_tag"))):
        answered = door.post(body, signed(body, f"d{n}"))
        assert (answered.status_code, answered.json()["looking"]) == (200, False)
    assert door.looks == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "has no x-mlflow-signature, x-mlflow-delivery-id, x-mlflow-timestamp header"),
        (signed(told(), secret=b"another secret of theirs"), "signature is wrong"),
        (signed(told("review_by")), "signature is wrong"),  # of another body
        (signed(told(), sent=datetime.now(UTC) - timedelta(minutes=6)), "more than 5 minutes from now"),
        (signed(told(), sent=datetime.now(UTC) + timedelta(hours=1)), "more than 5 minutes from now"),
        (signed(told(), "d" * 256), "at most 255"),
    ],
    ids=["unsigned", "secret", "body", "old", "future", "long id"],
)
def test_what_is_not_mlflows_own_of_now_is_refused(door: Door, given: dict[str, str], said: str) -> None:
    refused = door.post(told(), given)
    assert refused.status_code == 403
    assert said in refused.json()["error"]
    assert (door.noted(), door.looks) == ([], [])


def test_a_replay_is_refused_and_makes_no_second_look(door: Door) -> None:
    given = signed(told())
    assert [door.post(told(), given).status_code for _ in range(3)] == [202, 403, 403]
    assert door.looked(1)
    assert door.noted() == ["d1"]


@pytest.mark.parametrize("body", [b"", b"{}", b"[" * 60_000, b"\xff", told(data="review")])
def test_a_signed_body_that_is_not_mlflows_is_refused(door: Door, body: bytes) -> None:
    refused = door.post(body, signed(body))
    assert (refused.status_code, door.looks) == (422, [])
    assert "not MLflow's" in refused.json()["error"]


def test_a_huge_body_is_refused_before_it_is_read_to_its_end(door: Door) -> None:
    body = b" " * (LARGEST_BYTES + 1)
    assert door.post(body, signed(body)).status_code == 413
    with socket.create_connection(("127.0.0.1", door.port), timeout=3) as wire:
        wire.sendall(b"POST /mlflow HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\n" + body)
        assert b"413" in wire.recv(1000).split(b"\r\n")[0]
    assert (door.noted(), door.looks) == ([], [])


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_only_a_post_is_taken(door: Door, method: str) -> None:
    refused = httpx.request(method, door.url, headers=signed(b""))
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    assert httpx.post(f"http://127.0.0.1:{door.port}/", content=told(), headers=signed(told())).status_code == 404
    assert (door.noted(), door.looks) == ([], [])


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", None),
        (b"POST /mlflow HTTP/1.1\r\nHost: x\r\nX-Slow: ", None),
        (b"POST /mlflow HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nab", b"408"),
    ],
    ids=["silent", "half a head", "half a body"],
)
def test_a_slow_client_is_let_go(door: Door, sent: bytes, status: bytes | None) -> None:
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", door.port), timeout=5) as wire:
        wire.sendall(sent)
        first = wire.recv(1000)
        assert (first.split(b" ")[1] if first else None) == status
        while wire.recv(1000):
            pass
    assert PATIENCE_S * 0.9 < time.monotonic() - started < PATIENCE_S + 2
    assert httpx.get(f"http://127.0.0.1:{urlsplit(door.url).port}/health").json() == {"status": "ok"}
    assert (door.noted(), door.looks) == ([], [])


def test_a_client_that_drips_a_byte_at_a_time_is_let_go_too(door: Door) -> None:
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", door.port), timeout=5) as wire, pytest.raises(OSError):
        for letter in b"POST /mlflow HTTP/1.1\r\n" + b"x" * 10_000:
            wire.sendall(bytes([letter]))
            time.sleep(0.05)
    assert time.monotonic() - started < PATIENCE_S + 2


def test_who_asks_during_a_look_is_served_by_one_more() -> None:
    began, go_on = threading.Semaphore(0), threading.Semaphore(0)
    looks: list[int] = []

    def look() -> None:
        looks.append(1)
        began.release()
        go_on.acquire()

    looking = OneAtATime(look)
    first = threading.Thread(target=looking)
    first.start()
    began.acquire()
    for _ in range(5):
        looking()  # returns at once: the first is looking
    go_on.release()
    began.acquire()  # one more for the five
    go_on.release()
    first.join(5)
    assert len(looks) == 2


def test_a_look_that_fails_does_not_keep_the_next_from_looking() -> None:
    looks: list[int] = []

    def look() -> None:
        looks.append(1)
        if len(looks) == 1:
            raise DecisionError("not now")

    looking = OneAtATime(look)
    with pytest.raises(DecisionError):
        looking()
    looking()
    assert len(looks) == 2


def test_the_key_of_mlflows_database_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    from cryptography.fernet import Fernet

    made = encryption_key(tmp_path)
    assert Fernet(made).decrypt(Fernet(encryption_key(tmp_path)).encrypt(b"a secret")) == b"a secret"
    assert (tmp_path / "mlflow-webhook.key").stat().st_mode & 0o777 == 0o600


def test_every_tag_of_a_request_makes_a_look_whichever_is_set_last() -> None:
    assert [tells_of_review(told(key)) for key in ("review", "review_by", "review_why", "review_report")] == [True] * 4
    assert not tells_of_review(told(action="deleted"))
