"""What votes come to: figures, files that the gate reads, and the sign-off of a release."""

import json
import random
from pathlib import Path

import pytest

from pipelines import doors, review_doors
from pipelines.contracts import Item
from pipelines.errors import DecisionError, QuestionFileError
from pipelines.evaluation.items import by_metric, read_items
from pipelines.evaluation.review_results import METRIC, export, results, told
from pipelines.evaluation.review_votes import Reviewed, Vote, queue, take
from pipelines.evaluation.statistics import wilson
from pipelines.settings import load
from pipelines.store import open_store
from pipelines.workspaces import Choices
from tests.release.candidates import candidate

ROUND = "r" * 64


def item(name: str, part: str = "a", **votes: str) -> Reviewed:
    answers = {side: {"text": side, "sources": []} for side in ("candidate", "reference")}
    rubric = {side: {"grounded": True, "correct": None} for side in ("candidate", "reference")}
    return Reviewed(
        item=name,
        group=name,
        slice=part,
        question="?",
        reference="base",
        wanted=2,
        answers=answers,
        votes=votes,
        rubrics=dict.fromkeys(votes, rubric),
    )


def test_ties_count_half_and_items_once() -> None:
    items = [
        item("1", ann="candidate", bob="candidate"),  # 1
        item("2", ann="candidate", bob="reference"),  # .5
        item("3", ann="tie", bob="candidate"),  # .75
        item("4", part="b", ann="reference"),  # 0, and open
        item("5", part="b"),  # nobody yet
    ]
    found = results(items, ROUND, confidence=0.95)
    assert found.preference.rate == pytest.approx((1 + 0.5 + 0.75 + 0) / 4)
    assert (found.preference.n, found.open, found.votes, found.reviewers) == (4, 2, 7, ("ann", "bob"))
    assert found.preference.low is not None and found.preference.high is not None
    assert found.preference.low < 0.5625 < found.preference.high
    assert [(each.slice, each.rate, each.n) for each in found.slices] == [("a", 0.75, 3), ("b", 0.0, 1)]
    # ann 1 1 .5, bob 1 0 1: agree on one of three; by chance (2*2 + 0 + 0)/9; (1/3 - 4/9)/(1 - 4/9) = -.2
    assert found.kappas[0].kappa == pytest.approx(-0.2)
    assert "2 open" in told(found)


def test_whoever_looks_after_every_vote_gets_an_interval_that_allows_for_it() -> None:
    items = [item(str(i), ann="candidate", bob="candidate" if i % 4 else "reference") for i in range(40)]
    whole = results(items, ROUND, confidence=0.95).anytime
    assert (whole.rate, whole.n) == (pytest.approx(0.875), 40)  # 30 of 40 are 1, 10 are a half
    assert whole.low is not None and whole.high is not None
    assert whole.low < 0.875 < whole.high
    # what is open ends the line, so that easy items that come early do not count before their turn
    cut = results([*items[:10], item("open", ann="reference"), *items[10:]], ROUND, confidence=0.95).anytime
    assert cut.n == 10
    assert cut.low is not None and cut.low < whole.low
    assert results([item("1", ann="tie")], ROUND, confidence=0.95).anytime.n == 0


def test_equal_systems_seldom_look_better_to_those_who_look_after_every_item() -> None:
    rng = random.Random(7)
    fooled, fooled_by_the_plain_one = 0, 0
    for _ in range(200):
        coins = ["candidate" if rng.random() < 0.5 else "reference" for _ in range(60)]
        items = [item(str(i), ann=coin, bob=coin) for i, coin in enumerate(coins)]
        looks = [results(items[:n], ROUND, confidence=0.95) for n in range(10, 61, 10)]
        fooled += any((look.anytime.low or 0) > 0.5 or (look.anytime.high or 1) < 0.5 for look in looks)
        fooled_by_the_plain_one += any(
            (look.preference.low or 0) > 0.5 or (look.preference.high or 1) < 0.5 for look in looks
        )
    # 200 rounds at alpha .05: 10 expected at most; 17 or more have a probability of .03 or less
    assert fooled <= 16
    assert fooled_by_the_plain_one > fooled


def test_items_of_one_document_do_not_make_the_interval_narrow() -> None:
    # 10 documents of 6 items that are won or lost together are worth ten items
    alone = [item(str(i), ann="candidate" if i % 10 < 5 else "reference") for i in range(60)]
    together = [each.model_copy(update={"group": f"d{n % 10}"}) for n, each in enumerate(alone)]
    first, second = (results(items, ROUND, confidence=0.95).preference for items in (alone, together))
    assert (first.n, first.rate, first.low) == (60, 0.5, wilson(30, 60, 0.95)[0])
    assert second.low is not None
    assert second.low < wilson(5, 10, 0.95)[0]


