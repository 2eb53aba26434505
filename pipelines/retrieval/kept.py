"""What a model said before, by what it was told: so an evaluation resumes and no model says anything twice.

SQLite files under `state/answers`; a batch is one transaction; safe between threads. A completion's key covers the
model, the conversation and the parameters, and nothing that comes after the model: guardrails, citing and the margin
of refusals are applied to kept words as to new ones. Invariant: what is read back equals what was stored.
"""

import sqlite3
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Generic, TypeVar

from pipelines.contracts import Contract, Message, content_id

Row = TypeVar("Row", bound=Contract)


class Kept(Generic[Row]):
    """Records of one kind, by key."""

    def __init__(self, state: Path, file: str, name: str, model: type[Row]) -> None:
        """`file`: under `state/answers`; `name`: what one record is called, for table and column."""
        place = state / "answers" / file
        place.parent.mkdir(parents=True, exist_ok=True)
        self._model, self._lock = model, threading.Lock()
        self._connection = sqlite3.connect(place, timeout=30, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute(f"CREATE TABLE IF NOT EXISTS {name}s (key TEXT PRIMARY KEY, {name} TEXT NOT NULL)")
        self._read = f"SELECT {name} FROM {name}s WHERE key = ?"  # noqa: S608 (a name of ours)
        self._write = f"INSERT OR REPLACE INTO {name}s VALUES (?, ?)"  # noqa: S608

    def get(self, keys: Iterable[str]) -> dict[str, Row]:
        """The records that are there, by key."""
        found = {}
        with self._lock:
            for key in keys:
                row = self._connection.execute(self._read, (key,)).fetchone()
                if row is not None:
                    found[key] = self._model.model_validate_json(row[0])
        return found

    def put(self, rows: Mapping[str, Row]) -> None:
        """Store a batch."""
        with self._lock, self._connection:
            self._connection.executemany(self._write, [(key, row.model_dump_json()) for key, row in rows.items()])

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()


class Said(Contract):
    """What a model said to a conversation, before anything is made of it."""

    text: str = ""
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    spans: tuple[tuple[str, float], ...] = ()
    """Of a quoted answer, which has no `text` before one of them is chosen; best first."""
    refusal: float | None = None
    """Its log-probability, of a quoted answer."""


class KeptCompletions(Kept[Said]):
    """What the models of one workspace said."""

    def __init__(self, state: Path) -> None:
        super().__init__(state, "completions.db", "completion", Said)


def key_of(model: str, conversation: Iterable[Message], parameters: Mapping[str, object]) -> str:
    """The name of a completion; `model`: the digest of engine and weights."""
    said = [(message.role, message.content) for message in conversation]
    return content_id("completion", model, said, dict(parameters))
