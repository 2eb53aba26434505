"""The verbs of human review: one a function, no logic; cli.py adds them to the command."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.console import emit
from pipelines.options import AsJson, Config, Profile, Workspace, at

review = typer.Typer(help="People compare answers, blind.", no_args_is_help=True)


def add_review_verbs(app: typer.Typer) -> None:
    """Put the verbs of human review under the command."""
    app.add_typer(review, name="review")


@review.command("fill")
def review_fill(
    items: Annotated[int, typer.Option(help="How many to draw; slices in proportion.")] = 50,
    seed: Annotated[int, typer.Option(help="Decides the sample and the sides.")] = 1,
    reviewers: Annotated[int, typer.Option(help="How many are wanted for an item.")] = 2,
    workspace: Workspace = None,
    as_json: AsJson = False,
) -> None:
    """Queue blind pairs of the last evaluation: the candidate's answer and the champion's (or the base model's)."""
    from pipelines import review_doors

    done = review_doors.fill(at(workspace), items=items, seed=seed, reviewers=reviewers)
    told = f"{done['drawn']} of {done['of']} items drawn, {done['added']} of them new in the queue."
    emit(done) if as_json else print(told)


@review.command("serve")
def review_serve(workspace: Workspace = None, config: Config = None, profile: Profile = None) -> None:
    """Serve the review console on this machine; Ctrl-C stops it."""
    from pipelines import review_doors

    review_doors.serve(at(workspace, config, profile))


@review.command("results")
def review_results(workspace: Workspace = None, as_json: AsJson = False) -> None:
    """How often the candidate is preferred, how far reviewers agree, what is open."""
    from pipelines import review_doors
    from pipelines.evaluation.review_results import told

    found = review_doors.results(at(workspace))
    emit(found.model_dump(mode="json")) if as_json else print(told(found))


@review.command("export")
def review_export(
    file: Annotated[Path, typer.Argument(help="The candidate's item table (.jsonl); two files go beside it.")],
    workspace: Workspace = None,
    as_json: AsJson = False,
) -> None:
    """Write item tables for `groundwork gate` and the labels of people, as JSON Lines."""
    from pipelines import review_doors

    written = review_doors.export(at(workspace), file)
    emit({"written": written}) if as_json else print("\n".join(written))


@review.command("sign-off")
def review_sign_off(
    release: Annotated[str, typer.Argument(help="Release id or its beginning.")],
    by: Annotated[str, typer.Option(help="Who signs.")],
    why: Annotated[str, typer.Option(help="The reason, kept with the evidence.")],
    workspace: Workspace = None,
    as_json: AsJson = False,
) -> None:
    """Attach the results to a release as its human review; refused while items are open."""
    from pipelines import review_doors

    done = review_doors.sign_off(at(workspace), release, by=by, why=why)
    emit(done) if as_json else print(f"{done['said']}.")
