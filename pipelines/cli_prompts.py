"""The verbs of prompts: no logic; cli.py adds them to the command."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.console import emit
from pipelines.options import AsJson, Config, Workspace, at

prompts = typer.Typer(help="Prompts and their few-shot examples.", no_args_is_help=True)


def add_prompt_verbs(app: typer.Typer) -> None:
    """Put the verbs of prompts under the command."""
    app.add_typer(prompts, name="prompts")


@prompts.command("check")
def prompts_check(
    file: Annotated[Path, typer.Argument(help="Prompt file (YAML).")],
    workspace: Workspace = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Validate a prompt: its examples, the tokens that it takes and leaves, its version among those of releases."""
    from pipelines import prompt_doors, prompt_telling

    found = prompt_doors.check(at(workspace, config), file)
    emit(found) if as_json else print(prompt_telling.told_checked(found))


@prompts.command("list")
def prompts_list(workspace: Workspace = None, config: Config = None, as_json: AsJson = False) -> None:
    """List the prompts that releases use: version, digest, releases."""
    from pipelines import prompt_doors, prompt_telling

    listed = prompt_doors.listed(at(workspace, config))
    emit({"prompts": listed}) if as_json else print(prompt_telling.told_listed(listed))


@prompts.command("compare")
def prompts_compare(
    files: Annotated[list[Path], typer.Argument(help="Two to six prompt files; the first is the one compared with.")],
    suite: Annotated[Path | None, typer.Option(help="Suite file; without one, the golden questions.")] = None,
    questions: Annotated[Path | None, typer.Option(help="Question file (JSON Lines).")] = None,
    base: Annotated[bool, typer.Option("--base", help="Ask the base model instead of the candidate.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page with the answers side by side.")] = None,
    workspace: Workspace = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Ask the same questions under each prompt and compare, paired; nothing is trained, registered or decided."""
    from pipelines import prompt_compare_doors, prompt_telling

    choices = at(workspace, config)
    found = prompt_compare_doors.compare(choices, files, suite=suite, questions=questions, base=base, html=html)
    emit(found) if as_json else print(prompt_telling.told_compared(found, html))
