"""What the PDF parser makes of pages that are drawn here: order, tables, headings, scans, damage."""

import io
import os
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

from pipelines.documents.parse import parse_paths
from pipelines.documents.parsers.draft import Parsed
from pipelines.documents.parsers.ocr import Ocr, OcrError, read_image
from pipelines.documents.parsers.pdf import parse
from pipelines.documents.parsers.pdfium import File
from pipelines.errors import DocumentError
from pipelines.settings import load

WIDTH, HEIGHT = 600, 800
WORDS = "river gauge reads level every quarter hour and sends it when the pump has stopped for the whole night".split()
needs_tesseract = pytest.mark.skipif(not shutil.which("tesseract"), reason="tesseract is not installed")


def drawn(draw: Callable[[Canvas], None], **options: Any) -> bytes:
    stream = io.BytesIO()
    canvas = Canvas(stream, pagesize=(WIDTH, HEIGHT), **options)
    canvas.setFont("Helvetica", 10)
    draw(canvas)
    canvas.save()
    return stream.getvalue()


def read(draw: Callable[[Canvas], None], ocr: Ocr | None = None, **options: Any) -> Parsed:
    found = parse(drawn(draw, **options), "page.pdf", ocr)
    at = 0
    for block in found.blocks:
        assert at <= block.start < block.end <= len(found.text)
        at = block.end
    return found


def kinds(found: Parsed) -> list[tuple[str, str]]:
    return [(b.kind, found.text[b.start : b.end]) for b in found.blocks]


def prose(seed: int, words: int = 8) -> str:
    """A line of words that no other seed gives."""
    return " ".join([f"w{seed}", *random.Random(seed).choices(WORDS, k=words - 1)])


def write(canvas: Canvas, x: float, y: float, lines: Sequence[str], leading: float = 12) -> None:
    for at, line in enumerate(lines):
        canvas.drawString(x, y - leading * at, line)


def places(found: Parsed, wanted: Sequence[str]) -> list[int]:
    text = " ".join(found.text.split())
    return [text.index(line) for line in wanted]


# --- reading order -----------------------------------------------------------------------------


@pytest.mark.parametrize("by_rows", [False, True], ids=["held column by column", "held row by row"])
def test_three_columns_of_prose_under_a_title_are_read_one_after_another(by_rows: bool) -> None:
    lines = [[prose(100 * column + row, 5) for row in range(20)] for column in range(3)]

    def draw(canvas: Canvas) -> None:
        canvas.drawString(40, 760, "A title that stands over all of the three columns of the page, from left to right")
        cells = [(column, row) for column in range(3) for row in range(20)]
        for column, row in sorted(cells, key=lambda cell: cell[::-1] if by_rows else cell):
            canvas.drawString(40 + 185 * column, 720 - 12 * row, lines[column][row])

    found = places(read(draw), [line for column in lines for line in column])
    assert found == sorted(found)


def test_columns_over_a_part_of_the_page_are_read_between_what_stands_above_and_below() -> None:
    above, below = ([prose(seed + at, 15) for at in range(6)] for seed in (0, 50))
    left, right = ([prose(seed + at, 6) for at in range(8)] for seed in (100, 200))

    def draw(canvas: Canvas) -> None:
        write(canvas, 40, 760, above)
        write(canvas, 40, 660, left)
        write(canvas, 320, 654, right)  # on baselines of its own
        write(canvas, 40, 520, below)

    found = places(read(draw), [*above, *left, *right, *below])
    assert found == sorted(found)


def test_blocks_of_short_lines_side_by_side_are_read_as_the_file_holds_them() -> None:
    address = ["Northfell Water Ltd", "14 Mill Yard", "Kendal LA9 4QD"]
    sender = ["Tarnwick Instruments", "Quay House, Unit 2", "Porto 4050-012"]

    def draw(canvas: Canvas) -> None:
        write(canvas, 40, 760, address)
        write(canvas, 340, 757, sender)

    assert [text for _, text in kinds(read(draw))] == [" ".join(address), " ".join(sender)]


def test_labels_stay_with_their_values_whatever_the_file_holds_first() -> None:
    labels, values = ["Order", "Date", "Due", "Terms"], ["PO 7781", "4 March 2026", "3 April 2026", "30 days net"]

    def draw(canvas: Canvas) -> None:
        write(canvas, 40, 760, labels)
        write(canvas, 200, 760, values)

    text = read(draw).text
    assert all(f"{label} | {value}" in text for label, value in zip(labels, values, strict=True))


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("by_page", [True, False], ids=["page turned", "text turned"])
def test_turned_pages_are_read_upright(turn: int, by_page: bool) -> None:
    lines = [prose(at) for at in range(6)]

    def draw(canvas: Canvas) -> None:
        if by_page:
            canvas.setPageRotation(turn)
        else:
            canvas.translate(WIDTH / 2, HEIGHT / 2)
            canvas.rotate(turn)
            canvas.translate(-WIDTH / 2, -HEIGHT / 2)
        write(canvas, 120, 480, lines)

    assert kinds(read(draw)) == [("paragraph", " ".join(lines))]


