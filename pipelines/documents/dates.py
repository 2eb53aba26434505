"""The day that a document gives itself: when it was written, sent or comes into force.

Order: its front matter, e-mail header or page header; "Effective from ..." at its beginning; a full date in its
file name; the properties of an office or PDF file, which a conversion may have set. Numbers alone are read year
first or day first with dots (2026-03-01, 1.3.2026): 3/1/2026 means two things, and a year alone is no day.
Not covered: dates that are merely mentioned.
"""

import calendar
import re
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import PurePosixPath

YEAR = r"(?:19|20)\d\d"
MONTHS = tuple(month.lower() for month in calendar.month_name[1:])  # English unless a locale is set, which we never do
_MONTH = "|".join(f"{month}|{month[:3]}\\.?" for month in MONTHS)
_HEAD_CHARACTERS = 1500
_PLACEHOLDERS = frozenset(("1970-01-01", "1980-01-01", "2000-01-01", "2013-12-23"))
"""What programs write that do not know the day: Unix, zip, reproducible builds, a Word template."""
_ONE_DAY = (
    rf"(?P<iso>{YEAR}-\d\d-\d\d)|(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\.?\s+(?P<month>{_MONTH})\s+(?P<year>{YEAR})"
    rf"|(?P<month_first>{_MONTH})\s+(?P<day_second>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<year_last>{YEAR})"
    rf"|(?P<day_dots>\d{{1,2}})\.(?P<month_dots>\d{{1,2}})\.(?P<year_dots>{YEAR})"
)
_DAY = re.compile(rf"(?<!\d)(?:{_ONE_DAY})(?!\d)", re.I)
_EFFECTIVE = re.compile(
    r"\b(?:effective|in force|valid|applies|applicable|in effect|gültig|gilt|in kraft|en vigueur|vigente)"
    r" ?(?:date)? ?(?:from|as of|since|on|ab dem|ab|seit dem|seit|à partir du|depuis le|le|desde el|a partir del)?"
    rf" ?:? ?(?:{_ONE_DAY})(?!\d)",
    re.I,
)
_IN_NAME = re.compile(rf"(?<!\d)(?P<year>{YEAR})(?P<mark>[-_. ]?)(?P<month>\d\d)(?:(?P=mark)(?P<day>\d\d))?(?!\d)")


def date_of(meta: Mapping[str, str], head: str, uri: str) -> str | None:
    """YYYY-MM-DD, or None where the document gives no day. `head`: the beginning of its text."""
    return next((found.isoformat() for found in _stated(meta, head, uri)), None)


def effective(head: str) -> date | None:
    """The day from which a document says that it holds."""
    found = _EFFECTIVE.search(" ".join(head[:_HEAD_CHARACTERS].split()))  # long runs of spaces would cost minutes
    return _day(found) if found else None


def in_name(stem: str) -> date | None:
    """The day, or the first day of the month, in a file's name."""
    for found in _IN_NAME.finditer(stem):
        if not (found["day"] or found["mark"]):
            continue  # 202603 may be a number; 2026-03 is none
        day = _made(int(found["year"]), int(found["month"]), int(found["day"] or 1))
        if day is not None:
            return day
    return None


def _stated(meta: Mapping[str, str], head: str, uri: str) -> Iterator[date]:
    own = _first_day(meta.get("date", ""))
    if own is not None:
        yield own
    for found in (effective(head), in_name(PurePosixPath(uri).stem)):
        if found is not None:
            yield found
    modified = _first_day(meta.get("modified", ""))
    if modified is not None and modified.isoformat() not in _PLACEHOLDERS:
        yield modified


def _first_day(value: str) -> date | None:
    found = _DAY.search(value)
    return _day(found) if found else None


def _day(found: re.Match[str]) -> date | None:
    if found["iso"]:
        year, month, day = (int(part) for part in found["iso"].split("-"))
        return _made(year, month, day)
    if found["year_dots"]:
        return _made(int(found["year_dots"]), int(found["month_dots"]), int(found["day_dots"]))
    name = (found["month"] or found["month_first"]).lower()[:3]
    month = next(number for number, full in enumerate(MONTHS, 1) if full.startswith(name))
    return _made(int(found["year"] or found["year_last"]), month, int(found["day"] or found["day_second"]))


def _made(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
