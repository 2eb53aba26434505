"""Pictures of text -> words, through tesseract where it is installed.

A process for each picture, fed through a pipe and bounded in time: nothing is written to disk, no shell is
used, and a picture on which tesseract hangs or crashes costs itself alone. The page may lie on its side or
stand on its head. Limits: printed text; no handwriting; languages whose data tesseract has.
"""

import itertools
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from pipelines.errors import DocumentError

_MIN_CONFIDENCE = 30.0
"""Tesseract is this sure, of a hundred, of a word that is believed; dirt and drawings give less."""
_GRACE_S = 1.0


class OcrError(DocumentError):
    """A picture could not be read; the reason says why."""


@dataclass(frozen=True)
class Ocr:
    """How pictures are read: settings `documents.ocr_*`, and until when (`time.monotonic`)."""

    languages: str = "eng"
    pages_at_most: int = 20
    """0: pictures are not read."""
    page_timeout_s: float = 30.0
    until: float | None = None

    def left_s(self) -> float:
        """Seconds that the next picture may take."""
        left = self.page_timeout_s
        return left if self.until is None else min(left, self.until - time.monotonic())


class Seen(NamedTuple):
    """A word in a picture with its box in pixels, `y` growing downwards."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True)
class Reading:
    """What a picture says: paragraphs of lines of words, in reading order, turned upright."""

    paragraphs: list[list[list[Seen]]]

    @property
    def text(self) -> str:
        """Paragraphs as lines, a blank line between them."""
        return "\n\n".join("\n".join(" ".join(w.text for w in line) for line in lines) for lines in self.paragraphs)

    @property
    def lines(self) -> list[list[Seen]]:
        """All lines."""
        return [line for lines in self.paragraphs for line in lines]


def available() -> bool:
    """Whether tesseract is on the PATH."""
    return shutil.which("tesseract") is not None


def version() -> str:
    """The version of tesseract and the languages that it has, "" where it is not installed."""
    program = shutil.which("tesseract")
    if program is None:
        return ""
    said = []
    for argument in ("--version", "--list-langs"):
        try:
            found = subprocess.run([program, argument], capture_output=True, timeout=10, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return "unknown"
        said.append(found.stdout.decode("utf-8", "replace"))
    return "".join(said)


def read_image(picture: bytes, ocr: Ocr | None = None) -> str:
    """Text of a picture (PNG, JPEG, TIFF, PNM), "" when it shows none. Raises OcrError."""
    return read_words(picture, ocr or Ocr()).text


def read_words(picture: bytes, ocr: Ocr, *, dots_per_inch: int | None = None) -> Reading:
    """Words of a picture with their boxes; told its dots per inch, tesseract guesses less. Raises OcrError."""
    program = shutil.which("tesseract")
    if program is None:
        raise OcrError("tesseract is not installed: text in images is not read")
    seconds = ocr.left_s()
    if seconds <= 0:
        raise OcrError("no time is left to read pictures (documents.timeout_s)")
    dots = ["--dpi", str(dots_per_inch)] if dots_per_inch else []
    command = [program, "stdin", "stdout", "-l", ocr.languages, "--psm", "1", *dots, "tsv"]
    # one thread a process: workers are as many as cores already
    environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "OMP_THREAD_LIMIT": "1"}
    if "TESSDATA_PREFIX" in os.environ:
        environment["TESSDATA_PREFIX"] = os.environ["TESSDATA_PREFIX"]
    try:
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
        ) as process:
            _bound(process.pid, seconds)
            try:
                found, said = process.communicate(picture, timeout=seconds)
            except subprocess.TimeoutExpired as exc:
                process.kill()
                raise OcrError(f"tesseract took longer than {seconds:.3g} s") from exc
    except OSError as exc:
        raise OcrError(f"tesseract does not start: {exc.strerror}") from exc
    if process.returncode != 0:
        lines = said.decode("utf-8", "replace").strip().splitlines()
        raise OcrError(f"tesseract failed: {lines[0][:200] if lines else f'exit code {process.returncode}'}")
    return _upright(_paragraphs(found.decode("utf-8", "replace")))


def _bound(pid: int, seconds: float) -> None:
    """Bound the processor time of a process, so that it ends even if nobody is left to end it."""
    if sys.platform == "linux":
        import resource

        at_most = int(seconds + _GRACE_S) + 1
        try:
            resource.prlimit(pid, resource.RLIMIT_CPU, (at_most, at_most))
        except ProcessLookupError:  # it has ended already
            return


def _paragraphs(table: str) -> list[list[list[Seen]]]:
    """Tesseract's table of words (level 5) as paragraphs and lines; columns 1 to 4 number where a word stands."""
    paragraphs: dict[tuple[str, ...], dict[str, list[Seen]]] = {}
    for row in table.splitlines()[1:]:
        cells = row.split("\t")
        if len(cells) < 12 or cells[0] != "5" or not cells[11].strip() or float(cells[10]) < _MIN_CONFIDENCE:
            continue
        x, y, width, height = (float(cell) for cell in cells[6:10])
        words = _unruled(Seen(cells[11].strip(), x, y, x + width, y + height))
        if words:
            paragraphs.setdefault(tuple(cells[1:4]), {}).setdefault(cells[4], []).extend(words)
    return [list(lines.values()) for lines in paragraphs.values()]


def _unruled(word: Seen) -> list[Seen]:
    """A word without the upright lines of a table that tesseract reads as strokes, in pieces where they divide it."""
    if "|" not in word.text:
        return [word]
    width = (word.x1 - word.x0) / len(word.text)
    return [
        Seen(piece.group(), word.x0 + width * piece.start(), word.y0, word.x0 + width * piece.end(), word.y1)
        for piece in re.finditer(r"[^|]+", word.text)
    ]


def _upright(paragraphs: Sequence[list[list[Seen]]]) -> Reading:
    """Boxes in the frame in which lines run to the right: tesseract gives them as the picture lies."""
    steps = [
        (after.x0 + after.x1 - before.x0 - before.x1, after.y0 + after.y1 - before.y0 - before.y1)
        for lines in paragraphs
        for line in lines
        for before, after in itertools.pairwise(line)
    ]
    if not steps:
        return Reading(list(paragraphs))
    right, down = median(x for x, _ in steps), median(y for _, y in steps)

    def turned(word: Seen) -> Seen:
        text, x0, y0, x1, y1 = word
        if abs(right) >= abs(down):
            return word if right >= 0 else Seen(text, -x1, -y1, -x0, -y0)
        return Seen(text, y0, -x1, y1, -x0) if down > 0 else Seen(text, -y1, x0, -y0, x1)

    return Reading([[[turned(word) for word in line] for line in lines] for lines in paragraphs])
