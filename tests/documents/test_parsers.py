"""What each parser makes of small files that are written here."""

import codecs
import importlib.util
import io
import shutil
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.documents.parsers import format_of, package, parse
from pipelines.documents.parsers.decoding import decode
from pipelines.documents.parsers.draft import markdown_table, readable_name
from pipelines.errors import DocumentError
from tests.documents.reading import kinds, parsed

SAMPLE = Path(__file__).parents[2] / "data" / "sample" / "documents"
CRLF_MARKDOWN = (
    "\ufeff# One\r\n\r\nFirst.\r\n\r\n## Two\r\n\r\n- a\r\n- b\r\n\r\n| x | y |\r\n|---|---|\r\n| 1 | 2 |\r\n"
)


# --- text in place ----------------------------------------------------------------------------


def test_markdown_keeps_its_own_text_and_loses_its_bom() -> None:
    found = parsed(CRLF_MARKDOWN.encode(), "a.md")
    assert found.text == CRLF_MARKDOWN[1:]
    assert [k for k, _ in kinds(found)] == ["heading", "paragraph", "heading", "list", "table"]
    assert found.blocks[-1].heading_path == ("One", "Two")
    assert found.title == "One"


def test_markdown_headings_lose_their_markup_in_paths_alone() -> None:
    found = parsed(b"Title *with* `code`\n===\n\ntext", "a.md")
    assert found.title == "Title with code"
    assert kinds(found)[0] == ("heading", "Title *with* `code`\n===")


def test_markdown_front_matter_is_a_note() -> None:
    found = parsed(b"---\nowner: x\n---\n# T\n\nBody\n", "a.md")
    assert kinds(found) == [("note", "---\nowner: x\n---"), ("heading", "# T"), ("paragraph", "Body")]


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\r\t"), max_size=300))
def test_text_formats_keep_every_character(text: str) -> None:
    data = text.encode()
    for name in ("a.md", "a.txt", "a.py", "a.rst"):
        try:
            found = parsed(data, name)
        except DocumentError:
            continue
        assert found.text == decode(data)


@given(
    st.lists(st.sampled_from(["# h", "para", "- item", "1. one", "| a | b |", "|---|---|", "```", "> q", "", "    x"]))
)
def test_markdown_blocks_lie_in_order_whatever_the_structure(lines: list[str]) -> None:
    if any(line.strip() for line in lines):
        parsed("\n".join(lines).encode(), "a.md")


def test_plain_text_headings_are_found_by_capitals_numbers_and_rules() -> None:
    text = (
        "SITE RULES\nRevised 2026\n\n1. Entry\nShow the badge.\n\nNotes\n-----\nNone.\n\n"
        "2. Measure in the tarn, not in a\nbucket."
    )
    found = parsed(text.encode(), "rules.txt")
    headings = [(b.heading_path, found.text[b.start : b.end]) for b in found.blocks if b.kind == "heading"]
    assert headings == [
        (("SITE RULES",), "SITE RULES"),
        (("SITE RULES", "1. Entry"), "1. Entry"),
        (("SITE RULES", "Notes"), "Notes"),
    ]
    assert kinds(found)[-1] == ("paragraph", "2. Measure in the tarn, not in a\nbucket.")


def test_source_code_is_titled_by_its_name() -> None:
    found = parsed(b"def f():\n    return 1\n\n\nX = 2\n", "src/tool.py")
    assert found.title == "tool.py"
    assert kinds(found) == [("code", "def f():\n    return 1"), ("code", "X = 2")]


# --- decoding ---------------------------------------------------------------------------------

GERMAN = "Größe über Straße – 5 £, naïve façade\r\nzweite Zeile"


@pytest.mark.parametrize(
    "encoded",
    [
        GERMAN.encode(),
        codecs.BOM_UTF8 + GERMAN.encode(),
        codecs.BOM_UTF16_LE + GERMAN.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + GERMAN.encode("utf-16-be"),
        codecs.BOM_UTF32_LE + GERMAN.encode("utf-32-le"),
        GERMAN.encode("utf-16-le"),
        GERMAN.encode("cp1252"),
    ],
    ids=["utf-8", "utf-8 with BOM", "utf-16-le", "utf-16-be", "utf-32", "utf-16 without BOM", "windows-1252"],
)
def test_text_is_decoded_whatever_its_encoding(encoded: bytes) -> None:
    assert decode(encoded) == GERMAN