def test_without_votes_nothing_is_a_figure() -> None:
    found = results([item("1")], ROUND, confidence=0.95)
    assert (found.preference.rate, found.preference.low, found.alpha_nominal) == (None, None, None)
    with pytest.raises(DecisionError, match="review fill"):
        results([], None, confidence=0.95)


def test_the_gate_reads_what_is_exported(tmp_path: Path) -> None:
    items = [item(str(i), ann="candidate", bob="tie" if i % 3 else "candidate") for i in range(60)]
    file, reference, labels = export(items, tmp_path / "human.jsonl")
    ours, theirs = (by_metric(read_items(each))[METRIC].values for each in (file, reference))
    assert ours["1"] == 0.75 and theirs["1"] == 0.25
    lines = [json.loads(line) for line in labels.read_text().splitlines()]
    assert len(lines) == 60 * 2 * 2
    assert lines[0] == {
        "item": "0",
        "system": "candidate",
        "question": "?",
        "answer": "candidate",
        "reviewer": "ann",
        "preference": "won",
        "grounded": True,
        "correct": None,
    }
    policy = tmp_path / "gate.yaml"
    policy.write_text(f"alpha: 0.05\nprimary: {{metric: {METRIC}, better: higher, by: 0.0}}\n")
    assert doors.gate(file, reference, policy, 1)["verdict"] == "PASS"
    assert doors.gate(reference, file, policy, 1)["verdict"] != "PASS"


def test_an_item_without_votes_has_a_row_without_a_value(tmp_path: Path) -> None:
    file, reference, _ = export([item("1")], tmp_path / "human.jsonl")
    absent = Item(item="1", group="1", slice="a", metric=METRIC, value=None)
    assert read_items(file) == read_items(reference) == [absent]


def answers(place: Path, n: int) -> None:
    """An answer table as stage evaluate writes it."""
    asked = {
        "kind": "question",
        "slice": "a",
        "gold": [],
        "answered": True,
        "correct": True,
        "wrong": [],
        "f1": None,
        "raw": "",
        "guardrail": None,
        "citations": [],
        "passages": [],
        "seconds": 0,
        "completion_tokens": 1,
    }
    rows = [
        {**asked, "system": system, "id": f"q{i}", "question": f"{i}?", "document": "d.md", "answer": f"{system} {i}"}
        for system in ("base", "candidate")
        for i in range(n)
    ]
    place.parent.mkdir(parents=True)
    place.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_sign_off_waits_for_every_item_and_is_of_this_evaluation(tmp_path: Path) -> None:
    answers(tmp_path / "evaluate" / "answers.jsonl", 3)
    store, choices = open_store(tmp_path / "state", None), Choices(tmp_path)
    release = candidate(store, tmp_path, "first")
    assert review_doors.fill(choices, items=2, seed=1, reviewers=1) == {"drawn": 2, "added": 2, "of": 3}
    with pytest.raises(DecisionError, match="2 of 2 items are open"):
        review_doors.sign_off(choices, release, by="lead", why="read")
    for each in queue(store, "ann")["items"]:
        take(store, Vote(item=each["id"], reviewer="ann", choice="left"))
    with pytest.raises(DecisionError, match="--why"):
        review_doors.sign_off(choices, release, by="lead", why=" ")
    done = review_doors.sign_off(choices, release, by="lead", why="read")
    assert done["line"]["kind"] == "human_review" and done["changed"]
    (tmp_path / "evaluate" / "answers.jsonl").unlink()
    (tmp_path / "evaluate").rename(tmp_path / "before")
    answers(tmp_path / "evaluate" / "answers.jsonl", 4)
    other = candidate(store, tmp_path, "second")
    with pytest.raises(DecisionError, match="of another evaluation"):
        review_doors.sign_off(choices, other, by="lead", why="read")
    store.close()


def test_without_an_evaluation_there_is_nothing_to_draw(tmp_path: Path) -> None:
    with pytest.raises(QuestionFileError, match="no evaluation"):
        review_doors.fill(Choices(tmp_path), items=2, seed=1, reviewers=1)


def test_the_console_has_a_port_of_its_own() -> None:
    servers = load(profile="local").servers
    assert len({servers.prefect_port, servers.mlflow_port, servers.review_port}) == 3
