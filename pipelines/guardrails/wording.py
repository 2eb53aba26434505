"""Text -> words that can be compared: stems, numbers as figures, months and units as one spelling, where each stands.

`5,000`, `five thousand` and `5 thousand` are one number, `2026-03-09` and `9 March 2026` the same three words, `km` and
`kilometres` one unit. What a word claims beyond its stem is kept beside it: whether it is a name (a capital that no
beginning of a sentence asks for), a figure, a word of grammar.
Limits: English. Texts in other languages are compared by their spelling; scripts without spaces by pairs of characters.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import Stemmer

_WORD = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})(?!\d)"
    r"|(?P<number>\d+(?:[.,]\d+)*)(?P<suffix>(?:st|nd|rd|th|s|k|m|bn)(?![^\W\d_]))?"
    r"|(?P<initials>(?:[A-Z]\.){2,})"
    r"|(?P<word>[^\W\d_]+(?:['’][^\W\d_]+)*)"
    r"|(?P<sign>[%$€£°])"
)
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_stem = Stemmer.Stemmer("english", 0).stemWord

STOP_WORDS = frozenset(
    """
a about also am an and any are as at be because been being but by can could did do does doing for from had has have
having he her here hers him his how i if in into is it its itself just me my of off on or our ours out own shall she
should so such than that the their theirs them then there these they this those to too up us was we were what when where
which while who whom whose why will with would you your yours yes s t d ll ve re m o
there's it's that's he's she's what's i'm i've i'd i'll you're you've you'd they're they've we're we've
""".split()
)
"""Words of grammar: they claim nothing by themselves."""
NEGATIONS = frozenset(
    "no not n't never none nobody nothing neither nor nowhere without cannot hardly barely scarcely".split()
)
COMMON = frozenset(
    """
