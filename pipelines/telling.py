"""Results in words, for people at a terminal."""

from pathlib import Path
from typing import Any

from pipelines.artifacts import read_json
from pipelines.verbs import Summary

FIGURES = {
    "answer_correct": "right behaviour",
    "token_f1": "token F1",
    "groundedness_answered": "groundedness of answers",
    "wrong_refusal_rate": "refused what it could answer",
    "wrong_answer_rate": "answered what it could not know",
    "golden_prompt_pass": "golden prompts passed",
}
"""Metrics that a run ends with, and what they are called at a terminal."""
SYNTHETIC = (
    "made from the documents by rules (synthetic), for want of a question file: figures compare systems, "
    "and do not say how people's questions will fare"
)
NOTHING = "Nothing has been registered yet: `groundwork run` makes a release."


def told(summary: Summary) -> str:
    """What a run left behind, and what to do next."""
    lines = [
        f"{'Done' if summary.ran else 'Nothing to do'}: release {summary.release[:12]} is {summary.state} "
        f"(gate: {summary.verdict})."
    ]
    lines += told_figures(summary.workspace)
    if summary.warning:
        lines.append(f"Warning: {summary.warning}")
    lines.append(f"Report: {summary.report}")
    if summary.state == "pending":
        lines.append('Next: read it, then groundwork approve --by YOU --why "..."  (or reject)')
    return "\n".join(lines)


def told_figures(workspace: Path) -> list[str]:
    """The evaluation's headline figures and the red team's rate, systems side by side, with their intervals."""
    report = read_json(workspace / "evaluate" / "report.json")
    attacks = read_json(workspace / "redteam" / "redteam.json")["attack_success"]
    rows = {(m["system"], m["metric"]): m for m in report["measurements"] if m["slice"] == "all"}
    roles = [role for role in ("base", "candidate", "champion") if role in report["systems"]]
    lines = [" " * 34 + "".join(f"{role:<22}" for role in roles)]
    for metric, name in FIGURES.items():
        lines.append(f"  {name:<32}" + "".join(f"{_interval(rows.get((role, metric))):<22}" for role in roles))
    success = {"candidate": _interval({**attacks, "value": attacks["rate"]})}
    last = [success.get(role, "") for role in roles]
    lines.append(f"  {'attacks that succeeded':<32}" + "".join(f"{each:<22}" for each in last))
    if report["suite"]["synthetic"]:
        lines.append(f"Questions: {SYNTHETIC}")
    return [line.rstrip() for line in lines]


def _interval(figure: dict[str, Any] | None) -> str:
    """A share with its interval, in per cent; nothing measured as a dash."""
    if figure is None or figure["value"] is None:
        return "-"
    value, low, high = (100 * figure[key] for key in ("value", "low", "high"))
    return f"{value:.1f}% ({low:.1f} to {high:.1f})"


def told_answer(line: dict[str, Any]) -> str:
    """An answer with its citations."""
    lines = [line["answer"]]
    for citation in line["citations"]:
        place = " > ".join(citation["heading_path"]) or (f"page {citation['page']}" if citation["page"] else "")
        span = f"{citation['start']}-{citation['end']}"
        lines.append(
            f"  [{citation['uri']}{f', {place}' if place else ''}, characters {span}] {citation['text'].strip()}"
        )
    if line.get("notice"):
        lines.append(f"  ({line['notice']})")
    return "\n".join(lines)


def told_hits(line: dict[str, Any]) -> str:
    """Hits with every part of their score; other wordings that were searched, and what was left out."""
    lines = [f"searched too: {wording}" for wording in line["searched"][1:]] + list(line["notes"])
    for number, hit in enumerate(line["hits"], 1):
        parts = ", ".join(f"{name} {value:.3f}" for name, value in hit["parts"].items())
        lines.append(f"{number:>2}. {hit['score']:.3f} ({parts})  {hit['uri']} {hit['start']}-{hit['end']}")
        lines.append(f"      {' '.join(hit['text'].split())[:160]}")
    return "\n".join(lines if line["hits"] else [*lines, "No hits."])


def told_decision(decision: dict[str, Any]) -> str:
    """A verdict, rule by rule."""
    lines = [f"{decision['verdict']}: {decision['why']}"]
    lines += [f"  {rule['verdict']:<12} {rule['rule']:<8} {rule['why']}" for rule in decision["rules"]]
    return "\n".join(lines)


def told_sources(listed: list[dict[str, Any]]) -> str:
    """Two lines a source: what it is and holds, and of a remote one how it stands."""
    lines = []
    for each in listed:
        lines.append(f"{each['kind']:<8}{each['source']}{' as ' + each['name'] if each['name'] else ''}")
        facts = []
        if "files" in each:
            refused = f", {each['refused']} refused" if each["refused"] else ""
            facts.append(f"{each['files']} files, {each['size_bytes'] / 1e6:.1f} MB{refused}")
        if each.get("changed"):
            facts.append(f"of {each['changed']}{', commit ' + each['revision'][:12] if each['revision'] else ''}")
        if "outcome" in each:
            facts.append(f"asked {each['checked']}: {each['outcome']}" if each["checked"] else each["outcome"])
        facts += [f"{name}: {value}" for name, value in (each.get("notes") or {}).items()]
        lines.append(" " * 8 + "; ".join(facts))
    return "\n".join(lines)


def told_releases(listed: list[dict[str, Any]]) -> str:
    """A line a release."""
    lines = []
    for each in listed:
        lines.append(f"{each['id'][:12]}  {each['state']:<11} {each['verdict']:<12} trained by {each['trained_by']}")
        if each.get("warning"):
            lines.append(f"              warning: {each['warning']}")
        lines += [f"              {d['verdict']} by {d['who']}: {d['why']}" for d in each["decided"]]
    return "\n".join(lines) or NOTHING
