"""The measure of benchmarks/chunking.py, where an error would flatter a strategy."""

from pathlib import Path

import pytest

from benchmarks.chunking import Collection, chunked, collections
from benchmarks.excerpts import Asked, omega_of, overlap_of, scores, union, within
from pipelines.documents.chunking.tokens import ModelTokens
from pipelines.settings import load

ASKED = Asked("?", "a", ((10, 20), (40, 50)), "a")


def test_recall_precision_and_iou_count_characters() -> None:
    # 5 of the first excerpt, all of the second: 15 of 20. Shown: 15 + 20. IoU: 15 / (35 + 5 missed)
    found = [("a", 0, 15), ("a", 35, 55)]
    assert overlap_of(ASKED, found) == pytest.approx((15 / 20, 15 / 35, 15 / 40))


def test_what_two_chunks_share_is_found_once_and_shown_twice() -> None:
    # both hold 10..20: 10 of 20 found; 40 characters shown; 10 missed
    assert overlap_of(ASKED, [("a", 0, 20), ("a", 10, 30)]) == pytest.approx((0.5, 10 / 40, 10 / 50))


def test_a_chunk_of_another_document_is_shown_for_nothing() -> None:
    assert overlap_of(ASKED, [("b", 10, 20)]) == (0.0, 0.0, 0.0)
    assert overlap_of(ASKED, [("a", 10, 20), ("b", 10, 20)])[1] == 0.5


def test_nothing_found_is_nothing() -> None:
    assert overlap_of(ASKED, []) == (0.0, 0.0, 0.0)


def test_omega_is_the_precision_of_the_chunks_that_touch_an_excerpt() -> None:
    # 0..20 and 35..55 hold all 20 excerpted characters in 40; the chunk between them touches none
    assert omega_of(ASKED, [("a", 0, 20), ("a", 35, 55)]) == 20 / 40
    # an excerpt that no chunk holds counts against it
    assert omega_of(ASKED, [("a", 0, 20)]) == 10 / 30


def test_a_budget_cuts_the_last_chunk() -> None:
    assert within([("a", 0, 30), ("a", 50, 90), ("a", 90, 99)], 50) == [("a", 0, 30), ("a", 50, 70)]


def test_the_minimal_number_is_as_many_as_hold_an_excerpt() -> None:
    chunks = [("a", 0, 15), ("a", 15, 30), ("a", 30, 60)]
    ranked = [chunks[2], ("b", 0, 9), chunks[0], chunks[1]]
    found = scores(ASKED, ranked, chunks)
    # all three chunks touch an excerpt, so three are looked at: the last two of these hold 10 and 5 of 20
    assert found["recall_minimal"] == 15 / 20
    assert found["recall"] == 1.0


def test_spans_that_meet_are_joined() -> None:
    assert union([(5, 9), (0, 3), (3, 4), (8, 12)]) == [(0, 4), (5, 12)]


@pytest.mark.parametrize("strategy", ["structural", "langchain"])
def test_chunks_of_a_side_are_spans_within_the_size(strategy: str) -> None:
    made = Collection("c")
    made.add(b"# T\n\n" + b"One sentence of words here. " * 60, "a", "a.md")
    tokens = ModelTokens(load().embedding.model)
    found = chunked(made.texts, tokens, strategy, 40, 0)
    assert len(found) > 5
    assert all(made.texts[0].text[chunk.start : chunk.end] == chunk.text for chunk in found)
    assert all(chunk.tokens <= 40 for chunk in found)


def test_gold_of_the_sample_lies_in_its_texts() -> None:
    (sample,) = collections(None)
    texts = {text.uri: text.text for text in sample.texts}
    assert len(sample.asked) > 500
    assert all(texts[one.uri][a:b].strip() for one in sample.asked for a, b in one.spans)


def test_without_the_public_data_there_is_the_sample_alone(tmp_path: Path) -> None:
    assert [each.name for each in collections(tmp_path)] == ["sample"]
