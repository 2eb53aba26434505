"""What a whole document says about its lines: which are running headers, which are headings and of what level.

The size of most characters is the body's. Headings are set larger, bold, in italics or in capitals; where the
file has bookmarks, lines that repeat one are headings of its level. Limits: a document without any of these
has no headings.
"""

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipelines.documents.parsers.draft import one_line
from pipelines.documents.parsers.layout import Line
from pipelines.documents.parsers.pages import ASIDE, Page

HEADING_CHARACTERS = 120
_HEADING_RATIO = 1.12
_SHORT = 80
_FULL_PAGE = 400
"""Characters from which a page says what its usual type is: one with less may be a title page."""
_MAX_BOLD = 0.3
_MAX_OTHER = 0.06
"""Bold lines, and those in italics or capitals, that make up more of a text than this are no headings."""
_COMMON = 0.15
_NEAR_PAGES = 2
_MIN_REPEATS = 3
_SAME_HEIGHT = 4.0
_PAGE_NUMBER = re.compile(
    r"^[\s\-–—|·]*(?:(?:page|seite|página|pagina|p\.|pg\.)\s*)?(?:\d{1,4}|[ivxlc]{1,6}|[A-Z]?\d{0,2}-\d{1,3})"
    r"(?:\s*(?:of|/|de|von|di)\s*\d{1,4})?[\s\-–—|·]*$",
    re.I,
)
CAPTION = re.compile(r"^(?:figure|fig\.|table|tab\.|abbildung|tabelle|listing|scheme|exhibit)\s*[A-Z]?\d", re.I)
_NUMBERED = re.compile(r"^(\d{1,2}(?:\.\d{1,2}){0,4})\.?\s+\S")

Style = tuple[float, bool, bool, bool]
"""Size of type, bold, italic, in capitals."""


@dataclass(frozen=True)
class Typography:
    """How a document is set."""

    body: float
    levels: dict[Style, int]
    depths: dict[Style, int]
    """Least depth of the numbers (1: `2`, 2: `2.1`) that a style's headings begin with."""
    top: int
    """Levels above that of headings numbered 1, 2, 3."""
    bookmarks: dict[tuple[str, int | None], int]
    """(title without spaces and signs, page) -> level."""
    leading: dict[float, float]
    """Size of type -> usual distance of its baselines, in sizes."""
    words: Counter[str]
    """Words inside lines: they tell whether a hyphen at a line's end belongs to its word."""
    mono_is_prose: bool
    """Whether the document is set in a typewriter's font, which then says nothing about code."""

    def level(self, lines: Sequence[Line], *, page: int, usual: float, alone: bool) -> int | None:
        """Level of the heading that lines make up, None when they are none.

        `usual`: the size of their page's type where it has one of its own; `alone`: they stand by themselves.
        """
        text = " ".join(line.text for line in lines)
        if len(text) > HEADING_CHARACTERS or not all(map(may_be_heading, lines)) or CAPTION.match(text):
            return None
        known = self.bookmarks.get((_plain(text), page)) or self.bookmarks.get((_plain(text), None))
        if known is not None:
            return known
        first = lines[0]
        style = style_of(first)
        body = max(self.body, usual)
        if (text[0].islower() and first.size < 1.3 * body) or (first.face.mono and not self.mono_is_prose):
            return None
        depth = _depth(text)
        small = first.size < _HEADING_RATIO * body
        if style not in self.levels or (small and not any(style[1:])) or (small and not style[1] and not alone):
            plain = alone and len(lines) == 1 and len(text) <= _SHORT and first.size >= 0.95 * self.body
            return min(self.top + depth, 6) if plain and depth > 1 else None
        return min(self.levels[style] + max(depth - self.depths.get(style, 9), 0), 6)


def style_of(line: Line) -> Style:
    """What a line looks like, as far as headings go."""
    capitals = line.text.isupper() and sum(c.isalpha() for c in line.text) >= 4
    return line.size, line.face.bold, line.face.italic, capitals and not line.face.bold


def typography_of(pages: Sequence[Page], bookmarks: Iterable[tuple[int, str, int | None]]) -> Typography:
    """What the lines of all pages say together."""
    lines = [line for page in pages for line in page.lines if line.column != ASIDE]
    body = body_size(lines)
    marks = {(_plain(title), page): min(level, 6) for level, title, page in bookmarks if len(_plain(title)) >= 3}
    letters = sum(len(line.text) for line in lines) or 1
    mono = sum(len(line.text) for line in lines if line.face.mono)
    levels, depths = _levels(lines, body, marks)
    return Typography(
        body,
        levels,
        depths,
        min((levels[style] - depth for style, depth in depths.items() if levels[style] >= depth), default=0),
        marks,
        _leading(lines),
        Counter(word.lower() for line in lines for word in re.findall(r"\w+(?:-\w+)*", line.text)),
        mono_is_prose=mono > 0.5 * letters,
    )


def usual_size(page: Page) -> float:
    """The size that most of a full page is set in, 0 where there is none."""
    sizes: Counter[float] = Counter()
    for line in page.lines:
        sizes[line.size] += len(line.text)
    if sizes.total() < _FULL_PAGE:
        return 0.0
    size, letters = sizes.most_common(1)[0]
    return size if 2 * letters >= sizes.total() else 0.0


