"""Crawls of real servers on loopback: what is fetched, what is left out, what a hostile or broken site costs."""

import gzip
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines import settings as configuration
from pipelines.artifacts import Digests
from pipelines.documents import ingest, sources
from pipelines.documents.fetching.refresh import Refreshed, refresh
from pipelines.documents.sources import find_sources, locate, snapshots
from pipelines.errors import SourceError
from pipelines.settings import ROOT
from tests.documents.conftest import MakeJob
from tests.documents.servers import Page, Site, serving

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
Fetch = Callable[..., Refreshed]


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as made:
        yield made


@pytest.fixture
def fetch(tmp_path: Path) -> Fetch:
    """Refresh a source; knobs of sources.web by name. Failures are not tried again, to keep the tests short."""

    def fetch(named: str, now: datetime = NOW, **web: Any) -> Refreshed:
        overrides = {"sources": {"attempts": 1, "timeout_s": 5, "web": {"delay_s": 0, **web}}}
        settings = configuration.load(overrides=overrides)
        return refresh([locate(named)], settings, tmp_path / "state", sources.silent, now=now, force=True)[0]

    return fetch


def found(named: str, state: Path) -> dict[str, str]:
    """uri below the host -> why it was refused, or `ok`."""
    listed = find_sources([named], state, configuration.load().documents)
    return {s.uri.partition("/")[2]: s.refused or "ok" for s in listed}


def test_pages_below_the_start_are_fetched_once_and_nothing_else(site: Site, fetch: Fetch, tmp_path: Path) -> None:
    site.html("/docs/", "a", "b.html", "/other/x", "https://elsewhere.example/", "a#part", "./a", "sub/c?y=2&x=1")
    site.html("/docs/a", "/docs/", "sub/c?x=1&y=2&utm_source=mail", "manual.pdf", "logo.png", "style.css", "data.csv")
    site.html("/docs/b.html")
    site.html("/docs/sub/c?x=1&y=2", "../a", "?x=1&y=2#again")
    site.pages["/docs/manual.pdf"] = Page(b"%PDF-1.4", type="application/pdf")
    site.pages["/docs/data.csv"] = Page(b"a,b\n1,2\n", type="text/csv; charset=utf-8")
    site.html("/other/x")
    done = fetch(f"{site.url}/docs/")
    assert found(f"{site.url}/docs/", tmp_path / "state") == {
        "docs/a.html": "ok",
        "docs/b.html": "ok",
        "docs/data.csv": "ok",
        "docs/index.html": "ok",
        "docs/manual.pdf": "ok",
        "docs/sub/c@x=1&y=2.html": "ok",
    }
    assert sorted(site.paths) == sorted(set(site.paths)) and "/docs/logo.png" not in site.paths
    assert (done.files, done.refused, done.notes) == (6, 0, {"left out": "2 by type"})
    fetch(f"{site.url}/docs/", whole_host=True)
    assert "other/x.html" in found(f"{site.url}/docs/", tmp_path / "state")


