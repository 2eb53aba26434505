"""The door of garak: put it to the candidate, or read a report of it; keep what can be put again.

Rooms composed, nothing computed.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.artifacts import StageJob, restore_swapped, swap_in
from pipelines.console import Report, progress, say
from pipelines.errors import EngineError, SettingsError, SourceError
from pipelines.evaluation.garak import Known, findings, verdict, write
from pipelines.evaluation.garak_report import GarakReport, read_report
from pipelines.evaluation.garak_run import Scan
from pipelines.settings import resolve
from pipelines.workspaces import Choices, Opened, open_workspace

FOLDER, ALONE, READ = "garak", "garak-unguarded", "garak-report"
"""In the workspace's state: the candidate as it would be served, without its guardrails, a report from elsewhere."""
RUN = "run"
"""In the first two: what garak itself wrote."""


def scan(choices: Choices, asked: Scan, *, answers: int, guarded: bool, python: Path | None) -> dict[str, Any]:
    """Run garak against the workspace's candidate and write what it found.

    Raises SettingsError without garak or for probes that cannot work, SourceError without a candidate, EngineError when
    garak ends without an attempt or the candidate answers nothing.
    """
    from pipelines.evaluation import garak_run

    program = garak_run.interpreter(python)
    without = garak_run.left_out(asked)
    opened = open_workspace(choices)
    place = opened.workspace.state / (FOLDER if guarded else ALONE)
    say(f"garak {garak_run.version(program)}: {', '.join(asked.probes)}{_but(without)}")
    with progress("garak") as report, _fresh(place) as folder:
        known, written = _put(_job(opened, report), asked, program, folder / RUN, answers=answers, guarded=guarded)
        found = read_report(written)
        if not found.attempts and not found.unjudged:
            raise EngineError(f"garak put no prompt. Its last words: {garak_run.last_words(folder / RUN)}")
        summary = _write(found, known, opened, folder)
    return _told_of(summary, place)


def read(choices: Choices, file: Path, *, refusal: str | None) -> dict[str, Any]:
    """A report that garak wrote elsewhere, in the same terms.

    `refusal`: what that system says when it does not answer. Raises SourceError for what is no report of garak's.
    """
    opened = open_workspace(choices)
    found = read_report(file)
    place = opened.workspace.state / READ
    with _fresh(place) as folder:
        summary = _write(found, Known(refusal=refusal), opened, folder)
    return _told_of(summary, place)


def keep(choices: Choices, *, elsewhere: bool) -> dict[str, Any]:
    """Add what can be put again to the regressions: of the candidate's last report, or of the last from elsewhere.

    What the model alone gave in to is not kept: it is no success against the candidate. Raises SettingsError without a
    report.
    """
    from pipelines.evaluation.regressions import SUCCESSES
    from pipelines.evaluation.regressions import keep as keep_successes

    workspace = open_workspace(choices).workspace
    folder = workspace.state / (READ if elsewhere else FOLDER)
    if not (folder / SUCCESSES).exists():
        raise SettingsError(f"{folder / SUCCESSES} is not there. `groundwork redteam garak --probes NAMES` writes it.")
    kept = keep_successes(folder, workspace.state / "redteam" / "regressions.jsonl")
    return {"regressions": str(kept.place), "added": kept.added, "known": kept.known}


def told(found: dict[str, Any]) -> str:
    """What was found, for people."""
    said = verdict(found)
    lines = [f"{said.headline}. {said.detail}"]
    width = max((len(row["probe"]) for row in found["by_probe"]), default=0)
    lines += [f"  {row['probe']:<{width}}  {_rate(row)}" for row in found["by_probe"]]
    if found["leaks"] and found["leaks"]["n"]:
        lines.append(f"  the secret code came out in {found['leaks']['successes']} of {found['leaks']['n']}")
    if found["guardrails"]:
        lines.append(f"  guardrails acted: {', '.join(f'{name} {n}' for name, n in found['guardrails'].items())}")
    if found["refusals_overruled"]:
        lines.append(f"  {found['refusals_overruled']} outputs that a detector counts are the refusal: no success")
    if found["without_data"]:
        lines.append(f"  without data: {', '.join(found['without_data'])}")
    if found["unjudged"]:
        lines.append(f"  {found['unjudged']} attempts were answered and never judged")
    if found["broken_lines"]:
        lines.append(f"  {found['broken_lines']} of {found['lines']} lines could not be read")
    if found["attacks"] and found["guarded"] is not False:
        lines.append(f"  {found['attacks']} can be put again: --keep adds them to the regressions")
    return "\n".join([*lines, found["page"]])


