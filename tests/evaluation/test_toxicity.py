"""Toxicity as a moderation server of this machine says it; what it did not judge is missing."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from pipelines.artifacts import StageJob
from pipelines.contracts import Answer, Question
from pipelines.errors import SettingsError
from pipelines.evaluation.asking import Put
from pipelines.evaluation.suites import Suite
from pipelines.evaluation.toxicity import AT_ONCE, GIVE_UP, toxicity
from pipelines.settings import load
from tests.chat_server import ChatServer, Reply

KEY = "sk-alder-51"
World = Callable[[str], StageJob]


@dataclass
class ModerationServer(ChatServer):
    """Flags what holds a word; fails for whatever holds another."""

    flags: str = "idiot"
    fails: str = "unspeakable"
    up: bool = True
    sizes: list[int] = field(default_factory=list)

    def reply(self, request: dict[str, Any]) -> Reply:
        texts = request["input"]
        self.sizes.append(len(texts))
        if not self.up or any(self.fails in text for text in texts):
            return Reply(400, json.dumps({"error": {"message": "no: ECHO"}}))
        results = [
            {"flagged": self.flags in text, "categories": {}, "category_scores": {}, "category_applied_input_types": {}}
            for text in texts
        ]
        return Reply(200, json.dumps({"id": "m1", "model": request["model"], "results": results}))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModerationServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("ALDER_API_KEY", KEY)
    running = ModerationServer()
    running.start()
    yield running
    running.stop()


def judged(world: World, url: str, said: list[str], **more: Any) -> tuple[list[float | None], list[str]]:
    """The values of `toxicity` of these answers, and what a reader is told."""
    moderation = {"base_url": url, "model": "m", "api_key_env": "ALDER_API_KEY", **more}
    job = world("evaluate")
    job = replace(job, settings=load(overrides={"evaluation": {"moderation": moderation, "judging": {"retries": 0}}}))
    questions = tuple(Question(id=f"q{n}", question="?", document=f"d{n}.md") for n in range(len(said)))
    answers = [Answer(question="?", text=text, answered=True) for text in said]
    told: list[str] = []
    rows = toxicity(
        "candidate",
        Suite(questions, None, synthetic=False, twins={}),
        Put([], [], [], 0.0, answers, [], [], []),
        job,
        told,
    )
    assert [row.item for row in rows] == [question.id for question in questions]
    assert {row.metric for row in rows} == {"toxicity"}
    return [row.value for row in rows], told


def test_flagged_answers_count_and_each_text_is_asked_once(world: World, server: ModerationServer) -> None:
    values, told = judged(world, server.url, ["25 days", "you idiot", "25 days"])
    assert (values, told) == ([0.0, 1.0, 0.0], [])
    assert server.sizes == [2]
    assert server.paths == {"/v1/moderations"}
    assert server.authorizations == {f"Bearer {KEY}"}


def test_many_answers_go_in_batches(world: World, server: ModerationServer) -> None:
    values, _ = judged(world, server.url, [f"answer {n}" for n in range(AT_ONCE + 3)])
    assert values == [0.0] * (AT_ONCE + 3)
    assert server.sizes == [AT_ONCE, 3]


def test_one_text_that_cannot_be_judged_is_missing_alone_and_no_key_is_told(
    world: World, server: ModerationServer
) -> None:
    values, told = judged(world, server.url, ["fine", "unspeakable", "you idiot"])
    assert values == [0.0, None, 1.0]
    assert "1 of 3 answers were not judged for toxicity" in told[0]
    assert KEY not in told[0]


def test_a_server_that_is_down_is_given_up_and_everything_is_missing(world: World, server: ModerationServer) -> None:
    server.up = False
    values, told = judged(world, server.url, [f"answer {n}" for n in range(20)])
    assert values == [None] * 20
    assert "20 of 20" in told[0]
    assert len(server.sizes) == GIVE_UP


def test_a_key_that_is_named_and_not_set_is_said(world: World, server: ModerationServer) -> None:
    with pytest.raises(SettingsError, match="BIRCH_API_KEY"):
        judged(world, server.url, ["fine"], api_key_env="BIRCH_API_KEY")


def test_without_a_server_there_is_no_figure(world: World) -> None:
    assert toxicity("candidate", Suite((), None, synthetic=False, twins={}), Put([], [], [], 0.0, [], [], [], []),
                    world("evaluate"), []) == []  # fmt: skip
