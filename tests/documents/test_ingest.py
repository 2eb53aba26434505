"""The stage as a whole, on folders that are written here."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.artifacts import ObjectStore, read_rows, sha256_of
from pipelines.contracts import Document, Quarantined, content_id
from pipelines.documents import ingest
from pipelines.errors import SourceError
from tests.documents.conftest import MakeJob

PROSE = " ".join(f"word{n}" for n in range(60))
HASHED = (
    ingest.DOCUMENTS,
    ingest.QUARANTINE,
    ingest.FEATURES,
    ingest.VERSIONS,
    ingest.COMPARED,
    ingest.BOILERPLATE,
    ingest.NOTES,
)


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "sources"
    (folder / "sub").mkdir(parents=True)
    for n in range(6):
        (folder / "sub" / f"doc{n}.md").write_text(f"# Document {n}\n\nThis one is about subject {n}.\n")
    (folder / "guide.md").write_text(f"# Guide\n\n{PROSE}\n")
    (folder / "guide-again.html").write_text(f"<h1>Guide</h1><p>{PROSE}</p>")
    (folder / "empty.txt").write_bytes(b"")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4\n% damaged from here on \x00\xff")
    return folder


def documents(folder: Path) -> dict[str, Document]:
    return {d.uri: d for d in read_rows(folder / ingest.DOCUMENTS, Document)}


def test_documents_quarantine_and_objects_are_written(sources: Path, make_job: MakeJob) -> None:
    job = make_job("ingest", "one", sources=sources)
    ingest.run(job)
    found = documents(job.output)
    assert list(found) == sorted(found) and len(found) == 8
    data = (sources / "sub/doc3.md").read_bytes()
    document = found["sub/doc3.md"]
    assert document.id == content_id("sub/doc3.md", sha256_of(data))
    assert ObjectStore(job.state / "objects").get(document.sha256).read_bytes() == data
    assert (document.title, document.text) == ("Document 3", data.decode())
    bad = {q.uri: q.reason for q in read_rows(job.output / ingest.QUARANTINE, Quarantined)}
    assert bad["empty.txt"] == "empty file (0 bytes)" and bad["broken.pdf"].startswith("damaged PDF")


def test_the_later_of_two_near_duplicates_points_to_the_first(sources: Path, make_job: MakeJob) -> None:
    job = make_job("ingest", "one", sources=sources)
    ingest.run(job)
    assert {u: d.near_duplicate_of for u, d in documents(job.output).items() if d.near_duplicate_of} == {
        "guide.md": "guide-again.html"
    }


def test_a_change_parses_that_document_alone_and_gives_the_bytes_of_a_run_from_scratch(
    sources: Path, make_job: MakeJob
) -> None:
    ingest.run(make_job("ingest", "one", sources=sources))
    (sources / "sub/doc2.md").write_text("# Document 2\n\nIt was changed.\n")
    (sources / "sub/doc4.md").unlink()
    (sources / "sub/new.txt").write_text("Quite new.")
    second = make_job("ingest", "two", sources=sources, previous="one")
    ingest.run(second)
    assert second.notes["parsed"] == 2
    scratch = make_job("ingest", "three", sources=sources)
    ingest.run(scratch)
    for name in HASHED:
        assert (second.output / name).read_bytes() == (scratch.output / name).read_bytes()


def test_other_parsers_parse_everything_again(sources: Path, make_job: MakeJob, tmp_path: Path) -> None:
    ingest.run(make_job("ingest", "one", sources=sources))
    notes = tmp_path / "one/ingest" / ingest.NOTES
    notes.write_text(json.dumps({**json.loads(notes.read_text()), "parsers": "older"}))
    second = make_job("ingest", "two", sources=sources, previous="one")
    ingest.run(second)
    assert second.notes["parsed"] == 8


def test_an_interrupted_run_goes_on_where_it_was(sources: Path, make_job: MakeJob) -> None:
    job = make_job("ingest", "one", sources=sources)

    def stop_at_five(done: int, total: int, what: str) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest.run(replace(job, report=stop_at_five))
    [log] = job.output.glob("*.arrows")
    with log.open("ab") as stream:
        stream.write(b"\xff\xff\xff\xff\x80\x01\x00\x00cut o")  # as a kill leaves it
    ingest.run(job)
    scratch = make_job("ingest", "two", sources=sources)
    ingest.run(scratch)
    # of the first five by uri, broken.pdf and empty.txt are no documents; the other three are not parsed again
    assert (job.notes["parsed"], scratch.notes["parsed"]) == (5, 8)
    assert {p.name for p in job.output.iterdir()} == set(HASHED)
    for name in HASHED:
        assert (job.output / name).read_bytes() == (scratch.output / name).read_bytes()


def test_a_file_above_the_limit_is_quarantined_unread(sources: Path, make_job: MakeJob) -> None:
    (sources / "large.txt").write_text("x" * 5000)
    job = make_job("ingest", "one", sources=sources, overrides={"documents": {"max_bytes": 4000}})
    ingest.run(job)
    bad = {q.uri: q for q in read_rows(job.output / ingest.QUARANTINE, Quarantined)}
    assert bad["large.txt"].sha256 is None and "too large: 5000 bytes" in bad["large.txt"].reason


def test_a_folder_where_nothing_can_be_parsed_is_an_error_that_says_why(tmp_path: Path, make_job: MakeJob) -> None:
    folder = tmp_path / "bad"
    folder.mkdir()
    with pytest.raises(SourceError, match="no file in it"):
        ingest.run(make_job("ingest", "one", sources=folder))
    (folder / "empty.txt").write_bytes(b"")
    with pytest.raises(SourceError, match=r"empty\.txt: empty file"):
        ingest.run(make_job("ingest", "two", sources=folder))
