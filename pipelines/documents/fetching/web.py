"""Web pages -> entries: a bounded crawl from a start address, on its host alone.

Pages are visited breadth first, one at a time, in the order in which they are linked, so that an unchanged site gives
the same pages. robots.txt, `noindex` and `nofollow` are obeyed; a page is asked for again only if it changed (ETag,
Last-Modified). Bounds: depth, pages, bytes a page and in all, minutes, variants of one path, redirects.
A page that fails for a passing reason keeps the bytes of last time; several in a row end the crawl as a whole.
Not covered: pages that scripts make, forms, logins.
"""

import mimetypes
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from protego import Protego

from pipelines.documents.fetching import addresses
from pipelines.documents.fetching.answers import (
    SILENT,
    UNWANTED,
    as_text,
    charset_of,
    extensions_of,
    is_html,
    unpacked,
    unwanted,
)
from pipelines.documents.fetching.job import Fetched, Job
from pipelines.documents.fetching.links import Links, links_of, places_of, robots_said
from pipelines.documents.fetching.visits import AGENT, Resolve, Visit, Visitor
from pipelines.documents.parsers import BY_EXTENSION
from pipelines.documents.sources.snapshots import Entry
from pipelines.errors import SourceError
from pipelines.settings import WebSources

REDIRECTS_AT_MOST = 5
FAILURES_IN_A_ROW = 5
"""After so many answers that fail for a passing reason the start is asked whether the site is down."""
ROBOTS_BYTES = 512 << 10
SITEMAPS_AT_MOST = 50
SEEN_AT_MOST = 100
"""Addresses remembered, for each page that may be visited."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True)
class Waiting:
    """An address to visit."""

    url: str
    depth: int
    hops: int = 0


def fetch(job: Job, resolve: Resolve | None = None) -> Fetched:
    """The pages below the address. Raises SourceError when the site cannot be reached or forbids it."""
    start = addresses.normalised(job.location.address)
    if start is None:
        raise SourceError("not a web address that can be asked.")
    settings = job.settings
    with Visitor(
        start, settings.web, timeout_s=settings.timeout_s, attempts=settings.attempts, resolve=resolve
    ) as visitor:
        return Crawl(job, visitor, start).run()


@dataclass
class Crawl:
    """A crawl under way."""

    job: Job
    visitor: Visitor
    start: str
    scope: str = "/"
    robots: Protego | None = None
    queue: deque[Waiting] = field(default_factory=deque)
    seen: set[str] = field(default_factory=set)
    entries: dict[str, Entry] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    variants: Counter[str] = field(default_factory=Counter)
    visited: int = 0
    size_bytes: int = 0
    failures: int = 0

    @property
    def web(self) -> WebSources:
        """The bounds."""
        return self.job.settings.web

    def run(self) -> Fetched:
        """Visit what can be reached within the bounds."""
        until = time.monotonic() + 60 * self.web.minutes_at_most
        self._set_scope(self.start)
        self._obey_robots()
        self.seen.add(self.start)
        self._visit(Waiting(self.start, 0))
        if self.web.sitemaps and self.web.depth:
            self._add_sitemaps()
        stopped = None
        while self.queue and (stopped := self._bound(until)) is None:
            self._visit(self.queue.popleft())
        if stopped == "minutes_at_most":
            self._keep_unvisited()
        notes: dict[str, object] = {}
        if self.left_out:
            notes["left out"] = ", ".join(f"{number} by {reason}" for reason, number in sorted(self.left_out.items()))
        if stopped is not None:
            notes["stopped"] = f"at sources.web.{stopped}, with {len(self.queue)} addresses not visited"
        return Fetched(list(self.entries.values()), notes=notes)

    def _bound(self, until: float) -> str | None:
        """The bound that ends the crawl here, or None."""
        if self.visited >= self.web.pages_at_most:
            return "pages_at_most"
        if self.size_bytes >= self.web.total_bytes:
            return "total_bytes"
        return "minutes_at_most" if time.monotonic() > until else None

    def _set_scope(self, start: str) -> None:
        self.start = start
        self.scope = "/" if self.web.whole_host else addresses.scope_of(start)

    # --- what may be visited ---

    def _obey_robots(self) -> None:
        """Read robots.txt. Raises SourceError when the site does not answer, or forbids the start."""
        if not self.web.robots:
            return
        visit = self._followed(f"{self._root()}/robots.txt", ROBOTS_BYTES)
        if visit.failed is not None:
            raise SourceError(f"its robots.txt {visit.failed}. Check the address and the network.")
        if visit.status != 200:
            return
        self.robots = Protego.parse(visit.body.decode("utf-8", "replace").removeprefix("\ufeff"))
        if not self.robots.can_fetch(self.start, AGENT):
            raise SourceError(
                f"its robots.txt does not allow {urlsplit(self.start).path} for {AGENT}; on a site of your own set "
                "sources.web.robots: false."
            )
        rate = self.robots.request_rate(AGENT)
        slower = [self.robots.crawl_delay(AGENT) or 0.0, rate.seconds / rate.requests if rate else 0.0]
        self.visitor.delay_s = max(self.visitor.delay_s, *slower)
        if self.visitor.delay_s > 60 * self.web.minutes_at_most:
            raise SourceError(
                f"its robots.txt asks for {self.visitor.delay_s:g} s between requests, longer than a whole crawl may "
                "take (sources.web.minutes_at_most)."
            )

    def _root(self) -> str:
        parts = urlsplit(self.start)
        return f"{parts.scheme}://{parts.netloc}"

    def _followed(self, url: str, most_bytes: int) -> Visit:
        """An answer after redirects within the site; one that leads elsewhere counts as not there."""
        for _ in range(REDIRECTS_AT_MOST):
            visit = self.visitor.get(url, most_bytes=most_bytes)
            if visit.status not in _REDIRECTS:
                return visit
            target = addresses.normalised(visit.header("location"), url)
            if target is None or addresses.origin(target) != addresses.origin(self.start):
                break
            url = target
        return Visit(404)

    def _add_sitemaps(self) -> None:
        """The pages of the site's sitemaps, as if the start linked to them."""
        named = [] if self.robots is None else list(self.robots.sitemaps)
        places = deque(dict.fromkeys([*named, f"{self._root()}/sitemap.xml"]))
        asked: set[str] = set()
        while places and len(asked) < SITEMAPS_AT_MOST:
            place = addresses.normalised(places.popleft(), self.start)
            if place is None or place in asked or addresses.origin(place) != addresses.origin(self.start):
                continue
            asked.add(place)
            visit = self._followed(place, self.web.page_bytes)
            if visit.failed is not None or visit.status != 200:
                continue
            found, are_sitemaps = places_of(unpacked(visit.body, self.web.page_bytes))
            if are_sitemaps:
                places.extend(found[:SITEMAPS_AT_MOST])
            else:
                for link in found:
                    self._add(link, place, 1)

    def _add(self, link: str, base: str, depth: int) -> None:
        """Put a link into the queue if it is one to follow."""
        url = addresses.normalised(link, base)
        if url is None or addresses.origin(url) != addresses.origin(self.start):
            return
        url = addresses.with_scheme_of(url, self.start)
        if url in self.seen or len(self.seen) > SEEN_AT_MOST * (self.web.pages_at_most + 100):
            return
        self.seen.add(url)
        if self._may_visit(url, depth):
            self.queue.append(Waiting(url, depth))

    def _may_visit(self, url: str, depth: int) -> bool:
        if not addresses.within(url, self.scope):
            return False
        path = urlsplit(url).path
        reason = None
        if (mimetypes.guess_type(path)[0] or "").startswith(SILENT):
            reason = "type"
        elif depth > self.web.depth:
            reason = "depth"
        elif addresses.grows(url):
            reason = "repeating paths"
        elif self.robots is not None and not self.robots.can_fetch(url, AGENT):
            reason = "robots.txt"
        else:
            self.variants[path] += 1
            if self.variants[path] > self.web.variants_at_most:
                reason = "variants"
        if reason is not None:
            self.left_out[reason] += 1
        return reason is None

    # --- one address ---

    def _visit(self, at: Waiting) -> None:
        url = at.url
        self.visited += 1
        self.job.report(self.visited, self.visited + len(self.queue), url)
        taken, last = self.job.taken.get(url), self.job.last.get(url)
        if taken is not None and self.job.held(taken):
            self._keep(taken, at)
            return
        known = _conditions(last) if last is not None and self.job.held(last) else {}
        visit = self.visitor.get(
            url, most_bytes=self.web.page_bytes, known=known, wanted=lambda status, h: unwanted(status, h, url)
        )
        if visit.passing:
            self._passing(visit, at, last)
            return
        self.failures = 0
        if visit.failed == UNWANTED:
            self.left_out["type"] += 1
        elif visit.failed is not None:
            self._refuse(url, visit.failed)
        elif visit.status == 304 and last is not None and known:
            self._keep(last.model_copy(update={"kept_because": None}), at)
        elif visit.status in _REDIRECTS:
            self._redirected(visit.header("location"), at)
        elif visit.status == 200:
            self._arrived(visit, at)
        else:
            self._refuse(url, f"answered {visit.status}")

    def _passing(self, visit: Visit, at: Waiting, last: Entry | None) -> None:
        """What may be otherwise next time: the bytes of last time stay, but a site that is down is an error."""
        self.failures += 1
        if at.url == self.start or (self.failures >= FAILURES_IN_A_ROW and self._is_down()):
            raise SourceError(
                f"{at.url} {visit.failed}. What was fetched so far is taken up when the same command runs again."
            )
        if last is not None and self.job.held(last):
            self._keep(last.model_copy(update={"kept_because": visit.failed}), at)
        else:
            self._refuse(at.url, visit.failed or "did not answer")

    def _is_down(self) -> bool:
        """Whether the start does not answer any more either; a part of a site that is broken is not the site."""
        self.failures = 0
        return self.visitor.get(self.start, most_bytes=self.web.page_bytes).passing

    def _refuse(self, url: str, reason: str) -> None:
        self.entries[url] = Entry(at=url, uri=addresses.uri_of(url, ()), refused=reason)

    def _redirected(self, location: str, at: Waiting) -> None:
        target = addresses.normalised(location, at.url) if location else None
        if target is None:
            self._refuse(at.url, "redirects to what is no web address")
        elif addresses.origin(target) != addresses.origin(self.start):
            host = urlsplit(target).netloc
            self._refuse(at.url, f"redirects to another host, {host}; name that address as a source of its own")
        elif at.hops >= REDIRECTS_AT_MOST:
            self._refuse(at.url, f"redirects more than {REDIRECTS_AT_MOST} times")
        elif target in self.seen:
            if target == at.url:
                self._refuse(at.url, "redirects to itself")
        else:
            self.seen.add(target)
            if at.url == self.start:
                self._set_scope(target)
                if self.robots is not None and not self.robots.can_fetch(target, AGENT):
                    raise SourceError(f"it redirects to {target}, which its robots.txt does not allow for {AGENT}.")
                self._visit(Waiting(target, at.depth, at.hops + 1))
            elif self._may_visit(target, at.depth):
                self.queue.appendleft(Waiting(target, at.depth, at.hops + 1))

    def _arrived(self, visit: Visit, at: Waiting) -> None:
        """Keep a page and follow its links."""
        extensions, _ = extensions_of(visit.headers or {}, at.url)
        charset = charset_of(visit.header("content-type"))
        body = as_text(visit.body, charset) if extensions and extensions[0] in BY_EXTENSION else visit.body
        if not body:
            self._refuse(at.url, "empty page (0 bytes)")
            return
        links = links_of(body) if is_html(extensions) else Links()
        index, follow = robots_said(visit.header("x-robots-tag"))
        if self._elsewhere(links, at):
            return
        if self.web.robots and not (links.index and index):
            self.left_out["noindex"] += 1
        else:
            stored = self.job.store.put_stream([body])
            entry = Entry(
                at=at.url,
                uri=addresses.uri_of(at.url, extensions),
                size_bytes=len(body),
                sha256=stored.digest,
                tag=visit.header("etag") or None,
                modified=visit.header("last-modified") or None,
                followed=follow,
            )
            self._take(entry)
            self.job.journal.add(entry)
        self._follow(links, at, follow=follow)

    def _keep(self, entry: Entry, at: Waiting) -> None:
        """Take a page over whose bytes are here, and follow its links."""
        assert entry.sha256 is not None
        if entry.kept_because is None:
            self.job.journal.add(entry)
        self._take(entry)
        if is_html((PurePosixPath(entry.uri).suffix.lower(),)):
            self._follow(links_of(self.job.store.get(entry.sha256).read_bytes()), at, follow=entry.followed)

    def _take(self, entry: Entry) -> None:
        self.entries[entry.at] = entry
        self.size_bytes += entry.size_bytes

    def _elsewhere(self, links: Links, at: Waiting) -> bool:
        """Whether a page says that it is another one with a shorter query; that one is visited instead."""
        canonical = addresses.normalised(links.canonical, at.url) if links.canonical else None
        if canonical is None or canonical == at.url or not urlsplit(at.url).query:
            return False
        canonical = addresses.with_scheme_of(canonical, self.start)
        here, there = urlsplit(at.url), urlsplit(canonical)
        if (here.netloc, here.path) != (there.netloc, there.path) or len(there.query) >= len(here.query):
            return False
        self.left_out["canonical"] += 1
        if canonical not in self.seen:
            self.seen.add(canonical)
            self.queue.appendleft(Waiting(canonical, at.depth))
        return True

    def _follow(self, links: Links, at: Waiting, *, follow: bool) -> None:
        if self.web.robots and not (links.follow and follow):
            return
        base = addresses.normalised(links.base, at.url) if links.base else None
        for link in links.links:
            self._add(link, base or at.url, at.depth + 1)

    def _keep_unvisited(self) -> None:
        """Time was up before these were asked: that says nothing about them."""
        for waiting in self.queue:
            last = self.job.last.get(waiting.url)
            if last is not None and self.job.held(last):
                self._take(
                    last.model_copy(update={"kept_because": "not visited in time (sources.web.minutes_at_most)"})
                )


def _conditions(last: Entry) -> dict[str, str]:
    """Headers that ask for a page only if it changed."""
    asked = {"If-None-Match": last.tag, "If-Modified-Since": last.modified}
    return {name: value for name, value in asked.items() if value and value.isprintable() and value.isascii()}