def body_size(lines: Iterable[Line]) -> float:
    """The size that most characters are set in."""
    sizes: Counter[float] = Counter()
    for line in lines:
        sizes[line.size] += len(line.text)
    return sizes.most_common(1)[0][0] if sizes else 10.0


def may_be_heading(line: Line) -> bool:
    """Whether a line could be part of a heading, by its words alone."""
    if len(line.text) > HEADING_CHARACTERS or line.text.endswith((".", ",", ";")) or line.column == ASIDE:
        return False
    letters = sum(map(str.isalpha, line.text))
    return letters >= 3 and 2 * letters >= len(line.text.replace(" ", ""))


# --- running headers and footers ---------------------------------------------------------------


def drop_margins(pages: Sequence[Page], body: float) -> list[str]:
    """Take away running headers and footers and page numbers; the texts of the former, each once.

    What repeats near the top or bottom edge of most pages, or at one height of several pages that follow each
    other, is running. A line that is set larger than the body is a title, which stays where it stands first.
    """
    places: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    for page in pages:
        for line in page.lines:
            if page.at_edge(line):
                places[_key(line)].append((page.number, line.top if line.column != ASIDE else 0.0))
    often = max(2, int(0.5 * len(pages)) + 1)
    running = {key for key, found in places.items() if len({n for n, _ in found}) >= often or _in_a_row(found)}
    dropped: dict[str, str] = {}
    kept_titles: set[str] = set()
    for page in pages:
        for line in page.lines:
            if not page.at_edge(line):
                continue
            key = _key(line)
            if key in running:
                if line.size >= _HEADING_RATIO * body and line.column != ASIDE and key not in kept_titles:
                    kept_titles.add(key)
                    continue
                dropped.setdefault(key, line.text)
            elif not _PAGE_NUMBER.match(line.text) or line.size >= 2 * body:
                continue
            page.parts.remove(line)
    return [text for key, text in dropped.items() if not _PAGE_NUMBER.match(text) and key not in kept_titles]


def _in_a_row(found: Sequence[tuple[int, float]]) -> bool:
    """Whether a line comes at one height on several pages that are near each other."""
    run = 1
    for (page, top), (after, lower) in itertools.pairwise(found):
        near = 0 < after - page <= _NEAR_PAGES and abs(lower - top) <= _SAME_HEIGHT
        run = run + 1 if near else 1
        if run >= _MIN_REPEATS:
            return True
    return False


def _key(line: Line) -> str:
    return re.sub(r"\d+|\b[ivxl]+$", "#", one_line(line.text.lower()))


# --- headings ----------------------------------------------------------------------------------


def _levels(
    lines: Sequence[Line], body: float, marks: Mapping[tuple[str, int | None], int]
) -> tuple[dict[Style, int], dict[Style, int]]:
    """(style -> level, style -> least depth of its numbers): larger is higher; of one size, bold comes first."""
    letters: Counter[Style] = Counter()
    for line in lines:
        letters[style_of(line)] += len(line.text)
    whole = sum(letters.values()) or 1
    frequent = [
        sum(n for style, n in letters.items() if style[mark] and style[0] < _HEADING_RATIO * body) > share * whole
        for mark, share in ((1, _MAX_BOLD), (2, _MAX_OTHER), (3, _MAX_OTHER))
    ]
    titles = {title: level for (title, _), level in marks.items()}
    styles: set[Style] = set()
    known: defaultdict[Style, Counter[int]] = defaultdict(Counter)
    numbers: defaultdict[Style, list[int]] = defaultdict(list)
    for line in lines:
        style = style_of(line)
        marked = any(style[mark] and not frequent[mark - 1] for mark in (1, 2, 3))
        set_apart = line.size >= _HEADING_RATIO * body or (line.size >= body and marked)
        if not set_apart or not may_be_heading(line) or CAPTION.match(line.text):
            continue
        styles.add(style)
        if (level := titles.get(_plain(line.text))) is not None:
            known[style][level] += 1
        if depth := _depth(line.text):
            numbers[style].append(depth)
    levels: dict[Style, int] = {}
    level = 0
    for style in sorted(styles, key=lambda s: (-s[0], not s[1], not s[3])):
        level = max(level, known[style].most_common(1)[0][0]) if known[style] else level + 1
        levels[style] = level = min(level, 6)
    return levels, {style: min(found) for style, found in numbers.items()}


def _depth(text: str) -> int:
    """How many numbers a heading begins with: 2 for `3.1 Terms`, 0 for none."""
    number = _NUMBERED.match(text)
    return number.group(1).count(".") + 1 if number else 0


def _plain(text: str) -> str:
    """A heading as bookmarks are compared: letters and digits alone."""
    return re.sub(r"[\W_]+", "", text.casefold())


def _leading(lines: Sequence[Line]) -> dict[float, float]:
    """Size of type -> the least distance of baselines, in sizes, that is common among lines of that size."""
    steps: defaultdict[float, Counter[float]] = defaultdict(Counter)
    for last, line in itertools.pairwise(lines):
        step = (line.top - last.top) / line.size
        if line.column == last.column and line.size == last.size and 0.85 < step < 3.5:
            steps[line.size][round(step, 1)] += 1
    return {
        size: min(step for step, times in found.items() if times >= _COMMON * found.total())
        for size, found in steps.items()
        if found.most_common(1)[0][1] >= _COMMON * found.total()
    }
