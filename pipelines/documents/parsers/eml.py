"""E-mail (RFC 822), and web pages saved as such (MHTML) -> what mail.py writes.

Bodies are decoded as they say, else as their bytes suggest. Encrypted bodies are named, not read.
"""

import email
import email.errors
import email.header
import mimetypes
import re
from collections.abc import Iterator
from email.message import Message as Part

from pipelines.documents.parsers import html
from pipelines.documents.parsers.decoding import decode
from pipelines.documents.parsers.draft import Parsed, one_line
from pipelines.documents.parsers.mail import Attachment, Message, written
from pipelines.errors import DocumentError

_SHOWN = ("From", "To", "Cc", "Date", "Subject")
_SAVED_PAGE = re.compile(r"^<?Saved by ", re.I)
_MOST_PARTS = 10_000
_LONGEST_HEADER = 20_000
_DEEPEST = 100
"""Parts inside parts."""


def parse(data: bytes, name: str) -> Parsed:
    """The message, or the page that was saved as one."""
    try:
        message = email.message_from_bytes(_as_bytes(data))
    except (ValueError, TypeError, LookupError, AttributeError, IndexError) as exc:  # the parser's own slips
        raise DocumentError(f"damaged message: {exc}") from exc
    saved = message.get("Snapshot-Content-Location") or _SAVED_PAGE.match(str(message.get("From", "")))
    if saved or name.lower().endswith((".mht", ".mhtml")):
        for part in _parts(message):
            if part.get_content_type() in ("text/html", "application/xhtml+xml"):
                return html.parse_text(_body(part), name)
    return written(_message(message), name)


def _as_bytes(data: bytes) -> bytes:
    """A message saved as UTF-16, or with a BOM, as the UTF-8 that the mail parser expects."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        return decode(data).encode()
    return data if data.strip() else decode(data).encode()


def _message(part: Part) -> Message:
    found = Message(subject=_header(part, "Subject"))
    found.headers = [(name, _header(part, name)) for name in _SHOWN]
    _collect(part, found, 0)
    return found


def _collect(part: Part, found: Message, depth: int) -> None:
    """Take up a part: as the body, an attachment, a message inside, or a remark."""
    kind = part.get_content_type()
    if depth > _DEEPEST or len(found.attachments) > _MOST_PARTS:
        return
    if kind == "multipart/encrypted" or (kind.endswith("pkcs7-mime") and part.get_param("smime-type") != "signed-data"):
        found.remarks.append("[The body is encrypted.]")
    elif kind.endswith("pkcs7-mime"):
        found.remarks.append("[The body is signed in a form that hides it (S/MIME).]")
    elif kind == "message/rfc822" and part.is_multipart():
        found.messages += [_message(inner) for inner in _inner(part)]
    elif part.is_multipart():
        for inner in _inner(part):
            _collect(inner, found, depth + 1)
    else:
        _collect_leaf(part, found)


def _inner(part: Part) -> list[Part]:
    payload = part.get_payload()
    return [inner for inner in payload if isinstance(inner, Part)] if isinstance(payload, list) else []


def _collect_leaf(part: Part, found: Message) -> None:
    kind, name = part.get_content_type(), _file_name(part)
    attached = part.get_content_disposition() == "attachment" or bool(name)
    if not attached and kind in ("text/plain", "text/html"):
        body = _body(part)
        if kind == "text/html":
            found.html = f"{found.html}\n{body}" if found.html else body
        else:
            found.plain = f"{found.plain}\n\n{body}" if found.plain else body
        return
    if kind in ("application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"):
        return
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    shown = part.get("Content-ID") is not None and part.get_content_maintype() == "image"
    extension = "" if "." in name else mimetypes.guess_extension(kind) or ""
    if attached or data.strip():
        found.attachments.append(Attachment(f"{name or 'unnamed'}{extension}", data, shown))


def _file_name(part: Part) -> str:
    try:
        return one_line(_decoded(part.get_filename() or ""))
    except (ValueError, TypeError, LookupError):  # a parameter that is damaged
        return "unnamed"


def _parts(message: Part) -> Iterator[Part]:
    for number, part in enumerate(message.walk()):
        if number > _MOST_PARTS:
            return
        yield part


def _body(part: Part) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes) or not payload.strip():
        return ""
    text = _decoded_body(part, payload)
    if part.get_content_type() == "text/plain" and part.get_param("format") == "flowed":
        return _unflowed(text, joined=part.get_param("delsp") == "yes")
    return text


def _decoded_body(part: Part, payload: bytes) -> str:
    try:
        charset = part.get_content_charset()
        if charset:
            return payload.decode(charset)
    except (UnicodeDecodeError, LookupError, ValueError):
        pass  # declared wrongly, as mail often is: the bytes decide
    return decode(payload)


def _unflowed(text: str, *, joined: bool) -> str:
    """Lines that a mail program broke (RFC 3676: they end with a space) as one."""
    lines: list[str] = []
    open_line = False
    for line in text.splitlines():
        flows = line.endswith(" ") and line != "-- "
        words = line[:-1] if flows and joined else line
        if open_line and not line.startswith(">"):
            lines[-1] += words
        else:
            lines.append(words)
        open_line = flows
    return "\n".join(lines)


def _header(message: Part, name: str) -> str:
    try:
        return one_line(_decoded(str(message.get(name, ""))[:_LONGEST_HEADER]))
    except (ValueError, TypeError, LookupError, IndexError):  # a header that is damaged
        return ""


def _decoded(raw: str) -> str:
    """A header's text: encoded words decoded, damaged ones left as they are."""
    try:
        return str(email.header.make_header(email.header.decode_header(raw)))
    except (email.errors.HeaderParseError, UnicodeError, LookupError, ValueError):
        return raw
