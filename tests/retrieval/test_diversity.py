"""Picks: the best first, unlike each other, not all of one document."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import settings as configuration
from pipelines.artifacts import StageJob
from pipelines.retrieval.diversity import Pick, pick
from pipelines.retrieval.search import Searcher
from pipelines.settings import Settings
from tests.retrieval.conftest import TEXTS, chunk, embedded

VECTORS = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)
"""Two alike, one at a right angle."""
SCORE = np.array([0.9, 0.8, 0.5])


def test_without_strength_and_limit_the_order_is_that_of_the_scores_and_of_names_among_equals() -> None:
    picks = pick(np.array([0.5, 0.9, 0.5]), ["b", "c", "a"], VECTORS, ["x"] * 3, 3, strength=0, per_document=0)
    assert picks == [Pick(1, 0), Pick(2, 0), Pick(0, 0)]


def test_likeness_to_an_earlier_pick_costs_its_cosine_times_the_strength() -> None:
    # the second is like the first: .8 - .4 x 1 = .4, less than the third's .5 - .4 x 0
    picks = pick(SCORE, list("abc"), VECTORS, ["x"] * 3, 3, strength=0.4, per_document=0)
    assert [(each.row, round(each.loss, 6)) for each in picks] == [(0, 0), (2, 0), (1, -0.4)]
    # .8 - .2 = .6 stays above .5
    assert [each.row for each in pick(SCORE, list("abc"), VECTORS, ["x"] * 3, 3, strength=0.2, per_document=0)] == [
        0,
        1,
        2,
    ]


def test_a_document_has_its_share_and_no_more() -> None:
    picks = pick(SCORE, list("abc"), VECTORS, ["x", "x", "y"], 3, strength=0, per_document=1)
    assert [each.row for each in picks] == [0, 2]


@given(st.integers(1, 30), st.integers(1, 30), st.floats(0, 1), st.integers(0, 3), st.integers(0, 2**16))
def test_picks_are_distinct_and_what_they_are_worth_never_rises(
    n: int, k: int, strength: float, per_document: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    score, documents = rng.random(n), [str(each) for each in rng.integers(0, 4, n)]
    picks = pick(
        score, [f"{i:02d}" for i in range(n)], vectors, documents, k, strength=strength, per_document=per_document
    )
    rows = [each.row for each in picks]
    assert len(set(rows)) == len(rows) <= k
    worth = [score[each.row] + each.loss for each in picks]
    assert all(a >= b - 1e-9 for a, b in itertools.pairwise(worth))
    # the loss of each is its largest cosine to those before it, which a plain double loop finds too
    for number, each in enumerate(picks):
        nearest = max((float(vectors[each.row] @ vectors[row]) for row in rows[:number]), default=0.0)
        assert each.loss == pytest.approx(-strength * max(nearest, 0.0), abs=1e-5)
    if per_document:
        assert all(sum(documents[row] == name for row in rows) <= per_document for name in documents)


def test_search_shows_what_likeness_cost_and_parts_still_add_up(tmp_path: Path) -> None:
    text = "Unused days of leave expire on {} March, says the handbook of the office in Kendal."
    others = [chunk("porto.md", "In Porto unused leave expires in April."), chunk("billing.md", TEXTS["billing.md"])]
    settings = configuration.load(overrides={"retrieval": {"diversity": 1.0}})
    job = embedded(tmp_path, [*(chunk(f"{n}.md", text.format(n)) for n in (29, 30, 31)), *others], settings)
    hits = Searcher(settings, job.state, job.output).search(["when do unused days of leave expire"], 4)[0]
    # three texts that differ in a figure: the second of them has lost about 1 before it is taken
    assert hits[0].chunk.uri in ("29.md", "30.md", "31.md")
    assert hits[1].chunk.uri == "porto.md"
    assert "diversity" not in hits[0].parts
    for hit in hits:
        assert hit.score == pytest.approx(sum(hit.parts.values()))
        assert hit is hits[0] or hit.parts["diversity"] <= 0
    assert min(hit.parts.get("diversity", 0) for hit in hits) < -0.1


def test_search_keeps_to_a_documents_share(small: StageJob, settings: Settings) -> None:
    one = settings.model_copy(update={"retrieval": settings.retrieval.model_copy(update={"per_document": 1})})
    hits = Searcher(one, small.state, small.output).search(["leave"], 5)[0]
    assert len({hit.chunk.document_id for hit in hits}) == len(hits) == 5
