"""Which documents are older versions of another one.

A document is superseded when (1) a document of the same name says that it supersedes or replaces it, or
(2) it lies beside a document of the same name with a higher version number or a later date of effect, or
(3) the file names differ in their year alone and the texts share much of their words. "Same name" means the
same title or the same file stem, with years and version numbers left out. Series whose members all stay
valid (minutes, newsletters, reports, release notes ...) are told apart by their names, and by a month in the date.
Not covered: versions under entirely different names; what is inside a document is never compared by meaning.
"""

import calendar
import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import PurePosixPath

_HEAD_CHARACTERS = 1500
"""Versions, dates of effect and what is replaced stand at the beginning."""
_WORDS_SHARED = 0.35
_SERIES = re.compile(
    r"\b(?:minutes|newsletters?|news|notes|reports?|reviews?|results|incidents?|post-?mortems?|announcements?|tickets?|"
    r"invoices?|statements?|agendas?|meetings?|logs?|journals?|diar(?:y|ies)|holidays?|calendars?|survey|accounts|"
    r"changelog|blog|press|bulletin|re|fwd)\b"
)
_YEAR = r"(?:19|20)\d\d"
_YEARS = re.compile(rf"(?<![^\W_]){_YEAR}(?:\s*[-–/]\s*(?:{_YEAR}|\d\d))?(?!\d)")
_NAMED_VERSION = re.compile(r"\b(?:version|ver|v|rev(?:ision)?|edition|issue)\.?\s*(\d{1,3}(?:\.\d{1,3}){0,3})\b", re.I)
_FULL_DATE = re.compile(rf"{_YEAR}[-_. ]?(?:0[1-9]|1[0-2])(?:[-_. ]?(?:0[1-9]|[12]\d|3[01]))?(?!\d)")
_STATED = re.compile(
    r"\b(?:supersed(?:es|ing)|replac(?:es|ing)|takes the place of|in place of)\s+(?P<what>[^.;\n]{0,160})", re.I
)
_EARLIER = re.compile(r"\b(?:all|any|every|the)\s+(?:earlier|previous|prior|older|former)\b", re.I)
_MONTHS = tuple(month.lower() for month in calendar.month_name[1:])  # English unless a locale is set, which we never do
_EFFECTIVE = re.compile(
    r"\b(?:effective|in force|valid|applies|applicable|in effect)\s*(?:date)?\s*(?:from|as of|since|on)?\s*:?\s*"
    rf"(?:(?P<iso>{_YEAR}-\d\d-\d\d)|(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s+(?P<month>{'|'.join(_MONTHS)})\s+(?P<year>{_YEAR}))",
    re.I,
)


@dataclass(frozen=True)
class Candidate:
    """What is looked at of a document; `head` is the beginning of its text."""

    index: int
    uri: str
    title: str
    head: str

    @cached_property
    def stem(self) -> str:
        """File stem with years and versions left out, and its folder."""
        return f"{PurePosixPath(self.uri).parent}/{_bare(PurePosixPath(self.uri).stem)}"

    @cached_property
    def name(self) -> str:
        """Title with years and versions left out."""
        return _bare(self.title)

    @cached_property
    def version(self) -> tuple[int, ...] | None:
        """Its own version number, from its file name, title or first lines."""
        own = _STATED.sub(" ", self.head)
        for place in (PurePosixPath(self.uri).stem.replace("_", " ").replace("-", " "), self.title, own):
            if found := _NAMED_VERSION.search(place):
                return tuple(int(part) for part in found.group(1).split("."))
        return None

    @cached_property
    def effective(self) -> date | None:
        """The date from which it says that it holds."""
        found = _EFFECTIVE.search(self.head)
        return _date(found) if found else None

    @cached_property
    def years(self) -> tuple[int, ...]:
        """Years in its file name or title."""
        names = f"{PurePosixPath(self.uri).stem} {self.title}"
        return tuple(int(year) for year in re.findall(rf"(?<![^\W_]){_YEAR}(?!\d)", names))

    @property
    def is_of_series(self) -> bool:
        """Whether its members all stay valid: minutes, newsletters, anything named by month or day."""
        stem = PurePosixPath(self.uri).stem
        words = re.sub(r"[-_]+", " ", f"{self.uri} {self.title}").lower()
        return bool(_FULL_DATE.search(stem) or _SERIES.search(words))


