"""Web addresses in one form, so that a page is fetched once; and the uri that a page gets.

Invariants: `normalised` is idempotent; its result has a scheme, a host, no user, no fragment, no dot segments, and its
query sorted without what only tracks a visitor; a uri has no `..`, no root and no control characters.
"""

import re
from urllib.parse import unquote_to_bytes, urljoin, urlsplit, urlunsplit

from pipelines.documents.sources.locations import carries_secret
from pipelines.documents.sources.unpacking import shown_name

LONGEST = 2000
"""Characters of an address; longer ones are made by programs that do not end."""
REPEATED_AT_MOST = 3
"""How often a path may hold the same part: relative links that go wrong grow for ever."""
_PORTS = {"http": 80, "https": 443}
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_PATH = _UNRESERVED | frozenset("!$&'()*+,;=:@/")
_QUERY = _UNRESERVED | frozenset("!$'()*+,;:@/?=")
_TRACKS = re.compile(r"(utm_\w+|gclid|fbclid|msclkid|mc_[ce]id|_ga|_gl|phpsessid|jsessionid|sessionid|sid)", re.I)
_SESSION = re.compile(r";(jsessionid|phpsessid)=[^/;]*", re.I)
_TOKEN = re.compile(r"%([0-9A-Fa-f]{2})|(.)", re.S)
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*|\[[0-9a-f:.]+\]")


def normalised(link: str, base: str = "") -> str | None:
    """An address or a link on the page `base` in its one form; None: not one to be followed."""
    link = re.sub(r"[\t\r\n]", "", link).strip("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x1b\x1f ")
    try:
        parts = urlsplit(urljoin(base, link) if base else link)
        port, host = parts.port, _host(parts.hostname)
    except ValueError:
        return None
    if parts.scheme not in _PORTS or host is None or parts.username is not None or parts.password is not None:
        return None
    netloc = host if port in (None, _PORTS[parts.scheme]) else f"{host}:{port}"
    path = _without_dots(_quoted(_SESSION.sub("", parts.path), _PATH))
    fields = [_quoted(field, _QUERY) for field in parts.query.split("&") if field]
    query = "&".join(sorted(field for field in fields if not _TRACKS.fullmatch(field.partition("=")[0])))
    whole = urlunsplit((parts.scheme, netloc, path, query, ""))
    return None if len(whole) > LONGEST or carries_secret(whole) else whole


def grows(url: str) -> bool:
    """Whether an address looks like one of a row that does not end: parts of its path repeat."""
    parts = [part for part in urlsplit(url).path.split("/") if part]
    return any(parts.count(part) > REPEATED_AT_MOST for part in set(parts))


def origin(url: str) -> tuple[str, int]:
    """Host and port. http on 80 and https on 443 are one: a site that moved to https is the same site."""
    parts = urlsplit(url)
    port = parts.port or _PORTS[parts.scheme]
    return parts.hostname or "", 443 if (parts.scheme, port) == ("http", 80) else port


def with_scheme_of(url: str, other: str) -> str:
    """The address under the scheme of another of its site: a page is not fetched by http and by https."""
    parts, scheme = urlsplit(url), urlsplit(other).scheme
    return url if parts.port is not None else urlunsplit((scheme, *parts[1:]))


def scope_of(start: str) -> str:
    """What the paths of a start address's pages begin with: its folder, or itself where it is no file."""
    path = urlsplit(start).path
    last = path.rpartition("/")[2]
    is_file = not last or re.search(r"\.[a-z]{2,6}$", last, re.I) is not None  # index.html, page.php; not v1.2
    return path[: len(path) - len(last)] if is_file else path


def within(url: str, scope: str) -> bool:
    """Whether a path lies in a scope: `/docs` holds `/docs` and `/docs/a`, not `/docs-old`."""
    path = urlsplit(url).path
    return path == scope or path.startswith(scope if scope.endswith("/") else f"{scope}/")


def uri_of(url: str, extensions: tuple[str, ...]) -> str:
    """host/path of a page with an extension that fits what it is: `docs.example.com/guide/index.html`.

    `extensions`: those of its format, the first is added where the path has none of them; none: nothing is known of it.
    """
    parts = urlsplit(url)
    folder, _, last = parts.path.lstrip("/").rpartition("/")
    stem = _readable(last) or "index"
    known = next((e for e in sorted(extensions, key=len, reverse=True) if stem.lower().endswith(e)), "")
    name, ending = stem[: len(stem) - len(known)], stem[len(stem) - len(known) :]
    if parts.query:
        name += f"@{_readable(parts.query)}"
    name += ending or (extensions[0] if extensions else "")
    folders = [_readable(part) for part in folder.split("/") if part]
    shown = "/".join([parts.netloc, *(f"_{f[1:]}" if f.startswith(".") else f for f in [*folders, name])])
    uri, _ = shown_name(shown)
    return uri or parts.netloc


def _readable(part: str) -> str:
    """A part of an address as people read it; bytes that are no text, and slashes, stay encoded."""
    try:
        text = unquote_to_bytes(part).decode("utf-8")
    except UnicodeDecodeError:
        return part
    return text.replace("/", "%2F").replace("\\", "%5C")


def _host(name: str | None) -> str | None:
    if not name:
        return None
    if ":" in name:
        return f"[{name.lower()}]" if re.fullmatch(r"[0-9a-f:.]+", name.lower()) else None
    name = name.rstrip(".").lower()
    if not name.isascii():
        import idna

        try:
            name = idna.encode(name, uts46=True).decode("ascii")
        except idna.IDNAError:
            return None
    return name if _HOST.fullmatch(name) else None


def _quoted(text: str, allowed: frozenset[str]) -> str:
    """Percent-encoding in one form: unreserved characters bare, the rest of what was encoded in capitals."""

    def one(found: re.Match[str]) -> str:
        if found[1] is not None:
            character = chr(int(found[1], 16))
            return character if character in _UNRESERVED else f"%{found[1].upper()}"
        if found[2] in allowed:
            return found[2]
        return "".join(f"%{byte:02X}" for byte in found[2].encode("utf-8", "replace"))

    return _TOKEN.sub(one, text)


def _without_dots(path: str) -> str:
    """RFC 3986, 5.2.4."""
    ends = path.endswith(("/", "/.", "/.."))
    kept: list[str] = []
    for part in path.split("/")[1:] if path.startswith("/") else path.split("/"):
        if part == "..":
            if kept:
                kept.pop()
        elif part != ".":
            kept.append(part)
    joined = "/" + "/".join(kept)
    return joined if not ends or joined.endswith("/") else f"{joined}/"
