"""Parsing: pages a second and word recall, beside docling and unstructured on the same files.

    .venv/bin/python -m benchmarks.parsing FOLDER [--expected FOLDER]

Every side parses every file in a process that is started and warmed up before (one pass that is not counted); then
passes take turns, and each side's median counts. One process a side; Groundwork with all cores is a figure of its own.
A page is a page where a format has them, else 3,000 characters of Groundwork's text; speeds are compared on the files
that both sides parsed. Word recall is the share of the words of the expected Markdown (counted as often as they occur,
markup and addresses stripped) that a text holds; without expected files docling's Markdown is the reference, and
docling itself has no recall. What a side cannot parse has recall 0.
"""

import argparse
import html
import json
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import peers
from benchmarks.machine import ROOT, machine, say
from benchmarks.peer import Peer

PEERS = ("docling", "unstructured")
PASSES = 3
PAGE_CHARACTERS = 3000
GOALS = {"speed_ratio": 5.0, "recall_difference": 0.0}


@dataclass(frozen=True)
class Read:
    """What one side made of one file in one pass; no text: it could not."""

    text: str | None
    seconds: float
    pages: float = 0.0
    why: str = ""


def measure(
    folder: Path, *, expected: Path | None = None, sides: Sequence[str] = PEERS, passes: int = PASSES
) -> dict[str, Any]:
    """Figures of every side on the files of a folder, and Groundwork's ratios to each peer."""
    files = files_of(folder)
    say(f"parsing {len(files)} files of {folder.name}, {passes} passes: groundwork, {', '.join(sides)}")
    with groundwork(1) as ours, running(sides) as theirs:
        every: dict[str, Side] = {"groundwork": ours, **theirs}
        first = {name: side(files) for name, side in every.items()}
        rounds: dict[str, list[list[Read]]] = {name: [] for name in every}
        for number in range(passes):
            say(f"pass {number + 1} of {passes}")
            for name, side in every.items():
                rounds[name].append(side(files))
    pages = [read.pages for read in first["groundwork"]]
    seconds = {name: medians(done) for name, done in rounds.items()}
    known = references(folder, files, expected, first)
    recall = {name: recalls(files, first[name], known) for name in every if expected or name != "docling"}
    figures: dict[str, Any] = {
        name: {
            "parsed": sum(read.text is not None for read in first[name]),
            "of": len(files),
            "not_parsed": {
                relative(f, folder): r.why for f, r in zip(files, first[name], strict=True) if r.text is None
            },
            **speed(pages, seconds[name], first[name]),
            **(recall[name]["all"] if name in recall else {}),
        }
        for name in every
    }
    figures["groundwork"]["pages_per_s_all_cores"] = all_cores(files, pages, passes)
    return {
        "folder": folder.name,
        "reference": "expected Markdown" if expected else "docling's Markdown",
        "figures": figures,
        "by_format": by_format(files, pages, seconds, first, recall),
        "ratios": {
            name: {
                **ratios(pages, seconds, first, figures, name),
                "of_files_both_parsed": recall_of_both(files, first, known, name) if name in recall else None,
            }
            for name in sides
            if any(r.text is not None for r in first[name])
        },
        "goals": GOALS,
        "peers": {name: theirs[name].version for name in sides},
    }


def files_of(folder: Path) -> list[Path]:
    """Every file that Groundwork would read; archives are left out, since no peer opens them."""
    from pipelines.documents.sources import listed, locate

    found = listed(locate(str(folder.absolute())), folder)
    return sorted(source.path for source in found if source.refused is None and source.inside is None)


# --- the sides ---------------------------------------------------------------------------------


Side = Callable[[Sequence[Path]], list[Read]]


@contextmanager
def groundwork(workers: int) -> Iterator[Side]:
    """Groundwork as a function of files, in the sandbox that `groundwork parse` uses."""
    from pipelines.documents.sandbox import Sandbox, Task
    from pipelines.settings import load

    with Sandbox(load().documents, workers=workers) as sandbox:

        def parse(files: Sequence[Path]) -> list[Read]:
            reads = []
            began = time.perf_counter()
            for found in sandbox.parse_all(Task(path, path.name) for path in files):
                seconds, began = time.perf_counter() - began, time.perf_counter()
                if found.parsed is None:
                    reads.append(Read(None, seconds, why=found.reason))
                else:
                    reads.append(Read(found.parsed.text, seconds, pages_of(found.parsed)))
            return reads

        yield parse


