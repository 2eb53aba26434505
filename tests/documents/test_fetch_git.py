"""Git repositories as sources: real ones, made here, fetched by the real command."""

import os
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines import settings as configuration
from pipelines.artifacts import Digests
from pipelines.documents import ingest, sources
from pipelines.documents.fetching.git import parsed
from pipelines.documents.fetching.refresh import Refreshed, refresh
from pipelines.documents.sources import find_sources, locate, snapshots
from pipelines.errors import SourceError
from tests.documents.conftest import MakeJob
from tests.documents.servers import Page, serving

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
PEOPLE = {f"GIT_{who}_{what}": "test@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


class Repository:
    """A repository with a checkout beside it."""

    def __init__(self, place: Path) -> None:
        self.checkout = place / "checkout"
        self.bare = place / "handbook.git"
        self.git("init", "--quiet", "--bare", "-b", "main", str(self.bare), at=place)
        self.git("clone", "--quiet", str(self.bare), str(self.checkout), at=place)
        self.git("checkout", "--quiet", "-b", "main")

    def git(self, *arguments: str, at: Path | None = None) -> str:
        environment = {**os.environ, **PEOPLE, "GIT_CONFIG_GLOBAL": os.devnull}
        return subprocess.run(
            ["git", *arguments], cwd=at or self.checkout, env=environment, check=True, capture_output=True, text=True
        ).stdout.strip()

    def commit(self, **files: str | None) -> str:
        for name, text in files.items():
            place = self.checkout / name
            if text is None:
                place.unlink()
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", "a change")
        self.git("push", "--quiet", "origin", "HEAD")
        return self.git("rev-parse", "HEAD")

    @property
    def url(self) -> str:
        return f"git+file://{self.bare}"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path)
    made.commit(**{"README.md": "# Read me", "docs/a.md": "# A", "docs/deep/b.md": "# B", ".github/x.yml": "x: 1"})
    return made


Fetch = Callable[..., Refreshed]


@pytest.fixture
def fetch(tmp_path: Path) -> Iterator[Fetch]:
    def fetch(named: str, now: datetime = NOW, **overrides: Any) -> Refreshed:
        settings = configuration.load(overrides={"sources": overrides})
        return refresh([locate(named)], settings, tmp_path / "state", sources.silent, now=now, force=True)[0]

    yield fetch
    assert not [p for p in (tmp_path / "state/sources").glob(".*.journal.jsonl") if p.stat().st_size > 500]


def texts(named: str, state: Path) -> dict[str, str]:
    found = find_sources([named], state, configuration.load().documents)
    return {s.uri: s.refused or s.path.read_text() for s in found}


def test_the_files_of_the_default_branch_are_documents(repository: Repository, fetch: Fetch, tmp_path: Path) -> None:
    done = fetch(repository.url)
    assert (done.changed, done.files, done.refused) == (True, 3, 0)
    assert texts(repository.url, tmp_path / "state") == {
        "README.md": "# Read me",
        "docs/a.md": "# A",
        "docs/deep/b.md": "# B",
    }


def test_branch_tag_commit_and_subfolder(repository: Repository, fetch: Fetch, tmp_path: Path) -> None:
    old = repository.git("rev-parse", "HEAD")
    repository.git("tag", "-a", "v1.0", "-m", "the first")
    repository.git("push", "--quiet", "origin", "v1.0")
    repository.git("checkout", "--quiet", "-b", "topic/new")
    repository.commit(**{"docs/a.md": "# New A"})
    for ref, expected in (("topic/new", "# New A"), ("v1.0", "# A"), ("main", "# A")):
        named = f"{repository.url}@{ref}#docs"
        fetch(named)
        assert texts(named, tmp_path / "state") == {"a.md": expected, "deep/b.md": "# B"}
    repository.git("config", "uploadpack.allowAnySHA1InWant", "true", at=repository.bare)
    assert fetch(f"{repository.url}@{old}#docs/deep").notes["revision"] == old[:12]


