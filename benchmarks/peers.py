"""The virtual environment of the peers: made when a benchmark first needs it, apart from Groundwork's own.

It takes about a minute and 2 GB. TRL, which is compared on the very torch, transformers and peft that Groundwork trains
with, lies in a folder of its own beside them. Nothing in `pipelines/` ever imports from either.
"""

import subprocess
import sys
from pathlib import Path

from benchmarks.machine import ROOT

HERE = Path(__file__).parent
PLACE = ROOT / ".venv-peers"
PINS = HERE / "peers.txt"
_READY = PLACE / ".ready"
TRL = ROOT / ".venv-trl"
TRL_PIN = "trl==1.16.0"


def python() -> Path:
    """The interpreter of the peers' environment, which is made or brought up to date first.

    Raises CalledProcessError when a package cannot be had.
    """
    program = PLACE / "bin" / "python"
    pins = PINS.read_text(encoding="utf-8") + _torch()
    if not _READY.exists() or _READY.read_text(encoding="utf-8") != pins:
        print(f"making {PLACE.name} for the peers: about a minute, 2 GB", file=sys.stderr, flush=True)
        if not program.exists():
            _run([sys.executable, "-m", "venv", str(PLACE)])
        _run([str(program), "-m", "pip", "install", "--quiet", _torch()])
        uv = Path(sys.executable).with_name("uv")
        _run([str(uv), "pip", "install", "--quiet", "--no-deps", "--python", str(program), "-r", str(PINS)])
        _READY.write_text(pins, encoding="utf-8")
    return program


def trl() -> Path:
    """A folder to put on PYTHONPATH: TRL alone, without what it needs (Groundwork's lock has all of that).

    Raises CalledProcessError when it cannot be had.
    """
    ready = TRL / ".ready"
    if not ready.exists() or ready.read_text(encoding="utf-8") != TRL_PIN:
        uv = Path(sys.executable).with_name("uv")
        options = ["--quiet", "--no-deps", "--python", sys.executable, "--target", str(TRL)]
        _run([str(uv), "pip", "install", *options, TRL_PIN])
        ready.write_text(TRL_PIN, encoding="utf-8")
    return TRL


def _torch() -> str:
    """The version of torch that Groundwork itself is pinned to."""
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    return next(line.strip().strip('",') for line in lines if line.strip().startswith('"torch=='))


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=sys.stderr)
