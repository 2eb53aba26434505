"""The verb of judges: no logic; cli.py adds it to the command."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.console import emit, say
from pipelines.options import AsJson, Config, Workspace, at


def add_judge_verb(app: typer.Typer) -> None:
    """Put the verb of judges under the command."""
    app.command()(judge)


def judge(
    items: Annotated[Path, typer.Option(help="JSON Lines of id, question, answer, contexts; other, to compare two.")],
    labels: Annotated[Path | None, typer.Option(help="The same with label: pass or fail, given by people.")] = None,
    rubric: Annotated[Path | None, typer.Option(help="Rubric (YAML); without it, evaluation.rubric.")] = None,
    table: Annotated[
        Path | None, typer.Option(help="Write the verdicts as an item table (JSON Lines for FILE.jsonl, else Parquet).")
    ] = None,
    workspace: Workspace = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Ask the configured judges; labels correct the rate for the judges' errors. Exits 2 when they cannot."""
    from pipelines import judge_doors

    found = judge_doors.judge(at(workspace, config), items, labels, rubric, table)
    emit(found) if as_json else print(judge_doors.told_judged(found))
    if not found["panel"]["judged"]:
        say(f"groundwork: no judge gave a verdict: {found['judges'][0]['first_failure']}")
        raise typer.Exit(1)
    if labels is not None and found["panel"].get("why"):
        say(f"groundwork: {found['panel']['why']}")
        raise typer.Exit(2)
