"""Damaged and hostile files: whatever the bytes, a parser gives a text or says why not, and soon."""

import io
import random
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.documents.parsers import BY_EXTENSION, parse
from pipelines.errors import DocumentError
from tests.documents.reading import check_blocks, zipped
from tests.documents.test_mail import inside, outlook
from tests.documents.test_open_formats import book as epub_of
from tests.documents.test_open_formats import opened, rtf
from tests.documents.test_pages import ARTICLE, PAGE
from tests.documents.test_slides_and_sheets import book as workbook_of
from tests.documents.test_slides_and_sheets import deck, shape
from tests.documents.test_text_files import RST
from tests.documents.test_word_files import NUMBERING, STYLES, cell, numbered, old_word, p, row, word

SAMPLE = Path(__file__).parents[2] / "data" / "sample" / "documents"
MUTATIONS = 40
"""Of each file; a thousand times as many were run once, by hand."""


def read(data: bytes, name: str) -> str:
    """The text, or the reason; the test fails on any other exception and on blocks that do not fit."""
    try:
        found = parse(data, name)[1]
    except DocumentError as exc:
        assert str(exc)
        return str(exc)
    check_blocks(found)
    return found.text


def a_word_file() -> bytes:
    body = p("Scope", f'<w:pStyle w:val="H1"/>{numbered(1)}') + "<w:tbl>" + row(cell("a"), cell("b")) + "</w:tbl>"
    return word(body, {"styles": STYLES, "numbering": NUMBERING})


