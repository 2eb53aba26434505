"""Outlook messages (MSG) -> what mail.py writes.

A message is a folder of streams named by property and type (MS-OXMSG); attachments and messages inside are folders
in it. Not covered: bodies that are RTF alone, contacts and appointments as such.
"""

import struct
from datetime import UTC, datetime, timedelta

from pipelines.documents.parsers.decoding import decode
from pipelines.documents.parsers.draft import Parsed, one_line
from pipelines.documents.parsers.mail import Attachment, Message, written
from pipelines.documents.parsers.ole import Streams
from pipelines.errors import DocumentError

_SUBJECT, _BODY, _HTML = "0037", "1000", "1013"
_SENDER, _ADDRESS, _SMTP = "0C1A", "0C1F", "5D01"
_TO, _CC = "0E04", "0E03"
_LONG_NAME, _SHORT_NAME, _DATA, _CONTENT_ID = "3707", "3704", "3701", "3712"
_SENT = (0x0039, 0x0E06)
"""When a message was submitted, else delivered."""
_CODE_PAGES = (0x3FFD, 0x3FDE)
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_MOST_PARTS = 500


def parse(data: bytes, name: str) -> Parsed:
    """The message."""
    streams = Streams(data)
    return written(_message(streams, "", 0), name)


def _message(streams: Streams, folder: str, depth: int) -> Message:
    """The message in a folder ("" is the file itself; others end with a slash)."""
    numbers = _numbers(streams.read(f"{folder}__properties_version1.0"), 32 if not folder else 24)
    code_page = next((numbers[each] for each in _CODE_PAGES if each in numbers), 1252)

    def text(name: str) -> str:
        return _text(streams, folder, name, code_page)

    sender, address = text(_SENDER), text(_SMTP) or text(_ADDRESS)
    who = f"{sender} <{address}>" if "@" in address and address != sender else sender or address
    found = Message(subject=one_line(text(_SUBJECT)), plain=text(_BODY), html=text(_HTML))
    headers = {"From": who, "To": text(_TO), "Cc": text(_CC), "Date": _date(numbers), "Subject": found.subject}
    found.headers = [(name, one_line(value)) for name, value in headers.items()]
    for place in _folders(streams, folder):
        inner = f"{place}__substg1.0_{_DATA}000D/"
        if any(path.startswith(inner) for path in streams.paths):
            if depth < _MOST_PARTS:
                found.messages.append(_message(streams, inner, depth + 1))
            continue
        label = _text(streams, place, _LONG_NAME, code_page) or _text(streams, place, _SHORT_NAME, code_page)
        shown = bool(_text(streams, place, _CONTENT_ID, code_page)) and label.lower().endswith((".png", ".jpg", ".gif"))
        found.attachments.append(Attachment(label, streams.read(f"{place}__substg1.0_{_DATA}0102"), shown))
    return found


def _folders(streams: Streams, folder: str) -> list[str]:
    """Folders of attachments in a message's folder."""
    start = f"{folder}__attach_version1.0_#"
    found = {path[: path.index("/", len(folder)) + 1] for path in streams.paths if path.startswith(start)}
    return sorted(found)[:_MOST_PARTS]


def _text(streams: Streams, folder: str, name: str, code_page: int) -> str:
    """A property's text, as Unicode or in the message's code page."""
    place = f"{folder}__substg1.0_{name}"
    if raw := streams.read(f"{place}001F"):
        return raw.decode("utf-16-le", "replace").rstrip("\x00")
    raw = (streams.read(f"{place}001E") or streams.read(f"{place}0102")).rstrip(b"\x00")
    if not raw.strip():
        return ""
    try:
        return raw.decode("utf-8" if code_page == 65001 else f"cp{code_page}")
    except (LookupError, UnicodeDecodeError):
        try:
            return decode(raw, declared=name == _HTML)
        except DocumentError:
            return ""


def _numbers(raw: bytes, header: int) -> dict[int, int]:
    """Properties of a fixed size: their values as 64 bits."""
    found: dict[int, int] = {}
    for at in range(header, len(raw) - 15, 16):
        kind, name, value = struct.unpack_from("<HH4xQ", raw, at)
        found[name] = value & 0xFFFFFFFF if kind == 3 else value
    return found


def _date(numbers: dict[int, int]) -> str:
    """When it was sent: a count of 100 ns since 1601."""
    for name in _SENT:
        if numbers.get(name):
            try:
                return (_EPOCH + timedelta(microseconds=numbers[name] // 10)).strftime("%a, %d %b %Y %H:%M:%S +0000")
            except OverflowError:
                return ""
    return ""
