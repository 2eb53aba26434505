"""Zip containers of XML parts, read within bounds: Office files, OpenDocument, EPUB.

Invariants: no member is unpacked beyond what it declares, nor all of them beyond MAX_UNPACKED_BYTES; entities are
not resolved, nothing is fetched. What is damaged raises DocumentError with the part's name.
"""

import io
import lzma
import posixpath
import re
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import unquote

from pipelines.errors import DocumentError

MAX_UNPACKED_BYTES = 512 * 1024 * 1024
"""A container that unpacks to more is refused before it is unpacked."""
MAX_MEMBERS = 100_000
_STRICT = b"http://purl.oclc.org/ooxml/"
_TRANSITIONAL = (
    (b"officeDocument/relationships/", b"http://schemas.openxmlformats.org/officeDocument/2006/relationships/"),
    (b"officeDocument/", b"http://schemas.openxmlformats.org/officeDocument/2006/"),
    (b"wordprocessingml/", b"http://schemas.openxmlformats.org/wordprocessingml/2006/"),
    (b"presentationml/", b"http://schemas.openxmlformats.org/presentationml/2006/"),
    (b"spreadsheetml/", b"http://schemas.openxmlformats.org/spreadsheetml/2006/"),
    (b"drawingml/", b"http://schemas.openxmlformats.org/drawingml/2006/"),
)
_DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, NotImplementedError)
_ENTITY = re.compile(rb"&([A-Za-z][A-Za-z0-9]{1,30});")
_XML_ENTITIES = frozenset((b"amp", b"lt", b"gt", b"quot", b"apos"))


class Package:
    """The members of a zip file."""

    def __init__(self, data: bytes) -> None:
        # Raises DocumentError for a damaged file and for one that unpacks to too much.
        if data.count(b"PK\x01\x02") > MAX_MEMBERS:
            raise DocumentError(f"a zip container of more than {MAX_MEMBERS} members")
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(data))
        except (*_DAMAGED, UnicodeDecodeError) as exc:
            raise DocumentError(f"damaged zip container: {exc}") from exc
        self._members = {info.filename: info for info in self._archive.infolist()}
        self._shared: dict[str, Any] = {}
        unpacked = sum(info.file_size for info in self._members.values())
        if unpacked > MAX_UNPACKED_BYTES:
            raise DocumentError(f"unpacks to {unpacked} bytes, at most {MAX_UNPACKED_BYTES} are allowed")

    def __contains__(self, name: str) -> bool:
        return name in self._members

    @property
    def names(self) -> list[str]:
        """Members in the order of the file."""
        return list(self._members)

    def read(self, name: str) -> bytes:
        """A member's bytes. Raises DocumentError when it is missing, damaged or locked by a password."""
        info = self._members.get(name) or self._folded.get(name.lower())
        if info is None:
            raise DocumentError(f"damaged: its part {name} is missing")
        if info.flag_bits & 1:
            raise DocumentError("protected by a password")
        try:
            with self._archive.open(info) as member:
                return member.read(info.file_size)
        except _DAMAGED as exc:
            raise DocumentError(f"damaged: its part {name} cannot be unpacked ({exc})") from exc

    def xml(self, name: str) -> Any:
        """The root element of a member; DocumentError as for `read`, and when it is no XML."""
        return xml_root(self.read(name), name)

    def xml_or_none(self, name: str | None) -> Any:
        """Same for a part that a document does without: None when it is missing or damaged."""
        if not name:
            return None
        try:
            return self.xml(name)
        except DocumentError:
            return None

    def shared_xml(self, name: str) -> Any:
        """As `xml_or_none`, for a part that many others use: it is parsed once."""
        if name not in self._shared:
            self._shared[name] = self.xml_or_none(name)
        return self._shared[name]

    @cached_property
    def _folded(self) -> dict[str, zipfile.ZipInfo]:
        """Some writers are careless about upper and lower case."""
        return {name.lower(): info for name, info in self._members.items()}


def xml_root(data: bytes, name: str = "") -> Any:
    """The root of an XML document, what is damaged mended as far as it goes. Raises DocumentError when nothing is."""
    from lxml import etree

    if _STRICT in data:
        for strict, transitional in _TRANSITIONAL:
            data = data.replace(_STRICT + strict, transitional)
    safe = {"resolve_entities": False, "no_network": True, "load_dtd": False, "remove_comments": True}
    try:
        return etree.fromstring(data, etree.XMLParser(**safe, huge_tree=True, remove_pis=True))
    except (etree.XMLSyntaxError, ValueError):
        pass  # often a single bad character or an entity of HTML: the rest is worth having
    try:
        root = etree.fromstring(_ENTITY.sub(_character, data), etree.XMLParser(**safe, recover=True, remove_pis=True))
    except (etree.XMLSyntaxError, ValueError) as exc:
        raise DocumentError(f"damaged: {name or 'it'} is no XML ({exc})") from exc
    if root is None:
        raise DocumentError(f"damaged: {name or 'it'} is no XML")
    return root


def _character(match: re.Match[bytes]) -> bytes:
    """`&nbsp;` as a number: XML knows five names alone."""
    from html.entities import html5

    found = None if match.group(1) in _XML_ENTITIES else html5.get(match.group(1).decode() + ";")
    return "".join(f"&#{ord(c)};" for c in found).encode() if found else match.group()


# --- Office Open XML: parts and their relations --------------------------------------------------

_RELATION = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"


@dataclass(frozen=True)
class Relation:
    """Where a part points: `kind` is the last word of its type ("hyperlink", "image", "chart" ...)."""

    kind: str
    target: str
    """A part's name, or an address when external."""
    external: bool


def relations(package: Package, part: str) -> dict[str, Relation]:
    """A part's relations by id; "" stands for the package itself. None are given for a damaged list."""
    folder, name = posixpath.split(part)
    root = package.xml_or_none(posixpath.join(folder, "_rels", f"{name}.rels"))
    found: dict[str, Relation] = {}
    for each in () if root is None else root.iter(_RELATION):
        target, external = each.get("Target") or "", each.get("TargetMode") == "External"
        if not external:
            target = posixpath.normpath(posixpath.join("/", folder, unquote(target))).lstrip("/")
        found[each.get("Id") or ""] = Relation((each.get("Type") or "").rsplit("/", 1)[-1], target, external)
    return found


def main_part(package: Package, usual: str) -> str:
    """The name of an Office file's main part; `usual` where the file does not say."""
    for relation in relations(package, "").values():
        if relation.kind == "officeDocument" and not relation.external and relation.target in package:
            return relation.target
    return usual


_CORE_TITLE = "{http://purl.org/dc/elements/1.1/}title"


def core_title(package: Package) -> str:
    """The title among an Office file's properties; "" without one."""
    root = package.xml_or_none("docProps/core.xml") if "docProps/core.xml" in package else None
    return "" if root is None else " ".join((root.findtext(_CORE_TITLE) or "").split())
