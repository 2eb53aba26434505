"""Word files as their XML has them: what Word shows is what is read."""

import io
import struct

import pytest

from pipelines.documents.parsers import parse
from pipelines.documents.parsers.numbering import formatted
from pipelines.errors import DocumentError
from tests.documents.reading import kinds, ole_file, parsed, paths, zipped

RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
MAIN = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
NAMESPACES = " ".join(
    f'xmlns:{prefix}="{address}"'
    for prefix, address in {
        "w": MAIN,
        "w14": "http://schemas.microsoft.com/office/word/2010/wordml",
        "r": "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
        "m": "http://schemas.openxmlformats.org/officeDocument/2006/math",
        "mc": "http://schemas.openxmlformats.org/markup-compatibility/2006",
        "wp": "http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing",
        "a": "http://schemas.openxmlformats.org/drawingml/2006/main",
        "c": "http://schemas.openxmlformats.org/drawingml/2006/chart",
        "dgm": "http://schemas.openxmlformats.org/drawingml/2006/diagram",
    }.items()
)


def word(body: str, parts: dict[str, str] | None = None, links: str = "") -> bytes:
    """A DOCX of a body; `parts`: kind -> XML of a part beside it; `links`: further relations."""
    members = {"word/document.xml": f"<w:document {NAMESPACES}><w:body>{body}</w:body></w:document>"}
    relations = links
    for kind, content in (parts or {}).items():
        members[f"word/{kind}.xml"] = content
        relations += f'<Relationship Id="x-{kind}" Type="http://x/{kind}" Target="{kind}.xml"/>'
    listed = f'<Relationships xmlns="{RELATIONS}">{relations}</Relationships>'
    return zipped({**members, "word/_rels/document.xml.rels": listed})


