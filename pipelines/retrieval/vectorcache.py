"""Vectors that were made before, by what made them and of what: nothing is embedded twice.

A SQLite file a model under `state/vectors`, keyed by sha256 of the text that was embedded; a batch is one transaction,
so a build that is killed goes on from the last batch. Vectors are kept as float16 [dim], as the index holds them.
It may be removed at any time. Not covered: two processes that embed the same text at once (made twice, kept once).
"""

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from pipelines.errors import StageError

Halves = npt.NDArray[np.float16]
_ASKED_AT_ONCE = 500


class VectorCache:
    """The vectors of one model; use it as a context manager."""

    def __init__(self, state: Path, model_digest: str) -> None:
        self._place = state / "vectors" / f"{model_digest[:16]}.db"
        self._place.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._connection = sqlite3.connect(self._place, timeout=60)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")  # a lost last batch is made again
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS vectors (text BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID"
            )
        except sqlite3.Error as exc:
            raise self._explained(exc) from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._connection.close()

    def get(self, digests: Sequence[bytes]) -> dict[bytes, Halves]:
        """The vectors that are there, by digest of their text."""
        found: dict[bytes, Halves] = {}
        try:
            for start in range(0, len(digests), _ASKED_AT_ONCE):
                part = digests[start : start + _ASKED_AT_ONCE]
                marks = ",".join("?" * len(part))
                rows = self._connection.execute(f"SELECT text, vector FROM vectors WHERE text IN ({marks})", part)  # noqa: S608
                found |= {text: np.frombuffer(vector, dtype=np.float16) for text, vector in rows}
        except sqlite3.Error as exc:
            raise self._explained(exc) from exc
        return found

    def put(self, digests: Iterable[bytes], vectors: Halves) -> None:
        """Keep a batch."""
        rows = [(digest, vector.tobytes()) for digest, vector in zip(digests, vectors, strict=True)]
        try:
            with self._connection:
                self._connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
        except sqlite3.Error as exc:
            raise self._explained(exc) from exc

    def _explained(self, exc: sqlite3.Error) -> StageError:
        return StageError(
            f"{self._place}: the vectors kept there cannot be used ({exc}). Free some disk space, or remove the file: "
            "what it held is embedded again."
        )