def test_robots_are_obeyed_with_their_delay_and_their_sitemap(site: Site, fetch: Fetch, tmp_path: Path) -> None:
    robots = "User-agent: *\nDisallow: /\n\nUser-agent: Groundwork\nDisallow: /secret\nCrawl-delay: 0.2\n"
    site.pages["/robots.txt"] = Page(f"{robots}Sitemap: {site.url}/maps.xml\n".encode(), type="text/plain")
    site.html("/", "/secret/a", "/hidden.html", "/quiet.html")
    site.html("/secret/a")
    site.pages["/hidden.html"] = Page(b'<meta name="robots" content="noindex"><a href="/from-hidden">x</a>')
    quiet = Page(b'<a href="/unseen">x</a>', headers={"X-Robots-Tag": "nofollow"}, etag='"q"')
    site.pages["/quiet.html"] = quiet
    site.html("/from-hidden")
    site.html("/from-sitemap")
    site.html("/from-packed-sitemap")
    index = f"<sitemapindex><loc>{site.url}/one.xml.gz</loc><loc>{site.url}/two.xml</loc></sitemapindex>"
    site.pages["/maps.xml"] = Page(index.encode(), type="application/xml")
    packed = gzip.compress(f"<urlset><loc>{site.url}/from-packed-sitemap</loc></urlset>".encode())
    site.pages["/one.xml.gz"] = Page(packed, type="application/gzip")
    places = f"<urlset><loc>{site.url}/from-sitemap</loc><loc>http://127.0.0.1:1/</loc></urlset>"
    site.pages["/two.xml"] = Page(places.encode(), type="application/xml")
    done = fetch(f"{site.url}/")
    assert set(found(f"{site.url}/", tmp_path / "state")) == {
        "index.html",
        "quiet.html",
        "from-hidden.html",
        "from-sitemap.html",
        "from-packed-sitemap.html",
    }
    assert "/secret/a" not in site.paths and "/unseen" not in site.paths
    assert done.notes["left out"] == "1 by noindex, 1 by robots.txt"
    gaps = [b.at - a.at for a, b in zip(site.asked[1:], site.asked[2:], strict=False)]
    assert min(gaps) >= 0.19
    quiet.headers = {}  # what an answer of 304 leaves out is remembered
    assert not fetch(f"{site.url}/").changed and "/unseen" not in site.paths
    fetch(f"{site.url}/", robots=False)
    assert {"secret/a.html", "hidden.html", "unseen"} <= set(found(f"{site.url}/", tmp_path / "state"))


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Page(b"User-agent: *\nDisallow: /", type="text/plain"), r"does not allow / for groundwork.*robots: false"),
        (Page(b"User-agent: *\nCrawl-delay: 86400", type="text/plain"), r"asks for 86400 s.*minutes_at_most"),
        (Page(b"", 503), r"robots\.txt answered 503"),  # nothing is known, so nothing is allowed (RFC 9309)
    ],
)
def test_a_site_that_forbids_itself_is_an_error(site: Site, fetch: Fetch, answer: Page, told: str) -> None:
    site.pages["/robots.txt"] = answer
    site.html("/")
    with pytest.raises(SourceError, match=told):
        fetch(f"{site.url}/")
    assert site.paths == []


def test_redirects_stay_on_the_host_and_end(site: Site, fetch: Fetch, tmp_path: Path) -> None:
    def to(target: str) -> Page:
        return Page(b"", 302, headers={"Location": target})

    with serving() as inside:
        inside.html("/")
        site.pages["/docs"] = to("/docs/")
        links = ("moved", "loop-a", "self", "inside", "metadata", "nowhere", "chain/0", "out", "file", "broken")
        site.html("/docs/", *links)
        site.pages["/docs/moved"] = to("/docs/target")
        site.html("/docs/target")
        site.pages["/docs/loop-a"], site.pages["/docs/loop-b"] = to("/docs/loop-b"), to("/docs/loop-a")
        site.pages["/docs/self"] = to("/docs/self")
        site.pages["/docs/inside"] = to(f"{inside.url}/")  # another port is another host
        site.pages["/docs/metadata"] = to("http://169.254.169.254/latest/meta-data/")
        site.pages["/docs/nowhere"] = Page(b"", 302)
        site.pages["/docs/out"] = to("/login")
        site.pages["/docs/file"] = to("file:///etc/passwd")
        site.pages["/docs/broken"] = to("http://[::1")
        for number in range(10):
            site.pages[f"/docs/chain/{number}"] = to(f"/docs/chain/{number + 1}")
        fetch(f"{site.url}/docs")
        assert inside.asked == []
    assert found(f"{site.url}/docs", tmp_path / "state") == {
        "docs/index.html": "ok",
        "docs/target.html": "ok",
        "docs/self": "redirects to itself",
        "docs/inside": f"redirects to another host, 127.0.0.1:{inside.port}; name that address as a source of its own",
        "docs/metadata": "redirects to another host, 169.254.169.254; name that address as a source of its own",
        "docs/nowhere": "redirects to what is no web address",
        "docs/file": "redirects to what is no web address",
        "docs/broken": "redirects to what is no web address",
        "docs/chain/5": "redirects more than 5 times",
    }
    assert site.paths.count("/docs/loop-a") == 1 and "/login" not in site.paths


def test_a_start_that_leads_to_another_host_says_so(site: Site, fetch: Fetch) -> None:
    site.pages["/"] = Page(b"", 301, headers={"Location": "https://www.example.com/"})
    with pytest.raises(SourceError, match=r"another host, www\.example\.com"):
        fetch(f"{site.url}/")


