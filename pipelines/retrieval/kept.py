"""Answers that were made before, by what made them: so an evaluation resumes and nothing is asked twice.

A SQLite file under `state/answers`; a batch is one transaction. The key covers the system's digest, the
question and the passages that were shown. Invariant: what is read back equals what was stored.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipelines.contracts import Answer, content_id


class KeptAnswers:
    """The answers of one workspace."""

    def __init__(self, state: Path) -> None:
        place = state / "answers" / "answers.db"
        place.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(place, timeout=30)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL)")

    def get(self, keys: Iterable[str]) -> dict[str, Answer]:
        """The answers that are there, by key."""
        found = {}
        for key in keys:
            row = self._connection.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
            if row is not None:
                found[key] = Answer.model_validate_json(row[0])
        return found

    def put(self, answers: Mapping[str, Answer]) -> None:
        """Store a batch."""
        with self._connection:
            self._connection.executemany(
                "INSERT OR REPLACE INTO answers VALUES (?, ?)",
                [(key, answer.model_dump_json()) for key, answer in answers.items()],
            )

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()


def key_of(system: str, question: str, passages: Iterable[str]) -> str:
    """The name of an answer: system digest, question, texts shown."""
    return content_id("answer", system, question, list(passages))
