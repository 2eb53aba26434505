"""Ways to chunk, embed or rank laid side by side: each with chunks and an index that fit it.

A variant is a settings file laid over the workspace's own settings, `current` (these settings as they are), or another
workspace. Invariants: stages of the workspace are read, never written; a variant that differs in ranking alone reads
the workspace's own index. Others are built in `state/variants/ID`, a workspace whose id covers sources and settings,
so the same variant is built once; vectors, source bytes and snapshots of addresses are shared, since they are named by
what they hold. `state/variants` may be removed at any time.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines import settings as configuration
from pipelines.artifacts import STAGE_FILE, Digests, Workspace
from pipelines.console import progress
from pipelines.contracts import content_id
from pipelines.errors import IndexMismatchError, SettingsError
from pipelines.runner import is_current, run_stage
from pipelines.settings import Settings
from pipelines.workspaces import Choices, Opened, open_workspace

CURRENT = "current"
"""Names the workspace's own settings."""
MOST = 2
"""Variants in a comparison."""
BUILT = ("ingest", "chunk", "embed")
SHARED = ("objects", "vectors", "sources")
"""Folders of `state` whose files are named by their content, or by the address that they come from."""


@dataclass(frozen=True)
class Laid:
    """A variant with its index in place."""

    name: str
    settings: Settings
    workspace: Workspace


def lay_out(choices: Choices, named: Sequence[str]) -> list[Laid]:
    """Every variant brought up to date, in the order named; none named: the workspace as it is.

    Raises SettingsError for a file with an unknown key, a name that is neither file nor workspace, or too many.
    """
    if len(named) > MOST:
        raise SettingsError(
            f"--compare takes two variants, not {len(named)}: {', '.join(named)}. Compare two at a time."
        )
    opened = open_workspace(choices)
    chosen = [_resolved(name, opened) for name in named or (CURRENT,)]
    names = _told_apart([name for name, _ in chosen], named or (CURRENT,))
    return [_built(name, each, opened.workspace) for name, (_, each) in zip(names, chosen, strict=True)]


def _resolved(name: str, opened: Opened) -> tuple[str, Opened]:
    place = Path(name)
    if place.is_dir():
        other = open_workspace(Choices(workspace=place))
        if any(not (other.workspace.stage(stage) / STAGE_FILE).exists() for stage in BUILT):
            raise IndexMismatchError(f"{name} holds no index; `groundwork index build --workspace {name}` makes one.")
        return place.absolute().name, other
    if name == CURRENT and not place.exists():
        return name, opened
    if not place.exists():
        raise SettingsError(
            f"{name}: there is no such settings file or workspace. A variant is a YAML file of the keys that differ, "
            f"the folder of a workspace, or `{CURRENT}`."
        )
    overrides = configuration.overlay(opened.overrides, configuration.read_layer(place))
    settings = configuration.load(profile=opened.profile, overrides=overrides, named=place)
    return place.stem, Opened(opened.workspace, settings, overrides, opened.profile)


def _told_apart(names: Sequence[str], named: Sequence[str]) -> list[str]:
    """Short names, or what was typed where two would be the same."""
    if len(set(names)) == len(names):
        return list(names)
    if len(set(named)) == len(named):
        return list(named)
    raise SettingsError(f"--compare names {named[0]} twice; a variant does not differ from itself.")


def _built(name: str, variant: Opened, main: Workspace) -> Laid:
    settings = variant.settings
    if variant.workspace.root != main.root or _holds(main, settings):
        return Laid(name, settings, variant.workspace)
    own = settings.model_copy(update={"index": settings.index.model_copy(update={"uri": None})})
    place = _own_workspace(own, main)
    with progress(name) as report:
        for stage in BUILT:
            run_stage(stage, own, place, report=report)
    return Laid(name, own, place)


def _holds(main: Workspace, settings: Settings) -> bool:
    """Whether the workspace's own index is what these settings make."""
    digests = Digests(main.state / "digests.json")
    return all(is_current(stage, settings, main, digests) for stage in BUILT)


def _own_workspace(settings: Settings, main: Workspace) -> Workspace:
    """A workspace for chunks and index of these settings, sharing what is named by its content."""
    shaping = [
        section.model_dump(mode="json") for section in (settings.documents, settings.chunking, settings.embedding)
    ]
    place = Workspace(main.state / "variants" / content_id(sorted(settings.files.sources), *shaping)[:12])
    place.state.mkdir(parents=True, exist_ok=True)
    for name in SHARED:
        (main.state / name).mkdir(exist_ok=True)
        if not (place.state / name).exists():
            (place.state / name).symlink_to((main.state / name).absolute(), target_is_directory=True)
    ingested = main.stage("ingest")
    if (ingested / STAGE_FILE).exists() and not place.stage("ingest").exists():
        shutil.copytree(ingested, place.stage("ingest"))  # the stage's key says whether it will do
    return place
