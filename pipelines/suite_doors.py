"""The doors of suite files: check one, put one to the candidate or the base. Rooms composed, nothing computed."""

from pathlib import Path
from typing import Any

from pipelines.console import Report, progress
from pipelines.errors import SourceError
from pipelines.evaluation.suite_files import load_suite_file
from pipelines.evaluation.suite_run import described, run_suite
from pipelines.settings import resolve
from pipelines.workspaces import Choices, Opened, open_workspace


def check(file: Path) -> dict[str, Any]:
    """Name, digest and counts of a suite file."""
    return described(load_suite_file(file))


def run(choices: Choices, file: Path, *, base: bool, table: Path | None) -> dict[str, Any]:
    """A suite put to the workspace's candidate, or to the base model beside the same index.

    `table`: where the item table goes (Parquet that names the suite), for `groundwork gate`.
    """
    from pipelines.evaluation.evaluate import opener
    from pipelines.evaluation.golden import seams
    from pipelines.evaluation.items import write_items
    from pipelines.evaluation.measure import Precision
    from pipelines.evaluation.systems import describe

    suite = load_suite_file(file)
    opened = open_workspace(choices)
    chosen = opened.settings.evaluation
    role = "base" if base else "candidate"
    with progress("suite") as report:
        job = job_of(opened, report, base=base)
        description = next(each for each in describe(job.inputs, opened.settings) if each.role == role)
        system = opener(job)(description)
        try:
            asked = seams(
                role,
                system.finder,
                system.system,
                system.encode,
                job,
                deterministic=opened.settings.generation.engine != "openai",
                report=lambda done, total: report(done, total, "answering"),
            )
            precision = Precision(chosen.confidence, chosen.bootstrap_resamples, chosen.seed)
            found, items = run_suite(suite, asked, precision)
            of_system = {"role": role, "digest": system.system.digest, "engine": system.engine_name()}
        finally:
            system.close()
    if table:
        write_items(table, items, suite=suite.digest)
    return {**found, "system": of_system, "judges": [judge.name for judge in chosen.judges]}


def told_checked(found: dict[str, Any]) -> str:
    """A checked suite for people."""
    kinds = ", ".join(f"{kind} {n}" for kind, n in found["assertions"].items())
    slices = ", ".join(f"{name} {n}" for name, n in found["slices"].items())
    return (
        f"{found['name']} {found['version']}, digest {found['digest'][:12]}\n"
        f"  {found['items']} items, {found['answers']} answers, {found['pairs']} pairs\n"
        f"  assertions: {kinds}\n  slices: {slices}"
    )


def told_run(found: dict[str, Any]) -> str:
    """A run for people: what failed, then the figures."""
    lines = []
    for result in found["results"]:
        why = [f"{c['kind']}: {c['why']} ({c['outcome']})" for c in result["checks"] if c["outcome"] != "passed"]
        if why:
            lines.append(f"  {result['id']}: {'; '.join(why)}\n    {result['answer'][:200]!r}")
    suite, consistency, pairs = found["suite"], found["consistency"], found["pairs"]
    lines.append(f"{suite['name']} {suite['version']}, digest {suite['digest'][:12]}: {_tally(found['items'])}")
    lines += [f"  slice {name}: {_tally(tally)}" for name, tally in found["slices"].items()]
    lines += [f"  {kind}: {_tally(tally)}" for kind, tally in found["assertions"].items()]
    if consistency["value"] is not None:
        note = f" ({consistency['note']})" if consistency["note"] else ""
        lines.append(f"  repeats agree on {consistency['value']:.0%} of {consistency['n']} items{note}")
    if pairs:
        only = ", ".join(f"{name} alone passes in {n}" for name, n in pairs["passed_only"].items())
        lines.append(f"  {pairs['n']} pairs: {only}; p = {pairs['p_value']:.3f}")
    return "\n".join(lines)


def _tally(tally: dict[str, int]) -> str:
    return ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in tally.items() if n or name == "passed")


def job_of(opened: Opened, report: Report, *, base: bool) -> Any:
    """The workspace's stage folders and files, as `evaluate` is given them."""
    from pipelines.artifacts import StageJob

    settings, workspace = opened.settings, opened.workspace
    for stage in ("embed",) if base else ("embed", "train"):
        if not (workspace.stage(stage) / "stage.json").exists():
            raise SourceError(
                f"{workspace.stage(stage)} is not there: a suite is put to the workspace's candidate. "
                f"Run `groundwork stage {stage}`, or `groundwork run`, first."
            )
    inputs = {name: workspace.stage(name) for name in ("embed", "train")}
    inputs |= {"prompt": resolve(settings.generation.prompt), "guardrails": resolve(settings.policies.guardrails)}
    return StageJob(settings, inputs, workspace.root, None, workspace.state, report)
