"""The verb `redteam scan`: no logic; cli.py adds it to the command."""

from datetime import datetime
from typing import Annotated

import typer

from pipelines.console import emit
from pipelines.options import AsJson, Config, Profile, Workspace, at

Release = Annotated[str | None, typer.Option(help="Release (default: the one in production).")]
Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Whose mutations (default: today's, in UTC).")]


def add_scan_verb(redteam: typer.Typer) -> None:
    """Put `scan` under `redteam`."""
    redteam.command("scan")(scan)


def scan(
    release: Release = None,
    day: Day = None,
    keep: Annotated[bool, typer.Option("--keep", help="Add what got through to the regressions.")] = False,
    workspace: Workspace = None,
    config: Config = None,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Attack a release as it is served, with the mutations of the day."""
    from pipelines import scan_doors

    done = scan_doors.scanned(at(workspace, config, profile), release, day.date() if day else None, keep=keep)
    emit(done) if as_json else print(scan_doors.told(done))
