"""A comparison of prompts as one page: their texts, the figures, and the questions whose answers differ, side by side.

Invariant: the page says what the report says, and fetches nothing.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.evaluation.labels import label
from pipelines.evaluation.pages import write_page as write_template
from pipelines.evaluation.prompt_compare import COSTS, amount
from pipelines.evaluation.report_html import lookup

MOST = 400
"""Questions on the page, those judged differently first."""
KIND = {"+": "plus", "-": "minus", "@": "at"}
TONES = {"better": "good", "worse": "bad", "not told apart": "unsure", "no difference": ""}


def write_page(report: Mapping[str, Any], place: Path) -> None:
    """Write the page of a report."""
    texts = [
        {**text, "lines": [(KIND.get(line[:1], ""), line) for line in text["lines"][2:]]} for text in report["texts"]
    ]
    write_template(
        "prompts.html.j2",
        place,
        report=report,
        names=[each["name"] for each in report["prompts"]],
        metrics=list(dict.fromkeys(row["metric"] for row in report["comparisons"])),
        m=lookup(report["figures"], "system", "metric"),
        pairs=[(v["first"], v["second"]) for v in report["verdicts"]],
        c=lookup(report["comparisons"], "first", "second", "metric"),
        texts=texts,
        rows=report["differing"][:MOST],
        left_out=max(0, len(report["differing"]) - MOST),
        costs=COSTS,
        amount=amount,
        said=label,
        tones=TONES,
    )
