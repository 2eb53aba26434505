"""Which chunks may be found: the caller's tenant and labels, and what was asked for.

Deny by default: without labels only what carries none is found, and only of one tenant. A filter is SQL over the
index's columns, put together from checked values alone.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from pipelines.errors import QuestionFileError

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")
LONGEST_VALUE = 500
"""Characters."""


@dataclass(frozen=True)
class Filters:
    """A caller's sight, and narrower wishes; `EVERYTHING` is the pipeline's own."""

    tenant: str | None = "default"
    """None: every tenant (the pipeline's own reading)."""
    labels: frozenset[str] | None = frozenset()
    """Labels that the caller holds (contracts.visible); None: everything is seen."""
    language: str | None = None
    since: str | None = None
    """YYYY-MM-DD: documents of that day or later; those without a date are left out."""
    until: str | None = None
    under: str | None = None
    """Beginning of the uri."""
    superseded: bool = True
    """Whether older versions are found too."""

    def where(self) -> str | None:
        """The condition in SQL; None: nothing is left out. Raises QuestionFileError for a value that cannot be one."""
        parts = []
        if self.tenant is not None:
            parts.append(f"tenant = {_quoted('tenant', self.tenant)}")
        if self.labels is not None:
            held = ", ".join(_quoted("label", label) for label in sorted(self.labels))
            open_to_all = "array_length(labels) = 0"
            parts.append(f"({open_to_all} OR array_has_any(labels, [{held}]))" if held else open_to_all)
        if self.language is not None:
            parts.append(f"language = {_quoted('language', self.language)}")
        if self.since is not None:
            parts.append(f"date >= {_quoted('since', _day('since', self.since))}")
        if self.until is not None:
            parts.append(f"date <= {_quoted('until', _day('until', self.until))}")
        if self.under is not None:
            parts.append(f"starts_with(uri, {_quoted('under', self.under)})")
        if not self.superseded:
            parts.append("superseded = false")
        return " AND ".join(parts) or None


EVERYTHING = Filters(tenant=None, labels=None)
"""What the pipeline itself reads: evaluation asks about every document."""
FIELDS = {
    "tenant": str,
    "labels": list,
    "language": str,
    "since": str,
    "until": str,
    "under": str,
    "superseded": bool,
}


def filters_of(given: Mapping[str, Any]) -> Filters:
    """Filters from a line of a query file. Raises QuestionFileError for an unknown field or a value of another kind."""
    for name, value in given.items():
        if name not in FIELDS:
            raise QuestionFileError(f"There is no filter {name!r}; filters: {', '.join(FIELDS)}.")
        if not isinstance(value, FIELDS[name]):
            raise QuestionFileError(f"Filter {name} takes a {FIELDS[name].__name__}, not {value!r}.")
    chosen = dict(given)
    if "labels" in chosen:
        chosen["labels"] = frozenset(_words(chosen["labels"]))
    found = Filters(**chosen)
    found.where()
    return found


def operators_filters(given: Mapping[str, Any], where: str) -> Filters:
    """Filters for somebody who owns the index and sees all of it, until a tenant or labels are named.

    Then what is not named is denied: without labels only what carries none, without a tenant only `default`.
    Raises QuestionFileError that begins with `where`.
    """
    try:
        found = filters_of(given)
    except QuestionFileError as exc:
        raise QuestionFileError(f"{where}: {exc}") from exc
    return found if {"tenant", "labels"} & given.keys() else replace(found, tenant=None, labels=None)


def given_in_words(pairs: Sequence[str]) -> dict[str, Any]:
    """Filters from `name=value` each, as a command line has them; labels with commas between.

    Raises QuestionFileError for what is none.
    """
    given: dict[str, Any] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign:
            raise QuestionFileError(f"--filter takes name=value, not {pair!r}; filters: {', '.join(FIELDS)}.")
        given[name] = _value(name, value)
    return given


def _value(name: str, value: str) -> Any:
    if name == "labels":
        return [each.strip() for each in value.split(",") if each.strip()]
    if name == "superseded":
        if value not in ("true", "false"):
            raise QuestionFileError(f"Filter superseded is true or false, not {value!r}.")
        return value == "true"
    return value


def _words(values: Sequence[Any]) -> list[str]:
    if not all(isinstance(value, str) for value in values):
        raise QuestionFileError(f"Filter labels takes a list of words, not {values!r}.")
    return list(values)


def _day(name: str, value: str) -> str:
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError as exc:
        raise QuestionFileError(f"Filter {name} takes a day as YYYY-MM-DD, not {value!r}.") from exc


def _quoted(name: str, value: str) -> str:
    """A string of SQL: a quote is doubled, and nothing else means anything between quotes."""
    if not value or len(value) > LONGEST_VALUE or _UNPRINTABLE.search(value):
        shown = value if len(value) <= 50 else f"{value[:50]}..."
        raise QuestionFileError(
            f"Filter {name} cannot be {shown!r}: 1 to {LONGEST_VALUE} characters, none of them a control character."
        )
    return "'" + value.replace("'", "''") + "'"
