"""Search: what is asked in other words, and exact codes, are both found."""

import shutil
from pathlib import Path

import pytest

from pipelines.artifacts import StageJob
from pipelines.errors import IndexMismatchError, QuestionFileError
from pipelines.retrieval import index, index_writing
from pipelines.retrieval.search import Searcher
from pipelines.settings import Settings
from tests.retrieval.conftest import TEXTS, chunk, embedded


@pytest.fixture(scope="session")
def searcher(small: StageJob, settings: Settings) -> Searcher:
    return Searcher(settings, small.state, small.output)


@pytest.mark.parametrize(
    ("query", "uri"),
    [
        ("how much annual vacation do I get in the Cumbria office at Kendal", "leave.md"),  # other words
        ("E-17", "errors.md"),  # a code alone
        ("which spare is SP-330?", "probe.md"),  # a part number in a sentence
        ("when do customers have to pay", "billing.md"),  # no word in common but stop words
    ],
)
def test_the_right_passage_comes_first(searcher: Searcher, query: str, uri: str) -> None:
    assert searcher.search([query], 3)[0][0].chunk.uri == uri


def test_the_parts_of_a_score_add_up_to_it(searcher: Searcher) -> None:
    for hit in searcher.search(["holiday allowance"], 5)[0]:
        assert hit.score == pytest.approx(sum(hit.parts.values()))


def test_an_older_version_ranks_below_its_newer_one(tmp_path: Path, settings: Settings) -> None:
    text = "A hotel night is refunded up to {} pounds."
    old, new = chunk("travel-2024.md", text.format(110), superseded=True), chunk("travel-2026.md", text.format(135))
    job = embedded(tmp_path, [old, new], settings)
    hits = Searcher(settings, job.state, job.output).search(["hotel night refund"], 2)[0]
    assert [hit.chunk.uri for hit in hits] == ["travel-2026.md", "travel-2024.md"]


@pytest.mark.parametrize("query", ["", "  ", "x" * 100_000])
def test_a_query_that_cannot_be_searched_is_refused(searcher: Searcher, query: str) -> None:
    with pytest.raises(QuestionFileError, match="Query 1"):
        searcher.search([query], 3)


@pytest.mark.parametrize("query", ['"unbalanced', "a AND (b", "*", "E-17: ~^!"])
def test_signs_of_a_query_language_are_words_like_others(searcher: Searcher, query: str) -> None:
    assert searcher.search([query], 3)[0]


def test_only_new_texts_are_embedded_and_gone_ones_are_not_found(tmp_path: Path, settings: Settings) -> None:
    chunks = [chunk(uri, text) for uri, text in TEXTS.items()]
    first = embedded(tmp_path, chunks, settings)
    assert first.notes["embedded"] == len(chunks)
    changed = [chunk("errors.md", "Error E-17 means a broken antenna."), *chunks[:3]]
    second = embedded(tmp_path, changed, settings, previous=first.output)
    assert second.notes["embedded"] == 1
    found = Searcher(settings, second.state, second.output).search(["invoices due"], 10)[0]
    assert sorted(hit.chunk.uri for hit in found) == sorted(c.uri for c in changed)
    before = Searcher(settings, first.state, first.output).search(["invoices due"], 1)[0]
    assert before[0].chunk.uri == "billing.md"  # the older version is still there under its tag


def test_a_lost_index_is_rebuilt_from_its_vectors(tmp_path: Path, settings: Settings) -> None:
    job = embedded(tmp_path, [chunk(uri, text) for uri, text in TEXTS.items()], settings)
    assert index.present(job.state, job.output, settings)
    shutil.rmtree(job.state / "index")
    assert not index.present(job.state, job.output, settings)
    index_writing.restore(job.state, job.output, settings)
    assert index.present(job.state, job.output, settings)
    assert Searcher(settings, job.state, job.output).search(["E-18"], 1)[0][0].chunk.uri == "errors.md"


def test_an_index_of_another_embedding_model_is_refused(small: StageJob, settings: Settings) -> None:
    other = settings.model_copy(update={"embedding": settings.embedding.model_copy(update={"passage_prefix": "p: "})})
    with pytest.raises(IndexMismatchError, match="another embedding model"):
        Searcher(other, small.state, small.output)


def test_a_folder_without_an_index_says_what_to_run(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(IndexMismatchError, match="groundwork run"):
        Searcher(settings, tmp_path, tmp_path)
