"""The verb `tune`: no logic; cli.py adds it to the command."""

from typing import Annotated

import typer

from pipelines.console import emit
from pipelines.options import AsJson, Config, Profile, Workspace, at

GRID = "KEY=VALUE,VALUE,... of settings `training`, as rank=8,16 or dpo.beta=0.05,0.1; may be repeated."


def add_tune_verb(app: typer.Typer) -> None:
    """Put the verb under the command."""
    app.command()(tune)


def tune(
    grid: Annotated[list[str], typer.Option(help=GRID)],
    minutes: Annotated[float, typer.Option(min=0.01, help="Of each training in the first round.")] = 1.0,
    rounds: Annotated[
        int, typer.Option(min=1, max=10, help="In each after the first the better half has twice the time.")
    ] = 1,
    workspace: Workspace = None,
    config: Config = None,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Train with every combination of values, compare validation losses; nothing of the workspace's stages changes."""
    from pipelines import tune_doors

    found = tune_doors.tune(at(workspace, config, profile), grid, minutes=minutes, rounds=rounds)
    emit(found) if as_json else print(tune_doors.told_search(found))
