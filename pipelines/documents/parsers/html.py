"""HTML -> its main text: navigation and boilerplate dropped, tables as Markdown, links as their text.

The main text is `<main>`, a single `<article>` or, without either, the body. Left out: scripts, navigation,
asides, page headers and footers, hidden elements, elements whose class or id names such a part, and blocks
of many short links. Nothing is left out when nothing else would remain.
Pictures give their alternative text, equations LaTeX. Where links lead stands in a note at the end.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from pipelines.documents.parsers.decoding import decode
from pipelines.documents.parsers.draft import Draft, Parsed, one_line, readable_name, squeezed, superscript
from pipelines.documents.parsers.equations import mathml, shown
from pipelines.documents.parsers.grid import Cell, span, spread
from pipelines.errors import DocumentError

if TYPE_CHECKING:
    from lxml.html import HtmlElement
else:
    HtmlElement = Any

_SILENT = frozenset(
    "script style template noscript svg head iframe object embed canvas video audio map button input select option "
    "textarea datalist dialog link meta param source track rp rt".split()
)
_BOILERPLATE_TAGS = frozenset(["nav", "aside", "footer", "header", "menu"])
_BOILERPLATE_ROLES = frozenset(
    ["navigation", "banner", "contentinfo", "search", "complementary", "menu", "menubar", "toolbar"]
)
_BOILERPLATE_NAME = re.compile(
    r"(?:^|[\s_-])(?:crumbs?|breadcrumbs?|nav|navbar|navigation|navbox|sidebar|sidenav|topbar|menu|footer|masthead|"
    r"cookies?|share|sharing|social|adverts?|advertisement|ads|promo|skip|skiplink|skip-link|pagination|pager|"
    r"toolbar|site-header|editsection|noprint|comments?|toc|catlinks|printfooter|linenos|headerlink)(?:$|[\s_-])",
    re.I,
)
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)
_HEADINGS = {f"h{n}": n for n in range(1, 7)}
_CONTAINERS = frozenset(
    "html body main article section div form fieldset center details figure header footer nav aside address hgroup "
    "dialog summary tbody thead tfoot tr td th frameset noframes legend".split()
)
_BLOCKS = (
    _CONTAINERS
    | frozenset(_HEADINGS)
    | frozenset(["p", "ul", "ol", "dl", "table", "pre", "blockquote", "hr", "figcaption", "caption"])
)
_LISTS = ("ul", "ol", "dl", "menu", "dir")
_APART = ("pre", "table", *_HEADINGS, "blockquote")
"""What breaks a list that holds it."""
_KEPT_BUTTONS = (*_HEADINGS, "summary", "dt")
"""Pages fold their sections behind buttons: the button then is the heading."""
_DEEPEST_INDENT = 8
_SEPARATOR = re.compile(r"\s+(?:[|·–—»-]|::)\s+")
_FEWEST_LINKS = 5
_SHORT_LINK = 25
_ICON_PIXELS = 32
_DEEPEST = 200
"""Elements inside elements; what lies deeper is read as plain text."""


@dataclass(frozen=True)
class Page:
    """What is known of a page while it is read."""

    draft: Draft
    size: int | None
    """Characters of the main part; None: nothing is dropped."""
    is_main: bool = False
    """Whether the page itself says where its main part is."""
    base: str = ""
    """The address that relative links go out from."""


def parse(data: bytes, name: str) -> Parsed:
    """The page's main text; its title is the first heading, else `<title>` up to the site's name."""
    return parse_text(decode(data, declared=True), name)


def parse_text(text: str, name: str) -> Parsed:
    """Same, from decoded text (the body of an e-mail, say)."""
    root = tree(text)
    draft = drafted(root)
    if draft.is_empty:
        raise DocumentError("the page holds no text")
    return draft.finish(draft.first_heading or page_title(root) or readable_name(name))


def drafted(root: HtmlElement) -> Draft:
    """A page's blocks; all that it holds where nothing would be left of it."""
    part = _main_part(root)
    draft = _drafted(part, root, prune=True)
    return _drafted(root, root, prune=False) if draft.is_empty else draft