one time year people way day man thing woman life child world school state family student group country problem hand
part place case week company system program question work number night point home water room mother area money story
fact month lot right study book eye job word business issue side kind head house service friend father power hour game
line end member law car city name team minute idea body back parent face other level office door health person art
make made makes making know known get got gets think take took taken see seen saw come came want look use used uses
find found give gave given tell told call called try tried ask asked need feel felt become became leave put mean keep
kept let begin began seem help show shown hear play run move live believe hold bring happen write sit stand lose pay
meet include included including includes good new first last long great little old big high different small large next
early young important few public bad same able many much more most some each every only very well even now still
between through over after before during under again further both however though although since until around another
like really less often several
""".split()
)
"""Content words that are met so often that holding them says little; some 200 of the commonest."""
_UNITS_AND_TENS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
CARDINALS = {word: float(n) for n, word in enumerate(_UNITS_AND_TENS)} | {
    word: 10.0 * n for n, word in enumerate(_TENS, 2)
}
_ORDINALS = "third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth".split()
ORDINALS = {word: float(n) for n, word in enumerate(_ORDINALS, 3)} | {"once": 1.0, "twice": 2.0, "thrice": 3.0}
SCALES = {"hundred": 1e2, "thousand": 1e3, "k": 1e3, "million": 1e6, "m": 1e6, "billion": 1e9, "bn": 1e9}
SCALES |= {"trillion": 1e12, "dozen": 12.0}
MONTHS = ("january february march april may june july august september october november december").split()
_SPELLINGS = {name[:3]: name for name in MONTHS if name != "may"} | {
    "sept": "september",
    "%": "percent",
    "pct": "percent",
    "$": "dollar",
    "usd": "dollar",
    "€": "euro",
    "eur": "euro",
    "£": "pound",
    "gbp": "pound",
    "°": "degree",
    "km": "kilometre",
    "kilometer": "kilometre",
    "kilometers": "kilometre",
    "cm": "centimetre",
    "mm": "millimetre",
    "meter": "metre",
    "meters": "metre",
    "kg": "kilogram",
    "kgs": "kilogram",
    "hrs": "hour",
    "hr": "hour",
    "mins": "minute",
    "min": "minute",
    "secs": "second",
    "ft": "foot",
    "feet": "foot",
    "lbs": "pound",
    "film": "movie",
    "films": "movie",
    "won": "win",
    "men": "man",
    "women": "woman",
    "children": "child",
    "wrote": "write",
    "written": "write",
    "built": "build",
    "sold": "sell",
    "bought": "buy",
    "began": "begin",
    "begun": "begin",
    "led": "lead",
    "left": "leave",
    "made": "make",
    "found": "find",
    "went": "go",
    "gone": "go",
    "took": "take",
    "taken": "take",
    "gave": "give",
    "given": "give",
    "became": "become",
    "held": "hold",
    "said": "say",
    "told": "tell",
    "rose": "rise",
    "risen": "rise",
    "fell": "fall",
    "fallen": "fall",
    "grew": "grow",
    "grown": "grow",
    "known": "know",
    "knew": "know",
    "paid": "pay",
    "sent": "send",
    "kept": "keep",
    "lost": "lose",
    "met": "meet",
    "spent": "spend",
    "came": "come",
    "ran": "run",
    "saw": "see",
    "seen": "see",
    "spoke": "speak",
    "spoken": "speak",
    "chose": "choose",
    "chosen": "choose",
    "drew": "draw",
    "drawn": "draw",
    "brought": "bring",
    "thought": "think",
    "taught": "teach",
    "caught": "catch",
    "died": "die",
    "dying": "die",
    "lay": "lie",
    "lying": "lie",
}
"""Other spellings of a word that its stem does not bring together."""


@dataclass(frozen=True, slots=True)
class Word:
    """`text[start:end]`, and what it is compared by."""

    key: str
    start: int
    end: int
    kind: str
    """`word`, `figure`, `not` (negates) or `stop` (grammar)."""
    capital: bool
    """Whether it begins with a capital."""
    name: bool
    """Whether that capital is a name's, and not that of a sentence's first word."""

    @property
    def content(self) -> bool:
        """Whether it claims something."""
        return self.kind in ("word", "figure")


def words_of(text: str, start: int = 0, end: int | None = None) -> list[Word]:
    """The words of `text[start:end]` in order, with their places in `text`."""
    return list(_joined_words(_single(text, start, len(text) if end is None else end)))


def _single(text: str, start: int, end: int) -> Iterator[Word]:
    opening = True
    last = start
    for match in _WORD.finditer(text, start, end):
        opening = opening or _opens(text, last, match.start())
        last = match.end()
        if match["word"] is not None:
            yield from _of_letters(match["word"], match.start(), opening)
        elif match["initials"] is not None:
            yield from _of_letters(match["initials"].replace(".", ""), match.start(), opening, match.end())
        elif match["date"] is not None:
            yield from _of_date(match)
        elif match["number"] is not None:
            yield _of_number(match)
        else:
            yield Word(key_of(match["sign"]), *match.span(), "word", False, False)
        opening = False


def _opens(text: str, last: int, start: int) -> bool:
    """Whether what stands between two words ends a sentence or begins a quotation, after which a capital is no name."""
    between = text[last:start]
    return any(mark in between for mark in '.!?\n:"“«*#|')


def _of_letters(word: str, start: int, opening: bool, end: int | None = None) -> Iterator[Word]:
    if not word.isascii() and _UNSPACED.search(word):
        for at in range(max(1, len(word) - 1)):
            yield Word(word[at : at + 2], start + at, min(start + at + 2, start + len(word)), "word", False, False)
        return
    key, kind = (_COUNTRY, "word") if word == "US" else _keyed(word)
    named = word[0].isupper() and kind == "word" and (not opening or (len(word) > 1 and word.isupper()))
    end = start + len(word) if end is None else end
    if kind == "n't":
        yield Word("not", start, end, "not", False, False)
        return
    yield Word(key, start, end, kind, word[0].isupper(), named)


@lru_cache(maxsize=1 << 16)
def _keyed(word: str) -> tuple[str, str]:
    """How a word of letters is compared, and its kind."""
    lower = unicodedata.normalize("NFKC", word).casefold().replace("’", "'")
    if lower.endswith("n't") or lower in ("wont", "dont", "cant", "didnt", "doesnt", "isnt", "wasnt"):
        return "not", "n't"
    lower = lower.removesuffix("'s")
    if lower in NEGATIONS:
        return lower, "not"
    if lower in STOP_WORDS:
        return lower, "stop"
    if lower in CARDINALS or lower in ORDINALS:
        value = CARDINALS.get(lower, ORDINALS.get(lower, 0.0))
        return figure(value), "figure" if value > 2 else "word"  # "one of the two" counts nothing
    return key_of(lower), "word"


def key_of(lower: str) -> str:
    """How a small-lettered word is compared."""
    found: str = _stem(_SPELLINGS.get(lower, lower))
    return found


def _of_date(match: re.Match[str]) -> Iterator[Word]:
    year, month, day = match["date"].split("-")
    start, end = match.span()
    yield Word(figure(float(year)), start, start + 4, "figure", False, False)
    if 1 <= int(month) <= 12:
        yield Word(key_of(MONTHS[int(month) - 1]), start + 5, start + 7, "word", False, False)
    yield Word(figure(float(day)), start + 8, end, "figure", False, False)


def _of_number(match: re.Match[str]) -> Word:
    digits, suffix = match["number"], match["suffix"] or ""
    value = _value(digits)
    if suffix == "s":
        return Word(f"{digits}s", *match.span(), "figure", False, False)
    scale = SCALES.get(suffix, 1.0)
    key = digits if value is None else figure(value * scale)
    return Word(key, *match.span(), "figure", False, False)


def _value(digits: str) -> float | None:
    """What a number's digits say, `None` for what is no number (a version, an address)."""
    bare = re.sub(r",(?=\d{3}(?!\d))", "", digits)
    try:
        value = float(unicodedata.normalize("NFKC", bare))
    except ValueError:
        return None
    return value if value < 1e15 else None


