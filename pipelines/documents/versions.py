"""Which documents are older versions of another one.

A document is superseded when (1) a document of the same name says that it supersedes or replaces it, or
(2) it lies beside a document of the same name with a higher version number or a later date of effect, or
(3) the file names differ in their year, in a day at their end, in a bare number (1.4) or in a word for their state
(draft, old, final) alone, and the texts share much of their words. "Same name" means the same title or the same file
stem, with years, versions, states and marks of a copy left out. Series whose members all stay valid (minutes,
newsletters, reports, release notes ...) are told apart by their names, and by a day or month that is not at the end.
A draft replaces nothing that is none; a translation (another language, or another language's code in the name)
is no version; what a reader of the older one may not see does not replace it for that reader.
Not covered: versions under entirely different names; what is inside a document is never compared by meaning.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import PurePosixPath

from pipelines.documents.dates import YEAR, effective, in_name

HEAD_CHARACTERS = 1500
"""Versions, dates of effect and what is replaced stand at the beginning."""
_TITLE_CHARACTERS = 300
_WORDS_SHARED = 0.35
_MOST_WORDS_SHARED = 0.6
"""Where the names alone say less: a day or a bare number may also tell the members of a series apart."""
_SERIES = re.compile(
    r"\b(?:minutes|newsletters?|news|notes|reports?|reviews?|results|incidents?|post-?mortems?|announcements?|tickets?|"
    r"invoices?|statements?|agendas?|meetings?|logs?|journals?|diar(?:y|ies)|holidays?|calendars?|survey|accounts|"
    r"changelog|blog|press|bulletin|re|fwd)\b"
)
_YEARS = re.compile(rf"(?<![^\W_]){YEAR}(?:\s*[-–/]\s*(?:{YEAR}|\d\d))?(?!\d)")
_NAMED_VERSION = re.compile(
    r"\b(?:(?:version|ver|v|rev(?:ision)?|edition|issue|ausgabe|fassung)\.?\s*(\d{1,3}(?:\.\d{1,3}){0,3})|rev(?:ision)?\.?\s*([a-h]))\b",
    re.I,
)
_VERSION_AT_END = re.compile(rf"[\s-]+{_NAMED_VERSION.pattern}$", re.I)
_BARE_VERSION = re.compile(r"(?<=[\s-])(\d{1,2}(?:\.\d{1,3}){1,3})$")
_FULL_DATE = re.compile(rf"{YEAR}[-_. ]?(?:0[1-9]|1[0-2])(?:[-_. ]?(?:0[1-9]|[12]\d|3[01]))?(?!\d)")
_DAY_AT_END = re.compile(rf"(?<=[\s-])(?P<day>{YEAR}[-. ]?(?:0[1-9]|1[0-2])[-. ]?(?:0[1-9]|[12]\d|3[01]))$")
_COPY = re.compile(
    r"(?:[\s-]*\(\d{1,2}\)|[\s-]+(?:copy|kopie|copie|copia)(?:[\s-]*\(?\d{1,2}\)?)?)$|^(?:copy of|kopie von)\s+", re.I
)
_STATES = {
    **dict.fromkeys(
        ("old", "obsolete", "superseded", "archived", "deprecated", "outdated", "backup", "bak", "alt"), -1
    ),
    **dict.fromkeys(("draft", "wip", "preliminary", "entwurf", "brouillon", "borrador"), 0),
    **dict.fromkeys(("final", "latest", "approved", "signed", "released", "endfassung"), 2),
}
_UNSTATED, _DRAFT = 1, 0
_STATE = re.compile(rf"[\s-]+\(?(?P<state>{'|'.join(_STATES)})\)?$", re.I)
_DRAFT_FIRST = re.compile(r"^\(?(?P<state>draft|wip|entwurf)\)?[\s-]+", re.I)
_SAYS_DRAFT = re.compile(r"^\W*(?:draft\b|entwurf\b)|\bstatus\W{1,4}draft\b|\((?:draft|entwurf)\)", re.I)
_LANGUAGES = frozenset((
    "ar", "bg", "cs", "da", "de", "el", "en", "es", "et", "fi", "fr", "he", "hr", "hu", "it", "ja", "ko", "lt", "lv",
    "nl", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sv", "tr", "uk", "zh",
))  # fmt: skip
_STATED = re.compile(
    r"\b(?:supersed(?:es|ing)|replac(?:es|ing)|takes the place of|in place of)\s+(?P<what>[^.;\n]{0,160})", re.I
)
_DATA = frozenset((".csv", ".tsv", ".xlsx", ".json", ".jsonl", ".log", ".xml"))
"""Files that tell of their day, not instead of another."""
_SEEN_AHEAD = 8
"""How many of the next by age are looked at for one that may replace a document."""
_EARLIER = re.compile(r"\b(?:all|any|every|the)\s+(?:earlier|previous|prior|older|former)\b", re.I)

Names = tuple[str, str]
"""What a document's name is compared by: its title, and its folder with its stem; "" where nothing is left."""


