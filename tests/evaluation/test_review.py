"""The queue and its votes: blind, stratified, idempotent, superseding."""

import json
from pathlib import Path

import pytest
from sqlalchemy import func, select

from pipelines.contracts import content_id
from pipelines.errors import DecisionError
from pipelines.evaluation.review_queue import Pair, left_of, sampled
from pipelines.evaluation.review_votes import Vote, Withdrawal, fill, newest_round, queue, reviewed, take, withdraw
from pipelines.store import ReviewVoteRow, Store, open_store

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


def pair(i: int, part: str = "a", answer: str | None = None) -> Pair:
    answers = {
        "candidate": {"text": answer or f"new {i}", "sources": [{"uri": "doc.md", "text": "cited"}]},
        "reference": {"text": f"old {i}", "sources": []},
    }
    return Pair("r" * 64, f"q{i}", f"d{i}", part, f"Question {i}?", "base", answers)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path, None)


def test_a_sample_keeps_the_slices_and_follows_its_seed() -> None:
    pairs = [pair(i, "a" if i < 80 else "b") for i in range(100)]
    chosen = sampled(pairs, items=10, seed=3)
    # 80 and 20 of 100, ten places: 8 and 2
    assert sorted(each.slice for each in chosen) == ["a"] * 8 + ["b"] * 2
    assert chosen == sampled(list(reversed(pairs)), items=10, seed=3)
    assert chosen != sampled(pairs, items=10, seed=4)
    assert len(sampled(pairs, items=500, seed=3)) == 100


def test_sides_are_by_seed_and_item_and_hidden(store: Store) -> None:
    pairs = [pair(i) for i in range(40)]
    sides = [left_of(7, each.item) for each in pairs]
    assert 8 < sides.count("candidate") < 32
    fill(store, pairs, seed=7, reviewers=2)
    told = queue(store, "ann")
    for side, item in zip(sides, told["items"], strict=True):
        assert item["left"]["text"].startswith("new" if side == "candidate" else "old")
    assert (
        "candidate" not in json.dumps(told) and "reference" not in json.dumps(told) and "base" not in json.dumps(told)
    )


def test_filling_twice_adds_nothing(store: Store) -> None:
    pairs = [pair(i) for i in range(3)]
    assert fill(store, pairs, seed=7, reviewers=2) == 3
    assert fill(store, pairs, seed=8, reviewers=2) == 0


def test_a_later_vote_supersedes_and_the_same_is_one(store: Store) -> None:
    fill(store, [pair(1)], seed=7, reviewers=2)
    item = pair(1).id
    assert take(store, Vote(item=item, reviewer="ann", choice="left"))
    assert not take(store, Vote(item=item, reviewer="ann", choice="left"))
    assert take(store, Vote(item=item, reviewer="ann", choice="right"))
    right = {"candidate": "reference", "reference": "candidate"}[left_of(7, "q1")]
    assert reviewed(store, newest_round(store))[0].votes == {"ann": right}
    assert withdraw(store, Withdrawal(item=item, reviewer="ann"))
    assert not withdraw(store, Withdrawal(item=item, reviewer="ann"))
    assert reviewed(store, newest_round(store))[0].votes == {}
    with store.reading() as session:  # left, right, withdrawn: nothing was taken away
        assert session.scalar(select(func.count()).select_from(ReviewVoteRow)) == 3


def test_fewer_reviewers_come_first_and_enough_are_enough(store: Store) -> None:
    fill(store, [pair(1), pair(2)], seed=7, reviewers=1)
    take(store, Vote(item=pair(1).id, reviewer="ann", choice="tie"))
    assert [each["id"] for each in queue(store, "bob")["items"]] == [pair(2).id]
    with pytest.raises(DecisionError, match="has its reviewers"):
        take(store, Vote(item=pair(1).id, reviewer="bob", choice="tie"))
    with pytest.raises(DecisionError, match="no such item"):
        take(store, Vote(item=content_id("other"), reviewer="bob", choice="tie"))


def test_a_queue_without_items_is_empty(store: Store) -> None:
    assert queue(store, "ann") == {"items": [], "done": 0, "total": 0}
