"""Where a crawl may be led, and what one answer may cost."""

import gzip
import ssl
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from pipelines import settings as configuration
from pipelines.documents.fetching.visits import Visit, Visitor, forbidden, names_private
from tests.documents.servers import Page, Site, certificate, serving

MIB = 1 << 20


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as made:
        yield made


def visit(
    url: str, *, most_bytes: int = MIB, leads_to: list[str] | None = None, attempts: int = 1, **web: object
) -> Visit:
    settings = configuration.load(overrides={"sources": {"web": {"delay_s": 0, **web}}}).sources
    resolve = None if leads_to is None else (lambda host, port: leads_to)
    with Visitor(url, settings.web, timeout_s=5, attempts=attempts, resolve=resolve) as visitor:
        return visitor.get(url, most_bytes=most_bytes)


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("127.0.0.1", "private"),
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "private"),  # behind a carrier's NAT
        ("0.0.0.0", "no address of a host"),
        ("224.0.0.1", "no address of a host"),
        ("169.254.169.254", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("::1", "private"),
        ("fd00:ec2::254", "private"),  # metadata by IPv6
        ("::ffff:169.254.169.254", "link-local"),
        ("64:ff9b::a9fe:a9fe", "link-local"),  # the same through NAT64
        ("2002:7f00:0001::", "private"),  # 127.0.0.1 by 6to4
        ("93.184.215.14", None),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", None),
    ],
)
def test_addresses_that_no_page_may_lead_to(address: str, what: str | None) -> None:
    found = forbidden(address, private=False)
    assert found is None if what is None else what in str(found)
    if what != "private":
        assert (forbidden(address, private=True) is None) == (what is None)  # link-local is never allowed
    else:
        assert forbidden(address, private=True) is None


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("localhost", True),
        ("wiki", True),  # a bare name is the team's own
        ("10.0.0.1", True),
        ("[::1]", True),
        ("93.184.215.14", False),
        ("docs.example.com", False),
        ("wiki.corp.example", True),  # listed
        ("evil-corp.example", False),
    ],
)
def test_only_a_source_that_says_so_is_in_a_private_network(host: str, private: bool) -> None:
    assert names_private(host, ("*.corp.example",)) is private


def test_a_public_name_that_leads_inside_is_refused_before_a_connection(site: Site) -> None:
    url = f"http://docs.example.com:{site.port}/"
    for address in ("127.0.0.1", "169.254.169.254"):
        found = visit(url, leads_to=[address])
        assert f"docs.example.com leads to {address}" in str(found.failed) and not found.passing
    mixed = visit(url, leads_to=["93.184.215.14", "127.0.0.1"])  # as rebinding does it
    assert "leads to 127.0.0.1" in str(mixed.failed)
    assert site.asked == []
    site.pages["/"] = Page(b"inside")
    assert visit(url, leads_to=["127.0.0.1"], private_hosts=["docs.example.com"]).body == b"inside"


def test_a_name_that_cannot_be_resolved_or_a_closed_port_may_pass(site: Site) -> None:
    site.stop()
    assert visit(site.url).passing
    assert visit("http://no-such-host.invalid/").passing


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b"text" * 100)),
        ("deflate", zlib.compress(b"text" * 100)),
        ("deflate", zlib.compress(b"text" * 100)[2:-4]),  # without its header, as some servers send it
    ],
)
def test_packed_answers_are_unpacked(site: Site, encoding: str, packed: bytes) -> None:
    site.pages["/"] = Page(packed, headers={"Content-Encoding": encoding})
    assert visit(f"{site.url}/").body == b"text" * 100


