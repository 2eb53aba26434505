"""Results in words, for people at a terminal."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.artifacts import read_json
from pipelines.verbs import Summary

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

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


def told(summary: Summary) -> str:
    """What a run left behind, and what to do next."""
    lines = [
        f"{'Done' if summary.ran else 'Nothing to do'}: release {summary.release[:12]} is {summary.state} "
        f"(gate: {summary.verdict}; {summary.kind})."
    ]
    lines += told_figures(summary.workspace)
    if summary.warning:
        lines.append(f"Warning: {summary.warning}")
    lines.append(f"Report: {summary.report}")
    if summary.state == "pending" and summary.open_findings:
        held = f"{summary.open_findings} attacks got through that hold up the approval until they are mended or waived"
        lines.append(f"{held}: groundwork findings {summary.release[:12]}")
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
    bounds = f" ({100 * figure['low']:.1f} to {100 * figure['high']:.1f})" if figure["low"] is not None else ""
    return f"{100 * figure['value']:.1f}%{bounds}"


def told_answer(line: dict[str, Any]) -> str:
    """An answer, its citations by the numbers set into it, and what nothing supports."""
    lines = [_numbered(line)]
    for number, citation in enumerate(line["citations"], 1):
        place = " > ".join(citation["heading_path"]) or (f"page {citation['page']}" if citation["page"] else "")
        span = f"{citation['start']}-{citation['end']}"
        where = ", ".join(part for part in (citation["uri"], place, f"characters {span}") if part)
        lines.append(f"  [{number}] {where}: {citation['text'].strip()}")
    said = {"flagged": "not in the documents", "dropped": "left out, not in the documents"}
    lines += [f"  ({said[s['action']]}: {s['text']})" for s in line["unsupported"] if s["action"] in said]
    if line.get("notice"):
        lines.append(f"  ({line['notice']})")
    return "\n".join(lines)


def _numbered(line: dict[str, Any]) -> str:
    """The answer with [1] after the part that the first citation carries, and so on."""
    text: str = line["answer"]
    ends: dict[int, str] = {}
    for number, citation in enumerate(line["citations"], 1):
        end = len(text) if citation["answer_end"] is None else citation["answer_end"]
        ends[end] = f"{ends.get(end, '')} [{number}]"
    for end in sorted(ends, reverse=True):
        text = text[:end] + ends[end] + text[end:]
    return text


def show_hits(line: dict[str, Any], query: str) -> None:
    """Hits on stdout, as wide and as colourful as the terminal is."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=False)
    for note in (*(f"searched too: {wording}" for wording in line["searched"][1:]), *line["notes"]):
        console.print(note, markup=False)
    if line["answerable"] is not None and line["hits"]:
        console.print(f"The documents answer this with a probability of {line['answerable']:.2f}, by retrieval alone.")
    for each in told_hits(line, query, console.width, coloured=console.is_terminal and not console.no_color):
        console.print(each)


def told_hits(line: dict[str, Any], query: str, width: int, *, coloured: bool = True) -> "list[RenderableType]":
    """Hits with every part of their score as a bar and in figures, and the query's words marked in their passages.

    `coloured` False: words are marked «so», bars by letters.
    """
    from rich.text import Text

    if not line["hits"]:
        return [Text("No hits.")]
    names = list(dict.fromkeys(name for hit in line["hits"] for name in hit["parts"]))
    widest = max(sum(max(0.0, value) for value in hit["parts"].values()) for hit in line["hits"])
    told: list[RenderableType] = [_hit_table(line["hits"], query, names, (width, widest), coloured)]
    key = Text("  ")
    for number, name in enumerate(names):
        key.append(_mark(number, coloured), style=_colour(number))
        key.append(f" {name}   ")
    key.append(f"{line['milliseconds']:.0f} ms", style="dim")
    return [*told, key]


PART_COLOURS = ("blue", "cyan", "yellow", "magenta", "green", "bright_red", "bright_blue", "white")
BAR_CELLS = 24
"""Cells of the longest bar; half of it on a narrow terminal."""
NARROW = 72
SNIPPET_LINES = 3


def _colour(number: int) -> str:
    return PART_COLOURS[number % len(PART_COLOURS)]


def _mark(number: int, coloured: bool) -> str:
    """What a part's bar is made of: blocks told apart by colour, or letters."""
    return "█" if coloured else "abcdefghijklmnopqrstuvwxyz"[number % 26]


