"""Opening a workspace: which settings hold there, and what a later verb finds.

`state/overrides.yaml` keeps what was chosen for a workspace of its own (profile, sources, questions,
a config overlay), so that later verbs need not repeat it; `state/settings.yaml` is the resolved whole,
for people to read. The default workspace follows the committed configuration alone, as dvc.yaml does.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipelines import settings as configuration
from pipelines.artifacts import Workspace, write_text
from pipelines.documents.sources.locations import absolute, refuse_secrets
from pipelines.errors import SettingsError, SourceError
from pipelines.settings import ROOT, Settings

DEFAULT = ROOT / "data"
OVERRIDES = "overrides.yaml"


@dataclass(frozen=True)
class Choices:
    """What a caller asked for on the command line or in a form."""

    workspace: Path | None = None
    config: Path | None = None
    profile: str | None = None
    sources: tuple[str | os.PathLike[str], ...] = ()
    questions: Path | None = None
    keep_adapter: bool = False
    """For this run alone: the workspace does not remember it, a settings file (`training.adapter`) does."""


@dataclass(frozen=True)
class Opened:
    """A workspace with the settings that hold in it."""

    workspace: Workspace
    settings: Settings
    overrides: dict[str, Any]
    profile: str


def open_workspace(choices: Choices) -> Opened:
    """Resolve settings for a workspace. Writes nothing.

    Raises SettingsError for a bad key or value, SourceError for a folder or file that is not there and for an address
    that carries a secret.
    """
    root = (choices.workspace or DEFAULT).absolute()
    remembered = _remembered(root) if root != DEFAULT else {}
    profile = choices.profile or str(remembered.get("profile", "local"))
    overrides = dict(remembered.get("overrides", {}))
    if choices.config is not None:
        overrides = configuration.overlay(overrides, configuration.read_layer(choices.config))
    overrides = configuration.overlay(overrides, _files(choices))
    passing = {"training": {"adapter": "production"}} if choices.keep_adapter else {}
    applied = configuration.overlay(overrides, passing)
    settings = configuration.load(profile=profile, overrides=applied, named=choices.config)
    endpoint = settings.sources.s3.endpoint_url
    refuse_secrets([*settings.files.sources, *([endpoint] if endpoint else [])])
    return Opened(Workspace(root), settings, overrides, profile)


def remember(opened: Opened) -> None:
    """Write the choices and the resolved settings into the workspace."""
    state = opened.workspace.state
    try:
        write_text(state / "settings.yaml", configuration.dump(opened.settings))
        if opened.workspace.root != DEFAULT:
            chosen = {"profile": opened.profile, "overrides": opened.overrides}
            write_text(state / OVERRIDES, yaml.safe_dump(chosen, sort_keys=False, allow_unicode=True))
    except OSError as exc:
        raise SettingsError(f"{state}: the workspace cannot be written: {exc.strerror}.") from exc


def _remembered(root: Path) -> dict[str, Any]:
    place = root / "state" / OVERRIDES
    return configuration.read_layer(place, checked=False) if place.exists() else {}


def _files(choices: Choices) -> dict[str, Any]:
    """`--sources` and `--qa` as settings: foreign sources come without the sample's questions, feedback and prompts."""
    files: dict[str, Any] = {}
    if choices.sources:
        files["sources"] = [absolute(each) for each in choices.sources]
        files["questions"] = None
        files["feedback"] = None
        files["golden_prompts"] = None
    if choices.questions is not None:
        if not choices.questions.exists():
            raise SourceError(f"{choices.questions}: there is no such question file (--qa).")
        files["questions"] = str(choices.questions.absolute())
    return {"files": files} if files else {}
