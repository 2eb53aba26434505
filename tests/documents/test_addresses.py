"""Web addresses in one form, and what is found in pages and sitemaps."""

from pathlib import PurePosixPath
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.documents.fetching.addresses import grows, normalised, origin, scope_of, uri_of, within
from pipelines.documents.fetching.links import links_of, places_of

BASE = "https://docs.example.com/guide/start.html"


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("next.html#part", "https://docs.example.com/guide/next.html"),
        ("../up", "https://docs.example.com/up"),
        ("/a/./b/../c", "https://docs.example.com/a/c"),
        ("/%7euser/%e4%b8%ad%2f", "https://docs.example.com/~user/%E4%B8%AD%2F"),  # a slash in a name stays one
        ("/a b/ü", "https://docs.example.com/a%20b/%C3%BC"),
        ("/x/%2e%2e/%2E/y", "https://docs.example.com/y"),  # dots in disguise
        ("?b=2&a=1&utm_source=x&fbclid=y", "https://docs.example.com/guide/start.html?a=1&b=2"),
        ("?", "https://docs.example.com/guide/start.html"),
        ("/p;jsessionid=AB12?x=", "https://docs.example.com/p?x="),
        ("//Other.Example.COM:443/x", "https://other.example.com/x"),
        ("http://docs.example.com:80", "http://docs.example.com/"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        (" \n/a\tb ", "https://docs.example.com/ab"),
        ("http://[::1]:8080/x", "http://[::1]:8080/x"),
        ("mailto:a@b.c", None),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("ftp://example.com/", None),
        ("https://user:pass@docs.example.com/", None),
        ("/x?access_token=abc", None),  # a secret in an address is not carried around
        ("http://[::1", None),
        ("http://a:99999/", None),
        ("http://exa mple/", None),
        ("/" + "a" * 3000, None),
    ],
)
def test_a_link_has_one_form_or_none(link: str, expected: str | None) -> None:
    assert normalised(link, BASE) == expected


links = st.one_of(
    st.text(max_size=60),
    st.from_regex(r"(https?://[a-z.\[\]:0-9@]{0,12})?[/?#&=;.%a-f0-9ü ~+]{0,40}", fullmatch=True),
)


@given(links, st.sampled_from([BASE, "http://h/", "https://h:8443/a/b?c=d"]))
@example("http://h//x/..//y", BASE)
@example("/a/%252e%252e/b", BASE)
def test_one_form_is_a_fixed_point_and_holds_what_it_promises(link: str, base: str) -> None:
    once = normalised(link, base)
    if once is None:
        return
    assert normalised(once) == once == normalised(once, base)
    parts = urlsplit(once)
    assert parts.scheme in ("http", "https") and parts.hostname and not parts.fragment
    assert parts.username is None and not {".", ".."} & set(parts.path.split("/")) and parts.path.startswith("/")
    assert once.isascii() and once.isprintable() and " " not in once
    fields = parts.query.split("&")
    assert fields == sorted(fields)
    uri = uri_of(once, (".html",))
    assert uri.endswith(".html") and not uri.startswith("/") and ".." not in PurePosixPath(uri).parts
    assert "" not in uri.split("/") and not any(part.startswith(".") for part in uri.split("/"))
    assert all(ord(character) > 0x1F for character in uri)
    origin(once)


@given(st.permutations(["a=1", "b=2", "c", "utm_campaign=x"]))
def test_the_order_of_a_query_does_not_count(fields: list[str]) -> None:
    assert normalised(f"https://h/x?{'&'.join(fields)}") == "https://h/x?a=1&b=2&c"


