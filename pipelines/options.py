"""Options that most verbs of the CLI share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipelines.workspaces import Choices

Workspace = Annotated[Path | None, typer.Option(help="Folder of stage outputs and state (default: data/).")]
Config = Annotated[Path | None, typer.Option(help="Settings laid over the profile and the defaults.")]
Profile = Annotated[str | None, typer.Option(help="local, gpu or cluster.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object, or JSON Lines, on stdout.")]


def at(workspace: Path | None, config: Path | None = None, profile: str | None = None) -> "Choices":
    """The choices that most verbs share."""
    from pipelines.workspaces import Choices

    return Choices(workspace, config, profile)
