"""Prompts in words, for people at a terminal."""

from typing import Any

from pipelines.evaluation.labels import label
from pipelines.evaluation.prompt_compare import COSTS, amount

NOTHING = "No release uses a prompt yet: `groundwork run` makes a release."


def told_checked(found: dict[str, Any]) -> str:
    """A checked prompt."""
    tokens = found["tokens"]
    lines = [
        f"{found['name']} version {found['version']}, digest {found['digest'][:12]}, {found['examples']} examples",
        f"  of {tokens['context']:,} tokens that {found['base_model']} reads: frame {tokens['frame']:,}, examples "
        f"{tokens['examples']:,}, answer {tokens['answer']:,}; left to passages {tokens['left']:,} (they may take "
        f"{tokens['passages_at_most']:,})",
    ]
    lines += [f"  note: {each}" for each in found["notes"]]
    used = ", ".join(name[:12] for name in found["releases"])
    return "\n".join([*lines, f"  used by release {used}" if used else "  used by no release yet"])


def told_listed(listed: list[dict[str, Any]]) -> str:
    """A line a prompt."""
    lines = []
    for each in listed:
        by = ", ".join(f"{n[:12]} ({s})" for n, s in zip(each["releases"], each["states"], strict=True))
        what = each["part"].replace("_", " ")
        shown = f"  {each['examples']} examples" if each["examples"] else ""
        lines.append(f"{what:<16}{each['name']:<12}version {each['version']:<4}{each['digest'][:12]}{shown}  {by}")
    return "\n".join(lines) or NOTHING


def told_compared(found: dict[str, Any], page: Any) -> str:
    """What each pair shows, the figures, the differences."""
    names = [each["name"] for each in found["prompts"]]
    where = found["questions"]["file"] or "the workspace's golden questions"
    lines = [f"{found['questions']['items']} items of {where}; everything else is the {found['with']['system']}'s."]
    for each in found["prompts"]:
        shown = f", {each['examples']} examples" if each["examples"] else ""
        fresh = f"{each['asked_anew']} asked anew" if each["asked_anew"] else "every answer was kept from before"
        title = f"{each['title']} version {each['version']}, {each['digest'][:12]}"
        lines.append(f"  {each['name']}: {title}{shown}; {fresh}")
    lines += _figures(found, names)
    for verdict in found["verdicts"]:
        lines += ["", f"{verdict['headline']}. {verdict['detail']}"]
        rows = [r for r in found["comparisons"] if (r["first"], r["second"]) == (verdict["first"], verdict["second"])]
        lines += [line for row in rows for line in _difference(row)]
    parted = sum(each["parted"] for each in found["differing"])
    lines += ["", f"Answers differ on {len(found['differing'])} items, right against wrong on {parted}."]
    lines += [f"Note: {each}" for each in found["cautions"]]
    return "\n".join([*lines, f"Page: {page}"] if page else lines)


def _figures(found: dict[str, Any], names: list[str]) -> list[str]:
    by = {(row["system"], row["metric"]): row for row in found["figures"]}
    metrics = list(dict.fromkeys(row["metric"] for row in found["comparisons"]))
    lines = ["", " " * 26 + "".join(f"{name[:20]:<24}" for name in names)]
    for metric in metrics:
        cells = "".join(f"{_figure(by.get((name, metric)), metric):<24}" for name in names)
        lines.append(f"  {label(metric).name[:23]:<24}{cells}".rstrip())
    return lines


def _figure(row: dict[str, Any] | None, metric: str) -> str:
    if row is None or row["value"] is None:
        return "-"
    if metric in COSTS:
        return f"{row['value']:,.2f}{' s' if metric.endswith('_s') else ''}"
    bounds = f" ({100 * row['low']:.1f} to {100 * row['high']:.1f})" if row["low"] is not None else ""
    return f"{100 * row['value']:.1f}%{bounds}"


def _difference(row: dict[str, Any]) -> list[str]:
    if row["difference"] is None:
        return []
    value, low, high = (amount(row["metric"], row[name]) for name in ("difference", "low", "high"))
    p = "" if row["adjusted_p"] is None else f"p {row['adjusted_p']:.3f}"
    pairs = "" if row["mcnemar"] is None else (
        f"McNemar {row['only_first']} against {row['only_second']}, p {row['mcnemar']:.3f}"
    )  # fmt: skip
    name = label(row["metric"]).name[:23]
    return [f"  {name:<24}{value:<14}{f'{low} to {high}':<34}{p:<9}{row['verdict']:<16}{pairs}".rstrip()]
