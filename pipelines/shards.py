"""A stage's work in shards: done by whoever maps them, kept once done, tried again when they fail.

Invariants: a shard's file is named by what it is made of and appears whole, so that one which is there is not made
again, whoever made it; shards come back in their order; none depends on who maps, or how many at once. A shard that
fails is tried again after the others; if it fails for good the stage fails with its name, and the others stay for the
next run.
Not covered: who maps (flows/runners.py), what is done in a shard (each stage's own module), where the files end up.
"""

import errno
import hashlib
import json
import os
import shutil
import socket
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol

from pipelines.errors import GroundworkError, StageError, UserError

FOLDER = "shards"
"""In the unfinished output; a worker that outlives its stage finds it gone and writes nothing."""
ATTEMPTS = 3

Work = Callable[[bytes, Path, int], None]
"""`work(given, place, threads)` makes a shard: a function of a module, so that another process finds it by its name.
It writes `place` whole or not at all, and nothing else."""


@dataclass(frozen=True)
class Shard:
    """What a shard is made of, as JSON, and the file that it becomes. `number`: its place among the others."""

    number: int
    label: str
    given: bytes = field(repr=False)
    place: Path

    @property
    def name(self) -> str:
        """For messages and pages."""
        return f"{self.label} [{self.place.stem}]"


@dataclass(frozen=True)
class Attempt:
    """What came of a shard: no error, and its file is there."""

    shard: Shard
    error: Exception | None = None


class Mapper(Protocol):
    """Does shards, several at once."""

    @property
    def processes(self) -> bool:
        """Whether each is done in a process of its own: what holds the interpreter gains nothing from threads."""
        ...

    def __call__(self, work: Work, shards: Iterable[Shard]) -> Iterator[Attempt]:
        """An attempt at each, in any order. Shards are taken as there is room: there may be too many to hold."""
        ...


class InTurn:
    """The plainest mapper: one after another, in this process. What any other has to equal."""

    processes = False

    def __init__(self, threads: int = 0) -> None:
        self._threads = threads

    def __call__(self, work: Work, shards: Iterable[Shard]) -> Iterator[Attempt]:
        """An attempt at each."""
        for shard in shards:
            yield attempted(work, shard, self._threads)


def shards_of(output: Path, suffix: str, parts: Iterable[tuple[str, Any]]) -> Iterator[Shard]:
    """Shards of a label and a JSON value each; files of that suffix beside the unfinished output."""
    for number, (label, value) in enumerate(parts):
        given = json.dumps(value, sort_keys=True).encode()
        place = output / FOLDER / f"{hashlib.sha256(given).hexdigest()[:16]}{suffix}"
        yield Shard(number, label, given, place)


def attempted(work: Work, shard: Shard, threads: int) -> Attempt:
    """Do a shard; whatever it raises is its error, in a form that passes between processes."""
    try:
        work(shard.given, shard.place, threads)
    except Exception as exc:  # noqa: BLE001  any failure costs this shard alone, and is told in the end
        return Attempt(shard, portable(exc))
    return Attempt(shard)


def portable(exc: Exception) -> Exception:
    """The error itself where every process knows it; else a StageError that tells it, with its traceback as a note."""
    if isinstance(exc, GroundworkError | OSError):
        return exc
    told = StageError(f"{type(exc).__name__}: {exc}")
    told.add_note("".join(traceback.format_exception(exc)))
    return told


def several(shards: Iterable[Shard]) -> Iterator[Shard] | None:
    """The shards when there are at least two; a single one is not worth being mapped."""
    coming = iter(shards)
    first = list(islice(coming, 2))
    return chain(first, coming) if len(first) > 1 else None


def each_done(work: Work, shards: Iterable[Shard], mapper: Mapper, report: Callable[[str], None]) -> Iterator[Shard]:
    """Every shard in its order, once its file is there; `report` is told the name of each that was just made.

    Raises what the caller can mend as it is and at once, a full disk too; StageError for shards that failed ATTEMPTS
    times, after all others were done.
    """
    ready: dict[int, Shard] = {}
    turn = 0
    waiting: Iterable[Shard] = _missing(shards, ready)
    for _ in range(ATTEMPTS):
        failed: list[Attempt] = []
        for attempt in mapper(work, waiting):
            if attempt.error is not None:
                _refuse_hopeless(attempt.error)
                failed.append(attempt)
                continue
            report(attempt.shard.name)
            ready[attempt.shard.number] = _without_input(attempt.shard)
            while turn in ready:
                yield ready.pop(turn)
                turn += 1
        while turn in ready:  # those that were there already
            yield ready.pop(turn)
            turn += 1
        if not failed:
            return
        waiting = [attempt.shard for attempt in failed]
    raise _given_up(failed, work)


@contextmanager
def making(place: Path) -> Iterator[Path]:
    """A temporary path that becomes the shard's file when the block ends without an error.

    Its folder is not made: it is gone once the stage has given up or ended.
    """
    temporary = place.with_name(f".{place.name}.{socket.gethostname()}.{os.getpid()}.{threading.get_ident()}")
    try:
        yield temporary
        temporary.replace(place)
    finally:
        temporary.unlink(missing_ok=True)


def put_away(output: Path) -> None:
    """Remove the shards of a stage that is done with them."""
    shutil.rmtree(output / FOLDER, ignore_errors=True)


def _missing(shards: Iterable[Shard], ready: dict[int, Shard]) -> Iterator[Shard]:
    """Shards that have to be made; those whose file is there are noted in `ready`."""
    for shard in shards:
        shard.place.parent.mkdir(parents=True, exist_ok=True)
        if shard.place.exists():
            ready[shard.number] = _without_input(shard)
        else:
            yield shard


def _without_input(shard: Shard) -> Shard:
    """One that waits for its turn need not hold what it was made of."""
    return Shard(shard.number, shard.label, b"", shard.place)


def _refuse_hopeless(error: Exception) -> None:
    """Raise what no other attempt can help."""
    if isinstance(error, UserError) or (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)):
        raise error


def _given_up(failed: list[Attempt], work: Work) -> StageError:
    first = failed[0]
    others = f" and {len(failed) - 1} more (all: {', '.join(a.shard.place.stem for a in failed)})" if failed[1:] else ""
    error = StageError(
        f"Shard {first.shard.name}{others} failed {ATTEMPTS} times in {work.__module__}: {first.error} "
        "All other shards are kept: run the same command again, and only what is missing is made."
    )
    for note in getattr(first.error, "__notes__", []):
        error.add_note(note)
    return error
