"""HTML -> its main text: navigation and boilerplate dropped, tables as Markdown, links as their text.

The main text is `<main>`, a single `<article>` or, without either, the body. Left out: scripts, navigation,
asides, page headers and footers, hidden elements, elements whose class or id names such a part, and blocks
of many short links. Nothing is left out when nothing else would remain.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pipelines.documents.parsers.decoding import decode
from pipelines.documents.parsers.draft import Draft, Parsed, one_line, readable_name, squeezed
from pipelines.errors import DocumentError

if TYPE_CHECKING:
    from lxml.html import HtmlElement
else:
    HtmlElement = Any

_SILENT = frozenset(
    [
        "script",
        "style",
        "template",
        "noscript",
        "svg",
        "math-annotation",
        "head",
        "iframe",
        "object",
        "embed",
        "canvas",
        "video",
        "audio",
        "map",
        "button",
        "input",
        "select",
        "option",
        "textarea",
        "datalist",
        "dialog",
        "link",
        "meta",
        "param",
        "source",
        "track",
    ]
)
_BOILERPLATE_TAGS = frozenset(["nav", "aside", "footer", "header", "menu"])
_BOILERPLATE_ROLES = frozenset(
    ["navigation", "banner", "contentinfo", "search", "complementary", "menu", "menubar", "toolbar"]
)
_BOILERPLATE_NAME = re.compile(
    r"(?:^|[\s_-])(?:crumbs?|breadcrumbs?|nav|navbar|navigation|navbox|sidebar|sidenav|topbar|menu|footer|masthead|"
    r"cookies?|share|sharing|social|adverts?|advertisement|ads|promo|skip|skiplink|skip-link|pagination|pager|"
    r"toolbar|site-header|editsection|noprint|comments?|reflist-nav)(?:$|[\s_-])",
    re.I,
)
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)
_HEADINGS = {f"h{n}": n for n in range(1, 7)}
_CONTAINERS = frozenset(
    [
        "html",
        "body",
        "main",
        "article",
        "section",
        "div",
        "form",
        "fieldset",
        "center",
        "details",
        "figure",
        "header",
        "footer",
        "nav",
        "aside",
        "address",
        "hgroup",
        "dialog",
        "summary",
        "tbody",
        "thead",
        "tfoot",
        "tr",
        "td",
        "th",
        "frameset",
        "noframes",
    ]
)
_BLOCKS = (
    _CONTAINERS
    | frozenset(_HEADINGS)
    | frozenset(["p", "ul", "ol", "dl", "table", "pre", "blockquote", "hr", "figcaption", "caption"])
)
_DEEPEST_INDENT = 8
_LISTS = ("ul", "ol", "dl")
_SEPARATOR = re.compile(r"\s+(?:[|·–—»-]|::)\s+")


def parse(data: bytes, name: str) -> Parsed:
    """The page's main text; its title is the first heading, else `<title>` up to the site's name."""
    return parse_text(decode(data, declared=True), name)


def parse_text(text: str, name: str) -> Parsed:
    """Same, from decoded text (the body of an e-mail, say)."""
    page = _tree(text)
    draft = _drafted(_main_part(page), prune=True)
    if draft.is_empty:
        draft = _drafted(page, prune=False)
    if draft.is_empty:
        raise DocumentError("the page holds no text")
    return draft.finish(draft.first_heading or _page_title(page) or readable_name(name))


def _tree(text: str) -> HtmlElement:
    from lxml import etree, html

    cleaned = re.sub(r"^\s*<\?xml[^>]*\?>", "", text.replace("\x00", ""))
    try:
        parser = html.HTMLParser(huge_tree=True, remove_comments=True, remove_pis=True, no_network=True)
        return html.document_fromstring(cleaned, parser=parser)
    except (etree.LxmlError, ValueError) as exc:
        raise DocumentError(f"not readable as HTML: {exc}") from exc


def _page_title(page: HtmlElement) -> str | None:
    found = page.findtext(".//title")
    return _SEPARATOR.split(one_line(found))[0] if found and found.strip() else None


def _main_part(page: HtmlElement) -> HtmlElement:
    """The element that holds the main text, if it holds a fair share of the page's text."""
    whole = len(one_line(page.text_content()))
    for query in ("//main", "//*[@role='main']", "//article"):
        found = page.xpath(query)
        if len(found) == 1 and len(one_line(found[0].text_content())) >= 0.1 * whole:
            return found[0]
    return page


def _drafted(root: HtmlElement, *, prune: bool) -> Draft:
    draft = Draft()
    size = len(root.text_content()) or 1
    _write(root, draft, size if prune else None)
    return draft


def _write(element: HtmlElement, draft: Draft, size: int | None) -> None:
    """Add what an element holds, block by block; `size`: characters of the main part (None: drop nothing)."""
    inline: list[str] = [element.text or ""]
    for child in element:
        if not isinstance(child.tag, str) or _dropped(child, size):
            pass
        elif child.tag in _BLOCKS or _holds_blocks(child):
            _flush(inline, draft)
            _write_block(child, draft, size)
        else:
            inline.append(_inline(child, size))
        inline.append(child.tail or "")
    _flush(inline, draft)


def _flush(inline: list[str], draft: Draft) -> None:
    draft.add("paragraph", _tidy("".join(inline)))
    inline.clear()