def write(root: HtmlElement, draft: Draft) -> None:
    """Add all that an element holds to a draft, nothing dropped (a chapter, a cell of another format)."""
    _write(root, Page(draft, None, base=_base(root)), 0)


def page_title(root: HtmlElement) -> str | None:
    """`<title>` up to the site's name."""
    found = root.findtext(".//title")
    return _SEPARATOR.split(one_line(found))[0] if found and found.strip() else None


def tree(text: str) -> HtmlElement:
    """The elements of a page, whatever its faults. Raises DocumentError for what is empty."""
    from lxml import etree, html

    cleaned = re.sub(r"^\s*<\?xml[^>]*\?>", "", text.replace("\x00", ""))
    try:
        parser = html.HTMLParser(huge_tree=True, remove_comments=True, remove_pis=True, no_network=True)
        return html.document_fromstring(cleaned, parser=parser)
    except (etree.LxmlError, ValueError, AssertionError) as exc:
        raise DocumentError(f"not readable as HTML: {exc}") from exc


def _main_part(page: HtmlElement) -> HtmlElement:
    """The element that holds the main text, if it holds a fair share of the page's text."""
    whole = len(one_line(page.text_content()))
    for query in ("//main", "//*[@role='main']", "//article"):
        found = page.xpath(query)
        if len(found) == 1 and len(one_line(found[0].text_content())) >= 0.1 * whole:
            return found[0]
    return page


def _drafted(part: HtmlElement, root: HtmlElement, *, prune: bool) -> Draft:
    draft = Draft()
    size = len(part.text_content()) or 1
    _write(part, Page(draft, size if prune else None, is_main=part is not root, base=_base(root)), 0)
    return draft


def _base(root: HtmlElement) -> str:
    for query in ("//base/@href", "//link[@rel='canonical']/@href"):
        for found in root.xpath(query)[:1]:
            if str(found).startswith(("http://", "https://")):
                return str(found)
    return ""


# --- blocks ------------------------------------------------------------------------------------


def _write(element: HtmlElement, page: Page, depth: int) -> None:
    """Add what an element holds, block by block."""
    if depth > _DEEPEST:
        page.draft.add("paragraph", one_line(element.text_content()))
        return
    inline: list[str] = [element.text or ""]
    for child in element:
        if not isinstance(child.tag, str) or _dropped(child, page):
            pass
        elif child.tag in _BLOCKS or child.tag in _LISTS or _holds_blocks(child):
            _flush(inline, page.draft)
            _write_block(child, page, depth)
        else:
            inline.append(_inline(child, page))
        inline.append(child.tail or "")
    _flush(inline, page.draft)


def _flush(inline: list[str], draft: Draft) -> None:
    draft.add("paragraph", _tidy("".join(inline)))
    inline.clear()


def _tidy(text: str) -> str:
    """White space as a browser shows it: `<br>` (a vertical tab here) is the only line break."""
    return "\n".join(one_line(line) for line in text.split("\v")).strip()


def _write_block(element: HtmlElement, page: Page, depth: int) -> None:
    tag = element.tag
    if tag in _HEADINGS:
        page.draft.heading(_HEADINGS[tag], _inline(element, page).replace("\v", " "))
    elif tag in _LISTS:
        _write_list(element, page, depth)
    elif tag == "table" and not _is_layout(element):
        for caption in element.iterchildren("caption"):
            page.draft.add("paragraph", _tidy(_inline(caption, page)))
        page.draft.table(spread(_rows(element, page)))
    elif tag == "pre":
        page.draft.add("code", _preformatted(element).strip("\n"))
    elif tag == "caption" and element.getparent() is not None and not _is_layout(element.getparent()):
        return
    else:
        _write(element, page, depth + 1)


def _preformatted(element: HtmlElement) -> str:
    parts = [element.text or ""]
    for child in element:
        if isinstance(child.tag, str):
            named = child.get("class") or ""
            parts.append("\n" if child.tag == "br" else "" if "linenos" in named else _preformatted(child))
        parts.append(child.tail or "")
    return "".join(parts)