def test_a_page_that_fails_is_listed_with_its_reason_and_costs_itself(site: Site, fetch: Fetch, tmp_path: Path) -> None:
    site.html("/", "gone", "private", "broken", "large", "old.ppt", "slow", "empty", "good", "odd")
    site.pages["/private"] = Page(b"", 403)
    site.pages["/broken"] = Page(b"", 500)
    site.pages["/large"] = Page(b"x" * 5000)
    site.pages["/old.ppt"] = Page(b"\xd0\xcf", type="application/vnd.ms-powerpoint")
    site.pages["/slow"] = Page(slowly=lambda: iter(lambda: time.sleep(0.05) or b"x", None))  # type: ignore[func-returns-value]
    site.pages["/empty"] = Page(b"")
    site.pages["/odd"] = Page(b"", 204)
    site.html("/good")
    fetch(f"{site.url}/", page_bytes=4000, page_timeout_s=1)
    assert found(f"{site.url}/", tmp_path / "state") == {
        "index.html": "ok",
        "good.html": "ok",
        "gone": "answered 404",
        "private": "answered 403",
        "broken": "answered 500",
        "large": "too large: 5000 bytes, sources.web.page_bytes allows 4000",
        "old.ppt": "no parser for application/vnd.ms-powerpoint",
        "slow": "did not answer in time (sources.web.page_timeout_s)",
        "empty": "empty page (0 bytes)",
        "odd": "answered 204",
    }


def test_what_fails_shows_up_in_quarantine(site: Site, fetch: Fetch, make_job: MakeJob) -> None:
    from pipelines.artifacts import read_rows
    from pipelines.contracts import Document, Quarantined

    site.html("/", "gone", "guide")
    site.html("/guide", text="Pumps are covered for two years.")
    fetch(f"{site.url}/")
    job = make_job("ingest", "one", sources=f"{site.url}/")
    ingest.run(job)
    host = site.url.removeprefix("http://")
    assert {d.uri for d in read_rows(job.output / ingest.DOCUMENTS, Document)} == {
        f"{host}/index.html",
        f"{host}/guide.html",
    }
    bad = read_rows(job.output / ingest.QUARANTINE, Quarantined)
    assert [(q.uri, q.reason) for q in bad] == [(f"{host}/gone", "answered 404")]


# --- traps ---


def test_a_calendar_without_an_end_is_bounded(site: Site, fetch: Fetch) -> None:
    def month(path: str) -> Page:
        number = int(path.rpartition("=")[2] or 0)
        return Page(f'<a href="/calendar?month={number + 1}">next</a><a href="/real">r</a>'.encode())

    site.otherwise = lambda path: month(path) if path.startswith("/calendar") else Page(b"", 404)
    site.html("/", "/calendar?month=1")
    site.html("/real")
    done = fetch(f"{site.url}/", depth=1000, variants_at_most=7)
    assert done.files == 9  # the start, seven months, and the real page
    assert done.notes["left out"] == "1 by variants"


def test_paths_that_repeat_themselves_are_bounded(site: Site, fetch: Fetch) -> None:
    site.otherwise = lambda path: Page(b'<a href="sub/">deeper</a>') if path.endswith("/") else Page(b"", 404)
    done = fetch(f"{site.url}/", depth=1000)
    assert done.files == 4 and done.notes["left out"] == "1 by repeating paths"


def test_depth_pages_and_bytes_end_a_crawl_and_it_says_so(site: Site, fetch: Fetch, tmp_path: Path) -> None:
    for number in range(20):
        site.pages[f"/{number or ''}"] = Page(f'<a href="/{number + 1}">next</a>'.encode() + b" " * 100)
    assert fetch(f"{site.url}/", depth=3, sitemaps=False).files == 4
    done = fetch(f"{site.url}/", pages_at_most=5, sitemaps=False)
    assert done.files == 5
    assert done.notes["stopped"] == "at sources.web.pages_at_most, with 1 addresses not visited"
    # pages of 121 bytes: after the second 242 are there, after the third the bound is passed
    assert fetch(f"{site.url}/", total_bytes=250, sitemaps=False).files == 3
    assert "minutes_at_most" in fetch(f"{site.url}/", minutes_at_most=1e-9, sitemaps=False).notes["stopped"]


def test_a_page_that_names_a_plainer_address_of_itself_gives_way_to_it(
    site: Site, fetch: Fetch, tmp_path: Path
) -> None:
    site.html("/", "/list?sort=a", "/list?sort=b")
    site.otherwise = lambda path: Page(b'<link rel="canonical" href="/list"><p>The list.</p>')
    done = fetch(f"{site.url}/", sitemaps=False)
    assert set(found(f"{site.url}/", tmp_path / "state")) == {"index.html", "list.html"}
    assert done.notes["left out"] == "2 by canonical"


def test_two_pages_with_one_name_are_told_apart(site: Site, fetch: Fetch, tmp_path: Path) -> None:
    site.html("/", "/intro", "/intro.html")
    site.html("/intro", text="one")
    site.html("/intro.html", text="two")
    fetch(f"{site.url}/")
    assert set(found(f"{site.url}/", tmp_path / "state")) == {"index.html", "intro.html", "intro~2.html"}


