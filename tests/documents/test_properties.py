"""What files say about themselves beside their text."""

import io
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.documents.parsers import parse
from pipelines.documents.parsers.properties import properties


def front_matter(fields: str) -> dict[str, str]:
    return dict(parse(f"---\n{fields}\n---\n# Title\n\ntext".encode(), "a.md")[1].meta)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ("date: 2024-05-01", {"date": "2024-05-01"}),
        ("date: 2024-05-01 10:00:00", {"date": "2024-05-01"}),
        ("Date: 1 May 2024\nupdated: 2025-01-01", {"date": "2025-01-01"}),  # the later word on it
        ("access: hr", {"labels": '["hr"]'}),
        ("access: [hr, board]\nlabels: legal, hr", {"labels": '["board", "hr", "legal"]'}),
        ("labels: []", {"labels": "[]"}),
        ("access:", {}),
        ("access: {who: hr}", {"front_matter": "unreadable"}),
        ("access: [[hr]]", {"front_matter": "unreadable"}),
        ("access: no", {"front_matter": "unreadable"}),  # YAML reads a truth value
        ("title: [1", {"front_matter": "unreadable"}),
        ("date: 2024-13-45", {"front_matter": "unreadable"}),
        ("- a list", {}),
        ("just words", {}),
        ("a: &a [x]\nb: &b [*a, *a]\naccess: [*b, *b]", {"front_matter": "unreadable"}),
        (f"x: {'y' * 70_000}\naccess: hr", {"front_matter": "unreadable"}),
    ],
)
def test_front_matter(fields: str, found: dict[str, str]) -> None:
    assert front_matter(fields) == found


def test_front_matter_makes_nothing_run(tmp_path: object) -> None:
    assert front_matter("access: !!python/object/apply:os.system ['true']") == {"front_matter": "unreadable"}


def test_an_email_has_the_day_on_which_it_was_sent() -> None:
    mail = b"From: a@example.org\nSubject: x\nDate: Thu, 25 Jun 2026 23:30:00 -0700\n\nText.\n"
    assert parse(mail, "a.eml")[1].meta == {"date": "2026-06-25"}
    assert parse(mail.replace(b"25 Jun", b"99 Jun"), "a.eml")[1].meta == {}


def test_a_page_has_the_day_of_its_header() -> None:
    page = b'<html><head><meta content="2025-03-04T10:00:00Z" property="article:modified_time"></head><p>Text</p>'
    assert parse(page, "a.html")[1].meta == {"date": "2025-03-04T10:00:00Z"}
    assert parse(b'<meta name="description" content="2025-03-04"><p>Text</p>', "a.html")[1].meta == {}


def test_an_office_file_has_the_day_of_its_last_change() -> None:
    import docx

    file = docx.Document()
    file.add_paragraph("Text")
    file.core_properties.modified = __import__("datetime").datetime(2026, 2, 3, 4, 5)
    stream = io.BytesIO()
    file.save(stream)
    assert parse(stream.getvalue(), "a.docx")[1].meta == {"modified": "2026-02-03T04:05:00Z"}


def test_damaged_properties_are_no_properties() -> None:
    def office(core: bytes) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("docProps/core.xml", core)
        return stream.getvalue()

    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    bomb = b'<!DOCTYPE a [<!ENTITY b "x"><!ENTITY c "&b;&b;">]><a xmlns:t="http://purl.org/dc/terms/"><t:modified>&c;</t:modified></a>'
    for data in (b"", b"PK", office(b"<not xml"), office(b""), office(bomb)):
        assert properties(kind, data, "") == {}
    for media_type in ("application/pdf", "message/rfc822", "text/html", "text/csv"):
        assert properties(media_type, b"\xff\x00 damaged", "") == {}


@settings(deadline=None)
@given(st.text(max_size=200))
def test_front_matter_never_raises(fields: str) -> None:
    found = properties("text/markdown", b"", f"---\n{fields}\n---\n")
    assert all("\n" not in value and len(value) <= 5000 for value in found.values())
