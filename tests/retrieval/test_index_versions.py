"""Versions of the index: listed, compared, restored, checked, compacted, dropped."""

import dataclasses
import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipelines import index_doors
from pipelines.artifacts import StageJob, write_json
from pipelines.errors import IndexMismatchError
from pipelines.retrieval import index, index_versions, index_writing
from pipelines.retrieval.index_checks import verify
from pipelines.retrieval.index_versions import Difference
from pipelines.retrieval.search import Searcher
from pipelines.settings import ROOT, Settings
from pipelines.workspaces import Choices
from tests.retrieval.conftest import TEXTS, chunk, embedded


@pytest.fixture
def two(tmp_path: Path, settings: Settings) -> tuple[StageJob, StageJob]:
    """A first version of five chunks; a second without billing.md, errors.md edited, leave.md superseded."""
    first = embedded(tmp_path, [chunk(uri, text) for uri, text in TEXTS.items()], settings)
    later = [
        chunk("leave.md", TEXTS["leave.md"], superseded=True),
        chunk("leave-porto.md", TEXTS["leave-porto.md"]),
        chunk("probe.md", TEXTS["probe.md"]),
        chunk("errors.md", "Error E-17 means a broken antenna."),
    ]
    return first, embedded(tmp_path, later, settings, previous=first.output)


def place(job: StageJob) -> index.Place:
    return index.place_of(job.state, job.settings.index)


def named(job: StageJob) -> index_versions.Version:
    tag = index.load_pointer(job.output).tag
    return index_versions.named(index_versions.versions(place(job)), tag[:8], None)


def test_versions_are_listed_newest_first_with_what_they_are(two: tuple[StageJob, StageJob]) -> None:
    found = index_versions.versions(place(two[1]))
    assert [each.pointer for each in found] == [index.load_pointer(job.output) for job in reversed(two)]
    assert [each.pointer.rows for each in found] == [4, 5]
    assert found[0].pointer.precision == "int8"
    assert all(each.size_bytes > 0 and each.made.endswith("+00:00") for each in found)


def test_a_difference_is_told_by_document(two: tuple[StageJob, StageJob]) -> None:
    found = index_versions.difference(place(two[0]), named(two[0]), named(two[1]))
    assert found == {
        "billing.md": Difference(removed=1),
        "errors.md": Difference(added=1, removed=1),
        "leave.md": Difference(changed=1),  # its text is the same; it became superseded
    }


def test_a_chunk_whose_document_was_edited_elsewhere_is_kept(tmp_path: Path, settings: Settings) -> None:
    stays = chunk("long.md", "The first chapter stays as it is.")
    old = embedded(tmp_path, [stays, chunk("long.md", "The second chapter is old.")], settings)
    again = stays.model_copy(update={"id": "0" * 64, "document_id": "1" * 64})  # edited: another document id
    new = embedded(tmp_path, [again, chunk("long.md", "The second chapter is new.")], settings)
    found = index_versions.difference(place(old), named(old), named(new))
    assert found == {"long.md": Difference(added=1, removed=1, kept=1)}


def test_a_tag_that_is_gone_or_not_unique_says_what_there_is(two: tuple[StageJob, StageJob]) -> None:
    found = index_versions.versions(place(two[0]))
    with pytest.raises(IndexMismatchError, match=found[0].pointer.tag[:12]):
        index_versions.named(found, "ffffffffffff", None)
    with pytest.raises(IndexMismatchError, match="not in the index"):
        index_versions.named(found, "", None)
    with pytest.raises(IndexMismatchError, match="no index yet"):
        index_versions.named(found, "current", None)


# --- restoring ---


def test_a_pinned_version_answers_until_it_is_lifted(two: tuple[StageJob, StageJob], settings: Settings) -> None:
    first, second = two
    pointer = index.load_pointer(first.output)
    index_versions.pin(first.state, pointer, by="ada", when=datetime(2026, 5, 4, tzinfo=UTC))
    folder = index_versions.served(first.state, second.output, settings)
    assert Searcher(settings, first.state, folder).search(["invoices due"], 1)[0][0].chunk.uri == "billing.md"
    index_versions.lift(first.state)
    assert index_versions.served(first.state, second.output, settings) == second.output
    gone = Searcher(settings, first.state, second.output).search(["invoices due"], 9)[0]
    assert "billing.md" not in {hit.chunk.uri for hit in gone}


