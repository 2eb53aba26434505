"""The words of a short answer as two answers are compared, and how many they share.

Exact match and F1 follow SQuAD (Rajpurkar et al. 2016); its normalisation deletes all punctuation, which makes "1.5"
equal "15", so here a decimal point stays and other punctuation parts words; a number in words ("two hours") equals the
figure.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from pipelines.guardrails.grounding import NUMBERS

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")
_POINT = re.compile(r"(?<=\d)\.(?=\d)")
_APOSTROPHE = re.compile("['\u2019]")


def normalised(text: str) -> list[str]:
    """Words of an answer: lower case, no punctuation, no articles, numbers in figures."""
    lower = _THOUSANDS.sub("", unicodedata.normalize("NFKC", text).casefold())
    parted = _POINT.sub("\0", _APOSTROPHE.sub("", lower))
    bare = "".join(" " if c == "`" or unicodedata.category(c).startswith("P") else c for c in parted).replace("\0", ".")
    return [NUMBERS.get(word, word) for word in _ARTICLES.sub(" ", bare).split()]


def words_f1(said: Sequence[str], wanted: Sequence[str]) -> float:
    """F1 of shared words, each counted as often as both have it; of two without words 1."""
    if not said or not wanted:
        return float(said == wanted)
    shared = sum((Counter(said) & Counter(wanted)).values())
    return 2 * shared / (len(said) + len(wanted))