def test_an_encoding_that_only_the_header_names_is_kept(site: Site, fetch: Fetch, make_job: MakeJob) -> None:
    from pipelines.artifacts import read_rows
    from pipelines.contracts import Document

    body = "<html><body><p>Привет, насосы</p></body></html>".encode("koi8-r")
    site.pages["/"] = Page(body, type="text/html; charset=KOI8-R")
    fetch(f"{site.url}/")
    job = make_job("ingest", "one", sources=f"{site.url}/")
    ingest.run(job)
    assert "Привет, насосы" in read_rows(job.output / ingest.DOCUMENTS, Document)[0].text


def test_archives_on_a_site_are_opened(site: Site, fetch: Fetch, tmp_path: Path) -> None:
    site.html("/", "notes.txt.gz")
    site.pages["/notes.txt.gz"] = Page(gzip.compress(b"some notes"), type="application/gzip")
    fetch(f"{site.url}/")
    assert found(f"{site.url}/", tmp_path / "state")["notes.txt.gz/notes.txt"] == "ok"


# --- the second time ---


def files_and_times(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()}


def test_an_unchanged_site_is_asked_conditionally_and_leaves_its_snapshot(
    site: Site, fetch: Fetch, tmp_path: Path
) -> None:
    site.html("/", "a", "b", "gone")
    site.html("/a", "/deep")
    site.html("/deep")
    site.pages["/b"] = Page(b"<p>b</p>", modified="Mon, 04 May 2026 10:00:00 GMT")
    fetch(f"{site.url}/")
    folder = snapshots.folder_of(locate(f"{site.url}/"), tmp_path / "state")
    before, key = files_and_times(folder), sources.digest(f"{site.url}/", tmp_path / "state", Digests(tmp_path / "d"))
    site.asked.clear()
    done = fetch(f"{site.url}/", now=NOW + timedelta(days=1))
    assert not done.changed and files_and_times(folder) == before
    conditional = {a.path for a in site.asked if "If-None-Match" in a.headers or "If-Modified-Since" in a.headers}
    assert conditional == {"/", "/a", "/b", "/deep"}
    site.html("/deep", text="Changed.")
    assert fetch(f"{site.url}/").changed
    assert sources.digest(f"{site.url}/", tmp_path / "state", Digests(tmp_path / "d")) != key


def test_a_page_that_fails_for_now_keeps_the_bytes_of_last_time_and_one_that_is_gone_does_not(
    site: Site, fetch: Fetch, tmp_path: Path
) -> None:
    site.html("/", "a", "b")
    site.html("/a")
    site.html("/b")
    fetch(f"{site.url}/")
    site.pages["/a"] = Page(b"", 503)
    site.pages["/b"] = Page(b"", 410)
    done = fetch(f"{site.url}/")
    assert found(f"{site.url}/", tmp_path / "state") == {"index.html": "ok", "a.html": "ok", "b": "answered 410"}
    assert done.notes["kept from last time"] == 1


def test_a_site_that_goes_down_is_an_error_and_its_snapshot_stays(site: Site, fetch: Fetch, tmp_path: Path) -> None:
    names = [f"p{n}" for n in range(12)]
    site.html("/", *names)
    for name in names:
        site.html(f"/{name}")
    fetch(f"{site.url}/")
    before = found(f"{site.url}/", tmp_path / "state")
    for name in names[:8]:
        site.pages[f"/{name}"] = Page(b"", 500)  # a part that is broken is not the site
    assert fetch(f"{site.url}/").notes["kept from last time"] == 8
    answers = iter([site.pages["/"]])
    site.pages["/"] = lambda: next(answers, Page(b"", 503))  # type: ignore[arg-type, return-value]
    with pytest.raises(SourceError, match=r"answered 500.*taken up.*stays in use"):
        fetch(f"{site.url}/")
    site.stop()
    with pytest.raises(SourceError, match=r"robots\.txt could not be reached.*stays in use"):
        fetch(f"{site.url}/")
    assert found(f"{site.url}/", tmp_path / "state") == before


def test_a_first_fetch_that_fails_says_that_there_is_nothing(site: Site, fetch: Fetch) -> None:
    with pytest.raises(SourceError, match=r"answered 404.*Nothing was fetched of it before"):
        fetch(f"{site.url}/")


