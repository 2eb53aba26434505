"""What a figure was measured on, and how much memory a command took with all its children."""

import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
SAMPLED_EVERY_S = 0.2


def say(message: str) -> None:
    """Progress on stderr: stdout holds the figures alone."""
    print(message, file=sys.stderr, flush=True)


def machine() -> dict[str, Any]:
    """Cores, processor, memory, Python: beside every figure."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "load_before": round(os.getloadavg()[0], 2),
    }


@dataclass(frozen=True)
class Ran:
    """A finished command: wall seconds, and the largest sum of its processes' resident memory."""

    seconds: float
    peak_mib: int
    stdout: str


def run(command: Sequence[str], *, cwd: Path, environment: Mapping[str, str] | None = None) -> Ran:
    """Run a command to its end; its messages go to stderr as they come. Raises CalledProcessError."""
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=subprocess.PIPE, text=True)
    peak = [0]
    watcher = threading.Thread(target=_watch, args=(process.pid, peak), daemon=True)
    watcher.start()
    stdout, _ = process.communicate()
    seconds = time.perf_counter() - started
    watcher.join()
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command, stdout)
    return Ran(round(seconds, 2), peak[0] >> 20, stdout)


def _watch(pid: int, peak: list[int]) -> None:
    while True:
        try:
            parent = psutil.Process(pid)
            if parent.status() == psutil.STATUS_ZOMBIE:
                return
            total = sum(_memory(process) for process in [parent, *parent.children(recursive=True)])
        except psutil.NoSuchProcess:
            return
        peak[0] = max(peak[0], total)
        time.sleep(SAMPLED_EVERY_S)


def _memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _processor() -> str:
    place = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in place.read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor()