def test_other_scripts_in_old_encodings_are_recognised() -> None:
    russian = "Привет, мир. Это текст на русском языке, который должен быть прочитан. " * 3
    assert decode(russian.encode("cp1251")) == russian


def test_a_page_in_a_declared_encoding_is_believed() -> None:
    page = '<html><head><meta charset="iso-8859-2"></head><body><p>żółć</p></body></html>'
    assert "żółć" in parsed(page.encode("iso-8859-2"), "a.html").text


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_utf8_round_trips(text: str) -> None:
    if text.strip() and not text.startswith("\ufeff"):
        assert decode(text.encode()) == text


@given(st.binary(max_size=400))
def test_any_bytes_are_text_or_refused(data: bytes) -> None:
    for name in ("a.txt", "a.csv", "a.html", "a.eml", "a.bin", "a.pdf", "a.docx"):
        try:
            parsed(data, name)
        except DocumentError as exc:
            assert str(exc)


# --- tables -----------------------------------------------------------------------------------


def test_csv_delimiters_are_found() -> None:
    for delimiter in ",;\t|":
        data = f"Part{delimiter}Price\nRK-110{delimiter}12\nRK-120{delimiter}13\n".encode()
        assert parsed(data, "a.csv").text == "| Part | Price |\n|---|---|\n| RK-110 | 12 |\n| RK-120 | 13 |"


def test_csv_quotes_line_breaks_and_uneven_rows_stay_one_row_a_line() -> None:
    found = parsed(b'a,b,c\n"x, ""y""\nz",2\n1,2,3\n', "a.csv")
    assert found.text.split("\n")[2:] == ['| x, "y" z | 2 |  |', "| 1 | 2 | 3 |"]


@given(st.lists(st.lists(st.text(max_size=8), max_size=4), max_size=5))
def test_a_markdown_table_is_one_line_a_row(rows: list[list[str]]) -> None:
    filled = sum(any(cell.strip() for cell in row) for row in rows)
    table = markdown_table(rows)
    # the header's separator is one line more
    assert len(table.split("\n")) == (filled + 1 if filled else 1)


def test_a_zip_that_unpacks_to_too_much_is_refused_unopened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "MAX_UNPACKED_BYTES", 2**20)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"0" * 2**20)
        archive.writestr("word/more.xml", b"0")
    with pytest.raises(DocumentError, match="unpacks to 1048577 bytes"):
        parse(stream.getvalue(), "bomb.docx")


# --- PDF --------------------------------------------------------------------------------------


def two_columns() -> bytes:
    from reportlab.pdfgen.canvas import Canvas

    stream = io.BytesIO()
    canvas = Canvas(stream, pagesize=(600, 800))
    canvas.setFont("Helvetica-Bold", 18)
    canvas.drawString(50, 740, "A heading over both of the two columns")
    canvas.setFont("Helvetica", 10)
    for side, x in (("left", 50), ("right", 320)):
        for line in range(12):
            canvas.drawString(x, 700 - 14 * line, f"The {side} column says number {line} here")
    canvas.showPage()
    canvas.showPage()
    canvas.save()
    return stream.getvalue()


def test_pdf_columns_are_read_one_after_the_other() -> None:
    found = parsed(two_columns(), "paper.pdf")
    assert found.title == "A heading over both of the two columns"
    text = " ".join(found.text.split())
    wanted = [f"The {side} column says number {line} here" for side in ("left", "right") for line in range(12)]
    places = [text.index(line) for line in wanted]
    assert places == sorted(places)


def test_a_pdf_page_without_text_is_noted() -> None:
    found = parsed(two_columns(), "paper.pdf")
    assert kinds(found)[-1] == ("note", "[Page 2 holds no text: empty]")
    assert found.blocks[-1].page == 2


def test_a_pdf_table_is_a_markdown_table_under_its_heading() -> None:
    found = parsed((SAMPLE / "products/manuals/curlew-c100-manual.pdf").read_bytes(), "m.pdf")
    tables = [b for b in found.blocks if b.kind == "table"]
    assert "| 30 | Turbidity, smoothed | float | as set |" in found.text[tables[0].start : tables[0].end]
    assert tables[0].heading_path[-1] == "Modbus registers most often needed"


