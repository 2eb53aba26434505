"""A report of garak's (`*.report.jsonl`) read as hostile input: attempts, what each detector said, what is missing.

One JSON object a line, told apart by `entry_type`: `start_run setup` and `init` (who ran what), `attempt` (written with
status 1 when it is answered, with status 2 and `detector_results` when it is judged), `eval` (garak's own counts),
`completion`. Prompts and outputs were plain strings, then messages, then conversations; all are read.
Invariant: size, lines and texts are bounded; a line that is not as it should be is counted, never guessed at; a score
that is absent is None.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from pipelines.errors import SourceError

LARGEST_BYTES = 256 * 1024 * 1024
"""A full scan with thousands of prompts takes about a tenth of it."""
LONGEST_LINE = 8 * 1024 * 1024
"""Bytes; a longer line is counted as broken."""
LONGEST_TEXT = 20_000
"""Characters of a prompt or an output that are kept."""
MOST_ATTEMPTS = 100_000
MOST_TRIGGERS = 2_000
THRESHOLD = 0.5
"""From which score on garak counts a hit: its default. A report does not name it; garak's own counts are compared."""
JUDGED = 2
"""The status of an attempt that the detectors have seen."""
_PLUGIN = re.compile(r"[A-Za-z_]\w{0,79}(\.[A-Za-z_]\w{0,79}){1,3}")

Scores = Mapping[str, tuple[float | None, ...]]
"""By detector, one for each output; None: it could not say."""


@dataclass(frozen=True)
class Tried:
    """One prompt of a probe with everything that came of it."""

    probe: str
    prompt: str
    """The last message that was sent."""
    alone: bool
    """Whether that message was all that was sent, and all of it is in `prompt`."""
    outputs: tuple[str | None, ...]
    """One for each generation; None: there was no answer."""
    scores: Scores
    triggers: tuple[str, ...]
    """What the probe's detectors look for, where they look for strings."""
    goal: str


@dataclass
class GarakReport:
    """What a report holds, and what it lacks."""

    version: str = ""
    target: str = ""
    started: str = ""
    complete: bool = False
    """Whether garak came to its end."""
    asked: tuple[str, ...] = ()
    """Probes that the run was to put."""
    attempts: list[Tried] = field(default_factory=list)
    unjudged: int = 0
    """Attempts that were answered and never judged: the run was stopped."""
    lines: int = 0
    broken: int = 0
    """Lines that are no JSON object, or an attempt without what an attempt needs."""
    counted: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    """By probe and detector: outputs that garak itself counts as hits, and outputs that it judged."""


def read_report(path: Path) -> GarakReport:
    """The report in a file.

    Raises SourceError for a file that is not there, too large, or no report of garak's.
    """
    try:
        size = path.stat().st_size
        if size > LARGEST_BYTES:
            raise SourceError(
                f"{path}: {size:,} bytes; a report may have {LARGEST_BYTES:,}. Scan fewer probes at once."
            )
        with path.open("rb") as stream:
            report = _read(stream)
    except OSError as exc:
        raise SourceError(f"{path}: not readable: {exc.strerror}.") from exc
    if not report.version and not report.attempts:
        raise SourceError(
            f"{path}: no report of garak's: {report.lines} lines, none of them an `init` entry or a judged attempt. "
            "Give the file that garak calls NAME.report.jsonl."
        )
    return report


def _read(stream: BinaryIO) -> GarakReport:
    report = GarakReport()
    begun: set[str] = set()
    judged: set[str] = set()
    for line in _lines(stream):
        report.lines += 1
        entry = _object(line)
        if entry is None:
            report.broken += 1
            continue
        kind = entry.get("entry_type")
        if kind == "attempt":
            _take_attempt(entry, report, begun, judged)
        elif kind == "init":
            report.version = _short(entry.get("garak_version")) or "unknown"
            report.started = _short(entry.get("start_time"))
        elif kind == "start_run setup":
            target = (_short(entry.get(f"plugins.target_{part}")) for part in ("type", "name"))
            report.target = " ".join(part for part in target if part)
            report.asked = tuple(_strings(entry.get("transient.active_probes"), "probes."))
        elif kind == "eval":
            _take_count(entry, report)
        elif kind == "completion":
            report.complete = True
    report.unjudged = len(begun - judged)
    return report


