"""One request over HTTP(S): bounded in time, bytes and where it may lead.

A connection is made to an address that was looked at first: names do not lead into private networks, loopback or
link-local addresses (a cloud's metadata) unless the source itself names such a host, or the settings do. Redirects are
not followed here. An answer is given up when it takes too long as a whole, or unpacks to too much.
The layer below httpx is used (httpcore), since that is where a connection is made.
Not covered: which pages to ask for (web.py).
"""

import fnmatch
import ipaddress
import socket
import time
import urllib.request
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpcore
import httpx

import pipelines
from pipelines.settings import WebSources, secret

AGENT = "groundwork"
"""What robots.txt knows us by."""
USER_AGENT = f"{AGENT}/{pipelines.__version__} (documents for a team's search; obeys robots.txt)"
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that may be another one next time."""
PASSED_OVER_BYTES = 64 << 10
LONGEST_WAIT_S = 60
"""A server that asks for a longer pause is asked at the next refresh."""

Resolve = Callable[[str, int], list[str]]
Wanted = Callable[[int, Mapping[str, str]], str | None]
"""From status and headers: why the body is not read, or None."""


@dataclass(frozen=True)
class Visit:
    """What came of a request. `failed`: why there is no answer, or none that can be used; `passing`: it may be
    otherwise next time; `again`: and it is worth asking at once."""

    status: int = 0
    headers: Mapping[str, str] | None = None
    body: bytes = b""
    failed: str | None = None
    passing: bool = False
    again: bool = False

    def header(self, name: str) -> str:
        """A header's value, or nothing."""
        return (self.headers or {}).get(name, "")


class ForbiddenError(httpcore.ConnectError):
    """An address that a crawl may not be led to."""


class Visitor:
    """A client for the pages of one host. `resolve`: addresses of a name, for tests that have no DNS."""

    def __init__(
        self, start: str, web: WebSources, *, timeout_s: float, attempts: int, resolve: Resolve | None = None
    ) -> None:
        host = urlsplit(start).hostname or ""
        self._web, self._timeout_s, self._attempts = web, timeout_s, attempts
        self._checked = self._guard = Guard(names_private(host, web.private_hosts), resolve or addresses_of)
        self._proxied = False
        self._pool = self._connections(start)
        self._next_at = 0.0
        self.delay_s = web.delay_s
        self.asked = 0
        shown = start.startswith("http:") and not names_private(host, web.private_hosts)  # in plain sight on its way
        token = secret("WEB") if host in web.token_hosts and not shown else None
        self._token = token.get_secret_value() if token else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._pool.close()

    def get(
        self, url: str, *, most_bytes: int, known: Mapping[str, str] | None = None, wanted: Wanted | None = None
    ) -> Visit:
        """Ask for a page, again when it fails for a passing reason. `known`: headers that make it conditional."""
        visit = Visit()
        for attempt in range(self._attempts):
            self._wait(0.5 * 2**attempt if attempt else 0.0, visit)
            visit = self._once(url, most_bytes, known or {}, wanted)
            if not visit.again or _pause_s(visit) > LONGEST_WAIT_S:
                break
        return visit

    def _once(self, url: str, most_bytes: int, known: Mapping[str, str], wanted: Wanted | None) -> Visit:
        self._next_at = time.monotonic() + self.delay_s
        self.asked += 1
        headers = {
            "User-Agent": USER_AGENT,
            "Accept": "text/html, application/xhtml+xml, application/pdf, text/*;q=0.9, */*;q=0.5",
            "Accept-Encoding": "gzip, deflate",
            **known,
        }
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), self._timeout_s)
        self._guard.deadline = time.monotonic() + self._web.page_timeout_s
        try:
            if self._proxied:
                self._checked.check_through_proxy(urlsplit(url).hostname or "", urlsplit(url).port or 0)
            with self._pool.stream(
                "GET", url, headers=list(headers.items()), extensions={"timeout": timeouts}
            ) as response:
                return _read(response, most_bytes, wanted)
        except ForbiddenError as exc:
            return Visit(failed=str(exc))
        except httpcore.TimeoutException:
            late = time.monotonic() >= self._guard.deadline
            rule = "sources.web.page_timeout_s" if late else "sources.timeout_s"
            return Visit(failed=f"did not answer in time ({rule})", passing=True, again=not late)
        except (httpcore.NetworkError, httpcore.ProxyError, httpcore.RemoteProtocolError) as exc:
            return Visit(failed=f"could not be reached: {_said(exc)}", passing=True, again=True)
        except (httpcore.ProtocolError, httpcore.UnsupportedProtocol, zlib.error, ValueError) as exc:
            return Visit(failed=f"gave what is not valid HTTP: {_said(exc)}")

    def _wait(self, backoff_s: float, last: Visit) -> None:
        until = max(self._next_at, time.monotonic() + max(backoff_s, _pause_s(last)) if backoff_s else 0.0)
        time.sleep(max(0.0, until - time.monotonic()))

    def _connections(self, start: str) -> httpcore.ConnectionPool:
        """Connections of our own, or through the proxy that the environment names."""
        parts = urlsplit(start)
        proxy = urllib.request.getproxies().get(parts.scheme)
        context = httpx.create_ssl_context()
        via = None
        if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
            address = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
            auth = (address.username, address.password or "") if address.username else None
            via = httpcore.Proxy(address._replace(netloc=address.netloc.rpartition("@")[2]).geturl(), auth=auth)
            self._proxied, self._guard = True, Guard(True, addresses_of)  # the proxy itself may be in a private network
        return httpcore.ConnectionPool(context, proxy=via, network_backend=self._guard, max_connections=2)