def _holds_blocks(element: HtmlElement) -> bool:
    """Whether an inline element (a link around a card, say) holds blocks."""
    return next(element.iter(*_BLOCKS), None) is not None


# --- what is left out ----------------------------------------------------------------------------


def _dropped(element: HtmlElement, page: Page) -> bool:
    tag = element.tag
    if tag in _SILENT:
        return not _speaks(element)
    if page.size is None:
        return False
    if element.get("hidden") is not None or element.get("aria-hidden") == "true":
        return next(element.iter("math"), None) is None
    if _HIDDEN.search(element.get("style") or ""):
        return next(element.iter("math"), None) is None
    named = f"{element.get('class') or ''} {element.get('id') or ''}"
    marked = tag in _BOILERPLATE_TAGS or (element.get("role") or "") in _BOILERPLATE_ROLES
    if marked and tag == "header" and _inside(element, ("main", "article", "section")):
        marked = False
    if element.get("role") == "note":
        return False  # "Main article: ...", "Warning: ..."
    if marked or (named.strip() and _BOILERPLATE_NAME.search(named)):
        return len(element.text_content()) < 0.5 * page.size
    return tag in ("ul", "ol", "div", "p") and _is_link_list(element) and not (page.is_main and _introduced(element))


def _speaks(element: HtmlElement) -> bool:
    """Whether a control holds words of the text: a folded section's button, a box of a list of tasks."""
    if element.tag == "button":
        return _inside(element, _KEPT_BUTTONS)
    return element.tag == "input" and element.get("type") == "checkbox" and _inside(element, ("li", "td"))


def _inside(element: HtmlElement, tags: tuple[str, ...]) -> bool:
    return next(element.iterancestors(*tags), None) is not None


def _is_link_list(element: HtmlElement) -> bool:
    """Five or more short links and next to no other text."""
    links = [one_line(a.text_content()) for a in element.iter("a")]
    if len(links) < _FEWEST_LINKS:
        return False
    linked, whole = sum(map(len, links)), len(one_line(element.text_content())) or 1
    return linked / whole > 0.8 and linked / len(links) < _SHORT_LINK


def _introduced(element: HtmlElement) -> bool:
    """Whether a list of links stands under a heading or a sentence of its own ("See also", "The sites are:")."""
    at = element
    for _ in range(3):
        before = at.getprevious()
        while before is not None and not (isinstance(before.tag, str) and before.text_content().strip()):
            before = before.getprevious()
        if before is not None:
            heads = before.tag in _HEADINGS or next(before.iterdescendants(*_HEADINGS), None) is not None
            return heads or before.text_content().rstrip().endswith(":") or before.tag in ("ul", "ol")
        at = at.getparent()
        if at is None or at.tag in ("main", "article", "body", "header"):
            return False
    return False


# --- words -------------------------------------------------------------------------------------


def _inline(element: HtmlElement, page: Page, *, without: tuple[str, ...] = (), depth: int = 0) -> str:
    """Text of inline content, elements named in `without` left out; a line break is a vertical tab."""
    tag = element.tag
    if tag == "br":
        return "\v"
    if tag == "img":
        return _described(element)
    if tag == "math":
        return f" {shown(mathml(element), display=element.get('display') == 'block')} "
    if tag == "input":
        return "[x] " if element.get("checked") is not None else "[ ] "
    if depth > _DEEPEST:
        return str(element.text_content())
    parts = [element.text or ""]
    for child in element:
        if isinstance(child.tag, str) and child.tag not in without and not _dropped(child, page):
            inner = _inline(child, page, without=without, depth=depth + 1)
            parts.append(f" {inner} " if child.tag in _BLOCKS or child.tag in _LISTS or child.tag == "li" else inner)
        parts.append(child.tail or "")
    words = "".join(parts)
    if tag == "a" and element.get("href"):
        return _linked(words, element.get("href"), page)
    return superscript(words) if tag == "sup" else words