def test_a_stamp_in_the_margin_comes_after_the_text() -> None:
    def draw(canvas: Canvas) -> None:
        write(canvas, 80, 700, [prose(at) for at in range(6)])
        canvas.rotate(90)
        canvas.drawString(200, -30, "archive:2004.04906 of 30 September")

    assert [text for _, text in kinds(read(draw))][-1] == "archive:2004.04906 of 30 September"


def test_a_script_that_runs_to_the_left_is_read_from_the_right() -> None:
    from matplotlib import get_data_path
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    pdfmetrics.registerFont(TTFont("DejaVu", Path(get_data_path()) / "fonts/ttf/DejaVuSans.ttf"))

    def draw(canvas: Canvas) -> None:
        canvas.setFont("DejaVu", 10)
        canvas.drawString(200, 700, "Sonde M3 רישכמ לש ךירדמ")  # as it is seen, from left to right

    assert read(draw).text == "מדריך של מכשיר Sonde M3"


# --- lines -------------------------------------------------------------------------------------


def test_a_word_divided_at_the_end_of_a_column_or_page_is_made_whole() -> None:
    def draw(canvas: Canvas) -> None:
        write(canvas, 40, 700, [*(prose(at) for at in range(5)), "the sensor must not be sub-"])
        canvas.setFont("Helvetica", 7)
        write(canvas, 40, 100, ["1 A note at the foot of the page, which waits."])
        canvas.showPage()
        canvas.setFont("Helvetica", 10)
        write(
            canvas,
            40,
            700,
            ["merged while it is connected.", "Long-term drift is low, and long-", "term storage is dry."],
        )

    found = kinds(read(draw))
    assert "must not be submerged while it is connected. Long-term drift is low, and long-term storage" in found[0][1]
    assert found[1] == ("paragraph", "1 A note at the foot of the page, which waits.")


def test_text_that_is_drawn_twice_is_read_once() -> None:
    def draw(canvas: Canvas) -> None:
        for shift in (0, 0.4):
            write(canvas, 40 + shift, 700, ["The valve must be shut", "before the lid is opened"])

    assert read(draw).text == "The valve must be shut before the lid is opened"


def test_marks_of_footnotes_are_no_part_of_words_and_exponents_are() -> None:
    def draw(canvas: Canvas) -> None:
        text = canvas.beginText(40, 700)
        for size, rise, words in (
            (10, 0, "Levels are means"),
            (6, 4, "2"),
            (10, 0, " over an area of 5 m"),
            (6, 4, "2"),
        ):
            text.setFont("Helvetica", size)
            text.setRise(rise)
            text.textOut(words)
        canvas.drawText(text)

    assert read(draw).text == "Levels are means 2 over an area of 5 m2"


def test_running_headers_and_page_numbers_leave_the_text_and_are_noted_once() -> None:
    def draw(canvas: Canvas) -> None:
        for page in range(1, 5):
            canvas.setFont("Helvetica", 10)
            canvas.drawString(40, 780, f"Manual TM-0401, revision {page + 5}")
            write(canvas, 40, 700, [prose(10 * page + at) + "." for at in range(5)])
            canvas.drawString(300, 20, f"Page {page} of 4")
            canvas.showPage()

    found = kinds(read(draw))
    assert [text for kind, text in found if kind == "note"] == ["Manual TM-0401, revision 6"]
    assert len(found) == 5 and not any("Manual" in text or "Page" in text for _, text in found[:4])


def test_a_watermark_on_every_page_is_noted_once() -> None:
    def draw(canvas: Canvas) -> None:
        for page in range(3):
            canvas.setFont("Helvetica", 10)
            write(canvas, 40, 700, [prose(10 * page + at) for at in range(5)])
            canvas.translate(200, 300)
            canvas.rotate(45)
            canvas.setFont("Helvetica", 60)
            canvas.drawString(0, 0, "DRAFT COPY")
            canvas.showPage()

    assert [text for _, text in kinds(read(draw)) if "DRAFT" in text] == ["DRAFT COPY"]


