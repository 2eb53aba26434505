"""Prompts over the same questions: paired, corrected, honest about what is not told apart; and through the door."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from pipelines import doors
from pipelines.cli import app
from pipelines.console import settle_vendors
from pipelines.contracts import Item
from pipelines.errors import SettingsError
from pipelines.evaluation.measure import Precision
from pipelines.evaluation.prompt_compare import Put, Said, Tried, compared, differing, headline
from pipelines.prompt_compare_doors import told_shortly
from pipelines.workspaces import Choices
from tests.chat_server import ChatServer

PRECISION = Precision(0.95, 400, 7)


def tried(name: str, right: list[int], tokens: int = 100) -> Tried:
    """A prompt that has these of 20 questions right, each about a document of its own."""
    items = [
        Item(item=f"q{n}", group=f"d{n}", slice="all", metric="answer_correct", value=float(n in right))
        for n in range(20)
    ]
    items += [
        Item(item=f"q{n}", group=f"d{n}", slice="all", metric="prompt_tokens", value=float(tokens + n % 3))
        for n in range(20)
    ]
    said = {f"q{n}": Said(text="yes" if n in right else "no", right=n in right) for n in range(20)}
    return Tried(name, items, said)


def test_a_prompt_that_is_right_where_the_other_is_wrong_is_better() -> None:
    (row, _) = compared([tried("a", [*range(10)]), tried("b", [*range(20)])], PRECISION)
    assert (row.metric, row.verdict, row.difference, row.n) == ("answer_correct", "better", 0.5, 20)
    # ten items differ, all one way: two-sided 2 / 2^10, by either test, since each item is its own document
    assert (row.only_first, row.only_second, row.mcnemar) == (0, 10, pytest.approx(2 / 2**10))
    assert row.p_value == pytest.approx(2 / 2**10)
    assert headline(row)["headline"] == "b is better than a"
    (back, _) = compared([tried("b", [*range(20)]), tried("a", [*range(10)])], PRECISION)
    assert (back.verdict, back.difference) == ("worse", -0.5)


def test_what_is_not_told_apart_says_from_where_on_and_with_how_many_it_would_be() -> None:
    (row, _) = compared([tried("a", [*range(10)]), tried("b", [*range(1, 13)])], PRECISION)
    # three items for b, one for a: p = 5/8 of sixteen sign patterns
    assert (row.verdict, row.only_first, row.only_second, row.p_value) == ("not told apart", 1, 3, pytest.approx(0.625))
    assert row.mde is not None
    assert row.mde > (row.difference or 0)
    assert row.items_needed is not None
    assert row.items_needed > 20
    told = headline(row)
    assert told["headline"] == "a and b are not told apart"
    assert f"about {row.items_needed:,} items like them" in told["detail"]


def test_alike_on_every_item_is_no_difference() -> None:
    (row, _) = compared([tried("a", [1, 2]), tried("b", [1, 2])], PRECISION)
    assert (row.verdict, row.difference, row.mde, row.items_needed) == ("no difference", 0.0, None, None)


def test_fewer_tokens_are_better() -> None:
    (_, row) = compared([tried("a", [1], tokens=900), tried("b", [1], tokens=100)], PRECISION)
    assert (row.metric, row.verdict, row.difference, row.mcnemar) == ("prompt_tokens", "better", -800.0, None)


def test_three_prompts_are_three_pairs_corrected_together() -> None:
    # a to b: six items one way, p = 2/64 = 0.031; with the two pairs beside it that is 0.031 * 2 after the smallest
    rows = [
        row
        for row in compared([tried("a", [*range(10)]), tried("b", [*range(16)]), tried("c", [*range(20)])], PRECISION)
        if row.metric == "answer_correct"
    ]
    assert [(row.first, row.second) for row in rows] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert rows[0].p_value == pytest.approx(2 / 2**6)
    assert rows[0].adjusted_p == pytest.approx(2 * 2 / 2**6)
    assert [row.verdict for row in rows] == ["not told apart", "better", "not told apart"]


def test_questions_whose_answers_differ_come_with_those_judged_differently_first() -> None:
    a, b = tried("a", [0, 1]), tried("b", [0])
    b = Tried("b", b.items, {**b.said, "q0": Said(text="yes, always", right=True)})
    put = [Put(id=f"q{n}", question="?", slice="all", expected=("yes",), document=None) for n in range(20)]
    found = differing([a, b], put)
    assert [(row["id"], row["parted"]) for row in found] == [("q1", True), ("q0", False)]
    assert found[0]["answers"]["b"]["text"] == "no"


# --- the door ---

TOPICS = ("leave", "travel", "laptop", "parking", "training", "visitor", "badge", "meal")
FRAME = {
    "version": 1,
    "passage": "{title}\n{text}",
    "user": "{passages}\n\nQuestion: {question}",
    "refusal": "No idea.",
}


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    """A served model that reads the passages where it is shown an example, and refuses otherwise."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def answer(prompt: str, _: Any) -> str:
        topic = next((t for t in TOPICS if f"Question: What is the {t} allowance?" in prompt), "")
        request = next(r for r in reversed(server.asked) if r["messages"][-1]["content"] == prompt)
        shown = len(request["messages"]) == 4  # system, an example's question and answer, the question
        return f"{10 + TOPICS.index(topic)} units" if topic and shown else "No idea."

    server = ChatServer(answer).start()
    yield server
    server.stop()