def pages_of(parsed: Any) -> float:
    """Pages that a format has, else 3,000 characters each."""
    counted = max((block.page or 0 for block in parsed.blocks), default=0)
    return float(counted) if counted else len(parsed.text) / PAGE_CHARACTERS


class Parser:
    """A peer that parses."""

    def __init__(self, name: str, program: Path) -> None:
        self._peer = Peer("peer_parser.py", [name], program=program)
        self.version = self._peer.version
        self.close = self._peer.close

    def __call__(self, files: Sequence[Path]) -> list[Read]:
        return [self._read(path) for path in files]

    def _read(self, path: Path) -> Read:
        answer = self._peer.ask(path=str(path.resolve()))
        text = answer.get("text")
        return Read(
            text if text and text.strip() else None, answer["seconds"], why=str(answer.get("error") or "no text")
        )


@contextmanager
def running(names: Sequence[str]) -> Iterator[dict[str, Parser]]:
    """The peers, started."""
    program = peers.python() if names else Path()
    started: dict[str, Parser] = {}
    try:
        for name in names:
            started[name] = Parser(name, program)
        yield started
    finally:
        for peer in started.values():
            peer.close()


def all_cores(files: Sequence[Path], pages: Sequence[float], passes: int) -> float:
    """Groundwork's pages a second with a worker for each core, warmed up."""
    with groundwork(0) as parse:
        parse(files)
        taken = [sum(read.seconds for read in parse(files)) for _ in range(passes)]
    return round(sum(pages) / statistics.median(taken), 1)


# --- figures -----------------------------------------------------------------------------------


def medians(rounds: Sequence[Sequence[Read]]) -> list[float]:
    """Seconds of each file: the median of its passes."""
    return [statistics.median(read.seconds for read in reads) for reads in zip(*rounds, strict=True)]


def speed(pages: Sequence[float], seconds: Sequence[float], reads: Sequence[Read]) -> dict[str, Any]:
    done = [i for i, read in enumerate(reads) if read.text is not None]
    total = sum(pages[i] for i in done)
    spent = sum(seconds[i] for i in done)
    return {
        "pages": round(total, 1),
        "seconds": round(spent, 3),
        "pages_per_s": round(total / spent, 1) if spent else None,
    }


def ratios(
    pages: Sequence[float],
    seconds: Mapping[str, Sequence[float]],
    reads: Mapping[str, Sequence[Read]],
    figures: Mapping[str, Any],
    peer: str,
) -> dict[str, Any]:
    """Groundwork to a peer: time on the files that both parsed, and the difference of their recalls."""
    both = [i for i in range(len(pages)) if reads[peer][i].text is not None and reads["groundwork"][i].text is not None]
    ours, theirs = (sum(seconds[name][i] for i in both) for name in ("groundwork", peer))
    each = [seconds[peer][i] / seconds["groundwork"][i] for i in both]
    recall = [figures[name].get("recall") for name in ("groundwork", peer)]
    return {
        "files": len(both),
        "speed_ratio": round(theirs / ours, 2),
        "speed_ratio_of_the_median_file": round(statistics.median(each), 2),
        "recall_difference": round(recall[0] - recall[1], 4) if None not in recall else None,
    }


def references(
    folder: Path, files: Sequence[Path], expected: Path | None, first: Mapping[str, Sequence[Read]]
) -> dict[Path, str]:
    """What each file should hold: the expected Markdown beside its name or stem, or docling's."""
    if expected is None:
        texts = zip(files, first.get("docling", ()), strict=False)
        return {file: read.text for file, read in texts if read.text is not None}
    found: dict[Path, str] = {}
    by_name = {path.name: path for path in expected.rglob("*.md")}
    for file in files:
        for name in (f"{file.name}.md", f"{file.stem}.md"):
            if name in by_name and by_name[name] != file:
                found[file] = by_name[name].read_text(encoding="utf-8", errors="replace")
                break
    return found


