"""What people and programs see: progress and messages on stderr, results on stdout, exit codes.

Invariant: with `--json` stdout carries JSON alone; an error that the caller can mend never shows a traceback.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from pipelines.errors import GroundworkError

Report = Callable[[int, int, str], None]
QUIET_SECONDS = 10
"""Without a terminal a progress line is written at most this often."""

VENDORS = {
    "TQDM_DISABLE": "1",  # bars of their own
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "LRU_CACHE_CAPACITY": "64",  # oneDNN keeps what it made for each shape: 2 GiB after two dozen training steps
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64",  # ... by its default of 1,024, and no faster for it
}
"""Environment that vendors read when they load."""


def settle_vendors() -> None:
    """One voice at the terminal, no reports home, bounded caches. A variable that is set already stays."""
    for name, value in VENDORS.items():
        os.environ.setdefault(name, value)


def say(message: str) -> None:
    """A line for the person at the terminal."""
    print(message, file=sys.stderr, flush=True)


def emit(value: Any) -> None:
    """One JSON object on a line of stdout."""
    print(json.dumps(value, ensure_ascii=False, default=str), flush=True)


def emit_lines(values: Iterable[Any]) -> None:
    """JSON Lines on stdout."""
    for value in values:
        emit(value)


def fail(error: GroundworkError) -> NoReturn:
    """Say what is wrong and leave with the error's exit code."""
    say(f"groundwork: {error}")
    sys.exit(error.exit_code)


@contextmanager
def progress(title: str) -> Iterator[Report]:
    """A live bar on a terminal, a line now and then elsewhere."""
    if not sys.stderr.isatty():
        yield _lines(title)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:<10}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    tail = (TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.fields[what]}"))
    with Progress(*columns, *tail, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=None, what="")
        yield lambda done, total, what: bar.update(task, completed=done, total=total or None, what=what)


def _lines(title: str) -> Report:
    last: tuple[float, str] = (float("-inf"), "")

    def report(done: int, total: int, what: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last[0] >= QUIET_SECONDS or (total and done == total and what != last[1]):
            last = (now, what)
            say(f"{title}: {f'{done}/{total} ' if total else ''}{what}".rstrip())

    return report
