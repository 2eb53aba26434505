"""Text -> the terms that BM25 counts: words, and names such as `RK-110`, `camelCase` and `snake_case` with their parts.

Invariant: a query and a passage go through the same function, so whatever spelling of a code a person types
(`RK-110`, `rk110`, `RK 110`) meets the passage that holds it. Stemming is the index's own (Snowball, English).
Limits: a run of word characters is a word; languages written without spaces are not cut up.
"""

import re
from collections.abc import Iterator

_NUMBER = r"\d+(?:[.,]\d+)*"
_WORD = re.compile(rf"(?:{_NUMBER}|\w)+(?:[-.'’](?:{_NUMBER}|\w)+)*")
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


def terms(text: str) -> str:
    """Lower-case terms joined by spaces, in the order of the text; empty when it holds none.

    A joined name gives itself without its separators, and each of its parts: `RK-110` gives `rk110 rk 110`.
    """
    return " ".join(term for word in _WORD.findall(_POSSESSIVE.sub("", text)) for term in _of_word(word))


def _of_word(word: str) -> Iterator[str]:
    if word.isalpha() and (word.islower() or word.istitle()):
        lower = word.lower()
        if lower not in STOP_WORDS:
            yield lower
        return
    parts = [part.lower() for run in _RUN.findall(word) for part in _HUMP.split(run.replace(",", ""))]
    whole = "".join(parts)
    if whole and (len(parts) > 1 or whole not in STOP_WORDS):
        yield whole
    if len(parts) > 1:
        yield from (part for part in parts if part not in STOP_WORDS)
