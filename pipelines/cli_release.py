"""The verbs of releases: one a function, no logic; cli.py adds them to the command."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.console import emit
from pipelines.options import AsJson, Config, Profile, Workspace, at

By = Annotated[str, typer.Option(help="Who decides.")]
Why = Annotated[str, typer.Option(help="The reason, kept with the decision.")]
Role = Annotated[str | None, typer.Option(help="In which role; without it, the one that the policy leaves open.")]
Seen = Annotated[
    str | None,
    typer.Option(help="Digest of the report that was read (of `releases`, or sha256 of report.html or report.json)."),
]
ReleaseId = Annotated[str | None, typer.Argument(help="Release id or its beginning; without it, the only pending one.")]
OneOrAll = Annotated[str | None, typer.Argument(help="Release id or its beginning; without it, every release.")]
Named = Annotated[str, typer.Argument(help="Release id or its beginning.")]

release = typer.Typer(help="One release.", no_args_is_help=True)
decisions = typer.Typer(help="Decisions that reviewers left elsewhere.")


def add_release_verbs(app: typer.Typer) -> None:
    """Put the verbs of releases under the command."""
    for verb in (approve, reject, rollback, releases):
        app.command()(verb)
    app.add_typer(release, name="release")
    app.add_typer(decisions, name="decisions")


def approve(
    release: ReleaseId = None,
    *,
    by: By,
    why: Why,
    role: Role = None,
    report_digest: Seen = None,
    workspace: Workspace = None,
    as_json: AsJson = False,
) -> None:
    """Approve a pending release: the last approval that the policy requires moves it to production."""
    from pipelines import release_doors
    from pipelines.release.review_tags import Said

    said = Said("approve", by, why, release, role, report_digest)
    _decided(release_doors.decided(at(workspace), said), as_json)


def reject(
    release: ReleaseId = None,
    *,
    by: By,
    why: Why,
    role: Role = None,
    report_digest: Seen = None,
    workspace: Workspace = None,
    as_json: AsJson = False,
) -> None:
    """Reject a pending release."""
    from pipelines import release_doors
    from pipelines.release.review_tags import Said

    said = Said("reject", by, why, release, role, report_digest)
    _decided(release_doors.decided(at(workspace), said), as_json)


def rollback(
    by: By = "", why: Why = "rolled back by hand", workspace: Workspace = None, as_json: AsJson = False
) -> None:
    """Put the previous release back into production."""
    from pipelines import release_doors
    from pipelines.settings import actor

    _decided(release_doors.rollback(at(workspace), by=by or actor(), why=why), as_json)


def releases(workspace: Workspace = None, as_json: AsJson = False) -> None:
    """List the releases, newest first, and who must still approve."""
    from pipelines import release_doors, release_telling

    listed = release_doors.releases(at(workspace))
    emit({"releases": listed}) if as_json else print(release_telling.told_releases(listed))


@release.command("show")
def release_show(release: Named, workspace: Workspace = None, as_json: AsJson = False) -> None:
    """A release: decisions, who is still needed, evidence, manifest."""
    from pipelines import release_doors, release_telling

    shown = release_doors.show(at(workspace), release)
    emit(shown) if as_json else print(release_telling.told_release(shown))


@release.command("attach")
def release_attach(
    release: Named,
    kind: Annotated[str, typer.Option(help="unit_tests (JUnit XML), human_review or compliance.")],
    file: Annotated[Path, typer.Option(help="The file; it is copied.")],
    by: Annotated[str, typer.Option(help="Who attaches it.")] = "",
    workspace: Workspace = None,
    as_json: AsJson = False,
) -> None:
    """Lay evidence on the table for a release: test results, a human review, a compliance sign-off."""
    from pipelines import release_doors
    from pipelines.settings import actor

    done = release_doors.attach(at(workspace), release, kind=kind, file=file, by=by or actor())
    emit(done) if as_json else print(done["said"] + ".")


@release.command("verify")
def release_verify(release: OneOrAll = None, workspace: Workspace = None, as_json: AsJson = False) -> None:
    """Hash again everything that a release, or each, names, and say what is wrong; exits 1 when something is."""
    from pipelines import release_doors, release_telling

    found = release_doors.verified(at(workspace), release)
    emit({"releases": found}) if as_json else print(release_telling.told_verified(found))
    raise typer.Exit(1 if any(each["wrong"] for each in found) else 0)


@release.command("diff")
def release_diff(old: Named, new: Named, workspace: Workspace = None, as_json: AsJson = False) -> None:
    """Compare two releases: data, index, prompts, adapter, settings, and their figures."""
    from pipelines import release_doors, release_telling

    found = release_doors.difference(at(workspace), old, new)
    emit(found) if as_json else print(release_telling.told_difference(found))


@decisions.callback()
def decisions_verbs() -> None:
    """Decisions that reviewers left elsewhere."""


@decisions.command("poll")
def decisions_poll(workspace: Workspace = None, as_json: AsJson = False) -> None:
    """Take what reviewers asked for by tags on MLflow's page, and leave the outcome there."""
    from pipelines import release_doors, release_telling

    outcomes = release_doors.poll(at(workspace))
    emit({"decisions": outcomes}) if as_json else print(release_telling.told_outcomes(outcomes))


@decisions.command("serve")
def decisions_serve(
    mlflow: Annotated[str | None, typer.Option(help="MLflow's server, to be told of this address.")] = None,
    url: Annotated[str | None, typer.Option(help="How MLflow reaches it, where a proxy stands between.")] = None,
    workspace: Workspace = None,
    config: Config = None,
    profile: Profile = None,
) -> None:
    """Receive MLflow's signed webhook: a reviewer's tags are decided on as they are set. Ctrl-C stops it."""
    from pipelines import release_doors

    release_doors.serve(at(workspace, config, profile), release_doors.Receiver(mlflow=mlflow, url=url))


def _decided(done: dict[str, object], as_json: bool) -> None:
    from pipelines import release_telling

    emit(done) if as_json else print(release_telling.told_decided(done))