def superseded(
    uris: Sequence[str], titles: Sequence[str], head_of: Callable[[int], str], text_of: Callable[[int], str]
) -> dict[int, int]:
    """Index of each older version -> index of the newest one that takes its place.

    `head_of` and `text_of` are asked for documents that share their name with another alone.
    """
    found: dict[int, int] = {}
    for group in _namesakes(uris, titles):
        members = [Candidate(i, uris[i], titles[i], head_of(i)[:_HEAD_CHARACTERS]) for i in group]
        found.update((older, newer) for newer, older in _pairs(members, text_of))
    return {older: _newest(newer, found) for older, newer in found.items()}


def _newest(index: int, found: dict[int, int]) -> int:
    seen = {index}
    while index in found and found[index] not in seen:
        index = found[index]
        seen.add(index)
    return index


def _namesakes(uris: Sequence[str], titles: Sequence[str]) -> Iterator[list[int]]:
    """Groups of two or more documents with the same title or the same stem in the same folder."""
    groups: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for index, (uri, title) in enumerate(zip(uris, titles, strict=True)):
        path = PurePosixPath(uri)
        for kind, folder, name in (("title", "", _bare(title)), ("stem", str(path.parent), _bare(path.stem))):
            if name:
                groups[kind, folder, name].append(index)
    yield from (group for group in groups.values() if len(group) > 1)


def _pairs(members: Sequence[Candidate], text_of: Callable[[int], str]) -> Iterator[tuple[int, int]]:
    """(newer, older), explicit statements last, so that they win; later rules compare neighbours alone."""
    ordered = sorted(members, key=_age)
    for older, newer in itertools.pairwise(ordered):
        if _is_newer(newer, older, text_of):
            yield newer.index, older.index
    for newer in members:
        for stated in _STATED.finditer(newer.head):
            for older in members:
                if older.index != newer.index and _is_meant(stated["what"], older, newer):
                    yield newer.index, older.index


def _age(member: Candidate) -> tuple[tuple[int, ...], date, tuple[int, ...], str]:
    return (member.version or (), member.effective or date.min, member.years, member.uri)


def _is_newer(newer: Candidate, older: Candidate, text_of: Callable[[int], str]) -> bool:
    """Whether the names and first lines show two versions of one document in one folder."""
    if newer.is_of_series or older.is_of_series or PurePosixPath(newer.uri).parent != PurePosixPath(older.uri).parent:
        return False
    if newer.version and older.version:
        later, enough = newer.version > older.version, newer.stem == older.stem
    elif newer.effective and older.effective:
        later, enough = newer.effective > older.effective, newer.stem == older.stem
    else:
        later, enough = bool(older.years) and newer.years > older.years and newer.stem == older.stem, False
    return later and (enough or _share_words(text_of(newer.index), text_of(older.index)))


def _is_meant(what: str, older: Candidate, newer: Candidate) -> bool:
    """Whether "supersedes WHAT" names the older document, which has the same name."""
    stated = _NAMED_VERSION.search(what)
    if stated is not None:
        version = tuple(int(part) for part in stated.group(1).split("."))
        return older.version == version if older.version else _year_fits(what, older)
    if _EARLIER.search(what):
        return _age(older)[:3] < _age(newer)[:3]
    return bool(_YEARS.search(what)) and _year_fits(what, older)


def _year_fits(what: str, older: Candidate) -> bool:
    years = {int(year) for year in re.findall(_YEAR, what)}
    own = {*older.years, *([older.effective.year] if older.effective else [])}
    return bool(years & own)


def _share_words(a: str, b: str) -> bool:
    first, second = (set(re.findall(r"[^\W\d]{4,}", text.lower())) for text in (a, b))
    return bool(first and second) and len(first & second) / len(first | second) >= _WORDS_SHARED


def _bare(name: str) -> str:
    """A name without years, versions and punctuation, in lower case."""
    words = _YEARS.sub(" ", _FULL_DATE.sub(" ", name.lower()))
    words = _NAMED_VERSION.sub(" ", re.sub(r"[-_]+", " ", words))
    return " ".join(re.findall(r"\w+", words))


def _date(found: re.Match[str]) -> date | None:
    try:
        if found["iso"]:
            return date.fromisoformat(found["iso"])
        return date(int(found["year"]), _MONTHS.index(found["month"].lower()) + 1, int(found["day"]))
    except ValueError:
        return None
