"""E-mail (RFC 822) -> headers as text, the body, the names of attachments.

The plain text body is taken where there is one, else the HTML one. A message inside a message follows under
its own headers. Attachments are named, not read.
"""

import email
import email.errors
import email.header
import re
from collections.abc import Iterator
from email.message import Message

from pipelines.documents.parsers.decoding import decode
from pipelines.documents.parsers.draft import Draft, Parsed, one_line, readable_name, storable
from pipelines.documents.parsers.plain import blocks_of
from pipelines.errors import DocumentError

_SHOWN = ("From", "To", "Cc", "Date", "Subject")
_REPLY = re.compile(r"^(?:(?:re|fwd?|aw|wg|sv|tr)\s*(?:\[\d+\])?:\s*)+", re.I)


def parse(data: bytes, name: str) -> Parsed:
    """The message; its title is the subject without `Re:` and `Fwd:`."""
    message = email.message_from_bytes(_as_bytes(data))
    draft = Draft()
    attachments: list[str] = []
    _write(message, draft, attachments)
    if attachments:
        draft.add("paragraph", "Attachments: " + ", ".join(attachments))
    if draft.is_empty:
        raise DocumentError("the message has neither headers nor a body")
    return draft.finish(_REPLY.sub("", _header(message, "Subject")) or readable_name(name))


def _as_bytes(data: bytes) -> bytes:
    """A message saved as UTF-16, or with a BOM, as the UTF-8 that the mail parser expects."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        return decode(data).encode()
    return data if data.strip() else decode(data).encode()


def _write(message: Message, draft: Draft, attachments: list[str], depth: int = 0) -> None:
    headers = [f"{name}: {value}" for name in _SHOWN if (value := _header(message, name))]
    draft.add("paragraph", "\n".join(headers))
    bodies = list(_leaves(message, attachments))
    wanted = [part for part in bodies if part.get_content_type() == "text/plain" and _body(part).strip()]
    for part in wanted or [part for part in bodies if part.get_content_type() == "text/html"]:
        _write_body(part, draft)
    for inner in _inner_messages(message):
        if depth < 5:
            _write(inner, draft, attachments, depth + 1)


def _write_body(part: Message, draft: Draft) -> None:
    words = storable(_body(part))
    if part.get_content_type() == "text/html":
        from pipelines.documents.parsers import html

        page = html.parse_text(words, "message.html") if words.strip() else None
        words = page.text if page else ""
        for block in page.blocks if page else ():
            draft.add("paragraph" if block.kind == "heading" else block.kind, words[block.start : block.end])
        return
    for block in blocks_of(words):
        draft.add("list" if block.kind == "list" else "paragraph", words[block.start : block.end])


def _leaves(message: Message, attachments: list[str]) -> Iterator[Message]:
    """Parts that are text to read; the others are named in `attachments`."""
    if message.is_multipart() and message.get_content_type() != "message/rfc822":
        for part in message.get_payload():
            if isinstance(part, Message):
                yield from _leaves(part, attachments)
        return
    file_name = message.get_filename()
    if file_name or message.get_content_disposition() == "attachment":
        attachments.append(one_line(_decoded(file_name or "unnamed")))
    elif message.get_content_maintype() == "text":
        yield message


def _inner_messages(message: Message) -> Iterator[Message]:
    for part in message.walk():
        if part is not message and part.get_content_type() == "message/rfc822":
            inner = part.get_payload()
            if isinstance(inner, list) and inner and isinstance(inner[0], Message):
                yield inner[0]


def _body(part: Message) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes) or not payload.strip():
        return ""
    charset = part.get_content_charset()
    if charset:
        try:
            return payload.decode(charset)
        except (UnicodeDecodeError, LookupError):
            pass  # declared wrongly, as mail often is: the bytes decide
    return decode(payload)


def _header(message: Message, name: str) -> str:
    return one_line(_decoded(str(message.get(name, ""))))


def _decoded(raw: str) -> str:
    """A header's text: encoded words decoded, damaged ones left as they are."""
    try:
        return str(email.header.make_header(email.header.decode_header(raw)))
    except (email.errors.HeaderParseError, UnicodeError, LookupError, ValueError):
        return raw