def test_code_keeps_its_lines_and_indents() -> None:
    def draw(canvas: Canvas) -> None:
        write(canvas, 40, 700, [prose(at) for at in range(6)])
        canvas.setFont("Courier", 9)
        write(canvas, 50, 600, ["def level(raw):", "    if raw  < 0:", "        return None"], 11)

    assert kinds(read(draw))[-1] == ("code", "def level(raw):\n    if raw  < 0:\n        return None")


# --- headings ----------------------------------------------------------------------------------


def test_headings_are_told_by_size_weight_and_number() -> None:
    def draw(canvas: Canvas) -> None:
        y = 780
        for font, size, line in (
            ("Helvetica-Bold", 18, "Turbidity in rivers"),
            ("Helvetica", 10, prose(1, 12) + "."),
            ("Helvetica-Bold", 12, "1 Scope"),
            ("Helvetica", 10, prose(2, 12) + "."),
            ("Helvetica-Bold", 12, "1.1 Sensors"),
            ("Helvetica", 10, prose(3, 12) + "."),
            ("Helvetica-Bold", 12, "2 Results"),
            ("Helvetica", 10, prose(4, 12) + "."),
        ):
            y -= 40
            canvas.setFont(font, size)
            canvas.drawString(40, y, line)

    found = read(draw)
    assert found.title == "Turbidity in rivers"
    assert [b.heading_path for b in found.blocks if b.kind == "heading"] == [
        ("Turbidity in rivers",),
        ("Turbidity in rivers", "1 Scope"),
        ("Turbidity in rivers", "1 Scope", "1.1 Sensors"),
        ("Turbidity in rivers", "2 Results"),
    ]


def test_bookmarks_make_headings_of_lines_that_look_like_the_text() -> None:
    def draw(canvas: Canvas) -> None:
        y = 780
        for level, line in ((0, "Mounting"), (None, prose(1, 12)), (1, "In pipes"), (None, prose(2, 12))):
            y -= 40
            canvas.drawString(40, y, line)
            if level is not None:
                canvas.bookmarkPage(line)
                canvas.addOutlineEntry(line, line, level)

    headings = [b.heading_path for b in read(draw).blocks if b.kind == "heading"]
    assert headings == [("Mounting",), ("Mounting", "In pipes")]


@pytest.mark.parametrize(
    ("named", "title"),
    [
        ("The tide tables of Arnish Bay", "The tide tables of Arnish Bay"),
        ("Microsoft Word - draft3.docx", "Page"),  # what a program wrote
        ("Letter template", "Page"),  # what the page does not show
    ],
)
def test_the_title_in_the_properties_counts_where_the_page_shows_it(named: str, title: str) -> None:
    def draw(canvas: Canvas) -> None:
        canvas.setTitle(named)
        write(canvas, 40, 700, ["The tide tables of", "Arnish Bay are printed", "once a year in March."])

    assert read(draw).title == title


# --- tables ------------------------------------------------------------------------------------

PRICES = [
    ["Part", "Description", "Unit", "Price"],
    ["SP-100", "Wiper blade with screw", "each", "4.10"],
    ["SP-217", "O-ring", "box of 10", "12.00"],
    ["SP-365", "Antenna cable", "each", "103.50"],
]


def write_table(canvas: Canvas, rows: Sequence[Sequence[str]], y: float = 600) -> None:
    for row in rows:
        canvas.drawString(40, y, row[0])
        for x, cell in zip((110, 300), row[1:-1], strict=False):
            canvas.drawString(x, y, cell)
        canvas.drawRightString(500, y, row[-1])
        y -= 14


def markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def test_a_price_list_without_rules_is_a_table() -> None:
    def draw(canvas: Canvas) -> None:
        write(canvas, 40, 700, [prose(1, 14), prose(2, 14) + "."])
        write_table(canvas, PRICES)
        write(canvas, 40, 500, [prose(3, 14), prose(4, 14)])

    assert [kind for kind, _ in kinds(read(draw))] == ["paragraph", "table", "paragraph"]
    assert kinds(read(draw))[1][1] == markdown(PRICES)


def test_a_table_between_lines_has_one_header() -> None:
    rows = [["", "Year ended", ""], ["Site", "2025", "2024"], ["Kendal", "1,204", "998"], ["Porto", "877", "(12)"]]

    def draw(canvas: Canvas) -> None:
        for y in (615, 583, 555):  # above and below the header, and at the end
            canvas.line(40, y, 400, y)
        for at, row in enumerate(rows):
            for x, cell in zip((40, 200, 330), row, strict=True):
                canvas.drawString(x, 604 - 14 * at, cell)

    text = "| Site | Year ended 2025 | 2024 |\n|---|---|---|\n| Kendal | 1,204 | 998 |\n| Porto | 877 | (12) |"
    assert kinds(read(draw)) == [("table", text)]


