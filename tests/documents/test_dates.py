from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.documents.dates import date_of, effective, in_name


@pytest.mark.parametrize(
    ("meta", "head", "uri", "found"),
    [
        ({"date": "2024-05-01"}, "Effective from 1 May 2020.", "2019-01-01.md", "2024-05-01"),
        ({"modified": "2026-09-01T09:00:00Z"}, "Effective from 1 May 2020.", "a.docx", "2020-05-01"),
        ({"modified": "2026-09-01T09:00:00Z"}, "", "notes/2025-11-04-outage.docx", "2025-11-04"),
        ({"modified": "2026-09-01T09:00:00Z"}, "", "a.docx", "2026-09-01"),
        ({"modified": "2000-01-01"}, "", "a.pdf", None),  # what a program writes that does not know
        ({"date": "last Tuesday"}, "", "a.md", None),
        ({"date": "2024-13-45"}, "", "a.md", None),
        ({}, "Founded on 3 May 1998, the company", "a.md", None),  # a day that is merely mentioned
        ({}, "", "travel-2024.md", None),  # a year is no day
    ],
)
def test_the_day_that_a_document_gives_itself(meta: dict[str, str], head: str, uri: str, found: str | None) -> None:
    assert date_of(meta, head, uri) == found


@pytest.mark.parametrize(
    ("head", "found"),
    [
        ("Effective from 1 May 2024.", date(2024, 5, 1)),
        ("Effective date: March 3rd, 2025", date(2025, 3, 3)),
        ("This policy applies since 2023-07-15 to all", date(2023, 7, 15)),
        ("Gültig ab 1.2.2024", date(2024, 2, 1)),
        ("In force since 30 February 2020", None),
        ("Effective from 3/1/2026", None),  # the third of January, or the first of March
    ],
)
def test_dates_of_effect(head: str, found: date | None) -> None:
    assert effective(head) == found


@pytest.mark.parametrize(
    ("stem", "found"),
    [
        ("2026-02-11-outage", date(2026, 2, 11)),
        ("minutes_20260917", date(2026, 9, 17)),
        ("newsletter-2026-09", date(2026, 9, 1)),
        ("part-202603", None),
        ("v1.2.2024", None),
        ("12026-01-01x", None),
    ],
)
def test_dates_in_names(stem: str, found: date | None) -> None:
    assert in_name(stem) == found


@settings(deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_whatever_is_found_is_a_day(value: str, head: str) -> None:
    found = date_of({"date": value, "modified": value}, head, "a.md")
    assert found is None or date.fromisoformat(found)


def test_long_runs_of_spaces_cost_no_time() -> None:
    assert effective("effective" + " " * 1_400 + "x") is None
    assert effective("Effective   from\n\n1 May 2024") == date(2024, 5, 1)
