"""The gate's decision as one small page."""

from pathlib import Path

from pipelines.contracts import Decision, Rule
from pipelines.evaluation.pages import write_page
from pipelines.evaluation.policy import GatePolicy
from pipelines.evaluation.report_html import Said

TONE = {"PASS": "good", "FAIL": "bad", "INCONCLUSIVE": "unsure"}


def page(decision: Decision, policy: GatePolicy, place: Path) -> None:
    """Write the page of a decision."""
    write_page(
        "decision.html.j2", place, decision=decision, policy=policy, verdict=verdict(decision), tone=TONE, asked=asked
    )


def verdict(decision: Decision) -> Said:
    """The verdict in a sentence."""
    if decision.nothing_to_decide:
        return Said("unsure", "=", f"{decision.verdict}: nothing to decide", decision.why)
    said = {
        "PASS": Said("good", "✓", "PASS: every rule holds", "The release may go to a reviewer."),
        "FAIL": Said("bad", "✕", "FAIL: a rule is broken", "The release is kept as rejected and cannot be approved."),
        "INCONCLUSIVE": Said(
            "unsure", "?", "INCONCLUSIVE: the data do not settle every rule", "A reviewer may approve it, knowing that."
        ),
    }
    return said[decision.verdict]


def asked(rule: Rule, policy: GatePolicy) -> str:
    """What a rule asks, in words."""
    if rule.rule == "primary":
        return f"better by more than {100 * rule.required:g} points"
    if rule.rule == "guard":
        return f"not worse by {-100 * rule.required:g} points"
    limit = next(limit for limit in policy.limits if limit.metric == rule.metric)
    return f"{'at most' if limit.at_most is not None else 'at least'} {rule.required:g}"
