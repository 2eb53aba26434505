"""What a source holds: folders, files, globs, and how sources are told apart."""

import fnmatch
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import settings, stages
from pipelines.artifacts import Digests
from pipelines.documents import sources
from pipelines.documents.sources import Source, find_sources, locate, refusal
from pipelines.documents.sources.locations import absolute
from pipelines.errors import SourceError

LIMITS = settings.load().documents


def found(*named: str | Path, state: Path | None = None) -> list[Source]:
    return find_sources(named, state or Path("no-state"), LIMITS)


def uris(listed: Sequence[Source]) -> list[str]:
    return [source.uri for source in listed]


def written(folder: Path, *names: str) -> Path:
    for name in names:
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("x")
    return folder


def test_uris_are_relative_sorted_and_without_hidden_files(tmp_path: Path) -> None:
    written(tmp_path, "b.md", "a/c.txt", ".hidden", ".git/config", "a/.DS_Store")
    assert uris(found(tmp_path)) == ["a/c.txt", "b.md"]


def test_a_single_file_is_a_source_of_its_own(tmp_path: Path) -> None:
    written(tmp_path, "a.md")
    assert [(s.uri, s.size_bytes) for s in found(tmp_path / "a.md")] == [("a.md", 1)]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nowhere"):
        found(tmp_path / "nowhere")


def test_two_folders_with_one_uri_are_refused_and_a_name_tells_them_apart(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        written(tmp_path / folder, "same.md")
    with pytest.raises(SourceError, match=r"same\.md.*as NAME"):
        found(tmp_path / "x", tmp_path / "y")
    with pytest.raises(SourceError, match=r"same\.md occurs twice"):
        found(tmp_path / "x", tmp_path / "x")
    assert uris(found(tmp_path / "x", f"{tmp_path}/y as other/place")) == ["other/place/same.md", "same.md"]


def test_a_folder_that_is_really_called_so_is_no_name(tmp_path: Path) -> None:
    written(tmp_path / "cats as dogs", "a.md")
    assert uris(found(tmp_path / "cats as dogs")) == ["a.md"]


def test_links_that_lead_out_are_refused_and_links_inside_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "real.txt").write_text("text")
    (folder / "inside.txt").symlink_to(folder / "real.txt")
    (folder / "outside.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "up").symlink_to(tmp_path, target_is_directory=True)
    (folder / "broken.txt").symlink_to(folder / "gone.txt")
    for named in (folder, folder / "*"):
        refused = {s.uri: refusal(s, 1000) for s in found(named)}
        assert refused["inside.txt"] is None and refused["real.txt"] is None
        assert "leads out" in str(refused["outside.txt"]) and "leads out" in str(refused["up"])
        assert "cannot be read" in str(refused["broken.txt"])


def test_what_is_not_a_file_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    assert refusal(found(tmp_path)[0], 1000) == "not a regular file"


def test_a_name_that_is_not_utf8_is_refused_under_a_printable_uri(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"bad\xff.txt")).write_text("x")
    source = found(tmp_path)[0]
    assert source.uri == "bad\\xff.txt" and "UTF-8" in str(source.refused)


def test_empty_and_too_large_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.md").write_bytes(b"")
    (tmp_path / "large.md").write_bytes(b"x" * 11)
    assert [refusal(s, 10) for s in found(tmp_path)] == [
        "empty file (0 bytes)",
        "too large: 11 bytes, documents.max_bytes allows 10",
    ]


# --- globs ---

TREE = ("a.md", "b.txt", "x/a.md", "x/y/a.md", "x/y/b.md", "x/y/z.pdf", ".hidden.md", "x/.hid/a.md", "w[1].md")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.md", ["a.md", "w[1].md"]),  # a star stays within a name, hidden files do not count
        ("**/*.md", ["a.md", "w[1].md", "x/a.md", "x/y/a.md", "x/y/b.md"]),  # `**` stands for no folder too
        ("x/**", ["a.md", "y/a.md", "y/b.md", "y/z.pdf"]),  # relative to the folder before the first wildcard
        ("x/**/y/[!b].md", ["y/a.md"]),
        ("**/**/?.md", ["a.md", "x/a.md", "x/y/a.md", "x/y/b.md"]),  # each once
        ("x/*/b.*", ["y/b.md"]),
    ],
)
def test_globs_match_as_in_a_shell(tmp_path: Path, pattern: str, expected: list[str]) -> None:
    written(tmp_path, *TREE)
    assert uris(found(tmp_path / pattern)) == expected


def test_a_file_whose_name_holds_a_wildcard_is_that_file(tmp_path: Path) -> None:
    written(tmp_path, *TREE)
    assert uris(found(tmp_path / "w[1].md")) == ["w[1].md"]


def test_a_glob_that_matches_nothing_is_an_error(tmp_path: Path) -> None:
    written(tmp_path, "a.md")
    with pytest.raises(SourceError, match=r"\*\.pdf: no file matches"):
        found(tmp_path / "*.pdf")
    with pytest.raises(SourceError, match="no such folder"):
        found(tmp_path / "gone" / "*.pdf")


