"""EPUB -> the chapters of its spine in order, each through the HTML parser.

Left out: the navigation document, tables of contents, page marks and covers without words. A chapter without a
heading takes its name from the book's table of contents. Not covered: books locked by DRM.
"""

import posixpath
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urldefrag

from pipelines.documents.parsers import html
from pipelines.documents.parsers.decoding import decode
from pipelines.documents.parsers.draft import Draft, Parsed, one_line, readable_name
from pipelines.documents.parsers.package import Package
from pipelines.errors import DocumentError

_OPF = "{http://www.idpf.org/2007/opf}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_NCX = "{http://www.daisy.org/z3986/2005/ncx/}"
_CONTAINER = "{urn:oasis:names:tc:opendocument:xmlns:container}rootfile"
_ENCRYPTED = re.compile(rb'CipherReference[^>]*URI="([^"]+)"')
_NAVIGATION = re.compile(r"\b(?:toc|landmarks|page-list|pagebreak|doc-pagebreak|doc-toc|lot|loi)\b")


def parse(data: bytes, name: str) -> Parsed:
    """The book's text; its title is that of its metadata."""
    package = Package(data)
    _check_locks(package)
    place = _package_document(package)
    book = package.xml(place)
    title = one_line(book.findtext(f".//{_DC}title") or "")
    chapters = list(_spine(book, posixpath.dirname(place)))
    names = _chapter_names(package, book, posixpath.dirname(place))
    draft = Draft()
    for number, part in enumerate(chapters):
        if part in package:
            _write_chapter(draft, package.read(part), names.get(part, ""), number)
    if draft.is_empty:
        raise DocumentError("the book holds no text")
    return draft.finish(title or draft.first_heading or readable_name(name))


def _check_locks(package: Package) -> None:
    """Raises DocumentError when chapters are encrypted (fonts often are, which does not matter)."""
    if "META-INF/encryption.xml" in package:
        locked = _ENCRYPTED.findall(package.read("META-INF/encryption.xml"))
        if any(part.lower().endswith((b"html", b"htm", b"xml")) for part in locked):
            raise DocumentError("protected by DRM")


def _package_document(package: Package) -> str:
    root = package.xml_or_none("META-INF/container.xml")
    for each in () if root is None else root.iter(_CONTAINER):
        if (place := unquote(each.get("full-path") or "")) in package:
            return place
    for member in package.names:
        if member.lower().endswith(".opf"):
            return member
    raise DocumentError("damaged: its package document is missing")


def _items(book: Any, folder: str) -> Iterator[tuple[Any, str]]:
    for item in book.iter(f"{_OPF}item"):
        yield item, posixpath.normpath(posixpath.join(folder, unquote(item.get("href") or "")))


def _spine(book: Any, folder: str) -> Iterator[str]:
    """Parts in reading order, the navigation document left out."""
    parts = {item.get("id"): (item, place) for item, place in _items(book, folder)}
    for reference in book.iter(f"{_OPF}itemref"):
        item, place = parts.get(reference.get("idref"), (None, ""))
        is_nav = item is None or "nav" in (item.get("properties") or "").split()
        if not is_nav and "html" in (item.get("media-type") or "html"):
            yield place


def _chapter_names(package: Package, book: Any, folder: str) -> dict[str, str]:
    """Part -> its name in the table of contents (the navigation document's, else the older NCX's)."""
    found: dict[str, str] = {}
    for item, place in _items(book, folder):
        if "nav" in (item.get("properties") or "").split() and place in package:
            for link in _page(package.read(place)).iter("a"):
                _remember(found, place, link.get("href"), link.text_content())
        elif item.get("media-type") == "application/x-dtbncx+xml" and (root := package.xml_or_none(place)) is not None:
            for point in root.iter(f"{_NCX}navPoint"):
                content = point.find(f"{_NCX}content")
                label = point.findtext(f"{_NCX}navLabel/{_NCX}text")
                _remember(found, place, None if content is None else content.get("src"), label)
    return found


def _remember(found: dict[str, str], place: str, target: str | None, label: str | None) -> None:
    file = unquote(urldefrag(target or "").url)
    if file and label and label.strip():
        found.setdefault(posixpath.normpath(posixpath.join(posixpath.dirname(place), file)), one_line(label))


def _page(data: bytes) -> Any:
    return html.tree(decode(data, declared=True)) if data.strip() else html.tree("<p></p>")


def _write_chapter(draft: Draft, data: bytes, label: str, number: int) -> None:
    try:
        page = _page(data)
    except DocumentError:
        return  # a chapter that is no page, or holds nothing
    for element in list(page.iter("nav", "section", "div", "span", "a", "hr", "head")):
        marks = f"{element.get('epub:type') or ''} {element.get('role') or ''}"
        if element.tag in ("nav", "head") or _NAVIGATION.search(marks):
            if element.getparent() is not None:
                element.drop_tree()
        elif element.tag == "a" and "://" not in (element.get("href") or "://"):
            del element.attrib["href"]  # to another place of the book
    heads = next(page.iter("h1", "h2", "h3", "h4"), None)
    if heads is None and label and one_line(page.text_content()):
        draft.heading(1, label)
    html.write(page, draft)
