"""The door of a search over training settings: every point is a run of stage `train` in a workspace of its own.

Points lie in `state/tuning/points/ID`, where the id is of their settings; each reads the workspace's own dataset. So a
point that was trained before is found by its stage's key and not trained again, one that was killed goes on from its
checkpoint, and the workspace's own stages stay as they are. `state/tuning` may be removed at any time.
"""

import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from pipelines import runner
from pipelines import settings as configuration
from pipelines.artifacts import RUN_FILE, Workspace, read_json, write_json, write_text
from pipelines.console import progress, say
from pipelines.contracts import content_id
from pipelines.errors import DatasetError
from pipelines.settings import Settings
from pipelines.stages import stage_named
from pipelines.training.tuning import (
    Point,
    Trained,
    axes_of,
    better_half,
    layer_of,
    named,
    page,
    points_of,
    ranked,
)
from pipelines.workspaces import Choices, Opened, open_workspace

PLACE = "tuning"


def tune(choices: Choices, grid: Sequence[str], *, minutes: float, rounds: int) -> dict[str, Any]:
    """Train every point of a grid, the better half of them longer in each further round; what tuning.json says.

    Raises SettingsError for a key or value that there is not, before anything is trained; DatasetError where the
    dataset holds no validation examples to choose by.
    """
    opened = open_workspace(choices)
    axes = axes_of(grid)
    points = [_resolved(opened, point, minutes) for point in points_of(axes)]
    _need_validation(opened.workspace)
    done: list[Trained] = []
    for rung in range(1, rounds + 1):
        of_round = [
            _trained(opened, point, rung, minutes * 2 ** (rung - 1), f"{number}/{len(points)}")
            for number, point in enumerate(points, 1)
        ]
        done += of_round
        points = better_half(of_round)
    return _written(opened, axes, done)


def told_search(found: dict[str, Any]) -> str:
    """A search for people: a line a training, best first, and what to do next."""
    width = max(len(run["name"]) for run in found["runs"])
    lines = [f"{'settings':<{width}}  round  minutes  validation loss  steps"]
    for run in found["runs"]:
        figures = f"{run['rung']:>5}  {run['minutes']:>7g}  {run['validation_loss']:>15.4f}"
        lines.append(f"{run['name']:<{width}}  {figures}  {run['steps']}/{run['steps_planned']}")
    lines.append(f"Page: {found['page']}")
    lines.append(f"Next: groundwork run --config {found['config']}")
    return "\n".join(lines)


def _settings(opened: Opened, point: Point, minutes: float) -> Settings:
    """The workspace's settings with a point's values."""
    layer = layer_of(point)
    configuration.refuse_unknown(layer, "--grid")
    layer["training"]["minutes_at_most"] = minutes
    overrides = configuration.overlay(opened.overrides, layer)
    return configuration.load(profile=opened.profile, overrides=overrides, named=Path("--grid"))


def _resolved(opened: Opened, point: Point, minutes: float) -> Point:
    """The point with its values as the settings read them."""
    training = _settings(opened, point, minutes).training
    return {key: functools.reduce(getattr, key.split("."), training) for key in point}


def _need_validation(workspace: Workspace) -> None:
    runner.need_upstream(stage_named("train"), workspace)
    held = workspace.stage("dataset") / "validation.jsonl"
    if not held.exists() or not held.stat().st_size:
        raise DatasetError(
            f"{held} holds no examples: a search has nothing to choose by. Raise dataset.validation_share, then run "
            "`groundwork stage dataset`."
        )


def _trained(opened: Opened, point: Point, rung: int, minutes: float, where: str) -> Trained:
    settings = _settings(opened, point, minutes)
    place = _own_workspace(settings, opened.workspace)
    say(f"tune: {where} in round {rung}: {named(point)}, {minutes:g} minutes")
    with progress("tune") as report:
        outcome = runner.run_stage("train", settings, place, report=report)
    told = read_json(outcome.folder / "training.json")
    return Trained(
        point=point,
        rung=rung,
        minutes=minutes,
        validation_loss=math.nan if told["validation_loss"] is None else told["validation_loss"],
        steps=told["steps"],
        steps_planned=told["steps_planned"],
        seconds=read_json(outcome.folder / RUN_FILE)["seconds"],
        key=outcome.key,
        folder=place.root.relative_to(opened.workspace.state / PLACE).as_posix(),
    )


def _own_workspace(settings: Settings, main: Workspace) -> Workspace:
    """A workspace for a training with these settings: its dataset and its base models are the main one's."""
    shaping = [settings.training.model_dump(mode="json"), settings.generation.base_model]
    place = Workspace(main.state / PLACE / "points" / content_id(*shaping)[:12])
    place.state.mkdir(parents=True, exist_ok=True)
    (main.state / "models").mkdir(exist_ok=True)
    for link, target in (
        (place.stage("dataset"), main.stage("dataset")),
        (place.state / "models", main.state / "models"),
    ):
        if link.is_symlink() and link.readlink() != target.absolute():
            link.unlink()  # the workspace was moved
        if not link.exists():
            link.symlink_to(target.absolute(), target_is_directory=True)
    return place


def _written(opened: Opened, axes: dict[str, list[Any]], done: list[Trained]) -> dict[str, Any]:
    """tuning.json, tuning.html and best.yaml in `state/tuning`, and the runs in MLflow."""
    from pipelines.registry import Registry

    folder, best = opened.workspace.state / PLACE, ranked(done)[0]
    runs = [each.plain() for each in ranked(done)]
    found: dict[str, Any] = {"axes": axes, "best": best.plain(), "runs": runs}
    write_json(folder / "tuning.json", found)
    write_text(folder / "tuning.html", page(done))
    write_text(folder / "best.yaml", yaml.safe_dump(layer_of(best.point), sort_keys=False))
    link = Registry(opened.workspace, opened.settings).record_search(folder, found)
    return {
        **found,
        "page": str(folder / "tuning.html"),
        "config": str(folder / "best.yaml"),
        "mlflow_run": link.run_id,
    }