@pytest.mark.parametrize(
    ("url", "extensions", "expected"),
    [
        ("https://h/", (".html", ".htm"), "h/index.html"),
        ("https://h/docs/", (".html",), "h/docs/index.html"),
        ("https://h/docs", (".html",), "h/docs.html"),
        ("https://h/docs.htm", (".html", ".htm"), "h/docs.htm"),
        ("https://h/page.php?id=3&x=1", (".html",), "h/page.php@id=3&x=1.html"),
        ("https://h/a%20b/%C3%BC.PDF", (".pdf",), "h/a b/ü.PDF"),
        ("https://h:8443/x.tar.gz", (".tar.gz",), "h:8443/x.tar.gz"),
        ("https://h/a%2Fb", (".html",), "h/a%2Fb.html"),
        ("https://h/.well-known/x", (".txt",), "h/_well-known/x.txt"),
        ("https://h/%FF", (".html",), "h/%FF.html"),
        ("https://h/gone", (), "h/gone"),
    ],
)
def test_a_page_is_named_by_host_and_path_with_a_fitting_extension(
    url: str, extensions: tuple[str, ...], expected: str
) -> None:
    assert uri_of(url, extensions) == expected


@pytest.mark.parametrize(
    ("start", "inside", "outside"),
    [
        ("https://h/docs/", "https://h/docs/a", "https://h/docs-old/a"),
        ("https://h/docs", "https://h/docs", "https://h/docs-old"),
        ("https://h/docs/index.html", "https://h/docs/a", "https://h/other"),
        ("https://h/docs/v1.2", "https://h/docs/v1.2/a", "https://h/docs/v1.1/a"),
        ("https://h/", "https://h/anything", None),
    ],
)
def test_a_start_address_says_what_belongs_to_it(start: str, inside: str, outside: str | None) -> None:
    assert within(start, scope_of(start)) and within(inside, scope_of(start))
    assert outside is None or not within(outside, scope_of(start))


def test_a_site_that_moved_to_https_is_the_same_site() -> None:
    assert origin("http://h/") == origin("https://h/") != origin("http://h:8080/")


def test_paths_that_repeat_themselves_grow() -> None:
    assert grows("https://h/a/b/a/b/a/b/a/b") and not grows("https://h/2024/01/01/01/x")


# --- pages ---


def test_links_are_found_however_they_are_written() -> None:
    page = b"""<base href='/guide/'><A title="a > b" HREF=one.html>1</A><a\n href = "two.html?a=1&amp;b=2">
    <area href='three'/><iframe src="four"></iframe><a rel="nofollow" href="five"><a name=x><a href="#top">
    <!-- <a href="six"> --><script>var x = '<a href="seven">'</script><style>a[href="eight"]{}</style>
    <link rel="canonical" href="/c"><meta name="robots" content="noarchive, NOFOLLOW"><a href="one.html">"""
    found = links_of(page)
    assert found.links == ("one.html", "two.html?a=1&b=2", "three", "four")
    assert (found.base, found.canonical, found.index, found.follow) == ("/guide/", "/c", True, False)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "page",
    [
        b"<a href=" * 500_000,
        b'<a href="' * 500_000,
        b"<a " + b"x=" * 1_000_000,
        b"<a " + b"y='" * 500_000 + b">",
        b"<!--" * 500_000,
        b"<script>" * 300_000,
        b"<a\n" * 900_000,
        b"<a " + b"-" * 3_000_000,
        b"<loc>" * 500_000,
    ],
)
def test_a_hostile_page_takes_time_in_proportion_to_its_length(page: bytes) -> None:
    links_of(page)  # patterns that backtrack would take hours
    places_of(page)


@given(st.binary(max_size=300) | st.text("<>a href='\"=/!-", max_size=200).map(str.encode))
def test_no_page_raises(page: bytes) -> None:
    links_of(page)
    places_of(page)


def test_sitemaps_list_pages_or_sitemaps() -> None:
    pages = b'<urlset xmlns="x"><url><loc> https://h/a?x=1&amp;y=2 </loc></url><url><loc><![CDATA[https://h/b]]></loc></url>'
    assert places_of(pages) == (["https://h/a?x=1&y=2", "https://h/b"], False)
    assert places_of(b"<sitemapindex><sitemap><loc>https://h/s.xml</loc>") == (["https://h/s.xml"], True)
