"""What a page leads to: its links, its base and canonical address, what it says to robots; the places of a sitemap.

Tags are found by patterns that take time in proportion to the page's length, whatever is in it: a hostile page is not
given to a parser here (documents/sandbox.py is where those run).
"""

import html
import re
from dataclasses import dataclass

LOOKED_AT_BYTES = 8 << 20
"""Links further down in a page are not followed."""
LINKS_AT_MOST = 20_000

_SKIPPED = re.compile(r"<(!--|script\b|style\b|template\b)", re.I)
_TAG = re.compile(
    r"""<(a|area|iframe|frame|base|link|meta)\s((?:[^<>"']|"[^"<]{0,8000}+"|'[^'<]{0,8000}+'){1,8000}+)>""", re.I
)
_ATTRIBUTE = re.compile(r"""([a-zA-Z-]{1,30})\s{0,20}=\s{0,20}(?:"([^"]*+)"|'([^']*+)'|([^\s"'>]++))""")
_LOCATION = re.compile(r"<(?:[a-z]{1,20}:)?loc>\s{0,100}(?:<!\[CDATA\[)?\s{0,100}([^<\]\s]{1,2500})", re.I)


@dataclass(frozen=True)
class Links:
    """What a page says about itself and others; links as they stand there."""

    links: tuple[str, ...] = ()
    base: str | None = None
    canonical: str | None = None
    index: bool = True
    follow: bool = True


def links_of(body: bytes, charset: str | None = None) -> Links:
    """The links of an HTML page, in order, each once."""
    found: dict[str, None] = {}
    base = canonical = None
    said = ""
    for name, attributes in _tags(_visible(_text(body[:LOOKED_AT_BYTES], charset))):
        if name in ("a", "area") and "nofollow" not in attributes.get("rel", "").lower().split():
            found.setdefault(attributes.get("href", ""))
        elif name in ("iframe", "frame"):
            found.setdefault(attributes.get("src", ""))
        elif name == "base":
            base = base or attributes.get("href")
        elif name == "link" and "canonical" in attributes.get("rel", "").lower().split():
            canonical = canonical or attributes.get("href")
        elif name == "meta" and attributes.get("name", "").lower() in ("robots", "groundwork"):
            said += f",{attributes.get('content', '')}"
        if len(found) >= LINKS_AT_MOST:
            break
    index, follow = robots_said(said)
    links = tuple(link for link in found if link.strip() and not link.strip().startswith("#"))
    return Links(links, base, canonical, index, follow)


def robots_said(text: str) -> tuple[bool, bool]:
    """Whether a page may be kept, and its links be followed, by `noindex`, `nofollow` and `none`."""
    words = {word.strip().lower() for word in text.split(",")}
    return not words & {"noindex", "none"}, not words & {"nofollow", "none"}


def places_of(sitemap: bytes) -> tuple[list[str], bool]:
    """The addresses of a sitemap, and whether they are sitemaps themselves."""
    text = sitemap.decode("utf-8", "replace")
    return [html.unescape(place) for place in _LOCATION.findall(text)], "<sitemapindex" in text[:5000].lower()


def _text(body: bytes, charset: str | None) -> str:
    for name in (charset, "utf-8"):
        if name:
            try:
                return body.decode(name)
            except (UnicodeDecodeError, LookupError):
                continue
    return body.decode("latin-1")


def _visible(text: str) -> str:
    """The text without comments, scripts and styles, whose strings may look like links."""
    kept, at = [], 0
    while (found := _SKIPPED.search(text, at)) is not None:
        kept.append(text[at : found.start()])
        name = found[1].lower()
        end = text.find("-->", found.end()) if name == "!--" else _find_end(text, name, found.end())
        if end < 0:
            return "".join(kept)
        at = end + 3
    kept.append(text[at:])
    return "".join(kept)


def _find_end(text: str, name: str, start: int) -> int:
    found = re.compile(rf"</{name}", re.I).search(text, start)
    return found.start() if found is not None else -1


def _tags(text: str) -> list[tuple[str, dict[str, str]]]:
    found = []
    for name, inside in _TAG.findall(text):
        values = {a.lower(): html.unescape(b or c or d) for a, b, c, d in _ATTRIBUTE.findall(inside)}
        found.append((name.lower(), values))
    return found
