"""PPTX and workbooks: what a reader of the slide or sheet sees."""

import io
from collections.abc import Callable, Sequence
from typing import Any

import openpyxl
import pytest
from openpyxl.comments import Comment

from pipelines.documents.parsers import parse
from pipelines.errors import DocumentError
from tests.documents.reading import kinds, parsed, replaced, zipped

NAMESPACES = " ".join(
    f'xmlns:{prefix}="{address}"'
    for prefix, address in {
        "p": "http://schemas.openxmlformats.org/presentationml/2006/main",
        "a": "http://schemas.openxmlformats.org/drawingml/2006/main",
        "r": "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    }.items()
)
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"


def relations(targets: Sequence[tuple[str, str]]) -> str:
    """`rId1` is the first."""
    each = (f'<Relationship Id="rId{n}" Type="http://x/{k}" Target="{t}"/>' for n, (k, t) in enumerate(targets, 1))
    return f'<Relationships xmlns="{RELATIONS}">{"".join(each)}</Relationships>'


def deck(*slides: str, layout: str = "") -> bytes:
    """A PPTX of slides, given as the XML of their shapes."""
    members = {
        "ppt/presentation.xml": f"<p:presentation {NAMESPACES}><p:sldIdLst>"
        + "".join(f'<p:sldId r:id="rId{n}"/>' for n in range(1, len(slides) + 1))
        + '</p:sldIdLst><p:sldSz cy="6858000"/></p:presentation>',
        "ppt/_rels/presentation.xml.rels": relations(
            [("slide", f"slides/s{n}.xml") for n in range(1, len(slides) + 1)]
        ),
        "ppt/layouts/l.xml": f"<p:sldLayout {NAMESPACES}><p:cSld><p:spTree>{layout}</p:spTree></p:cSld></p:sldLayout>",
    }
    for number, shapes in enumerate(slides, 1):
        members[f"ppt/slides/s{number}.xml"] = (
            f'<p:sld {NAMESPACES} show="0"><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:sld>'
        )
        members[f"ppt/slides/_rels/s{number}.xml.rels"] = relations([("slideLayout", "../layouts/l.xml")])
    return zipped(members)


def shape(words: str, *, top: int | None = None, left: int = 0, holder: str = "") -> str:
    place = f'<p:spPr><a:xfrm><a:off x="{left}" y="{top}"/></a:xfrm></p:spPr>' if top is not None else ""
    holds = f"<p:ph {holder}/>" if holder else ""
    lines = "".join(f"<a:p><a:r><a:t>{line}</a:t></a:r></a:p>" for line in words.split("\n"))
    return f"<p:sp><p:nvSpPr><p:nvPr>{holds}</p:nvPr></p:nvSpPr>{place}<p:txBody>{lines}</p:txBody></p:sp>"


def test_a_slide_without_a_title_stands_under_no_other_slides_title() -> None:
    found = parsed(deck(shape("Plan", holder='type="title"'), shape("Orphan"), shape("x")), "a.pptx")
    assert [(b.page, b.heading_path) for b in found.blocks] == [(1, ("Plan",)), (2, ("Plan",)), (3, ("Plan",))]
    # the first slide's title is the deck's; a later one's ends with its slide
    titled = deck(shape("Deck", holder='type="ctrTitle"'), shape("Two", holder='type="title"'), shape("Orphan"))
    assert parsed(titled, "a.pptx").blocks[-1].heading_path == ("Deck",)


def test_shapes_are_read_row_by_row_though_their_tops_differ_a_little() -> None:
    # 100,000 EMU are a seventieth of the slide's height: one row
    shapes = shape("right", top=900_000, left=5) + shape("left", top=1_000_000, left=1) + shape("below", top=3_000_000)
    assert parsed(deck(shapes), "a.pptx").text == "left\n\nright\n\nbelow"


def test_a_placeholder_stands_where_its_layout_has_it() -> None:
    layout = shape("", top=100, holder='type="body" idx="7"')
    shapes = shape("low", top=5_000_000) + shape("high", holder='idx="7"')
    assert parsed(deck(shapes, layout=layout), "a.pptx").text == "high\n\nlow"


def test_numbered_points_carry_their_numbers() -> None:
    number = '<a:pPr><a:buAutoNum type="arabicPeriod"/></a:pPr>'
    inner = '<a:pPr lvl="1"><a:buAutoNum type="alphaLcParenR"/></a:pPr>'
    lines = "".join(
        f"<a:p>{kind}<a:r><a:t>{words}</a:t></a:r></a:p>"
        for kind, words in ((number, "one"), (inner, "in"), (inner, "in too"), (number, "two"))
    )
    body = f"<p:sp><p:nvSpPr><p:nvPr/></p:nvSpPr><p:txBody>{lines}</p:txBody></p:sp>"
    assert parsed(deck(body), "a.pptx").text == "1. one\n  a) in\n  b) in too\n2. two"


def test_merged_cells_of_a_slide_are_spread_and_margins_are_notes() -> None:
    def cells(*given: str) -> str:
        return "<a:tr>" + "".join(given) + "</a:tr>"

    def cell(words: str, spans: str = "") -> str:
        return f"<a:tc {spans}><a:txBody><a:p><a:r><a:t>{words}</a:t></a:r></a:p></a:txBody></a:tc>"

    table = (
        "<p:graphicFrame><a:tbl>"
        + cells(cell("Site"), cell("Days", 'gridSpan="2"'), cell("", 'hMerge="1"'))
        + cells(cell("Porto"), cell("1"), cell("2"))
        + "</a:tbl></p:graphicFrame>"
    )
    footer = shape("Confidential", holder='type="ftr"') + shape("7", holder='type="sldNum"')
    assert kinds(parsed(deck(table + footer), "a.pptx")) == [
        ("table", "| Site | Days | Days |\n|---|---|---|\n| Porto | 1 | 2 |"),
        ("note", "Confidential"),
    ]


def test_a_slide_that_the_file_does_not_hold_costs_itself_alone() -> None:
    whole = deck(shape("one"), shape("two"))
    assert parsed(replaced(whole, {"ppt/slides/s1.xml": b"\x00 not xml"}), "a.pptx").text == "two"


def test_pptx_slides_are_pages_with_notes() -> None:
    import pptx

    deck = pptx.Presentation()
    for title, body in (("Launch", "One point"), ("Plan", "A\nB")):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = body
    deck.slides[0].notes_slide.notes_text_frame.text = "Say hello"
    stream = io.BytesIO()
    deck.save(stream)
    found = parsed(stream.getvalue(), "deck.pptx")
    assert [(b.kind, b.page, found.text[b.start : b.end]) for b in found.blocks] == [
        ("heading", 1, "Launch"),
        ("paragraph", 1, "One point"),
        ("paragraph", 1, "Speaker notes: Say hello"),
        ("heading", 2, "Plan"),
        ("list", 2, "- A\n- B"),
    ]


# --- workbooks ---------------------------------------------------------------------------------


def book(fill: Callable[[Any, Any], None]) -> bytes:
    made = openpyxl.Workbook()
    fill(made, made.active)
    stream = io.BytesIO()
    made.save(stream)
    return stream.getvalue()


def test_of_a_number_format_what_a_reader_needs_is_kept() -> None:
    formats = ("0.0%", "00000", "[$€-407] #,##0.00", '0.0" kg"', "General", "#,##0", "yyyy-mm-dd")

    def fill(made: Any, sheet: Any) -> None:
        sheet.append(["share", "part", "price", "mass", "n", "big", "day"])
        sheet.append([0.125, 42, 9.5, 3, 7, 1234567, 45292])
        for column, code in enumerate(formats, 1):
            sheet.cell(2, column).number_format = code

    # 45292 days after the end of 1899 is the first day of 2024
    assert parsed(book(fill), "a.xlsx").text.endswith("| 12.5% | 00042 | €9.5 | 3 kg | 7 | 1234567 | 2024-01-01 |")


def test_merged_cells_are_spread_but_a_title_over_the_table_is_not() -> None:
    def fill(made: Any, sheet: Any) -> None:
        sheet.append(["Rates 2026", None, None])
        sheet.append(["Site", "Rate", None])
        sheet.append(["Kendal", 1, 2])
        sheet.append([None, 3, 4])
        for cells in ("A1:C1", "B2:C2", "A3:A4"):
            sheet.merge_cells(cells)

    assert [t for _, t in kinds(parsed(book(fill), "a.xlsx"))][1:] == [
        "Rates 2026",
        "| Site | Rate | Rate |\n|---|---|---|\n| Kendal | 1 | 2 |\n| Kendal | 3 | 4 |",
    ]


def test_comments_and_links_are_notes_and_rows_that_a_filter_hides_count() -> None:
    def fill(made: Any, sheet: Any) -> None:
        sheet.append(["a", "b"])
        sheet.append(["filtered", "out"])
        sheet.row_dimensions[2].hidden = True
        sheet["A1"].comment = Comment("Check with Porto", "Zoë")
        sheet["B1"].hyperlink = "https://x.example/b"

    assert kinds(parsed(book(fill), "a.xlsx"))[1:] == [
        ("table", "| a | b |\n|---|---|\n| filtered | out |"),
        ("note", "[Comment on Sheet!A1] Check with Porto"),
        ("note", "[Links]\n- https://x.example/b"),
    ]


def test_a_stray_cell_at_the_far_corner_is_refused_before_it_is_laid_out() -> None:
    def fill(made: Any, sheet: Any) -> None:
        sheet["A1"] = "x"
        sheet["XFD1048576"] = "y"  # 17 thousand million places

    with pytest.raises(DocumentError, match="spread over"):
        parse(book(fill), "a.xlsx")


def test_a_far_cell_that_can_be_laid_out_is_read() -> None:
    def fill(made: Any, sheet: Any) -> None:
        sheet["A1"], sheet["AD20000"] = "x", "y"

    assert [t for k, t in kinds(parsed(book(fill), "a.xlsx")) if k == "paragraph"] == ["x", "y"]


def test_a_workbook_without_values_and_a_damaged_one_say_so() -> None:
    with pytest.raises(DocumentError, match="no values"):
        parse(book(lambda made, sheet: None), "a.xlsx")
    with pytest.raises(DocumentError, match="damaged"):
        parse(zipped({"xl/workbook.xml": "<broken"}), "a.xlsx")


def test_xlsx_sheets_become_headings_with_tables() -> None:
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Prices"
    for row in (["As of 2026"], ["Part", "Discount"], ["RK-110", 0.125], [], ["Other", "Table"], ["x", 2.0]):
        sheet.append(row)
    sheet["B3"].number_format = "0.0%"
    book.create_sheet("Secret").sheet_state = "hidden"
    stream = io.BytesIO()
    book.save(stream)
    assert kinds(parsed(stream.getvalue(), "price-list.xlsx")) == [
        ("heading", "Prices"),
        ("paragraph", "As of 2026"),
        ("table", "| Part | Discount |\n|---|---|\n| RK-110 | 12.5% |"),
        ("table", "| Other | Table |\n|---|---|\n| x | 2 |"),
        ("note", "[Hidden sheet left out: Secret]"),
    ]