def p(words: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{words}</w:t></w:r></w:p>"


def numbered(list_id: int, depth: int = 0) -> str:
    return f'<w:numPr><w:ilvl w:val="{depth}"/><w:numId w:val="{list_id}"/></w:numPr>'


STYLES = f"""<w:styles {NAMESPACES}>
<w:style w:styleId="H1"><w:name w:val="heading 1"/></w:style>
<w:style w:styleId="H2"><w:name w:val="heading 2"/></w:style>
<w:style w:styleId="Own"><w:name w:val="My chapter"/><w:basedOn w:val="H1"/></w:style>
<w:style w:styleId="T"><w:name w:val="Title"/></w:style></w:styles>"""
NUMBERING = f"""<w:numbering {NAMESPACES}><w:abstractNum w:abstractNumId="0">
<w:lvl w:ilvl="0"><w:start w:val="3"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl>
<w:lvl w:ilvl="1"><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="%1.%2)"/></w:lvl></w:abstractNum>
<w:abstractNum w:abstractNumId="1"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/></w:lvl></w:abstractNum>
<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num><w:num w:numId="2"><w:abstractNumId w:val="1"/></w:num>
<w:num w:numId="3"><w:abstractNumId w:val="0"/>
<w:lvlOverride w:ilvl="0"><w:startOverride w:val="9"/></w:lvlOverride></w:num>
</w:numbering>"""


def test_lists_and_headings_carry_the_numbers_that_word_shows() -> None:
    body = (
        p("Scope", f'<w:pStyle w:val="H1"/>{numbered(1)}')
        + p("first", numbered(1, 1))
        + p("second", numbered(1, 1))
        + p("Terms", f'<w:pStyle w:val="Own"/>{numbered(1)}')
        + p("again", numbered(1, 1))
        + p("dot", numbered(2))
        + p("nine", numbered(3))
    )
    found = parsed(word(body, {"styles": STYLES, "numbering": NUMBERING}), "a.docx")
    # the list starts at 3; its second level starts anew under 4; list 3 begins at 9
    assert kinds(found) == [
        ("heading", "3. Scope"),
        ("list", "3.a) first\n3.b) second"),
        ("heading", "4. Terms"),
        ("list", "4.a) again\n- dot\n9. nine"),
    ]


def test_a_count_is_shown_in_its_format() -> None:
    shown = [formatted(n, f) for n, f in ((28, "lowerLetter"), (1994, "upperRoman"), (4, "decimalZero"), (2, "hex"))]
    assert shown == ["bb", "MCMXCIV", "04", "2"]


def test_a_list_that_the_file_does_not_define_still_counts() -> None:
    numbering = f'<w:numbering {NAMESPACES}><w:num w:numId="5"><w:abstractNumId w:val="7"/></w:num></w:numbering>'
    body = p("one", numbered(5)) + p("two", numbered(5)) + p("none", numbered(6))
    assert parsed(word(body, {"numbering": numbering}), "a.docx").text == "1. one\n2. two\n- none"


def test_a_title_pushes_headings_down_a_level() -> None:
    body = p("Policy", '<w:pStyle w:val="T"/>') + p("Scope", '<w:pStyle w:val="H1"/>') + p("x")
    found = parsed(word(body, {"styles": STYLES}), "a.docx")
    assert paths(found) == [("Policy",), ("Policy", "Scope"), ("Policy", "Scope")]


def test_deleted_and_hidden_text_is_no_text_and_inserted_text_is() -> None:
    body = (
        "<w:p><w:r><w:t>kept </w:t></w:r><w:del><w:r><w:delText>gone</w:delText></w:r></w:del>"
        "<w:ins><w:r><w:t>new </w:t></w:r></w:ins><w:r><w:rPr><w:vanish/></w:rPr><w:t>secret</w:t></w:r>"
        '<w:r><w:t>10</w:t></w:r><w:r><w:rPr><w:vertAlign w:val="superscript"/></w:rPr><w:t>3</w:t></w:r></w:p>'
    )
    assert parsed(word(body), "a.docx").text == "kept new 10^3"


def test_check_boxes_say_whether_they_are_ticked() -> None:
    def control(state: str) -> str:
        box = f'<w14:checkbox><w14:checked w14:val="{state}"/></w14:checkbox>'
        return f"<w:sdt><w:sdtPr>{box}</w:sdtPr><w:sdtContent><w:r><w:t>\u2612</w:t></w:r></w:sdtContent></w:sdt>"

    box = '<w:ffData><w:checkBox><w:default w:val="1"/></w:checkBox></w:ffData>'
    old = f'<w:r><w:fldChar w:fldCharType="begin">{box}</w:fldChar></w:r>'
    body = f"<w:p>{control('1')}<w:r><w:t> tea </w:t></w:r>{control('0')}<w:r><w:t> milk </w:t></w:r>{old}</w:p>"
    assert parsed(word(body), "a.docx").text == "[x] tea [ ] milk [x]"


def test_links_keep_their_words_and_their_targets_stand_in_a_note() -> None:
    links = (
        '<Relationship Id="a" Type="http://x/hyperlink" Target="https://x.example/terms" TargetMode="External"/>'
        '<Relationship Id="b" Type="http://x/hyperlink" Target="mailto:help@x.example?cc=a" TargetMode="External"/>'
    )
    body = (
        '<w:p><w:r><w:t>See the </w:t></w:r><w:hyperlink r:id="a"><w:r><w:t>terms</w:t></w:r></w:hyperlink>'
        '<w:r><w:t> or </w:t></w:r><w:hyperlink r:id="b"><w:r><w:t>write</w:t></w:r></w:hyperlink></w:p>'
    )
    assert kinds(parsed(word(body, links=links), "a.docx")) == [
        ("paragraph", "See the terms or write (help@x.example)"),
        ("note", "[Links]\n- terms: https://x.example/terms"),
    ]


def test_a_text_box_is_read_once_though_the_file_holds_it_twice() -> None:
    box = f"<w:txbxContent>{p('boxed')}</w:txbxContent>"
    body = (
        "<w:p><w:r><w:t>host</w:t></w:r><w:r><mc:AlternateContent><mc:Choice><wp:inline>"
        f'<wp:docPr descr="A tarn at dusk"/>{box}</wp:inline></mc:Choice><mc:Fallback>{box}</mc:Fallback>'
        "</mc:AlternateContent></w:r></w:p>"
    )
    assert kinds(parsed(word(body), "a.docx")) == [
        ("paragraph", "host"),
        ("paragraph", "[Image: A tarn at dusk]"),
        ("paragraph", "boxed"),
    ]


def row(*cells: str) -> str:
    return "<w:tr>" + "".join(cells) + "</w:tr>"


def cell(words: str, properties: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{p(words) if not words.startswith('<') else words}</w:tc>"


def test_merged_cells_say_their_words_in_every_row_and_column_that_they_cover() -> None:
    body = (
        "<w:tbl>"
        + row(cell("Site"), cell("Days", '<w:gridSpan w:val="2"/>'))
        + row(cell("Kendal", '<w:vMerge w:val="restart"/>'), cell("25"), cell("26"))
        + row(cell("", "<w:vMerge/>"), cell("27"), cell("28"))
        + "</w:tbl>"
    )
    text = parsed(word(body), "a.docx").text
    assert text == "| Site | Days | Days |\n|---|---|---|\n| Kendal | 25 | 26 |\n| Kendal | 27 | 28 |"


def test_a_table_that_places_things_is_read_as_what_it_holds() -> None:
    inner = "<w:tbl>" + row(cell("a"), cell("b")) + row(cell("1"), cell("2")) + "</w:tbl>"
    body = "<w:tbl>" + row(cell(p("intro") + inner), cell("side")) + "</w:tbl>"
    assert kinds(parsed(word(body), "a.docx")) == [
        ("paragraph", "intro"),
        ("table", "| a | b |\n|---|---|\n| 1 | 2 |"),
        ("paragraph", "side"),
    ]


def test_footnotes_follow_the_text_and_comments_and_margins_are_notes() -> None:
    parts = {
        "footnotes": f'<w:footnotes {NAMESPACES}><w:footnote w:type="separator" w:id="0">{p("rule")}</w:footnote>'
        f'<w:footnote w:id="7">{p("Since 2019.")}</w:footnote></w:footnotes>',
        "comments": f'<w:comments {NAMESPACES}><w:comment w:author="Zoë">{p("Check this")}</w:comment></w:comments>',
        "header": f"<w:hdr {NAMESPACES}>{p('Version 7')}{p('3 / 9')}</w:hdr>",
    }
    body = '<w:p><w:r><w:t>A claim</w:t></w:r><w:r><w:footnoteReference w:id="7"/></w:r></w:p>'
    assert kinds(parsed(word(body, parts), "a.docx")) == [
        ("paragraph", "A claim[1]"),
        ("paragraph", "[1] Since 2019."),
        ("note", "[Comment by Zoë] Check this"),
        ("note", "Version 7"),
    ]


def test_equations_become_latex() -> None:
    fraction = "<m:f><m:num><m:r><m:t>π</m:t></m:r></m:num><m:den><m:r><m:t>2</m:t></m:r></m:den></m:f>"
    total = (
        '<m:nary><m:naryPr><m:chr m:val="∑"/></m:naryPr><m:sub><m:r><m:t>i=1</m:t></m:r></m:sub>'
        "<m:sup><m:r><m:t>n</m:t></m:r></m:sup><m:e><m:sSup><m:e><m:r><m:t>x</m:t></m:r></m:e>"
        "<m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup></m:e></m:nary>"
    )
    body = (
        f"<w:p><w:r><w:t>Half is </w:t></w:r><m:oMath>{fraction}</m:oMath></w:p>"
        f"<w:p><m:oMathPara><m:oMath>{total}</m:oMath></m:oMathPara></w:p>"
    )
    assert kinds(parsed(word(body), "a.docx")) == [
        ("paragraph", r"Half is $\frac{\pi}{2}$"),
        ("paragraph", r"$$\sum_{i=1}^{n}x^{2}$$"),
    ]


def test_charts_and_smartart_say_what_they_show() -> None:
    chart = f"""<c:chartSpace {NAMESPACES}><c:title><c:tx><a:p><a:r><a:t>Sales</a:t></a:r></a:p></c:tx></c:title>
<c:ser><c:tx><c:v>2026</c:v></c:tx><c:cat>
<c:pt idx="0"><c:v>Kendal</c:v></c:pt><c:pt idx="1"><c:v>Porto</c:v></c:pt></c:cat>
<c:val><c:pt idx="0"><c:v>12.50</c:v></c:pt></c:val></c:ser></c:chartSpace>"""
    diagram = f"""<dgm:dataModel {NAMESPACES}><dgm:pt><dgm:t><a:p><a:r><a:t>Plan</a:t></a:r></a:p></dgm:t></dgm:pt>
<dgm:pt type="pres"><dgm:t><a:p><a:r><a:t>layout</a:t></a:r></a:p></dgm:t></dgm:pt>
<dgm:pt><dgm:t><a:p><a:r><a:t>Do</a:t></a:r></a:p></dgm:t></dgm:pt></dgm:dataModel>"""
    body = '<w:p><w:r><c:chart r:id="x-chart"/><dgm:relIds r:dm="x-diagramData"/></w:r></w:p>'
    assert kinds(parsed(word(body, {"chart": chart, "diagramData": diagram}), "a.docx")) == [
        ("paragraph", "Chart: Sales"),
        ("table", "|  | 2026 |\n|---|---|\n| Kendal | 12.5 |"),
        ("list", "- Plan\n- Do"),
    ]


def test_pages_are_those_that_word_last_laid_out() -> None:
    body = p("one") + "<w:p><w:r><w:lastRenderedPageBreak/><w:t>two</w:t></w:r></w:p>" + p("still two")
    assert [b.page for b in parsed(word(body), "a.docx").blocks] == [1, 2, 2]
    assert [b.page for b in parsed(word(p("one")), "a.docx").blocks] == [None]


def test_the_strict_form_of_the_format_is_read_too() -> None:
    usual = f"<w:document {NAMESPACES}><w:body>{p('strict')}</w:body></w:document>"
    document = usual.replace(MAIN, "http://purl.oclc.org/ooxml/wordprocessingml/main")
    assert parsed(zipped({"word/document.xml": document}), "a.docx").text == "strict"


def test_a_word_file_whose_xml_is_cut_off_gives_what_is_left() -> None:
    whole = f"<w:document {NAMESPACES}><w:body>{p('first')}{p('second')}</w:body></w:document>"
    cut = whole[: whole.index("second") + 3]
    assert parsed(zipped({"word/document.xml": cut}), "a.docx").text == "first\n\nsec"


def test_lists_of_the_library_that_most_programs_write_with_are_numbered() -> None:
    import docx

    file = docx.Document()
    for words, style in (("a", "List Number"), ("b", "List Number"), ("c", "List Bullet")):
        file.add_paragraph(words, style=style)
    stream = io.BytesIO()
    file.save(stream)
    assert parsed(stream.getvalue(), "a.docx").text == "1. a\n2. b\n- c"


def test_docx_headings_lists_and_tables_keep_their_order() -> None:
    import docx

    file = docx.Document()
    file.add_heading("Policy", 0)
    file.add_paragraph("Opening words.")
    file.add_heading("Scope", 1)
    file.add_paragraph("first", style="List Bullet")
    file.add_paragraph("second", style="List Bullet")
    table = file.add_table(rows=2, cols=2)
    for cell, words in zip([c for row in table.rows for c in row.cells], ["A", "B", "1", "2"], strict=True):
        cell.text = words
    file.sections[0].footer.paragraphs[0].text = "Version 7"
    stream = io.BytesIO()
    file.save(stream)
    found = parsed(stream.getvalue(), "policy.docx")
    assert kinds(found) == [
        ("heading", "Policy"),
        ("paragraph", "Opening words."),
        ("heading", "Scope"),
        ("list", "- first\n- second"),
        ("table", "| A | B |\n|---|---|\n| 1 | 2 |"),
        ("note", "Version 7"),
    ]
    assert found.blocks[3].heading_path == ("Policy", "Scope")


# --- the binary format -------------------------------------------------------------------------


def old_word(text: str, *, flags: int = 0x0200) -> bytes:
    """A DOC whose first paragraph is of the built-in style Heading 1 and whose others are body text."""
    first = text.index("\r") + 1
    at = 2048
    header = bytearray(1024)
    struct.pack_into("<HH", header, 0, 0xA5EC, 0xC1)
    struct.pack_into("<H", header, 0x0A, flags)
    struct.pack_into("<I", header, 0x4C, len(text))
    pieces = struct.pack("<II", 0, len(text)) + struct.pack("<HIH", 0, at, 0)
    clx = b"\x02" + struct.pack("<I", len(pieces)) + pieces
    pages = struct.pack("<III", at, at + 2 * len(text), 2)
    struct.pack_into("<II", header, 0x01A2, 0, len(clx))
    struct.pack_into("<II", header, 0x0102, len(clx), len(pages))
    sheet = bytearray(512)  # two runs: style 1, then style 0
    struct.pack_into("<III", sheet, 0, at, at + 2 * first, at + 2 * len(text))
    sheet[12], sheet[25] = 100, 102
    sheet[200:203] = b"\x02\x01\x00"  # one word and a half: the style, no settings
    sheet[204:207] = b"\x02\x00\x00"
    sheet[511] = 2
    body = bytes(header) + bytes(sheet) + b"\x00" * 512 + text.encode("utf-16-le")
    return ole_file({"WordDocument": body, "1Table": clx + pages})


def test_old_word_files_give_headings_and_paragraphs_without_field_codes() -> None:
    text = 'Leave policy\rSee \x13 HYPERLINK "x" \x14the list\x15 of Größen.\rEnd\r'
    found = parsed(old_word(text), "a.doc")
    assert kinds(found) == [("heading", "Leave policy"), ("paragraph", "See the list of Größen."), ("paragraph", "End")]


@pytest.mark.parametrize(("flags", "reason"), [(0x0300, "password")])
def test_old_word_files_that_are_locked_say_so(flags: int, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason):
        parse(old_word("a\rb\r", flags=flags), "a.doc")
