"""Is a webhook delivery MLflow's own, of now, and new? What it says is then read in the registry, never in its body.

MLflow signs `delivery id.timestamp.body` with HMAC-SHA256 and the shared secret, and sends `v1,` and the base64 of it
(MLflow's webhook documentation). Invariants: signatures are compared in constant time; a delivery is taken once,
also by several processes, because its id is a primary key; ids older than the window are forgotten, since their
timestamp is refused by then.
Not covered: the HTTP server in front (webhook_server.py); who MLflow's server tells (registry.py).
"""

import base64
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import delete

from pipelines.errors import DecisionError, SettingsError
from pipelines.release.policy import aware
from pipelines.release.review_tags import REQUEST
from pipelines.store import DeliveryRow, Store

SECRET = "GROUNDWORK_WEBHOOK_SECRET"  # noqa: S105  the variable's name
SIGNATURE, DELIVERY, TIMESTAMP = "x-mlflow-signature", "x-mlflow-delivery-id", "x-mlflow-timestamp"
VERSION = "v1"
WINDOW = timedelta(minutes=5)
"""How far a delivery's timestamp may lie from now, either way: clocks differ, queues wait."""
SHORTEST_SECRET = 16
LONGEST_ID = 255
EVENT = ("model_version_tag", "set")
"""Entity and action of the deliveries that are asked for, as MLflow names them."""
KEY_FILE = "mlflow-webhook.key"


def wanted() -> bool:
    """Whether deliveries are to be received: whether there is a secret at all."""
    return bool(os.environ.get(SECRET))


def secret_of_environment() -> bytes:
    """The shared secret. Raises SettingsError where there is none that deserves the name."""
    value = os.environ.get(SECRET, "")
    if len(value) < SHORTEST_SECRET:
        raise SettingsError(
            f"{SECRET} holds {len(value)} characters; set it to the webhook's secret, {SHORTEST_SECRET} or more."
        )
    return value.encode()


def encryption_key(state: Path) -> str:
    """What MLflow's server encrypts the webhook's secret with in its database: 32 random bytes in urlsafe base64.

    Made once and kept in the workspace, for its owner alone to read: with another key at the next start, MLflow could
    not read its webhooks any more.
    """
    place = state / KEY_FILE
    state.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return place.read_text(encoding="ascii")
    made = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    with os.fdopen(handle, "w", encoding="ascii") as stream:
        stream.write(made)
    return made


def tells_of_review(body: bytes) -> bool:
    """Whether a delivery tells of a tag that reviewers set. Raises DecisionError for a body that is not MLflow's."""
    try:
        told = json.loads(body)
        return (told["entity"], told["action"]) == EVENT and told["data"]["key"] in REQUEST
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise DecisionError("The webhook delivery's body is not MLflow's: JSON of entity, action and data.") from exc


def signature_of(secret: bytes, delivery: str, timestamp: str, body: bytes) -> str:
    """The header value that signs a delivery."""
    signed = f"{delivery}.{timestamp}.".encode() + body
    return f"{VERSION},{base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()}"


def accept(store: Store, headers: Mapping[str, str], body: bytes, *, secret: bytes, now: datetime) -> str:
    """Take a delivery; its id. Header names in any case.

    Raises DecisionError for a missing header, a wrong signature, a timestamp outside the window, a replay.
    """
    given = {name.lower(): value for name, value in headers.items()}
    absent = [name for name in (SIGNATURE, DELIVERY, TIMESTAMP) if not given.get(name)]
    if absent:
        raise DecisionError(f"The webhook delivery has no {', '.join(absent)} header; it is refused.")
    delivery, timestamp = given[DELIVERY], given[TIMESTAMP]
    _need_signature(given[SIGNATURE], signature_of(secret, delivery, timestamp, body))
    if len(delivery) > LONGEST_ID:
        raise DecisionError(
            f"The webhook delivery's id has {len(delivery)} characters; at most {LONGEST_ID} are taken."
        )
    _need_recent(timestamp, now)
    with store.deciding() as session:
        if session.get(DeliveryRow, delivery) is not None:
            raise DecisionError(f"The webhook delivery {delivery} was taken already; a replay is refused.")
        session.execute(delete(DeliveryRow).where(DeliveryRow.when < now - 2 * WINDOW))
        session.add(DeliveryRow(id=delivery, when=aware(now)))
    return delivery


def _need_signature(given: str, made: str) -> None:
    """Several signatures may stand there, set apart by spaces (while a secret is being changed)."""
    if not any(hmac.compare_digest(each.encode(), made.encode()) for each in given.split()):
        raise DecisionError(f"The webhook delivery's signature is wrong; does {SECRET} hold the webhook's secret?")


def _need_recent(timestamp: str, now: datetime) -> None:
    try:
        sent = datetime.fromtimestamp(float(timestamp), UTC)
    except (ValueError, OverflowError, OSError) as exc:
        raise DecisionError(f"The webhook delivery's timestamp {timestamp!r} is no Unix time; it is refused.") from exc
    if abs(now - sent) > WINDOW:
        minutes = WINDOW // timedelta(minutes=1)
        raise DecisionError(
            f"The webhook delivery was sent at {sent:%Y-%m-%d %H:%M:%S} UTC, more than {minutes} minutes from now; "
            "it is refused."
        )