def test_a_bare_path_is_the_repository_itself(repository: Repository, fetch: Fetch, tmp_path: Path) -> None:
    fetch(f"{repository.bare}@main#docs")
    assert set(texts(str(repository.bare) + "@main#docs", tmp_path / "state")) == {"a.md", "deep/b.md"}


def files_and_times(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()}


def test_an_unchanged_repository_leaves_its_snapshot_byte_for_byte(
    repository: Repository, fetch: Fetch, tmp_path: Path
) -> None:
    fetch(repository.url)
    folder = snapshots.folder_of(locate(repository.url), tmp_path / "state")
    before = files_and_times(folder)
    done = fetch(repository.url, now=NOW + timedelta(days=1))
    assert not done.changed and files_and_times(folder) == before
    checked = snapshots.read_checked(locate(repository.url), tmp_path / "state")
    assert checked is not None and checked.at.startswith("2026-05-05")


def test_a_new_commit_changes_the_key_and_one_that_touches_no_file_does_not(
    repository: Repository, fetch: Fetch, tmp_path: Path
) -> None:
    def key() -> str:
        return sources.digest(repository.url, tmp_path / "state", Digests(tmp_path / "digests.json"))

    fetch(repository.url)
    first = key()
    second = repository.commit()
    done = fetch(repository.url)
    assert (done.changed, done.notes["revision"], key()) == (False, second[:12], first)
    repository.commit(**{"docs/a.md": "# Changed", "README.md": None})
    assert fetch(repository.url).changed and key() != first
    assert texts(repository.url, tmp_path / "state") == {"docs/a.md": "# Changed", "docs/deep/b.md": "# B"}


def test_bytes_that_are_gone_from_the_store_are_said_and_fetched_again(
    repository: Repository, fetch: Fetch, tmp_path: Path
) -> None:
    fetch(repository.url)
    source = find_sources([f"{repository.url}"], tmp_path / "state", configuration.load().documents)[0]
    source.path.unlink()
    assert "gone from the object store" in texts(repository.url, tmp_path / "state")["README.md"]
    assert not fetch(repository.url).changed
    assert texts(repository.url, tmp_path / "state")["README.md"] == "# Read me"


def test_links_submodules_lfs_and_large_files_are_refused_by_name(
    repository: Repository, fetch: Fetch, tmp_path: Path
) -> None:
    (repository.checkout / "link.md").symlink_to("/etc/passwd")
    commit = repository.commit(
        **{
            "lfs.md": "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n",
            "large.md": "x" * 5000,
            ".gitattributes": "*.md filter=evil export-subst\n",
            "subst.md": "$Format:%H$",
        }
    )
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{commit},vendored")
    repository.git("commit", "--quiet", "-m", "a submodule")
    repository.git("push", "--quiet", "origin", "HEAD")
    settings = configuration.load(overrides={"documents": {"max_bytes": 4000}})
    refresh([locate(repository.url)], settings, tmp_path / "state", sources.silent, now=NOW)
    found = texts(repository.url, tmp_path / "state")
    assert found["link.md"] == "a link: what it points to is read under its own name"
    assert found["vendored"] == "a submodule: name its repository as a source of its own"
    assert found["lfs.md"].startswith("kept in Git LFS")
    assert found["large.md"] == "too large: 5000 bytes, documents.max_bytes allows 4000"
    assert found["subst.md"] == "$Format:%H$"  # no attribute of the repository is applied


def test_a_repository_that_is_gone_is_named_and_its_snapshot_stays(
    repository: Repository, fetch: Fetch, tmp_path: Path
) -> None:
    fetch(repository.url)
    before = texts(repository.url, tmp_path / "state")
    repository.bare.rename(tmp_path / "moved.git")
    with pytest.raises(SourceError, match=r"handbook\.git: git could not fetch it.*2026-05-04.*stays in use"):
        fetch(repository.url)
    assert texts(repository.url, tmp_path / "state") == before
    checked = snapshots.read_checked(locate(repository.url), tmp_path / "state")
    assert checked is not None and "could not fetch" in checked.outcome


