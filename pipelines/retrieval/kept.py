"""What a model said before, by what was asked: so an evaluation resumes and nothing is asked twice.

SQLite files under `state/answers`; a batch is one transaction; safe between threads. An answer's key covers the
system's digest, the question and the passages that were shown. Invariant: what is read back equals what was stored.
"""

import sqlite3
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Generic, TypeVar

from pipelines.contracts import Answer, Contract, content_id

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


class KeptAnswers(Kept[Answer]):
    """The answers of one workspace."""

    def __init__(self, state: Path) -> None:
        super().__init__(state, "answers.db", "answer", Answer)


def key_of(system: str, question: str, passages: Iterable[str]) -> str:
    """The name of an answer: system digest, question, texts shown."""
    return content_id("answer", system, question, list(passages))