def test_a_pdf_without_any_text_is_refused() -> None:
    from reportlab.pdfgen.canvas import Canvas

    stream = io.BytesIO()
    canvas = Canvas(stream)
    canvas.showPage()
    canvas.save()
    with pytest.raises(DocumentError, match="no text on any"):
        parse(stream.getvalue(), "scan.pdf")


# --- which format -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "name", "media_type"),
    [
        (b"%PDF-1.4", "no-extension", "application/pdf"),  # magic counts without a name
        (b"%PDF-1.4", "wrong.txt", "application/pdf"),  # and against it
        (b"<!DOCTYPE html><p>x", "page", "text/html"),
        (b"From: a\nSubject: b\n\nx", "mail", "message/rfc822"),
        (b"plain words", "NOTES", "text/plain"),
        (b"a,b", "A.CSV", "text/csv"),  # extensions in any case
        (b"{\\rtf1 x}", "letter.doc", "application/rtf"),  # what many programs call .doc
        (b"<html><table>", "export.xls", "text/html"),  # and .xls
        (b"a\tb\n1\t2\n", "export.xls", "text/tab-separated-values"),
        (b'<?xml version="1.0"?><rss/>', "feed", "application/xml"),
        (b'<?xml version="1.0"?>\n<!-- x -->\n<html><body>x', "page", "text/html"),
        ("\ufeff<html><p>x".encode("utf-16"), "page", "text/html"),
        (b"#!/bin/sh\nls\n", "run", "text/x-source"),
        (b"all:\n\tls\n", "Makefile", "text/x-source"),
        (b"float64 x\n", "Point.msg", "text/plain"),  # not every .msg is Outlook's
        (b"WEBVTT\n\n", "talk", "text/vtt"),
        (b'{"a": 1}\n', "dump", "application/json"),
        (b"[x] ticked, and a note [y]", "todo", "text/plain"),
        (b"Received: x\nDate: y\nMessage-ID: z\n\nw", "mail", "message/rfc822"),
        (b"From: <Saved by Blink>\nSubject: x\nMIME-Version: 1.0\n\n", "page.html", "message/rfc822"),
    ],
)
def test_formats_follow_from_bytes_first(data: bytes, name: str, media_type: str) -> None:
    assert format_of(data, name).media_type == media_type


@pytest.mark.parametrize(
    ("data", "name", "reason"),
    [
        (b"hello", "a.pdf", "does not begin like"),
        (b"\x89PNG\r\n", "a.png", "image"),
        (b"\xd0\xcf\x11\xe0" + "EncryptedPackage".encode("utf-16-le"), "a.docx", "password"),
        (b"\xd0\xcf\x11\xe0", "a.doc", "old binary Office"),
        (b"PK\x03\x04broken", "a.docx", "damaged zip"),
        (b"\x1f\x8b\x08", "a.tar.gz", "gzip archive"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "a.wav", "speech"),
        (b"\x00\x00\x00\x18ftypmp42", "a.mp4", "film"),
        (b"\x00\x00\x00\x18ftypheic", "a.heic", "save it as PNG"),
        (b"\x78\x9f\x3e\x22\x00", "winmail.dat", "TNEF"),
        (bytes(range(256)) * 4, "a.bin", "unknown binary"),
        (b" \n\t ", "a.txt", "white space"),
    ],
)
def test_what_cannot_be_read_says_why(data: bytes, name: str, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason):
        parse(data, name)


def test_an_image_gives_its_words_where_something_reads_them() -> None:
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("L", (900, 120), 255)
    ImageDraw.Draw(picture).text((30, 30), "The tarn is closed", fill=0, font=ImageFont.load_default(40))
    stream = io.BytesIO()
    picture.save(stream, "TIFF", save_all=True, append_images=[picture])
    reads = importlib.util.find_spec("pipelines.documents.parsers.ocr") is not None and shutil.which("tesseract")
    if not reads:
        with pytest.raises(DocumentError, match="text in images is not read"):
            parse(stream.getvalue(), "scan.tiff")
        return
    found = parsed(stream.getvalue(), "scan.tiff")
    assert [(b.page, found.text[b.start : b.end]) for b in found.blocks] == [
        (1, "The tarn is closed"),
        (2, "The tarn is closed"),
    ]


def test_file_names_become_titles() -> None:
    assert readable_name("policies/travel-and-expenses_2026.md") == "Travel and expenses 2026"
