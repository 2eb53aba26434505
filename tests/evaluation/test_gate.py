"""What a gate claims, on item tables whose right verdict is known."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.artifacts import write_lines, write_rows
from pipelines.contracts import Decision, Item, Rule
from pipelines.errors import PolicyError, QuestionFileError
from pipelines.evaluation.gate import decide, decide_tables, load_policy, read_items
from pipelines.evaluation.items import suite_of
from pipelines.evaluation.policy import GatePolicy, load_targets
from pipelines.settings import ROOT

POLICY = GatePolicy.model_validate(
    {
        "alpha": 0.05,
        "primary": {"metric": "answer_correct", "better": "higher", "by": 0.0},
        "guards": [{"metric": "groundedness", "better": "higher", "margin": 0.03}],
        "limits": [{"metric": "attack_success", "at_most": 0.20}],
    }
)


def items(metric: str, values: list[float | None], *, per_group: int = 4) -> list[Item]:
    return [
        Item(item=f"q{i}", group=f"d{i // per_group}", slice="all", metric=metric, value=value)
        for i, value in enumerate(values)
    ]


def attacks(successes: int, of: int = 60) -> list[Item]:
    return [
        Item(item=f"a{i}", group=f"a{i}", slice="jailbreak", metric="attack_success", value=float(i < successes))
        for i in range(of)
    ]


def table(correct: list[float | None], grounded: list[float | None]) -> list[Item]:
    return [*items("answer_correct", correct), *items("groundedness", grounded)]


def rule(decision: Decision, metric: str) -> Rule:
    return next(rule for rule in decision.rules if rule.metric == metric)


WEAK, STRONG = [1.0, 0, 0, 0] * 40, [1.0, 1, 0, 1] * 40
STEADY = [0.9, 0.8, 1.0, 0.9] * 40


def test_a_better_grounded_and_safe_candidate_passes() -> None:
    decision = decide([*table(STRONG, STEADY), *attacks(0)], table(WEAK, STEADY), POLICY)
    assert decision.verdict == "PASS"
    assert [r.verdict for r in decision.rules] == ["PASS"] * 3
    # 0 of 60: the upper bound is 1 - 0.025 ** (1 / 60)
    assert rule(decision, "attack_success").bound == pytest.approx(1 - 0.025 ** (1 / 60))
    assert rule(decision, "answer_correct").observed == pytest.approx(0.5)


def test_a_worse_candidate_fails() -> None:
    decision = decide([*table(WEAK, STEADY), *attacks(0)], table(STRONG, STEADY), POLICY)
    assert decision.verdict == "FAIL"
    assert rule(decision, "answer_correct").verdict == "FAIL"


def test_equal_systems_leave_nothing_to_decide() -> None:
    decision = decide([*table(WEAK, STEADY), *attacks(0)], table(WEAK, STEADY), POLICY)
    assert decision.verdict == "INCONCLUSIVE"
    assert decision.nothing_to_decide


def test_ungrounded_gains_fail_the_guard() -> None:
    loose = [value - 0.3 for value in STEADY]
    decision = decide([*table(STRONG, loose), *attacks(0)], table(WEAK, STEADY), POLICY)
    assert rule(decision, "groundedness").verdict == "FAIL"
    assert decision.verdict == "FAIL"


@pytest.mark.parametrize(
    ("successes", "verdict"),
    [
        (5, "PASS"),  # upper bound .184
        (6, "INCONCLUSIVE"),  # .205
        (18, "INCONCLUSIVE"),  # lower bound .188
        (19, "FAIL"),  # .203
    ],
)
def test_a_limit_is_judged_by_exact_bounds(successes: int, verdict: str) -> None:
    decision = decide([*table(STRONG, STEADY), *attacks(successes)], table(WEAK, STEADY), POLICY)
    found = rule(decision, "attack_success")
    from scipy.stats import binomtest

    low, high = binomtest(successes, 60).proportion_ci(0.95, method="exact")
    assert verdict == ("PASS" if high <= 0.2 else "FAIL" if low > 0.2 else "INCONCLUSIVE")
    assert found.verdict == verdict
    assert found.bound == pytest.approx(low if verdict == "FAIL" else high)


def test_an_inconclusive_rule_says_how_many_items_would_settle_it() -> None:
    rng = np.random.default_rng(1)
    champion = [float(v) for v in rng.random(80) < 0.5]
    candidate = [float(v) for v in rng.random(80) < 0.55]
    found = rule(decide([*table(candidate, STEADY[:80]), *attacks(0)], table(champion, STEADY[:80]), POLICY),
                 "answer_correct")  # fmt: skip
    assert found.verdict == "INCONCLUSIVE"
    assert found.items_needed is not None
    assert found.items_needed > 80
    assert found.mde is not None
    assert found.mde > abs(found.observed or 0)


def test_lower_is_better_turns_the_sign() -> None:
    policy = POLICY.model_copy(
        update={"primary": POLICY.primary.model_copy(update={"metric": "latency_s", "better": "lower"}), "guards": ()}
    )
    rng = np.random.default_rng(2)
    fast, slow = list(rng.normal(2.0, 0.3, 80)), list(rng.normal(3.0, 0.3, 80))
    decision = decide([*items("latency_s", fast), *attacks(0)], items("latency_s", slow), policy)
    assert decision.verdict == "PASS"
    assert rule(decision, "latency_s").observed == pytest.approx(1.0, abs=0.2)


def test_a_few_discordant_items_prove_nothing() -> None:
    # 4 items better, none worse: the bootstrap's lower bound is above 0, yet chance gives that 1 time in 8.
    champion = [0.0] * 40
    candidate = [1.0] * 4 + [0.0] * 36
    policy = POLICY.model_copy(update={"guards": (), "limits": ()})
    decision = decide(
        items("answer_correct", candidate, per_group=1), items("answer_correct", champion, per_group=1), policy
    )
    assert decision.verdict == "INCONCLUSIVE"


@pytest.mark.parametrize(("missing", "verdict"), [("inconclusive", "INCONCLUSIVE"), ("fail", "FAIL")])
def test_a_metric_without_data_follows_the_policy(missing: str, verdict: str) -> None:
    policy = POLICY.model_copy(update={"missing": missing})
    decision = decide(table(STRONG, STEADY), table(WEAK, STEADY), policy)
    assert rule(decision, "attack_success").verdict == verdict
    assert decision.verdict == verdict


def test_dropping_the_hard_items_gains_nothing() -> None:
    # The candidate is no better, but its wrong answers are missing: the pairs that are left all favour it.
    candidate: list[float | None] = [1.0 if value else None for value in WEAK]
    decision = decide([*table(candidate, STEADY), *attacks(0)], table(WEAK, STEADY), POLICY)
    assert rule(decision, "answer_correct").verdict == "INCONCLUSIVE"
    left_out = [item for item in table(candidate, STEADY) if item.value is not None]
    assert rule(decide([*left_out, *attacks(0)], table(WEAK, STEADY), POLICY), "answer_correct").verdict != "PASS"


def test_one_missing_item_does_not_stop_a_clear_verdict() -> None:
    candidate: list[float | None] = [None, *STRONG[1:]]
    decision = decide([*table(candidate, STEADY), *attacks(0)], table(WEAK, STEADY), POLICY)
    assert decision.verdict == "PASS"
    assert "1 of 160 items are missing" in rule(decision, "answer_correct").why


def test_one_group_can_show_nothing() -> None:
    policy = POLICY.model_copy(update={"guards": (), "limits": ()})
    decision = decide(items("answer_correct", [1.0] * 9, per_group=9), items("answer_correct", [0.0] * 9, per_group=9),
                      policy)  # fmt: skip
    assert decision.verdict == "INCONCLUSIVE"


def test_repeated_attacks_on_one_document_are_not_sixty_attacks() -> None:
    # 60 rows of 6 groups without a success: worth 6 items, upper bound 1 - .025 ** (1/6) = .46.
    grouped = [item.model_copy(update={"group": f"g{i // 10}"}) for i, item in enumerate(attacks(0))]
    found = rule(decide([*table(STRONG, STEADY), *grouped], table(WEAK, STEADY), POLICY), "attack_success")
    assert found.bound == pytest.approx(1 - 0.025 ** (1 / 6))
    assert found.verdict == "INCONCLUSIVE"


def test_equal_systems_pass_in_no_more_than_alpha_of_cases() -> None:
    policy = POLICY.model_copy(update={"guards": (), "limits": ()})
    rng = np.random.default_rng(3)
    verdicts = []
    for _ in range(300):
        difficulty = np.repeat(rng.beta(2, 2, 22), 6)
        first, second = rng.random(132) < difficulty, rng.random(132) < difficulty
        verdicts.append(
            decide(
                items("answer_correct", [float(v) for v in first], per_group=6),
                items("answer_correct", [float(v) for v in second], per_group=6),
                policy,
                resamples=300,
            ).verdict
        )
    # One side of alpha = .05 is .025; three standard errors over 300 cases are .027.
    assert verdicts.count("PASS") / 300 <= 0.052
    assert verdicts.count("FAIL") / 300 <= 0.052


def test_many_guards_do_not_fail_an_equal_candidate() -> None:
    # 12 guards at their very margin: uncorrected, one of them fails by chance in 1 - .975 ** 12 = 26% of cases.
    names = [f"m{i}" for i in range(12)]
    guards = [{"metric": name, "better": "higher", "margin": 0.05} for name in names]
    policy = GatePolicy.model_validate({**POLICY.model_dump(), "guards": guards, "limits": []})
    rng = np.random.default_rng(4)
    failed = 0
    for _ in range(40):
        mine = items("answer_correct", STRONG)
        theirs = items("answer_correct", WEAK)
        for name in names:
            noise = rng.normal(0.5, 0.2, (2, 60)).clip(0.1, 0.9)
            mine += items(name, list(noise[0] - 0.05), per_group=1)
            theirs += items(name, list(noise[1]), per_group=1)
        failed += decide(mine, theirs, policy, resamples=300).verdict == "FAIL"
    assert failed / 40 <= 0.15  # .025, three standard errors above


@given(st.lists(st.sampled_from([0.0, 1.0, None]), min_size=8, max_size=40), st.randoms())
def test_the_order_of_rows_changes_nothing(values: list[float | None], random: object) -> None:
    mine, theirs = items("answer_correct", values), items("answer_correct", [0.0] * len(values))
    policy = POLICY.model_copy(update={"guards": (), "limits": ()})
    shuffled = list(mine)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert decide(mine, theirs, policy, resamples=100) == decide(shuffled, theirs, policy, resamples=100)


# --- files -----------------------------------------------------------------------------------


def test_the_door_reads_parquet_and_json_lines_alike(tmp_path: Path) -> None:
    candidate = [*table(STRONG, STEADY), *attacks(0)]
    write_rows(tmp_path / "c.parquet", candidate, Item)
    write_lines(tmp_path / "c.jsonl", candidate)
    write_lines(tmp_path / "b.jsonl", table(WEAK, STEADY))
    policy = tmp_path / "policy.yaml"
    policy.write_text(json.dumps(POLICY.model_dump(mode="json")))
    first = decide_tables(tmp_path / "c.parquet", tmp_path / "b.jsonl", policy)
    second = decide_tables(tmp_path / "c.jsonl", tmp_path / "b.jsonl", policy)
    assert first.verdict == "PASS"
    assert first.rules == second.rules
    assert set(first.evidence) == {"candidate", "champion", "policy"}


def test_nan_is_missing_and_rows_may_leave_repeat_out(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"item": "a", "group": "g", "slice": "s", "metric": "m", "value": NaN}\n')
    assert read_items(tmp_path / "t.jsonl") == [Item(item="a", group="g", slice="s", metric="m", value=None)]


def test_a_head_that_names_the_suite_is_no_row_and_one_further_down_is_none(tmp_path: Path) -> None:
    row = '{"item": "a", "group": "g", "slice": "s", "metric": "m", "value": 1}\n'
    (tmp_path / "t.jsonl").write_text('\ufeff\n{"suite": "abc"}\n' + row)
    assert (len(read_items(tmp_path / "t.jsonl")), suite_of(tmp_path / "t.jsonl")) == (1, "abc")
    (tmp_path / "t.jsonl").write_text(row)
    assert suite_of(tmp_path / "t.jsonl") is None
    for twice in ('{"suite": "abc"}\n{"suite": "abc"}\n', row + '{"suite": "abc"}', '{"suite": ""}\n'):
        (tmp_path / "t.jsonl").write_text(twice)
        with pytest.raises(QuestionFileError, match=r"line \d: "):
            read_items(tmp_path / "t.jsonl")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('{"item": "a", "group": "g", "slice": "s", "metric": "m", "value": 1}\n' * 2, "twice"),
        ('{"item": "a", "group": "g", "slice": "s", "metric": "m", "value": Infinity}', "infinite"),
        ('{"item": "a", "group": "g", "metric": "m", "value": 1}', "line 1: slice"),
        ("not json", "line 1"),
    ],
)
def test_a_bad_item_table_is_refused_with_the_reason(tmp_path: Path, lines: str, said: str) -> None:
    (tmp_path / "t.jsonl").write_text(lines)
    with pytest.raises(QuestionFileError, match=said):
        read_items(tmp_path / "t.jsonl")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"alpha": 0.7}, "alpha"),
        ({"alpha": "5%"}, "alpha: .*not a number"),
        ({"limits": [{"metric": "m"}]}, "either at_most or at_least"),
        ({"guards": [{"metric": "m", "better": "higher", "margin": 0}]}, "margin"),
        ({"guards": [{"metric": "m", "better": "higher", "margin": 0.1}] * 2}, "twice"),
        ({"primay": {}}, "primay"),
        ({"limits": [{"metric": "attack_success", "at_most": "target"}]}, "no targets were given"),
    ],
)
def test_a_bad_policy_is_refused_with_the_field(tmp_path: Path, change: dict[str, object], said: str) -> None:
    place = tmp_path / "policy.yaml"
    place.write_text(json.dumps({**POLICY.model_dump(mode="json", exclude_none=True), **change}))
    with pytest.raises(PolicyError, match=said):
        load_policy(place)


def test_the_committed_policy_takes_its_limits_from_the_targets() -> None:
    targets = load_targets(ROOT / "configs" / "targets.yaml")
    policy = load_policy(ROOT / "configs" / "policies" / "gate.yaml", targets)
    assert policy.primary.metric == "answer_correct"
    wanted = {t.metric: t.at_most if t.at_most is not None else t.at_least for t in targets}
    for limit in policy.limits:
        assert (limit.at_most if limit.at_most is not None else limit.at_least) == wanted[limit.metric]