def test_ruled_cells_over_several_places_fill_the_first_of_them() -> None:
    def draw(canvas: Canvas) -> None:
        for y in (620, 600, 580):
            canvas.line(40, y, 340, y)
        for x in (40, 340):
            canvas.line(x, 620, x, 580)
        for x in (140, 240):
            canvas.line(x, 600, x, 580)
        canvas.drawString(45, 606, "Readings of May")
        for x, cell in ((45, "Kendal"), (145, "17"), (245, "21")):
            canvas.drawString(x, 586, cell)

    assert kinds(read(draw)) == [("table", "| Readings of May |  |  |\n|---|---|---|\n| Kendal | 17 | 21 |")]


def test_a_frame_around_prose_is_no_table() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.rect(30, 600, 500, 120)
        write(canvas, 40, 700, [prose(at) for at in range(6)])

    assert [kind for kind, _ in kinds(read(draw))] == ["paragraph"]


def test_a_table_that_goes_on_over_the_page_has_its_header_there_too() -> None:
    def draw(canvas: Canvas) -> None:
        write_table(canvas, PRICES, 160)
        canvas.showPage()
        canvas.setFont("Helvetica", 10)
        write_table(canvas, [["SP-401", "Swing bracket", "each", "66.00"], *PRICES[2:]], 700)

    first, second = kinds(read(draw))
    assert second[1].startswith("| Part | Description | Unit | Price |\n|---|---|---|---|\n| SP-401 |")
    assert first[1] == markdown(PRICES)


