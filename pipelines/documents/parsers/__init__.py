"""Formats -> text and blocks: one file a format, one line of registration here.

A file's media type follows from its first bytes and, for text, from its name; the parser is imported when
its first file comes. A parser is a function `parse(data: bytes, name: str) -> Parsed` that raises
DocumentError with the reason that quarantine shows; whatever bytes it gets, it raises nothing else that is an
Exception of its own making. Not covered: speech, films, Apple iWork. Bounds of time and memory: sandbox.py.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from pipelines.documents.parsers.draft import Parsed
from pipelines.documents.parsers.ocr import Ocr
from pipelines.documents.parsers.properties import properties
from pipelines.documents.parsers.sniffing import sniffed_binary, sniffed_text
from pipelines.errors import DocumentError


@dataclass(frozen=True)
class Format:
    """A format as data: `module` below this package holds its `parse`."""

    media_type: str
    module: str
    extensions: tuple[str, ...] = ()
    binary: bool = False
    """Whether its bytes give it away: a file of another beginning is none, whatever its name."""
    reads_images: bool = False
    """Whether its parser takes a third argument, how text in images is read."""


_OFFICE = "application/vnd.openxmlformats-officedocument."
_ODF = "application/vnd.oasis.opendocument."

_OTHER_LANGUAGES = tuple(
    ".go .rs .rb .php .swift .r .jl .lua .pl .pm .dart .ex .exs .erl .hs .ml .fs .clj .lisp .el .vb .f90 .pas .zig "
    ".nim .v .sol .asm .s .css .scss .less .proto .thrift .graphql .tf .hcl .cmake .mk .dockerfile .xsd .xsl .patch "
    ".diff".split()
)

FORMATS = (
    Format("application/pdf", "pdf", (".pdf",), binary=True, reads_images=True),
    Format(f"{_OFFICE}wordprocessingml.document", "docx", (".docx", ".docm", ".dotx"), binary=True),
    Format(f"{_OFFICE}presentationml.presentation", "pptx", (".pptx", ".pptm", ".ppsx", ".potx"), binary=True),
    Format(f"{_OFFICE}spreadsheetml.sheet", "xlsx", (".xlsx", ".xlsm", ".xltx"), binary=True),
    Format("application/vnd.ms-excel.sheet.binary.macroEnabled.12", "xlsx", (".xlsb",), binary=True),
    Format("application/vnd.ms-excel", "xlsx", (".xls", ".xlt"), binary=True),
    Format("application/msword", "doc", (".doc", ".dot"), binary=True),
    Format(f"{_ODF}text", "odf", (".odt", ".ott"), binary=True),
    Format(f"{_ODF}spreadsheet", "odf", (".ods", ".ots"), binary=True),
    Format(f"{_ODF}presentation", "odf", (".odp", ".otp"), binary=True),
    Format(f"{_ODF}graphics", "odf", (".odg",), binary=True),
    Format("application/epub+zip", "epub", (".epub",), binary=True),
    Format("application/rtf", "rtf", (".rtf",), binary=True),
    Format("application/vnd.ms-outlook", "msg", (".msg",), binary=True),
    Format("image/png", "image", (".png",), binary=True, reads_images=True),
    Format("image/jpeg", "image", (".jpg", ".jpeg"), binary=True, reads_images=True),
    Format("image/gif", "image", (".gif",), binary=True, reads_images=True),
    Format("image/tiff", "image", (".tif", ".tiff"), binary=True, reads_images=True),
    Format("image/webp", "image", (".webp",), binary=True, reads_images=True),
    Format("image/bmp", "image", (".bmp",), binary=True, reads_images=True),
    Format("text/html", "html", (".html", ".htm", ".xhtml")),
    Format("message/rfc822", "eml", (".eml", ".mht", ".mhtml")),
    Format("text/plain", "plain", (".txt", ".text", ".log")),
    Format("text/markdown", "markdown", (".md", ".markdown", ".mdx", ".qmd", ".rmd")),
    Format("text/csv", "csv", (".csv",)),
    Format("text/tab-separated-values", "csv", (".tsv", ".tab")),
    Format("text/x-rst", "rst", (".rst", ".rest")),
    Format("text/asciidoc", "markup", (".adoc", ".asciidoc", ".asc")),
    Format("text/x-org", "markup", (".org",)),
    Format("application/x-tex", "markup", (".tex", ".latex", ".ltx")),
    Format("text/vtt", "subtitles", (".vtt",)),
    Format("application/x-subrip", "subtitles", (".srt",)),
    Format("application/json", "json", (".json", ".geojson", ".jsonld")),
    Format("application/x-ndjson", "json", (".jsonl", ".ndjson")),
    Format("application/x-ipynb+json", "notebook", (".ipynb",)),
    Format(
        "application/xml", "xml", (".xml", ".nxml", ".dbk", ".dita", ".rss", ".atom", ".fodt", ".fods", ".fodp", ".svg")
    ),
    Format("application/yaml", "code", (".yaml", ".yml")),
    Format("application/toml", "code", (".toml", ".ini", ".cfg", ".conf", ".properties", ".env")),
    Format("text/x-python", "code", (".py", ".pyi", ".pyx")),
    Format(
        "text/javascript", "code", (".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".tsx", ".jsx", ".vue", ".svelte")
    ),
    Format("text/x-c", "code", (".c", ".h", ".cc", ".cpp", ".cxx", ".hpp", ".hh", ".cs", ".m", ".mm", ".cu")),
    Format("text/x-java", "code", (".java", ".kt", ".kts", ".scala", ".groovy", ".gradle")),
    Format("text/x-source", "code", _OTHER_LANGUAGES),
    Format("application/sql", "code", (".sql",)),
    Format("application/x-sh", "code", (".sh", ".bash", ".zsh", ".ps1", ".bat", ".cmd")),
)
BY_EXTENSION = {extension: format for format in FORMATS for extension in format.extensions}
BY_MEDIA_TYPE = {format.media_type: format for format in FORMATS}
_SOURCE_NAMES = ("makefile", "dockerfile", "containerfile", "jenkinsfile", "vagrantfile", "rakefile", "gemfile")


def parse(data: bytes, name: str, ocr: Ocr | None = None) -> tuple[Format, Parsed]:
    """A file's format and text; `ocr`: how text in images is read, None for not at all.

    Raises DocumentError with the reason that quarantine shows.
    """
    format = format_of(data, name)
    module = importlib.import_module(f"{__name__}.{format.module}")
    parser: Callable[..., Parsed] = module.parse
    try:
        parsed = parser(data, name, ocr) if format.reads_images else parser(data, name)
    except RecursionError as exc:
        raise DocumentError("nested too deeply") from exc
    return format, replace(parsed, meta={**properties(format.media_type, data, parsed.text), **parsed.meta})


def format_of(data: bytes, name: str) -> Format:
    """Which format bytes are in. Raises DocumentError for those that have no parser."""
    if (media_type := sniffed_binary(data)) is not None:
        return BY_MEDIA_TYPE[media_type] if media_type in BY_MEDIA_TYPE else _unknown(media_type)
    place = PurePosixPath(name.lower())
    named = BY_EXTENSION.get(place.suffix)
    if named is None and place.name.split(".")[0] in _SOURCE_NAMES:
        return BY_MEDIA_TYPE["text/x-source"]
    sniffed = BY_MEDIA_TYPE[sniffed_text(data)]
    if named is None or (named.module == "html" and sniffed.module == "eml"):
        return sniffed
    if not named.binary:
        return named
    if sniffed.module in ("html", "xml", "eml"):
        return sniffed  # what many programs call .xls and .doc
    if named.module in ("doc", "msg"):
        return sniffed  # also extensions of text files
    if named.module == "xlsx" and b"\t" in data[:4096].split(b"\n", 1)[0]:
        return BY_MEDIA_TYPE["text/tab-separated-values"]
    raise DocumentError(f"named {place.suffix} but does not begin like a file of that format")


def _unknown(media_type: str) -> Format:
    raise DocumentError(f"no parser for {media_type}")