@dataclass(frozen=True)
class Edge:
    """`newer` takes the place of `older` (uris), found among the documents of one name. `stated`: one says so."""

    name: str
    newer: str
    older: str
    stated: bool


@dataclass(frozen=True)
class Candidate:
    """What is looked at of a document; `head` is the beginning of its text."""

    index: int
    uri: str
    title: str
    head: str
    language: str | None = None

    @cached_property
    def _file(self) -> "_FileName":
        return _file_name(PurePosixPath(self.uri).stem)

    @cached_property
    def stem(self) -> str:
        """File stem with years, versions and states left out, and its folder."""
        return names_of(self.uri, "")[1]

    @cached_property
    def version(self) -> tuple[int, ...] | None:
        """Its own version number, from its file name, title or first lines."""
        own = _STATED.sub(" ", self.head)
        for place in (_spaced(PurePosixPath(self.uri).stem), self.title, own):
            if found := _NAMED_VERSION.search(place):
                return _numbers(found)
        return None

    @cached_property
    def bare_version(self) -> tuple[int, ...] | None:
        """A number with dots at the end of its file name."""
        return self._file.bare_version

    @cached_property
    def effective(self) -> date | None:
        """The date from which it says that it holds."""
        return effective(self.head)

    @cached_property
    def day(self) -> date | None:
        """The day at the end of its file name."""
        return self._file.day

    @cached_property
    def years(self) -> tuple[int, ...]:
        """Years in its file name or title."""
        names = f"{PurePosixPath(self.uri).stem} {self.title}"
        return tuple(int(year) for year in re.findall(rf"(?<![^\W_]){YEAR}(?!\d)", names))

    @cached_property
    def state(self) -> int:
        """-1 set aside, 0 a draft, 1 unsaid, 2 final."""
        if self._file.state != _UNSTATED:
            return self._file.state
        return _DRAFT if _SAYS_DRAFT.search(self.title) or _SAYS_DRAFT.search(self.head[:300]) else _UNSTATED

    @cached_property
    def is_of_series(self) -> bool:
        """Whether its members all stay valid: minutes, newsletters, anything named by month or day."""
        words = _spaced(f"{self.uri} {self.title}").lower()
        return bool(_FULL_DATE.search(self._file.before_day) or _SERIES.search(words))

    @cached_property
    def code(self) -> str | None:
        """A language's code as the last word of its file name, or as a folder's name."""
        path = PurePosixPath(self.uri)
        words = re.split(r"[\W_]+", self._file.bare)
        return next((part for part in (words[-1], *reversed(path.parts[:-1])) if part.lower() in _LANGUAGES), None)


@dataclass(frozen=True)
class _FileName:
    """A file stem taken apart from its end: `bare` is what is left, in lower case."""

    bare: str
    before_day: str
    state: int
    day: date | None
    bare_version: tuple[int, ...] | None


