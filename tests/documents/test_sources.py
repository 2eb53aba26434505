import os
from pathlib import Path

import pytest

from pipelines.documents.sources import find_sources, refusal
from pipelines.errors import SourceError


def test_uris_are_relative_sorted_and_without_hidden_files(tmp_path: Path) -> None:
    for name in ("b.md", "a/c.txt", ".hidden", ".git/config", "a/.DS_Store"):
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("x")
    assert [s.uri for s in find_sources([tmp_path])] == ["a/c.txt", "b.md"]


def test_a_single_file_is_a_source_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("x")
    assert [(s.uri, s.size_bytes) for s in find_sources([tmp_path / "a.md"])] == [("a.md", 1)]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nowhere"):
        find_sources([tmp_path / "nowhere"])


def test_two_folders_with_one_uri_are_refused(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.md").write_text(folder)
    with pytest.raises(SourceError, match=r"same\.md"):
        find_sources([tmp_path / "x", tmp_path / "y"])


def test_links_that_lead_out_are_refused_and_links_inside_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "real.txt").write_text("text")
    (folder / "inside.txt").symlink_to(folder / "real.txt")
    (folder / "outside.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "up").symlink_to(tmp_path, target_is_directory=True)
    (folder / "broken.txt").symlink_to(folder / "gone.txt")
    refused = {s.uri: refusal(s, 1000) for s in find_sources([folder])}
    assert refused["inside.txt"] is None and refused["real.txt"] is None
    assert "leads out" in str(refused["outside.txt"]) and "leads out" in str(refused["up"])
    assert "cannot be read" in str(refused["broken.txt"])


def test_what_is_not_a_file_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    assert refusal(find_sources([tmp_path])[0], 1000) == "not a regular file"


def test_a_name_that_is_not_utf8_is_refused_under_a_printable_uri(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"bad\xff.txt")).write_text("x")
    source = find_sources([tmp_path])[0]
    assert source.uri == "bad\\xff.txt" and "UTF-8" in str(source.refused)


def test_empty_and_too_large_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.md").write_bytes(b"")
    (tmp_path / "large.md").write_bytes(b"x" * 11)
    assert [refusal(s, 10) for s in find_sources([tmp_path])] == [
        "empty file (0 bytes)",
        "too large: 11 bytes, documents.max_bytes allows 10",
    ]
