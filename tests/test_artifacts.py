"""How things lie on disk: whole or not at all, equal content under an equal name."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import artifacts
from pipelines.artifacts import Digests, ObjectStore
from pipelines.contracts import Block, Chunk, Document, Hit, Question, content_id
from pipelines.errors import QuestionFileError, StageError

CHUNK = Chunk(id="c", document_id="d", uri="a.md", title="A", start=0, end=1, text="x", tokens=1)
DOCUMENT = Document(
    id="d",
    uri="a.md",
    media_type="text/markdown",
    sha256="0",
    title="A",
    text="# A",
    blocks=(Block(kind="heading", start=0, end=3, heading_path=("A",)),),
)


@pytest.mark.parametrize(
    "row",
    [
        DOCUMENT,  # nested records, None and empty tuples
        CHUNK,
        Hit(chunk=CHUNK, score=0.5, parts={"vector": 0.25, "text": 0.25}),  # a map
    ],
)
def test_a_record_survives_parquet(tmp_path: Path, row: Document | Chunk | Hit) -> None:
    artifacts.write_rows(tmp_path / "t.parquet", [row], type(row))
    if isinstance(row, Hit):
        return  # maps come back as pairs: hits are written, never read as records
    assert artifacts.read_rows(tmp_path / "t.parquet", type(row)) == [row]


def test_an_empty_table_keeps_its_schema(tmp_path: Path) -> None:
    artifacts.write_rows(tmp_path / "t.parquet", [], Chunk)
    assert artifacts.read_rows(tmp_path / "t.parquet", Chunk) == []


def test_a_damaged_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(StageError, match=r"t\.parquet.*Chunk"):
        artifacts.read_rows(tmp_path / "t.parquet", Chunk)


def test_a_bad_line_of_a_question_file_is_named_by_number(tmp_path: Path) -> None:
    place = tmp_path / "q.jsonl"
    place.write_text('{"id": "1", "question": "Who?"}\n\n{"id": "2", "question": ""}\n')
    with pytest.raises(QuestionFileError, match=r"q\.jsonl, line 3: question"):
        artifacts.read_lines(place, Question)


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    place = tmp_path / "t.txt"
    place.write_text("old")
    with pytest.raises(RuntimeError), artifacts.replacing(place) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert place.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["t.txt"]


def test_half_a_swap_is_undone(tmp_path: Path) -> None:
    (tmp_path / ".stage.old").mkdir()
    (tmp_path / ".stage.old" / "kept").write_text("x")
    artifacts.restore_swapped(tmp_path / "stage")
    assert (tmp_path / "stage" / "kept").read_text() == "x"


def test_remembered_digests_notice_a_change(tmp_path: Path) -> None:
    place = tmp_path / "f"
    place.write_text("one")
    digests = Digests(tmp_path / "digests.json")
    first = digests.tree(tmp_path / "f")
    digests.save()
    place.write_text("three")
    assert Digests(tmp_path / "digests.json").tree(place) == artifacts.sha256_tree(place) != first


def test_files_are_listed_as_their_paths_sort_and_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    for name in ("b/c", "a-b", "a/z", "a/b/c", "run.json", "a/run.json", ".hidden"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "b" / "file").symlink_to(tmp_path / "a-b")
    found = artifacts.files_of(tmp_path)
    assert found == sorted(found)
    assert [p.relative_to(tmp_path).as_posix() for p in found] == [".hidden", "a/b/c", "a/z", "a-b", "b/c", "b/file"]
    assert Digests(tmp_path.parent / "d.json").tree(tmp_path) == artifacts.sha256_tree(tmp_path)


def test_a_digest_that_is_learned_holds_until_the_file_changes(tmp_path: Path) -> None:
    place = tmp_path / "f"
    place.write_text("one")
    digests = Digests(tmp_path / "digests.json")
    digests.learn(place, "known")
    assert digests.file(place) == "known"
    place.write_text("three")
    assert digests.file(place) == artifacts.sha256_file(place)


def test_run_json_is_never_hashed(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    before = artifacts.sha256_tree(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    assert artifacts.sha256_tree(tmp_path) == before


@given(files=st.dictionaries(st.sampled_from(["a", "b/c", "b/d", "e"]), st.binary(max_size=40), min_size=1))
def test_a_folder_comes_back_from_the_object_store_as_it_went_in(
    files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("objects")
    for name, content in files.items():
        (root / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "in" / name).write_bytes(content)
    store = ObjectStore(root / "objects")
    digest = store.put(root / "in")
    assert store.put(root / "in") == digest
    out = store.get_tree(digest, root / "out")
    assert {p.relative_to(out).as_posix(): p.read_bytes() for p in artifacts.files_of(out)} == files


def test_the_object_store_says_what_it_has(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path)
    digest = store.put_bytes(b"x")
    assert store.has(digest) and not store.has("0" * 64)


def test_a_missing_object_is_named(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="abc"):
        ObjectStore(tmp_path).get("abc")


def test_equal_content_has_an_equal_name_whatever_the_order_of_keys() -> None:
    assert content_id({"a": 1, "b": 2}) == content_id({"b": 2, "a": 1}) != content_id({"a": 2, "b": 1})
