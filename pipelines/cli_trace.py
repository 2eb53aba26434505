"""The verb `trace`; cli.py adds it to the command."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.console import emit
from pipelines.options import AsJson, Workspace, at

Wanted = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="Of an answer or attack of a report, a release, chunk, document (or its uri), example, adapter or other "
        "part; or its beginning.",
    ),
]
Of = Annotated[str | None, typer.Option(help="Look in this release alone; without it, in production first.")]


def add_trace_verb(app: typer.Typer) -> None:
    """Put the verb under the command."""
    app.command()(trace)


def trace(
    wanted: Wanted,
    release: Of = None,
    html: Annotated[Path | None, typer.Option(help="Write it as a page, too.")] = None,
    workspace: Workspace = None,
    as_json: AsJson = False,
) -> None:
    """What something goes back to, down to the bytes of documents, and what came of it."""
    from pipelines import release_doors, trace_telling
    from pipelines.release.trace_html import page

    found = release_doors.traced(at(workspace), wanted, release)
    if html is not None:
        page(found, html)
    emit(found.model_dump(mode="json")) if as_json else print(trace_telling.told(found))