def test_one_of_two_sources_that_fails_does_not_keep_the_other_from_being_fetched(site: Site, tmp_path: Path) -> None:
    site.html("/good/")
    settings = configuration.load(overrides={"sources": {"attempts": 1, "web": {"delay_s": 0}}})
    both = [locate(f"{site.url}/bad/"), locate(f"{site.url}/good/")]
    with pytest.raises(SourceError, match="bad/"):
        refresh(both, settings, tmp_path / "state", sources.silent, now=NOW)
    assert found(f"{site.url}/good/", tmp_path / "state") == {"good/index.html": "ok"}


def test_a_source_asked_recently_is_not_asked_again(site: Site, tmp_path: Path) -> None:
    site.html("/")
    settings = configuration.load(overrides={"sources": {"refresh_after_s": 3600, "web": {"delay_s": 0}}})

    def refreshed(now: datetime, *, force: bool = False) -> bool:
        before = len(site.asked)
        refresh([locate(f"{site.url}/")], settings, tmp_path / "state", sources.silent, now=now, force=force)
        return len(site.asked) > before

    assert refreshed(NOW)
    assert not refreshed(NOW + timedelta(minutes=59))
    assert refreshed(NOW + timedelta(minutes=59), force=True)
    assert refreshed(NOW + timedelta(hours=3))


# --- kills ---

CRAWL = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from pipelines import settings
from pipelines.documents.fetching.refresh import refresh
from pipelines.documents.sources import locate, silent

made = settings.load(overrides={"sources": {"attempts": 1, "web": {"delay_s": 0}}})
refresh([locate(sys.argv[1])], made, Path(sys.argv[2]), silent, now=datetime.now(UTC))
"""


def test_a_killed_refresh_leaves_the_last_snapshot_and_is_taken_up_where_it_was(
    site: Site, fetch: Fetch, tmp_path: Path
) -> None:
    names = [f"p{n}" for n in range(6)]
    site.html("/", *names)
    for name in names:
        site.html(f"/{name}", text="first")
    fetch(f"{site.url}/")
    folder = snapshots.folder_of(locate(f"{site.url}/"), tmp_path / "state")
    before = files_and_times(folder)
    for name in names:
        site.html(f"/{name}", text="second")
    last = site.pages["/p5"]
    site.pages["/p5"] = Page(slowly=lambda: iter(lambda: time.sleep(0.05) or b"x", None))  # type: ignore[func-returns-value]
    site.asked.clear()
    process = subprocess.Popen(
        [sys.executable, "-c", CRAWL, f"{site.url}/", str(tmp_path / "state")],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
    )
    while not any(asked.path == "/p5" for asked in site.asked):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert files_and_times(folder) == before
    site.pages["/p5"] = last
    site.asked.clear()
    fetch(f"{site.url}/", now=datetime.now(UTC))
    assert site.paths == ["/p5"]  # the others had been fetched before the kill
    texts = [
        s.path.read_text() for s in find_sources([f"{site.url}/"], tmp_path / "state", configuration.load().documents)
    ]
    assert sum("second" in text for text in texts) == 6
    assert not list((tmp_path / "state/sources").glob(".*.journal.jsonl"))


@pytest.mark.parametrize("left", ["old listing", "no listing", "damaged listing", "damaged origin"])
def test_a_snapshot_that_a_crash_left_is_mended_by_the_next_refresh(
    site: Site, fetch: Fetch, tmp_path: Path, left: str
) -> None:
    site.html("/", "a")
    fetch(f"{site.url}/")
    folder = snapshots.folder_of(locate(f"{site.url}/"), tmp_path / "state")
    listing, origin = folder / snapshots.LISTING, folder / snapshots.ORIGIN
    before = listing.read_text()
    site.html("/a")
    fetch(f"{site.url}/")
    if left == "old listing":
        listing.write_text(before)  # the origin is written first
        assert found(f"{site.url}/", tmp_path / "state") == {"a": "answered 404", "index.html": "ok"}
    elif left == "no listing":
        listing.unlink()
        with pytest.raises(SourceError, match="not fetched yet"):
            found(f"{site.url}/", tmp_path / "state")
    elif left == "damaged listing":
        listing.write_text(before[:30])
        with pytest.raises(SourceError, match="snapshot is damaged"):
            found(f"{site.url}/", tmp_path / "state")
    else:
        origin.write_text("{")
        assert found(f"{site.url}/", tmp_path / "state") == {"a.html": "ok", "index.html": "ok"}
    fetch(f"{site.url}/")
    assert found(f"{site.url}/", tmp_path / "state") == {"a.html": "ok", "index.html": "ok"}
    assert snapshots.read(locate(f"{site.url}/"), tmp_path / "state") is not None