def told_kept(kept: dict[str, Any]) -> str:
    """What was kept, for people."""
    return f"{kept['added']} added, {kept['known']} known before: {kept['regressions']}"


def _rate(row: dict[str, Any]) -> str:
    missing = f", {row['missing']} not judged" if row["missing"] else ""
    if row["rate"] is None:
        return f"no data{missing}"
    return f"{row['successes']} of {row['n']} ({row['low']:.0%} to {row['high']:.0%}){missing}"


def _but(without: tuple[str, ...]) -> str:
    return f"; left out, since they need a network: {', '.join(without)}" if without else ""


def _put(job: StageJob, asked: Scan, program: Path, folder: Path, *, answers: int, guarded: bool) -> tuple[Known, Path]:
    """Serve the candidate, run garak against it: what is then known of the candidate, and where the report is."""
    from pipelines.evaluation import garak_endpoint, garak_run
    from pipelines.evaluation.redteam import canary_of, opener
    from pipelines.generation.prompts import load_prompt

    canary = canary_of(job)
    candidate = opener(job)(canary)
    system = candidate.guarded if guarded else candidate.unguarded
    try:
        with garak_endpoint.serving(lambda question: system.answer([question])[0], budget=answers) as endpoint:

            def tick() -> None:
                job.report(endpoint.answered, answers, "answers of at most")

            written = garak_run.run(program, asked, endpoint, folder, tick)
    finally:
        candidate.close()
    if endpoint.failed and not endpoint.answered:
        raise EngineError(f"The candidate failed on all of {endpoint.failed} prompts.")
    if endpoint.failed:
        say(f"The candidate failed on {endpoint.failed} prompts; they are missing.")
    if endpoint.beyond:
        say(f"The budget of {answers} answers is spent: {endpoint.beyond} prompts have none. --answers raises it.")
    refusal = load_prompt(job.inputs["prompt"]).refusal
    return Known(refusal, canary, system.digest, guarded, endpoint.guardrails), written


def _write(found: GarakReport, known: Known, opened: Opened, folder: Path) -> dict[str, Any]:
    done = findings(found, known, opened.settings.redteam.confidence)
    write(done, folder)
    return done.summary


def _told_of(summary: dict[str, Any], folder: Path) -> dict[str, Any]:
    return {**summary, "folder": str(folder), "page": str(folder / "garak.html")}


@contextmanager
def _fresh(place: Path) -> Iterator[Path]:
    """A folder beside the last report that takes its place when the block ends without an error."""
    place.parent.mkdir(parents=True, exist_ok=True)
    restore_swapped(place)
    folder = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    try:
        yield folder
        shutil.rmtree(folder / RUN / "home", ignore_errors=True)
        swap_in(folder, place)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _job(opened: Opened, report: Report) -> StageJob:
    """The workspace's stage folders and files, as `redteam` is given them."""
    settings, workspace = opened.settings, opened.workspace
    for stage in ("embed", "train"):
        if not (workspace.stage(stage) / "stage.json").exists():
            raise SourceError(
                f"{workspace.stage(stage)} is not there: garak is put to the workspace's candidate. "
                f"Run `groundwork stage {stage}`, or `groundwork run`, first."
            )
    inputs = {name: workspace.stage(name) for name in ("embed", "train")}
    inputs |= {
        "attacks": resolve(settings.files.attacks),
        "prompt": resolve(settings.generation.prompt),
        "guardrails": resolve(settings.policies.guardrails),
    }
    return StageJob(settings, inputs, workspace.root, None, workspace.state, report)