class Guard(httpcore.NetworkBackend):
    """Makes connections, to addresses that may be connected to, and ends what takes longer than the deadline."""

    def __init__(self, private: bool, resolve: Resolve) -> None:
        self._private, self._resolve = private, resolve
        self._plain = httpcore.SyncBackend()
        self.deadline = float("inf")

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address that answers, after all of them were looked at."""
        found = self._allowed(host, port)
        failed: Exception | None = None
        for address in found:
            try:
                plain = self._plain.connect_tcp(
                    address, port, _left(timeout, self.deadline), local_address, socket_options
                )
                return _Watched(plain, self)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failed = exc
        raise failed or httpcore.ConnectError("the name has no address")

    def check_through_proxy(self, host: str, port: int) -> None:
        """Where a proxy makes the connection, what this machine knows of a name is looked at all the same."""
        try:
            self._allowed(host, port)
        except ForbiddenError:
            raise
        except httpcore.ConnectError:
            return  # a name that only the proxy can resolve

    def _allowed(self, host: str, port: int) -> list[str]:
        try:
            found = self._resolve(host.strip("[]"), port)
        except (OSError, UnicodeError) as exc:
            raise httpcore.ConnectError(f"the name {host} cannot be resolved") from exc
        for address in found:
            if reason := forbidden(address, private=self._private):
                raise ForbiddenError(
                    f"{host} leads to {address}, {reason}; name the host in sources.web.private_hosts if it is your own"
                )
        return found


class _Watched(httpcore.NetworkStream):
    """A stream whose every wait ends at the deadline."""

    def __init__(self, plain: httpcore.NetworkStream, guard: Guard) -> None:
        self._plain, self._guard = plain, guard

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._plain.read(max_bytes, _left(timeout, self._guard.deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._plain.write(buffer, _left(timeout, self._guard.deadline))

    def close(self) -> None:
        self._plain.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(timeout, self._guard.deadline)
        return _Watched(self._plain.start_tls(ssl_context, server_hostname, left), self._guard)

    def get_extra_info(self, info: str) -> Any:
        return self._plain.get_extra_info(info)


def addresses_of(host: str, port: int) -> list[str]:
    """The addresses of a name, each once."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


def names_private(host: str, private_hosts: Iterable[str]) -> bool:
    """Whether a source's own address says that it is in a private network: a number, a bare name, or one listed."""
    try:
        return not ipaddress.ip_address(host.strip("[]")).is_global
    except ValueError:
        bare = "." not in host.rstrip(".") or host.endswith(".localhost")
        return bare or any(fnmatch.fnmatchcase(host, pattern.lower()) for pattern in private_hosts)


def forbidden(address: str, *, private: bool) -> str | None:
    """What an address is that a crawl may not be led to, or None."""
    ip = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
    if ip.is_link_local:
        return "a link-local address, where clouds keep their credentials"
    if ip.is_multicast or ip.is_unspecified:
        return "no address of a host"
    return None if private or ip.is_global else "a private address"


def _unwrapped(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address that an IPv6 address stands for: mapped, 6to4, NAT64."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in ipaddress.ip_network("64:ff9b::/96"):
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def _left(timeout: float | None, deadline: float) -> float:
    """Seconds until the timeout or the deadline, whichever is first. Raises ReadTimeout when there are none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the deadline has passed")
    return left if timeout is None else min(timeout, left)


def _read(response: httpcore.Response, most_bytes: int, wanted: Wanted | None) -> Visit:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
    status = response.status
    if status in PASSING:
        return Visit(status, headers, failed=f"answered {status}", passing=True, again=True)
    reason = wanted(status, headers) if wanted is not None else None
    if reason is None and status != 200:
        _pass_over(response.iter_stream())
    if reason is not None or status != 200:
        return Visit(status, headers, failed=reason)
    declared = headers.get("content-length", "")
    if declared.isdigit() and int(declared) > most_bytes:
        return Visit(status, headers, failed=f"too large: {declared} bytes, sources.web.page_bytes allows {most_bytes}")
    pieces, size = [], 0
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        return Visit(status, headers, failed=f"encoded as {encoding[:40]!r}, which was not asked for")
    for piece in _decoded(response.iter_stream(), encoding):
        size += len(piece)
        if size > most_bytes:
            return Visit(
                status, headers, failed=f"too large: more bytes than sources.web.page_bytes allows ({most_bytes})"
            )
        pieces.append(piece)
    return Visit(status, headers, b"".join(pieces))


def _pass_over(raw: Iterable[bytes]) -> None:
    """Read what follows a short answer, so that its connection can be used again."""
    left = PASSED_OVER_BYTES
    for piece in raw:
        left -= len(piece)
        if left < 0:
            return


def _decoded(raw: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """The bytes of a body in pieces of at most 64 KiB, however well they were packed."""
    if encoding in ("", "identity"):
        yield from raw
        return
    decoder = None
    for packed in raw:
        if decoder is None:
            bare = encoding == "deflate" and packed[0] & 0x0F != 8  # some servers leave zlib's header out
            decoder = zlib.decompressobj(-zlib.MAX_WBITS if bare else zlib.MAX_WBITS | 32)
        while packed:
            yield decoder.decompress(packed, 1 << 16)
            packed = decoder.unconsumed_tail
    if decoder is not None:
        yield decoder.flush()
        if not decoder.eof:
            raise zlib.error("its body ends too early")


def _pause_s(visit: Visit) -> float:
    """Seconds that a server asks to be left alone for."""
    asked = visit.header("retry-after").strip()
    return float(asked) if asked.isdigit() else 0.0


def _said(exc: BaseException) -> str:
    return "".join(c for c in str(exc) if c.isprintable())[:200].rstrip(".") or type(exc).__name__
