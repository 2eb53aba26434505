"""The door of judges: answers in, verdicts, agreement and corrected rates out. Rooms composed, nothing computed."""

from pathlib import Path
from typing import Any

from pipelines.console import progress
from pipelines.workspaces import Choices, open_workspace


def judge(
    choices: Choices, items: Path, labels: Path | None, rubric: Path | None, table: Path | None
) -> dict[str, Any]:
    """What the configured judges think of each answer. `table`: where the item table goes, for `groundwork gate`."""
    from pipelines.evaluation import judging
    from pipelines.evaluation.items import write_items
    from pipelines.evaluation.rubrics import load_rubric

    opened = open_workspace(choices)
    chosen = opened.settings.evaluation
    asked = load_rubric(rubric or chosen.rubric)
    answers = judging.read_items(items, asked)
    labelled = judging.read_labels(labels, asked) if labels else []
    with progress("judge") as report:
        found = judging.judge_items(chosen, asked, answers, labelled, opened.workspace.state, report)
    if table:
        write_items(table, judging.table(found), suite=judging.suite_of(asked, answers))
    return found


def told_judged(found: dict[str, Any]) -> str:
    """The report for people."""
    rubric = found["rubric"]
    voices = [*found["judges"], {"name": "panel", **found["panel"]}]
    lines = [f"{found['items']} items, {found['labels']} labels, rubric {rubric['name']} {rubric['version']}"]
    lines += [f"  {voice['name']}: {_figures(voice)}" for voice in voices]
    parted = found["panel"]["disagreement"]
    if parted is not None and len(found["judges"]) > 1:
        lines.append(f"  judges part on {parted:.0%} of the items; {found['panel']['undecided']} have no majority")
    if found["orders"]:
        shown = ", ".join(found["orders"][:5])
        lines.append(f"  {len(found['orders'])} answers give orders to who reads them: {shown}")
    return "\n".join([*lines, *(f"  ! {warning}" for warning in found["warnings"])])


def _figures(voice: dict[str, Any]) -> str:
    said = [f"{voice['judged']} judged, {voice['failed']} failed"]
    if "first" in voice:
        said.append(f"first better {voice['first']}, second better {voice['second']}, tie {voice['tie']}")
        if voice.get("changed_with_order") is not None:
            said.append(f"{voice['changed_with_order']:.0%} changed with the order")
        if voice["agreement"]:
            said.append(f"agrees with labels in {_interval(voice['agreement'])}")
    else:
        if voice["passed"]:
            said.append(f"passed {_interval(voice['passed'])}")
        if voice["calibration"]:
            known = voice["calibration"]
            said.append(f"sensitivity {_interval(known['sensitivity'])}, specificity {_interval(known['specificity'])}")
        said.append(f"corrected {_interval(voice['corrected'])}" if voice["corrected"] else "not corrected")
    if voice.get("usd") is not None:
        said.append(f"${voice['usd']:.4f}")
    return "; ".join(said)


def _interval(rate: dict[str, float]) -> str:
    return f"{rate['value']:.3f} ({rate['low']:.3f} to {rate['high']:.3f})"