def test_bombs_are_given_up_while_they_come(site: Site) -> None:
    site.pages["/gzip"] = Page(gzip.compress(bytes(200 * MIB)), headers={"Content-Encoding": "gzip"})
    site.pages["/zstd"] = Page(zstandard.compress(bytes(200 * MIB)), headers={"Content-Encoding": "zstd"})
    site.pages["/twice"] = Page(gzip.compress(gzip.compress(b"x")), headers={"Content-Encoding": "gzip, gzip"})
    site.pages["/cut"] = Page(gzip.compress(b"text" * 1000)[:-10], headers={"Content-Encoding": "gzip"})
    site.pages["/declared"] = Page(b"x" * (2 * MIB))
    assert "more bytes than sources.web.page_bytes" in str(visit(f"{site.url}/gzip").failed)
    assert "encoded as 'zstd'" in str(visit(f"{site.url}/zstd").failed)
    assert "encoded as 'gzip, gzip'" in str(visit(f"{site.url}/twice").failed)
    assert "not valid HTTP" in str(visit(f"{site.url}/cut").failed)
    assert "too large: 2097152 bytes" in str(visit(f"{site.url}/declared").failed)


def endless() -> Iterator[bytes]:
    while True:
        yield b"x" * 65536


def trickle() -> Iterator[bytes]:
    while True:
        yield b"x"
        time.sleep(0.05)


def test_an_answer_without_an_end_or_one_that_trickles_is_given_up(site: Site) -> None:
    site.pages["/endless"] = Page(slowly=endless)
    site.pages["/trickle"] = Page(slowly=trickle)
    assert "more bytes than" in str(visit(f"{site.url}/endless").failed)
    slow = visit(f"{site.url}/trickle", page_timeout_s=0.5)
    assert "sources.web.page_timeout_s" in str(slow.failed) and slow.passing


def test_a_server_that_is_busy_is_asked_again_after_its_pause(site: Site) -> None:
    answers = [Page(b"", 503, headers={"Retry-After": "1"}), Page(b"", 500), Page(b"at last")]
    site.pages["/"] = lambda: answers.pop(0)
    assert visit(f"{site.url}/", attempts=3).body == b"at last"
    assert site.asked[1].at - site.asked[0].at >= 1
    site.pages["/"] = lambda: Page(b"", 429, headers={"Retry-After": "86400"})
    assert visit(f"{site.url}/", attempts=3).failed == "answered 429"
    assert len(site.asked) == 4  # not again: it wants to be left alone for longer than a refresh takes


def test_certificates_are_checked_against_the_name_and_those_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = certificate(tmp_path, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place)
    with serving(context) as site:
        site.pages["/"] = Page(b"secret page")
        assert "certificate verify failed" in str(visit(f"{site.url}/").failed)
        monkeypatch.setenv("SSL_CERT_FILE", str(place))
        assert visit(f"{site.url}/", leads_to=["127.0.0.1"]).body == b"secret page"  # by number, under its name
        other = visit(site.url.replace("localhost", "wiki") + "/", leads_to=["127.0.0.1"])
        assert "certificate" in str(other.failed)


def test_requests_keep_their_distance(site: Site) -> None:
    site.pages["/"] = Page(b"x")
    settings = configuration.load(overrides={"sources": {"web": {"delay_s": 0.2}}}).sources
    with Visitor(site.url, settings.web, timeout_s=5, attempts=1) as visitor:
        for _ in range(3):
            visitor.get(f"{site.url}/", most_bytes=MIB)
    gaps = [b.at - a.at for a, b in zip(site.asked, site.asked[1:], strict=False)]
    assert all(gap >= 0.19 for gap in gaps)


def test_the_token_goes_to_the_hosts_that_are_listed_and_no_other(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDWORK_WEB_API_KEY", "hunter2")
    site.pages["/"] = Page(b"x")
    visit(f"{site.url}/")
    visit(f"{site.url}/", token_hosts=["127.0.0.1"])
    sent = [asked.headers.get("Authorization") for asked in site.asked]
    assert sent == [None, "Bearer hunter2"]
    assert "groundwork/" in site.asked[0].headers["User-Agent"]


def test_a_proxy_of_the_environment_is_used_and_names_are_looked_at_all_the_same(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", site.url)
    site.otherwise = lambda path: Page(path.encode())
    assert visit("http://docs.example.com/x", leads_to=["93.184.215.14"]).body == b"http://docs.example.com/x"
    assert "leads to 169.254.169.254" in str(visit("http://docs.example.com/", leads_to=["169.254.169.254"]).failed)