def test_a_pin_whose_version_is_gone_says_what_to_do(two: tuple[StageJob, StageJob], settings: Settings) -> None:
    index_versions.pin(two[0].state, index.load_pointer(two[0].output), by="ada", when=datetime.now(UTC))
    shutil.rmtree(two[0].state / "index")
    with pytest.raises(IndexMismatchError, match="index restore current"):
        index_versions.served(two[0].state, two[1].output, settings)


# --- checking ---


def test_versions_that_were_written_are_whole(two: tuple[StageJob, StageJob]) -> None:
    assert [verify(place(job), index.load_pointer(job.output)) for job in two] == [[], []]


def spoilt(job: StageJob, column: str, value: object) -> index.IndexPointer:
    """One row of the newest version in another form, under the tag that it had."""
    pointer = index.load_pointer(job.output)
    table = index.connect(place(job)).open_table(pointer.table)
    row = table.search().limit(1).to_arrow()
    at = row.schema.get_field_index(column)
    other = row.set_column(at, row.schema.field(at), pa.array([value], row.schema.field(at).type))
    table.delete(f"id = '{row['id'][0].as_py()}'")
    table.add(other)
    index_writing.index_rows(table, grew=True)
    table.tags.update(pointer.tag, table.version)
    return pointer


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("text", "Somebody changed this sentence.", "not what their digests say"),
        ("tenant", "other", "not what their digests say"),  # what decides who sees it
        ("hit", '{"id": "another"}', "show another chunk than they hold"),
        ("row_digest", "0" * 64, "not those that the version is named after"),
        ("terms", "other words", "found by other words"),
        ("vector", np.full(384, 2.0, dtype=np.float16), "not finite or not of unit length"),
        ("vector", np.zeros(384, dtype=np.float16), "not finite or not of unit length"),
    ],
)
def test_a_row_that_was_changed_is_noticed(
    two: tuple[StageJob, StageJob], column: str, value: object, said: str
) -> None:
    pointer = spoilt(two[1], column, value)
    assert any(said in each for each in verify(place(two[1]), pointer))


def test_a_table_of_an_earlier_layout_is_searched_and_verified(
    two: tuple[StageJob, StageJob], settings: Settings
) -> None:
    pointer = index.load_pointer(two[1].output)
    new = Searcher(settings, two[1].state, two[1].output).search(["E-18", "paid leave in Porto"], 3)
    table = index.connect(place(two[1])).open_table(pointer.table)
    table.drop_columns([index.HIT])
    table.tags.update(pointer.tag, table.version)
    assert verify(place(two[1]), pointer) == []
    old = Searcher(settings, two[1].state, two[1].output)
    assert old.search(["E-18", "paid leave in Porto"], 3) == new
    assert old.search(["?!"], 1)  # no word to search by


def test_an_index_of_an_earlier_layout_is_opened_and_whole(
    two: tuple[StageJob, StageJob], settings: Settings, tmp_path: Path
) -> None:
    # as an earlier version of the product left it: another table, another name of the version, no `hit`
    pointer = index.load_pointer(two[1].output)
    rows = index.connect(place(two[1])).open_table(pointer.table).to_arrow().drop_columns([index.HIT])
    digests = rows.column("row_digest").to_pylist()
    tag = index.tag_of(pointer.model_digest, digests, "4.1")
    before = pointer.model_copy(update={"table": f"chunks-4.1-{pointer.model_digest[:12]}", "tag": tag})
    job = dataclasses.replace(two[1], output=tmp_path / "embed", state=tmp_path / "state")
    shutil.copytree(two[1].output, job.output)
    write_json(job.output / index.POINTER, before)
    table = index.connect(place(job)).create_table(before.table, rows)
    index_writing.index_rows(table, grew=True)
    table.tags.create(tag, table.version)
    found = Searcher(settings, job.state, job.output).search(["E-18"], 2)  # its counts are made again
    assert found == Searcher(settings, two[1].state, two[1].output).search(["E-18"], 2)
    assert verify(place(job), before) == []


def test_rows_outside_the_word_index_and_lost_counts_are_noticed(two: tuple[StageJob, StageJob]) -> None:
    pointer = index.load_pointer(two[1].output)
    connection = index.connect(place(two[1]))
    table = connection.open_table(pointer.table)
    table.add(table.search().limit(1).to_arrow())  # the same row again, in no index
    table.tags.update(pointer.tag, table.version)
    connection.open_table(index.VERSIONS).delete(f"name = '{pointer.table}/{pointer.tag}'")
    said = "\n".join(verify(place(two[1]), pointer))
    for part in (
        "holds 5 rows; 4 were written",
        "repeat the id",
        "1 rows are missing in the index of `terms`",
        "counts",
    ):
        assert part in said


