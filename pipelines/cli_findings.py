"""The verbs of red-team findings: one a function, no logic; cli.py adds them to the command."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from pipelines.console import emit
from pipelines.options import AsJson, Workspace, at

FindingId = Annotated[str, typer.Argument(help="Finding id or its beginning.")]
Release = Annotated[str | None, typer.Option(help="Release id or its beginning.")]
By = Annotated[str, typer.Option(help="Who decides.")]
Role = Annotated[str | None, typer.Option(help="In which role; without it, the one that the policy leaves open.")]
Why = Annotated[str, typer.Option(help="The reason, kept with the decision.")]


class Findings(TyperGroup):
    """`findings RELEASE` is `findings list RELEASE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `list` where no verb is named."""
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = ["list", *args]
        return super().parse_args(ctx, args)


findings = typer.Typer(help="Attacks that got through in a release's red team.", cls=Findings)


def add_findings_verbs(app: typer.Typer) -> None:
    """Put the verbs of findings under the command."""
    app.add_typer(findings, name="findings")


@findings.command("list")
def findings_list(
    release: Annotated[
        str | None, typer.Argument(help="Release id or its beginning; without it, of every one.")
    ] = None,
    workspace: Workspace = None,
    as_json: AsJson = False,
) -> None:
    """List findings: open, waived until when, or resolved in the newest release; `list` may be left out."""
    from pipelines import findings_doors

    found = findings_doors.listed(at(workspace), release)
    emit(found) if as_json else print(findings_doors.told(found))


@findings.command("waive")
def findings_waive(
    finding: FindingId,
    *,
    release: Release = None,
    any_release: Annotated[bool, typer.Option("--any-release", help="Whatever release has the finding.")] = False,
    by: By,
    role: Role = None,
    why: Why,
    expires: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="The last day on which it counts (UTC).")],
    workspace: Workspace = None,
    as_json: AsJson = False,
) -> None:
    """Take the risk of a finding until a day; without a release, of the only pending one."""
    from pipelines import findings_doors

    done = findings_doors.waive(
        at(workspace), finding, release=release, any_release=any_release, by=by, role=role, why=why, expires=expires
    )
    emit(done) if as_json else print(f"{done['said']}.")


@findings.command("withdraw")
def findings_withdraw(
    finding: FindingId,
    *,
    release: Release = None,
    by: By,
    role: Role = None,
    why: Why,
    workspace: Workspace = None,
    as_json: AsJson = False,
) -> None:
    """Take a waiver back; without a release, every one of the finding."""
    from pipelines import findings_doors

    done = findings_doors.withdraw(at(workspace), finding, release=release, by=by, role=role, why=why)
    emit(done) if as_json else print(f"{done['said']}.")