def _tidy(text: str) -> str:
    """White space as a browser shows it: `<br>` (a vertical tab here) is the only line break."""
    return "\n".join(one_line(line) for line in text.split("\v")).strip()


def _write_block(element: HtmlElement, draft: Draft, size: int | None) -> None:
    tag = element.tag
    if tag in _HEADINGS:
        draft.heading(_HEADINGS[tag], _inline(element, size).replace("\v", " "))
    elif tag in _LISTS:
        draft.add("list", "\n".join(_list_lines(element, size)))
    elif tag == "table" and not _is_layout(element):
        for caption in element.iterchildren("caption"):
            draft.add("paragraph", _tidy(_inline(caption, size)))
        draft.table(_rows(element, size))
    elif tag == "pre":
        draft.add("code", element.text_content().strip("\n"))
    elif tag == "caption" and element.getparent() is not None and not _is_layout(element.getparent()):
        return
    else:
        _write(element, draft, size)


def _dropped(element: HtmlElement, size: int | None) -> bool:
    if element.tag in _SILENT:
        return True
    if size is None:
        return False
    if element.get("hidden") is not None or element.get("aria-hidden") == "true":
        return True
    if _HIDDEN.search(element.get("style") or ""):
        return True
    named = f"{element.get('class') or ''} {element.get('id') or ''}"
    marked = element.tag in _BOILERPLATE_TAGS or (element.get("role") or "") in _BOILERPLATE_ROLES
    if marked and element.tag == "header" and _inside(element, ("main", "article", "section")):
        marked = False
    if marked or (named.strip() and _BOILERPLATE_NAME.search(named)):
        return len(element.text_content()) < 0.5 * size
    return element.tag in ("ul", "ol", "div", "p") and _is_link_list(element)


def _inside(element: HtmlElement, tags: tuple[str, ...]) -> bool:
    return any(True for _ in element.iterancestors(*tags))


def _is_link_list(element: HtmlElement) -> bool:
    """Five or more short links and next to no other text."""
    links = [one_line(a.text_content()) for a in element.iter("a")]
    if len(links) < 5:
        return False
    linked, whole = sum(map(len, links)), len(one_line(element.text_content())) or 1
    return linked / whole > 0.8 and linked / len(links) < 25


def _holds_blocks(element: HtmlElement) -> bool:
    """Whether an inline element (a link around a card, say) holds blocks."""
    return any(True for _ in element.iter(*_BLOCKS))


def _inline(element: HtmlElement, size: int | None, *, without: tuple[str, ...] = ()) -> str:
    """Text of inline content, elements named in `without` left out; a line break is a vertical tab."""
    if element.tag == "br":
        return "\v"
    parts = [element.text or ""]
    for child in element:
        if isinstance(child.tag, str) and child.tag not in without and not _dropped(child, size):
            inner = _inline(child, size, without=without)
            parts.append(f" {inner} " if child.tag in _BLOCKS else inner)
        parts.append(child.tail or "")
    return "".join(parts)


def _list_lines(element: HtmlElement, size: int | None, depth: int = 0) -> Iterator[str]:
    """Items as lines, `- ` or `1. ` before each, deeper ones indented; a term of a definition list stands bare."""
    start = element.get("start") or ""
    number = int(start) if start.isdigit() else 1
    for item in element:
        if not isinstance(item.tag, str) or _dropped(item, size):
            continue
        if item.tag in _LISTS:
            yield from _list_lines(item, size, depth + 1)
            continue
        words = one_line(_inline(item, size, without=_LISTS))
        mark = f"{number}. " if element.tag == "ol" else "" if item.tag == "dt" else "- "
        if words:
            number += 1
            yield "  " * min(depth, _DEEPEST_INDENT) + mark + words
        for inner in _nested_lists(item):
            yield from _list_lines(inner, size, depth + 1)


def _nested_lists(element: HtmlElement) -> Iterator[HtmlElement]:
    """The outermost lists inside an item."""
    for child in element:
        if child.tag in _LISTS:
            yield child
        else:
            yield from _nested_lists(child)


def _is_layout(table: HtmlElement) -> bool:
    """A table that places things: says so, holds tables or headings, or has no row of two cells."""
    if table.get("role") in ("presentation", "none"):
        return True
    if any(True for _ in table.iterdescendants("table", "h1", "h2", "h3")):
        return True
    return not any(sum(c.tag in ("td", "th") for c in row) > 1 for row in table.iter("tr"))


def _rows(table: HtmlElement, size: int | None) -> list[list[str]]:
    """Cells row by row; a cell that spans several columns or rows is repeated in the first of them only."""
    rows: list[list[str]] = []
    below: dict[tuple[int, int], str] = {}
    for y, row in enumerate(table.iter("tr")):
        cells: list[str] = []
        for cell in row.iterchildren("td", "th"):
            while (y, len(cells)) in below:
                cells.append(below[y, len(cells)])
            words = squeezed(_tidy(_inline(cell, size)).replace("\n", " "))
            wide, high = _span(cell, "colspan"), _span(cell, "rowspan")
            for down in range(1, high):
                below.update({(y + down, len(cells) + x): words if x == 0 else "" for x in range(wide)})
            cells += [words, *[""] * (wide - 1)]
        rows.append(cells)
    return rows


def _span(cell: HtmlElement, name: str) -> int:
    value = cell.get(name) or ""
    return max(1, min(int(value), 100)) if value.isdigit() else 1