@given(st.lists(st.text("ab.", min_size=1, max_size=4), max_size=8), st.text("ab.*?[]!", min_size=1, max_size=6))
def test_one_level_of_a_glob_agrees_with_fnmatch(names: list[str], pattern: str) -> None:
    import tempfile

    visible = {name for name in names if not name.startswith(".")}
    with tempfile.TemporaryDirectory() as folder:
        written(Path(folder), *visible)
        wild = any(character in pattern for character in "*?[")
        expected = sorted(name for name in visible if fnmatch.fnmatchcase(name, pattern))
        if not wild or (Path(folder) / pattern).exists() or not expected:
            return
        assert uris(found(Path(folder) / pattern)) == expected


# --- what a key is made of ---


def test_equal_content_under_equal_uris_has_an_equal_digest(tmp_path: Path) -> None:
    digests = Digests(tmp_path / "digests.json")
    for place in ("one", "two"):
        written(tmp_path / place, "a.md", "b/c.md", "b/d.txt")

    def digest(named: str) -> str:
        return sources.digest(str(tmp_path / named), tmp_path / "state", digests)

    assert digest("one") == digest("two")
    assert digest("one/**/*.md") == digest("two/**/*.md") != digest("one")
    assert digest("one as x") == digest("two as x") != digest("one")  # its uris differ
    before = digest("one/**/*.md")
    (tmp_path / "one/b/d.txt").write_text("not matched")
    assert digest("one/**/*.md") == before
    (tmp_path / "one/b/c.md").write_text("changed")
    assert digest("one/**/*.md") != before


def test_bounds_of_fetching_are_in_no_key_and_those_of_archives_are() -> None:
    def key(overrides: dict[str, Any]) -> dict[str, Any]:
        return stages.parameters(stages.STAGES["ingest"], settings.load(overrides=overrides))

    assert key({"sources": {"attempts": 9, "web": {"depth": 1}}}) == key({})
    assert key({"documents": {"archives": {"depth": 1}}}) != key({})


# --- addresses ---


@pytest.mark.parametrize(
    ("named", "kind"),
    [
        ("https://docs.example.com/guide/", "web"),
        ("http://wiki/", "web"),
        ("s3://bucket/some folder/", "s3"),
        ("git+https://git.example.com/team/handbook.git@v2#docs", "git"),
        ("git+ssh://git@git.example.com/team/handbook.git", "git"),
        ("git+file:///srv/git/handbook.git", "git"),
    ],
)
def test_an_address_says_its_kind(named: str, kind: str) -> None:
    assert locate(named).kind == kind
    scheme, _, rest = named.partition("://")
    assert locate(f"{scheme.upper()}://{rest}") == locate(named)
    assert locate(f"{named} as x").name == "x"
    assert absolute(named) == named


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("ftp://example.com/x", "no source has the scheme ftp://; known: https, http, s3"),
        ("https:///x", "names no host"),
        ("s3:///key", "names no bucket"),
        ("https://[::1/x", "not an address"),
        ("https://example.com:99999/", "not an address"),
        ("https://example.com/a b", "white space"),
        ("git@example.com:team/handbook.git", r"git\+ssh://USER@HOST/PATH"),
        ("", "names no source"),
        ("x" * 5000, "cannot be read"),
    ],
)
def test_what_is_no_source_is_refused_with_a_way_out(named: str, told: str) -> None:
    with pytest.raises(SourceError, match=told):
        locate(named)


@pytest.mark.parametrize(
    "named",
    [
        "https://user:hunter2@example.com/",
        "https://hunter2@example.com/",
        "git+https://oauth2:hunter2@example.com/x.git",
        "git+ssh://git:hunter2@example.com/x.git",
        "https://example.com/?access_token=hunter2",
        "https://example.com/?X-Amz-Signature=hunter2",
        "ftp://user:hunter2@example.com/",
    ],
)
def test_a_secret_in_an_address_is_refused_and_not_repeated(named: str) -> None:
    with pytest.raises(SourceError) as refused:
        absolute(named)
    assert "hunter2" not in str(refused.value)


def test_a_bare_repository_is_one_and_a_checkout_is_a_folder(tmp_path: Path) -> None:
    written(tmp_path / "bare.git", "HEAD", "objects/x", "refs/x")
    written(tmp_path / "checkout", ".git/HEAD", "a.md")
    assert locate(tmp_path / "bare.git").address == f"git+file://{tmp_path}/bare.git"
    assert locate(f"{tmp_path}/bare.git@main#docs").address == f"git+file://{tmp_path}/bare.git@main#docs"
    assert locate(tmp_path / "checkout").kind == "folder"


def test_what_is_not_fetched_yet_is_told_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"not fetched yet.*groundwork sources refresh"):
        found("https://docs.example.com/", state=tmp_path)
