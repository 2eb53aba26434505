"""Running a stage: nothing when its key is unchanged, else its body, swapped in whole.

Invariants: writing goes to a folder beside the last output, `stage.json` last, and is swapped in by
rename; an unfinished folder stays under its key and is taken up again; one process runs a stage of a
workspace at a time. A crash, a kill or a full disk leaves the last good output usable.
Not covered: what the stages are (stages.py), who calls when (cli.py, flows/).
"""

import contextlib
import ctypes
import errno
import gc
import importlib
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines.artifacts import (
    RUN_FILE,
    STAGE_FILE,
    Digests,
    StageJob,
    Workspace,
    files_of,
    read_json,
    restore_swapped,
    sha256_file,
    swap_in,
    write_json,
)
from pipelines.contracts import content_id
from pipelines.errors import GroundworkError, SettingsError, SourceError, StageError
from pipelines.settings import Settings, actor
from pipelines.shards import Mapper, put_away
from pipelines.stages import Champion, Stage, external_files, key_parts, stage_named

Report = Callable[[int, int, str], None]
COLLECTED_FROM = 3 * 2**29
"""Bytes (1.5 GiB) from which garbage is collected after a stage: it takes a quarter of a second."""


def silent(done: int, total: int, what: str) -> None:
    """A report that shows nothing."""


@dataclass(frozen=True)
class Outcome:
    """What came of asking for a stage."""

    stage: str
    ran: bool
    key: str
    seconds: float
    folder: Path

    @property
    def told(self) -> str:
        """In a line."""
        return f"{self.stage}: {f'done in {self.seconds:.1f} s' if self.ran else 'nothing to do'}"


def is_current(
    name: str, settings: Settings, workspace: Workspace, digests: Digests, champion: Champion | None = None
) -> bool:
    """Whether a stage's last output is whole, of this key, and its effect present."""
    stage = stage_named(name)
    folder = workspace.stage(name)
    restore_swapped(folder)
    if any(not (workspace.stage(upstream) / STAGE_FILE).exists() for upstream in stage.reads):
        return False
    parts = key_parts(stage, settings, workspace, digests, champion)
    return _holds(folder, content_id(parts), digests) and (
        stage.effect is None or bool(_function(stage.effect.present)(workspace.state, folder, settings))
    )


def run_stage(
    name: str,
    settings: Settings,
    workspace: Workspace,
    *,
    champion: Champion | None = None,
    report: Report = silent,
    mapper: Mapper | None = None,
) -> Outcome:
    """Bring a stage up to date: nothing when its key is unchanged, else its body, swapped in whole.

    `mapper` does the shards of large work; the result is the same without one. Raises StageError when an upstream
    stage has not run, the disk is full or the body fails to write; whatever the body raises otherwise.
    """
    stage = stage_named(name)
    need_upstream(stage, workspace)
    with _only_writer(workspace, name, report):
        digests = Digests(workspace.state / "digests.json")
        started = time.monotonic()
        try:
            ran, key = _bring_up_to_date(stage, settings, workspace, digests, champion, report, mapper)
        except OSError as exc:
            raise _explained(exc, name) from exc
        finally:
            _save_quietly(digests)
    return Outcome(name, ran, key, time.monotonic() - started, workspace.stage(name))


def _bring_up_to_date(
    stage: Stage,
    settings: Settings,
    workspace: Workspace,
    digests: Digests,
    champion: Champion | None,
    report: Report,
    mapper: Mapper | None,
) -> tuple[bool, str]:
    folder = workspace.stage(stage.name)
    restore_swapped(folder)
    parts = key_parts(stage, settings, workspace, digests, champion)
    key = content_id(parts)
    if _holds(folder, key, digests):
        if stage.effect and not _function(stage.effect.present)(workspace.state, folder, settings):
            report(0, 1, "rebuilding what lies outside the stage folder")
            _function(stage.effect.restore)(workspace.state, folder, settings)
        return False, key
    fresh = _unfinished(folder, key)
    job = StageJob(
        settings=settings,
        inputs=_inputs(stage, settings, workspace, champion),
        output=fresh,
        previous=folder if (folder / STAGE_FILE).exists() else None,
        state=workspace.state,
        report=report,
        digest=digests.file,
        mapper=mapper,
    )
    started = time.time()
    _function(stage.body)(job)
    put_away(fresh)
    outputs = _finish(fresh, parts, key, started, job.notes)
    swap_in(fresh, folder)
    for name, digest in outputs.items():
        digests.learn(folder / name, digest)
    _give_back_memory()
    return True, key