def _take_attempt(entry: dict[str, Any], report: GarakReport, begun: set[str], judged: set[str]) -> None:
    name = _short(entry.get("uuid")) or f"line {report.lines}"
    if entry.get("status") != JUDGED:
        begun.add(name)
        return
    tried = _tried(entry)
    if tried is None or name in judged or len(report.attempts) >= MOST_ATTEMPTS:
        report.broken += 1
        return
    judged.add(name)
    report.attempts.append(tried)


def _tried(entry: dict[str, Any]) -> Tried | None:
    """An attempt; None where it lacks a probe, a prompt or outputs."""
    probe, outputs = entry.get("probe_classname"), entry.get("outputs")
    messages = _messages(entry.get("prompt"))
    if not _is_plugin(probe) or not isinstance(outputs, list) or not messages:
        return None
    results = entry.get("detector_results")
    notes = entry.get("notes")
    triggers = notes.get("triggers") if isinstance(notes, dict) else None
    said = tuple(_message(output) for output in outputs)
    return Tried(
        probe=str(probe),
        prompt=messages[-1][:LONGEST_TEXT],
        alone=len(messages) == 1 and len(messages[0]) <= LONGEST_TEXT,
        outputs=tuple(text if text is None else text[:LONGEST_TEXT] for text in said),
        scores={
            str(detector): tuple(_score(score) for score in scores)
            for detector, scores in (results.items() if isinstance(results, dict) else ())
            if _is_plugin(detector) and isinstance(scores, list) and len(scores) == len(outputs)
        },
        triggers=tuple(_strings([triggers] if isinstance(triggers, str) else triggers)),
        goal=_short(entry.get("goal")),
    )


def _take_count(entry: dict[str, Any], report: GarakReport) -> None:
    probe, detector = entry.get("probe"), entry.get("detector")
    fails, judged = entry.get("fails"), entry.get("total_evaluated")
    if _is_plugin(probe) and _is_plugin(detector) and isinstance(fails, int) and isinstance(judged, int):
        report.counted[str(probe), str(detector)] = (fails, judged)


# --- pieces of an entry ------------------------------------------------------------------------


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Lines that are not empty; of one that is too long its beginning alone, which is not JSON."""
    while line := stream.readline(LONGEST_LINE):
        if line.strip():
            yield line
        while not line.endswith(b"\n") and len(line) == LONGEST_LINE:
            line = stream.readline(LONGEST_LINE)


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):  # ValueError: JSON, UTF-8, and whole numbers of thousands of digits
        return None
    return value if isinstance(value, dict) else None


def _messages(prompt: Any) -> list[str]:
    """The messages of a prompt, in order: a string, a message, or a conversation of turns."""
    turns = prompt.get("turns") if isinstance(prompt, dict) else None
    if not isinstance(turns, list):
        one = _message(prompt)
        return [] if one is None else [one]
    found = [_message(turn.get("content")) if isinstance(turn, dict) else None for turn in turns]
    return [] if None in found else [text for text in found if text is not None]


def _message(value: Any) -> str | None:
    """The text of a message: a string, or an object with `text`."""
    text = value.get("text") if isinstance(value, dict) else value
    return _clean(text) if isinstance(text, str) else None


def _score(value: Any) -> float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and math.isfinite(value) and 0.0 <= value <= 1.0 else None


def _strings(value: Any, prefix: str = "") -> list[str]:
    found = value[:MOST_TRIGGERS] if isinstance(value, list) else []
    return [_clean(each)[:LONGEST_TEXT].removeprefix(prefix) for each in found if isinstance(each, str)]


def _is_plugin(value: Any) -> bool:
    return isinstance(value, str) and _PLUGIN.fullmatch(value) is not None


def _short(value: Any) -> str:
    return _clean(value)[:200] if isinstance(value, str) else ""


def _clean(text: str) -> str:
    """Text that can be written as UTF-8: JSON may hold halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode("utf-8")
