"""Bytes -> media type: what a file begins with counts more than what it is called.

Refused here, with the reason that quarantine shows: what holds no text of its own (programs, fonts, films), what is
locked, and archives, which are unpacked before they get here.
"""

import re

from pipelines.documents.parsers.package import Package
from pipelines.errors import DocumentError

_OFFICE = "application/vnd.openxmlformats-officedocument."
_ODF = "application/vnd.oasis.opendocument."
_MEMBERS = (
    ("word/document", f"{_OFFICE}wordprocessingml.document"),
    ("ppt/presentation", f"{_OFFICE}presentationml.presentation"),
    ("xl/workbook.bin", "application/vnd.ms-excel.sheet.binary.macroEnabled.12"),
    ("xl/workbook", f"{_OFFICE}spreadsheetml.sheet"),
    ("META-INF/container.xml", "application/epub+zip"),
)
_STREAMS = (
    ("__properties_version1.0", "application/vnd.ms-outlook"),
    ("Workbook", "application/vnd.ms-excel"),
    ("WordDocument", "application/msword"),
)
"""Of old Office files, which are file systems of their own (OLE)."""
_IMAGES = (
    (b"\x89PNG\r\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
)
_REFUSED = (
    (b"\x7fELF", "a program"),
    (b"MZ\x90\x00", "a program"),
    (b"\xca\xfe\xba\xbe", "a program"),
    (b"\xcf\xfa\xed\xfe", "a program"),
    (b"\x00asm", "a program"),
    (b"\x1f\x8b", "a gzip archive: unpack it into the folder"),
    (b"BZh", "a bzip2 archive: unpack it into the folder"),
    (b"\xfd7zXZ\x00", "an xz archive: unpack it into the folder"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive: unpack it into the folder"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it into the folder"),
    (b"Rar!\x1a", "a RAR archive: unpack it into the folder"),
    (b"SQLite format 3\x00", "a SQLite database"),
    (b"PAR1", "a Parquet table"),
    (b"ID3", "an audio file: speech is not transcribed"),
    (b"OggS", "an audio file: speech is not transcribed"),
    (b"fLaC", "an audio file: speech is not transcribed"),
    (b"\x1aE\xdf\xa3", "a film: speech is not transcribed"),
    (b"OTTO\x00", "a font"),
    (b"\x00\x01\x00\x00\x00", "a font"),
    (b"wOFF", "a font"),
    (b"wOF2", "a font"),
    (b"%!PS", "PostScript has no parser; save it as PDF"),
    (b"\x78\x9f\x3e\x22", "Outlook's own container (TNEF) has no parser; save the message as .eml"),
)
_FTYP = re.compile(rb"....ftyp(heic|heix|mif1|avif|....)", re.S)
_XML_ROOT = re.compile(rb"(?:<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>\[]*(?:\[.*?\])?[^>]*>|\s)*<([A-Za-z_][\w.:-]*)", re.S)
_JSON = re.compile(rb"[{\[]\s*(?:[{\[\"\d\]}-]|true|false|null)")
_HEADERS = (b"from:", b"subject:", b"to:", b"date:", b"mime-version:", b"received:", b"message-id:", b"content-type:")
_HEAD = 8192


def sniffed_binary(data: bytes) -> str | None:
    """The media type of a binary format, None for what may be text. Raises DocumentError for what has no parser."""
    if b"%PDF-" in data[:1024]:
        return "application/pdf"
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _of_package(Package(data))
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        return _of_ole(data)
    if data.startswith(b"{\\rtf"):
        return "application/rtf"
    for magic, media_type in _IMAGES:
        if data.startswith(magic):
            return media_type
    if data.startswith(b"RIFF") and len(data) > 12:
        if data[8:12] == b"WEBP":
            return "image/webp"
        raise DocumentError("an audio file or film: speech is not transcribed")
    if data.startswith(b"BM") and data[6:10] == b"\x00\x00\x00\x00":
        return "image/bmp"
    if (film := _FTYP.match(data[:16])) is not None:
        still = film.group(1) in (b"heic", b"heix", b"mif1", b"avif")
        raise DocumentError("a HEIC or AVIF image: save it as PNG" if still else "a film: speech is not transcribed")
    for magic, reason in _REFUSED:
        if data.startswith(magic):
            raise DocumentError(reason)
    return None


def _of_package(package: Package) -> str:
    names = package.names
    for member, media_type in _MEMBERS:
        if any(name == member or (name.startswith(member) and name.endswith(".xml")) for name in names):
            return media_type
    if "mimetype" in package:
        kind = package.read("mimetype")[:100].decode("ascii", "replace").strip()
        if kind.startswith(_ODF) or kind == "application/epub+zip":
            return kind.removesuffix("-template")
        raise DocumentError(f"no parser for {kind or 'this container'}")
    if any(name.endswith(".iwa") or name == "index.apxl" for name in names):
        raise DocumentError("an Apple iWork document: export it as PDF or in an Office format")
    raise DocumentError("a zip archive: unpack it into the folder")


def _of_ole(data: bytes) -> str:
    if "EncryptedPackage".encode("utf-16-le") in data:
        raise DocumentError("protected by a password")
    for stream, media_type in _STREAMS:
        if _utf16(stream) in data:
            return media_type
    if _utf16("Book") in data:
        return "application/vnd.ms-excel"
    raise DocumentError("an old binary Office format without a parser; save it as .docx, .pptx or .xlsx")


def _utf16(name: str) -> bytes:
    return name.encode("utf-16-le") + b"\x00\x00"


def sniffed_text(data: bytes) -> str:
    """The media type of a text by its beginning; plain text where nothing else is clear."""
    head = data[:_HEAD]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head[: len(head) & ~1].decode("utf-16", "replace").encode("utf-8", "replace")
    head = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    low = head.lower()
    if low.startswith((b"<!doctype html", b"<html")):
        return "text/html"
    root = _XML_ROOT.match(head[:4096])
    if root is not None and head.startswith(b"<"):
        if root.group(1).lower() == b"html":
            return "text/html"
        if head.startswith(b"<?xml") or b"<!DOCTYPE" in head or b"xmlns" in head:
            return "application/xml"
    if _is_mail(low):
        return "message/rfc822"
    if low.startswith(b"#!"):
        return "text/x-source"
    if low.startswith(b"webvtt"):
        return "text/vtt"
    if head.startswith((b"{", b"[")) and data.rstrip(b"\x00 \t\r\n").endswith((b"}", b"]")) and _JSON.match(head):
        return "application/json"
    return "text/plain"


def _is_mail(head: bytes) -> bool:
    """Three headers of mail at the top, or a sender and a subject."""
    top = re.split(rb"\r?\n\r?\n", head, maxsplit=1)[0]
    found = {name for name in _HEADERS if top.startswith(name) or b"\n" + name in top}
    return {b"from:", b"subject:"} <= found or len(found) >= 3