def recalls(files: Sequence[Path], reads: Sequence[Read], known: Mapping[Path, str]) -> dict[str, dict[str, Any]]:
    """Word recall over all files and by format: `recall` is the mean over files, `recall_of_words` over words."""
    shares: dict[str, list[tuple[int, int]]] = {}
    for file, read in zip(files, reads, strict=True):
        wanted = words(known[file]) if file in known else Counter()
        if wanted:
            held = (wanted & words(read.text or "")).total()
            for group in ("all", file.suffix.lower()):
                shares.setdefault(group, []).append((held, wanted.total()))
    return {
        group: {
            "recall": round(statistics.fmean(held / total for held, total in each), 4),
            "recall_of_words": round(sum(held for held, _ in each) / sum(total for _, total in each), 4),
            "files_with_reference": len(each),
        }
        for group, each in shares.items()
    }


def recall_of_both(
    files: Sequence[Path], reads: Mapping[str, Sequence[Read]], known: Mapping[Path, str], peer: str
) -> dict[str, Any] | None:
    """Difference of recalls on the files that both sides parsed; None where no such file has a reference.

    What a peer cannot read here, for want of models or parts that are not installed, does not count against it.
    """
    ours, theirs = reads["groundwork"], reads[peer]
    both = [i for i in range(len(files)) if ours[i].text is not None and theirs[i].text is not None]
    found = [recalls([files[i] for i in both], [side[i] for i in both], known) for side in (ours, theirs)]
    if not all(found):
        return None
    first, second = (each["all"] for each in found)
    return {
        "files_with_reference": first["files_with_reference"],
        "recall_difference": round(first["recall"] - second["recall"], 4),
    }


_COMMENT = re.compile(r"<!--.*?-->", re.S)
_TARGET = re.compile(r"\]\((?:[^()\s]|\([^()\s]*\))*(?:\s+\"[^\"]*\")?\)")
_ESCAPE = re.compile(r"\\([\\`*_{}\[\]()#+\-.!|<>~$&])")


def words(markdown: str) -> Counter[str]:
    """The words of a text as often as they occur: comments, link targets, escapes and entities of Markdown undone."""
    plain = _ESCAPE.sub(r"\1", _TARGET.sub("]", _COMMENT.sub(" ", markdown)))
    return Counter(re.findall(r"[^\W_]+", html.unescape(plain).casefold()))


def by_format(
    files: Sequence[Path],
    pages: Sequence[float],
    seconds: Mapping[str, Sequence[float]],
    reads: Mapping[str, Sequence[Read]],
    recall: Mapping[str, Mapping[str, Mapping[str, Any]]],
) -> dict[str, dict[str, Any]]:
    """Files, pages a second and recall of every side by extension."""
    found: dict[str, dict[str, Any]] = {}
    for suffix in sorted({file.suffix.lower() for file in files}):
        at = [i for i, file in enumerate(files) if file.suffix.lower() == suffix]
        row: dict[str, Any] = {"files": len(at)}
        for name in reads:
            rate = speed([pages[i] for i in at], [seconds[name][i] for i in at], [reads[name][i] for i in at])
            row[name] = {
                "parsed": sum(reads[name][i].text is not None for i in at),
                "pages_per_s": rate["pages_per_s"],
                "recall": recall.get(name, {}).get(suffix, {}).get("recall"),
            }
        found[suffix] = row
    return found


def relative(file: Path, folder: Path) -> str:
    return str(file.relative_to(folder)) if file.is_relative_to(folder) else file.name


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "data" / "sample" / "documents")
    parser.add_argument("--expected", type=Path, help="a folder of Markdown files: NAME.md for each file")
    parser.add_argument("--passes", type=int, default=PASSES)
    chosen = parser.parse_args()
    where = machine()
    print(json.dumps({**measure(chosen.folder, expected=chosen.expected, passes=chosen.passes), "machine": where}))


if __name__ == "__main__":
    sys.exit(main())
