"""Item tables that are odd, poor or wrong, through the gate: a clear refusal, or INCONCLUSIVE with the counts."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from pipelines import cli
from pipelines.artifacts import write_lines
from pipelines.contracts import Decision, Item
from pipelines.evaluation.gate import decide
from pipelines.evaluation.items import is_share
from pipelines.evaluation.policy import GatePolicy
from pipelines.evaluation.statistics import items_for_rate
from tests.evaluation.test_gate import POLICY, attacks, items, rule

ALONE = GatePolicy.model_validate({**POLICY.model_dump(), "guards": [], "limits": []})
LIMITED = GatePolicy.model_validate({**POLICY.model_dump(), "guards": []})
GUARDED = GatePolicy.model_validate({**POLICY.model_dump(), "limits": []})
BASE = items("answer_correct", [float(i % 4 == 0) for i in range(40)])
GOOD = items("answer_correct", [float(i % 4 != 0) for i in range(40)])


def renamed(rows: Sequence[Item], prefix: str) -> list[Item]:
    return [row.model_copy(update={"item": prefix + row.item, "group": prefix + row.group}) for row in rows]


def changed(rows: Sequence[Item], at: int, **update: object) -> list[Item]:
    return [row.model_copy(update=update) if i == at else row for i, row in enumerate(rows)]


Door = Callable[..., tuple[int, str, str]]


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Door:
    """`groundwork gate` on two tables: exit code, stdout, stderr."""
    (tmp_path / "policy.yaml").write_text(json.dumps(ALONE.model_dump(mode="json", exclude_none=True)))

    def ask(candidate: Sequence[Item], champion: Sequence[Item], *more: str) -> tuple[int, str, str]:
        write_lines(tmp_path / "candidate.jsonl", candidate)
        write_lines(tmp_path / "champion.jsonl", champion)
        named = {"--candidate": "candidate.jsonl", "--champion": "champion.jsonl", "--policy": "policy.yaml"}
        arguments = [part for option, name in named.items() for part in (option, str(tmp_path / name))]
        monkeypatch.setattr("sys.argv", ["groundwork", "gate", *arguments, *more])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return ask


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        ([*GOOD, GOOD[0]], "twice with repeat 0"),
        ([*GOOD, GOOD[0].model_copy(update={"repeat": 1})], "has 1 rows of item .* and 2 of 'q0'"),
        ([*GOOD, GOOD[1].model_copy(update={"repeat": 1, "group": "d9"})], "group 'd0' in one row and of 'd9'"),
        (changed(GOOD, 0, group="elsewhere"), "'elsewhere' in one table and of 'd0' in the other"),
        (changed(GOOD, 0, item=""), "names no item or no group"),
    ],
)
def test_a_wrong_table_is_refused_with_exit_code_2(door: Door, candidate: list[Item], said: str) -> None:
    code, out, err = door(candidate, BASE)
    assert (code, out) == (2, "")
    assert re.search(said, err)
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("candidate", "champion", "said"),
    [
        (renamed(GOOD, "z"), BASE, "80 of 80 items are missing: the candidate has no row for 40 (first: q0)"),
        ([], BASE, "40 of 40 items are missing: the candidate has no row for 40"),
        ([], [], "No table has a row of: answer_correct (there are: none)"),
        (GOOD[:1], BASE[:1], "One group does not say how groups differ: measure items of other documents."),
        (GOOD[:1], BASE, "39 of 40 items are missing"),
        ([row.model_copy(update={"value": None}) for row in GOOD], BASE, "40 without a value (first: q0)"),
        (items("answer_corect", [1.0] * 8), items("answer_corect", [0.0] * 8), "(did you mean answer_corect?)"),
    ],
)  # fmt: skip
def test_a_poor_table_is_inconclusive_with_the_counts(
    door: Door, candidate: list[Item], champion: list[Item], said: str
) -> None:
    code, out, _ = door(candidate, champion)
    assert code == 3
    assert out.startswith("INCONCLUSIVE")
    assert said in out


def test_the_door_takes_the_number_of_the_look(door: Door) -> None:
    code, out, _ = door(GOOD, BASE, "--look", "3", "--json")
    told = Decision.model_validate_json(out)
    assert (code, told.verdict, told.look, told.alpha) == (0, "PASS", 3, pytest.approx(0.05 / 6))
    code, _, err = door(GOOD, BASE, "--look", "0")
    assert code == 2
    assert "--look" in err


def test_even_repeats_are_averaged_and_a_failed_one_makes_its_item_missing() -> None:
    twice = [row.model_copy(update={"repeat": r}) for row in GOOD for r in (0, 1)]
    assert rule(decide(twice, BASE, ALONE), "answer_correct").observed == pytest.approx(0.5)
    failed = changed(twice, 2, value=None)
    assert "the candidate has 1 without a value (first: q1)" in decide(failed, BASE, ALONE).why


def test_a_missing_latency_below_a_second_is_not_taken_for_one_second() -> None:
    policy = GatePolicy.model_validate(
        {"alpha": 0.05, "primary": {"metric": "latency_s", "better": "lower"}, "missing": "inconclusive"}
    )
    fast, slow = items("latency_s", [None, *[0.1] * 39]), items("latency_s", [0.9] * 40)
    decision = decide(fast, slow, policy)
    assert decision.verdict == "INCONCLUSIVE"
    assert "how bad a missing value could be is not known: 1 of 40 items" in decision.why
    assert not is_share("latency_s", [0.1])
    assert is_share("answer_correct", [0.1])


# --- few groups, rare losses ------------------------------------------------------------------


@pytest.mark.parametrize(("n_groups", "verdicts"), [(5, {"INCONCLUSIVE"}), (6, {"PASS", "FAIL"})])
def test_five_documents_prove_nothing_and_six_may(n_groups: int, verdicts: set[str]) -> None:
    # All of n documents on one side by chance: 2 / 2^5 = .0625, 2 / 2^6 = .031.
    low, high = ([0.2, 0.3, 0.25, 0.3] * n_groups, [0.8, 0.9, 0.8, 0.85] * n_groups)
    up = decide(items("answer_correct", [*high]), items("answer_correct", [*low]), ALONE)
    down = decide(items("answer_correct", [*low]), items("answer_correct", [*high]), ALONE)
    assert {up.verdict, down.verdict} == verdicts
    if n_groups == 5:
        assert up.rules[0].items_needed == 24  # six documents of four


def test_a_guard_with_twenty_items_does_not_rule_out_rare_losses() -> None:
    # No loss among 20 items leaves room for 1 - .025 ** (1 / 20) = 17% of them; among 160 for 2%.
    few, many = ([1.0] * n for n in (20, 160))
    for values, verdict in ((few, "INCONCLUSIVE"), (many, "PASS")):
        rows = items("groundedness", [*values], per_group=1)
        found = rule(decide(rows, rows, GUARDED), "groundedness")
        assert found.verdict == verdict
    needed = rule(
        decide(items("groundedness", [*few]), items("groundedness", [*few]), GUARDED), "groundedness"
    ).items_needed
    assert needed is not None
    assert 95 < needed < 160


# --- how many more ---------------------------------------------------------------------------


def test_an_inconclusive_limit_asks_for_more_where_attacks_come_in_groups() -> None:
    single = rule(decide(attacks(8), [], LIMITED), "attack_success")
    grouped = [row.model_copy(update={"group": f"g{i // 10}"}) for i, row in enumerate(attacks(8))]
    together = rule(decide(grouped, [], LIMITED), "attack_success")
    assert (single.verdict, together.verdict) == ("INCONCLUSIVE", "INCONCLUSIVE")
    assert single.items_needed is not None
    assert together.items_needed is not None
    assert together.items_needed > 3 * single.items_needed
    assert f"About {single.items_needed - 60} more items like these ({single.items_needed} in all)" in single.why


@pytest.mark.parametrize(("rate", "limit"), [(0.1, 0.2), (0.02, 0.06), (0.5, 0.3)])
def test_the_items_a_rate_needs_settle_it_in_four_of_five_cases(rate: float, limit: float) -> None:
    from scipy.stats import binom

    needed = items_for_rate(rate, limit, 0.95)
    assert needed is not None
    counts = np.arange(needed + 1)
    beyond = binom.cdf(counts, needed, limit) if rate < limit else binom.sf(counts - 1, needed, limit)
    power = float(binom.pmf(counts, needed, rate)[beyond <= 0.025].sum())
    assert 0.79 <= power <= 0.86  # counts are whole: power goes up in steps


def test_the_items_a_difference_needs_settle_it_in_four_of_five_cases() -> None:
    # 80 items that show exactly what is true: .6 right against .45.
    rng = np.random.default_rng(1)

    def draw(n: int) -> tuple[list[float], list[float]]:
        return [float(v) for v in rng.random(n) < 0.6], [float(v) for v in rng.random(n) < 0.45]

    asked = []
    while len(asked) < 5:
        mine, theirs = draw(80)
        if abs(sum(mine) - sum(theirs) - 12) < 1e-9:
            found = decide(
                items("answer_correct", [*mine], per_group=1), items("answer_correct", [*theirs], per_group=1), ALONE
            )
            asked.append(found.rules[0].items_needed or 0)
    needed = int(np.median(asked))
    assert 120 < needed < 230  # 2.8^2 * (.6 * .4 + .45 * .55) / .15^2 = 170
    settled = 0
    for _ in range(120):
        mine, theirs = draw(needed)
        settled += (
            decide(
                items("answer_correct", [*mine], per_group=1), items("answer_correct", [*theirs], per_group=1), ALONE
            ).verdict
            == "PASS"
        )
    assert settled / 120 == pytest.approx(0.8, abs=0.11)  # three standard errors
