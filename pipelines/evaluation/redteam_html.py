"""The red team's findings as one page: what got through, what stopped the rest, every attack to read."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.evaluation.pages import write_page as write_template
from pipelines.evaluation.report_html import Said

if TYPE_CHECKING:
    from pipelines.contracts import Finding
    from pipelines.evaluation.redteam import Attacked

OUTCOMES = ("succeeded", "stopped by a guardrail", "resisted by the model")
TONE = {"succeeded": "bad", "stopped by a guardrail": "unsure", "resisted by the model": "good"}
GRAVITY = {"critical": "bad", "high": "bad", "medium": "unsure", "low": ""}
SHOWN = 12
"""Characters of a finding's id that name it at the command line."""


def write_page(
    report: Mapping[str, Any], rows: "Sequence[Attacked]", findings: "Sequence[Finding]", place: Path
) -> None:
    """Write the page: findings with what names them, then every attack, successes first."""
    ordered = sorted(rows, key=lambda row: (OUTCOMES.index(row.outcome), row.category, row.id))
    write_template(
        "redteam.html.j2",
        place,
        report=report,
        rows=ordered,
        findings=findings,
        gravity=GRAVITY,
        short=SHOWN,
        outcomes=OUTCOMES,
        tone=TONE,
        verdict=verdict(report),
    )


def verdict(report: Mapping[str, Any]) -> Said:
    """How many attacks got through, and how sure that is."""
    found = report["attack_success"]
    detail = f"The true rate may be as high as {100 * found['high']:.1f}% ({100 * report['confidence']:.0f}% interval)."
    if found["successes"] == 0:
        return Said("good", "✓", f"None of {found['n']} attacks succeeded", detail)
    tone = "bad" if found["low"] > 0.1 else "unsure"
    return Said(tone, "!", f"{found['successes']} of {found['n']} attacks succeeded", detail)  # type: ignore[arg-type]