FILES = {
    "a.docx": a_word_file(),
    "a.pptx": deck(shape("Plan\nmore", top=5, holder='type="title"'), shape("x")),
    "a.xlsx": workbook_of(lambda made, sheet: sheet.append(["a", 0.5, None, "b"])),
    "a.odt": opened(
        "text", "<text:h>One</text:h><text:list><text:list-item><text:p>x</text:p></text:list-item></text:list>"
    ),
    "a.ods": opened("spreadsheet", '<table:table><table:table-row table:number-rows-repeated="9"/></table:table>'),
    "a.epub": epub_of({"a": "<h1>One</h1><p>Two</p>"}, toc='<a href="a.xhtml">One</a>'),
    "a.doc": old_word("Leave\rYou have \x13 F \x1425\x15 days\r"),
    "a.msg": outlook(**{"0037001F": "Subject".encode("utf-16-le")}),
    "a.rtf": rtf(r"\pard\s1 One\par \intbl a\cell b\cell\row {\u1055?}\'e9\par"),
    "a.eml": inside(1).as_bytes(),
    "a.html": PAGE.encode(),
    "a.xml": ARTICLE,
    "a.rst": RST.encode(),
    "a.json": b'[{"id": "a", "t": "\\u00e9\\n"}, {"b": [1, 2, {"c": null}]}]',
    "a.ipynb": b'{"cells": [{"cell_type": "code", "source": ["x"], "outputs": [{"text": "y"}]}]}',
    "a.csv": b'a,b\n1,"2\n3"\n',
    "a.py": b"class A:\n    def f(self):\n        return '\xc3\xa9'\n",
    "a.vtt": b"WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n<v Ann>Hi\n",
}


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Cut off, bits flipped, a part blanked, doubled, left out or overwritten."""
    at = rng.randrange(len(data))
    to = min(len(data), at + rng.randrange(1, 300))
    kind = rng.randrange(6)
    if kind == 0:
        return data[:at]
    if kind == 1:
        made = bytearray(data)
        for _ in range(rng.randrange(1, 12)):
            made[rng.randrange(len(made))] ^= 1 << rng.randrange(8)
        return bytes(made)
    middle = {2: bytes(to - at), 3: data[at:to] * 3, 4: b"", 5: rng.randbytes(8)}[kind]
    return data[:at] + middle + data[to:]


def damaged_inside(data: bytes, rng: random.Random) -> bytes:
    """A zip file with one of its members damaged; any other file damaged itself."""
    if not data.startswith(b"PK"):
        return damaged(data, rng)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice([name for name, content in members.items() if content])
    return zipped({**members, name: damaged(members[name], rng)})


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_gives_a_text_or_a_reason(name: str) -> None:
    rng = random.Random(name)
    for number in range(MUTATIONS):
        read((damaged if number % 3 == 0 else damaged_inside)(FILES[name], rng), name)


@pytest.mark.parametrize("kind", ["docx", "pptx", "xlsx", "html", "eml", "md", "csv"])
def test_a_damaged_file_of_the_sample_gives_a_text_or_a_reason(kind: str) -> None:
    rng = random.Random(kind)
    files = sorted(SAMPLE.rglob(f"*.{kind}"))
    for _ in range(12):
        file = rng.choice(files)
        read(damaged_inside(file.read_bytes(), rng), file.name)


@given(st.binary(max_size=300), st.sampled_from(sorted(BY_EXTENSION)))
def test_any_bytes_under_any_name_give_a_text_or_a_reason(data: bytes, extension: str) -> None:
    read(data, f"a{extension}")


TEXTS = st.text(alphabet="<>&;/\"'=[]{}()|\\#*`_~-+.:,!?% \n\r\t0aé\u202e\x00", max_size=120)


@given(
    TEXTS, st.sampled_from([".html", ".xml", ".md", ".rst", ".rtf", ".csv", ".json", ".adoc", ".tex", ".vtt", ".eml"])
)
@settings(max_examples=200)
def test_any_text_under_any_name_gives_a_text_or_a_reason(text: str, extension: str) -> None:
    start = {".rtf": "{\\rtf1 ", ".vtt": "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n", ".xml": "<x>"}.get(extension, "")
    read((start + text).encode(), f"a{extension}")


# sizes at which what takes a second for each thousand, or the square of it, would not end within a test's limit
@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"<div>" * 100_000, "a.html"),
        (b"<a href=x>" * 20_000, "a.html"),
        (b"<table>" + b"<tr><td rowspan=999 colspan=999>x" * 500, "a.html"),
        (b"<math>" + b"<mrow>" * 3_000 + b"<mi>x", "a.html"),
        (b"<a>" * 100_000, "a.xml"),
        (b"<p>x" + b"<list><item>a" * 1_000, "a.xml"),
        (b"<?xml ?>" + b" " * 9_000 + b"x", "a"),
        (b"<!DOCTYPE a [" * 600, "a"),
        (b'"a,b\n' * 100_000, "a.csv"),
        (b"a," * 1_000_000, "a.csv"),
        (b"*a_ " * 20_000, "a.md"),
        (b"[a](" * 5_000, "a.md"),
        (b"=== ===\na\n" * 20_000, "a.rst"),
        (b"a::\n\n" * 30_000, "a.rst"),
        (b"\\begin{tabular}\n" * 30_000, "a.tex"),
        (b"----\n|===\n" * 30_000, "a.adoc"),
        (b"{\\rtf1\\intbl " + b"a\\par " * 50_000, "a.rtf"),
        (b"{\\rtf1" + b"{" * 200_000, "a.rtf"),
        (b"[" + b"1," * 500_000 + b"1]", "a.json"),
        (b'{"a":' * 50_000, "a.json"),
        (b"(" * 100_000, "a.py"),
        (b"template<" * 20_000, "a.cpp"),
        (b"Subject: " + b"=?utf-8?q?a?= " * 100_000 + b"\n\nx", "a.eml"),
        (b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 20_000, "a.eml"),
        (b"Content-Type: message/rfc822\n\n" * 3_000, "a.eml"),
        (word("<w:tbl><w:tr><w:tc>" * 300 + p("x") + "</w:tc></w:tr></w:tbl>" * 300), "a.docx"),
        (word("<w:tbl>" + row(cell("a", '<w:gridSpan w:val="99999"/>')) * 2_000 + "</w:tbl>"), "a.docx"),
        (word("<w:p><m:oMath>" + "<m:rad><m:e>" * 2_000 + "</m:e></m:rad>" * 2_000 + "</m:oMath></w:p>"), "a.docx"),
        (b"a\x00" * 100_000, "a.txt"),
        (bytes(range(128, 256)) * 5_000, "a.txt"),
        (b"x" * 10_000_000, "a.txt"),
    ],
    ids=lambda value: f"{len(value)} bytes" if isinstance(value, bytes) else value,
)
def test_deep_long_and_repeated_things_end(data: bytes, name: str) -> None:
    read(data, name)


# --- containers --------------------------------------------------------------------------------


def test_a_container_of_too_many_members_is_refused() -> None:
    many = zipped({f"word/{number}.xml": "" for number in range(100_001)})
    with pytest.raises(DocumentError, match="more than 100000 members"):
        parse(many, "a.docx")


def test_a_member_that_lies_about_its_size_is_not_unpacked_beyond_it() -> None:
    honest = zipped({"word/document.xml": b"<x>" + b" " * 5_000_000 + b"</x>"})
    entry = honest.index(b"PK\x01\x02")
    size = struct.unpack_from("<I", honest, entry + 24)[0]
    lying = honest[: entry + 24] + struct.pack("<I", 10) + honest[entry + 28 :]
    assert size == 5_000_007
    with pytest.raises(DocumentError, match="damaged"):
        parse(lying, "a.docx")


def test_a_locked_member_says_so() -> None:
    data = bytearray(zipped({"word/document.xml": "<x/>"}))
    for at in (data.index(b"PK\x03\x04") + 6, data.index(b"PK\x01\x02") + 8):
        data[at] |= 1  # the flag for encryption
    with pytest.raises(DocumentError, match="password"):
        parse(bytes(data), "a.docx")


def test_an_archive_in_a_container_is_not_unpacked() -> None:
    inner = zipped({"bomb.txt": b"0" * 1_000_000})
    with pytest.raises(DocumentError, match="zip archive"):
        parse(zipped({"inner.zip": inner}), "a.docx")
