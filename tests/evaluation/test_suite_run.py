"""Suites put to real answer systems over stand-in engines, and once through the door to a workspace."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from pipelines import doors
from pipelines.cli import app
from pipelines.console import settle_vendors
from pipelines.errors import QuestionFileError
from pipelines.evaluation.items import read_items, write_items
from pipelines.evaluation.measure import Precision
from pipelines.evaluation.rubrics import JudgeItem
from pipelines.evaluation.suite_files import SuiteItem, load_suite_file
from pipelines.evaluation.suite_run import Asked, Given, run_suite
from pipelines.workspaces import Choices
from tests.chat_server import ChatServer
from tests.evaluation.conftest import WordFinder, system
from tests.fakes import EchoingEngine, ReadingEngine

RUBRIC = "configs/prompts/judge/correct.yaml"
PRECISION = Precision(0.95, 200, 7)


def item(name: str, question: str, *asserts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": name, "question": question, "assert": list(asserts), **more}


BADGE = item("badge", "What is the badge allowance?", {"contains": "16 units"}, {"cites": "d6.md"}, slice="number")
MOON = item("moon", "Who invented the meal moon rule?", {"refuses": True})
WRONG = item("meal", "What is the meal allowance?", {"contains": "99 units"}, {"max_words": 9}, slice="number")
ALIKE = item("alike", "What is the laptop allowance?", {"similarity": {"to": "12 units", "at_least": 0.9}})
JUDGED = item("judged", "What is the parking allowance?", {"judge": RUBRIC}, {"contains": "13"})


def ran(at: Path, *items: dict[str, Any], engine: Any = None, judge: Any = None, deterministic: bool = True) -> Any:
    (at / "suite.yaml").write_text(yaml.safe_dump({"name": "s", "version": 1, "items": list(items)}))
    answering = system(engine or ReadingEngine(), at)
    answering.kept = None

    def ask(asked: Sequence[SuiteItem], _: int) -> list[Given]:
        return [Given(answer, ("a passage",)) for answer in answering.answer([each.asked for each in asked])]

    return run_suite(
        load_suite_file(at / "suite.yaml"), Asked("candidate", ask, deterministic, WordFinder.encode, judge), PRECISION
    )


def test_each_assertion_is_counted_and_an_item_passes_when_all_hold(tmp_path: Path) -> None:
    found, table = ran(tmp_path, BADGE, MOON, WRONG, ALIKE)
    assert found["items"] == {"passed": 3, "failed": 1, "undecided": 0}
    assert found["slices"]["number"] == {"passed": 1, "failed": 1, "undecided": 0}
    assert found["assertions"]["contains"] == {"passed": 1, "failed": 1, "not_run": 0, "error": 0}
    assert found["assertions"]["similarity"]["passed"] == 1
    (failed,) = [result for result in found["results"] if result["outcome"] == "failed"]
    assert [check["why"] for check in failed["checks"]] == ['lacks "99 units"', ""]
    values = {row.item: row.value for row in table if row.metric == "suite_pass"}
    assert values == {"badge": 1.0, "moon": 1.0, "meal": 0.0, "alike": 1.0}
    (whole,) = [m for m in found["measurements"] if (m["metric"], m["slice"]) == ("suite_pass", "all")]
    assert (whole["value"], whole["n"]) == (0.75, 4)


def test_without_a_judge_its_assertion_is_not_run_and_the_item_not_passed(tmp_path: Path) -> None:
    found, table = ran(tmp_path, JUDGED)
    assert found["assertions"]["judge"] == {"passed": 0, "failed": 0, "not_run": 1, "error": 0}
    assert found["items"] == {"passed": 0, "failed": 0, "undecided": 1}
    assert {row.metric: row.value for row in table} == {
        "suite_pass": None,
        "assert_judge": None,
        "assert_contains": 1.0,
    }


@pytest.mark.parametrize(("verdict", "outcome"), [(True, "passed"), (False, "failed"), (None, "error")])
def test_a_judge_decides_and_one_without_a_verdict_is_an_error(
    tmp_path: Path, verdict: bool | None, outcome: str
) -> None:
    seen: list[JudgeItem] = []

    def judge(rubric: str, items: Sequence[JudgeItem]) -> list[bool | None]:
        assert rubric == RUBRIC
        seen.extend(items)
        return [verdict] * len(items)

    found, _ = ran(tmp_path, JUDGED, judge=judge)
    assert found["assertions"]["judge"][outcome] == 1
    assert (seen[0].answer, seen[0].contexts) == ("13 units", ("a passage",))


class Wavering(ReadingEngine):
    """Stands for an engine that samples: every second time it is asked it echoes."""

    def generate(self, conversations: Any, **more: Any) -> Any:
        if self.calls and self.calls % 2:
            self.calls += 1
            return EchoingEngine().generate(conversations, **more)
        return super().generate(conversations, **more)


def test_repeats_that_part_are_seen_and_greedy_ones_are_said_to_agree_by_construction(tmp_path: Path) -> None:
    repeated = BADGE | {"repeats": 4}
    found, table = ran(tmp_path, repeated, engine=Wavering(), deterministic=False)
    assert found["consistency"]["value"] == 0
    assert [row.value for row in table if row.metric == "suite_pass"] == [0.5]  # passes, fails, passes, fails
    assert found["items"]["failed"] == 1  # it passes when every repeat does
    engine = ReadingEngine()
    greedy, _ = ran(tmp_path, repeated, engine=engine)
    assert (greedy["consistency"]["value"], engine.calls) == (1, 1)
    assert "by construction" in greedy["consistency"]["note"]


def test_pairs_are_compared_by_mcnemars_exact_test(tmp_path: Path) -> None:
    # the reader knows an allowance by its name alone: of 7 pairs 6 pass for one variant only, none the other way
    items = []
    for n, topic in enumerate(("leave", "travel", "laptop", "parking", "training", "visitor", "badge")):
        asked = {"ana": f"What is the {topic} allowance?", "ben": f"What is the {topic} money?" if n else None}
        for variant, question in asked.items():
            stated = {"contains": f"{10 + n} units"}
            items.append(item(f"{topic}-{variant}", question or f"So, the {topic} allowance?", stated))
            items[-1] |= {"pair": topic, "variant": variant}
    found, table = ran(tmp_path, *items)
    assert found["pairs"]["passed_only"] == {"ana": 6, "ben": 0}
    assert found["pairs"]["difference"] == pytest.approx(6 / 7)
    assert found["pairs"]["p_value"] == pytest.approx(2 / 2**6)  # two-sided: both sixes of six coin flips
    assert sum(row.value or 0 for row in table if row.metric == "pair_differs") == 6


# --- the gate, and the doors ---


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_tables_of_different_suites_do_not_compare_and_of_one_suite_they_do(tmp_path: Path, ending: str) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("alpha: 0.05\nprimary: {metric: suite_pass, better: higher, by: 0.0}\nmissing: inconclusive\n")
    paths = [tmp_path / f"{name}.{ending}" for name in ("good", "bad", "other")]
    items = [
        item(f"q{n}", f"What is the {t} allowance?", {"contains": "units"}, repeats=n + 1)
        for n, t in enumerate(("badge", "meal"))
    ]
    changed = [*items[:-1], items[-1] | {"assert": [{"answers": True}]}]
    for path, engine, asked in zip(
        paths, (ReadingEngine(), EchoingEngine(), EchoingEngine()), (items, items, changed), strict=True
    ):
        found, table = ran(tmp_path, *asked, engine=engine)
        write_items(path, table, suite=found["suite"]["digest"])
    good, bad, other = paths
    decision = doors.gate(good, bad, policy)
    assert decision["rules"][0]["observed"] == 1
    assert len(read_items(good)) == 4
    with pytest.raises(QuestionFileError, match="the suite has changed between them"):
        doors.gate(good, other, policy)


def test_check_tells_digest_and_counts_and_exits_2_for_a_bad_file(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(yaml.safe_dump({"name": "s", "version": 1, "items": [BADGE, MOON]}))
    bad.write_text(yaml.safe_dump({"name": "s", "version": 1, "items": [BADGE | {"asert": []}]}))
    told = json.loads(CliRunner().invoke(app, ["suite", "check", str(good), "--json"]).stdout)
    assert (told["digest"], told["items"]) == (load_suite_file(good).digest, 2)
    assert told["assertions"] == {"cites": 1, "contains": 1, "refuses": 1}
    failed = CliRunner().invoke(app, ["suite", "check", str(bad)])
    assert isinstance(failed.exception, QuestionFileError)
    assert failed.exception.exit_code == 2


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    """A served model that answers with the first passage's sentence."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = ChatServer(lambda prompt, _: "25 days" if "leave allowance is" in prompt else "I do not know").start()
    yield server
    server.stop()