def names_of(uri: str, title: str) -> Names:
    """What a document shares with its older and newer versions."""
    path = PurePosixPath(uri)
    stem = _bare(_file_name(path.stem).bare)
    return _bare(title[:_TITLE_CHARACTERS]), f"{path.parent}/{stem}" if stem else ""


def edges(name: str, members: Sequence[Candidate], text_of: Callable[[int], str]) -> Iterator[Edge]:
    """Which documents of one name take the place of which: by age, each by the next that may, and by what one says."""
    ordered = sorted(members, key=_age)
    for position, older in enumerate(ordered, 1):
        newer = next((m for m in ordered[position : position + _SEEN_AHEAD] if _may_replace(m, older)), None)
        if newer is not None and _is_newer(newer, older, text_of):
            yield Edge(name, newer.uri, older.uri, stated=False)
    for newer in members:
        for stated in _STATED.finditer(newer.head):
            for older in members:
                if (
                    older.index != newer.index
                    and _may_replace(newer, older)
                    and _is_meant(stated["what"], older, newer)
                ):
                    yield Edge(name, newer.uri, older.uri, stated=True)


def resolve(found: Iterable[Edge], allowed: Callable[[str, str], bool] = lambda newer, older: True) -> dict[str, str]:
    """uri of each older version -> uri of the newest one that takes its place; what is said counts first.

    `allowed(newer, older)`: whether who may see the older one may see the newer one.
    """
    next_of: dict[str, str] = {}
    for edge in sorted(found, key=lambda e: (not e.stated, e.name, e.older, e.newer)):
        if edge.older not in next_of and _newest(edge.newer, next_of) != edge.older and allowed(edge.newer, edge.older):
            next_of[edge.older] = edge.newer
    return {older: _newest(older, next_of) for older in next_of}


def superseded(
    uris: Sequence[str], titles: Sequence[str], texts: Sequence[str], languages: Sequence[str | None] | None = None
) -> dict[str, str]:
    """uri of each older version -> uri of the newest: all steps at once, for a few documents."""
    languages = languages or [None] * len(uris)
    groups: dict[str, list[int]] = {}
    for index, (uri, title) in enumerate(zip(uris, titles, strict=True)):
        for kind, name in zip("ts", names_of(uri, title), strict=True):
            if name:
                groups.setdefault(f"{kind} {name}", []).append(index)
    every = [Candidate(i, uris[i], titles[i], texts[i][:HEAD_CHARACTERS], languages[i]) for i in range(len(uris))]
    shared = ((name, [every[i] for i in group]) for name, group in groups.items() if len(group) > 1)
    return resolve(edge for name, members in shared for edge in edges(name, members, texts.__getitem__))


def _newest(uri: str, next_of: dict[str, str]) -> str:
    while uri in next_of:
        uri = next_of[uri]
    return uri


def _age(member: Candidate) -> tuple[object, ...]:
    first = date.min
    bare, day = member.bare_version or (), member.day or first
    return (member.version or (), member.effective or first, member.years, bare, day, member.state, member.uri)


def _may_replace(newer: Candidate, older: Candidate) -> bool:
    """Not a draft what is none, and not a translation of it."""
    if newer.state == _DRAFT and older.state > _DRAFT:
        return False
    known = newer.language is not None and older.language is not None
    return newer.code == older.code and not (known and newer.language != older.language)


def _is_newer(newer: Candidate, older: Candidate, text_of: Callable[[int], str]) -> bool:
    """Whether the names and first lines show two versions of one document in one folder."""
    if newer.is_of_series or older.is_of_series or PurePosixPath(newer.uri).parent != PurePosixPath(older.uri).parent:
        return False
    same = newer.stem == older.stem
    least: float | None
    if newer.version and older.version and newer.version != older.version:
        later, least = newer.version > older.version, 0.0 if same else _WORDS_SHARED
    elif newer.effective and older.effective and newer.effective != older.effective:
        later, least = newer.effective > older.effective, 0.0 if same else _WORDS_SHARED
    else:
        later, least = same, _words_needed(newer, older)
    if not later or least is None:
        return False
    return least == 0.0 or _share_words(text_of(newer.index), text_of(older.index)) >= least


