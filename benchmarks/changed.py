"""After 1% of the documents changed: the time of `index build`'s stages against that of the full run.

Documents are made of sentences of the corpora, drawn anew for each, so that nothing is embedded twice and no two are
near repeats. Imports are done before; loading the encoder, starting the parsers and opening the index count in both
runs. The whole command in a fresh process, imports included, is a figure of its own.
"""

import importlib
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import corpora
from benchmarks.machine import ROOT, run, say

DOCUMENTS, QUICK_DOCUMENTS = 6_000, 600
SENTENCES = 8
"""In a made document: about a thousand characters."""
SHARE = 0.01
GOALS = {"changed_share": 0.03}
HEAVY = ("torch", "transformers", "lancedb", "pandas", "pyarrow.parquet", "openvino")


def measure(data: Path | None, folder: Path, *, quick: bool) -> dict[str, Any]:
    """Seconds of both runs by stage, and the second as a share of the first."""
    from pipelines import doors
    from pipelines.workspaces import Choices

    for name in HEAVY:
        importlib.import_module(name)
    count = QUICK_DOCUMENTS if quick else DOCUMENTS
    sources = folder / "documents"
    make_documents(corpora.plain_texts(data, folder), sources, count)
    choices = Choices(workspace=folder / "workspace", sources=(sources,))
    say(f"index of {count} documents")
    full = doors.build_index(choices)
    change(sources, count, "Inspected again in spring.")
    say(f"the same with {SHARE:.0%} of them changed")
    after = doors.build_index(choices)
    change(sources, count, "Inspected again in autumn.")
    say("once more, as a command of its own")
    command = [sys.executable, "-m", "pipelines", "index", "build", "--sources", str(sources), "--json"]
    command += ["--workspace", str(folder / "workspace")]
    whole = run(command, cwd=ROOT, environment={**os.environ, "PYTHONPATH": str(ROOT)})
    say("and with nothing changed")
    idle = run(command, cwd=ROOT, environment={**os.environ, "PYTHONPATH": str(ROOT)})
    seconds = [round(sum(each["seconds"].values()), 2) for each in (full, after)]
    return {
        "figures": {
            "documents": full["documents"],
            "chunks": full["chunks"],
            "changed_documents": int(count * SHARE),
            "full_s": full["seconds"],
            "changed_s": after["seconds"],
            "full_total_s": seconds[0],
            "changed_total_s": seconds[1],
            "changed_whole_command_s": whole.seconds,
            "unchanged_whole_command_s": idle.seconds,
        },
        "ratios": {
            "changed_share": round(seconds[1] / seconds[0], 4),
            "changed_share_whole_command": round(whole.seconds / seconds[0], 4),
        },
        "goals": GOALS,
        "peer": None,
    }


def make_documents(texts: Sequence[str], folder: Path, count: int) -> None:
    """Plain-text files of sentences in a random order and choice; no two alike."""
    folder.mkdir(parents=True)
    known = corpora.sentences(texts)
    rng = random.Random(11)
    for number in range(count):
        drawn = rng.sample(known, SENTENCES)
        half = SENTENCES // 2
        body = "\n\n".join(" ".join(part) for part in (drawn[:half], drawn[half:]))
        (folder / f"d{number:05d}.txt").write_text(f"Note {number}\n\n{body}\n", encoding="utf-8")


def change(folder: Path, count: int, line: str) -> None:
    """Append a line to a hundredth of the documents, spread over all."""
    every = int(1 / SHARE)
    for number in range(7, count, every):
        with (folder / f"d{number:05d}.txt").open("a", encoding="utf-8") as file:
            file.write(f"\n{line}\n")
