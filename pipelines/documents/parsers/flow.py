"""Lines and tables of a document's pages -> headings, paragraphs, lists, code and tables in its draft.

A paragraph that breaks off at the end of a column or page goes on after what stands between: footnotes,
captions and tables wait until it has ended.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from pipelines.documents.parsers.aligned import is_value
from pipelines.documents.parsers.draft import Draft, Kind, markdown_table
from pipelines.documents.parsers.layout import Line, Table
from pipelines.documents.parsers.pages import ASIDE, Page
from pipelines.documents.parsers.typography import CAPTION, Typography, style_of, usual_size

_BULLETS = "•▪◦●■☐☑☒❖➢➔✓◆·–—"
_BULLET = re.compile(rf"^(?:[{_BULLETS}*\-]\s*(?=\S)(?<!-)|[\-*]\s+|\(?\d{{1,2}}[.)]\s+|\(?[a-z][.)]\s+|\([ivx]+\)\s+)")
_SIGN = re.compile("^[•▪◦●■❖➢➔◆·]\\s*")
_CJK = re.compile("[\u3000-\u9fff\uac00-\ud7af\uff00-\uffef]")
_SMALL = 0.93
"""Type below this share of the body's is that of notes and captions."""
_INDENT = (0.7, 5.0)
"""A line that begins so much further right, in sizes of its type, begins a paragraph."""
_SAME_PLACE = 8.0


class _Waiting(NamedTuple):
    kind: Kind
    text: str
    page: int


class Writer:
    """Writes pages into a draft, one after the other; `close` at the end."""

    def __init__(self, draft: Draft, typography: Typography) -> None:
        self._draft = draft
        self._typography = typography
        self._open: _Waiting | None = None
        self._held: list[_Waiting] = []
        self._last: Line | Table | None = None

    def page(self, page: Page) -> None:
        """Write a page's parts in order."""
        run: list[Line] = []
        for at, part in enumerate(page.parts):
            if isinstance(part, Table):
                self._lines(run, page)
                run = []
                if at == 0 and isinstance(self._last, Table) and _continues_table(self._last, part):
                    part = replace(part, rows=[self._last.rows[0], *part.rows])
                self._add("table", markdown_table(part.rows), page.number)
            else:
                run.append(part)
            self._last = part
        self._lines(run, page)

    def note(self, text: str, page: int | None = None) -> None:
        """Write a note about the document."""
        self.close()
        self._draft.add("note", text, page)

    def close(self) -> None:
        """Write what is still open."""
        if self._open is not None:
            self._draft.add(*self._open)
        for held in self._held:
            self._draft.add(*held)
        self._open, self._held = None, []

    def _add(self, kind: Kind, text: str, page: int) -> None:
        if self._open is not None and _is_unfinished(self._open.text):
            self._held.append(_Waiting(kind, text, page))
            return
        self.close()
        self._draft.add(kind, text, page)

    def _lines(self, lines: Sequence[Line], page: Page) -> None:
        groups = self._groups(lines)
        usual = usual_size(page)
        for at, group in enumerate(groups):
            words = self._typography.words
            alone = not _touches(groups[at - 1][-1], group[0]) if at else True
            level = self._typography.level(group, page=page.number, usual=usual, alone=alone)
            if level is not None and not group[0].text.startswith(tuple(_BULLETS)):
                self.close()
                self._draft.heading(level, joined([line.text for line in group], words), page.number)
            elif self._is_code(group):
                self._add("code", _code(group), page.number)
            elif _BULLET.match(group[0].text):
                self._add("list", "\n".join(_items(group, words)), page.number)
            else:
                self._paragraph(group, page)

    def _paragraph(self, group: Sequence[Line], page: Page) -> None:
        text = joined([line.text for line in group], self._typography.words)
        apart = group[0].column == ASIDE or all(map(page.at_edge, group))
        small = apart or group[0].size < _SMALL * self._typography.body or bool(CAPTION.match(text))
        if self._open is not None and _is_unfinished(self._open.text):
            if small:
                self._held.append(_Waiting("paragraph", text, page.number))
                return
            if text[0].islower() or _CJK.match(text[0]):
                whole = joined([self._open.text, text], self._typography.words)
                self._open = self._open._replace(text=whole)
                return
        self.close()
        self._open = _Waiting("paragraph", text, page.number)
        if small:
            self.close()

    def _is_code(self, group: Sequence[Line]) -> bool:
        return not self._typography.mono_is_prose and all(line.face.mono for line in group)

    def _groups(self, lines: Sequence[Line]) -> list[list[Line]]:
        """Runs of lines of one column and style that stand as close as lines do; lists stay together."""
        groups: list[list[Line]] = []
        for line in lines:
            if groups and self._continues(groups[-1], line):
                groups[-1].append(line)
            else:
                groups.append([line])
        return groups

    def _continues(self, group: Sequence[Line], line: Line) -> bool:
        last = group[-1]
        if line.column != last.column or abs(line.size - last.size) > 0.75 or line.face.mono != last.face.mono:
            return False
        if line.x0 > max(other.x1 for other in group[-3:]) or line.x1 < min(other.x0 for other in group[-3:]):
            return False
        levels = self._typography.levels
        starts_item = bool(_BULLET.match(line.text))
        in_list = bool(_BULLET.match(group[0].text))
        hangs = in_list and not starts_item and line.x0 > group[0].x0 + 0.5 * line.size
        within = hangs or (_is_unfinished(last.text) and line.text[0].islower())
        if line.face != last.face and not within and (style_of(line) in levels or style_of(last) in levels):
            return False
        gap = line.top - last.bottom
        usual = self._typography.leading.get(line.size, 1.2) - 1
        if gap < -0.9 * line.size:
            return False
        if in_list:
            return gap < max(0.9, usual + 0.3) * line.size and (starts_item or line.x0 >= last.x0 - 1)
        if starts_item or gap >= max(0.45, usual + 0.25) * line.size:
            return False
        return line.face.mono or not self._is_indented(group, line)

    def _is_indented(self, group: Sequence[Line], line: Line) -> bool:
        """Whether a line begins a paragraph by its indent: the one before ends a sentence, and began further left."""
        shift = (line.x0 - min(other.x0 for other in group[-3:])) / line.size
        return _INDENT[0] <= shift <= _INDENT[1] and not _is_unfinished(group[-1].text)


