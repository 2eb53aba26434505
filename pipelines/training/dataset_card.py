"""card.html of a dataset: what is in it, from where, how long it is, what was left out, and a few of its examples.

Answers those questions of a datasheet (Gebru et al., "Datasheets for Datasets", 2021) that a pipeline can.
Invariants: one file, nothing fetched; all text is escaped; equal datasets give equal bytes.
Nothing personal is shown as such: counts alone. Not covered: whether a licence allows what is done; people judge that.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from pipelines.contracts import Example, Split

SHOWN = 6
"""Examples of each split."""
BINS = 24
SPLITS: tuple[Split, ...] = ("train", "validation", "golden")
PERSONAL = {
    "email": "e-mail",
    "phone": "phone",
    "iban": "IBAN",
    "card": "payment card",
    "national_id": "national id",
    "ip": "IP address",
}
"""Kinds of personal data, as the page calls them."""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Dataset card</title>
<style>
:root {{ color-scheme: light dark;
         --ink: #1b1f24; --paper: #ffffff; --soft: #57606a; --line: #d8dee4; --bar: #4f8fdc; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #e6edf3; --paper: #0d1117; --soft: #9da7b3; --line: #30363d; --bar: #6ea8f0; }} }}
body {{ font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 60rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: break-word; }}
h2 {{ margin: 2.2rem 0 .3rem; }} p, caption, .soft {{ color: var(--soft); text-align: left; }}
.wide {{ overflow-x: auto; }} table {{ border-collapse: collapse; }}
th, td {{ text-align: right; padding: .25rem .9rem .25rem 0; border-bottom: 1px solid var(--line);
          vertical-align: top; }}
th:first-child, td:first-child, .examples :is(th, td) {{ text-align: left; }}
.bar {{ display: inline-block; height: .6rem; background: var(--bar); border-radius: 2px; }}
svg {{ width: 100%; height: 9rem; }} rect {{ fill: var(--bar); }}
.figures {{ display: flex; justify-content: space-between; }}
</style></head><body>
<h1>Dataset card</h1>
<p>{told}</p>
<h2>Splits</h2>
<p>A document is in one split alone: no passage of a golden document is shown in training or validation.</p>
<div class="wide"><table><thead><tr><th scope="col">split</th><th scope="col">documents</th>
<th scope="col">examples</th><th scope="col">to answer</th><th scope="col">to refuse</th><th scope="col">contexts</th>
<th scope="col">written by people</th><th scope="col">made from documents</th><th scope="col">from feedback</th>
<th scope="col">preferences</th></tr></thead>
<tbody>{splits}</tbody></table></div>
<h2>Slices</h2>
<p>Shares of each split: what is trained on should look like what is asked.</p>
<div class="wide"><table><thead><tr><th scope="col">slice</th>{heads}</tr></thead><tbody>{slices}</tbody></table></div>
<h2>Length of contexts</h2>
<p>Tokens of the passages that an example is shown, as the embedding model counts them; {lengths}.</p>
{picture}
<h2>Left out</h2>
<p>{left_out}</p>
<h2>Feedback</h2>
<p>{feedback}</p>
<h2>Personal data</h2>
<p>Different values by form and checksum (guardrails/pii.py); names of people and addresses are not counted.</p>
<div class="wide"><table><thead><tr><th scope="col">split</th><th scope="col">where</th>{kinds}</tr></thead>
<tbody>{personal}</tbody></table></div>
<h2>Licences</h2>
<p>Of documents, as the settings (dataset.licences) or they themselves say.</p>
<div class="wide"><table><thead><tr><th scope="col">licence</th>{heads}</tr></thead>
<tbody>{licences}</tbody></table></div>
<h2>Examples</h2>
<div class="wide"><table class="examples"><thead><tr><th scope="col">split</th><th scope="col">question</th>
<th scope="col">answer to learn</th><th scope="col">document</th><th scope="col">origin</th></tr></thead>
<tbody>{examples}</tbody></table></div>
</body></html>
"""


def page(summary: Mapping[str, Any], examples: Mapping[Split, Sequence[Example]], context_tokens: Sequence[int]) -> str:
    """The page. `summary`: of dataset.py; `context_tokens`: passages' tokens of each context."""
    origin = {"curated": "written by people", "synthetic": "made from the documents"}[summary["origin"]]
    told = f"Questions {origin}; {summary['examples_per_context']} of them share a context on average."
    if summary["golden_is_synthetic"]:
        told += " The golden set is synthetic too: what people will ask may differ."
    tokens = summary["context_tokens"]
    lengths = ", ".join(f"{name} {tokens[name]:,.0f}" for name in ("min", "median", "p95", "max") if name in tokens)
    return _PAGE.format(
        told=escape(told),
        splits="".join(_split(summary, split) for split in SPLITS),
        heads="".join(f'<th scope="col">{split}</th>' for split in SPLITS),
        slices=_slices(summary),
        lengths=escape(lengths or "there are none"),
        picture=histogram(context_tokens),
        left_out=escape(_left_out(summary)),
        feedback=escape(_feedback(summary["feedback"])),
        kinds="".join(f'<th scope="col">{escape(named)}</th>' for named in PERSONAL.values()),
        personal=_personal(summary["personal_data"]),
        licences=_licences(summary["licences"]),
        examples="".join(_example(each) for split in SPLITS for each in _some(examples.get(split, ()))),
    )


