"""The verb of garak: no logic; cli.py adds it to the red team's verbs."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.console import emit
from pipelines.options import AsJson, Config, Workspace, at

Probes = Annotated[str | None, typer.Option(help="garak's probes: modules or module.Class, by commas.")]
Report = Annotated[Path | None, typer.Option(help="Read this report (NAME.report.jsonl) instead of running garak.")]
Keep = Annotated[bool, typer.Option("--keep", help="Add what the last one found to the regressions.")]


def add_garak_verb(redteam: typer.Typer) -> None:
    """Put the verb among the red team's."""
    redteam.command("garak")(redteam_garak)


def redteam_garak(
    probes: Probes = None,
    report: Report = None,
    keep: Keep = False,
    generations: Annotated[int, typer.Option(help="Answers to each prompt.", min=1, max=100)] = 1,
    prompts: Annotated[int, typer.Option(help="Prompts of a probe; some put all of theirs.", min=1)] = 8,
    answers: Annotated[int, typer.Option(help="Answers in all; prompts beyond are missing.", min=1)] = 400,
    minutes: Annotated[float, typer.Option(help="garak is ended after so long.", min=0.1)] = 30.0,
    seed: Annotated[int, typer.Option(help="Decides which prompts are drawn.")] = 1,
    online: Annotated[bool, typer.Option("--online", help="garak may fetch models and data of its detectors.")] = False,
    python: Annotated[Path | None, typer.Option(help="The Python that has garak (default: .venv-garak).")] = None,
    unguarded: Annotated[bool, typer.Option("--unguarded", help="The candidate without its guardrails.")] = False,
    refusal: Annotated[str | None, typer.Option(help="With --report: what that system says to refuse.")] = None,
    workspace: Workspace = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Run NVIDIA's garak against the candidate, or read a report of it: --keep adds what can be put again."""
    from pipelines import garak_doors
    from pipelines.errors import SettingsError
    from pipelines.evaluation.garak_run import Scan, named

    if (probes is not None) + (report is not None or keep) != 1:
        raise SettingsError("Say --probes NAMES, --report FILE, or --keep (alone, or with --report).")
    choices = at(workspace, config)
    if probes is not None:
        asked = Scan(named(probes), generations, prompts, minutes, seed, online)
        found = garak_doors.scan(choices, asked, answers=answers, guarded=not unguarded, python=python)
    elif report is not None:
        found = garak_doors.read(choices, report, refusal=refusal)
    if keep:
        found = garak_doors.keep(choices, elsewhere=report is not None)
    emit(found) if as_json else print(garak_doors.told_kept(found) if keep else garak_doors.told(found))