def _inputs(stage: Stage, settings: Settings, workspace: Workspace, champion: Champion | None) -> Mapping[str, Path]:
    inputs = {upstream: workspace.stage(upstream) for upstream in stage.reads}
    for name, paths in external_files(stage, settings, workspace.state).items():
        if paths:
            inputs[name.rsplit(".", 1)[-1]] = paths[0]
    if stage.champion and champion is not None:
        inputs["champion"] = champion.folder
    if stage.keeps and champion is not None:
        inputs["kept"] = champion.folder
    return inputs


def _unfinished(folder: Path, key: str) -> Path:
    """The folder of an unfinished run under this key; those of other keys are cleared away."""
    mine = folder.with_name(f".{folder.name}.{key[:12]}.partial")
    for other in folder.parent.glob(f".{folder.name}.*.partial"):
        if other != mine:
            shutil.rmtree(other, ignore_errors=True)
    mine.mkdir(parents=True, exist_ok=True)
    (mine / STAGE_FILE).unlink(missing_ok=True)
    return mine


def _finish(fresh: Path, parts: dict[str, Any], key: str, started: float, notes: dict[str, Any]) -> dict[str, str]:
    """Write run.json and stage.json; the digests of the outputs by name."""
    of_processes = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)  # parsers and training may have their own
    peak = max(resource.getrusage(who).ru_maxrss for who in of_processes)
    run = {
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "actor": actor(),
        "seconds": round(time.time() - started, 2),
        "peak_memory_mib": round(peak / (1024 if sys.platform != "darwin" else 1024**2)),
        **notes,
    }
    write_json(fresh / RUN_FILE, run)
    outputs = {p.relative_to(fresh).as_posix(): sha256_file(p) for p in files_of(fresh)}
    write_json(fresh / STAGE_FILE, {"key": key, **parts, "outputs": outputs})
    return outputs


def _give_back_memory() -> None:
    """What a stage freed goes back to the system: glibc keeps it, and the next stage's comes on top (1 to 2 GiB)."""
    import psutil

    if psutil.Process().memory_info().rss > COLLECTED_FROM:
        gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _holds(folder: Path, key: str, digests: Digests) -> bool:
    """Whether a stage folder is of this key and every output is what `stage.json` says."""
    place = folder / STAGE_FILE
    if not place.exists():
        return False
    try:
        written = read_json(place)
        if written["key"] != key:
            return False
        return all(digests.file(folder / name) == digest for name, digest in written["outputs"].items())
    except (OSError, ValueError, KeyError, TypeError):
        return False  # a damaged folder is one to be made again


def need_upstream(stage: Stage, workspace: Workspace) -> None:
    """Raise SettingsError when an upstream stage has not run."""
    for upstream in stage.reads:
        restore_swapped(workspace.stage(upstream))
        if not (workspace.stage(upstream) / STAGE_FILE).exists():
            raise SettingsError(
                f"Stage {stage.name} reads {workspace.stage(upstream)}, which is not there yet. "
                f"Run `groundwork stage {upstream}` first, or `groundwork run` for all."
            )


def _function(path: str) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function


@contextmanager
def _only_writer(workspace: Workspace, name: str, report: Report) -> Iterator[None]:
    from filelock import FileLock, Timeout

    place = workspace.state / "locks" / f"{name}.lock"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(place)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            report(0, 1, f"another process runs {name} in this workspace; waiting for it")
            lock.acquire()
    except OSError as exc:
        raise _explained(exc, name) from exc
    try:
        yield
    finally:
        lock.release()


def _explained(exc: OSError, name: str) -> GroundworkError:
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return StageError(
            f"Stage {name}: no space left on the disk ({exc.filename or 'while writing'}). The last good output is "
            "untouched; free some space and run the same command again: it goes on from where it was."
        )
    if exc.errno in (errno.EACCES, errno.EROFS):
        return SourceError(f"Stage {name}: {exc.filename}: {exc.strerror}; check the permissions of the workspace.")
    return StageError(f"Stage {name}: {exc}")


def _save_quietly(digests: Digests) -> None:
    """Remembered digests only save time: a full disk must not hide the error that came before."""
    with contextlib.suppress(OSError):
        digests.save()
