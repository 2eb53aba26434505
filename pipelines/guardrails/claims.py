"""An answer -> the claims in it: sentences, list items, and clauses where both halves stand by themselves.

Invariants: claims are spans of the answer, in order, and do not overlap; every letter and digit lies in one. A sentence
is cut at a semicolon, and at `, and` or `, but` where a subject and more than a phrase follow; never inside brackets.
Limits: conjuncts that share a subject ("sells pumps and rents boats") stay one claim, whose words are checked apart.
"""

import re
from collections.abc import Iterator

Span = tuple[int, int]

SHORT = 12
"""Characters below which a piece claims too little to stand alone ("Yes.", "1."), and goes with the next."""
LONGEST = 600
"""Characters after which a claim is cut at a space: texts without any full stop end somewhere."""
_BREAK = re.compile(
    r"(?<![.!?…])(?P<end>[.!?…]+[\"'”’)\]]*)(?=\s|$)"
    r"|(?P<full>[。！？｡]+)"
    r"|(?P<line>[\n\r\u2028\u2029\x85]\s*)"
    r"|(?P<semi>;)(?=\s)"
    r"|(?P<clause>,)(?=\s(?:and|but|while|whereas)\s(?:it|he|she|they|we|there|this|these|the|[A-Z]\w+)\s\w+\s\w+)"
)
"""Each alternative begins at one place alone of what it takes, so that no run of marks or spaces is read twice."""
_ABBREVIATED = re.compile(
    r"(?:^|[\s(])(?:mr|mrs|ms|dr|prof|st|no|vs|etc|e\.g|i\.e|fig|approx|jr|sr|inc|ltd|co|corp|gen|col|lt|sgt|rev|hon"
    r"|[^\W\d_]|(?:[^\W\d_]\.)+[^\W\d_])$",
    re.I,
)
_CLOSED = frozenset("mr mrs ms dr prof st no vs fig approx gen col lt sgt rev hon e.g i.e".split())


def claims(text: str) -> list[Span]:
    """Where each claim begins and ends; none for a text without a letter or digit."""
    held: Span | None = None
    found: list[Span] = []
    for start, end in _pieces(text):
        start = held[0] if held else start
        held = (start, end) if end - start < SHORT else None
        if held is None:
            found.append((start, end))
    if held is not None:
        found.append((found.pop()[0], held[1]) if found else held)
    return [piece for span in found for piece in _bounded(text, *span)]


def _pieces(text: str) -> Iterator[Span]:
    at = 0
    for match in _BREAK.finditer(text):
        if match["end"] is not None and _goes_on(text, at, match.start("end"), match.end()):
            continue
        if match["clause"] is not None and (match.start() - at < 2 * SHORT or _inside(text, at, match.start())):
            continue
        if match["semi"] is not None and _inside(text, at, match.start()):
            continue
        yield from _visible(text, at, match.end())
        at = match.end()
    yield from _visible(text, at, len(text))


def _goes_on(text: str, at: int, stop: int, after: int) -> bool:
    """Whether a full stop is an abbreviation's."""
    if text[stop] != "." or after - stop > 1:
        return False
    found = _ABBREVIATED.search(text[max(at, stop - 12) : stop])
    if found is None:
        return False
    following = text[after : after + 40].lstrip()
    word = found.group().strip(" (").lower()
    return word in _CLOSED or len(word) == 1 or not following[:1].isupper()


def _inside(text: str, at: int, stop: int) -> bool:
    """Whether a bracket is open there."""
    before = text[max(at, stop - LONGEST) : stop]
    return before.count("(") > before.count(")")


def _visible(text: str, start: int, end: int) -> Iterator[Span]:
    part = text[start:end]
    if any(character.isalnum() for character in part):
        yield start + len(part) - len(part.lstrip()), start + len(part.rstrip())


def _bounded(text: str, start: int, end: int) -> Iterator[Span]:
    while end - start > LONGEST:
        space = text.rfind(" ", start + SHORT, start + LONGEST)
        cut = space if space > 0 else start + LONGEST
        yield from _visible(text, start, cut)
        start = cut
    yield from _visible(text, start, end)
