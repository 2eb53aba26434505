"""Formats -> text and blocks: one file a format, one line of registration here.

A file's media type follows from its first bytes and, for text, from its name; the parser is imported when
its first file comes. A parser is a function `parse(data: bytes, name: str) -> Parsed` that raises
DocumentError with the reason that quarantine shows.
Not covered: old binary Office formats. Bounds of time and memory: sandbox.py.
"""

import importlib
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from pipelines.documents.parsers.draft import Parsed
from pipelines.documents.parsers.ocr import Ocr
from pipelines.documents.parsers.properties import properties
from pipelines.errors import DocumentError

MAX_UNPACKED_BYTES = 512 * 1024 * 1024
"""A zip-based file that unpacks to more is refused before it is unpacked."""


@dataclass(frozen=True)
class Format:
    """A format as data: `module` below this package holds its `parse`."""

    media_type: str
    module: str
    extensions: tuple[str, ...] = ()
    reads_images: bool = False
    """Whether its parser takes a third argument, how text in images is read."""


_OFFICE = "application/vnd.openxmlformats-officedocument."

PDF = Format("application/pdf", "pdf", (".pdf",), reads_images=True)
DOCX = Format(f"{_OFFICE}wordprocessingml.document", "docx", (".docx", ".docm"))
PPTX = Format(f"{_OFFICE}presentationml.presentation", "pptx", (".pptx", ".pptm"))
XLSX = Format(f"{_OFFICE}spreadsheetml.sheet", "xlsx", (".xlsx", ".xlsm"))
HTML = Format("text/html", "html", (".html", ".htm", ".xhtml"))
EML = Format("message/rfc822", "eml", (".eml",))
PLAIN = Format("text/plain", "plain", (".txt", ".text", ".log"))
FORMATS = (
    PDF,
    DOCX,
    PPTX,
    XLSX,
    HTML,
    EML,
    PLAIN,
    Format("text/markdown", "markdown", (".md", ".markdown")),
    Format("text/csv", "csv", (".csv",)),
    Format("text/tab-separated-values", "csv", (".tsv", ".tab")),
    Format("text/x-rst", "plain", (".rst",)),
    Format("application/json", "code", (".json", ".jsonl", ".ipynb")),
    Format("application/yaml", "code", (".yaml", ".yml")),
    Format("application/toml", "code", (".toml", ".ini", ".cfg")),
    Format("application/xml", "code", (".xml", ".xsd", ".svg")),
    Format("text/x-python", "code", (".py", ".pyi")),
    Format("text/javascript", "code", (".js", ".mjs", ".ts", ".tsx", ".jsx")),
    Format("text/x-c", "code", (".c", ".h", ".cc", ".cpp", ".hpp", ".cs")),
    Format("text/x-java", "code", (".java", ".kt", ".scala")),
    Format("text/x-source", "code", (".go", ".rs", ".rb", ".php", ".swift", ".r", ".lua", ".css", ".proto", ".tf")),
    Format("application/sql", "code", (".sql",)),
    Format("application/x-sh", "code", (".sh", ".bash", ".ps1", ".bat")),
)
BY_EXTENSION = {extension: format for format in FORMATS for extension in format.extensions}

_ZIP_MEMBERS = {"word/document.xml": DOCX, "ppt/presentation.xml": PPTX, "xl/workbook.xml": XLSX}
_BINARY = (PDF, DOCX, PPTX, XLSX)
_REFUSED = (
    (b"\x89PNG", "a PNG image: text in images is not read"),
    (b"\xff\xd8\xff", "a JPEG image: text in images is not read"),
    (b"GIF8", "a GIF image: text in images is not read"),
    (b"II*\x00", "a TIFF image: text in images is not read"),
    (b"MM\x00*", "a TIFF image: text in images is not read"),
    (b"{\\rtf", "RTF has no parser; save it as .docx"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"\x1f\x8b", "a gzip archive that is not named like one: rename it to .gz or .tar.gz"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it into the folder"),
    (b"Rar!", "a RAR archive: unpack it into the folder"),
    (b"SQLite format 3\x00", "a SQLite database"),
    (b"PAR1", "a Parquet table"),
)


def parse(data: bytes, name: str, ocr: Ocr | None = None) -> tuple[Format, Parsed]:
    """A file's format and text; `ocr`: how text in images is read, None for not at all.

    Raises DocumentError with the reason that quarantine shows.
    """
    format = format_of(data, name)
    module = importlib.import_module(f"{__name__}.{format.module}")
    parser: Callable[..., Parsed] = module.parse
    parsed = parser(data, name, ocr) if format.reads_images else parser(data, name)
    return format, replace(parsed, meta={**properties(format.media_type, data, parsed.text), **parsed.meta})


def format_of(data: bytes, name: str) -> Format:
    """Which format bytes are in: what they begin with counts more than the name."""
    sniffed = _sniffed_binary(data)
    if sniffed is not None:
        return sniffed
    by_name = BY_EXTENSION.get(PurePosixPath(name).suffix.lower())
    if by_name in _BINARY:
        raise DocumentError(f"named {PurePosixPath(name).suffix} but does not begin like a file of that format")
    return by_name or _sniffed_text(data)


def _sniffed_binary(data: bytes) -> Format | None:
    if b"%PDF-" in data[:1024]:
        return PDF
    if data.startswith(b"PK\x03\x04"):
        return _zip_format(data)
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise DocumentError(_old_office(data))
    for magic, reason in _REFUSED:
        if data.startswith(magic):
            raise DocumentError(reason)
    return None


def _zip_format(data: bytes) -> Format:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {info.filename: info.file_size for info in archive.infolist()}
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError) as exc:
        raise DocumentError(f"damaged zip container: {exc}") from exc
    if (unpacked := sum(members.values())) > MAX_UNPACKED_BYTES:
        raise DocumentError(f"unpacks to {unpacked} bytes, at most {MAX_UNPACKED_BYTES} are allowed")
    for member, format in _ZIP_MEMBERS.items():
        if member in members:
            return format
    if "mimetype" in members:
        kind = data[30:200].split(b"mimetype", 1)[-1][:60].split(b"PK", 1)[0]
        raise DocumentError(f"no parser for {kind.decode('ascii', 'replace').strip() or 'this container'}")
    raise DocumentError("a zip archive that is not named like one: rename it to .zip")


def _old_office(data: bytes) -> str:
    if "EncryptedPackage".encode("utf-16-le") in data:
        return "protected by a password"
    return "an old binary Office format; save it as .docx, .pptx or .xlsx"


def _sniffed_text(data: bytes) -> Format:
    head = data[:2048].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<!doctype html", b"<html")):
        return HTML
    first_lines = head.split(b"\n\n", 1)[0].split(b"\r\n\r\n", 1)[0]
    if b"\nsubject:" in b"\n" + first_lines and b"\nfrom:" in b"\n" + first_lines:
        return EML
    return PLAIN