def figure(value: float) -> str:
    """One spelling of a number: `5`, `12.5`."""
    return str(int(value)) if value == int(value) else f"{value:.6g}"


def _joined_words(words: Iterator[Word]) -> Iterator[Word]:
    """`twenty five` is 25, `3.5 million` 3500000, `United States` and `the us` one country."""
    held: Word | None = None
    for word in words:
        if held is None:
            held = word
            continue
        joined = _joined(held, word)
        if joined is None:
            yield held
            held = word
        else:
            held = joined
    if held is not None:
        yield held


def _joined(first: Word, second: Word) -> Word | None:
    """Two words as the one that they make; None where they make none."""
    if second.key == "us" and first.key == "the":  # "in the us": nobody says "the us" of himself
        return Word(_COUNTRY, first.start, second.end, "word", first.capital, True)
    if first.key == _UNITED and second.key == _STATES:
        return Word(_COUNTRY, first.start, second.end, "word", first.capital, first.capital)
    if first.kind != "figure" or second.start - first.end > 1:
        return None
    value = _value(first.key)
    if value is None:
        return None
    if second.kind == "figure" and first.key in _TENS_KEYS and second.key in _ONES_KEYS:
        return Word(figure(value + float(second.key)), first.start, second.end, "figure", False, False)
    if second.kind == "word" and second.key in _SCALE_KEYS:
        return Word(figure(value * _SCALE_KEYS[second.key]), first.start, second.end, "figure", False, False)
    return None


_COUNTRY = "usa"
_UNITED, _STATES = key_of("united"), key_of("states")
_TENS_KEYS = frozenset(str(10 * n) for n in range(2, 10))
_ONES_KEYS = frozenset(str(n) for n in range(1, 10))
_SCALE_KEYS = {_stem(word): value for word, value in SCALES.items() if len(word) > 2}
COMMON_KEYS = frozenset(key_of(word) for word in COMMON)
"""As they are compared."""
