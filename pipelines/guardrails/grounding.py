"""How much of an answer its passages hold: the share of its words, numbers exact.

Measured by others on BEGIN as word overlap: AUROC .93 to .97; it cannot tell a wrong combination of
right words. A number or code that no passage holds makes the answer unsupported, whatever its words.
"""

import re
from collections.abc import Sequence

WORD = re.compile(r"[^\W_]+(?:[-./'’,:][^\W_]+)*")
STOP_WORDS = """
a an and are as at be been but by can do does for from had has have he her his how i if in is it its may must no not of
on or our she should so than that the their them then there they this to was we were what when where which who will with
would you your yes
"""
STOP = frozenset(STOP_WORDS.split())
_COUNTED = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
nineteen twenty
"""
NUMBERS = {word: str(number) for number, word in enumerate(_COUNTED.split())} | {
    word: str(10 * number) for number, word in enumerate(("thirty", "forty", "fifty", "sixty", "seventy"), 3)
}
"""Numbers in words to figures: "two hours" holds "2 hours"."""


def support(answer: str, passages: Sequence[str]) -> float:
    """Share of the answer's content words that the passages hold: 0..1.

    0 when a number or code of the answer is in no passage, and for an answer without words; 1 when every
    content word is there (an answer of stop words alone counts by its stop words).
    """
    held = words_of(passages)
    content = claimed(answer)
    if any(is_figure(word) and word not in held for word in content):
        return 0.0
    return sum(word in held for word in content) / len(content) if content else 0.0


def claimed(text: str) -> list[str]:
    """The content words of a text in its order, repeats included, as `words_of` holds them.

    A text of stop words alone claims those; one without words nothing.
    """
    words = _words(text)
    return [_folded(word) for word in [word for word in words if word.lower() not in STOP] or words]


def says_nothing(text: str) -> bool:
    """Whether a text has no content words: "Yes.", "It is." """
    return all(word.lower() in STOP for word in _words(text))


def words_of(passages: Sequence[str]) -> frozenset[str]:
    """Every word that passages hold, folded: case and endings put aside, numbers in figures."""
    return frozenset(_folded(word) for passage in passages for word in _words(passage))


def is_figure(word: str) -> bool:
    """Whether a word is a number or code, which must be held exactly."""
    return any(c.isdigit() for c in word)


def _words(text: str) -> list[str]:
    """Words, and the parts of joined ones (`LTE-M/NB-IoT` also counts as its parts)."""
    found = WORD.findall(text)
    return [part for word in found for part in {word, *re.split(r"[-/'’:]", word)} if part]


def _folded(word: str) -> str:
    """Case and a plural's or verb's ending put aside, numbers in figures."""
    lower = word.lower().replace(",", "")
    if lower in NUMBERS:
        return NUMBERS[lower]
    for ending in ("ing", "ed", "es", "s"):
        if lower.endswith(ending) and len(lower) - len(ending) > 3:
            return lower[: -len(ending)]
    return lower