def histogram(values: Sequence[int]) -> str:
    """Counts of values as bars, with the smallest and largest below; nothing for no values."""
    if not values:
        return ""
    counts, _ = np.histogram(values, bins=BINS)
    tallest = int(counts.max())
    heights = [(count, 100 * count / tallest) for count in counts.tolist()]
    bars = "".join(
        f'<rect x="{number * 10 + 1}" y="{100 - height:.1f}" width="8" height="{height:.1f}">'
        f"<title>{count}</title></rect>"
        for number, (count, height) in enumerate(heights)
    )
    picture = (
        f'<svg role="img" aria-label="Histogram" viewBox="0 0 {BINS * 10} 100" preserveAspectRatio="none">{bars}</svg>'
    )
    return f'{picture}<div class="figures soft"><span>{min(values):,}</span><span>{max(values):,} tokens</span></div>'


def _split(summary: Mapping[str, Any], split: Split) -> str:
    documents = summary["documents"].get(split, 0)
    if split == "golden":
        held = summary["golden"]
        asked = held["answerable"] + held["unanswerable"]
        people, made = (0, asked) if summary["golden_is_synthetic"] else (asked, 0)
        cells = [documents, asked, held["answerable"], held["unanswerable"], "–", people, made, 0, 0]
    else:
        held = summary["examples"][split]
        origins = held["origins"]
        cells = [documents, held["examples"], held["answerable"], held["refusals"], held["contexts"]]
        cells += [origins.get(origin, 0) for origin in ("curated", "synthetic", "feedback")]
        cells.append(summary["preferences"].get(split, 0))
    return f"<tr><td>{split}</td>" + "".join(f"<td>{_number(cell)}</td>" for cell in cells) + "</tr>"


def _slices(summary: Mapping[str, Any]) -> str:
    held = {split: summary["examples"][split]["slices"] for split in ("train", "validation")}
    held["golden"] = summary["golden"]["slices"]
    names = sorted({name for counts in held.values() for name in counts})
    return "".join(
        f"<tr><td>{escape(name)}</td>" + "".join(_share(held[split], name) for split in SPLITS) + "</tr>"
        for name in names
    )


def _share(counts: Mapping[str, int], name: str) -> str:
    share = counts.get(name, 0) / max(1, sum(counts.values()))
    bar = f'<span class="bar" style="width: {6 * share:.2f}rem"></span>'
    return f"<td>{bar} {100 * share:.0f}% ({_number(counts.get(name, 0))})</td>"


def _left_out(summary: Mapping[str, Any]) -> str:
    parts = [f"{each['count']} ({reason})" for reason, each in summary["left_out"].items() if each["count"]]
    parts += [f"{each['count']} from training ({why})" for why, each in summary["kept_from_training"].items()]
    if summary["not_trainable"]["count"]:
        parts.append(f"{summary['not_trainable']['count']} from training alone (no passage holds the answer)")
    return f"Questions: {', '.join(parts)}. summary.json names them." if parts else "No question was left out."


def _feedback(held: Mapping[str, Any]) -> str:
    if not held["lines"]:
        return "There was none."
    told = (
        f"{held['lines']} lines, {held['used']} of them used, {len(held['sent_again'])} sent again; "
        f"{held['folded']} asked what another line asks, "
        f"{held['decided_by_majority']} questions on which people disagreed were decided by their number."
    )
    parts = [f"{each['count']} ({reason})" for reason, each in held["left_out"].items()]
    return f"{told} Left out: {', '.join(parts)}. summary.json names them." if parts else told


def _personal(held: Mapping[str, Any]) -> str:
    rows = [
        (split, where, held[split][part])
        for split in SPLITS
        for part, where in (("passages", "passages shown"), ("questions", "questions and answers"))
        if split in held and not (split == "golden" and part == "passages")
    ]
    return "".join(
        f"<tr><td>{split}</td><td>{where}</td>"
        + "".join(f"<td>{_number(counts.get(kind, 0))}</td>" for kind in PERSONAL)
        + "</tr>"
        for split, where, counts in rows
    )


def _licences(held: Mapping[str, Mapping[str, int]]) -> str:
    return "".join(
        f"<tr><td>{escape(name)}</td>"
        + "".join(f"<td>{_number(counts.get(split, 0))}</td>" for split in SPLITS)
        + "</tr>"
        for name, counts in held.items()
    )


def _some(examples: Sequence[Example]) -> Sequence[Example]:
    """A few from all over, the same ones every time."""
    step = max(1, len(examples) // SHOWN)
    return examples[::step][:SHOWN]


def _example(each: Example) -> str:
    question = each.messages[-2].content.rsplit("\n\n", 1)[-1].removeprefix("Question: ")
    cells = (each.split, question, each.messages[-1].content, each.document, each.origin)
    return "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>"


def _number(value: int | str) -> str:
    return f"{value:,}" if isinstance(value, int) else value
