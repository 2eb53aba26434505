"""The verbs of suite files: no logic; cli.py adds them to the command."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.console import emit
from pipelines.options import AsJson, Config, Workspace, at

File = Annotated[Path, typer.Argument(help="Suite: YAML, or JSON Lines.")]

suite = typer.Typer(help="Prompts with assertions.", no_args_is_help=True)


def add_suite_verbs(app: typer.Typer) -> None:
    """Put the verbs of suites under the command."""
    app.add_typer(suite, name="suite")


@suite.command("check")
def suite_check(file: File, as_json: AsJson = False) -> None:
    """Validate a suite; its digest and counts."""
    from pipelines import suite_doors

    found = suite_doors.check(file)
    emit(found) if as_json else print(suite_doors.told_checked(found))


@suite.command("run")
def suite_run(
    file: File,
    base: Annotated[bool, typer.Option("--base", help="Ask the base model instead of the candidate.")] = False,
    table: Annotated[
        Path | None,
        typer.Option(help="Write the item table (JSON Lines for FILE.jsonl, else Parquet), for `groundwork gate`."),
    ] = None,
    workspace: Workspace = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Put a suite to the workspace's candidate; exits 1 when an item fails or could not be decided."""
    from pipelines import suite_doors

    found = suite_doors.run(at(workspace, config), file, base=base, table=table)
    emit(found) if as_json else print(suite_doors.told_run(found))
    raise typer.Exit(0 if found["items"]["passed"] == found["suite"]["items"] else 1)