def _hit_table(
    hits: list[dict[str, Any]], query: str, names: list[str], size: tuple[int, float], coloured: bool
) -> "RenderableType":
    """A row a hit: place, score with its bar, passage; one column less on a narrow terminal."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    width, widest = size
    narrow = width < NARROW
    cells = BAR_CELLS // 2 if narrow else BAR_CELLS
    table = Table.grid(padding=(0, 2, 1, 0), pad_edge=False)
    table.add_column(justify="right", no_wrap=True)
    if not narrow:
        table.add_column(width=cells + 2)
    table.add_column(ratio=1)
    room = max(20, width - 6 - (0 if narrow else cells + 4)) * SNIPPET_LINES
    for number, hit in enumerate(hits, 1):
        score = _score(hit, names, (cells, widest), coloured)
        where = Text(f"{hit['uri']} {hit['start']}-{hit['end']}", style="bold")
        headings = " > ".join(hit["heading_path"])
        passage = [
            where,
            *([Text(headings, "dim", no_wrap=True, overflow="ellipsis")] if headings else []),
            _snippet(hit, query, room, coloured),
        ]
        place = Text(str(number), style="bold")
        if narrow:
            table.add_row(place, Group(where, score, *passage[1:]))
        else:
            table.add_row(place, score, Group(*passage))
    return table


def _score(hit: dict[str, Any], names: list[str], size: tuple[int, float], coloured: bool) -> "RenderableType":
    """The score, a bar of its parts, and each part in figures; what is taken off stands in the figures alone."""
    from rich.console import Group
    from rich.text import Text

    cells, widest = size
    bar, figures, reached = Text(no_wrap=True), Text(), 0.0
    bar.append(f"{hit['score']:.3f} ", style="bold")
    for number, name in enumerate(names):
        value = hit["parts"].get(name)
        if value is None:
            continue
        begin, reached = reached, reached + max(0.0, value)
        length = round((cells - 6) * reached / widest) - round((cells - 6) * begin / widest) if widest > 0 else 0
        bar.append(_mark(number, coloured) * length, style=_colour(number))
        said = f"{name} {value:.3f}".replace("-", "−")
        if figures.plain and len(figures.plain.rpartition("\n")[2]) + 2 + len(said) > cells + 2:
            figures.append("\n")
        elif figures.plain:
            figures.append("  ")
        figures.append(said, style="" if value >= 0 else "red")
    return Group(bar, figures)


def _snippet(hit: dict[str, Any], query: str, room: int, coloured: bool) -> "Text":
    from rich.text import Text

    from pipelines.retrieval.marking import cut_around, marked

    cut = cut_around(hit["text"], query, room)
    told, last = Text(), 0
    for start, end in marked(cut, query):
        told.append(cut[last:start])
        told.append(cut[start:end] if coloured else f"«{cut[start:end]}»", style="bold underline")
        last = end
    return told.append(cut[last:])


def told_retrieval(report: dict[str, Any], page: Path | None) -> str:
    """A comparison of searches: the verdict, figures side by side, costs, and what it cannot tell."""
    from pipelines.evaluation.retrieval_report import is_cost, order_of, said

    verdict, names = report["verdict"], [variant["name"] for variant in report["variants"]]
    rows = {(m["system"], m["metric"]): m for m in report["measurements"] if m["slice"] == "all"}
    differences = {c["metric"]: c for c in report["comparisons"] if c["slice"] == "all"}
    lines = [verdict["headline"] + ".", verdict["detail"], ""]
    heads = f"{'difference':<22}p (Holm)" if differences else ""
    lines.append(" " * 41 + "".join(f"{name[:21]:<23}" for name in names) + heads)
    for metric in sorted({metric for _, metric in rows}, key=order_of):
        show = _amount if is_cost(metric) else _interval
        line = f"  {said(metric):<39}" + "".join(f"{show(rows.get((name, metric))):<23}" for name in names)
        if (found := differences.get(metric)) and found["difference"] is not None:
            line += f"{show({**found, 'value': found['difference']}).replace('%', ''):<22}"
            line += "" if found["adjusted_p"] is None else f"{found['adjusted_p']:.3f}"
        lines.append(line.rstrip())
    lines += ["", "What this cannot tell:", *(f"  - {each}" for each in verdict["cannot"])]
    if page is not None:
        lines.append(f"Page: {page}")
    return "\n".join(lines)


def _amount(figure: dict[str, Any] | None) -> str:
    if figure is None or figure["value"] is None:
        return "-"
    bounds = f" ({figure['low']:.1f} to {figure['high']:.1f})" if figure["low"] is not None else ""
    return f"{figure['value']:.1f}{bounds}"


def told_versions(listed: list[dict[str, Any]]) -> str:
    """Two lines a version."""
    lines = []
    for each in listed:
        made = each["made"][:16].replace("T", " ")
        used = ", ".join(each["used_by"]) or "not used"
        lines.append(
            f"{each['tag'][:12]}  {made}  {each['rows']:>9,} chunks  {each['size_bytes'] / 1e6:>9,.1f} MB  {used}"
        )
        lines.append(f"              {each['model']} {each['precision']}, table {each['table']}")
    return "\n".join(lines) or "No version yet: `groundwork index build` makes one."


def told_difference(found: dict[str, Any]) -> str:
    """Chunks in all, then by document."""
    total = found["chunks"]
    lines = [
        f"{found['old'][:12]} to {found['new'][:12]}: {total['added']} chunks added, {total['removed']} removed, "
        f"{total['changed']} changed, in {len(found['documents'])} documents."
    ]
    if not found["same_model"]:
        lines.append("Their embedding models differ: every vector is another.")
    for each in found["documents"]:
        parts = f"+{each['added']} -{each['removed']} ~{each['changed']} ={each['kept']}"
        lines.append(f"  {parts:<24} {each['uri']}")
    return "\n".join(lines)


def told_restored(done: dict[str, Any]) -> str:
    """What answers now."""
    mended = f" It was rebuilt from its vectors ({'; '.join(done['mended'])})." if done["rebuilt"] else ""
    if done["pinned"]:
        back = "`groundwork index restore current` goes back; releases and stages are untouched"
        return f"Searches are answered from {done['tag'][:12]} ({done['rows']:,} chunks): {back}.{mended}"
    return f"Searches follow the newest version, {done['tag'][:12]}.{mended}"


def told_verified(found: list[dict[str, Any]]) -> str:
    """A line a version, and what is wrong below it."""
    lines = []
    for each in found:
        lines.append(f"{each['tag'][:12]}  {each['rows']:>9,} chunks  {'wrong' if each['wrong'] else 'whole'}")
        lines += [f"              {what}" for what in each["wrong"]]
        if each["wrong"]:
            lines.append(f"              Mend it: groundwork index restore {each['tag'][:12]}")
    return "\n".join(lines)


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
