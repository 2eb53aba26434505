"""Other wordings: what they are made of, and that every candidate keeps its true parts."""

import numpy as np
import pytest

from pipelines.artifacts import StageJob
from pipelines.retrieval.candidates import NO_TERMS, gather
from pipelines.retrieval.features import all_features
from pipelines.retrieval.lexicon import empty_lexicon
from pipelines.retrieval.search import Searcher
from pipelines.retrieval.terms import terms
from pipelines.retrieval.variants import FEEDBACK_WEIGHT, expanded, fused, key_terms, without_frame
from pipelines.settings import Settings
from tests.retrieval.conftest import TEXTS


@pytest.mark.parametrize(
    ("question", "rest"),
    [
        ("How long does a repair take at Halifax?", "repair take at Halifax"),
        ("Could you please tell me what the cap of the probe is?", "cap of the probe is"),
        ("I'm looking for the error E-17", "error E-17"),
        ("Invoices due", "Invoices due"),
        ("What?", ""),
    ],
)
def test_a_question_without_its_frame_is_what_it_is_about(question: str, rest: str) -> None:
    assert without_frame(question) == rest


def test_key_terms_are_the_rarest_in_their_order() -> None:
    lexicon = empty_lexicon().changed(added=[terms(text) for text in TEXTS.values()])
    # of five texts `days` stands in three, `working` in two, the others in one
    assert key_terms("working days of the holiday allowance for Porto", lexicon) == "working holiday allowance Porto"
    assert key_terms("holiday allowance", lexicon) == ""  # has no others


def test_feedback_brings_terms_of_the_first_passages_and_not_the_questions_own(
    small: StageJob, settings: Settings
) -> None:
    searcher = Searcher(settings, small.state, small.output)
    found = searcher.candidates("flat battery", searcher.embedder.encode_queries(["flat battery"])[0], 5)
    score = all_features(found)["words"]
    more = expanded(found, score, "flat battery")
    assert more is not None
    assert set(more.extra).isdisjoint(found.asked)
    assert "logger" in more.extra  # of the only text with a flat battery
    assert max(more.extra.values()) == pytest.approx(FEEDBACK_WEIGHT)
    assert np.linalg.norm(more.vector) == pytest.approx(1, abs=1e-5)


def test_an_added_term_weighs_its_share(small: StageJob, settings: Settings) -> None:
    searcher = Searcher(settings, small.state, small.output)
    vector = searcher.embedder.encode_queries(["battery"])[0]
    plain = gather(searcher._index, "battery", vector, 5, None, NO_TERMS)
    more = gather(searcher._index, "battery", vector, 5, None, {"invoic": 0.25})
    assert more.asked == ("batteri", "invoic")
    assert more.idf == pytest.approx([plain.idf[0], 0.25 * plain.lexicon.idf(["invoic"])[0]])


def test_fusion_takes_the_best_wording_or_the_mean() -> None:
    one = {"a": np.array([1.0, 0.0]), "b": np.array([0.0, 0.2])}
    two = {"a": np.array([0.0, 0.5]), "b": np.array([0.5, 0.0])}
    # whole scores 1.0 and .5 for the first candidate, .2 and .5 for the second
    best = fused([one, two], "max")
    assert (best["a"].tolist(), best["b"].tolist()) == ([1.0, 0.5], [0.0, 0.0])
    mean = fused([one, two], "mean")
    assert (mean["a"].tolist(), mean["b"].tolist()) == ([0.5, 0.25], [0.25, 0.1])


@pytest.mark.parametrize("fuse_by", ["max", "mean"])
def test_several_wordings_are_searched_and_said_and_parts_add_up(
    fuse_by: str, small: StageJob, settings: Settings
) -> None:
    retrieval = settings.retrieval.model_copy(update={"queries": 4, "fuse_by": fuse_by})
    searcher = Searcher(settings.model_copy(update={"retrieval": retrieval}), small.state, small.output)
    asked = "How many working days is the holiday allowance in the Porto office?"
    (found,) = searcher.results([asked], 5)
    assert len(found.searched) == 4  # itself, without its frame, its heaviest words, with feedback
    assert found.searched[0] == asked
    assert found.hits[0].chunk.uri == "leave-porto.md"
    for hit in found.hits:
        assert hit.score == pytest.approx(sum(hit.parts.values()))