def _continues_table(last: Table, table: Table) -> bool:
    """Whether a table at the top of a page goes on with the one that ends the page before, without its header."""
    if len(last.rows[0]) != len(table.rows[0]):
        return False
    if abs(last.x0 - table.x0) > _SAME_PLACE or abs(last.x1 - table.x1) > _SAME_PLACE:
        return False
    return any(map(is_value, table.rows[0][1:])) and not any(map(is_value, last.rows[0][1:]))


def _touches(last: Line, line: Line) -> bool:
    return line.column == last.column and line.top - last.bottom < 0.35 * line.size


def _is_unfinished(text: str) -> bool:
    """Whether a text stops in the middle of a sentence."""
    return text.rstrip("\"'”’»)]")[-1:] not in tuple(".!?:;。！？؟")


def _items(group: Sequence[Line], words: Counter[str]) -> list[str]:
    items: list[list[str]] = []
    for line in group:
        if _BULLET.match(line.text) or not items:
            items.append([line.text])
        else:
            items[-1].append(line.text)
    return [_SIGN.sub("- ", joined(item, words)) for item in items]


def _code(group: Sequence[Line]) -> str:
    """Lines of code with their indents."""
    left = min(line.x0 for line in group)
    width = max(0.1, min((line.x1 - line.x0) / max(len(line.text), 1) for line in group))
    return "\n".join(" " * min(80, round((line.x0 - left) / width)) + line.text for line in group)


def joined(texts: Sequence[str], words: Counter[str]) -> str:
    """Lines as running text; a word that was divided at a line's end is made whole."""
    whole = texts[0]
    for text in texts[1:]:
        before = re.search(r"(\w+)[-\u00ad\u2010]$", whole)
        after = re.match(r"[^\W\d_]\w*", text)
        if before and after and after.group()[0].islower():
            whole = (whole if _keeps_hyphen(before.group(1).lower(), after.group(), words) else whole[:-1]) + text
        elif before or (whole and text and _CJK.match(whole[-1]) and _CJK.match(text[0])):
            whole += text
        else:
            whole += f" {text}"
    return whole


def _keeps_hyphen(before: str, after: str, words: Counter[str]) -> bool:
    """Whether the hyphen between two parts of a word is its own: the document's other words tell."""
    plain, hyphened = words[before + after], words[f"{before}-{after}"]
    if plain or hyphened:
        return hyphened > plain
    return len(before) == 1 or (words[before] > 0 and words[after] > 1 and min(len(before), len(after)) > 2)