def test_a_spoilt_version_is_rebuilt_from_its_vectors(two: tuple[StageJob, StageJob], settings: Settings) -> None:
    pointer = spoilt(two[1], "vector", np.zeros(384, dtype=np.float16))
    assert verify(place(two[1]), pointer)
    assert index_versions.rebuild(two[1].state, pointer, [two[0].output, two[1].output], settings)
    assert verify(place(two[1]), pointer) == []
    assert verify(place(two[0]), index.load_pointer(two[0].output)) == []  # its own version is untouched


# --- upkeep ---


def test_compaction_changes_nothing_that_is_found(two: tuple[StageJob, StageJob], settings: Settings) -> None:
    before = Searcher(settings, two[1].state, two[1].output)
    index_versions.compact(place(two[1]))
    after = Searcher(settings, two[1].state, two[1].output)
    hits = [each.search(["holiday allowance"], 5) for each in (before, after)]  # the handle of before is still open
    assert hits[0] == hits[1]
    assert [verify(place(job), index.load_pointer(job.output)) for job in two] == [[], []]


def test_pruning_drops_what_is_neither_new_nor_used(tmp_path: Path, settings: Settings) -> None:
    jobs = [
        embedded(tmp_path, [chunk("a.md", f"The pump of line {n} is red."), chunk("b.md", "It is loud.")], settings)
        for n in range(4)
    ]
    tags = [index.load_pointer(job.output).tag for job in jobs]
    gone = index_versions.prune(place(jobs[0]), 1, {tags[1]})
    assert {each.pointer.tag for each in gone} == {tags[0], tags[2]}
    assert {each.pointer.tag for each in index_versions.versions(place(jobs[0]))} == {tags[1], tags[3]}
    for kept in (1, 3):
        assert verify(place(jobs[kept]), index.load_pointer(jobs[kept].output)) == []
    found = Searcher(settings, jobs[0].state, jobs[0].output).search(["pump of line"], 1)[0]
    assert found[0].chunk.text == "The pump of line 0 is red."  # rebuilt from its folder when somebody asks


def test_a_table_that_grows_too_large_is_warned_of(tmp_path: Path, settings: Settings) -> None:
    small = settings.model_copy(update={"index": settings.index.model_copy(update={"alarm_bytes": 10})})
    job = embedded(tmp_path, [chunk("a.md", "The pump is red.")], small)
    assert "index.alarm_bytes: 10" in job.notes["warnings"][0]
    assert job.notes["index_bytes"] > 10
    assert "warnings" not in embedded(tmp_path, [chunk("a.md", "The pump is blue.")], settings).notes


# --- the command ---


def command(*words: str, workspace: Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "pipelines", *words, "--workspace", str(workspace)]
    return subprocess.run(line, capture_output=True, text=True, check=False, cwd=ROOT)


def test_a_version_is_restored_and_lifted_by_the_command(two: tuple[StageJob, StageJob], tmp_path: Path) -> None:
    two[1].output.replace(tmp_path / "embed")
    old = index.load_pointer(two[0].output).tag
    listed = command("index", "list", "--json", workspace=tmp_path)
    assert listed.returncode == 0, listed.stderr
    versions = json.loads(listed.stdout)["versions"]
    assert [each["used_by"] for each in versions] == [["stage embed"], []]
    choices = Choices(tmp_path)
    assert index_doors.restored(choices, old[:10])["pinned"]
    assert index_doors.listed(choices)[1]["used_by"] == ["restored"]
    searched = command("search", "invoices due", "--k", "1", workspace=tmp_path)
    assert "billing.md" in searched.stdout
    assert "restored version" in searched.stderr
    assert not index_doors.restored(choices, "current")["pinned"]
    assert index_doors.compared(choices, old, "current")["chunks"] == {"added": 1, "removed": 2, "changed": 1}
    (tmp_path / "other.yaml").write_text('embedding: {passage_prefix: "p: "}\n')
    with pytest.raises(IndexMismatchError, match="another embedding model"):
        index_doors.restored(Choices(tmp_path, tmp_path / "other.yaml"), old)
    shutil.rmtree(tmp_path / "state" / "index")  # the newest is rebuilt from the stage folder, the other is lost
    assert index_doors.restored(choices, "current")["rebuilt"]
    wrong = command("index", "verify", "abc", workspace=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "groundwork index list" in wrong.stderr
