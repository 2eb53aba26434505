"""Text -> the terms that BM25 counts: stems of words, and names such as `RK-110`, `camelCase`, `snake_case` in parts.

Invariant: a query and a passage go through the same function, so whatever spelling of a code a person types
(`RK-110`, `rk110`, `RK 110`) meets the passage that holds it. Stems are Snowball's, English.
Limits: Chinese, Japanese and Thai, written without spaces, are cut into pairs of characters.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

import Stemmer

_NUMBER = r"\d+(?:[.,]\d+)*"
_PIECE = r"(?:[^\W\d]++|\d++(?:[.,]\d++)*+)++"
_WORD = re.compile(rf"{_PIECE}(?:[-.'’]{_PIECE})*+")
"""Letters and numbers joined by signs. Nothing must follow, so nothing is given back (`++`): half the time."""
_RUN = re.compile(rf"{_NUMBER}|[^\W\d_]+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_POSSESSIVE = re.compile(r"['’]s\b")
_STOP_WORDS = """
a about am an and any are as at be been being but by can could did do does doing dont for from had has have having he
her here him his how i if im in into is it its me my no not of on or our she should so such than that the their them
then there these they this those to was we were what when where which who whom whose why will with would you your
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""Words of grammar and of asking: they say nothing about what is asked."""


LAYOUT = 2
"""Raise it when equal texts give other terms: indexes made before are built anew."""
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
_stem = Stemmer.Stemmer("english", 0).stemWord


def terms(text: str) -> list[str]:
    """Stemmed lower-case terms in the order of the text.

    A joined name gives itself without its separators, and each of its parts: `RK-110` gives `rk110 rk 110`.
    """
    return [term for word in _WORD.findall(_POSSESSIVE.sub("", text)) for term in _of_word(word)]


def search_text(title: str, heading_path: Sequence[str], text: str) -> str:
    """What is embedded and matched of a chunk: title, headings, text."""
    return "\n".join([*([title] if title else []), *(part for part in heading_path if part != title), text])


@lru_cache(maxsize=1 << 17)
def _of_word(word: str) -> tuple[str, ...]:
    return tuple(_terms_of_word(word))


def _terms_of_word(word: str) -> Iterator[str]:
    if word.isalpha() and (word.islower() or word.istitle()):
        lower = word.lower()
        if lower not in STOP_WORDS:
            yield _stem(lower)
        return
    if _UNSPACED.search(word):
        yield from _pairs(word)
        return
    parts = [part.lower() for run in _RUN.findall(word) for part in _HUMP.split(run.replace(",", ""))]
    whole = "".join(parts)
    if whole and (len(parts) > 1 or whole not in STOP_WORDS):
        yield _stem(whole)
    if len(parts) > 1:
        yield from (_stem(part) for part in parts if part not in STOP_WORDS)


def _pairs(word: str) -> Iterator[str]:
    """Neighbouring characters of a run without spaces: what stands in for words there."""
    for run in _UNSPACED.findall(word):
        yield from (run[i : i + 2] for i in range(max(1, len(run) - 1)))
    yield from (_stem(part.lower()) for part in _UNSPACED.sub(" ", word).split())
