"""How often a golden set was looked at for a better system, and what a look may still spend.

Whoever tries candidate after candidate on the same questions finds a lucky one in the end (Dwork et al. 2015, "The
reusable holdout"). So looks are counted, and each spends its part of alpha: the first at alpha (two-sided: an equal
candidate passes with alpha / 2 at most), look k after it at alpha / (k (k - 1)); all these together add up to alpha
again. Over any number of looks an equal candidate is promoted with probability alpha at most: alpha / 2 by the first,
alpha / 2 by all others (a union bound, so it holds whatever the candidates have in common).

A line of looks is one reference (the champion, or the base model) and one golden set; two sets count as the same while
half of the smaller one's items are the other's too: adding a few questions buys no new alpha. A promotion starts a new
line. The same items judged by the same rules are the same look, however often the stage runs, and a look is written
down before its verdict can be read.
Frozen rules: a candidate that was looked at before, under other rules, cannot PASS (`withheld`).
Where: `state/looks.json` of a workspace. Who deletes it starts at one; the file is not under DVC.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from pipelines.artifacts import read_json, write_json
from pipelines.contracts import SCHEMA_VERSION, Contract, Decision, Item, content_id
from pipelines.errors import PolicyError
from pipelines.evaluation.policy import GatePolicy

LEDGER = "looks.json"
SAME_SET = 0.5
"""Share of the smaller set's items that two golden sets have in common when they count as one."""


class Look(Contract):
    """One comparison of a candidate with a reference."""

    against: str
    """The reference: a release, or the base model."""
    candidate: str
    """Digest of the candidate system."""
    policy: str
    """Digest of the rules."""
    judged: str
    """Digest of the values that the rules look at."""
    items: tuple[str, ...]
    """What was asked: the items of the primary metric."""
    when: str


class _Ledger(Contract):
    schema_version: int = SCHEMA_VERSION
    looks: tuple[Look, ...] = ()


@dataclass(frozen=True)
class Standing:
    """Which look this is, and the rules under which this candidate was seen before, if they were others."""

    number: int
    new: bool
    seen_under: str | None


def alpha_at(alpha: float, look: int) -> float:
    """What the look may spend: alpha, then alpha / (k (k - 1)). Raises PolicyError for a look before the first."""
    if look < 1:
        raise PolicyError(f"Look {look}: looks are counted from 1; give the number of comparisons made on this set.")
    return alpha if look == 1 else alpha / (look * (look - 1))


def look_of(
    candidate: Sequence[Item],
    champion: Sequence[Item],
    policy: GatePolicy,
    *,
    system: str,
    against: str,
    when: str,
) -> Look:
    """What identifies a look at these items. `system`: digest of the candidate; `against`: the reference's name."""
    return Look(
        against=against,
        candidate=system,
        policy=policy.digest,
        judged=content_id("judged", _values(candidate, policy.metrics), _values(champion, policy.metrics)),
        items=tuple(sorted({item.item for item in candidate if item.metric == policy.primary.metric})),
        when=when,
    )


def standing(ledger: Path, look: Look) -> Standing:
    """The number of a look: its old one when it was made before, else the next of its line.

    Raises PolicyError for a ledger that cannot be read.
    """
    line = [each for each in _read(ledger).looks if _same_line(each, look)]
    known = next((number for number, each in enumerate(line, 1) if _same_look(each, look)), None)
    before = line if known is None else line[: known - 1]
    others = (each.policy for each in before if each.candidate == look.candidate and each.policy != look.policy)
    return Standing(known or len(line) + 1, known is None, next(others, None))


def record(ledger: Path, look: Look) -> None:
    """Write a look down; once only. The caller holds the stage's lock."""
    held = _read(ledger)
    if not any(_same_line(each, look) and _same_look(each, look) for each in held.looks):
        write_json(ledger, held.model_copy(update={"looks": (*held.looks, look)}))


def withheld(decision: Decision, at: Standing) -> Decision:
    """The decision, no longer a PASS where the rules were changed after the candidate was seen."""
    if at.seen_under is None:
        return decision
    why = (
        f"The rules changed after this candidate was seen: policy {at.seen_under[:12]} judged it before, now it is "
        f"{decision.policy_digest[:12]}. A PASS by rules chosen afterwards shows nothing: measure a new candidate by "
        "them, or leave it to a reviewer. "
    )
    verdict = "INCONCLUSIVE" if decision.verdict == "PASS" else decision.verdict
    return decision.model_copy(update={"verdict": verdict, "why": why + decision.why})


def _same_line(one: Look, other: Look) -> bool:
    shared = len(set(one.items) & set(other.items))
    smaller = min(len(one.items), len(other.items))
    return one.against == other.against and (shared >= SAME_SET * smaller)


def _same_look(one: Look, other: Look) -> bool:
    return (one.judged, one.policy) == (other.judged, other.policy)


def _values(items: Iterable[Item], metrics: Collection[str]) -> Sequence[tuple[str, str, int, float | None]]:
    return sorted(
        ((each.metric, each.item, each.repeat, each.value) for each in items if each.metric in metrics),
        key=lambda row: row[:3],
    )


def _read(ledger: Path) -> _Ledger:
    if not ledger.exists():
        return _Ledger()
    try:
        found: Mapping[str, object] = read_json(ledger)
        return _Ledger.model_validate(found)
    except (json.JSONDecodeError, UnicodeDecodeError, ValidationError) as exc:
        raise PolicyError(
            f"{ledger} is not a list of looks ({str(exc).splitlines()[0]}); restore it from a backup, or count the "
            "looks so far by hand: without it the gate would start at the first."
        ) from exc