cells = st.text(st.characters(codec="ascii", categories=["Lu", "Ll"]), min_size=3, max_size=9)
figures = st.integers(0, 99_999).map("{:,}".format)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(cells, cells, figures, figures), min_size=4, max_size=20))
def test_aligned_rows_come_back_cell_by_cell(rows: list[tuple[str, str, str, str]]) -> None:
    def draw(canvas: Canvas) -> None:
        for at, (first, second, third, fourth) in enumerate(rows):
            y = 700 - 14 * at
            canvas.drawString(40, y, first)
            canvas.drawString(150, y, second)
            canvas.drawRightString(330, y, third)
            canvas.drawRightString(430, y, fourth)

    found = kinds(read(draw))
    assert found == [("table", markdown(rows))]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(0, WIDTH - 60), st.integers(80, HEIGHT - 80), st.sampled_from([6, 10, 14])),
        min_size=1,
        max_size=60,
    )
)
def test_no_word_is_lost_wherever_it_stands(spots: list[tuple[int, int, int]]) -> None:
    spots = list({(x // 60, y // 20): (x // 60 * 60, y // 20 * 20, size) for x, y, size in spots}.values())

    def draw(canvas: Canvas) -> None:
        for at, (x, y, size) in enumerate(spots):
            canvas.setFont("Helvetica", size)
            canvas.drawString(x, y, f"word{at:03}")

    text = read(draw).text
    assert sorted(word for word in text.replace("|", " ").split() if word.startswith("word")) == [
        f"word{at:03}" for at in range(len(spots))
    ]


# --- what is not plain text --------------------------------------------------------------------


def test_filled_fields_are_read_with_the_page() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.drawString(40, 700, "Name of the site:")
        canvas.acroForm.textfield(name="site", value="Ogden Clough", x=150, y=690, width=200, height=24)

    assert " ".join(read(draw).text.replace("|", " ").split()) == "Name of the site: Ogden Clough"


def test_a_user_password_is_a_reason_and_an_owners_is_none() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.drawString(40, 700, "Salaries of the year")

    assert read(draw, encrypt=StandardEncryption("", ownerPassword="boss")).text == "Salaries of the year"
    with pytest.raises(DocumentError, match="password"):
        read(draw, encrypt=StandardEncryption("secret", ownerPassword="boss"))


def three_pages() -> bytes:
    def draw(canvas: Canvas) -> None:
        for page in range(3):
            write(canvas, 40, 700, [prose(10 * page + at) for at in range(5)])
            canvas.showPage()

    return drawn(draw, pageCompression=0)


def test_a_damaged_page_costs_itself_alone() -> None:
    data = three_pages()
    kids = data[data.index(b"/Kids") :].split(b"]")[0]
    second = kids.split(b"R")[1].strip()
    found = parse(data.replace(kids, kids.replace(second, b"99" + second[second.index(b" ") :])), "a.pdf")
    assert [block.page for block in found.blocks] == [1, 2, 3]
    assert kinds(found)[1] == ("note", "[Page 2 is left out: page 2 is damaged]")


def test_a_broken_table_of_references_is_mended() -> None:
    data = three_pages()
    assert parse(data.replace(b"startxref\n", b"startxref\n9"), "a.pdf").text == parse(data, "a.pdf").text


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_any_damage_gives_a_text_or_a_reason(data: st.DataObject) -> None:
    file = bytearray(three_pages())
    for _ in range(data.draw(st.integers(1, 20))):
        at = data.draw(st.integers(0, len(file) - 1))
        file[at] = data.draw(st.integers(0, 255))
    try:
        found = parse(bytes(file[: data.draw(st.integers(1, len(file)))]), "a.pdf")
    except DocumentError as exc:
        assert str(exc)
    else:
        assert found.text


# --- scans -------------------------------------------------------------------------------------


def scan_of(lines: Sequence[str], turn: int = 0) -> bytes:
    """A page that is a picture of lines."""
    from PIL import Image

    def draw_text(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 14)
        write(canvas, 60, 700, lines, 24)

    with File(drawn(draw_text)) as file:
        picture, _ = file.render(1, dots_per_inch=150)
    image = Image.open(io.BytesIO(picture)).rotate(turn, expand=True)

    def draw(canvas: Canvas) -> None:
        canvas.drawInlineImage(image, 0, 0, WIDTH, HEIGHT)

    return drawn(draw)


LINES = [
    "The level of the river is read every quarter of an hour.",
    "A gauge that has frozen must not be moved before it thaws.",
    "Readings are kept for ten years and then given away.",
]


def test_without_tesseract_a_scan_is_refused_with_a_reason_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(DocumentError, match="tesseract"):
        parse(scan_of(LINES), "scan.pdf", Ocr())
    with pytest.raises(OcrError, match="not installed"):
        read_image(b"P5 1 1 255\n0")


def test_a_scanned_page_beside_others_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    def draw(canvas: Canvas) -> None:
        write(canvas, 40, 700, LINES)
        canvas.showPage()
        canvas.drawInlineImage(Image.new("L", (60, 80), 128), 0, 0, WIDTH, HEIGHT)

    monkeypatch.setenv("PATH", os.devnull)
    assert kinds(read(draw, Ocr()))[-1] == ("note", "[Page 2 holds no text: a scanned image]")


@pytest.mark.parametrize(
    ("script", "reason"),
    [("exec sleep 60", "took longer than 0.2 s"), ("echo no data >&2; exit 1", "failed: no data")],
)
def test_a_reader_of_pictures_that_hangs_or_fails_costs_its_page_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    from PIL import Image

    program = tmp_path / "tesseract"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def draw(canvas: Canvas) -> None:
        canvas.drawInlineImage(Image.new("L", (60, 80), 128), 0, 0, WIDTH, HEIGHT)
        canvas.showPage()
        canvas.setFont("Helvetica", 10)
        write(canvas, 40, 700, LINES)

    note, text = kinds(read(draw, Ocr(page_timeout_s=0.2)))
    assert note[0] == "note" and reason in note[1]
    assert text == ("paragraph", " ".join(LINES))


@needs_tesseract
@pytest.mark.parametrize("turn", [0, 90])
def test_a_scan_is_read_whichever_way_it_lies(turn: int) -> None:
    found = parse(scan_of(LINES, turn), "scan.pdf", Ocr())
    assert " ".join(found.text.casefold().split()).startswith(" ".join(LINES).casefold())
    assert found.blocks[-1].kind == "note" and found.blocks[0].page == 1


@needs_tesseract
def test_only_so_many_scans_of_a_file_are_read_and_none_without_time() -> None:
    with pytest.raises(DocumentError, match="scanned"):
        parse(scan_of(LINES), "scan.pdf", Ocr(pages_at_most=0))
    with pytest.raises(DocumentError, match="timeout_s"):
        parse(scan_of(LINES), "scan.pdf", Ocr(until=0.0))


@needs_tesseract
def test_scans_are_read_in_the_sandbox_under_its_settings(tmp_path: Path) -> None:
    (tmp_path / "scan.pdf").write_bytes(scan_of(LINES))
    limits = load().documents
    (line,) = parse_paths([tmp_path], limits, workers=1)
    assert line.status == "parsed" and LINES[0].casefold() in " ".join((line.text or "").casefold().split())
    (line,) = parse_paths([tmp_path], limits.model_copy(update={"ocr_languages": "xyz"}), workers=1)
    assert line.status == "quarantined" and "xyz" in (line.reason or "")
