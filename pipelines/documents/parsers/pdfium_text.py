"""The words of a page that pdfium has loaded.

Text comes in one call a page; a word then costs four (the boxes of its first and last character, and their
text objects), a text object some more for its size and font: 2 ms for a dense page.
"""

import ctypes
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pipelines.documents.parsers.glyphs import cleaned, symbol
from pipelines.documents.parsers.sheets import Box, Face, Frame, Word

ASLANT = -1
"""The direction of text that runs at an angle."""
_TOKEN = re.compile("[^\\s\ufffe]+\ufffe?")
"""A word in pdfium's text; U+FFFE stands for a hyphen at the end of a line."""
_LEADERS = re.compile(r"(?:\.[ \u00a0]?){4,}")
"""Dots that lead from an entry of a table of contents to its page."""
_MARK = re.compile(r"[\d,]{1,5}|[a-z∗*†‡§¶#]{1,2}")
_MARKED = re.compile(r"[A-Za-zÀ-ÿ]{3}[.,;:!?)\]”’\"]*$|[.,;:!?)\]”’\"]$")
"""What the mark of a footnote may follow: not `m` or `10`, whose raised figures are exponents."""
_RAISED = 0.15
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_LAM, _ALEFS = "\u0644", "\u0622\u0623\u0625\u0627"
_BOLD = re.compile(r"bold|black|heavy|demi|-medi\b|bd\b|cmb|bx\d", re.I)
_ITALIC = re.compile(r"ital|obliq|-it\b|cmti|cmsl|slanted", re.I)
_MONO = re.compile(r"courier|mono|consol|typewriter|cmtt|sftt|menlo|lettergothic|fixed", re.I)
_DINGBATS = re.compile(r"dingbat|wingding|webding", re.I)
_FIXED_PITCH, _IS_ITALIC, _FORCE_BOLD = 1, 1 << 6, 1 << 18
"""Flags of a font's descriptor (ISO 32000-1, table 123)."""
_BOLD_WEIGHT = 600


class Style(NamedTuple):
    """What a text object says about its characters."""

    size: float
    face: Face
    dingbats: bool
    x: float
    y: float
    """Where its baseline begins."""
    quarter: int
    """Where its text runs: 0 to the right, 1 up, 2 to the left, 3 down, or ASLANT."""


Found = tuple[str, Box, Style, bool]
"""A word, its box on the page, its style, and whether a space stands before it."""


@dataclass(frozen=True)
class Words:
    """A page's words in the file's order, by the direction they run in."""

    by_quarter: dict[int, list[Found]]
    unreadable: float
    """Share of characters that their font maps to nothing."""


