"""Parents: exact spans, one section, one document, within the budget."""

from pathlib import Path

import pytest

from pipelines.artifacts import StageJob
from pipelines.contracts import Chunk, Hit, content_id
from pipelines.retrieval import index
from pipelines.retrieval.index import OpenIndex
from pipelines.retrieval.parents import parents_of
from pipelines.retrieval.search import Searcher
from pipelines.settings import Settings
from tests.retrieval.conftest import embedded

TEXT = "Alpha one.\n\nAlpha two.\n\nAlpha three.\n\nAlpha four.\n\nBeta one.\n\nBeta two."
WORDS = TEXT.split("\n\n")
"""Each one a chunk of 3 tokens; two sections."""


def chunks_of(uri: str, *, touching: bool = False) -> list[Chunk]:
    """A chunk a paragraph; `touching`: with the blank line before the next."""
    made, at = [], 0
    for number, words in enumerate(WORDS):
        end = at + len(words) + (2 if touching and number < len(WORDS) - 1 else 0)
        made.append(
            Chunk(
                id=content_id(uri, at, end),
                document_id=content_id(uri),
                uri=uri,
                title="T",
                start=at,
                end=end,
                text=TEXT[at:end],
                heading_path=("T", words.split()[0]),
                tokens=3,
            )
        )
        at += len(words) + 2
    return made


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> StageJob:
    made = [*chunks_of("apart.md"), *chunks_of("touching.md", touching=True), *chunks_of("o'hara.md")]
    return embedded(tmp_path_factory.mktemp("parents"), made, settings)


@pytest.fixture(scope="module")
def opened(job: StageJob, settings: Settings) -> OpenIndex:
    return index.open_index(index.place_of(job.state, settings.index), index.load_pointer(job.output))


def test_a_parent_is_the_nearest_of_the_section_that_fit(opened: OpenIndex) -> None:
    second = chunks_of("apart.md")[1]
    # 9 tokens: the chunk (3), the one after it first (3), then the one before (3)
    (parent,) = parents_of(opened, [second], 9)
    assert [chunk.text for chunk in parent.chunks] == WORDS[:3]


def test_a_parent_stays_in_its_section_and_document(opened: OpenIndex) -> None:
    parents = parents_of(opened, [chunks_of("apart.md")[4]], 1000)
    assert [[chunk.text for chunk in parent.chunks] for parent in parents] == [WORDS[4:]]
    assert {chunk.uri for parent in parents for chunk in parent.chunks} == {"apart.md"}


@pytest.mark.parametrize("uri", ["apart.md", "touching.md"])
def test_passages_are_exact_spans(opened: OpenIndex, uri: str) -> None:
    (parent,) = parents_of(opened, [chunks_of(uri, touching=uri == "touching.md")[0]], 1000)
    passages = parent.passages
    assert all(TEXT[passage.start : passage.end] == passage.text for passage in passages)
    # what lies between chunks that do not touch is not in the index, so it is in no passage
    assert len(passages) == (4 if uri == "apart.md" else 1)
    assert sum(passage.tokens for passage in passages) == 12


def test_chunks_that_overlap_are_one_span_that_says_nothing_twice(tmp_path: Path, settings: Settings) -> None:
    spans = [(0, 22), (12, 35), (24, 48)]
    first = chunks_of("a.md")[0]
    made = [
        first.model_copy(update={"id": content_id(a, b), "start": a, "end": b, "text": TEXT[a:b]}) for a, b in spans
    ]
    done = embedded(tmp_path, made, settings)
    there = index.open_index(index.place_of(done.state, settings.index), index.load_pointer(done.output))
    (passage,) = parents_of(there, [made[1]], 1000)[0].passages
    assert (passage.start, passage.end, passage.text) == (0, 48, TEXT[:48])


def test_parents_that_share_a_chunk_become_one_at_the_better_rank(opened: OpenIndex) -> None:
    own, other = chunks_of("apart.md"), chunks_of("o'hara.md")
    # 6 tokens: 0 brings 1, 2 brings 3 and 1 brings 2, which joins them all
    parents = parents_of(opened, [own[0], other[5], own[2], own[1]], 6)
    assert [[chunk.text for chunk in parent.chunks] for parent in parents] == [WORDS[:4], WORDS[4:]]
    assert [parent.rank for parent in parents] == [0, 1]


def test_a_hit_that_is_larger_than_the_budget_stands_alone(opened: OpenIndex) -> None:
    (parent,) = parents_of(opened, [chunks_of("apart.md")[0]], 1)
    assert [chunk.text for chunk in parent.chunks] == WORDS[:1]


def test_search_shows_parents_only_when_it_is_asked_to(job: StageJob, settings: Settings) -> None:
    hits = [Hit(chunk=chunks_of("apart.md")[1], score=1.0, parts={"vector": 1.0})]
    plain = Searcher(settings, job.state, job.output)
    assert plain.shown(hits) == [hits[0].chunk]
    wide = settings.model_copy(update={"retrieval": settings.retrieval.model_copy(update={"parent_tokens": 6})})
    shown = Searcher(wide, job.state, job.output).shown(hits)
    assert [chunk.text for chunk in shown] == WORDS[1:3]