def _linked(words: str, href: str, page: Page) -> str:
    if not words.strip():
        return words
    try:
        target = urljoin(page.base, href.strip()) if page.base and not href.strip().startswith("#") else href
    except ValueError:
        target = href
    return page.draft.link(words, target)  # keeps the spaces around the words


def _described(image: HtmlElement) -> str:
    """A picture's alternative text where it says more than a file's name or an icon's."""
    words = one_line(image.get("alt") or "")
    if len(words) < 3 or re.fullmatch(r"\S+\.\w{3,4}", words) or image.get("role") == "presentation":
        return ""
    sizes = [image.get(side) or "" for side in ("width", "height")]
    if any(size.isdecimal() and len(size) < 3 and int(size) <= _ICON_PIXELS for size in sizes):
        return ""
    if "mwe-math" in (image.get("class") or ""):
        return ""  # a picture of the equation beside it
    figure = next(image.iterancestors("figure"), None)
    if figure is not None and words.casefold() in one_line(figure.text_content()).casefold():
        return ""
    return f" [Image: {words}] "


# --- lists and tables ----------------------------------------------------------------------------


def _write_list(element: HtmlElement, page: Page, depth: int) -> None:
    """A list as one block; code, tables and headings in its items are blocks of their own in between."""
    lines: list[str] = []
    for part in _list_parts(element, page, 0, depth):
        if isinstance(part, str):
            lines.append(part)
        else:
            page.draft.add("list", "\n".join(lines))
            lines = []
            _write_block(part, page, depth + 1)
    page.draft.add("list", "\n".join(lines))


def _list_parts(element: HtmlElement, page: Page, level: int, depth: int) -> Iterator[str | HtmlElement]:
    """Items as lines, `- ` or `1. ` before each, deeper ones indented; a term of a definition list stands bare."""
    number = span(element.get("start")) if element.get("start") else 1
    for item in element:
        if not isinstance(item.tag, str) or _dropped(item, page):
            continue
        if item.tag in _LISTS:
            yield from _list_parts(item, page, level + 1, depth + 1)
            continue
        words = one_line(_inline(item, page, without=(*_LISTS, *_APART)))
        mark = f"{number}. " if element.tag == "ol" else "" if item.tag == "dt" else "- "
        if words:
            number += 1
            yield "  " * min(level, _DEEPEST_INDENT) + mark + words
        if depth + level < _DEEPEST:
            yield from _nested(item, page, level, depth)


def _nested(element: HtmlElement, page: Page, level: int, depth: int) -> Iterator[str | HtmlElement]:
    """What stands inside an item beside its words: lists, and blocks that break the list."""
    for child in element:
        if not isinstance(child.tag, str) or _dropped(child, page):
            continue
        if child.tag in _LISTS:
            yield from _list_parts(child, page, level + 1, depth + 1)
        elif child.tag in _APART:
            yield child
        elif depth < _DEEPEST:
            yield from _nested(child, page, level, depth + 1)


def _is_layout(table: HtmlElement) -> bool:
    """A table that places things: says so, holds tables, headings or code, or has no row of two cells."""
    if table.get("role") in ("presentation", "none"):
        return True
    if next(table.iterdescendants("table", "h1", "h2", "h3", "pre"), None) is not None:
        return True
    return not any(sum(c.tag in ("td", "th") for c in row) > 1 for row in table.iter("tr"))


def _rows(table: HtmlElement, page: Page) -> Iterator[list[Cell]]:
    """Cells row by row; a row that only holds the first of cells that go on below is no row of its own."""
    for row in table.iter("tr"):
        if page.size is not None and (row.get("hidden") is not None or _HIDDEN.search(row.get("style") or "")):
            continue
        yield [
            Cell(
                squeezed(_tidy(_inline(cell, page)).replace("\n", " ")),
                span(cell.get("colspan")),
                span(cell.get("rowspan")),
            )
            for cell in row.iterchildren("td", "th")
        ]