class Calls:
    """pdfium's functions; those two that every word needs without the checks of their arguments, twice as fast."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self.text_object = _unchecked(raw.FPDFText_GetTextObject, ctypes.c_void_p, ctypes.c_int)
        self.loose_box = _unchecked(raw.FPDFText_GetLooseCharBox, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


def _unchecked(function: Any, *arguments: Any) -> Any:
    return ctypes.CFUNCTYPE(ctypes.c_void_p, *arguments)(_address(function))


def _address(pointer: Any) -> int:
    return ctypes.cast(pointer, ctypes.c_void_p).value or 0


def words_of(page: Any, shown: Box, calls: Calls) -> Words:
    """Words of a text page inside the box that the page shows."""
    return _Reader(page, shown, calls).words()


def placed(words: Sequence[Found], frame: Frame) -> list[Word]:
    """Words in a frame; of a text object that moves within itself, the box tells the baseline."""
    found = []
    for word, box, style, spaced in words:
        x0, y0, x1, y1 = frame.box(*box)
        base = frame.d * style.x + frame.e * style.y + frame.f
        if not y0 - 1 <= base <= y1 + 1:
            base = y1 - 0.2 * (y1 - y0)
        found.append(Word(word, x0, x1, base, style.size, style.face, spaced))
    return found


class _Reader:
    """Reads one text page."""

    def __init__(self, page: Any, shown: Box, calls: Calls) -> None:
        self._page = page
        self._address = _address(page)
        self._shown = shown
        self._calls = calls
        self._raw = calls.raw
        self._styles: dict[int | None, Style] = {}
        self._fonts: dict[int, tuple[Face, bool]] = {}

    def words(self) -> Words:
        text = _LEADERS.sub(lambda dots: " " * len(dots.group()), self._text())
        mirrored = bool(_RIGHT_TO_LEFT.search(text))
        by_quarter: dict[int, list[Found]] = {}
        unreadable = letters = 0
        box_of = self._boxes()
        least_x, least_y, most_x, most_y = self._shown
        for start, end, spaced, style in self._tokens(text):
            drawn = text[start:end]
            word = symbol(drawn) if style.dingbats else cleaned(drawn)
            letters += end - start
            if len(word) < end - start and not style.dingbats:
                unreadable += end - start - len(word)
            if not word:
                continue
            left, bottom, right, top = box = box_of(start, end)
            if left > most_x or right < least_x or bottom > most_y or top < least_y:
                continue
            if mirrored and end - start > 1:
                word = self._logical(start, end, word)
            by_quarter.setdefault(style.quarter, []).append((word, box, style, spaced))
        return Words(by_quarter, unreadable / letters if letters else 0.0)

    def _text(self) -> str:
        """The page's text, one character for each of pdfium's: UTF-16, so that some are halves of one."""
        count = self._raw.FPDFText_CountChars(self._page)
        if count <= 0:
            return ""
        buffer = (ctypes.c_ushort * (count + 1))()
        written = self._raw.FPDFText_GetText(self._page, 0, count, buffer)
        text = "".join(map(chr, buffer[: max(written - 1, 0)]))
        if len(text) == count:
            return text
        codes = (self._raw.FPDFText_GetUnicode(self._page, at) for at in range(count))
        return "".join(chr(code) if code < 0x110000 else " " for code in codes)  # some are left out of the text

    def _tokens(self, text: str) -> Iterator[tuple[int, int, bool, Style]]:
        """Words as (start, end, whether a space stands before, style); marks at a word are words of their own."""
        style_at = self._style_at
        done = 0
        for match in _TOKEN.finditer(text):
            start, end = match.span()
            spaced = " " in text[done:start]
            done = end
            style = style_at(start)
            last = style_at(end - 1) if end - start > 1 else style
            if (last.size == style.size and last.dingbats == style.dingbats) or style.quarter:
                yield start, end, spaced, style
                continue
            cut = start + 1
            while cut < end - 1 and (at := style_at(cut)).size == style.size and at.dingbats == style.dingbats:
                cut += 1
            yield start, cut, spaced, style
            yield cut, end, _is_mark(text[start:cut], text[cut:end], style, last), last

    def _boxes(self) -> Callable[[int, int], Box]:
        """The box of a word by the places of its first character and of the one after its last."""
        both = (ctypes.c_float * 8)()
        first, last = ctypes.addressof(both), ctypes.addressof(both) + 16
        loose_box, page = self._calls.loose_box, self._address

        def box(start: int, end: int) -> Box:
            loose_box(page, start, first)
            loose_box(page, end - 1, last)
            left, top, right, bottom, left2, top2, right2, bottom2 = both[:]
            return (
                left if left < left2 else left2,
                bottom if bottom < bottom2 else bottom2,
                right if right > right2 else right2,
                top if top > top2 else top2,
            )

        return box

    def _style_at(self, index: int) -> Style:
        owner = self._calls.text_object(self._address, index)
        style = self._styles.get(owner)
        if style is None:
            style = self._styles[owner] = self._style(index)
        return style

    def _style(self, index: int) -> Style:
        matrix, rect = self._raw.FS_MATRIX(), self._raw.FS_RECTF()
        self._raw.FPDFText_GetMatrix(self._page, index, matrix)
        self._raw.FPDFText_GetLooseCharBox(self._page, index, rect)
        quarter = _quarter(matrix.a, matrix.b)
        size = self._raw.FPDFText_GetFontSize(self._page, index) * (math.hypot(matrix.c, matrix.d) or 1.0)
        tall = rect.top - rect.bottom if quarter % 2 == 0 else rect.right - rect.left
        if quarter != ASLANT and tall > 0 and not 0.4 * tall < size < 2.5 * tall:
            size = tall / 1.15  # fonts drawn by programs of their own have units of their own
        face, dingbats = self._font(self._raw.FPDFText_GetTextObject(self._page, index))
        return Style(max(round(2 * size) / 2, 0.5), face, dingbats, matrix.e, matrix.f, quarter)

    def _font(self, owner: Any) -> tuple[Face, bool]:
        """How a text object's font looks, and whether it is one of symbols."""
        raw = self._raw
        font = raw.FPDFTextObj_GetFont(owner) if owner else None
        if not font:
            return Face(), False
        known = self._fonts.get(_address(font))
        if known is None:
            buffer = ctypes.create_string_buffer(128)
            raw.FPDFFont_GetBaseFontName(font, buffer, 128)
            name = buffer.value.decode("utf-8", "replace")
            flags = raw.FPDFFont_GetFlags(font)
            heavy = raw.FPDFFont_GetWeight(font) >= _BOLD_WEIGHT or flags & _FORCE_BOLD
            face = Face(
                bold=bool(heavy or _BOLD.search(name)),
                italic=bool(flags & _IS_ITALIC or _ITALIC.search(name)),
                mono=bool(flags & _FIXED_PITCH or _MONO.search(name)),
            )
            known = self._fonts[_address(font)] = face, bool(_DINGBATS.search(name))
        return known

    def _logical(self, start: int, end: int, word: str) -> str:
        """A word of a page with a script that runs to the left, in the order in which it is read.

        pdfium turns some words of other scripts that stand beside it, and the ligature of lam and alef, which
        it takes apart: two characters of one box that come in the wrong order.
        """
        if len(word) != end - start:
            return word
        letters = list(word)
        rect = self._raw.FS_RECTF()
        lefts = []
        for at in range(len(letters)):
            self._raw.FPDFText_GetLooseCharBox(self._page, start + at, rect)
            lefts.append(rect.left)
        if not _RIGHT_TO_LEFT.search(word):
            return "".join(letter for _, letter in sorted(zip(lefts, letters, strict=True), key=lambda pair: pair[0]))
        for at in range(1, len(letters)):
            if letters[at] == _LAM and letters[at - 1] in _ALEFS and abs(lefts[at] - lefts[at - 1]) < 0.01:
                letters[at - 1], letters[at] = letters[at], letters[at - 1]
        return "".join(letters)


def _is_mark(first: str, second: str, before: Style, after: Style) -> bool:
    """Whether one of two parts is a mark that is no part of the word: raised, of a footnote, or of a list's item."""
    if before.dingbats or after.dingbats:
        return True
    raised = after.y - before.y
    if before.size > after.size:
        return raised > _RAISED * before.size and bool(_MARK.fullmatch(second) and _MARKED.search(first))
    return raised < -_RAISED * after.size and bool(_MARK.fullmatch(first)) and second[:1].isalpha()


def _quarter(a: float, b: float) -> int:
    """The direction in which a text's matrix makes it run."""
    if abs(b) <= 0.2 * abs(a):
        return 0 if a >= 0 else 2
    if abs(a) <= 0.2 * abs(b):
        return 1 if b > 0 else 3
    return ASLANT
