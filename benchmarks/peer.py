"""A peer in its own environment, asked over a pipe: a line of JSON there, a line back.

The script runs in .venv-peers (peers.py), tells its version and how long it took to start in its first line, and
knows nothing of Groundwork.
"""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks import peers
from benchmarks.machine import ROOT, say

OFFLINE = {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "TOKENIZERS_PARALLELISM": "true", "TQDM_DISABLE": "1"}
INTERPRETER = ("-P",)
"""A script's own folder stays out of its search path: no module of the benches hides a package that a peer imports."""


class Peer:
    """A started peer; use it as a context manager, or close it."""

    def __init__(self, script: str, arguments: Sequence[str], *, program: Path | None = None) -> None:
        self._script = script
        self._process = subprocess.Popen(
            [str(program or peers.python()), *INTERPRETER, str(ROOT / "benchmarks" / script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **OFFLINE},
        )
        began = self._answer()
        self.version = str(began["version"])
        say(f"{began['peer']} {self.version} took {began['start_s']:.1f} s to start (not counted)")

    def ask(self, **question: Any) -> Any:
        """The answer to a question. Raises RuntimeError when the peer has ended."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(
                f"a peer ended with exit code {self._process.wait()}; run benchmarks/{self._script} by hand"
            )
        return json.loads(line)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
