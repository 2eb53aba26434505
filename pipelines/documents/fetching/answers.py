"""What an answer over HTTP holds: which format, in which encoding, and whether it can be a document at all."""

import codecs
import gzip
import io
import zlib
from collections.abc import Mapping
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from pipelines.documents.parsers import BY_EXTENSION, BY_MEDIA_TYPE, FORMATS
from pipelines.documents.sources.locations import ARCHIVES, is_archive

UNWANTED = "not a document"
_TYPES = {
    **{format.media_type: format.extensions for format in reversed(FORMATS)},
    "application/xhtml+xml": BY_MEDIA_TYPE["text/html"].extensions,
    "text/x-markdown": (".md", ".markdown"),
    "text/yaml": (".yaml", ".yml"),
    "application/x-yaml": (".yaml", ".yml"),
    "text/xml": (".xml",),
    "application/x-ndjson": (".jsonl",),
}
_SAY_NOTHING = frozenset({"", "text/plain", "application/octet-stream", "binary/octet-stream", "application/download"})
"""Types that servers give to what they do not know: the name counts."""
_PACKED = (
    "application/zip",
    "application/x-zip-compressed",
    "application/gzip",
    "application/x-gzip",
    "application/x-tar",
)
SILENT = ("image/", "audio/", "video/", "font/", "text/css", "text/javascript", "application/javascript")
"""Never documents, and linked from everywhere: left out without a word."""


def unwanted(status: int, headers: Mapping[str, str], url: str) -> str | None:
    """Why the body of an answer is not read, or None."""
    return extensions_of(headers, url)[1] if status == 200 else None


def extensions_of(headers: Mapping[str, str], url: str) -> tuple[tuple[str, ...], str | None]:
    """The extensions that fit what an answer holds, or why it is not taken."""
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    path = urlsplit(url).path.lower()
    suffix = PurePosixPath(path).suffix
    if is_archive(path) and (media in _SAY_NOTHING or media in _PACKED or media.startswith("application/x-")):
        return (max((ending for ending in ARCHIVES if path.endswith(ending)), key=len),), None
    if media in _SAY_NOTHING:
        if suffix in BY_EXTENSION:
            return (suffix,), None
        if media == "text/plain":
            return (".txt",), None
        return ((), None) if not media else ((), f"no parser for {media}")
    if media in _TYPES:
        return _TYPES[media], None
    if media.startswith(SILENT):
        return (), UNWANTED
    return (), f"no parser for {media[:100]}"


def is_html(extensions: tuple[str, ...]) -> bool:
    """Whether there may be links in it."""
    return bool(extensions) and extensions[0] in BY_MEDIA_TYPE["text/html"].extensions


def charset_of(content_type: str) -> str | None:
    """The encoding that a header names, or None."""
    for part in content_type.split(";")[1:]:
        name, _, value = part.strip().partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip("\"'") or None
    return None


def as_text(body: bytes, charset: str | None) -> bytes:
    """A page whose encoding only its header names, as UTF-8 with a mark: the bytes alone do not say it."""
    if charset is None or body.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return body
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        pass
    else:
        return body
    try:
        name = codecs.lookup(charset).name
        if name.startswith(("utf-7", "utf-8", "idna", "punycode", "unicode", "raw")):
            return body
        return codecs.BOM_UTF8 + body.decode(name).encode("utf-8")
    except (LookupError, UnicodeError):
        return body


def unpacked(body: bytes, most_bytes: int) -> bytes:
    """A sitemap as it is, or out of its gzip file; too large a one is cut."""
    if not body.startswith(b"\x1f\x8b"):
        return body
    try:
        return gzip.GzipFile(fileobj=io.BytesIO(body)).read(most_bytes)
    except (OSError, EOFError, zlib.error):
        return b""