def test_a_suite_is_put_to_a_workspace_through_its_own_index(tmp_path: Path, upstream: ChatServer) -> None:
    settle_vendors()
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "leave.md").write_text("# Leave\n\nThe leave allowance is 25 days a year.\n")
    doors.build_index(Choices(tmp_path / "ws", sources=(str(tmp_path / "docs"),)))
    config = tmp_path / "c.yaml"
    served = {"engine": "openai", "base_url": upstream.url, "upstream_model": "m"}
    config.write_text(yaml.safe_dump({"generation": served, "retrieval": {"answerable_at_least": 0.0}}))
    same = {"similarity": {"to": "25 days", "at_least": 0.99}}
    leave = item("leave", "What is the leave allowance?", {"contains": "25 days"}, {"cites": "leave.md"}, same)
    suite = tmp_path / "suite.yaml"
    suite.write_text(yaml.safe_dump({"name": "s", "version": 1, "items": [leave | {"repeats": 3}]}))
    at = ["--workspace", str(tmp_path / "ws"), "--config", str(config), "--json"]
    missing = CliRunner().invoke(app, ["suite", "run", str(suite), *at])
    assert "groundwork stage train" in str(missing.exception)
    done = CliRunner().invoke(app, ["suite", "run", str(suite), "--base", "--table", str(tmp_path / "t.parquet"), *at])
    found = json.loads(done.stdout)
    assert (done.exit_code, found["items"]["passed"]) == (0, 1)
    assert len(upstream.asked) == 3  # a served model may sample: each repeat is asked
    assert found["consistency"] == {"value": 1.0, "n": 1, "note": ""}
    assert {row.metric for row in read_items(tmp_path / "t.parquet")} >= {"suite_pass", "assert_similarity"}
