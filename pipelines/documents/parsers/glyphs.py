"""What a PDF's fonts call their glyphs -> the characters that a reader sees.

Fonts of symbols, ligatures, accents that are set apart from their letters (TeX), private codes of older
layout programs. Invariant: plain ASCII words come back as they are, but for the grave accent of TeX.
"""

import re
import unicodedata

_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\ufffd-\uffff]"
)
_HALVES = re.compile("[\ud800-\udfff]")
_PRIVATE = re.compile("[\ue000-\uf8ff]")
_COMPATIBLE = re.compile("[\ufb00-\ufb4f\ufb50-\ufdff\ufe70-\ufeff\u0132\u0133\u01c4-\u01cc\U0001d400-\U0001d7ff]+")
"""Ligatures, the shapes that Arabic letters take in a word, the alphabets of formulas."""
_ACCENTS = {
    "\u00a8": "\u0308",
    "\u00b4": "\u0301",
    "\u02c6": "\u0302",
    "\u02dc": "\u0303",
    "\u02d8": "\u0306",
    "\u02c7": "\u030c",
    "\u02da": "\u030a",
    "\u02d9": "\u0307",
    "\u02dd": "\u030b",
    "\u00b8": "\u0327",
    "\u02db": "\u0328",
    "\u02cb": "\u0300",
    "\u02ca": "\u0301",
    "\u00af": "\u0304",
}
_ACCENTED = re.compile(f"([{''.join(_ACCENTS)}])([A-Za-z\u0131\u0237])")
_GRAVE = re.compile(r"(?<=\w)`([aeiouAEIOU])")
_DOTLESS = {"\u0131": "i", "\u0237": "j"}
_WINGDINGS = {
    "\x6c": "●", "\x6e": "■", "\x6f": "☐", "\x71": "☐", "\x72": "☐", "\x75": "◆", "\x76": "❖", "\x9f": "•",
    "\xa7": "▪", "\xa8": "☐", "\xd8": "➢", "\xe0": "→", "\xe8": "➔", "\xf0": "⇨", "\xfb": "☒", "\xfc": "✓",
    "\xfd": "☒", "\xfe": "☑",
}  # fmt: skip


def cleaned(word: str) -> str:
    """A word without what cannot be seen; "" when nothing is left of it."""
    if word.isascii() and word.isprintable() and "`" not in word:
        return word
    if word.endswith("\ufffe"):  # how pdfium writes a hyphen at the end of a line
        return cleaned(word[:-1]) + "-"
    if word.endswith("\u00ad"):
        return cleaned(word[:-1]) + "\u00ad"  # shown, for it stands where the word is divided
    if _HALVES.search(word):
        word = word.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    word = _INVISIBLE.sub("", word)
    word = _PRIVATE.sub(lambda found: _private(found.group()), word)
    word = _COMPATIBLE.sub(lambda found: unicodedata.normalize("NFKC", found.group()), word)
    word = _ACCENTED.sub(_composed, word)
    word = _GRAVE.sub(lambda found: unicodedata.normalize("NFC", found.group(1) + "\u0300"), word)
    return "" if word in _ACCENTS else unicodedata.normalize("NFC", word)


def symbol(word: str) -> str:
    """A word in a font of symbols: those that are known, a bullet for any other."""
    shown = []
    for glyph in word.replace("\ufffe", ""):
        code = ord(glyph)
        if 0x2010 <= code < 0xE000:
            shown.append(glyph)
        else:
            shown.append(_WINGDINGS.get(chr(code - 0xF000) if 0xF000 <= code < 0xF100 else glyph, "•"))
    return "".join(shown)


def _composed(found: re.Match[str]) -> str:
    letter = _DOTLESS.get(found.group(2), found.group(2))
    whole = unicodedata.normalize("NFC", letter + _ACCENTS[found.group(1)])
    return whole if len(whole) == 1 else found.group()


def _private(glyph: str) -> str:
    """A character of the private use area: fonts of symbols count from U+F000, small capitals from U+F700."""
    code = ord(glyph)
    if 0xF730 <= code <= 0xF739 or 0xF761 <= code <= 0xF77A:
        return chr(code - 0xF700)
    if 0xF020 <= code < 0xF100:
        return _WINGDINGS.get(chr(code - 0xF000), "•" if code == 0xF0B7 else "")
    return ""
