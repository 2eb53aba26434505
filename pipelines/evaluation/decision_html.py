"""A decision as a page: the verdict, and each rule with what was seen and what was asked."""

from pathlib import Path

from jinja2 import Environment

from pipelines.artifacts import write_text
from pipelines.contracts import Decision
from pipelines.evaluation.policy import GatePolicy

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Gate: {{ decision.verdict }}</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid #8886; }
.PASS { color: #1a7f37; } .FAIL { color: #c62828; } .INCONCLUSIVE { color: #9a6700; }
</style>
<h1 class="{{ decision.verdict }}">{{ decision.verdict }}</h1>
<p>{{ decision.why }}</p>
<p>{{ decision.candidate }} against {{ decision.against }}, alpha {{ policy.alpha }}.</p>
<table><tr><th>Rule<th>Metric<th>Observed<th>Bound<th>Required<th>n<th>Verdict<th>Why</tr>
{% for rule in decision.rules %}<tr><td>{{ rule.rule }}<td>{{ rule.metric }}<td>{{ shown(rule.observed) }}<td>{{ shown(rule.bound) }}
<td>{{ shown(rule.required) }}<td>{{ rule.n }}<td class="{{ rule.verdict }}">{{ rule.verdict }}<td>{{ rule.why }}</tr>
{% endfor %}</table></html>
"""


def page(decision: Decision, policy: GatePolicy, place: Path) -> None:
    """Write the page, whole or not at all."""
    template = Environment(autoescape=True).from_string(PAGE)
    write_text(place, template.render(decision=decision, policy=policy, shown=_shown))


def _shown(value: float | None) -> str:
    return "no data" if value is None else f"{value:.3f}"