@pytest.mark.parametrize(
    ("suffix", "told"),
    [
        ("@no-such-branch", "no branch, tag or commit 'no-such-branch'"),
        ("@--upload-pack=touch", "cannot be the name"),
        ("@a..b", "cannot be the name"),
        ("#nowhere", "no folder 'nowhere' at HEAD"),
        ("#../up", "is no folder"),
    ],
)
def test_a_ref_or_folder_that_is_not_there_is_told(
    repository: Repository, fetch: Fetch, tmp_path: Path, suffix: str, told: str
) -> None:
    with pytest.raises(SourceError, match=told):
        fetch(repository.url + suffix)
    assert not (tmp_path / "touch").exists()


def test_a_commit_without_a_visible_file_keeps_the_last_snapshot(
    repository: Repository, fetch: Fetch, tmp_path: Path
) -> None:
    fetch(repository.url)
    repository.commit(**{"README.md": None, "docs/a.md": None, "docs/deep/b.md": None})
    with pytest.raises(SourceError, match="nothing there could be fetched"):
        fetch(repository.url)
    assert len(texts(repository.url, tmp_path / "state")) == 3


def test_more_than_the_bounds_is_an_error_that_says_so(repository: Repository, fetch: Fetch) -> None:
    with pytest.raises(SourceError, match=r"holds 4 files, sources\.files_at_most allows 2"):
        fetch(repository.url, files_at_most=2)
    with pytest.raises(SourceError, match=r"sources\.total_bytes"):
        fetch(repository.url, total_bytes=10)


def test_a_clone_that_was_killed_or_damaged_is_mended_or_said(
    repository: Repository, fetch: Fetch, tmp_path: Path
) -> None:
    fetch(repository.url)
    clone = next((tmp_path / "state/sources").glob(".*.work"))
    (clone / "shallow.lock").touch()  # as a kill leaves it
    commit = repository.commit(**{"new.md": "# New"})
    assert fetch(repository.url).notes["revision"] == commit[:12]


def test_a_server_that_says_nothing_is_given_up_and_a_redirect_is_not_followed(fetch: Fetch) -> None:
    import time

    def silence() -> Iterator[bytes]:
        time.sleep(5)
        yield b""

    with serving() as site, serving() as inside:
        site.otherwise = lambda path: Page(slowly=silence)
        with pytest.raises(SourceError, match=r"sources\.git_timeout_s"):
            fetch(f"git+{site.url}/x.git", git_timeout_s=0.6)
        site.otherwise = lambda path: Page(b"", 302, headers={"Location": inside.url + path})
        with pytest.raises(SourceError, match="could not fetch"):
            fetch(f"git+{site.url}/x.git")
        assert inside.asked == []


def test_a_server_that_asks_for_a_password_is_answered_by_nobody(fetch: Fetch) -> None:
    with serving() as site:
        site.otherwise = lambda path: Page(b"", 401, headers={"WWW-Authenticate": 'Basic realm="x"'})
        with pytest.raises(SourceError, match="credential helper"):
            fetch(f"git+{site.url}/x.git")


def test_the_commit_stands_in_the_notes_of_ingest(repository: Repository, fetch: Fetch, make_job: MakeJob) -> None:
    done = fetch(repository.url)
    job = make_job("ingest", "one", sources=repository.url)
    ingest.run(job)
    assert job.notes["documents"] == 3
    noted = job.notes["sources"][0]
    assert (noted["source"], noted["revision"][:12]) == (repository.url, done.notes["revision"])


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("git+https://h/a/b.git", ("https://h/a/b.git", "HEAD", "")),
        ("git+https://h/a/b@v1", ("https://h/a/b", "v1", "")),
        ("git+https://h/@scope/b.git@feature/x#docs/deep/", ("https://h/@scope/b.git", "feature/x", "docs/deep")),
        ("git+ssh://git@h:22/a/b.git@main#my%20docs", ("ssh://git@h:22/a/b.git", "main", "my docs")),
    ],
)
def test_an_address_is_taken_apart(address: str, expected: tuple[str, str, str]) -> None:
    found = parsed(address)
    assert (found.url, found.ref, found.subfolder) == expected
