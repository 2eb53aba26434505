"""Filters: nobody finds what they may not see, and what was asked for is all that is found."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as bounds
from hypothesis import strategies as st

from pipelines.contracts import Chunk, visible
from pipelines.errors import QuestionFileError
from pipelines.retrieval import index_writing
from pipelines.retrieval.filters import EVERYTHING, Filters, filters_of, given_in_words, operators_filters
from pipelines.retrieval.search import Searcher
from pipelines.settings import ROOT, Settings
from tests.retrieval.conftest import chunk, embedded

LABELS = ["hr", "board", "it's", "a, b", 'say "no"', "x\\", "') OR ('1'='1", "größe", "R&D"]
TENANTS = ["default", "acme", "o'hara", "' OR 1=1 --"]


def labelled() -> list[Chunk]:
    chunks = []
    for number in range(45):
        labels = (LABELS[number % 9],) if number % 3 else ()
        labels = (*labels, LABELS[(number * 5 + 1) % 9]) if number % 5 == 1 else labels
        plain = chunk(f"docs/{number}.md", f"The pump of line {number} needs oil.", superseded=number % 7 == 0)
        day = f"2026-0{number % 9 + 1}-15" if number % 4 else None
        chunks.append(
            plain.model_copy(
                update={
                    "labels": labels,
                    "tenant": TENANTS[number % 4],
                    "date": day,
                    "language": ("en", "de")[number % 2],
                }
            )
        )
    return chunks


CHUNKS = labelled()


@pytest.fixture(scope="module", params=["read through", "by indices"])
def searcher(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> Searcher:
    """Filters work by reading every row, and by the indices that a large table has: both find the same."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "by indices":
            patch.setattr(index_writing, "SCALARS_FROM", 1)
        job = embedded(tmp_path_factory.mktemp("filters"), CHUNKS, settings)
    return Searcher(settings, job.state, job.output)


def found(searcher: Searcher, filters: Filters) -> set[str]:
    return {hit.chunk.uri for hit in searcher.search(["pump oil"], 100, filters)[0]}


@bounds(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tenant=st.sampled_from([*TENANTS, "nobody"]) | st.text(st.characters(exclude_categories=("C",)), min_size=1),
    labels=st.frozensets(st.sampled_from(LABELS) | st.text(st.characters(exclude_categories=("C",)), min_size=1)),
)
def test_search_finds_exactly_what_the_caller_may_see(searcher: Searcher, tenant: str, labels: frozenset[str]) -> None:
    allowed = {c.uri for c in CHUNKS if c.tenant == tenant and visible(c.labels, labels)}
    assert found(searcher, Filters(tenant=tenant, labels=labels)) == allowed


def test_without_a_word_only_unlabelled_chunks_of_the_default_tenant_are_found(searcher: Searcher) -> None:
    allowed = {c.uri for c in CHUNKS if c.tenant == "default" and not c.labels}
    assert found(searcher, Filters()) == found(searcher, filters_of({})) == allowed
    assert found(searcher, EVERYTHING) == {c.uri for c in CHUNKS}


def test_an_operator_sees_all_until_a_tenant_or_labels_are_named(searcher: Searcher) -> None:
    assert found(searcher, operators_filters({}, "")) == {c.uri for c in CHUNKS}
    assert found(searcher, operators_filters({"language": "de"}, "")) == {c.uri for c in CHUNKS if c.language == "de"}
    acme = {c.uri for c in CHUNKS if c.tenant == "acme" and not c.labels}
    assert found(searcher, operators_filters({"tenant": "acme"}, "")) == acme
    hr = {c.uri for c in CHUNKS if c.tenant == "default" and visible(c.labels, ["hr"])}
    assert found(searcher, operators_filters({"labels": ["hr"]}, "")) == hr


def test_each_filter_narrows_as_it_says(searcher: Searcher) -> None:
    def asked(*pairs: str) -> set[str]:
        return found(searcher, operators_filters(given_in_words(pairs), ""))

    assert asked("since=2026-03-15", "until=2026-04-15") == {
        c.uri for c in CHUNKS if c.date in ("2026-03-15", "2026-04-15")
    }
    assert asked("superseded=false") == {c.uri for c in CHUNKS if not c.superseded}
    assert asked("under=docs/1") == {c.uri for c in CHUNKS if c.uri.startswith("docs/1")}
    assert asked("under=docs/%") == set()  # no pattern


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ({"tenants": "a"}, "no filter 'tenants'; filters: tenant, labels, language"),
        ({"labels": "hr"}, "takes a list"),
        ({"labels": ["hr", 3]}, "list of words"),
        ({"superseded": "no"}, "takes a bool"),
        ({"since": "yesterday"}, "YYYY-MM-DD"),
        ({"since": "2026-02-31"}, "YYYY-MM-DD"),
        ({"under": ""}, "1 to 500 characters"),
        ({"tenant": "a\nb"}, "control character"),
        ({"language": "x" * 100_000}, "1 to 500 characters"),
    ],
)
def test_a_filter_that_cannot_be_is_refused_by_name(filters: dict[str, object], said: str) -> None:
    with pytest.raises(QuestionFileError, match=said) as refused:
        operators_filters(filters, "Query 7")
    assert str(refused.value).startswith("Query 7: ")
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("pair", ["labels", "superseded=maybe"])
def test_words_that_are_no_filter_are_refused(pair: str) -> None:
    with pytest.raises(QuestionFileError):
        given_in_words([pair])


def test_the_command_refuses_an_unknown_filter_with_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text(json.dumps({"id": "7", "query": "pump", "filters": {"colour": "red"}}) + "\n")
    line = [
        sys.executable,
        "-m",
        "pipelines",
        "search",
        "--queries",
        str(tmp_path / "q.jsonl"),
        "--workspace",
        str(tmp_path),
    ]
    done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Query 7: There is no filter 'colour'" in done.stderr
    assert "Traceback" not in done.stderr
