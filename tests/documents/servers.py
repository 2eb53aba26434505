"""Real servers on loopback for the tests: pages that are given as data, and everything that they were asked."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

Chunks = Callable[[], Iterator[bytes]]


@dataclass
class Page:
    """An answer. `etag`: a request that knows it is answered 304. `slowly`: pieces of the body, as they come."""

    body: bytes = b""
    status: int = 200
    type: str | None = "text/html"
    headers: Mapping[str, str] = field(default_factory=dict)
    etag: str | None = None
    modified: str | None = None
    slowly: Chunks | None = None


@dataclass
class Asked:
    """A request as it came."""

    path: str
    headers: Mapping[str, str]
    at: float


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A crawler that hangs up is what some tests are about."""


class Site:
    """A host on loopback: `pages` by path with query; a callable is asked for its page each time."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.pages: dict[str, Page | Callable[[], Page]] = {}
        self.asked: list[Asked] = []
        self.otherwise: Callable[[str], Page] | None = None
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # head and body are two writes: 40 ms between them otherwise

            def do_GET(self) -> None:
                site.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = _QuietServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
            self.url = f"https://localhost:{self.port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def paths(self) -> list[str]:
        """What was asked, in order, apart from robots.txt and sitemap.xml."""
        return [a.path for a in self.asked if a.path not in ("/robots.txt", "/sitemap.xml")]

    def html(self, path: str, *links: str, text: str = "Text.", **more: str | None) -> None:
        """A page with links; it has an ETag of its own."""
        anchors = "".join(f'<p><a href="{link}">to {link}</a></p>' for link in links)
        body = f"<html><head><title>{path}</title></head><body><h1>{path}</h1><p>{text}</p>{anchors}</body></html>"
        self.pages[path] = Page(body.encode(), etag=f'"{hash(body)}"', **more)  # type: ignore[arg-type]

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer a request as the pages say."""
        self.asked.append(Asked(request.path, dict(request.headers.items()), time.monotonic()))
        found = self.pages.get(request.path)
        if found is None and self.otherwise is not None:
            found = self.otherwise(request.path)
        page = found() if callable(found) else found or Page(b"not here", 404)
        known = page.etag is not None and request.headers.get("If-None-Match") == page.etag
        known = known or (page.modified is not None and request.headers.get("If-Modified-Since") == page.modified)
        request.send_response(304 if known else page.status)
        named = {"ETag": page.etag, "Last-Modified": page.modified, "Content-Type": page.type, **page.headers}
        for name, value in named.items():
            if value is not None:
                request.send_header(name, value)
        if page.slowly is not None:
            request.send_header("Connection", "close")
            request.end_headers()
            request.close_connection = True
            self._trickle(request, page.slowly)
            return
        body = b"" if known else page.body
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def _trickle(self, request: BaseHTTPRequestHandler, slowly: Chunks) -> None:
        try:
            for piece in slowly():
                request.wfile.write(piece)
                request.wfile.flush()
        except OSError:
            pass  # the crawler has had enough

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()


def certificate(folder: Path, host: str) -> Path:
    """A certificate for a host that nobody signed but itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    place = folder / "certificate.pem"
    place.write_bytes(key.private_bytes(*private) + made.public_bytes(Encoding.PEM))
    return place


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Site]:
    """A site for as long as the block runs."""
    site = Site(tls)
    try:
        yield site
    finally:
        site.stop()
