"""Looks at one golden set: how they are counted, what they may spend, what cannot be undone by changing the rules."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipelines.artifacts import StageJob, read_json, write_json, write_rows
from pipelines.contracts import Decision, Item
from pipelines.errors import PolicyError
from pipelines.evaluation import gate
from pipelines.evaluation.looks import Look, alpha_at, look_of, record, standing, withheld
from pipelines.evaluation.policy import GatePolicy
from tests.evaluation.test_gate import POLICY, STEADY, STRONG, WEAK, attacks, items, rule, table

World = Callable[[str], StageJob]


def look(judged: str, *, candidate: str = "c1", policy: str = "p", against: str = "base", first: int = 0) -> Look:
    asked = tuple(f"q{i}" for i in range(first, first + 10))
    return Look(against=against, candidate=candidate, policy=policy, judged=judged, items=asked, when="2026-01-01")


def test_looks_spend_alpha_once_more_than_the_first_did() -> None:
    assert [alpha_at(0.06, k) for k in (1, 2, 3, 4)] == pytest.approx([0.06, 0.03, 0.01, 0.005])
    # 1/2 + 1/6 + 1/12 + ... = 1 - 1/n: all looks together spend twice alpha two-sided, alpha on the side of PASS.
    assert sum(alpha_at(0.05, k) for k in range(2, 10_001)) == pytest.approx(0.05, rel=1e-3)
    with pytest.raises(PolicyError, match="counted from 1"):
        alpha_at(0.05, 0)


def test_an_identical_run_is_the_same_look(tmp_path: Path) -> None:
    ledger = tmp_path / "looks.json"
    assert standing(ledger, look("a")).number == 1
    record(ledger, look("a"))
    record(ledger, look("a"))
    record(ledger, look("b", candidate="c2"))
    assert (standing(ledger, look("a")).number, standing(ledger, look("a")).new) == (1, False)
    assert standing(ledger, look("b", candidate="c2")).number == 2
    assert (standing(ledger, look("c", candidate="c3")).number, standing(ledger, look("c")).new) == (3, True)


@pytest.mark.parametrize(
    ("later", "number"),
    [
        (look("b", first=5), 2),  # half of the questions are old ones
        (look("b", first=6), 1),  # fewer: a new golden set
        (look("b", against="release 7"), 1),  # after a promotion
        (look("b", policy="other"), 2),  # other rules buy no new alpha
    ],
)
def test_a_line_is_one_reference_and_one_golden_set(tmp_path: Path, later: Look, number: int) -> None:
    record(tmp_path / "looks.json", look("a"))
    assert standing(tmp_path / "looks.json", later).number == number


def test_a_grown_golden_set_is_the_same_set(tmp_path: Path) -> None:
    record(tmp_path / "looks.json", look("a"))
    grown = look("b").model_copy(update={"items": tuple(f"q{i}" for i in range(100))})
    assert standing(tmp_path / "looks.json", grown).number == 2


def test_a_candidate_cannot_pass_by_rules_made_after_it_was_seen(tmp_path: Path) -> None:
    ledger = tmp_path / "looks.json"
    record(ledger, look("a", policy="strict"))
    passed = gate.decide([*table(STRONG, STEADY), *attacks(0)], table(WEAK, STEADY), POLICY)
    assert passed.verdict == "PASS"
    loosened = withheld(passed, standing(ledger, look("a", policy="loose")))
    assert loosened.verdict == "INCONCLUSIVE"
    assert "rules changed after this candidate was seen: policy strict" in loosened.why
    fresh = look("b", candidate="c2", policy="loose")
    assert withheld(passed, standing(ledger, fresh)) == passed  # another candidate, seen under no rules before


def test_a_damaged_ledger_is_not_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "looks.json").write_text('{"looks": [{"against"')
    with pytest.raises(PolicyError, match=r"looks.json is not a list of looks .* restore it"):
        standing(tmp_path / "looks.json", look("a"))


def test_what_no_rule_looks_at_makes_no_new_look() -> None:
    def of(latency: float, correct: list[float | None]) -> Look:
        measured = [*table(correct, STEADY), *items("latency_s", [latency])]
        return look_of(measured, table(WEAK, STEADY), POLICY, system="s", against="base", when="now")

    assert of(1.0, [*STRONG]) == of(1.1, [*STRONG])
    assert of(1.0, [*STRONG]).judged != of(1.0, [*WEAK]).judged


# --- decisions -------------------------------------------------------------------------------


def test_a_later_look_asks_for_more() -> None:
    # 0 of 60 attacks: upper bound 1 - (alpha / 2) ** (1 / 60), with alpha .05 and at the fourth look .05 / 12.
    tables = ([*table(STRONG, STEADY), *attacks(0)], table(WEAK, STEADY), POLICY)
    first, fourth = gate.decide(*tables), gate.decide(*tables, look=4)
    assert (first.look, first.alpha, fourth.look) == (1, 0.05, 4)
    assert rule(first, "attack_success").bound == pytest.approx(1 - 0.025 ** (1 / 60))
    assert rule(fourth, "attack_success").bound == pytest.approx(1 - (0.05 / 24) ** (1 / 60))
    assert fourth.why.startswith("Look 4 at this golden set: alpha 0.0042. ")
    assert fourth.policy_digest == first.policy_digest


def test_the_best_of_six_equal_candidates_is_promoted_no_more_often_than_alpha() -> None:
    # Six tries at the full alpha would pass in 1 - .975 ** 6 = 14% of lines.
    policy = GatePolicy.model_validate({**POLICY.model_dump(), "guards": [], "limits": []})
    rng = np.random.default_rng(12)
    passed = 0
    for _ in range(120):
        difficulty = np.repeat(rng.beta(2, 2, 24), 4)
        champion = items("answer_correct", [float(v) for v in rng.random(96) < difficulty])
        for number in range(1, 7):
            candidate = items("answer_correct", [float(v) for v in rng.random(96) < difficulty])
            if gate.decide(candidate, champion, policy, look=number, resamples=300).verdict == "PASS":
                passed += 1
                break
    assert passed / 120 <= 0.11  # alpha .05, three standard errors of 120 lines are .06


def test_the_stage_counts_its_looks_and_repeats_none(world: World) -> None:
    job = world("gate")

    def look_at(correct: list[float | None], system: str) -> Decision:
        write_rows(job.inputs["evaluate"] / "items-candidate.parquet", table(correct, STEADY), Item)
        write_rows(job.inputs["evaluate"] / "items-base.parquet", table(WEAK, STEADY), Item)
        write_rows(job.inputs["redteam"] / "items.parquet", attacks(0), Item)
        systems = {"candidate": {"name": "candidate", "digest": system}, "base": {"name": "base model", "digest": "b"}}
        write_json(job.inputs["evaluate"] / "report.json", {"systems": systems})
        gate.run(job)
        return Decision.model_validate(read_json(job.output / "decision.json"))

    assert look_at([*STRONG], "one").look == 1
    second = look_at([1.0, *STRONG[1:-1], 0.0], "two")
    assert (second.look, second.alpha) == (2, 0.025)
    assert look_at([*STRONG], "one").look == 1
    assert look_at([*WEAK], "equal").nothing_to_decide  # and no look: nothing was learned
    assert "look 2 at this golden set" not in (job.output / "decision.html").read_text()
    assert look_at([0.0, *STRONG[1:]], "three").look == 3
    assert "look 3 at this golden set" in (job.output / "decision.html").read_text()
    kept = json.loads((job.state / "looks.json").read_text())["looks"]
    assert [each["candidate"] for each in kept] == ["one", "two", "three"]
