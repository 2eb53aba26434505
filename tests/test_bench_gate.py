"""The gate's bench: its worlds are what they say, and its goals can be missed."""

import numpy as np
import pytest

from benchmarks import gate
from benchmarks.equal_systems import WORLDS, losses, successes, tables


@pytest.mark.parametrize("name", [name for name in WORLDS if name not in ("ties", "missing")])
def test_a_world_has_the_gain_it_says(name: str) -> None:
    world, rng = WORLDS[name].repeated(20), np.random.default_rng(1)
    drawn = [world.draw(world, 0.3, rng) for _ in range(4)]
    found = np.mean([np.mean(candidate - champion) for champion, candidate in drawn])
    assert found == pytest.approx(0.3, abs=0.06)


@pytest.mark.parametrize("kind", ["rare", "mixed", "graded", "documents"])
def test_a_losing_candidate_loses_just_the_margin(kind: str) -> None:
    champion, candidate = losses(kind, (8,) * 2000, 0.05, np.random.default_rng(2))
    assert np.mean(candidate - champion) == pytest.approx(-0.05, abs=0.015)


def test_attacks_succeed_at_their_rate_and_together() -> None:
    values = successes((8,) * 2000, 0.2, 0.3, np.random.default_rng(3)).reshape(-1, 8)
    assert values.mean() == pytest.approx(0.2, abs=0.02)
    # Variance of a group's mean: p (1 - p) (1 + 7 * .3) / 8.
    assert values.mean(axis=1).var() == pytest.approx(0.16 * 3.1 / 8, rel=0.1)


def test_missing_values_reach_the_tables() -> None:
    candidate, champion = tables(WORLDS["missing"], 0.0, np.random.default_rng(4))
    assert any(item.value is None for item in (*candidate, *champion))


def test_goals_are_missed_where_the_whole_interval_lies_beyond() -> None:
    good, bad = gate.share(20, 1000), gate.share(90, 1000)
    assert gate.goals({"equal": {"w": {"promoted": good}}})["false_promotion_met"]
    assert not gate.goals({"equal": {"w": {"promoted": good}, "v": {"promoted": bad}}})["false_promotion_met"]
    assert not gate.goals({"power": {"w": {"found": gate.share(700, 1000)}}})["power_met"]
