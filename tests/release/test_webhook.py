"""A webhook delivery counts when it is signed, of now, and new."""

import base64
import hashlib
import hmac
import threading
from datetime import UTC, datetime, timedelta

import pytest

from pipelines.errors import DecisionError, SettingsError
from pipelines.release import webhook
from pipelines.store import DeliveryRow
from tests.release.conftest import Desk

KEY = b"a secret of the webhook"
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
BODY = b'{"entity": "model_version_tag", "action": "set"}'


def headers(delivery: str = "d1", *, sent: datetime = NOW, body: bytes = BODY, secret: bytes = KEY) -> dict[str, str]:
    stamp = str(int(sent.timestamp()))
    # Written out as MLflow's documentation does, not with the function under test.
    signed = hmac.new(secret, f"{delivery}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "X-MLflow-Signature": "v1," + base64.b64encode(signed).decode(),
        "X-MLflow-Delivery-Id": delivery,
        "X-MLflow-Timestamp": stamp,
    }


def accept(desk: Desk, given: dict[str, str], body: bytes = BODY, now: datetime = NOW) -> str:
    return webhook.accept(desk.store, given, body, secret=KEY, now=now)


def test_a_signed_delivery_is_taken_once(desk: Desk) -> None:
    assert accept(desk, headers()) == "d1"
    with pytest.raises(DecisionError, match="replay"):
        accept(desk, headers())
    assert accept(desk, headers("d2")) == "d2"


def test_of_one_delivery_that_comes_many_times_at_once_one_is_taken(desk: Desk) -> None:
    came: list[str] = []

    def act() -> None:
        try:
            came.append(accept(desk, headers()))
        except DecisionError:
            came.append("refused")

    threads = [threading.Thread(target=act) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(came) == ["d1"] + ["refused"] * 4


@pytest.mark.parametrize(
    ("given", "body"),
    [
        (headers(secret=b"another secret"), BODY),
        (headers(), BODY + b" "),
        ({**headers(), "X-MLflow-Delivery-Id": "d9"}, BODY),
        ({**headers(), "X-MLflow-Timestamp": str(int(NOW.timestamp()) + 1)}, BODY),
        ({**headers(), "X-MLflow-Signature": "v1,"}, BODY),
        ({**headers(), "X-MLflow-Signature": "v1,\N{SNOWMAN}"}, BODY),
    ],
    ids=["secret", "body", "id", "time", "empty", "not ascii"],
)
def test_a_changed_delivery_is_refused(desk: Desk, given: dict[str, str], body: bytes) -> None:
    with pytest.raises(DecisionError, match="signature is wrong"):
        accept(desk, given, body)


def test_a_delivery_without_its_headers_is_refused(desk: Desk) -> None:
    with pytest.raises(DecisionError, match="x-mlflow-signature, x-mlflow-delivery-id, x-mlflow-timestamp"):
        accept(desk, {"content-type": "application/json"})


@pytest.mark.parametrize("minutes", [-6, 6])
def test_an_old_delivery_and_one_of_the_future_are_refused(desk: Desk, minutes: int) -> None:
    with pytest.raises(DecisionError, match="more than 5 minutes from now"):
        accept(desk, headers(sent=NOW + timedelta(minutes=minutes)))


def test_ids_are_forgotten_only_when_their_time_is_refused_anyway(desk: Desk) -> None:
    accept(desk, headers())
    later = NOW + timedelta(minutes=11)
    accept(desk, headers("d2", sent=later), now=later)
    with desk.store.reading() as session:
        assert [row.id for row in session.query(DeliveryRow)] == ["d2"]
    with pytest.raises(DecisionError, match="more than 5 minutes"):
        accept(desk, headers(), now=later)


def test_a_second_signature_may_stand_beside_while_the_secret_changes(desk: Desk) -> None:
    given = headers()
    other = headers(secret=b"the secret of before")["X-MLflow-Signature"]
    assert accept(desk, {**given, "X-MLflow-Signature": f"{other} {given['X-MLflow-Signature']}"}) == "d1"


def test_a_short_secret_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(webhook.SECRET, "short")
    with pytest.raises(SettingsError, match="5 characters"):
        webhook.secret_of_environment()
