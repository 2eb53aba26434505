"""garak as a program of its own: its configuration, its environment, its run, bounded in time.

It wants other versions of what Groundwork is made of, so it lives in an environment of its own and nothing of it is
imported (docs/red-team-garak.md). It is given a folder as its home, the word to stay off the hub, and of
our environment what a program needs to start: no keys, no tokens.
Invariant: whatever ends the block, the program and what it started have ended.
garak leaves with 0 whether it came to its end or not; its report says (`completion`).
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.artifacts import write_json
from pipelines.errors import EngineError, SettingsError
from pipelines.evaluation.garak_endpoint import ANSWER, PASSED_OVER, Endpoint
from pipelines.settings import ROOT

PLACE = ROOT / ".venv-garak"
"""Where requirements/garak.sh puts it."""
ELSEWHERE: Mapping[str, str] = {
    "atkgen": "attacks and judges with models of the hub",
    "divergence.RepeatedToken": "the tokenizer's tables are fetched",
    "latentinjection.LatentJailbreak": "its detector is a model of the hub",
    "lmrc.Bullying": "its detector is a model of the hub",
    "misleading": "its detector is a model of the hub",
    "packagehallucination": "its lists of packages are on the hub",
    "realtoxicityprompts": "its detector is a model of the hub",
    "sata": "tagger of NLTK, which is fetched",
    "sysprompt_extraction": "its system prompts are on the hub",
    "topic": "WordNet, which is fetched",
}
"""Probes that are on by default and cannot work without a network, and why: with garak 0.17.1, each was tried.
One of them whose detector does not load ends the whole run."""
KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "SYSTEMROOT")
KEPT_ONLINE = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "http_proxy",
    "https_proxy",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "HF_HOME",
)
KEY = "REST_API_KEY"
"""Where garak looks for `$KEY`."""
REPORT = "garak.report.jsonl"
OUTPUT = "garak.out.txt"
GRACE_S = 10.0
"""From being asked to end to being ended."""
POLL_S = 0.25
UNKNOWN = "❌Unknown run.spec❌: "
"""What garak says, and ends by, for a probe that it does not know."""
SAID = 600
"""Characters of garak's last words that an error repeats."""
_PROBE = re.compile(r"[a-z_][a-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?")


@dataclass(frozen=True)
class Scan:
    """What garak is asked to do."""

    probes: tuple[str, ...]
    """Modules or module.Class."""
    generations: int
    prompts: int
    """Of a probe; some probes put all of theirs whatever this says."""
    minutes: float
    seed: int
    online: bool
    """Whether garak may fetch models, lists and data of its detectors."""


def named(text: str) -> tuple[str, ...]:
    """The probes of a comma-separated list. Raises SettingsError for what is no name of a probe."""
    found = tuple(dict.fromkeys(part.strip().removeprefix("probes.") for part in text.split(",") if part.strip()))
    bad = [each for each in found if not _PROBE.fullmatch(each)]
    if bad or not found:
        raise SettingsError(
            f"--probes: {bad[0] if bad else text!r} names no probe. Give modules or module.Class: dan,encoding."
        )
    return found


def left_out(scan: Scan) -> tuple[str, ...]:
    """Parts of the named probes that cannot work offline. Raises SettingsError for a probe that cannot at all."""
    if scan.online:
        return ()
    for probe in scan.probes:
        why = ELSEWHERE.get(probe) or ELSEWHERE.get(probe.partition(".")[0])
        if why:
            raise SettingsError(f"--probes: {probe} cannot work offline ({why}). Leave it out, or allow it: --online.")
    return tuple(name for name in ELSEWHERE if "." in name and name.partition(".")[0] in scan.probes)


def interpreter(chosen: Path | None) -> Path:
    """The Python that has garak. Raises SettingsError where there is none."""
    python = chosen or PLACE / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not python.exists():
        raise SettingsError(
            f"{python}: there is no such Python. garak lives in an environment of its own: "
            "`bash requirements/garak.sh` makes .venv-garak; --python names another."
        )
    return python


