"""DVC: data revisions and remote storage. The only file that imports dvc.

A stage is committed alone, right after it was found current: a blanket commit would bless stale data.
DVC aborts on a held lock instead of waiting, so every call is retried with backoff.
"""

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import yaml

from pipelines.artifacts import STAGE_FILE, Workspace, read_json, write_json, write_text
from pipelines.errors import DataVersionError, SourceError
from pipelines.settings import DEFAULTS, ROOT, Settings
from pipelines.stages import STAGES, dvc_stages

T = TypeVar("T")
ATTEMPTS = 6
COMMITTED = "dvc_committed.json"
HEADER = "# Written by `groundwork data pipeline` from pipelines/stages.py; tests/test_runner.py compares the two.\n"


def applies(workspace: Workspace) -> bool:
    """Whether this workspace is DVC's: that of a git checkout with DVC set up, and not called by DVC itself."""
    versioned = (ROOT / ".dvc").is_dir() and (ROOT / ".git").exists()  # an image has no history
    return versioned and workspace.root == ROOT / "data" and "DVC_STAGE" not in os.environ


def commit(workspace: Workspace, stages: Iterable[str]) -> list[str]:
    """Commit stages that are current, one after another; those already committed under their key are skipped."""
    place = workspace.state / COMMITTED
    known: dict[str, str] = read_json(place) if place.exists() else {}
    keys = {name: str(read_json(workspace.stage(name) / STAGE_FILE)["key"]) for name in stages}
    due = [name for name in STAGES if name in keys and known.get(name) != keys[name]]
    if not due:
        return []
    for name in due:
        _commit_one(name)
        known[name] = keys[name]
        write_json(place, known)
    return due


def _commit_one(name: str) -> None:
    _with_retry(lambda repo: repo.commit(name, force=True))


def pipeline_text(settings: Settings) -> str:
    """dvc.yaml as stages.py has it."""
    content = dvc_stages(settings, Path("data"))
    return HEADER + yaml.safe_dump(content, sort_keys=False, width=120)


def write_pipeline(settings: Settings) -> None:
    """Bring dvc.yaml in line with stages.py and the settings' files."""
    write_text(ROOT / "dvc.yaml", pipeline_text(settings))


def add(folder: Path) -> Path:
    """Put a folder of documents under DVC and among the sources; gives its place in the repository.

    A folder outside the repository is copied to `sources/NAME` first. Raises SourceError when there is
    no such folder, DataVersionError when DVC refuses.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder}: there is no such folder.")
    inside = folder.resolve().is_relative_to(ROOT) and not folder.resolve().is_relative_to(ROOT / "data")
    place = folder.resolve() if inside else ROOT / "sources" / folder.resolve().name
    if place != folder.resolve():
        shutil.copytree(folder, place, dirs_exist_ok=True)
    _with_retry(lambda repo: repo.add(str(place.relative_to(ROOT))))
    _name_source(place.relative_to(ROOT))
    return place


def _name_source(place: Path) -> None:
    """Add a folder to `files.sources` in configs/groundwork.yaml, comments kept."""
    lines = DEFAULTS.read_text(encoding="utf-8").splitlines(keepends=True)
    for number, line in enumerate(lines):
        if line.strip().startswith("sources: ["):
            lines[number] = _with_source(line, str(place))
            write_text(DEFAULTS, "".join(lines))
            return
    raise DataVersionError(f"{DEFAULTS}: no line `sources: [...]` to add {place} to; add it by hand.")


def _with_source(line: str, place: str) -> str:
    """A line `sources: [...]  # comment` with a source more; globs in it may hold brackets of their own."""
    start = line.index("[")
    for end in (position for position, character in enumerate(line, 1) if character == "]"):
        try:
            names = yaml.safe_load(line[start:end])
        except yaml.YAMLError:
            continue
        if place in names:
            return line
        added = yaml.safe_dump([place], default_flow_style=True, width=10_000).strip()[1:-1]
        return f"{line[: end - 1].rstrip()}{', ' if names else ''}{added}]{line[end:]}"
    raise DataVersionError(f"{DEFAULTS}: no line `sources: [...]` to add {place} to; add it by hand.")


def _with_retry(action: Callable[[Any], T]) -> T:
    """Open the repository and act; a held lock is waited for."""
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.WARNING)  # it tells of every write to dvc.lock, twice
    for attempt in range(ATTEMPTS):
        try:
            with Repo(str(ROOT)) as repo:
                return action(repo)
        except LockError as exc:
            if attempt == ATTEMPTS - 1:
                raise DataVersionError(f"DVC's lock stays held by another process: {exc}") from exc
            time.sleep(0.5 * 2**attempt)
        except DvcException as exc:
            raise DataVersionError(f"DVC: {exc}") from exc
    raise DataVersionError("DVC's lock stays held.")
