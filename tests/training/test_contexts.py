"""Contexts must teach what serving needs: answer what is there, refuse what is not."""

import random

import numpy as np
import pytest

from pipelines.training.contexts import Asked, Context, Corpus, contexts, plain
from pipelines.training.examples import gold_chunks
from pipelines.training.questions import check
from tests.training.conftest import World


@pytest.fixture(scope="module")
def asked(world: World) -> list[Asked]:
    questions = check(world.questions, {d.uri: d for d in world.documents}, source="f").questions
    return [Asked(question, gold_chunks(question, world.chunks)) for question in questions]


def _vectors(count: int, seed: int) -> np.ndarray:
    made = np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def _made(asked: list[Asked], world: World, **changes: object) -> list[Context]:
    allowed = np.array([not chunk.uri.startswith("billing") for chunk in world.chunks])
    chosen = [one for one in asked if not str(one.question.document).startswith("billing")]
    options = {"passages": 3, "unanswerable_share": 0.25, "rounds": 2, "rng": random.Random(1)} | changes
    corpus = Corpus(world.chunks, _vectors(len(world.chunks), 1), allowed)
    return contexts(chosen, _vectors(len(chosen), 2), corpus, **options)


def test_every_answerable_question_is_asked_in_each_round(asked: list[Asked], world: World) -> None:
    chosen = [one for one in asked if not str(one.question.document).startswith("billing")]
    times = [number for context in _made(asked, world) for number in context.answerable]
    for number, one in enumerate(chosen):
        assert times.count(number) >= 2 if one.gold else times.count(number) == 0


def test_answers_are_shown_where_they_are_asked_for_and_absent_where_refused(asked: list[Asked], world: World) -> None:
    chosen = [one for one in asked if not str(one.question.document).startswith("billing")]
    for context in _made(asked, world):
        shown = " ".join(plain(world.chunks[number].text) for number in context.chunks)
        assert len(set(context.chunks)) == len(context.chunks) == 3
        for number in context.answerable:
            assert set(chosen[number].gold) <= set(context.chunks)
        for number in context.refused:
            assert not any(plain(answer) in shown for answer in chosen[number].question.answers)


def test_chunks_of_other_splits_are_never_shown(asked: list[Asked], world: World) -> None:
    shown = {world.chunks[number].uri for context in _made(asked, world) for number in context.chunks}
    assert shown
    assert not any(uri.startswith("billing") for uri in shown)


def test_refusals_have_the_share_that_was_asked_for(asked: list[Asked], world: World) -> None:
    made = _made(asked, world, rounds=8)
    refused = sum(len(context.refused) for context in made)
    total = refused + sum(len(context.answerable) for context in made)
    assert refused / total == pytest.approx(0.25, abs=0.02)
    assert not any(context.refused for context in _made(asked, world, unanswerable_share=0.0))


def test_equal_seeds_give_equal_contexts(asked: list[Asked], world: World) -> None:
    assert _made(asked, world) == _made(asked, world)
    assert _made(asked, world) != _made(asked, world, rng=random.Random(2))


def test_fewer_chunks_than_passages_are_shown_once_each(asked: list[Asked], world: World) -> None:
    made = _made(asked, world, passages=50)
    allowed = sum(not chunk.uri.startswith("billing") for chunk in world.chunks)
    assert all(len(context.chunks) == allowed for context in made)