def written(at: Path, upstream: ChatServer) -> list[str]:
    """A workspace with eight documents, two prompts, questions and a suite; the options that name it."""
    settle_vendors()
    (at / "docs").mkdir()
    for n, topic in enumerate(TOPICS):
        text = f"# {topic.capitalize()}\n\nThe {topic} allowance is {10 + n} units a year.\n"
        (at / "docs" / f"{topic}.md").write_text(text)
    doors.build_index(Choices(at / "ws", sources=(str(at / "docs"),)))
    plain = {"name": "answer", "system": "Answer, or say: No idea.", **FRAME}
    example = {"passages": [{"title": "Parties", "text": "Parties end at ten."}], "question": "Until when?",
               "answer": "ten"}  # fmt: skip
    (at / "plain.yaml").write_text(yaml.safe_dump(plain))
    (at / "shown.yaml").write_text(yaml.safe_dump({**plain, "version": 2, "examples": [example]}))
    asked = [
        {"id": t, "question": f"What is the {t} allowance?", "answers": [f"{10 + n} units"], "document": f"{t}.md"}
        for n, t in enumerate(TOPICS)
    ]
    (at / "q.jsonl").write_text("\n".join(map(json.dumps, asked)) + "\n")
    items = [{"id": q["id"], "question": q["question"], "assert": [{"contains": q["answers"][0]}]} for q in asked]
    (at / "suite.yaml").write_text(yaml.safe_dump({"name": "s", "version": 1, "items": items}))
    served = {"engine": "openai", "base_url": upstream.url, "upstream_model": "m"}
    (at / "c.yaml").write_text(yaml.safe_dump({"generation": served, "retrieval": {"answerable_at_least": 0.0}}))
    return ["--workspace", str(at / "ws"), "--config", str(at / "c.yaml"), "--base", "--json"]


def test_prompts_are_compared_over_a_workspaces_index_and_the_second_time_costs_nothing(
    tmp_path: Path, upstream: ChatServer
) -> None:
    at = written(tmp_path, upstream)
    files = [str(tmp_path / "plain.yaml"), str(tmp_path / "shown.yaml")]
    page = tmp_path / "page.html"
    chosen = ["--questions", str(tmp_path / "q.jsonl"), "--html", str(page)]
    done = CliRunner().invoke(app, ["prompts", "compare", *files, *chosen, *at])
    assert done.exit_code == 0, done.exception
    found = json.loads(done.stdout)
    (verdict,) = found["verdicts"]
    # right on all eight against none: eight documents one way, p = 2 / 2^8
    assert (verdict["verdict"], verdict["headline"]) == ("better", "shown is better than plain")
    rows = {row["metric"]: row for row in found["comparisons"]}
    assert (rows["answer_correct"]["only_second"], rows["answer_correct"]["p_value"]) == (8, pytest.approx(2 / 2**8))
    assert rows["wrong_refusal_rate"]["verdict"] == "better"
    assert [each["asked_anew"] for each in found["prompts"]] == [8, 8]
    assert len(found["differing"]) == 8
    assert any(line.startswith("+examples:") for line in found["texts"][0]["lines"])
    text = page.read_text(encoding="utf-8")
    assert "shown is better than plain" in text
    assert "17 units" in text
    assert "://" not in text
    asked = len(upstream.asked)
    again = json.loads(CliRunner().invoke(app, ["prompts", "compare", *files, *chosen, *at]).stdout)
    assert len(upstream.asked) == asked
    assert [each["asked_anew"] for each in again["prompts"]] == [0, 0]
    # the same answers, put to a suite's assertions
    suite = ["--suite", str(tmp_path / "suite.yaml")]
    tested = json.loads(CliRunner().invoke(app, ["prompts", "compare", *files, *suite, *at]).stdout)
    assert (tested["primary"], tested["verdicts"][0]["verdict"]) == ("suite_pass", "better")
    assert not list((tmp_path / "ws").glob("*/report.json"))
    assert json.loads(CliRunner().invoke(app, ["releases", *at[:2], "--json"]).stdout) == {"releases": []}
    told = CliRunner().invoke(app, ["prompts", "compare", *files, *chosen, *at[:-1]]).stdout
    assert "every answer was kept from before" in told
    assert "Right behaviour" in told


def test_what_cannot_be_compared_is_said_before_anything_is_asked(tmp_path: Path) -> None:
    plain = {"name": "answer", "system": "Answer, or say: No idea.", **FRAME}
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({**plain, "version": 1 if name == "a" else 2}))
    files = [str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml")]
    at = ["--workspace", str(tmp_path / "ws")]
    for arguments, says in (
        (files, "hold the same prompt"),
        (files[:1], "two to 6"),
        ([files[0], str(tmp_path / "gone.yaml")], "no such prompt template"),
        ([*files, "--suite", "s.yaml", "--questions", "q.jsonl"], "one of --suite and --questions"),
    ):
        done = CliRunner().invoke(app, ["prompts", "compare", *arguments, *at])
        assert isinstance(done.exception, SettingsError)
        assert says in str(done.exception)


def test_prompts_are_called_by_as_little_of_their_path_as_tells_them_apart() -> None:
    assert told_shortly([Path("a/old.yaml"), Path("b/new.yaml")]) == ["old", "new"]
    assert told_shortly([Path("a/answer.yaml"), Path("b/answer.yaml")]) == ["a/answer", "b/answer"]
    deep = [Path("x/a/p/answer.yaml"), Path("x/b/p/answer.yaml"), Path("c/other.yaml")]
    assert told_shortly(deep) == ["a/p/answer", "b/p/answer", f"{Path.cwd().name}/c/other"]
    assert told_shortly([Path("a.yaml"), Path("a.yaml")]) == ["a.yaml", "a.yaml"]