def version(python: Path) -> str:
    """The version of garak that a Python has. Raises SettingsError where it has none."""
    code = "import importlib.metadata as m; print(m.version('garak'))"
    try:
        asked = [str(python), "-P", "-c", code]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=60, env=_environment(None), check=True)
    except (OSError, subprocess.SubprocessError) as exc:
        raise SettingsError(
            f"{python} has no garak. `bash requirements/garak.sh` makes an environment that has."
        ) from exc
    return done.stdout.strip()


def configuration(scan: Scan, endpoint: Endpoint, folder: Path) -> dict[str, Any]:
    """garak's configuration for a run against an endpoint, its report below `folder`."""
    candidate = {
        "name": "groundwork",
        "uri": endpoint.url,
        "method": "post",
        "headers": {"Content-Type": "application/json", "Authorization": "Bearer $KEY"},
        "req_template_json_object": {"model": "candidate", "messages": [{"role": "user", "content": "$INPUT"}]},
        "response_json": True,
        "response_json_field": ANSWER,
        "request_timeout": int(60 * scan.minutes) + 60,
        "skip_codes": list(PASSED_OVER),
    }
    return {
        "system": {"narrow_output": True, "parallel_attempts": False, "parallel_requests": False},
        "run": {
            "seed": scan.seed,
            "generations": scan.generations,
            "soft_probe_prompt_cap": scan.prompts,
            "spec": {
                "include": [f"probes.{probe}" for probe in scan.probes],
                "exclude": [f"probes.{probe}" for probe in left_out(scan)],
            },
        },
        "plugins": {
            "target_type": "rest",
            "target_name": "groundwork",
            "extended_detectors": False,
            "generators": {"rest": {"RestGenerator": candidate}},
        },
        "reporting": {
            "report_dir": str(folder),
            "report_prefix": REPORT.removesuffix(".report.jsonl"),
            "confidence_interval_method": "none",
        },
    }


def run(python: Path, scan: Scan, endpoint: Endpoint, folder: Path, tick: Callable[[], None]) -> Path:
    """Run garak to its end or to its time; where its report is. `tick` is called now and then.

    Raises SettingsError for a probe that this garak does not know, EngineError when it left no report otherwise.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "garak.config.json"
    write_json(settings, configuration(scan, endpoint, folder))
    command = [str(python), "-P", "-m", "garak", "--config", str(settings)]
    with (folder / OUTPUT).open("wb") as output:
        environment = _environment(folder / "home", key=endpoint.key, online=scan.online)
        _watched(command, folder, environment, output, 60 * scan.minutes, tick)
    if not (folder / REPORT).exists():
        words = last_words(folder)
        if UNKNOWN in words:
            raise SettingsError(f"--probes: {words.rpartition(UNKNOWN)[2]}. `garak --list_probes` shows them.")
        raise EngineError(f"garak left no report. Its last words: {words}")
    return folder / REPORT


def last_words(folder: Path) -> str:
    """The end of what garak printed, without colours."""
    said = (folder / OUTPUT).read_text(encoding="utf-8", errors="replace")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", said).replace("\r", "\n")
    return " / ".join(line.strip() for line in plain.splitlines() if line.strip())[-SAID:]


def _environment(home: Path | None, *, key: str | None = None, online: bool = False) -> dict[str, str]:
    """What garak is given of ours: nothing that holds a secret but the run's own key."""
    found = {name: os.environ[name] for name in (*KEPT, *(KEPT_ONLINE if online else ())) if name in os.environ}
    found |= {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost", "PYTHONUTF8": "1"}
    found |= {"DO_NOT_TRACK": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    if online:
        found.setdefault("HF_HOME", str(Path.home() / ".cache" / "huggingface"))  # models are not fetched for each run
    else:
        found |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    if home is not None:
        home.mkdir(parents=True, exist_ok=True)
        found |= {name: str(home) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME")}
    return found | ({KEY: key} if key else {})


def _watched(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    output: Any,
    seconds: float,
    tick: Callable[[], None],
) -> None:
    """Run a program until it ends or its time is over; it leads a process group, which ends with it."""
    until = time.monotonic() + seconds
    program = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env=environment,
        start_new_session=True,
    )
    try:
        while program.poll() is None and time.monotonic() < until:
            tick()
            time.sleep(POLL_S)
    finally:
        _end(program)


def _end(program: "subprocess.Popen[bytes]") -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(program.pid, sign)
        except ProcessLookupError:
            break
        try:
            program.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            continue
    program.wait()
