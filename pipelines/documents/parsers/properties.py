"""What a file says about itself beside its text: front matter, an e-mail's date, an office file's properties.

Read from the bytes after the parser, so that no parser has to know of it. Invariants: what is damaged gives no
property and no error; every value is one short line. Names: `date` (of the text itself: front matter, an e-mail's
header, a page's own statement), `modified` (of the file: office and PDF properties, which a conversion sets anew),
`labels` (of the front matter, as a JSON list), `front_matter` = "unreadable".
Not covered: authors, keywords, comments.
"""

import email.parser
import email.utils
import io
import json
import re
import zipfile
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from pipelines.documents.parsers.draft import one_line, storable

FRONT_MATTER = "front_matter"
_OFFICE = "application/vnd.openxmlformats-officedocument."
_LARGEST_BYTES = 64 * 1024
"""Of front matter, of a property file, of a page's head."""
_LONGEST = 1000
"""Characters of a value."""
_MATTER = re.compile(
    r"\A---[ \t]*(?:\r\n|\n|\r)(?P<fields>(?:.*?(?:\r\n|\n|\r))??)(?:---|\.\.\.)[ \t]*(?:\r\n|\n|\r|\Z)", re.S
)
_DATES = ("updated", "last_updated", "last-updated", "lastmod", "modified", "last_modified", "effective", "date")
_LABELS = ("access", "labels")
_MODIFIED = ("{http://purl.org/dc/terms/}modified", "{http://purl.org/dc/terms/}created")
_META = re.compile(r"<meta\s[^>]{0,600}>", re.I)
_META_NAMES = re.compile(
    r"""(?:name|property|itemprop)\s*=\s*["']?(?:article:modified_time|article:published_time|datemodified|datepublished"""
    r"""|last-modified|dc\.date(?:\.modified)?|dcterms\.(?:modified|date)|date)["'\s/>]""",
    re.I,
)
_META_CONTENT = re.compile(r"""content\s*=\s*["']([^"']{4,40})["']""", re.I)


def properties(media_type: str, data: bytes, text: str) -> dict[str, str]:
    """The properties of a parsed file; `text` is what its parser made of it."""
    if media_type == "text/markdown":
        found = _front_matter(text)
    elif media_type == "message/rfc822":
        found = {"date": _mail_date(data)}
    elif media_type == "text/html":
        found = {"date": _page_date(data)}
    elif media_type.startswith(_OFFICE):
        found = {"modified": _office_date(data)}
    elif media_type == "application/pdf":
        found = {"modified": _pdf_date(data)}
    else:
        found = {}
    return {name: value for name, value in found.items() if value}


def _front_matter(text: str) -> dict[str, str]:
    matter = _MATTER.match(text)
    if matter is None:
        return {}
    if len(matter["fields"]) > _LARGEST_BYTES:
        return {FRONT_MATTER: "unreadable"}
    import yaml

    try:
        fields = yaml.load(matter["fields"], Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except (yaml.YAMLError, ValueError, RecursionError):
        return {FRONT_MATTER: "unreadable"}
    if not isinstance(fields, dict):
        return {}
    named = {str(key).lower(): value for key, value in fields.items() if isinstance(key, str)}
    dates = (_plain_date(named[name]) for name in _DATES if name in named)
    found = {"date": next(filter(None, dates), "")}
    claimed = [_labels(named[name]) for name in _LABELS if named.get(name) is not None]
    if any(labels is None for labels in claimed):
        found[FRONT_MATTER] = "unreadable"
    elif claimed:
        found["labels"] = json.dumps(sorted({label for labels in claimed for label in labels or ()}))
    return found


def _plain_date(value: Any) -> str:
    if isinstance(value, date):  # a datetime is one too
        return value.isoformat()[:10]
    return _short(value) if isinstance(value, str) else ""


def _labels(value: Any) -> list[str] | None:
    """Labels of `access: hr` or `access: [hr, board]`; None for what is neither."""
    values = value if isinstance(value, list) else str(value).split(",") if isinstance(value, str) else None
    if values is None or len(values) > 100 or not all(isinstance(each, str | int) for each in values):
        return None
    return [label for each in values if (label := _short(str(each)))]


def _mail_date(data: bytes) -> str:
    """The day on which a message was sent, where it was sent from."""
    raw = email.parser.BytesHeaderParser().parsebytes(data[:_LARGEST_BYTES]).get("Date")
    try:
        return email.utils.parsedate_to_datetime(str(raw)).date().isoformat() if raw else ""
    except (ValueError, TypeError, OverflowError):
        return ""


def _page_date(data: bytes) -> str:
    head = data[:_LARGEST_BYTES].decode("utf-8", "replace")
    for tag in _META.findall(head):
        content = _META_CONTENT.search(tag)
        if content and _META_NAMES.search(tag):
            return _short(content.group(1))
    return ""


def _office_date(data: bytes) -> str:
    from lxml import etree

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open("docProps/core.xml") as member:
            parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
            root = etree.fromstring(member.read(_LARGEST_BYTES), parser)
    except (zipfile.BadZipFile, KeyError, OSError, ValueError, NotImplementedError, etree.LxmlError):
        return ""
    values = (root.findtext(name) for name in _MODIFIED)
    return next((_short(value) for value in values if value), "")


def _pdf_date(data: bytes) -> str:
    import pypdfium2

    try:
        file = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError:
        return ""
    try:
        fields: Mapping[str, str] = file.get_metadata_dict(skip_empty=True)
    finally:
        file.close()
    raw = fields.get("ModDate") or fields.get("CreationDate") or ""
    digits = re.match(r"\s*(?:D:)?(\d{8})", raw)
    try:
        return datetime.strptime(digits.group(1), "%Y%m%d").date().isoformat() if digits else ""
    except ValueError:
        return ""


def _short(value: str) -> str:
    return storable(one_line(value))[:_LONGEST]
