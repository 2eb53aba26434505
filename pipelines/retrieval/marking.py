"""Where the words of a question stand in a passage, as search sees them: stems and codes, not spellings."""

import re
from functools import lru_cache

from pipelines.retrieval.terms import terms

_WORD = re.compile(r"\w+(?:[-.'’]\w+)*")


def marked(text: str, query: str) -> list[tuple[int, int]]:
    """Spans (start, end) of the words of `text` that share a term with the query, in their order."""
    asked = set(terms(query))
    return [word.span() for word in _WORD.finditer(text) if not asked.isdisjoint(_terms(word.group()))]


def cut_around(text: str, query: str, size: int) -> str:
    """At most `size` characters on one line, from the place where most of the query's words stand close together."""
    line = " ".join(text.split())
    if len(line) <= size:
        return line
    room = size - 2
    starts = [start for start, _ in marked(line, query)]
    within = {start: sum(start <= other < start + room for other in starts) for start in starts}
    best = max(within, key=lambda start: (within[start], -start), default=0)
    begin = 0 if best < room // 3 else line.rfind(" ", 0, max(1, best - room // 8)) + 1
    end = min(len(line), begin + room)
    return f"{'…' if begin else ''}{line[begin:end].rstrip()}{'…' if end < len(line) else ''}"


@lru_cache(maxsize=1 << 16)
def _terms(word: str) -> frozenset[str]:
    return frozenset(terms(word))
