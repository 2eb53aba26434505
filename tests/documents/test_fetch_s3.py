"""Buckets as sources: a real S3 API on loopback (moto's server)."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer

from pipelines import settings as configuration
from pipelines.artifacts import Digests
from pipelines.documents import sources
from pipelines.documents.fetching.refresh import Refreshed, refresh
from pipelines.documents.fetching.s3 import parsed
from pipelines.documents.sources import find_sources, locate, snapshots
from pipelines.errors import SourceError
from tests.documents.servers import Page, serving

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
Fetch = Callable[..., Refreshed]


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))


class Bucket:
    """A bucket of its own for a test."""

    def __init__(self, service: str, name: str) -> None:
        config = Config(s3={"addressing_style": "path"})
        session = botocore.session.get_session()
        self.client = session.create_client("s3", region_name="us-east-1", endpoint_url=service, config=config)
        self.name = name
        self.client.create_bucket(Bucket=name)

    def put(self, key: str, body: str, **more: str) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=body.encode(), **more)

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=self.name, Key=key)


@pytest.fixture
def bucket(service: str, request: pytest.FixtureRequest) -> Bucket:
    made = Bucket(service, f"b{abs(hash(request.node.name))}")
    for number in range(3):
        made.put(f"docs/{number}.md", f"# {number}")
    made.put("docs/deep/a b ü.md", "# deep")
    made.put("docs-old/x.md", "# old")
    return made


@pytest.fixture
def fetch(service: str, tmp_path: Path) -> Fetch:
    def fetch(named: str, s3: dict[str, Any] | None = None, **more: Any) -> Refreshed:
        chosen = {"attempts": 1, "timeout_s": 5, **more, "s3": {"endpoint_url": service, **(s3 or {})}}
        settings = configuration.load(overrides={"sources": chosen, "documents": {"max_bytes": 1000}})
        return refresh([locate(named)], settings, tmp_path / "state", sources.silent, now=NOW, force=True)[0]

    return fetch


def texts(named: str, state: Path) -> dict[str, str]:
    found = find_sources([named], state, configuration.load().documents)
    return {s.uri: s.refused or s.path.read_text() for s in found}


DOCS = {"0.md": "# 0", "1.md": "# 1", "2.md": "# 2", "deep/a b ü.md": "# deep"}


def test_objects_below_a_prefix_are_documents(bucket: Bucket, fetch: Fetch, tmp_path: Path) -> None:
    for prefix in ("docs", "docs/"):  # a prefix without a slash is a folder too, and not `docs-old`
        named = f"s3://{bucket.name}/{prefix}"
        fetch(named)
        assert texts(named, tmp_path / "state") == DOCS
    whole = f"s3://{bucket.name} as wiki"
    fetch(whole)
    assert {f"wiki/docs/{uri}" for uri in DOCS} | {"wiki/docs-old/x.md"} == set(texts(whole, tmp_path / "state"))
    one = f"s3://{bucket.name}/docs/0.md"
    fetch(one)
    assert texts(one, tmp_path / "state") == {"0.md": "# 0"}


def test_the_endpoint_may_come_from_the_environment(
    bucket: Bucket, service: str, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", service)
    assert fetch(f"s3://{bucket.name}/docs/", {"endpoint_url": None}).files == 4


def test_only_what_changed_is_fetched_and_an_unchanged_bucket_leaves_its_snapshot(
    bucket: Bucket, fetch: Fetch, tmp_path: Path
) -> None:
    named = f"s3://{bucket.name}/docs/"
    fetch(named)
    folder = snapshots.folder_of(locate(named), tmp_path / "state")
    before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()}
    key = sources.digest(named, tmp_path / "state", Digests(tmp_path / "d"))
    assert not fetch(named).changed
    assert {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()} == before
    bucket.put("docs/1.md", "# changed")
    bucket.delete("docs/2.md")
    assert fetch(named).changed
    assert texts(named, tmp_path / "state") == {"0.md": "# 0", "1.md": "# changed", "deep/a b ü.md": "# deep"}
    assert sources.digest(named, tmp_path / "state", Digests(tmp_path / "d")) != key


def test_an_object_whose_tag_is_known_is_not_asked_for(bucket: Bucket, fetch: Fetch, tmp_path: Path) -> None:
    named = f"s3://{bucket.name}/docs/"
    fetch(named)
    answers: list[str] = []
    with serving() as front:  # lists as the service does, and gives no object

        def answer(path: str) -> Page:
            answers.append(path)
            if "list-type=2" not in path:
                return Page(b"", 500)
            import urllib.request

            with urllib.request.urlopen(f"{bucket.client.meta.endpoint_url}{path}") as real:
                return Page(real.read(), type="application/xml")

        front.otherwise = answer
        assert not fetch(named, {"endpoint_url": front.url, "anonymous": True}).changed
    assert len(answers) == 1


def test_long_listings_come_in_pages(fetch: Fetch) -> None:
    with serving() as site:

        def answer(path: str) -> Page:
            if "list-type=2" not in path:
                return Page(b"# x", type="text/plain")
            last = "continuation-token=second" in path
            rows = "".join(ROW.format(f"{n}.md", 3, n) for n in (range(5, 8) if last else range(5)))
            more = "" if last else "<NextContinuationToken>second</NextContinuationToken>"
            page = LISTING.replace("false", str(not last).lower()).format(more + rows)
            return Page(page.encode(), type="application/xml")

        site.otherwise = answer
        assert fetch("s3://b/", {"endpoint_url": site.url}).files == 8


def test_odd_objects_are_refused_by_name_or_passed_over(bucket: Bucket, fetch: Fetch, tmp_path: Path) -> None:
    bucket.put("odd/", "")  # the marker of a folder
    bucket.put("odd/.hidden.md", "x")
    bucket.put("odd/large.md", "x" * 1001)
    bucket.put("odd/../../up.md", "x")
    bucket.put("odd/cold.md", "x", StorageClass="GLACIER")
    bucket.put("odd/good.md", "# good")
    named = f"s3://{bucket.name}/odd/"
    fetch(named)
    assert texts(named, tmp_path / "state") == {
        "large.md": "too large: 1001 bytes, documents.max_bytes allows 1000",
        "%2E%2E/%2E%2E/up.md": "its name leads outside",
        "cold.md": "in cold storage (GLACIER); restore it first",
        "good.md": "# good",
    }


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("s3://no-such-bucket/x", "there is no bucket 'no-such-bucket'"),
        ("s3://{bucket}/nothing/", "no object with this"),
    ],
)
def test_what_is_not_there_is_told(bucket: Bucket, fetch: Fetch, named: str, told: str) -> None:
    with pytest.raises(SourceError, match=told):
        fetch(named.format(bucket=bucket.name))


def test_missing_credentials_and_a_dead_service_are_told_and_the_snapshot_stays(
    bucket: Bucket, fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = f"s3://{bucket.name}/docs/"
    fetch(named)
    with pytest.raises(SourceError, match=r"could not be listed.*stays in use"):
        fetch(named, {"endpoint_url": "http://127.0.0.1:9"})
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(SourceError, match=r"no credentials: set AWS_ACCESS_KEY_ID.*anonymous"):
        fetch(named)
    assert texts(named, tmp_path / "state") == DOCS


def test_a_bucket_above_the_bounds_is_an_error(bucket: Bucket, fetch: Fetch) -> None:
    with pytest.raises(SourceError, match=r"more than 3 objects"):
        fetch(f"s3://{bucket.name}/docs/", files_at_most=3)
    with pytest.raises(SourceError, match=r"or 5 bytes"):
        fetch(f"s3://{bucket.name}/docs/", total_bytes=5)


LISTING = (
    """<?xml version="1.0"?><ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated>{}</ListBucketResult>"""
)
ROW = "<Contents><Key>{}</Key><Size>{}</Size><ETag>&quot;{}&quot;</ETag></Contents>"


def test_objects_that_fail_cost_themselves_and_a_service_that_stops_is_an_error(fetch: Fetch, tmp_path: Path) -> None:
    with serving() as site:
        rows = "".join(ROW.format(f"{n}.md", 3, n) for n in range(9))

        def answer(path: str) -> Page:
            if "list-type=2" in path:
                return Page(LISTING.format(rows).encode(), type="application/xml")
            return answers.get(path.split("/")[-1].split("?")[0], Page(b"# x", type="text/plain"))

        denied = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
        answers = {
            "1.md": Page(denied, 403, type="application/xml"),
            "2.md": Page(b"longer than listed", type="text/plain"),
            "3.md": Page(b"", 503),
        }
        site.otherwise = answer
        fetch("s3://b/", {"endpoint_url": site.url})
        found = texts("s3://b/", tmp_path / "state")
        assert "AccessDenied" in found["1.md"] and "longer than the 3 bytes" in found["2.md"]
        assert found["3.md"].startswith("could not be fetched") and found["4.md"] == "# x"
        rows = "".join(ROW.format(f"{n}.md", 3, f"new{n}") for n in range(9))
        answers = {f"{n}.md": Page(b"", 503) for n in range(4)}
        done = fetch("s3://b/", {"endpoint_url": site.url})
        assert done.notes["kept from last time"] == 1  # 0.md; of 1 to 3 nothing was there before
        answers = {f"{n}.md": Page(b"", 503) for n in range(9)}
        rows = "".join(ROW.format(f"{n}.md", 3, f"newest{n}") for n in range(9))
        with pytest.raises(SourceError, match=r"stopped answering at 4\.md"):
            fetch("s3://b/", {"endpoint_url": site.url, "parallel": 1})


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("s3://b", ("b", "")),
        ("s3://b/", ("b", "")),
        ("s3://b/a b/c?d#e/", ("b", "a b/c?d#e/")),  # keys may hold what addresses do not
    ],
)
def test_an_address_is_taken_apart(address: str, expected: tuple[str, str]) -> None:
    assert parsed(address) == expected
