"""Text -> the sentences in it: what a claim is made with, and what a citation points to.

Invariants: spans are in order, do not overlap, begin and end with something visible, and hold every letter and digit of
the text; marks and rules between them belong to none. A list item, a row of a table, a heading, a line of code is a
sentence of its own; a fenced block of code is one. Lines of a paragraph that was wrapped are joined.
Limits: a sentence that begins with a small letter is not told from the one before it; scripts that write neither full
stops nor spaces between sentences (Thai) are divided at lines.
"""

import re
from collections.abc import Iterator

Span = tuple[int, int]

_FENCE = re.compile(r"^(?P<fence>```+|~~~+)[^\n]*\n.*?(?:^(?P=fence)[`~]*[ \t]*$|\Z)", re.M | re.S)
_LINE = re.compile(r"[^\r\n\v\f\x85\u2028\u2029]+")
_ITEM = re.compile(r"\s*(?:[-*+•–◦▪]|\d{1,3}[.)]|[a-zA-Z][.)]|[ivx]{2,4}[.)])\s+")
_APART = re.compile(r"\s*[#>|]|\s*```|\s{4,}|\t")
"""How a line begins that continues nothing: heading, quotation, row, code."""
_TABULAR = re.compile(r"[|{};=\t]")
_CLOSERS = r"[\"'”’»›)\]」』】）》*_`]*"
_END = re.compile(rf"(?:[.!?…؟۔।॥։።។၊။]+{_CLOSERS}(?=\s|$)|[。！？｡．]+{_CLOSERS})")
_ENDED = re.compile(rf"[.!?…:;。！？؟۔।॥]{_CLOSERS}\s*$")
_SHORT_LINE, _LONG_LINE = 40, 60
"""Characters from which a line may be a paragraph's that was wrapped; a next line in capitals asks for the longer."""

_TITLES = frozenset("dr mr mrs ms mme mlle prof st gen capt lt sgt sr hon rev gov sen rep messrs hr fr".split())
_NUMBERED = frozenset(
    "no nos nr num fig figs p pp vol art sec ch ext tel eq eqs ref para ver v approx ca c min max "
    "jan feb mar apr jun jul aug sep sept oct nov dec".split()
)
"""Abbreviations that a figure follows."""
_OTHERS = frozenset(
    "etc eg ie cf vs al inc ltd co corp est dept bzw usw vgl inkl zzgl incl excl resp a.m p.m am pm jr bros ave blvd "
    "ed eds esp misc temp".split()
)
_STARTERS = frozenset(
    "the a an this that these those it its he she they we you i there in on at if when for but and however as to "
    "der die das es ein eine sie wir le la les il elle nous el los las un una".split()
)
"""Words that begin a sentence more often than they follow an abbreviation."""
_MONTHS = frozenset(
    "januar februar märz april mai juni juli august september oktober november dezember "
    "january february march may june july october december".split()
)
_LAST_WORD = re.compile(r"[^\s(\[\"'“‘«]+$")
_NEXT_WORD = re.compile(r"[\"'“‘«(\[¿¡*_]*(\w[\w'’]*)")


def sentences(text: str) -> list[Span]:
    """Where each sentence begins and ends, in order."""
    found: list[Span] = []
    at = 0
    for fence in _FENCE.finditer(text):
        found += _of_prose(text, at, fence.start())
        found.append((fence.start(), fence.end()))
        at = fence.end()
    found += _of_prose(text, at, len(text))
    return [span for span in (_trimmed(text, *each) for each in found) if re.search(r"\w", text[span[0] : span[1]])]


def _of_prose(text: str, start: int, end: int) -> list[Span]:
    return [span for lines in _paragraphs(text, start, end) for span in _cut(text, *lines)]


def _paragraphs(text: str, start: int, end: int) -> Iterator[Span]:
    """Lines, those of a wrapped paragraph together."""
    held: Span | None = None
    for match in _LINE.finditer(text, start, end):
        line = (match.start(), match.end())
        if held is None:
            held = line
        elif _continues(text, held, line):
            held = (held[0], line[1])
        else:
            yield held
            held = line
    if held is not None:
        yield held


def _continues(text: str, held: Span, line: Span) -> bool:
    """Whether a line goes on with the paragraph before it."""
    if text[held[1] : line[0]] not in ("\n", "\r\n", "\r"):
        return False
    last = text[held[0] : held[1]].splitlines()[-1]
    following = text[line[0] : line[1]]
    apart = _ENDED.search(last) or _APART.match(following) or _ITEM.match(following)
    if apart or _TABULAR.search(last) or _TABULAR.search(following) or last.lstrip().startswith("#"):
        return False
    return len(last) >= (_SHORT_LINE if following.lstrip()[:1].islower() else _LONG_LINE)


def _cut(text: str, start: int, end: int) -> Iterator[Span]:
    """A paragraph at the marks that end a sentence."""
    marker = _ITEM.match(text, start, end)
    at = start
    for match in _END.finditer(text, marker.end() if marker else start, end):
        if match.end() < end and _ends(text, at, match, end):
            yield at, match.end()
            at = match.end()
    yield at, end


def _ends(text: str, at: int, match: re.Match[str], end: int) -> bool:
    """Whether a mark ends the sentence that began at `at`."""
    if match.group()[0] in "。！？｡．":
        return True
    following = text[match.end() : min(end, match.end() + 60)].lstrip()
    if not following or following[0].islower():
        return not following
    if match.group()[0] != "." or match.group().startswith(".."):
        return True
    return not _abbreviated(text[max(at, match.start() - 40) : match.start()], following)


def _abbreviated(before: str, following: str) -> bool:
    """Whether the full stop after `before` is an abbreviation's, and the sentence goes on."""
    found = _LAST_WORD.search(before)
    word = found.group().lower() if found else ""
    after = _NEXT_WORD.match(following)
    follows = after.group(1).lower() if after else ""
    if word in _TITLES:
        return True
    if word in _NUMBERED and follows[:1].isdigit():
        return True
    if word.isdigit() and len(word) <= 2 and follows in _MONTHS:
        return True
    single = len(word) == 1 and word.isalpha()
    dotted = bool(re.fullmatch(r"(?:[^\W\d_]\.)+[^\W\d_]", word))
    return (single or dotted or word in _OTHERS) and follows not in _STARTERS


def _trimmed(text: str, start: int, end: int) -> Span:
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), start + len(part.rstrip())