def _words_needed(newer: Candidate, older: Candidate) -> float | None:
    """Share of words from which the names' difference counts as one of versions; None: they show none."""
    if newer.day and older.day and newer.day != older.day:
        is_data = PurePosixPath(newer.uri).suffix.lower() in _DATA
        return None if is_data or newer.day < older.day else _MOST_WORDS_SHARED
    if newer.years != older.years:
        return _WORDS_SHARED if older.years and newer.years > older.years else None
    if newer.bare_version and older.bare_version and newer.bare_version != older.bare_version:
        return _MOST_WORDS_SHARED if newer.bare_version > older.bare_version else None
    return _WORDS_SHARED if newer.state > older.state and newer.version == older.version else None


def _is_meant(what: str, older: Candidate, newer: Candidate) -> bool:
    """Whether "supersedes WHAT" names the older document, which has the same name."""
    stated = _NAMED_VERSION.search(what)
    if stated is not None:
        version = _numbers(stated)
        return older.version == version if older.version else _year_fits(what, older)
    if _EARLIER.search(what):
        return _age(older)[:3] < _age(newer)[:3]
    return bool(_YEARS.search(what)) and _year_fits(what, older)


def _year_fits(what: str, older: Candidate) -> bool:
    years = {int(year) for year in re.findall(YEAR, what)}
    own = {*older.years, *([older.effective.year] if older.effective else [])}
    return bool(years & own)


def _share_words(a: str, b: str) -> float:
    first, second = (set(re.findall(r"[^\W\d]{4,}", text.lower())) for text in (a, b))
    return len(first & second) / len(first | second) if first and second else 0.0


def _numbers(found: re.Match[str]) -> tuple[int, ...]:
    if found.group(1):
        return tuple(int(part) for part in found.group(1).split("."))
    return (ord(found.group(2).lower()) - ord("a") + 1,)


def _file_name(stem: str) -> _FileName:
    """Marks of a copy, a state, a day and a bare version number, taken off the end in any order."""
    rest, state, day, version = stem.replace("_", " ").strip(), _UNSTATED, None, None
    for _ in range(6):
        before = rest
        rest = _COPY.sub("", rest) or rest
        if state == _UNSTATED and (first := _DRAFT_FIRST.match(rest)):
            state, rest = _DRAFT, rest[first.end() :] or rest
        if found := _STATE.search(rest):
            state = _STATES[found["state"].lower()] if state == _UNSTATED else state
            rest = rest[: found.start()] or rest
        if day is None and (found := _DAY_AT_END.search(rest)) and (day := in_name(found["day"])):
            rest = rest[: found.start()].rstrip(" -") or rest
        if version is None and (found := _BARE_VERSION.search(rest)):
            version = tuple(int(part) for part in found.group(1).split("."))
            rest = rest[: found.start()].rstrip(" -") or rest
        trailing = _VERSION_AT_END.search(rest)
        if trailing and state == _UNSTATED and (found := _STATE.search(rest[: trailing.start()])):
            state = _STATES[found["state"].lower()]  # draft_v3: the version stays, it is read elsewhere
            rest = rest[: found.start()] + rest[trailing.start() :]
        if rest == before:
            break
    return _FileName(rest.lower(), rest, state, day, version)


def _spaced(name: str) -> str:
    return re.sub(r"[-_]+", " ", name)


def _bare(name: str) -> str:
    """A name without years, versions and punctuation, in lower case."""
    words = _YEARS.sub(" ", _FULL_DATE.sub(" ", name.lower()))
    words = _NAMED_VERSION.sub(" ", _spaced(words))
    return " ".join(re.findall(r"\w+", words))
